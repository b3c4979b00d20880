//! Maps of this backend.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use skep_abi::{AttachType, MapType, ProgramType, UpdateFlags};
use skep_maps::{Consumer, Map};
use skep_spec::{
    BackendMap, BackendProgram, Batch, ByteReader, Errno, Error, MapInfo, PerfEventReader, ProgramSpec,
    RingProducer, ValueMemory,
};

use crate::backend::Shared;
use crate::objects;
use crate::os::{self, Bell, MapMemory};
use crate::perf::Events;
use crate::produce::Samples;
use crate::program::UserProgram;
use crate::programs::ByKey;

/// A handle on a map. Programs hold the map itself, not the handle: when the last handle on a program array is
/// dropped its slots are emptied and its timers end, as Linux does, so that programs and maps do not keep each other alive.
pub(crate) struct UserMap {
    shared: Arc<Shared>,
    map: Arc<Map>,
    id: u32,
    memory: MapMemory,
    /// Of a program array, devmap or cpumap: what its elements keep alive, by their keys.
    slots: Slots,
    /// Of a program array, devmap (not its hash) or cpumap: what its programs are and those that use it.
    owner: Mutex<Option<Owner>>,
    /// Of a ring buffer or perf event array: what wakes its reader; of a user ring buffer, its producer.
    bell: OnceLock<Bell>,
    /// It is of a folder that this backend does not use: programs cannot have it, for their virtual CPUs are others.
    foreign: bool,
}

/// The programs of a map's elements.
pub(crate) type Slots = Mutex<ByKey>;

/// What all programs of one map agree in (`struct bpf_map_owner`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) prog_type: ProgramType,
    /// `BPF_F_XDP_HAS_FRAGS`.
    pub(crate) frags: bool,
}

impl Owner {
    pub(crate) fn of(spec: &ProgramSpec) -> Self {
        Self { prog_type: spec.prog_type, frags: spec.flags & ProgramSpec::XDP_HAS_FRAGS != 0 }
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let frags = if self.frags { " that takes packets in pieces" } else { "" };
        write!(f, "type {}{frags}", self.prog_type.name().unwrap_or("unknown"))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl UserMap {
    pub(crate) fn new(shared: Arc<Shared>, map: Arc<Map>, id: u32, memory: MapMemory) -> Self {
        // Programs of this backend do not have those of others' CPUs (see `pinned`).
        if let Some(fd) = memory.raw_fd()
            && map.domain() == shared.domain.number()
        {
            shared.descriptors.add(fd, id, &map);
        }
        Self {
            shared,
            map,
            id,
            memory,
            slots: Mutex::default(),
            owner: Mutex::default(),
            bell: OnceLock::new(),
            foreign: false,
        }
    }

    /// A map that is pinned; `foreign`: in a folder that this backend does not use.
    pub(crate) fn pinned(
        shared: Arc<Shared>,
        map: Arc<Map>,
        id: u32,
        memory: MapMemory,
        foreign: bool,
        bell: Option<Bell>,
    ) -> Self {
        let mut map = Self::new(shared, map, id, memory);
        map.foreign = foreign;
        if let Some(bell) = bell {
            map.set_bell(bell);
        }
        map
    }

    pub(crate) fn is_foreign(&self) -> bool {
        self.foreign
    }

    pub(crate) fn memory(&self) -> &MapMemory {
        &self.memory
    }

    /// Wakes who reads or fills a ring buffer by this as well, and one of this process by it alone if it has none yet.
    pub(crate) fn set_bell(&self, bell: Bell) {
        match (self.map.ringbuf(), self.map.user_ringbuf()) {
            (Some(ring), _) => ring.add_wake(Box::new(bell.clone())),
            (None, Some(ring)) => ring.add_wake(Box::new(bell.clone())),
            (None, None) => return,
        }
        let _ = self.bell.set(bell);
    }

    pub(crate) fn map(&self) -> &Arc<Map> {
        &self.map
    }

    pub(crate) fn belongs_to(&self, shared: &Arc<Shared>) -> bool {
        Arc::ptr_eq(&self.shared, shared)
    }

    /// A program array belongs to the type of the first program that it meets, and so does a devmap or cpumap, as Linux
    /// has it (`bpf_prog_map_compatible`), but for a devmap's hash.
    ///
    /// # Errors
    /// `EINVAL` for another type, or one that takes packets in pieces where the first did not.
    pub(crate) fn check_owner(&self, program: Owner) -> Result<(), Error> {
        if !matches!(self.map.kind(), MapType::PROG_ARRAY | MapType::DEVMAP | MapType::CPUMAP) {
            return Ok(());
        }
        let owner = *lock(&self.owner).get_or_insert(program);
        if owner == program {
            return Ok(());
        }
        let what = if self.is_prog_array() { "program array" } else { "map" };
        let text = format!("{what} {} is for programs of {owner}, not {program}", self.map.name());
        Err(Error::new(Errno::EINVAL, text))
    }

    /// The program that an element of a devmap or cpumap is to have.
    ///
    /// # Errors
    /// `EINVAL` for one that is not of its attach type, or not like the map's other programs; `ENOMEM` of a cpumap, as
    /// in Linux.
    fn check_element(&self, program: &UserProgram) -> Result<(), Error> {
        let (wanted, errno) = match self.map.kind() {
            MapType::CPUMAP => (AttachType::XDP_CPUMAP, Errno::ENOMEM),
            _ => (AttachType::XDP_DEVMAP, Errno::EINVAL),
        };
        let name = |a: AttachType| a.name().unwrap_or("none");
        let owner = program.owner();
        if owner.prog_type != ProgramType::XDP || program.attach_type() != wanted {
            let text = format!(
                "map {}: program {} has {owner} and attach type {}: its elements have XDP programs of attach type {}",
                self.map.name(),
                program.program().name(),
                name(program.attach_type()),
                name(wanted)
            );
            return Err(Error::new(errno, text));
        }
        self.check_owner(owner).map_err(|e| Error::new(errno, e.message))
    }

    /// What wakes the reader or the producer of the map's records.
    pub(crate) fn bell(&self) -> Result<Bell, Error> {
        if self.bell.get().is_none() {
            let bell = Bell::new().map_err(|e| {
                let errno = e.raw_os_error().map_or(Errno::EIO, Errno);
                Error::new(errno, format!("map {}: eventfd: {e}", self.map.name()))
            })?;
            if self.bell.set(bell.clone()).is_ok() {
                match (self.map.ringbuf(), self.map.user_ringbuf()) {
                    (Some(ring), _) => ring.add_wake(Box::new(bell)),
                    (None, Some(ring)) => ring.add_wake(Box::new(bell)),
                    (None, None) => self.map.add_perf_wake(Box::new(bell)),
                }
            }
        }
        Ok(self.bell.get().cloned().ok_or(Errno::EIO)?)
    }

    /// Why bytes of an arena cannot be reached.
    #[cold]
    fn no_page(&self, errno: Errno, doing: &str, off: u64) -> Error {
        let why = match errno {
            Errno::EINVAL => "it ends before",
            _ => "there is no page, and none comes by itself",
        };
        Error::new(errno, format!("map {}: {doing} at {off:#x} of the arena: {why}", self.map.name()))
    }

    #[cold]
    fn no_arena(&self) -> Error {
        Error::new(Errno::EINVAL, format!("map {} is not an arena", self.map.name()))
    }

    /// Puts the map of a descriptor ([`BackendMap::raw_fd`]) into a map of maps.
    fn put_descriptor(&self, key: &[u8], fd: &[u8], flags: u64) -> Result<(), Error> {
        match self.shared.descriptors.get(fd) {
            Some((id, map)) => self.map.set_map(key, id, &map, flags),
            // `EBADF`, unless something else is wrong, too.
            None => self.map.update_from_host(key, fd, flags),
        }
    }

    fn own_program<'p>(&self, program: &'p dyn BackendProgram) -> Result<&'p UserProgram, Error> {
        let own = program.as_any().downcast_ref::<UserProgram>();
        own.filter(|p| p.belongs_to(&self.shared)).ok_or_else(|| {
            let text = format!("program {} belongs to another backend", program.info().name);
            Error::new(Errno::EINVAL, text)
        })
    }

    fn is_prog_array(&self) -> bool {
        self.map.kind() == MapType::PROG_ARRAY
    }
}

impl Drop for UserMap {
    fn drop(&mut self) {
        self.shared.descriptors.remove(self.id);
        self.map.abandon();
        let slots = std::mem::take(&mut *lock(&self.slots));
        if !self.is_prog_array() {
            self.shared.elements.keep(&self.map, slots);
            return;
        }
        for index in slots.into_keys() {
            // A frozen array keeps its ids; without the programs they lead nowhere.
            let _ = self.map.delete_from_host(&index.to_ne_bytes());
            self.shared.programs.let_go();
        }
    }
}

impl BackendMap for UserMap {
    fn info(&self) -> MapInfo {
        MapInfo {
            id: self.id,
            name: self.map.name().chars().take(15).collect(),
            kind: self.map.kind(),
            key_size: self.map.key_size(),
            value_size: self.map.value_size(),
            max_entries: self.map.max_entries(),
            flags: self.map.flags().0,
            map_extra: self.map.map_extra(),
        }
    }

    fn lookup(&self, key: &[u8], flags: u64) -> Result<Vec<u8>, Error> {
        objects::lookup(&self.map, key, flags).unwrap_or_else(|| self.map.lookup_copy(key, flags))
    }

    fn update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Error> {
        if self.is_prog_array() {
            let text = format!(
                "program array {}: programs have no descriptors here: use set_program",
                self.map.name()
            );
            return Err(Error::new(Errno::EINVAL, text));
        }
        if self.map.is_of_maps() {
            return self.put_descriptor(key, value, flags);
        }
        let mut slots = self.map.holds_targets().then(|| lock(&self.slots));
        let named = objects::update(&self.map, key, value, flags);
        named.unwrap_or_else(|| self.map.update_from_host(key, value, flags))?;
        if let (Some(slots), Ok(index)) = (&mut slots, key.try_into()) {
            // Such a value has no program.
            slots.remove(&u32::from_ne_bytes(index));
        }
        Ok(())
    }

    fn write_value(&self, key: &[u8], off_bytes: usize, bytes: &[u8]) -> Result<(), Error> {
        self.map.write_value(key, off_bytes, bytes)
    }

    fn view(&self, key: &[u8], cpu: Option<u32>) -> Result<Box<dyn ValueMemory>, Error> {
        Ok(Box::new(self.map.view(key, cpu)?))
    }

    fn delete(&self, key: &[u8]) -> Result<(), Error> {
        if let Some(done) = objects::delete(&self.map, key) {
            return done;
        }
        let mut slots = lock(&self.slots);
        self.map.delete_from_host(key)?;
        if let Ok(index) = key.try_into() {
            slots.remove(&u32::from_ne_bytes(index));
            self.shared.programs.let_go();
        }
        Ok(())
    }

    fn lookup_and_delete(&self, key: &[u8]) -> Result<Vec<u8>, Error> {
        if key.is_empty() { self.map.pop_from_host() } else { self.map.take_from_host(key, 0) }
    }

    fn next_key(&self, key: Option<&[u8]>) -> Result<Vec<u8>, Error> {
        self.map.next_key(key)
    }

    fn lookup_batch(&self, after: Option<&[u8]>, most: u32, flags: u64, take: bool) -> Result<Batch, Error> {
        self.map.batch(after, most, flags, take)
    }

    fn update_batch(&self, keys: &[u8], values: &[u8], flags: u64) -> (u32, Result<(), Error>) {
        if self.map.is_of_maps() {
            let put = &mut |key: &[u8], value: &[u8]| self.put_descriptor(key, value, flags);
            return self.map.update_batch_by(keys, values, flags, put);
        }
        self.map.update_batch(keys, values, flags)
    }

    fn delete_batch(&self, keys: &[u8], flags: u64) -> (u32, Result<(), Error>) {
        self.map.delete_batch(keys, flags)
    }

    fn freeze(&self) -> Result<(), Error> {
        self.map.freeze()
    }

    fn set_program(&self, index: u32, program: &dyn BackendProgram) -> Result<(), Error> {
        let own = self.own_program(program)?;
        self.check_owner(own.owner())?;
        let mut slots = lock(&self.slots);
        self.map.set_program(index, own.program().id())?;
        if slots.insert(index, Arc::clone(own.program())).is_some() {
            self.shared.programs.let_go();
        }
        Ok(())
    }

    fn set_target(
        &self,
        key: &[u8],
        target: u32,
        program: Option<&dyn BackendProgram>,
        flags: u64,
    ) -> Result<(), Error> {
        let own = program.map(|p| self.own_program(p)).transpose()?;
        // Where there is no room nobody looks at the program.
        let room = self.map.value_size() >= 8 && self.map.holds_targets();
        if let Some(Err(unfit)) = own.filter(|_| room).map(|p| self.check_element(p)) {
            // Other errors come first, and a CPU's queue of none has nobody look at the program.
            let value = [target, i32::MAX as u32].map(u32::to_ne_bytes);
            return match self.update(key, value.as_flattened(), flags) {
                Err(e) if e.errno == unfit.errno => Err(unfit),
                other => other,
            };
        }
        let mut slots = lock(&self.slots);
        let id = own.map_or(0, |p| p.program().id());
        self.map.set_device(key, (target, id), flags, &os::has_interface)?;
        let Ok(index) = key.try_into().map(u32::from_ne_bytes) else { return Ok(()) };
        match own {
            Some(own) if target != 0 => slots.insert(index, Arc::clone(own.program())),
            Some(_) | None => slots.remove(&index),
        };
        Ok(())
    }

    fn set_map(&self, key: &[u8], map: &dyn BackendMap) -> Result<(), Error> {
        let own = map.as_any().downcast_ref::<Self>();
        let Some(own) = own.filter(|m| m.belongs_to(&self.shared)) else {
            let text =
                format!("map `{}`: map `{}` belongs to another backend", self.map.name(), map.info().name);
            return Err(Error::new(Errno::EINVAL, text));
        };
        if own.foreign {
            let text = format!(
                "map `{}`: map `{}` is of a folder with virtual CPUs of its own: programs cannot have it",
                self.map.name(),
                own.map.name()
            );
            return Err(Error::new(Errno::EINVAL, text));
        }
        self.map.set_map(key, own.id, &own.map, UpdateFlags::ANY)
    }

    fn reader(&self) -> Result<Box<dyn ByteReader>, Error> {
        let consumer = self.map.consumer()?;
        let bell = self.bell()?;
        Ok(Box::new(Reader { consumer, bell }))
    }

    fn producer(&self) -> Result<Box<dyn RingProducer>, Error> {
        let producer = self.map.producer()?;
        Ok(Box::new(Samples::new(producer, self.bell()?)))
    }

    fn perf_reader(&self, size: usize) -> Result<Box<dyn PerfEventReader>, Error> {
        let reader = self.map.perf_reader(size)?;
        let bell = self.bell()?;
        Ok(Box::new(Events { reader, bell }))
    }

    fn arena_read(&self, off: u64, out: &mut [u8]) -> Result<(), Error> {
        let arena = self.map.arena().ok_or_else(|| self.no_arena())?;
        arena.read(off, out).map_err(|e| self.no_page(e, "reading", off))
    }

    fn arena_write(&self, off: u64, bytes: &[u8]) -> Result<(), Error> {
        let arena = self.map.arena().ok_or_else(|| self.no_arena())?;
        arena.write(off, bytes).map_err(|e| self.no_page(e, "writing", off))
    }

    fn raw_fd(&self) -> Option<i32> {
        self.memory.raw_fd()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A wait that failed.
#[cold]
pub(crate) fn waiting(e: std::io::Error) -> Error {
    Error::new(e.raw_os_error().map_or(Errno::EIO, Errno), format!("waiting for records: {e}"))
}

/// A consumer with what wakes it. It keeps the map alive.
struct Reader {
    consumer: Consumer,
    bell: Bell,
}

impl ByteReader for Reader {
    fn poll(&mut self, each: &mut dyn FnMut(&[u8])) -> Result<usize, Error> {
        // First: a ring after this means records that are not consumed yet.
        self.bell.silence();
        self.consumer.poll(each)
    }

    fn wait(&mut self, timeout: Duration) -> Result<bool, Error> {
        let start = Instant::now();
        loop {
            if self.consumer.ready() {
                return Ok(true);
            }
            let Some(left) = os::left(start, timeout) else { return Ok(false) };
            // Below a millisecond poll(2) would not wait at all.
            self.bell.wait(left.max(Duration::from_millis(1))).map_err(waiting)?;
            self.bell.silence();
        }
    }

    fn raw_fd(&self) -> Option<i32> {
        self.bell.raw_fd()
    }
}
