//! Locks of buckets, and what is done about those who die in an operation.

use skep_spec::Errno;

use super::{Bucket, HASH, Hash, NEXT};
use crate::geometry::REPAIR;
use crate::pool::REPAIRED;
use crate::sync::{Guard, Ordering, Owner, lock};

/// How often an operation starts over because others died.
const REPAIRS: u32 = 64;

impl Hash {
    /// Takes the lock of a bucket, in an operation.
    ///
    /// # Errors
    /// EBUSY, and `REPAIRED` while the map is repaired.
    #[inline]
    pub(super) fn lock<'a>(&self, bucket: &Bucket<'a>, owner: Owner) -> Result<Guard<'a>, Errno> {
        let held = self.lock_to_repair(bucket, owner)?;
        if self.pool.is_repaired(&self.metadata) {
            return Err(REPAIRED);
        }
        Ok(held)
    }

    #[inline]
    pub(super) fn lock_to_repair<'a>(&self, bucket: &Bucket<'a>, owner: Owner) -> Result<Guard<'a>, Errno> {
        let held = lock(bucket.lock, owner, self.geometry.wait).ok_or(Errno::EBUSY)?;
        if held.is_inherited() {
            self.mend(bucket);
        }
        Ok(held)
    }

    /// Mends a bucket whose lock a dead process held: the element at its head may have been put in to replace one that
    /// is still there.
    #[cold]
    fn mend(&self, bucket: &Bucket<'_>) {
        let Some(first) = self.follow(bucket.head.load(Ordering::Relaxed)) else { return };
        let (hash, mut from) = (self.elem(first, HASH).load(Ordering::Relaxed), self.elem(first, NEXT));
        for _ in 0..self.pool.capacity() {
            let Some(index) = self.follow(from.load(Ordering::Relaxed)) else { return };
            if self.elem(index, HASH).load(Ordering::Relaxed) == hash
                && self.key(index).equals(self.key(first))
            {
                return self.unlink(bucket, from, index);
            }
            from = self.elem(index, NEXT);
        }
    }

    /// Does what changes the map, again where others died in the middle of what it needs.
    pub(super) fn operate<T>(&self, owner: Owner, change: impl Fn() -> Result<T, Errno>) -> Result<T, Errno> {
        let m = &self.metadata;
        for _ in 0..REPAIRS {
            let done = match self.pool.begin(m, owner) {
                Some(_operation) => change(),
                None => Err(REPAIRED),
            };
            match done {
                Ok(done) => return Ok(done),
                Err(REPAIRED) => {}
                // What the dead held may be what is missing.
                Err(Errno::E2BIG | Errno::ENOMEM | Errno::EBUSY) if self.pool.is_bereaved(m) => {}
                Err(e) => return Err(e),
            }
            self.repair(owner)?;
        }
        Err(Errno::EBUSY)
    }

    /// Repairs what processes left that died in operations, or waits until another has.
    #[cold]
    pub fn repair(&self, owner: Owner) -> Result<(), Errno> {
        let m = &self.metadata;
        if self.pool.is_nested(m, owner) {
            return Err(Errno::EBUSY);
        }
        let held = lock(m.u32(REPAIR), owner, self.geometry.wait).ok_or(Errno::EBUSY)?;
        if !held.is_inherited() && !self.pool.is_bereaved(m) {
            return Ok(());
        }
        for at in 0..=self.mask {
            drop(self.lock_to_repair(&self.bucket(at), owner)?);
        }
        self.pool.wait_for_operations(m)?;
        let keep = |keep: &mut dyn FnMut(u32) -> bool| {
            for at in 0..=self.mask {
                let mut from = self.bucket(at).head;
                while let Some(index) = self.follow(from.load(Ordering::Relaxed)) {
                    if !keep(index) {
                        from.store(0, Ordering::Relaxed);
                        break;
                    }
                    from = self.elem(index, NEXT);
                }
            }
        };
        self.pool.gather(m, self.free_link(), keep, |index| self.gone(index));
        Ok(())
    }
}
