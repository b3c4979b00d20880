//! One element taken out with its value (`__htab_map_lookup_and_delete_elem`, Linux 6.18).

use core::cell::RefCell;

use skep_spec::Errno;

use super::Hash;
use crate::mem::Bytes;
use crate::sync::Owner;

impl Hash {
    /// Copies the value of a key, per-CPU values of all CPUs, and deletes the element: nobody else comes in between.
    /// `locked`: under the value's lock.
    ///
    /// # Errors
    /// `ENOENT`, `EBUSY`.
    pub fn take(&self, key: Bytes<'_>, out: &mut [u8], locked: bool) -> Result<(), Errno> {
        let (hash, owner, out) = (self.hash_of(key), Owner::HOST, RefCell::new(out));
        self.operate(owner, || {
            let bucket = self.bucket(hash);
            let held = self.lock(&bucket, owner)?;
            let (from, index) = self.find_locked(&bucket, key, hash).ok_or(Errno::ENOENT)?;
            self.copy_value(index, &mut out.borrow_mut(), locked)?;
            self.unlink(&bucket, from, index);
            self.filter(&bucket);
            drop(held);
            self.let_go(index);
            self.pool.give_back(&self.metadata, index, owner, self.free_link());
            Ok(())
        })
    }
}
