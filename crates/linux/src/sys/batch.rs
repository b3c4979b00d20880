//! Many elements at a time.

use std::ffi::c_long;
use std::os::fd::AsFd;

use skep_spec::{Batch, Errno};

use super::attr::{MapBatch, cmd};
use super::{MapFd, address, address_mut, bpf, raw};

/// Hashes, whose batches end with the number of a bucket.
const HASHES: [u32; 5] = [1, 5, 9, 10, 13];

impl MapFd {
    /// Bytes of what a batch ends with.
    fn token_len(&self) -> usize {
        if HASHES.contains(&self.info().map_type) { 4 } else { self.info().key_size as usize }
    }

    /// `BPF_MAP_LOOKUP_BATCH`, or with `take` `BPF_MAP_LOOKUP_AND_DELETE_BATCH`.
    ///
    /// # Errors
    /// The kernel's; its `ENOENT` is no error, but the end.
    pub fn lookup_batch(
        &self,
        after: Option<&[u8]>,
        most: u32,
        flags: u64,
        take: bool,
    ) -> Result<Batch, Errno> {
        if after.is_some_and(|after| after.len() != self.token_len()) {
            return Err(Errno::EINVAL);
        }
        let (key_len, value_len) = (self.info().key_size as usize, self.value_len());
        // The kernel looks at the room as it needs it; more elements there cannot be.
        let most = most.min(self.info().max_entries.saturating_add(1));
        let bytes = |each: usize| each.checked_mul(most as usize).ok_or(Errno::ENOMEM);
        let (mut keys, mut values) = (vec![0; bytes(key_len)?], vec![0; bytes(value_len)?]);
        let mut next = vec![0; self.token_len()];
        let mut attr = MapBatch {
            in_batch: after.map_or(0, address),
            out_batch: address_mut(&mut next),
            keys: address_mut(&mut keys),
            values: address_mut(&mut values),
            count: most,
            map_fd: raw(self.as_fd()),
            elem_flags: flags,
            flags: 0,
        };
        let command = if take { cmd::MAP_LOOKUP_AND_DELETE_BATCH } else { cmd::MAP_LOOKUP_BATCH };
        // SAFETY: keys and values have room for `count` elements of the map's sizes, and both tokens for what the kind ends a
        // batch with: a bucket's number for hashes, else a key.
        let ended = match unsafe { bpf(command, &mut attr) } {
            Ok(_) => false,
            Err(Errno::ENOENT) => true,
            Err(e) => return Err(e),
        };
        let count = attr.count;
        keys.truncate(count as usize * key_len);
        values.truncate(count as usize * value_len);
        let next = match (ended, most) {
            (true, _) => None,
            (false, 0) => after.map(<[u8]>::to_vec),
            (false, _) => Some(next),
        };
        Ok(Batch { keys, values, count, next })
    }

    /// `BPF_MAP_UPDATE_BATCH`, or without values `BPF_MAP_DELETE_BATCH`: how many were done, and why the next was not.
    pub fn change_batch(&self, keys: &[u8], values: Option<&[u8]>, flags: u64) -> (u32, Result<(), Errno>) {
        let key_len = self.info().key_size as usize;
        let count = keys.len().checked_div(key_len).unwrap_or(0);
        let fits = values.is_none_or(|v| v.len() == count * self.value_len());
        let (true, true, Ok(count)) = (fits, count * key_len == keys.len(), u32::try_from(count)) else {
            return (0, Err(Errno::EINVAL));
        };
        let mut attr = MapBatch {
            keys: address(keys),
            values: values.map_or(0, address),
            count,
            map_fd: raw(self.as_fd()),
            elem_flags: flags,
            ..MapBatch::default()
        };
        let command: c_long = if values.is_some() { cmd::MAP_UPDATE_BATCH } else { cmd::MAP_DELETE_BATCH };
        // SAFETY: keys and values have `count` elements of the map's sizes.
        match unsafe { bpf(command, &mut attr) } {
            Ok(_) => (attr.count, Ok(())),
            // What is refused before the first element leaves the number as it was.
            Err(e) => (if attr.count == count { 0 } else { attr.count }, Err(e)),
        }
    }
}
