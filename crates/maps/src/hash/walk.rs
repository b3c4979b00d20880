//! Walks over the elements of a hash, while others change it.

use skep_spec::Errno;

use super::{Found, HASH, Hash, NEXT, RETRIES, SEQ};
use crate::mem::Bytes;
use crate::sync::{Ordering, Owner};
use crate::walk::{Element, Key, Step, Walk};

/// Buckets that a walk looks at in one step.
const BUCKETS_A_STEP: u32 = 64;

impl Hash {
    /// The next element of a walk, after some buckets at most.
    pub fn step(&self, walk: &mut Walk, cpu: u32) -> Step {
        let cpu = if self.percpu { cpu } else { 0 };
        if cpu >= self.values.cpus {
            return Step::End;
        }
        for _ in 0..BUCKETS_A_STEP {
            let Some(at) = u32::try_from(walk.at).ok().filter(|at| *at <= self.mask) else {
                return Step::End;
            };
            let bucket = self.bucket(at);
            let link = walk.link.unwrap_or_else(|| bucket.head.load(Ordering::Acquire));
            // An element that was taken for another key meanwhile leads elsewhere.
            let here = |index: &u32| self.elem(*index, HASH).load(Ordering::Relaxed) & self.mask == at;
            let Some(index) = self.follow(link).filter(here) else {
                *walk = Walk { at: walk.at + 1, link: None, met: walk.met };
                continue;
            };
            // Elements may move ahead of the walk, but a list without an end is a peer's.
            walk.met += 1;
            if walk.met > 64 * u64::from(self.pool.capacity()) {
                return Step::End;
            }
            walk.link = Some(self.elem(index, NEXT).load(Ordering::Acquire));
            let key = Key::At(self.metadata.addr(self.elem_off(index) + self.key));
            return Step::Element(Element { key, value: self.metadata.addr(self.values.off(index, cpu)) });
        }
        Step::Nothing
    }

    /// The key that follows one, or the first; an absent one starts over, as in the kernel.
    ///
    /// # Errors
    /// `ENOENT` behind the last.
    pub(super) fn key_after(&self, key: Option<Bytes<'_>>, out: &mut [u8]) -> Result<(), Errno> {
        let Some(key) = key else {
            if self.pool.is_bereaved(&self.metadata) {
                // What a dead process replaced may still be there: a walk does without, if it must.
                let _ = self.repair(Owner::HOST);
            }
            return self.first_from(0, out);
        };
        let hash = self.hash_of(key);
        for _ in 0..RETRIES {
            let Some(found) = self.find(key, hash) else { return self.first_from(0, out) };
            match self.key_behind(&found, key, out) {
                // While the found element is in its list, so is its successor, or was a moment ago.
                Some(true) if self.unchanged(found.index, found.seq) => return Ok(()),
                Some(_) => {}
                None => return self.first_from(u64::from(hash & self.mask) + 1, out),
            }
        }
        self.first_from(0, out)
    }

    /// Copies the next other key of a list; whether it is one element's. `None` at the end.
    fn key_behind(&self, found: &Found, key: Bytes<'_>, out: &mut [u8]) -> Option<bool> {
        let mut link = found.next;
        for _ in 0..self.pool.capacity() {
            let index = self.follow(link)?;
            if !self.copy_key(index, out) {
                return Some(false);
            }
            // A replacement is linked before what it replaces, which stays if the writer dies between the two.
            if !key.equals((&*out).into()) {
                return Some(true);
            }
            link = self.elem(index, NEXT).load(Ordering::Acquire);
        }
        Some(false)
    }

    /// The first key of the buckets from `bucket` on.
    fn first_from(&self, bucket: u64, out: &mut [u8]) -> Result<(), Errno> {
        if self.pool.count(&self.metadata) == 0 {
            return Err(Errno::ENOENT);
        }
        // Of all buckets together: a peer may have spoilt each.
        let mut tries = 0..RETRIES;
        for bucket in bucket..=u64::from(self.mask) {
            while tries.next().is_some() {
                let Some(index) = self.follow(self.bucket(bucket as u32).head.load(Ordering::Acquire)) else {
                    break;
                };
                if self.copy_key(index, out) {
                    return Ok(());
                }
            }
            if tries.is_empty() {
                break;
            }
        }
        Err(Errno::ENOENT)
    }

    /// Copies an element's key; whether it is one element's.
    fn copy_key(&self, index: u32, out: &mut [u8]) -> bool {
        let seq = self.elem(index, SEQ).load(Ordering::Acquire);
        self.key(index).copy_to(out);
        seq & 1 == 0 && self.unchanged(index, seq)
    }
}
