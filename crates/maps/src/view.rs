//! A value where it stands, for the host.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use skep_abi::MapFlags;
use skep_spec::{Cell, Change, Errno, Error, ValueMemory};

use crate::map::{Kind, Map};
use crate::mem::Block;

const OP: &str = "view";

/// A value of an array or hash where it stands. It keeps the map alive, and so its memory.
pub struct View {
    map: Arc<Map>,
    key: Vec<u8>,
    cpu: u32,
    /// Offset of the value in [`Map::block`].
    base: usize,
}

impl core::fmt::Debug for View {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("View").field("map", &self.map).field("key", &self.key).finish_non_exhaustive()
    }
}

impl Map {
    /// The memory that the values of arrays and hashes stand in.
    fn block(&self) -> Option<&Block> {
        match &self.kind {
            Kind::Array(array) => Some(array.area().block),
            Kind::PercpuArray(array) => Some(array.area().block),
            Kind::Hash(hash) => Some(hash.area().block),
            Kind::Arena(_)
            | Kind::BloomFilter(_)
            | Kind::LpmTrie(_)
            | Kind::MapOfMaps(_)
            | Kind::PerfEventArray(_)
            | Kind::ProgArray(_)
            | Kind::Queue(_)
            | Kind::Ringbuf(_)
            | Kind::StackTrace(_)
            | Kind::StructOps(_)
            | Kind::UserRingbuf(_)
            | Kind::Devices(_)
            | Kind::Sockets(_)
            | Kind::Storage(_) => None,
        }
    }

    /// Where a value stands in [`Self::block`].
    fn place(&self, key: &[u8], cpu: u32) -> Option<usize> {
        let at = self.lookup(key.into(), cpu)?.checked_sub(self.block()?.addr(0))?;
        usize::try_from(at).ok()
    }

    /// The value of a key where it stands; of per-CPU maps that of `cpu`.
    ///
    /// # Errors
    /// `ENOENT` absent key; `EINVAL` key of the wrong size, a per-CPU map without a CPU or with one that it does not have;
    /// `ENOTSUPP` for kinds that are neither arrays nor hashes.
    pub fn view(self: &Arc<Self>, key: &[u8], cpu: Option<u32>) -> Result<View, Error> {
        self.key_length(OP, key)?;
        if self.block().is_none() {
            return Err(self.error(
                Errno::ENOTSUPP,
                OP,
                "only values of arrays and hashes are seen in place",
            ));
        }
        let cpu = match cpu {
            None if self.is_percpu() => {
                return Err(self.error(Errno::EINVAL, OP, "each CPU has a value of its own: say which"));
            }
            Some(cpu) if self.is_percpu() && cpu >= self.cpus() => {
                let why = format!("CPU {cpu}: it has values for {}", self.cpus());
                return Err(self.error(Errno::EINVAL, OP, &why));
            }
            cpu => cpu.unwrap_or(0),
        };
        let base = self.place(key, cpu).ok_or_else(|| self.error(Errno::ENOENT, OP, "no such key"))?;
        Ok(View { map: Arc::clone(self), key: key.to_vec(), cpu, base })
    }
}

impl View {
    fn block(&self) -> Result<&Block, Error> {
        self.map.block().ok_or_else(|| Errno::ENOTSUPP.into())
    }

    fn may_write(&self) -> Result<(), Error> {
        self.map.may_write(OP)?;
        if self.map.flags().has(MapFlags::RDONLY_PROG) {
            let why = "it was created with BPF_F_RDONLY_PROG: programs count on its values, which are not changed in place";
            return Err(self.map.error(Errno::EACCES, OP, why));
        }
        Ok(())
    }

    fn inside(&self, off: usize, len: usize) -> Result<(), Error> {
        let size = self.len();
        match off.checked_add(len) {
            Some(end) if end <= size => Ok(()),
            _ => {
                let why = format!("bytes {off}+{len} of a value of {size}");
                Err(self.map.error(Errno::EINVAL, OP, &why))
            }
        }
    }

    /// The number at an offset, which is none of the fields that only programs touch.
    fn cell(&self, off: usize, width: usize) -> Result<Cell<'_>, Error> {
        self.inside(off, width)?;
        let all = self.map.geometry.places.all();
        let hit = all.iter().find(|p| off < p.off + p.kind.size() as usize && p.off < off + width);
        if let Some(field) = hit {
            let why = format!("byte {off} is of its {}, which only programs touch", field.kind.name());
            return Err(self.map.error(Errno::EPERM, OP, &why));
        }
        if width == 8 && !cfg!(target_has_atomic = "64") {
            return Err(self.map.error(Errno::ENOTSUPP, OP, "this machine has no atomic numbers of 8 bytes"));
        }
        self.block()?.cell(self.base + off, width).ok_or_else(|| {
            let why = format!(
                "byte {off}: numbers have 1, 2, 4 or 8 bytes, not {width}, and stand at a multiple of it"
            );
            self.map.error(Errno::EINVAL, OP, &why)
        })
    }

    /// Calls `each` with the pieces of `off..off + len` that are no fields which only programs touch.
    fn pieces(&self, off: usize, len: usize, mut each: impl FnMut(usize, usize)) {
        let (mut at, end) = (off, off + len);
        for place in self.map.geometry.places.all() {
            let (from, to) = (place.off, place.off + place.kind.size() as usize);
            if to <= at || from >= end {
                continue;
            }
            each(at, from.saturating_sub(at));
            at = to.min(end);
        }
        each(at, end - at);
    }
}

impl ValueMemory for View {
    fn len(&self) -> usize {
        self.map.geometry.value_size
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn is_current(&self) -> bool {
        self.map.place(&self.key, self.cpu) == Some(self.base)
    }

    fn load(&self, off_bytes: usize, width: usize) -> Result<u64, Error> {
        self.map.may_read(OP)?;
        Ok(self.cell(off_bytes, width)?.load())
    }

    fn store(&self, off_bytes: usize, width: usize, number: u64) -> Result<(), Error> {
        self.may_write()?;
        self.cell(off_bytes, width)?.store(number);
        Ok(())
    }

    fn change(&self, off_bytes: usize, width: usize, change: Change) -> Result<u64, Error> {
        self.map.may_read(OP)?;
        self.may_write()?;
        Ok(self.cell(off_bytes, width)?.change(change))
    }

    fn read(&self, off_bytes: usize, out: &mut [u8]) -> Result<(), Error> {
        self.map.may_read(OP)?;
        self.inside(off_bytes, out.len())?;
        let block = self.block()?;
        out.fill(0);
        self.pieces(off_bytes, out.len(), |at, len| {
            block.bytes(self.base + at, len).copy_to(&mut out[at - off_bytes..][..len]);
        });
        Ok(())
    }

    fn write(&self, off_bytes: usize, bytes: &[u8]) -> Result<(), Error> {
        self.may_write()?;
        self.inside(off_bytes, bytes.len())?;
        let block = self.block()?;
        self.pieces(off_bytes, bytes.len(), |at, len| {
            block.write(self.base + at, bytes[at - off_bytes..][..len].into());
        });
        Ok(())
    }
}
