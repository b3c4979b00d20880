//! Many elements at a time (`BPF_MAP_LOOKUP_BATCH` and its kin: `bpf_map_do_batch`, `generic_map_lookup_batch`,
//! Linux 6.18).
//!
//! A batch goes on where the one before ended. Of a hash that is a bucket, whose elements are in one batch: so what others
//! insert and delete meanwhile makes no other element missed or met twice. Of other kinds it is the last key.

use alloc::format;
use alloc::vec::Vec;

use skep_abi::{MapType, UpdateFlags};
use skep_spec::{Batch, Errno, Error};

use crate::hash::Hash;
use crate::map::{Kind, Map};
use crate::mem::Bytes;

/// Puts an element in: its key, and its value as the caller gave it.
type Put<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), Error> + 'a;

/// Elements that others may add to a hash while a batch begins.
const MORE: usize = 256;

/// Room for the elements of a batch.
pub(crate) struct Room<'b> {
    keys: &'b mut [u8],
    values: &'b mut [u8],
    sizes: (usize, usize),
    count: usize,
    most: usize,
}

impl Room<'_> {
    /// Room for the next element: its key and value.
    pub fn next(&mut self) -> Option<(&mut [u8], &mut [u8])> {
        if self.count == self.most {
            return None;
        }
        let (key, value) = self.sizes;
        let at = self.count;
        self.count += 1;
        Some((&mut self.keys[at * key..(at + 1) * key], &mut self.values[at * value..(at + 1) * value]))
    }

    /// How many there are.
    pub fn mark(&self) -> usize {
        self.count
    }

    /// Forgets those behind a mark.
    pub fn back_to(&mut self, mark: usize) {
        self.count = mark;
    }
}

/// Whole buckets from one on; gives the one to go on with.
fn buckets(
    hash: &Hash,
    from: u32,
    room: &mut Room<'_>,
    locked: bool,
    take: bool,
) -> Result<Option<Vec<u8>>, Errno> {
    for at in u64::from(from)..hash.bucket_count() {
        let start = room.mark();
        match hash.batch_of(at as u32, room, locked, take) {
            Ok(()) => {}
            Err(Errno::ENOSPC) if start > 0 => {
                room.back_to(start);
                return Ok(Some((at as u32).to_ne_bytes().to_vec()));
            }
            Err(e) => return Err(e),
        }
    }
    Ok(None)
}

impl Map {
    /// The hash that the map is, or that the slots of a map of maps are.
    fn batched_hash(&self) -> Option<&Hash> {
        match &self.kind {
            Kind::Hash(hash) => Some(hash),
            Kind::MapOfMaps(of) => of.hash(),
            _ => None,
        }
    }

    /// Whether the kind has batches: of lookups, of updates, and of deletions.
    fn batches(&self) -> (bool, bool, bool) {
        let (deletes, updates) = match self.kind() {
            MapType::ARRAY | MapType::PERCPU_ARRAY | MapType::ARRAY_OF_MAPS => (false, true),
            MapType::LPM_TRIE => (true, true),
            _ => (self.batched_hash().is_some(), self.batched_hash().is_some()),
        };
        (deletes || updates, updates, deletes)
    }

    fn batch_flags(&self, op: &str, flags: u64) -> Result<(), Error> {
        if flags & !UpdateFlags::LOCK != 0 {
            return Err(self.error(Errno::EINVAL, op, "unknown flags"));
        }
        self.no_lock(op, flags)
    }

    /// The next elements behind a batch, the first for `None`: at most `most`, and fewer at the end. With `take` they leave the
    /// map (`BPF_MAP_LOOKUP_BATCH`, `BPF_MAP_LOOKUP_AND_DELETE_BATCH`).
    ///
    /// # Errors
    /// `ENOSPC` when no more of a hash fit than a bucket has: ask for more; `ENOTSUPP` for kinds without batches, and without
    /// deletions with `take`; `EINVAL` for what no batch ended with, unknown flags, and `BPF_F_LOCK` without a lock; `EPERM` as
    /// for single elements; `ENOMEM`.
    pub fn batch(&self, after: Option<&[u8]>, most: u32, flags: u64, take: bool) -> Result<Batch, Error> {
        const OP: &str = "batch lookup";
        self.may_read(OP)?;
        if take {
            self.may_write(OP)?;
        }
        let (may, _, deletes) = self.batches();
        if !may || take && !(deletes && self.batched_hash().is_some()) {
            return Err(self.error(Errno::ENOTSUPP, OP, "the kind has no such batches"));
        }
        self.batch_flags(OP, flags)?;
        let hash = self.batched_hash();
        let locked = flags & UpdateFlags::LOCK != 0;
        let token = if hash.is_some() { 4 } else { self.geometry.key_size };
        if after.is_some_and(|after| after.len() != token) {
            return Err(self.error(Errno::EINVAL, OP, "that is not what a batch of this map ended with"));
        }
        if most == 0 {
            return Ok(Batch { next: after.map(<[u8]>::to_vec), ..Batch::default() });
        }
        // No more than there can be, and one to see the end; of a hash no more than there are, and some that others add.
        let most = (most as usize).min((self.geometry.max_entries as usize).saturating_add(1));
        let most = match hash.map(|hash| hash.element_count() as usize) {
            Some(count) if after.is_none() => most.min(count.saturating_add(count / 16).saturating_add(MORE)),
            _ => most,
        };
        let sizes = (self.geometry.key_size, self.host_value_size());
        let zeros = |each: usize| {
            let len = each.checked_mul(most)?;
            let mut bytes = Vec::new();
            bytes.try_reserve_exact(len).ok()?;
            bytes.resize(len, 0);
            Some(bytes)
        };
        let both = zeros(sizes.0).zip(zeros(sizes.1));
        let (mut keys, mut values) =
            both.ok_or_else(|| self.error(Errno::ENOMEM, OP, "not enough memory for so many elements"))?;
        let from = after.and_then(|a| a.try_into().ok()).map_or(0, u32::from_ne_bytes);
        let copied = match hash {
            Some(hash) if !locked && !take => {
                let copied = hash.copy_buckets(from.into(), most, &mut keys, &mut values);
                copied.map(|b| (b.count, b.next.map(|at| (at as u32).to_ne_bytes().to_vec())))
            }
            _ => {
                let mut room = Room { keys: &mut keys, values: &mut values, sizes, count: 0, most };
                let next = match hash {
                    Some(hash) => buckets(hash, from, &mut room, locked, take),
                    None => self.behind(after, &mut room, flags),
                };
                next.map(|next| (room.count, next))
            }
        };
        let (count, next) = copied.map_err(|e| self.error(e, OP, self.batch_words(e)))?;
        keys.truncate(count * sizes.0);
        values.truncate(count * sizes.1);
        Ok(Batch { keys, values, count: count as u32, next })
    }

    /// Keys behind one and their values; gives the last.
    fn behind(
        &self,
        after: Option<&[u8]>,
        room: &mut Room<'_>,
        flags: u64,
    ) -> Result<Option<Vec<u8>>, Errno> {
        let mut last = after.map(<[u8]>::to_vec);
        let mut next = alloc::vec![0; self.geometry.key_size];
        while room.count < room.most {
            match self.ops().next_key(last.as_deref().map(Bytes::from), &mut next) {
                Ok(()) => {}
                Err(Errno::ENOENT) => return Ok(None),
                Err(e) => return Err(e),
            }
            let start = room.mark();
            let Some((key, value)) = room.next() else { break };
            key.copy_from_slice(&next);
            match self.copy_value(&next, value, flags) {
                Ok(()) => {}
                // It was deleted meanwhile, or is an empty slot.
                Err(Errno::ENOENT) => room.back_to(start),
                Err(e) => return Err(e),
            }
            match &mut last {
                Some(last) => last.copy_from_slice(&next),
                None => last = Some(next.clone()),
            }
        }
        Ok(last)
    }

    fn batch_words(&self, errno: Errno) -> &'static str {
        match errno {
            Errno::ENOSPC => "one bucket has more elements than that: ask for more at a time",
            _ => self.words(errno),
        }
    }

    /// How many elements some keys and values are.
    fn batch_count(&self, op: &str, keys: &[u8], values: Option<&[u8]>) -> Result<usize, Error> {
        let (key, value) = (self.geometry.key_size, self.host_value_size());
        let count = keys.len().checked_div(key).unwrap_or(0);
        if count * key != keys.len() || values.is_some_and(|v| v.len() != count * value) {
            let why = format!(
                "{} bytes of keys of {key} and {} of values of {value}: they are not as many",
                keys.len(),
                values.map_or(0, <[u8]>::len)
            );
            return Err(self.error(Errno::EINVAL, op, &why));
        }
        Ok(count)
    }

    /// Adds or replaces elements, in order; gives how many were, and why the next was not
    /// (`BPF_MAP_UPDATE_BATCH`).
    pub fn update_batch(&self, keys: &[u8], values: &[u8], flags: u64) -> (u32, Result<(), Error>) {
        self.update_batch_by(keys, values, flags, &mut |key, value| self.update_from_host(key, value, flags))
    }

    /// As [`Self::update_batch`], where somebody else knows what the values stand for: of maps of maps the descriptors of
    /// maps. `put` gets each key with its value.
    pub fn update_batch_by(
        &self,
        keys: &[u8],
        values: &[u8],
        flags: u64,
        put: &mut Put<'_>,
    ) -> (u32, Result<(), Error>) {
        const OP: &str = "batch update";
        let checked = self.may_write(OP).and_then(|()| match self.batches() {
            (_, true, _) => self.batch_flags(OP, flags),
            _ => Err(self.error(Errno::ENOTSUPP, OP, "the kind has no such batches")),
        });
        if let Err(e) = checked.and_then(|()| self.batch_count(OP, keys, Some(values)).map(drop)) {
            return (0, Err(e));
        }
        let (key, value) = (self.geometry.key_size.max(1), self.host_value_size().max(1));
        let mut done = 0;
        for (key, value) in keys.chunks_exact(key).zip(values.chunks_exact(value)) {
            if let Err(e) = put(key, value) {
                return (done, Err(e));
            }
            done += 1;
        }
        (done, Ok(()))
    }

    /// Deletes elements, in order; gives how many were, and why the next was not (`BPF_MAP_DELETE_BATCH`).
    pub fn delete_batch(&self, keys: &[u8], flags: u64) -> (u32, Result<(), Error>) {
        const OP: &str = "batch delete";
        let checked = self.may_write(OP).and_then(|()| match self.batches() {
            (_, _, true) => self.batch_flags(OP, flags),
            _ => Err(self.error(Errno::ENOTSUPP, OP, "the kind has no such batches")),
        });
        if let Err(e) = checked.and_then(|()| self.batch_count(OP, keys, None).map(drop)) {
            return (0, Err(e));
        }
        let mut done = 0;
        for key in keys.chunks_exact(self.geometry.key_size.max(1)) {
            if let Err(e) = self.delete_from_host(key) {
                return (done, Err(e));
            }
            done += 1;
        }
        (done, Ok(()))
    }
}
