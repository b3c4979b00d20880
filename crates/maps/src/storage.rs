//! Local storage: a value with each task, socket, file or control group (kernel/bpf/bpf_local_storage.c, Linux 6.18).
//!
//! An object is two words, which whoever embeds the map chooses such that no two that live have the same. Values stand in
//! a hash whose keys these are. Linux allocates a value when it is made; here there is room for a number of them, of
//! which only the memory is taken that is used.

use alloc::vec::Vec;

use skep_abi::{MapFlags, UpdateFlags};
use skep_spec::{Errno, Error};

use crate::geometry::Geometry;
use crate::hash::Hash;
use crate::map::{Kind, Map, Ops};
use crate::mem::{Block, Bytes, Memory};
use crate::percpu_array::Values;
use crate::sync::Owner;

/// Bytes that all values have.
const ROOM: usize = 64 << 20;
/// The most values.
const MOST: usize = 1 << 16;
/// The fewest.
const FEWEST: usize = 1 << 8;

/// What a value is kept with.
pub type Object = [u64; 2];

pub(crate) struct Storage {
    hash: Hash,
}

fn key(object: Object) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&object[0].to_ne_bytes());
    key[8..].copy_from_slice(&object[1].to_ne_bytes());
    key
}

impl Storage {
    pub fn new(geometry: Geometry, memory: &dyn Memory) -> Result<Self, Errno> {
        let room = (ROOM / geometry.stride.max(8)).clamp(FEWEST, MOST);
        let flags = MapFlags(geometry.flags.0 | MapFlags::NO_PREALLOC);
        let values = Geometry { key_size: 16, max_entries: room as u32, flags, ..geometry };
        Ok(Self { hash: Hash::new(values, memory)? })
    }

    /// The values.
    pub fn area(&self) -> Values<'_> {
        self.hash.area()
    }
}

impl Storage {
    /// The values by objects.
    pub fn hash(&self) -> &Hash {
        &self.hash
    }
}

impl Map {
    fn storage(&self) -> Result<&Storage, Errno> {
        match &self.kind {
            Kind::Storage(storage) => Ok(storage),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Whether it keeps values with objects.
    pub fn is_storage(&self) -> bool {
        matches!(self.kind, Kind::Storage(_))
    }

    /// `bpf_task_storage_get` and its like, of a program that runs on `cpu`: the address of the value with an object. With
    /// `create` one is made of `initial`, or of zeros; `None` when there is none and no room.
    pub fn storage_get(
        &self,
        object: Object,
        create: bool,
        initial: Option<Bytes<'_>>,
        cpu: u32,
    ) -> Option<u64> {
        let hash = &self.storage().ok()?.hash;
        let key = key(object);
        let found = hash.lookup((&key).into(), cpu);
        if found.is_some() || !create {
            return found;
        }
        let owner = Owner::cpu(cpu);
        let added = match initial {
            Some(value) if value.len() != self.geometry.value_size => return None,
            Some(value) => hash.update((&key).into(), value, UpdateFlags::NOEXIST, cpu),
            None => hash.add_zeros((&key).into(), owner),
        };
        match added {
            Ok(()) | Err(Errno::EEXIST) => hash.lookup((&key).into(), cpu),
            Err(_) => None,
        }
    }

    /// `bpf_task_storage_delete` and its like.
    ///
    /// # Errors
    /// As the helper: `ENOENT` when there is no value; `EBUSY` as for [`Self::update`], `EINVAL` other kinds.
    pub fn storage_delete(&self, object: Object, cpu: u32) -> Result<(), Errno> {
        self.storage()?.hash.delete((&key(object)).into(), Owner::cpu(cpu))
    }

    /// A copy of the value with an object (`BPF_MAP_LOOKUP_ELEM`).
    ///
    /// # Errors
    /// `ENOENT` when there is none, `EINVAL` unknown flags and other kinds.
    pub fn storage_lookup(&self, object: Object, flags: u64) -> Result<Vec<u8>, Error> {
        const OP: &str = "lookup";
        if flags & !UpdateFlags::LOCK != 0 {
            return Err(self.error(Errno::EINVAL, OP, "unknown flags"));
        }
        self.no_lock(OP, flags)?;
        let hash = &self.storage().map_err(|e| self.error(e, OP, "it is no local storage"))?.hash;
        let mut out = alloc::vec![0; self.geometry.value_size];
        let key = key(object);
        let copied = match flags {
            0 => hash.lookup_copy((&key).into(), &mut out),
            _ => hash.copy_locked((&key).into(), &mut out),
        };
        copied.map_err(|e| self.error(e, OP, storage_words(e)))?;
        Ok(out)
    }

    /// Adds or replaces the value with an object (`BPF_MAP_UPDATE_ELEM`).
    ///
    /// # Errors
    /// `EEXIST`, `ENOENT` by the flags, `EINVAL` unknown flags and other kinds, `ENOMEM` no room, `EPERM` frozen.
    pub fn storage_update(&self, object: Object, value: &[u8], flags: u64) -> Result<(), Error> {
        const OP: &str = "update";
        self.may_write(OP)?;
        self.no_lock(OP, flags)?;
        let hash = &self.storage().map_err(|e| self.error(e, OP, "it is no local storage"))?.hash;
        if value.len() != self.geometry.value_size {
            let why = alloc::format!(
                "the value has {} bytes, the map's have {}",
                value.len(),
                self.geometry.value_size
            );
            return Err(self.error(Errno::EINVAL, OP, &why));
        }
        hash.update_from_host((&key(object)).into(), value.into(), flags).map_err(|e| {
            let e = if e == Errno::E2BIG { Errno::ENOMEM } else { e };
            self.error(e, OP, storage_words(e))
        })
    }

    /// Deletes the value with an object (`BPF_MAP_DELETE_ELEM`).
    ///
    /// # Errors
    /// `ENOENT` when there is none, `EPERM` frozen, `EINVAL` other kinds.
    pub fn storage_remove(&self, object: Object) -> Result<(), Error> {
        const OP: &str = "delete";
        self.may_write(OP)?;
        let hash = &self.storage().map_err(|e| self.error(e, OP, "it is no local storage"))?.hash;
        hash.delete((&key(object)).into(), Owner::HOST).map_err(|e| self.error(e, OP, storage_words(e)))
    }

    /// What a lookup and an update by the host ask before they look at the key, of any kind.
    ///
    /// # Errors
    /// `EPERM` by the map's flags and when it is frozen, `EINVAL` flags that it cannot have.
    pub fn check_host(&self, update: bool, flags: u64) -> Result<(), Error> {
        let op = if update { "update" } else { "lookup" };
        match update {
            true => self.may_write(op)?,
            false if flags & !UpdateFlags::LOCK != 0 => {
                return Err(self.error(Errno::EINVAL, op, "unknown flags"));
            }
            false => self.may_read(op)?,
        }
        self.no_lock(op, flags)
    }

    /// The objects that have values; empty for other kinds.
    pub fn storage_objects(&self) -> Vec<Object> {
        let mut objects = Vec::new();
        let Ok(Storage { hash }) = self.storage() else { return objects };
        let mut at: Option<[u8; 16]> = None;
        let mut next = [0; 16];
        while objects.len() < MOST && hash.next_key(at.as_ref().map(Bytes::from), &mut next).is_ok() {
            let word = |i: usize| {
                let bytes = next.get(8 * i..8 * i + 8).and_then(|b| b.try_into().ok());
                bytes.map_or(0, u64::from_ne_bytes)
            };
            objects.push([word(0), word(1)]);
            at = Some(next);
        }
        objects
    }
}

fn storage_words(errno: Errno) -> &'static str {
    match errno {
        Errno::ENOENT => "the object has no value",
        Errno::EEXIST => "the object has a value already",
        Errno::ENOMEM => "no room for another value",
        Errno::EINVAL => "unknown flags",
        _ => errno.text(),
    }
}

/// By a key as the map shows it, a descriptor, which only the process can resolve.
impl Ops for Storage {
    fn lookup(&self, _: Bytes<'_>, _: u32) -> Option<u64> {
        None
    }

    fn update(&self, _: Bytes<'_>, _: Bytes<'_>, _: u64, _: u32) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn delete(&self, _: Bytes<'_>, _: Owner) -> Result<(), Errno> {
        Err(Errno::EBADF)
    }

    fn lookup_copy(&self, _: Bytes<'_>, _: &mut [u8]) -> Result<(), Errno> {
        Err(Errno::EBADF)
    }

    fn update_from_host(&self, _: Bytes<'_>, _: Bytes<'_>, _: u64) -> Result<(), Errno> {
        Err(Errno::EBADF)
    }

    fn next_key(&self, _: Option<Bytes<'_>>, _: &mut [u8]) -> Result<(), Errno> {
        Err(Errno::ENOTSUPP)
    }

    fn values(&self) -> Option<(u64, usize)> {
        self.hash.values()
    }

    fn values_apart(&self) -> Option<usize> {
        self.hash.values_apart()
    }

    fn metadata(&self) -> &Block {
        self.hash.metadata()
    }
}
