//! Per-CPU array: an array for each virtual CPU, one after the other, each on pages of its own.

use skep_abi::{MapType, UpdateFlags};
use skep_spec::Errno;

use crate::array::{ArrayGeometry, check_update};
use crate::geometry::{Geometry, HEADER_LEN, next_index};
use crate::kept::Kept;
use crate::map::Ops;
use crate::mem::{Block, Bytes, Memory};
use crate::sync::Owner;

pub(crate) struct PercpuArray {
    geometry: Geometry,
    metadata: Block,
    values: PercpuValues,
    pub kept: Kept,
}

/// Where the values of a per-CPU map stand in its metadata.
#[derive(Clone, Copy)]
pub(crate) struct PercpuValues {
    /// Offset of the first CPU's first value.
    pub base: usize,
    /// Bytes from one CPU's values to the next's, whole pages.
    pub span: usize,
    /// Bytes from one value to the next.
    pub stride: usize,
    /// Virtual CPUs.
    pub cpus: u32,
    /// Bytes of all, from the first to the end of the last.
    len: usize,
}

/// Values in a block.
#[derive(Clone, Copy)]
pub(crate) struct Values<'m> {
    pub block: &'m Block,
    /// Offset of the first.
    pub base: usize,
    /// Bytes of all, from the first to the end of the last.
    pub len: usize,
    /// Bytes from one to the next.
    pub step: usize,
}

impl Values<'_> {
    /// Address and bytes.
    pub fn range(&self) -> (u64, usize) {
        (self.block.addr(self.base), self.len)
    }
}

impl PercpuValues {
    /// Values for `slots` elements from `base`; also the end of them. `None` when that is too much to count.
    pub fn new(g: &Geometry, base: usize, slots: usize, cpus: u32) -> Option<(Self, usize)> {
        let base = g.pages(base)?;
        let span = g.pages(slots.checked_mul(g.stride)?)?;
        let len = span.checked_mul(cpus as usize)?;
        Some((Self { base, span, stride: g.stride, cpus, len }, base.checked_add(len)?))
    }

    /// Values of one CPU at `base`, one in each `step` bytes, of which there are `slots`, at least 1; also the end of
    /// the last step.
    pub fn apart(g: &Geometry, base: usize, slots: usize, step: usize) -> Option<(Self, usize)> {
        let before = slots.checked_sub(1)?.checked_mul(step)?;
        let len = before.checked_add(g.stride)?;
        Some((
            Self { base, span: 0, stride: step, cpus: 1, len },
            base.checked_add(before)?.checked_add(step)?,
        ))
    }

    /// Offset of a value.
    #[inline]
    pub fn off(&self, index: u32, cpu: u32) -> usize {
        debug_assert!(cpu < self.cpus);
        self.base + cpu as usize * self.span + index as usize * self.stride
    }

    /// All CPUs' values of an element, each rounded up to 8 bytes.
    pub fn copy_all(&self, g: &Geometry, metadata: &Block, index: u32, out: &mut [u8]) {
        for (cpu, part) in (0..self.cpus).zip(out.chunks_exact_mut(self.stride)) {
            metadata.bytes(self.off(index, cpu), self.stride).copy_to(part);
            g.hide_fields(part);
        }
    }

    /// Writes all CPUs' values, each rounded up to 8 bytes in `value`, and what fills them too, as in the
    /// kernel.
    pub fn write_all(&self, g: &Geometry, metadata: &Block, index: u32, value: Bytes<'_>) {
        for cpu in 0..self.cpus {
            let value = value.slice(cpu as usize * self.stride, self.stride);
            match g.places.all() {
                [] => metadata.write(self.off(index, cpu), value),
                _ => g.write_value(metadata, self.off(index, cpu), value),
            }
        }
    }

    /// Bytes of a value as the host sees it: those of all CPUs, if there are more than one's.
    pub fn host_len(&self, g: &Geometry) -> usize {
        let percpu =
            matches!(g.kind, MapType::PERCPU_HASH | MapType::LRU_PERCPU_HASH | MapType::PERCPU_ARRAY);
        if percpu { self.stride * self.cpus as usize } else { g.value_size }
    }

    /// The whole area.
    pub fn area<'m>(&self, metadata: &'m Block) -> Values<'m> {
        Values { block: metadata, base: self.base, len: self.len, step: self.stride }
    }
}

impl PercpuArray {
    pub fn new(geometry: Geometry, memory: &dyn Memory) -> Result<Self, Errno> {
        let slots = geometry.max_entries as usize;
        let (values, end) =
            PercpuValues::new(&geometry, HEADER_LEN, slots, geometry.cpus).ok_or(Errno::ENOMEM)?;
        let metadata = geometry.metadata(memory, end, values.base)?;
        Ok(Self { geometry, metadata, values, kept: Kept::default() })
    }

    /// Where the values of a CPU stand.
    pub fn geometry(&self, cpu: u32) -> Option<ArrayGeometry> {
        Some(ArrayGeometry {
            base: self.value(0, cpu)?,
            stride: self.geometry.stride,
            max_entries: self.geometry.max_entries,
        })
    }

    /// The address of a CPU's value; the index is one of the array's.
    pub fn value(&self, index: u32, cpu: u32) -> Option<u64> {
        (cpu < self.geometry.cpus).then(|| self.metadata.addr(self.values.off(index, cpu)))
    }

    /// The values of all CPUs.
    pub fn area(&self) -> Values<'_> {
        self.values.area(&self.metadata)
    }

    /// Per-CPU arrays do not know `BPF_F_LOCK` at all.
    fn check(&self, key: Bytes<'_>, flags: u64) -> Result<u32, Errno> {
        if flags > UpdateFlags::EXIST {
            return Err(Errno::EINVAL);
        }
        check_update(&self.geometry, key, flags)
    }
}

impl Ops for PercpuArray {
    #[inline]
    fn lookup(&self, key: Bytes<'_>, cpu: u32) -> Option<u64> {
        let index = self.geometry.index(key).ok()?;
        (cpu < self.geometry.cpus).then(|| self.metadata.addr(self.values.off(index, cpu)))
    }

    fn update(&self, key: Bytes<'_>, value: Bytes<'_>, flags: u64, cpu: u32) -> Result<(), Errno> {
        let index = self.check(key, flags)?;
        if cpu >= self.geometry.cpus {
            return Err(Errno::EINVAL);
        }
        let off = self.values.off(index, cpu);
        self.geometry.write_value(&self.metadata, off, value);
        self.kept.release(&self.geometry, &self.metadata, off);
        Ok(())
    }

    fn delete(&self, _key: Bytes<'_>, _owner: Owner) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    fn lookup_copy(&self, key: Bytes<'_>, out: &mut [u8]) -> Result<(), Errno> {
        let index = self.geometry.index(key).map_err(|_| Errno::ENOENT)?;
        self.values.copy_all(&self.geometry, &self.metadata, index, out);
        Ok(())
    }

    fn update_from_host(&self, key: Bytes<'_>, value: Bytes<'_>, flags: u64) -> Result<(), Errno> {
        let index = self.check(key, flags)?;
        self.values.write_all(&self.geometry, &self.metadata, index, value);
        for cpu in 0..self.geometry.cpus {
            self.kept.release(&self.geometry, &self.metadata, self.values.off(index, cpu));
        }
        Ok(())
    }

    fn next_key(&self, key: Option<Bytes<'_>>, out: &mut [u8]) -> Result<(), Errno> {
        next_index(&self.geometry, key, out)
    }

    fn values(&self) -> Option<(u64, usize)> {
        Some(self.area().range())
    }

    fn metadata(&self) -> &Block {
        &self.metadata
    }
}
