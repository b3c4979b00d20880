//! Maps.

use std::any::Any;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use skep_abi::{MapFlags, MapType};
use skep_spec::{
    BackendMap, BackendProgram, Batch, ByteReader, Errno, Error, MapInfo, PerfEventReader, RingProducer,
    ValueMemory,
};

use crate::perf::PerfReader;
use crate::produce::Producer;
use crate::program::LinuxProgram;
use crate::ring::RingReader;
use crate::sys::arena::Arena;
use crate::sys::view::MappedValue;
use crate::sys::{self, MapFd, attr, values};
use crate::view::View;
use crate::words;

/// A map of the kernel.
pub struct LinuxMap {
    fd: Arc<MapFd>,
    name: String,
    reader_taken: Arc<AtomicBool>,
    /// An arena's memory.
    arena: Option<Arena>,
}

impl LinuxMap {
    pub(crate) fn new(fd: MapFd, name: &str) -> Self {
        Self { fd: Arc::new(fd), name: name.into(), reader_taken: Arc::default(), arena: None }
    }

    /// The same with an arena's memory here, at the address that the map says, if it says one.
    pub(crate) fn with_arena(mut self, at: u64) -> Result<Self, Error> {
        let pages = self.fd.info().max_entries as usize;
        let len = pages.checked_mul(sys::page_size()).ok_or(Errno::ENOMEM)?;
        let arena = Arena::map(self.as_fd(), at, len).map_err(|e| match e {
            Errno::EEXIST => {
                let words = format!(
                    "map `{}`: there is other memory at {at:#x}+{len:#x}, where its map_extra wants the arena",
                    self.name
                );
                Error::new(e, words)
            }
            _ => self.error(e, "mapping the memory of"),
        })?;
        self.arena = Some(arena);
        Ok(self)
    }

    /// Where an arena is in this process; programs use its memory by the same addresses.
    pub fn arena_address(&self) -> Option<u64> {
        self.arena.as_ref().map(Arena::address)
    }

    fn arena(&self) -> Result<&Arena, Error> {
        let none = || Error::new(Errno::EINVAL, format!("map `{}` is not an arena", self.name));
        self.arena.as_ref().ok_or_else(none)
    }

    /// Takes over the descriptor of a map, for instance of a pinned one.
    ///
    /// # Errors
    /// `EINVAL` when it is not a map's.
    pub fn from_fd(fd: OwnedFd) -> Result<Self, Error> {
        let fd = MapFd::from_fd(fd).map_err(|e| words::error(e, "asking the kernel about a map"))?;
        let name = attr::name_text(&fd.info().name);
        Ok(Self::new(fd, &name))
    }

    /// Bytes of a value as lookups give and updates take it: for per-CPU maps those of all CPUs.
    pub fn value_len(&self) -> usize {
        self.fd.value_len()
    }

    #[cold]
    fn error(&self, errno: Errno, what: &str) -> Error {
        words::error(errno, &format!("{what} map `{}`", self.name))
    }

    /// Sizes are checked here first, for the words.
    fn check(&self, what: &str, have: usize, want: usize) -> Result<(), Error> {
        if have == want {
            return Ok(());
        }
        Err(Error::new(
            Errno::EINVAL,
            format!("map `{}`: the {what} has {have} bytes, it must have {want}", self.name),
        ))
    }

    fn check_key(&self, key: &[u8]) -> Result<(), Error> {
        self.check("key", key.len(), self.fd.info().key_size as usize)
    }
}

impl AsFd for LinuxMap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        (*self.fd).as_fd()
    }
}

impl BackendMap for LinuxMap {
    fn info(&self) -> MapInfo {
        let info = self.fd.info();
        MapInfo {
            id: info.id,
            name: self.name.clone(),
            kind: MapType(info.map_type),
            key_size: info.key_size,
            value_size: info.value_size,
            max_entries: info.max_entries,
            flags: info.map_flags,
            map_extra: info.map_extra,
        }
    }

    fn lookup(&self, key: &[u8], flags: u64) -> Result<Vec<u8>, Error> {
        match self.fd.holds_values_only() {
            true => self.check("value", key.len(), self.fd.value_len())?,
            false => self.check_key(key)?,
        }
        self.fd.lookup(key, flags).map_err(|e| self.error(e, "looking up a key in"))
    }

    fn update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Error> {
        self.check_key(key)?;
        self.check("value", value.len(), self.fd.value_len())?;
        self.fd.update(key, value, flags).map_err(|e| self.error(e, "updating"))
    }

    fn write_value(&self, key: &[u8], off_bytes: usize, bytes: &[u8]) -> Result<(), Error> {
        self.check_key(key)?;
        let (info, size) = (self.fd.info(), self.fd.value_len());
        if info.map_type != MapType::ARRAY.0 {
            let words = format!("map `{}`: only values of arrays are written in part", self.name);
            return Err(Error::new(Errno::ENOTSUPP, words));
        }
        if off_bytes.checked_add(bytes.len()).is_none_or(|end| end > size) {
            let words =
                format!("map `{}`: bytes {off_bytes}+{} of a value of {size}", self.name, bytes.len());
            return Err(Error::new(Errno::EINVAL, words));
        }
        let index = key.try_into().map_or(u32::MAX, u32::from_ne_bytes);
        if index >= info.max_entries {
            return Err(self.error(Errno::E2BIG, "writing to"));
        }
        if info.map_flags & MapFlags::MMAPABLE == 0 {
            let mut value = self.lookup(key, 0)?;
            value[off_bytes..][..bytes.len()].copy_from_slice(bytes);
            return self.update(key, &value, 0);
        }
        let start = index as usize * size.next_multiple_of(8) + off_bytes;
        values::write((*self.fd).as_fd(), start, bytes).map_err(|e| self.error(e, "writing to"))
    }

    fn view(&self, key: &[u8], _cpu: Option<u32>) -> Result<Box<dyn ValueMemory>, Error> {
        self.check_key(key)?;
        let info = self.fd.info();
        let why = match info.map_type {
            t if t != MapType::ARRAY.0 => "the kernel shows only values of arrays in place",
            _ if info.map_flags & MapFlags::MMAPABLE == 0 => {
                "the kernel shows values in place only of maps that were created with BPF_F_MMAPABLE"
            }
            _ => "",
        };
        if !why.is_empty() {
            return Err(Error::new(Errno::ENOTSUPP, format!("map `{}`: view: {why}", self.name)));
        }
        let index = key.try_into().map_or(u32::MAX, u32::from_ne_bytes);
        if index >= info.max_entries {
            return Err(Error::new(Errno::ENOENT, format!("map `{}`: view: no such key", self.name)));
        }
        let size = self.fd.value_len();
        let value = MappedValue::map((*self.fd).as_fd(), index as usize * size.next_multiple_of(8), size);
        let value = value.map_err(|e| self.error(e, "mapping a value of"))?;
        Ok(Box::new(View::new(value, &self.name)))
    }

    fn delete(&self, key: &[u8]) -> Result<(), Error> {
        self.check_key(key)?;
        self.fd.delete(key).map_err(|e| self.error(e, "deleting from"))
    }

    fn lookup_and_delete(&self, key: &[u8]) -> Result<Vec<u8>, Error> {
        self.check_key(key)?;
        self.fd.lookup_and_delete(key).map_err(|e| self.error(e, "taking a value out of"))
    }

    fn next_key(&self, key: Option<&[u8]>) -> Result<Vec<u8>, Error> {
        key.map_or(Ok(()), |k| self.check_key(k))?;
        self.fd.next_key(key).map_err(|e| self.error(e, "walking the keys of"))
    }

    fn lookup_batch(&self, after: Option<&[u8]>, most: u32, flags: u64, take: bool) -> Result<Batch, Error> {
        let batch = self.fd.lookup_batch(after, most, flags, take);
        batch.map_err(|e| self.error(e, "looking up a batch of"))
    }

    fn update_batch(&self, keys: &[u8], values: &[u8], flags: u64) -> (u32, Result<(), Error>) {
        let (done, result) = self.fd.change_batch(keys, Some(values), flags);
        (done, result.map_err(|e| self.error(e, "updating a batch of")))
    }

    fn delete_batch(&self, keys: &[u8], flags: u64) -> (u32, Result<(), Error>) {
        let (done, result) = self.fd.change_batch(keys, None, flags);
        (done, result.map_err(|e| self.error(e, "deleting a batch of")))
    }

    fn freeze(&self) -> Result<(), Error> {
        self.fd.freeze().map_err(|e| self.error(e, "freezing"))
    }

    fn set_program(&self, index: u32, program: &dyn BackendProgram) -> Result<(), Error> {
        if self.fd.info().map_type != MapType::PROG_ARRAY.0 {
            return Err(Error::new(Errno::EINVAL, format!("map `{}` is not a program array", self.name)));
        }
        let Some(program) = program.as_any().downcast_ref::<LinuxProgram>() else {
            return Err(Error::new(
                Errno::EINVAL,
                format!("map `{}`: the program belongs to another backend", self.name),
            ));
        };
        let fd = program.as_fd().as_raw_fd().to_ne_bytes();
        self.fd.update(&index.to_ne_bytes(), &fd, 0).map_err(|e| {
            if e == Errno::EINVAL {
                Error::new(
                    e,
                    format!(
                        "map `{}` refuses program `{}`: all programs of an array must agree in type, attach \
                         type and flags with the first one that used it",
                        self.name,
                        program.name()
                    ),
                )
            } else {
                self.error(e, "putting a program into")
            }
        })
    }

    fn set_target(
        &self,
        key: &[u8],
        target: u32,
        program: Option<&dyn BackendProgram>,
        flags: u64,
    ) -> Result<(), Error> {
        let info = self.fd.info();
        if !matches!(MapType(info.map_type), MapType::DEVMAP | MapType::DEVMAP_HASH | MapType::CPUMAP) {
            let words = format!("map `{}` holds no interfaces or CPUs", self.name);
            return Err(Error::new(Errno::EINVAL, words));
        }
        self.check_key(key)?;
        let program = match program.map(|p| p.as_any().downcast_ref::<LinuxProgram>().ok_or(p)) {
            Some(Ok(own)) => Some(own),
            None => None,
            Some(Err(_)) => {
                let words = format!("map `{}`: the program belongs to another backend", self.name);
                return Err(Error::new(Errno::EINVAL, words));
            }
        };
        if program.is_some() && info.value_size < 8 {
            let words = format!(
                "map `{}`: its values have no room for a program: they have {} bytes, not 8",
                self.name, info.value_size
            );
            return Err(Error::new(Errno::EINVAL, words));
        }
        let fd = program.map_or(0, |p| p.as_fd().as_raw_fd());
        let value = [target.to_ne_bytes(), fd.to_ne_bytes()];
        let value = &value.as_flattened()[..info.value_size.min(8) as usize];
        self.fd.update(key, value, flags).map_err(|e| match program {
            Some(program) if matches!(e, Errno::EINVAL | Errno::ENOMEM) => Error::new(
                e,
                format!(
                    "map `{}` refuses program `{}`, or there is no such interface: elements have XDP programs of attach \
                     type xdp_devmap or xdp_cpumap, as the map is, all of them with or all without BPF_F_XDP_HAS_FRAGS",
                    self.name,
                    program.name()
                ),
            ),
            Some(_) | None => self.error(e, "updating"),
        })
    }

    fn set_map(&self, key: &[u8], map: &dyn BackendMap) -> Result<(), Error> {
        if !MapType(self.fd.info().map_type).holds_maps() {
            return Err(Error::new(Errno::EINVAL, format!("map `{}` is no map of maps", self.name)));
        }
        self.check_key(key)?;
        let Some(map) = map.as_any().downcast_ref::<Self>() else {
            let words = format!("map `{}`: map `{}` belongs to another backend", self.name, map.info().name);
            return Err(Error::new(Errno::EINVAL, words));
        };
        let fd = map.as_fd().as_raw_fd().to_ne_bytes();
        self.fd.update(key, &fd, 0).map_err(|e| match e {
            Errno::EINVAL => {
                let words = format!(
                    "map `{}` refuses map `{}`: it must agree with the inner map in type, key size, value size and \
                     flags, and for most types in max_entries",
                    self.name, map.name
                );
                Error::new(e, words)
            }
            Errno::E2BIG => {
                let words = format!(
                    "map `{}`: no room for map `{}`, it has {} elements",
                    self.name,
                    map.name,
                    self.fd.info().max_entries
                );
                Error::new(e, words)
            }
            _ => self.error(e, "putting a map into"),
        })
    }

    fn reader(&self) -> Result<Box<dyn ByteReader>, Error> {
        if self.fd.info().map_type != MapType::RINGBUF.0 {
            return Err(Error::new(Errno::EINVAL, format!("map `{}` is not a ring buffer", self.name)));
        }
        let reader = RingReader::new(Arc::clone(&self.fd), &self.name, Arc::clone(&self.reader_taken))?;
        Ok(Box::new(reader))
    }

    fn producer(&self) -> Result<Box<dyn RingProducer>, Error> {
        if self.fd.info().map_type != MapType::USER_RINGBUF.0 {
            return Err(Error::new(Errno::EINVAL, format!("map `{}` is not a user ring buffer", self.name)));
        }
        let producer = Producer::new(Arc::clone(&self.fd), &self.name, Arc::clone(&self.reader_taken))?;
        Ok(Box::new(producer))
    }

    fn perf_reader(&self, size: usize) -> Result<Box<dyn PerfEventReader>, Error> {
        if self.fd.info().map_type != MapType::PERF_EVENT_ARRAY.0 {
            return Err(Error::new(Errno::EINVAL, format!("map `{}` is not a perf event array", self.name)));
        }
        let reader = PerfReader::new(Arc::clone(&self.fd), &self.name, Arc::clone(&self.reader_taken), size)?;
        Ok(Box::new(reader))
    }

    fn arena_read(&self, off: u64, out: &mut [u8]) -> Result<(), Error> {
        let at = usize::try_from(off).map_err(|_| Errno::EINVAL)?;
        self.arena()?.read(at, out).map_err(|e| self.error(e, "reading the memory of"))
    }

    fn arena_write(&self, off: u64, bytes: &[u8]) -> Result<(), Error> {
        let at = usize::try_from(off).map_err(|_| Errno::EINVAL)?;
        self.arena()?.write(at, bytes).map_err(|e| self.error(e, "writing the memory of"))
    }

    fn raw_fd(&self) -> Option<i32> {
        Some((*self.fd).as_fd().as_raw_fd())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
