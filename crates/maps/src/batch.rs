//! Many elements at once.

use skep_spec::{Errno, Error};

use crate::map::{Kind, Map, Ops};

/// What was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Elements.
    pub count: usize,
    /// Where to go on; `None` when there are no more.
    pub next: Option<u64>,
}

impl Map {
    /// Copies elements from a position on, 0 for the first, as many as there is room for: keys into `keys`, values of
    /// [`Self::host_value_size`] bytes into `values`, side by side (`BPF_MAP_LOOKUP_BATCH`).
    ///
    /// A hash gives whole buckets, each as it was at one moment. What others put in or take out meanwhile may be there or
    /// not; what they do not touch comes once.
    ///
    /// # Errors
    /// `ENOSPC` when there is not even room for the first bucket of a hash (for an array: for one element), `EPERM` on a
    /// `BPF_F_WRONLY` map, `EBUSY` when a bucket changes all the time, `ENOTSUPP` for kinds other than arrays and hashes.
    pub fn lookup_batch(&self, from: u64, keys: &mut [u8], values: &mut [u8]) -> Result<Batch, Error> {
        const OP: &str = "lookup batch";
        self.may_read(OP)?;
        let room =
            (keys.len() / self.geometry.key_size.max(1)).min(values.len() / self.host_value_size().max(1));
        let batch = match &self.kind {
            Kind::Hash(hash) => hash.copy_buckets(from, room, keys, values),
            Kind::Array(array) => self.copy_indices(array, from, room, keys, values),
            Kind::PercpuArray(array) => self.copy_indices(array, from, room, keys, values),
            _ => Err(Errno::ENOTSUPP),
        };
        batch.map_err(|e| {
            let why = match e {
                Errno::ENOSPC => "there is no room for the next elements: give more",
                e => self.words(e),
            };
            self.error(e, OP, why)
        })
    }

    fn copy_indices(
        &self,
        array: &dyn Ops,
        from: u64,
        room: usize,
        keys: &mut [u8],
        values: &mut [u8],
    ) -> Result<Batch, Errno> {
        let all = u64::from(self.geometry.max_entries);
        let end = all.min(from.saturating_add(room as u64));
        if room == 0 && from < all {
            return Err(Errno::ENOSPC);
        }
        let parts = keys.chunks_exact_mut(4).zip(values.chunks_exact_mut(self.host_value_size()));
        for (index, (key, value)) in (from..end).zip(parts) {
            key.copy_from_slice(&(index as u32).to_ne_bytes());
            array.lookup_copy((&*key).into(), value)?;
        }
        let count = end.saturating_sub(from) as usize;
        Ok(Batch { count, next: (end < all).then_some(end) })
    }
}
