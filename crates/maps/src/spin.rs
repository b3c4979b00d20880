//! `struct bpf_spin_lock` in the values of arrays and hashes.
//!
//! As every field (see `fields`) a lock word stays with its place in memory, and an element that is used for another
//! key keeps it, so that whoever still holds it gives back what he took.

use skep_spec::Errno;

use crate::geometry::Geometry;
use crate::map::{Kind, Map};
use crate::mem::Block;
use crate::percpu_array::Values;
use crate::sync::{AtomicU32, Guard, Ordering, Owner, lock};

impl Geometry {
    /// Takes the lock of a value.
    ///
    /// # Errors
    /// `EINVAL` when values have none, `EBUSY` when the owner has it already or the holder does not give it back.
    pub fn lock_value<'b>(&self, block: &'b Block, off: usize, owner: Owner) -> Result<Guard<'b>, Errno> {
        let at = self.spin_lock.ok_or(Errno::EINVAL)?;
        lock(block.u32(off + at), owner, self.wait).ok_or(Errno::EBUSY)
    }
}

impl Map {
    /// Offset of the `struct bpf_spin_lock` in a value.
    pub fn spin_lock_off(&self) -> Option<u32> {
        self.geometry.spin_lock.map(|off| off as u32)
    }

    /// Takes the lock at an address (`bpf_spin_lock` by a program on `cpu`); `None` when there is no lock of this
    /// map.
    ///
    /// # Errors
    /// `EBUSY` when a run on the same CPU holds it, or the holder does not give it back.
    pub fn spin_lock(&self, addr: u64, cpu: u32) -> Option<Result<(), Errno>> {
        let word = self.lock_word(addr)?;
        Some(match lock(word, Owner::cpu(cpu), self.geometry.wait) {
            Some(held) => {
                held.keep();
                Ok(())
            }
            None => Err(Errno::EBUSY),
        })
    }

    /// Gives the lock at an address back, which the caller holds; `false` when there is no lock of this map.
    pub fn spin_unlock(&self, addr: u64) -> bool {
        self.lock_word(addr).map(|word| word.store(0, Ordering::Release)).is_some()
    }

    fn lock_word(&self, addr: u64) -> Option<&AtomicU32> {
        let lock = self.geometry.spin_lock?;
        let Values { block, base, len, step } = match &self.kind {
            Kind::Array(array) => array.area(),
            Kind::Hash(hash) => hash.area(),
            Kind::Storage(storage) => storage.area(),
            Kind::BloomFilter(_)
            | Kind::PercpuArray(_)
            | Kind::LpmTrie(_)
            | Kind::MapOfMaps(_)
            | Kind::PerfEventArray(_)
            | Kind::ProgArray(_)
            | Kind::Queue(_)
            | Kind::Ringbuf(_)
            | Kind::StackTrace(_)
            | Kind::StructOps(_)
            | Kind::Arena(_)
            | Kind::UserRingbuf(_)
            | Kind::Devices(_)
            | Kind::Sockets(_) => return None,
        };
        let off = usize::try_from(addr.checked_sub(block.addr(base))?).ok()?;
        (off < len && off % step == lock).then(|| block.u32(base + off))
    }
}
