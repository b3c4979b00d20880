//! Elements of a hash by buckets. Under their locks: what a batch takes (`__htab_map_lookup_and_delete_batch`, Linux 6.18).

use alloc::vec::Vec;
use core::cell::RefCell;
use core::ops::Range;

use skep_spec::Errno;

use super::{Bucket, Hash, NEXT, RETRIES, SEQ};
use crate::batch::Batch;
use crate::batches::Room;
use crate::sync::{Ordering, Owner, fence};

/// Of how many buckets at a time the elements are asked for that will be copied.
const AHEAD: u64 = 32;
/// How many bytes ahead elements are asked for that will be copied in their order.
const LINES_AHEAD: usize = 1024;
/// Where fewer elements are there than one of so many, buckets are walked.
const SPARSE: u32 = 8;

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
        self.copy_value(index, value, locked)
    }

    /// Copies the value of an element, or those of all CPUs.
    pub(super) fn copy_value(&self, index: u32, value: &mut [u8], locked: bool) -> Result<(), Errno> {
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
            // No more than there are: a peer may have tied the list's end to its beginning.
            for _ in 0..self.pool.capacity() {
                let Some(index) = self.follow(bucket.head.load(Ordering::Relaxed)) else { break };
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

    /// Copies all elements in the order of their numbers, which is that of memory; how many. `None` when somebody changes
    /// the map meanwhile, when there are more than fit, and when most of the elements are unused.
    ///
    /// Whoever is in an operation may put an element in a place that was looked at, and take it out of one that will
    /// be. So nobody may be in one at first, nor have begun one by the end ([`Pool::quiet`](crate::pool::Pool)): then what
    /// stood in the places was all the map at that moment. Values that are written in place are as they are met.
    pub fn copy_all(&self, room: usize, keys: &mut [u8], values: &mut [u8]) -> Option<usize> {
        let m = &self.metadata;
        if self.pool.is_bereaved(m) {
            let _ = self.repair(Owner::HOST);
        }
        let begun = self.pool.quiet(m)?;
        // Behind that: what was used by then is below.
        let (used, count) = (self.pool.used(m), self.pool.count(m) as usize);
        if count > room || (used / SPARSE) as usize > count {
            return None;
        }
        let (key_len, value_len) = (self.geometry.key_size, self.values.host_len(&self.geometry));
        let mut parts = keys.chunks_exact_mut(key_len).zip(values.chunks_exact_mut(value_len)).take(room);
        let mut copied = 0;
        for index in 0..used {
            let off = self.elem_off(index);
            m.prefetch(off + LINES_AHEAD);
            let [seq_now] = m.words(off + SEQ);
            let seq = seq_now.load(Ordering::Acquire);
            if seq & 1 != 0 || seq == 0 {
                continue;
            }
            let (key, value) = parts.next()?;
            self.key(index).copy_to(key);
            if self.percpu {
                self.values.copy_all(&self.geometry, m, index, value);
            } else {
                self.geometry.read_value(m, self.values.off(index, 0), value);
            }
            copied += 1;
        }
        fence(Ordering::Acquire);
        (self.pool.begun(m) == begun).then_some(copied)
    }

    /// Copies the elements of whole buckets, from one on, as many as there is room for.
    pub fn copy_buckets(
        &self,
        from: u64,
        room: usize,
        keys: &mut [u8],
        values: &mut [u8],
    ) -> Result<Batch, Errno> {
        if from == 0
            && let Some(count) = self.copy_all(room, keys, values)
        {
            return Ok(Batch { count, next: None });
        }
        let buckets = u64::from(self.mask) + 1;
        let mut count = 0;
        for at in from..buckets {
            if (at - from).is_multiple_of(AHEAD) {
                self.ask_for(at..buckets.min(at + AHEAD));
            }
            // Most of them are empty, or wait for what is on its way.
            if self.bucket(at as u32).head.load(Ordering::Relaxed) == 0 {
                continue;
            }
            match self.copy_bucket(at as u32, count..room, keys, values)? {
                Some(copied) => count += copied,
                None if count == 0 => return Err(Errno::ENOSPC),
                None => return Ok(Batch { count, next: Some(at) }),
            }
        }
        Ok(Batch { count, next: None })
    }

    /// Has the elements of some buckets brought near, of [`AHEAD`] at most. They lie in no order, so that each would be
    /// waited for in its turn: as many as possible have to be on their way at a time.
    fn ask_for(&self, buckets: Range<u64>) {
        let mut links = [0; AHEAD as usize];
        for (link, at) in links.iter_mut().zip(buckets) {
            *link = self.bucket(at as u32).head.load(Ordering::Relaxed);
            if let Some(index) = self.follow(*link) {
                self.metadata.prefetch(self.elem_off(index));
            }
        }
        for index in links.into_iter().filter_map(|link| self.follow(link)) {
            self.metadata.prefetch(self.values.off(index, 0));
        }
        for index in links.into_iter().filter_map(|link| self.follow(link)) {
            let [_, next] = self.metadata.words(self.elem_off(index));
            if let Some(index) = self.follow(next.load(Ordering::Relaxed)) {
                self.metadata.prefetch(self.elem_off(index));
                self.metadata.prefetch(self.values.off(index, 0));
            }
        }
    }

    /// Copies the elements of a bucket into some places; `None` when there are not enough.
    #[inline]
    fn copy_bucket(
        &self,
        at: u32,
        places: Range<usize>,
        keys: &mut [u8],
        values: &mut [u8],
    ) -> Result<Option<usize>, Errno> {
        let (key_len, value_len) = (self.geometry.key_size, self.values.host_len(&self.geometry));
        let bucket = self.bucket(at);
        let mut steps = 0..self.pool.capacity().saturating_mul(2).saturating_add(RETRIES);
        for _ in 0..RETRIES {
            let version = bucket.version.load(Ordering::Acquire);
            let (mut link, mut place) = (bucket.head.load(Ordering::Acquire), places.start);
            let whole = loop {
                let Some(index) = self.follow(link) else { break true };
                // An element that was taken for another bucket meanwhile leads elsewhere.
                if steps.next().is_none() {
                    break false;
                }
                // A replacement is linked before all others, and what it replaces is no element any more.
                let mut first = keys[places.start * key_len..place * key_len].chunks_exact(key_len);
                if first.next().is_some_and(|first| self.key(index).equals(first.into())) {
                    link = self.elem(index, NEXT).load(Ordering::Acquire);
                    continue;
                }
                if place == places.end {
                    return Ok(None);
                }
                let off = self.elem_off(index);
                let [seq_now, next, hash] = self.metadata.words(off);
                let seq = seq_now.load(Ordering::Acquire);
                link = next.load(Ordering::Acquire);
                let here = hash.load(Ordering::Relaxed) & self.mask == at;
                self.key(index).copy_to(&mut keys[place * key_len..][..key_len]);
                let value = &mut values[place * value_len..][..value_len];
                if self.percpu {
                    self.values.copy_all(&self.geometry, &self.metadata, index, value);
                } else {
                    self.geometry.read_value(&self.metadata, self.values.off(index, 0), value);
                }
                fence(Ordering::Acquire);
                if seq & 1 != 0 || !here || seq_now.load(Ordering::Relaxed) != seq {
                    break false;
                }
                place += 1;
            };
            if whole && bucket.version.load(Ordering::Acquire) == version {
                return Ok(Some(place - places.start));
            }
            self.geometry.wait.pause();
        }
        Err(Errno::EBUSY)
    }
}
