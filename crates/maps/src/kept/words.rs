//! Words in the memory of objects: locks, and those that functions change while others do the same.

use skep_spec::{Errno, FieldKind};

use super::Keeper;
use crate::spin::res_lock;
use crate::sync::{AtomicU32, Guard, Ordering, Owner, lock};

/// 4 bytes in the memory of objects, which others write at the same time.
#[derive(Clone, Copy)]
pub struct Half<'k>(&'k AtomicU32);

impl core::fmt::Debug for Half<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Half").field(&self.get()).finish()
    }
}

impl Half<'_> {
    /// What stands there.
    pub fn get(self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// Changes it at once; gives what stood there.
    pub fn update(self, change: impl Fn(u32) -> u32) -> u32 {
        let mut old = self.get();
        loop {
            match self.0.compare_exchange(old, change(old), Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return old,
                Err(now) => old = now,
            }
        }
    }
}

impl Keeper {
    /// The 4 bytes at an address that is a multiple of 4, wherever objects are or may be.
    pub fn half(&self, addr: u64) -> Option<Half<'_>> {
        self.memory.half(addr).map(Half)
    }

    fn lock_word(&self, addr: u64, kind: FieldKind) -> Option<&AtomicU32> {
        let found = self.field_at(addr).is_some_and(|f| f.kind == kind);
        self.memory.half(addr).filter(|_| found)
    }

    /// Takes the `struct bpf_spin_lock` of an object for a program on `cpu`; `None` where there is none.
    ///
    /// # Errors
    /// `EBUSY` when a run on the same CPU holds it, or the holder does not give it back.
    pub fn spin_lock(&self, addr: u64, cpu: u32) -> Option<Result<(), Errno>> {
        let word = self.lock_word(addr, FieldKind::SpinLock)?;
        let held = lock(word, Owner::cpu(cpu), self.wait).map(Guard::keep);
        Some(held.ok_or(Errno::EBUSY))
    }

    /// Takes the `struct bpf_res_spin_lock` of an object; `None` where there is none.
    ///
    /// # Errors
    /// As [`Map::res_lock`](crate::Map::res_lock).
    pub fn res_lock(&self, addr: u64, cpu: u32) -> Option<Result<(), Errno>> {
        let word = self.lock_word(addr, FieldKind::ResSpinLock)?;
        Some(res_lock(word, Owner::cpu(cpu), self.wait))
    }

    /// Gives a lock of either kind back, which the caller holds; `false` where there is none.
    pub fn unlock(&self, addr: u64) -> bool {
        let kinds = [FieldKind::SpinLock, FieldKind::ResSpinLock];
        let word = kinds.into_iter().find_map(|kind| self.lock_word(addr, kind));
        word.map(|word| word.store(0, Ordering::Release)).is_some()
    }
}
