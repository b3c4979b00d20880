//! Elements of a hash by buckets, under their locks: what a batch takes (`__htab_map_lookup_and_delete_batch`, Linux 6.18).

use alloc::vec::Vec;
use core::cell::RefCell;

use skep_spec::Errno;

use super::{Bucket, Hash, NEXT};
use crate::batches::Room;
use crate::sync::{Ordering, Owner};

impl Hash {
    /// Buckets.
    pub fn bucket_count(&self) -> u64 {
        u64::from(self.mask) + 1
    }

    /// Copies the elements of a bucket out, and with `take` takes them out of the map; all of them or none.
    ///
    /// # Errors
    /// `ENOSPC` when there are more than fit; `EBUSY`.
    pub fn batch_of(&self, at: u32, room: &mut Room<'_>, locked: bool, take: bool) -> Result<(), Errno> {
        let bucket = self.bucket(at);
        if bucket.head.load(Ordering::Acquire) == 0 {
            return Ok(());
        }
        if take {
            return self.taken(&bucket, room, locked);
        }
        let _held = self.lock_to_repair(&bucket, Owner::HOST)?;
        self.copied(&bucket, room, locked)
    }

    /// Copies the elements of a bucket, whose lock is held.
    fn copied(&self, bucket: &Bucket<'_>, room: &mut Room<'_>, locked: bool) -> Result<(), Errno> {
        let mut link = bucket.head.load(Ordering::Acquire);
        for _ in 0..self.pool.capacity() {
            let Some(index) = self.follow(link) else { break };
            self.copy(index, room, locked)?;
            link = self.elem(index, NEXT).load(Ordering::Acquire);
        }
        Ok(())
    }

    fn copy(&self, index: u32, room: &mut Room<'_>, locked: bool) -> Result<(), Errno> {
        let (key, value) = room.next().ok_or(Errno::ENOSPC)?;
        self.key(index).copy_to(key);
        if self.percpu {
            self.values.copy_all(&self.geometry, &self.metadata, index, value);
            return Ok(());
        }
        let off = self.values.off(index, 0);
        let _held = match locked {
            true => Some(self.geometry.lock_value(&self.metadata, off, Owner::HOST)?),
            false => None,
        };
        self.geometry.read_value(&self.metadata, off, value);
        Ok(())
    }

    fn taken(&self, bucket: &Bucket<'_>, room: &mut Room<'_>, locked: bool) -> Result<(), Errno> {
        let (start, room) = (room.mark(), RefCell::new(room));
        let owner = Owner::HOST;
        self.operate(owner, || {
            let mut room = room.borrow_mut();
            room.back_to(start);
            let held = self.lock(bucket, owner)?;
            self.copied(bucket, &mut room, locked)?;
            let mut gone = Vec::new();
            while let Some(index) = self.follow(bucket.head.load(Ordering::Relaxed)) {
                self.unlink(bucket, bucket.head, index);
                gone.push(index);
            }
            self.filter(bucket);
            drop(held);
            for index in gone {
                self.let_go(index);
                self.pool.give_back(&self.metadata, index, owner, self.free_link());
            }
            Ok(())
        })
    }
}
