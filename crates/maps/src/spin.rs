//! `struct bpf_spin_lock` and `struct bpf_res_spin_lock` in the values of arrays and hashes.
//!
//! As every field (see `fields`) a lock word stays with its place in memory, and an element that is used for another
//! key keeps it, so that whoever still holds it gives back what he took.

use core::time::Duration;

use skep_spec::{Errno, FieldKind};

use crate::geometry::Geometry;
use crate::map::{Kind, Map};
use crate::mem::Block;
use crate::percpu_array::Values;
use crate::sync::{AtomicU32, Guard, Ordering, Owner, Waiting, lock};

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

/// How long Linux waits for a lock that notices deadlocks (`RES_DEF_TIMEOUT`).
const RES_TIMEOUT: Duration = Duration::from_millis(250);

/// Takes a lock that notices deadlocks.
///
/// # Errors
/// `EDEADLK` when a run on the same CPU holds it; `ETIMEDOUT` when the holder does not give it back for a quarter of a second,
/// also where Linux finds out that the holder waits for the caller.
pub(crate) fn res_lock(word: &AtomicU32, owner: Owner, wait: Waiting) -> Result<(), Errno> {
    let mine = wait.word(owner);
    match lock(word, owner, wait.at_most(RES_TIMEOUT)) {
        Some(held) => {
            held.keep();
            Ok(())
        }
        None if word.load(Ordering::Relaxed) == mine => Err(Errno::EDEADLK),
        None => Err(Errno::ETIMEDOUT),
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
        let word = self.lock_word(addr, self.geometry.spin_lock?)?;
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
        let word = self.geometry.spin_lock.and_then(|off| self.lock_word(addr, off));
        word.map(|word| word.store(0, Ordering::Release)).is_some()
    }

    /// Takes the lock at an address that notices deadlocks (`bpf_res_spin_lock` by a program on `cpu`); `None` when there is
    /// none of this map.
    ///
    /// # Errors
    /// As `res_lock`.
    pub fn res_lock(&self, addr: u64, cpu: u32) -> Option<Result<(), Errno>> {
        Some(res_lock(self.res_lock_word(addr)?, Owner::cpu(cpu), self.geometry.wait))
    }

    /// Gives such a lock back, which the caller holds; `false` when there is none of this map.
    pub fn res_unlock(&self, addr: u64) -> bool {
        self.res_lock_word(addr).map(|word| word.store(0, Ordering::Release)).is_some()
    }

    fn res_lock_word(&self, addr: u64) -> Option<&AtomicU32> {
        let place = self.geometry.places.all().iter().find(|p| p.kind == FieldKind::ResSpinLock)?;
        self.lock_word(addr, place.off)
    }

    /// The lock at an address, if locks are at `lock` in values.
    fn lock_word(&self, addr: u64, lock: usize) -> Option<&AtomicU32> {
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
