//! What the host does with a map's elements: the commands of `bpf(2)`.

use alloc::format;
use alloc::vec::Vec;

use skep_abi::{MapFlags, UpdateFlags};
use skep_spec::{Errno, Error};

use super::{Kind, Map, Ops};
use crate::geometry::FROZEN;
use crate::mem::{Bytes, BytesMut};
use crate::sync::{Ordering, Owner};

/// Bytes of values that are copied once more.
const SMALL: usize = 32;
/// What errors of a host's lookup begin with.
const LOOKUP: &str = "lookup";

impl Map {
    /// A copy of a key's value, [`Self::host_value_size`] bytes (`BPF_MAP_LOOKUP_ELEM`); a program array or map of
    /// maps gives the id. A bloom filter is asked for a value, which stands in the key's place, and gives it back.
    ///
    /// # Errors
    /// `ENOENT` absent key, `EINVAL` key of the wrong size or unknown flags, `EPERM` on a `BPF_F_WRONLY` map,
    /// `ENOTSUPP` for ring buffers.
    pub fn lookup_copy(&self, key: &[u8], flags: u64) -> Result<Vec<u8>, Error> {
        let len = self.host_value_size();
        // What most values are is found before there is a vector, of no more bytes than an error's text has.
        let mut small = [0; SMALL];
        if let Some(small) = small.get_mut(..len) {
            self.lookup_into(key, flags, small)?;
            return Ok(small.to_vec());
        }
        let mut out = Vec::new();
        out.try_reserve_exact(len)
            .map_err(|_| self.error(Errno::ENOMEM, LOOKUP, "not enough memory for the value"))?;
        out.resize(len, 0);
        self.lookup_into(key, flags, &mut out)?;
        Ok(out)
    }

    /// As [`Self::lookup_copy`], into memory of the caller's, [`Self::host_value_size`] bytes.
    ///
    /// # Errors
    /// As there; `EINVAL` for another size.
    #[inline]
    pub fn lookup_into(&self, key: &[u8], flags: u64, out: &mut [u8]) -> Result<(), Error> {
        // What most lookups are; all others, and errors, are looked at in order.
        if let Kind::Hash(hash) = &self.kind
            && flags == 0
            && !self.geometry.flags.has(MapFlags::WRONLY)
            && (key.len(), out.len()) == (self.geometry.key_size, self.host_value_size())
            && hash.lookup_copy(key.into(), out).is_ok()
        {
            return Ok(());
        }
        self.lookup_checked(key, flags, out)
    }

    #[inline(never)]
    fn lookup_checked(&self, key: &[u8], flags: u64, out: &mut [u8]) -> Result<(), Error> {
        if flags & !UpdateFlags::LOCK != 0 {
            return Err(self.error(Errno::EINVAL, LOOKUP, "unknown flags"));
        }
        self.may_read(LOOKUP)?;
        self.no_lock(LOOKUP, flags)?;
        match self.kind {
            Kind::BloomFilter(_) => self.value_length(LOOKUP, key)?,
            _ => self.key_length(LOOKUP, key)?,
        }
        if out.len() != self.host_value_size() {
            let why = format!("room for {} bytes, a value has {}", out.len(), self.host_value_size());
            return Err(self.error(Errno::EINVAL, LOOKUP, &why));
        }
        self.copy_value(key, out, flags).map_err(|e| self.error(e, LOOKUP, self.words(e)))
    }

    /// Copies a value of [`Self::host_value_size`] bytes out.
    pub(crate) fn copy_value(&self, key: &[u8], out: &mut [u8], flags: u64) -> Result<(), Errno> {
        match (&self.kind, flags & UpdateFlags::LOCK != 0) {
            (Kind::Array(array), true) => array.copy_locked(key.into(), out),
            (Kind::Hash(hash), true) => hash.copy_locked(key.into(), out),
            (Kind::Hash(hash), false) => hash.lookup_copy(key.into(), out),
            _ => self.ops().lookup_copy(key.into(), out),
        }
    }

    /// Adds or replaces an element (`BPF_MAP_UPDATE_ELEM`); `value` has [`Self::host_value_size`] bytes. A
    /// program array takes a program's id, a map of maps nothing: see [`Self::set_map`].
    ///
    /// # Errors
    /// As [`Self::update`]; `EPERM` on a `BPF_F_RDONLY` or frozen map; `EINVAL` for `BPF_F_LOCK` when values
    /// have no spin lock.
    pub fn update_from_host(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Error> {
        const OP: &str = "update";
        self.check_update(OP, key, value, flags)?;
        self.ops()
            .update_from_host(key.into(), value.into(), flags)
            .map_err(|e| self.error(e, OP, self.words(e)))
    }

    /// Writes into a value of an array, from a byte of it on, and nothing beside it.
    ///
    /// # Errors
    /// `ENOTSUPP` for other kinds, `EINVAL` outside the value, `E2BIG` outside the array, `EPERM` on a `BPF_F_RDONLY` or
    /// frozen map.
    pub fn write_value(&self, key: &[u8], off_bytes: usize, bytes: &[u8]) -> Result<(), Error> {
        const OP: &str = "write";
        self.may_write(OP)?;
        self.key_length(OP, key)?;
        let Kind::Array(array) = &self.kind else {
            return Err(self.error(Errno::ENOTSUPP, OP, "only values of arrays are written in part"));
        };
        if off_bytes.checked_add(bytes.len()).is_none_or(|end| end > self.geometry.value_size) {
            let why = format!("bytes {off_bytes}+{} of a value of {}", bytes.len(), self.geometry.value_size);
            return Err(self.error(Errno::EINVAL, OP, &why));
        }
        array.write_part(key.into(), off_bytes, bytes.into()).map_err(|e| self.error(e, OP, self.words(e)))
    }

    /// A copy of the next value of a queue or stack, taken out (`BPF_MAP_LOOKUP_AND_DELETE_ELEM`).
    ///
    /// # Errors
    /// `ENOENT` when there is none, `EPERM` on a `BPF_F_RDONLY`, `BPF_F_WRONLY` or frozen map, `ENOTSUPP` for other
    /// kinds.
    pub fn pop_from_host(&self) -> Result<Vec<u8>, Error> {
        const OP: &str = "pop";
        self.may_read(OP)?;
        self.may_write(OP)?;
        if !matches!(self.kind, Kind::Queue(_)) {
            return Err(self.error(Errno::ENOTSUPP, OP, "only queues and stacks have it"));
        }
        let mut out = alloc::vec![0; self.geometry.value_size];
        self.next_value(&mut BytesMut::from(&mut out[..]), true, Owner::HOST)
            .map_err(|e| self.error(e, OP, self.words(e)))?;
        Ok(out)
    }

    /// A copy of a key's value, whose element is deleted (`BPF_MAP_LOOKUP_AND_DELETE_ELEM`): nobody else comes in between.
    /// Queues and stacks have no keys: see [`Self::pop_from_host`].
    ///
    /// # Errors
    /// As [`Self::lookup_copy`] and [`Self::delete_from_host`]; `ENOTSUPP` for kinds that are neither hashes with
    /// values nor stack traces.
    pub fn take_from_host(&self, key: &[u8], flags: u64) -> Result<Vec<u8>, Error> {
        const OP: &str = "lookup and delete";
        if flags & !UpdateFlags::LOCK != 0 {
            return Err(self.error(Errno::EINVAL, OP, "unknown flags"));
        }
        self.may_read(OP)?;
        self.may_write(OP)?;
        self.no_lock(OP, flags)?;
        self.key_length(OP, key)?;
        if !matches!(self.kind, Kind::Hash(_) | Kind::StackTrace(_)) {
            return Err(self.error(
                Errno::ENOTSUPP,
                OP,
                "only hashes, stack traces, queues and stacks have it",
            ));
        }
        let mut out = Vec::new();
        out.try_reserve_exact(self.host_value_size())
            .map_err(|_| self.error(Errno::ENOMEM, OP, "not enough memory for the value"))?;
        out.resize(self.host_value_size(), 0);
        let taken = if let Kind::Hash(hash) = &self.kind {
            hash.take(key.into(), &mut out, flags & UpdateFlags::LOCK != 0)
        } else if let Kind::StackTrace(stacks) = &self.kind {
            stacks.take(key.into(), &mut out)
        } else {
            Err(Errno::ENOTSUPP)
        };
        taken.map_err(|e| self.error(e, OP, self.words(e)))?;
        Ok(out)
    }

    /// Deletes an element (`BPF_MAP_DELETE_ELEM`).
    ///
    /// # Errors
    /// `ENOENT` absent key, `EINVAL` for arrays and keys of the wrong size, `EPERM` on a `BPF_F_RDONLY` or
    /// frozen map.
    pub fn delete_from_host(&self, key: &[u8]) -> Result<(), Error> {
        const OP: &str = "delete";
        self.may_write(OP)?;
        self.key_length(OP, key)?;
        self.ops().delete(key.into(), Owner::HOST).map_err(|e| self.error(e, OP, self.words(e)))
    }

    /// The key after `key`; the first for `None` and for a key that is absent (`BPF_MAP_GET_NEXT_KEY`).
    /// When others delete meanwhile, a walk may see keys twice or start over, as in the kernel.
    ///
    /// # Errors
    /// `ENOENT` after the last, `EINVAL` for a key of the wrong size, `EPERM` on a `BPF_F_WRONLY` map,
    /// `ENOTSUPP` for ring buffers.
    pub fn next_key(&self, key: Option<&[u8]>) -> Result<Vec<u8>, Error> {
        const OP: &str = "next key";
        self.may_read(OP)?;
        if let Some(key) = key {
            self.key_length(OP, key)?;
        }
        let mut out = alloc::vec![0; self.geometry.key_size];
        self.ops().next_key(key.map(Bytes::from), &mut out).map_err(|e| self.error(e, OP, self.words(e)))?;
        Ok(out)
    }

    /// Ends writes from the host for good (`BPF_MAP_FREEZE`); programs may go on.
    ///
    /// # Errors
    /// `EPERM` on a `BPF_F_RDONLY` map, and when it is frozen already; `ENOTSUPP` when values have a lock or other fields
    /// that are the kernel's.
    pub fn freeze(&self) -> Result<(), Error> {
        const OP: &str = "freeze";
        if let Some(place) = self.geometry.places.all().first() {
            let why =
                format!("its values have a {}, which programs must be able to change", place.kind.name());
            return Err(self.error(Errno::ENOTSUPP, OP, &why));
        }
        if matches!(self.kind, Kind::StructOps(_)) {
            return Err(self.error(Errno::ENOTSUPP, OP, "what is in use never changes anyway"));
        }
        if self.geometry.flags.has(MapFlags::RDONLY) {
            return Err(self.error(Errno::EPERM, OP, "it was created with BPF_F_RDONLY"));
        }
        if self.ops().metadata().u32(FROZEN).swap(1, Ordering::AcqRel) != 0 {
            return Err(self.error(Errno::EPERM, OP, "it is frozen already"));
        }
        Ok(())
    }

    /// Whether the host may no longer write.
    pub fn is_frozen(&self) -> bool {
        self.ops().metadata().u32(FROZEN).load(Ordering::Acquire) != 0
    }

    /// Puts a program into a slot of a program array.
    ///
    /// # Errors
    /// As [`Self::update_from_host`] with `BPF_ANY`; `EINVAL` for other kinds.
    pub fn set_program(&self, index: u32, program_id: u32) -> Result<(), Error> {
        if !matches!(self.kind, Kind::ProgArray(_)) {
            return Err(self.error(Errno::EINVAL, "set program", "it is no program array"));
        }
        self.update_from_host(&index.to_ne_bytes(), &program_id.to_ne_bytes(), UpdateFlags::ANY)
    }
}
