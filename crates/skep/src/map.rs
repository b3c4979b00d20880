//! Maps and ring buffers of a backend.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use skep_abi::MapType;
use skep_spec::{
    BackendMap, Batch, ByteReader, Errno, MapDef, MapInfo, PerfEventReader, PerfRecord, RingProducer,
    RingSample,
};

use crate::{Elements, Error, Program, Value};

/// The bytes of a key and of its value; of all CPUs behind each other for per-CPU maps.
pub type Element = (Vec<u8>, Vec<u8>);

/// How many elements are asked for at a time.
const BATCH: u32 = 4096;
/// Bytes of a batch's elements, if there are as many.
const BATCH_BYTES: usize = 64 << 20;

/// A map. Cheap to clone; the map lives while a handle or a program holds it.
///
/// ```
/// use skep::{Backend, abi::MapType, spec::MapDef};
///
/// let map = Backend::user().create_map(MapDef::new(MapType::HASH, 4, 8, 10).named("ages"))?;
/// map.put(&7u32, &42u64)?;
/// assert_eq!(map.get::<u32, u64>(&7)?, Some(42));
/// assert!(map.delete(&7u32)?);
/// assert!(map.entries()?.is_empty());
/// // Keys and values have to be of the map's sizes.
/// assert!(map.put(&7u16, &42u64).is_err());
/// # Ok::<(), skep::Error>(())
/// ```
#[derive(Clone)]
pub struct Map {
    pub(crate) inner: Arc<dyn BackendMap>,
    def: Arc<MapDef>,
    /// It was there before, pinned.
    reused: bool,
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map").field("info", &self.info()).finish()
    }
}

/// The bytes of a per-CPU value from one CPU to the next.
fn stride(value_size: u32) -> usize {
    (value_size as usize).next_multiple_of(8)
}

impl Map {
    pub(crate) fn new(inner: Arc<dyn BackendMap>, def: Arc<MapDef>) -> Self {
        Self { inner, def, reused: false }
    }

    pub(crate) fn reused(self) -> Self {
        Self { reused: true, ..self }
    }

    /// Whether it was there before the object was loaded, pinned under its name.
    pub fn is_reused(&self) -> bool {
        self.reused
    }

    /// The definition that it was made from, with its BTF types.
    pub fn def(&self) -> &Arc<MapDef> {
        &self.def
    }

    /// Its full name, as the object spells it.
    pub fn name(&self) -> &str {
        &self.def.name
    }

    /// Id, type and geometry.
    pub fn info(&self) -> MapInfo {
        self.inner.info()
    }

    /// The handle of the backend.
    pub fn backend_map(&self) -> &Arc<dyn BackendMap> {
        &self.inner
    }

    /// Whether each CPU has a value of its own.
    pub fn is_per_cpu(&self) -> bool {
        matches!(
            self.def.kind,
            MapType::PERCPU_ARRAY
                | MapType::PERCPU_HASH
                | MapType::LRU_PERCPU_HASH
                | MapType::PERCPU_CGROUP_STORAGE
        )
    }

    fn fail(&self, what: &str, error: skep_spec::Error) -> Error {
        Error::system(format_args!("map `{}`: {what}", self.def.name), error)
    }

    /// The value of a key as bytes, those of all CPUs behind each other for per-CPU maps; `None` when there is
    /// no such key.
    ///
    /// # Errors
    /// As `BPF_MAP_LOOKUP_ELEM`, but for `ENOENT`.
    pub fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        match self.inner.lookup(key, 0) {
            Ok(value) => Ok(Some(value)),
            Err(e) if e.errno == Errno::ENOENT => Ok(None),
            Err(e) => Err(self.fail("lookup", e)),
        }
    }

    /// The value of a key; `None` when there is no such key.
    ///
    /// # Errors
    /// As [`Map::lookup`]; `EINVAL` when the value is not of the size of `V`, or the map is per-CPU.
    pub fn get<K: Value, V: Value>(&self, key: &K) -> Result<Option<V>, Error> {
        if self.is_per_cpu() {
            let words = "each CPU has a value of its own: read them with `get_per_cpu`";
            return Err(self.fail("get", skep_spec::Error::new(Errno::EINVAL, words)));
        }
        let Some(bytes) = self.lookup(&key.to_bytes())? else { return Ok(None) };
        V::from_bytes(&bytes).map(Some).ok_or_else(|| self.wrong_size::<V>())
    }

    /// The values of a key on all CPUs, in order; `None` when there is no such key.
    ///
    /// # Errors
    /// As [`Map::get`]; `EINVAL` when the map is not per-CPU.
    pub fn get_per_cpu<K: Value, V: Value>(&self, key: &K) -> Result<Option<Vec<V>>, Error> {
        let Some(bytes) = self.lookup(&key.to_bytes())? else { return Ok(None) };
        if !self.is_per_cpu() {
            return Err(self.fail("get", skep_spec::Error::new(Errno::EINVAL, "the map is not per-CPU")));
        }
        self.split(&bytes)
            .map(|cpu| V::from_bytes(cpu).ok_or_else(|| self.wrong_size::<V>()))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// The values of all CPUs in what [`Map::lookup`] gives; one for maps that are not per-CPU.
    pub fn split<'b>(&self, bytes: &'b [u8]) -> impl Iterator<Item = &'b [u8]> {
        let size = self.def.value_size as usize;
        let step = if self.is_per_cpu() { stride(self.def.value_size).max(1) } else { bytes.len().max(1) };
        let per_cpu = self.is_per_cpu();
        bytes.chunks(step).map(move |cpu| if per_cpu { &cpu[..size.min(cpu.len())] } else { cpu })
    }

    #[cold]
    fn wrong_size<V>(&self) -> Error {
        let words = format!(
            "its values have {} bytes, `{}` has another number",
            self.def.value_size,
            std::any::type_name::<V>()
        );
        self.fail("get", skep_spec::Error::new(Errno::EINVAL, words))
    }

    /// Adds or replaces an element; `flags` is one of [`UpdateFlags`](crate::abi::UpdateFlags).
    ///
    /// # Errors
    /// As `BPF_MAP_UPDATE_ELEM`.
    pub fn update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Error> {
        self.inner.update(key, value, flags).map_err(|e| self.fail("update", e))
    }

    /// Adds or replaces an element.
    ///
    /// # Errors
    /// As `BPF_MAP_UPDATE_ELEM`.
    pub fn put<K: Value, V: Value>(&self, key: &K, value: &V) -> Result<(), Error> {
        self.update(&key.to_bytes(), &value.to_bytes(), 0)
    }

    /// Deletes an element; says whether there was one.
    ///
    /// # Errors
    /// As `BPF_MAP_DELETE_ELEM`, but for `ENOENT`.
    pub fn delete<K: Value>(&self, key: &K) -> Result<bool, Error> {
        match self.inner.delete(&key.to_bytes()) {
            Ok(()) => Ok(true),
            Err(e) if e.errno == Errno::ENOENT => Ok(false),
            Err(e) => Err(self.fail("delete", e)),
        }
    }

    /// Adds a value to a queue or stack; with `BPF_EXIST` in `flags` the oldest goes when it is full.
    ///
    /// # Errors
    /// As `BPF_MAP_UPDATE_ELEM`: `E2BIG` when it is full, `EINVAL` for maps with keys.
    pub fn push<V: Value>(&self, value: &V, flags: u64) -> Result<(), Error> {
        self.update(&[], &value.to_bytes(), flags)
    }

    /// Takes the next value out of a queue or stack; `None` when it is empty.
    ///
    /// # Errors
    /// As `BPF_MAP_LOOKUP_AND_DELETE_ELEM`; `EINVAL` when the value is not of the size of `V`.
    pub fn pop<V: Value>(&self) -> Result<Option<V>, Error> {
        match self.inner.lookup_and_delete(&[]) {
            Ok(bytes) => V::from_bytes(&bytes).map(Some).ok_or_else(|| self.wrong_size::<V>()),
            Err(e) if e.errno == Errno::ENOENT => Ok(None),
            Err(e) => Err(self.fail("pop", e)),
        }
    }

    /// All elements, as bytes. Elements that come or go meanwhile may or may not be among them.
    ///
    /// # Errors
    /// As [`Self::elements`].
    pub fn entries(&self) -> Result<Vec<Element>, Error> {
        Ok(self.elements()?.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect())
    }

    /// As [`Self::entries`], without vectors for each element.
    ///
    /// # Errors
    /// As `BPF_MAP_GET_NEXT_KEY`.
    pub fn elements(&self) -> Result<Elements, Error> {
        match self.elements_by_batch() {
            Err(e) if e.errno == Errno::ENOTSUPP || e.errno == Errno::EINVAL => {}
            elements => return elements.map_err(|e| self.fail("batch lookup", e)),
        }
        let mut out = Elements::default();
        let mut key: Option<Vec<u8>> = None;
        // A hash whose keys are deleted under us begins again at its first one: bound the walk.
        for _ in 0..=self.def.max_entries.saturating_mul(2) {
            match self.inner.next_key(key.as_deref()) {
                Ok(next) => {
                    if let Some(value) = self.lookup(&next)? {
                        out.push(&next, &value);
                    }
                    key = Some(next);
                }
                Err(e) if e.errno == Errno::ENOENT => return Ok(out),
                Err(e) => return Err(self.fail("next key", e)),
            }
        }
        Ok(out)
    }

    /// As [`Self::elements`], of kinds that have batches and kernels that know them.
    fn elements_by_batch(&self) -> Result<Elements, skep_spec::Error> {
        // A hash that is copied whole is copied in the order of memory.
        let element = (self.def.key_size.saturating_add(self.def.value_size) as usize).max(1);
        let most = u32::try_from(BATCH_BYTES / element).unwrap_or(u32::MAX).max(BATCH);
        let (mut out, mut after, mut most) = (Elements::default(), None, most);
        loop {
            let mut batch = match self.inner.lookup_batch(after.as_deref(), most, 0, false) {
                // A bucket has more.
                Err(e) if e.errno == Errno::ENOSPC && most < u32::MAX / 2 => {
                    most *= 2;
                    continue;
                }
                batch => batch?,
            };
            let next = batch.next.take();
            out.extend(batch);
            match next {
                // Keys of others that come and go may be walked for ever.
                Some(next) if out.len() <= 2 * self.def.max_entries as usize => after = Some(next),
                _ => return Ok(out),
            }
        }
    }

    /// At most `most` elements behind a batch, the first for `None`, and with `take` out of the map. Elements that others insert
    /// or delete meanwhile may be among them or not.
    ///
    /// # Errors
    /// As [`BackendMap::lookup_batch`].
    pub fn batch(&self, after: Option<&[u8]>, most: u32, flags: u64, take: bool) -> Result<Batch, Error> {
        self.inner.lookup_batch(after, most, flags, take).map_err(|e| self.fail("batch lookup", e))
    }

    /// Adds or replaces elements in order, by the keys and as many values one after another.
    ///
    /// # Errors
    /// As `BPF_MAP_UPDATE_BATCH`, of the first element that was refused; those before it are in the map.
    pub fn update_batch(&self, keys: &[u8], values: &[u8], flags: u64) -> Result<(), Error> {
        let (done, result) = self.inner.update_batch(keys, values, flags);
        result.map_err(|e| self.fail(&format!("batch update, element {done}"), e))
    }

    /// Deletes elements in order, by their keys one after another.
    ///
    /// # Errors
    /// As `BPF_MAP_DELETE_BATCH`, of the first element that was refused; those before it are gone.
    pub fn delete_batch(&self, keys: &[u8]) -> Result<(), Error> {
        let (done, result) = self.inner.delete_batch(keys, 0);
        result.map_err(|e| self.fail(&format!("batch delete, element {done}"), e))
    }

    /// Puts a program into a slot of a program array.
    ///
    /// # Errors
    /// As `BPF_MAP_UPDATE_ELEM`.
    pub fn set_program(&self, index: u32, program: &Program) -> Result<(), Error> {
        self.inner.set_program(index, &*program.inner).map_err(|e| self.fail("slot", e))
    }

    /// Fills an element of a devmap, where `target` is the interface, or of a cpumap, where it is the length of the CPU's
    /// queue, with a program (of `SEC("xdp/devmap")`, `SEC("xdp/cpumap")`) that packets run through there.
    ///
    /// # Errors
    /// As `BPF_MAP_UPDATE_ELEM`, see [`BackendMap::set_target`].
    pub fn set_target(&self, key: &[u8], target: u32, program: Option<&Program>) -> Result<(), Error> {
        let program = program.map(|p| &*p.inner);
        self.inner.set_target(key, target, program, 0).map_err(|e| self.fail("element", e))
    }

    /// Puts a map into an element of this map of maps.
    ///
    /// # Errors
    /// As `BPF_MAP_UPDATE_ELEM`: `EINVAL` for a map that does not look like the inner one, or of another backend.
    pub fn set_map(&self, key: &[u8], map: &Map) -> Result<(), Error> {
        self.inner.set_map(key, &*map.inner).map_err(|e| self.fail("element", e))
    }

    /// Bytes of this arena, from `off` on: its variables come first.
    ///
    /// # Errors
    /// `EINVAL` for other kinds, and outside of it; `EFAULT` where there is no memory yet and none comes by itself
    /// (`BPF_F_SEGV_ON_FAULT`).
    pub fn read_arena(&self, off: u64, len: usize) -> Result<Vec<u8>, Error> {
        let mut out = vec![0; len];
        self.inner.arena_read(off, &mut out).map_err(|e| self.fail("reading", e))?;
        Ok(out)
    }

    /// Writes bytes of this arena, from `off` on.
    ///
    /// # Errors
    /// As [`Map::read_arena`].
    pub fn write_arena(&self, off: u64, bytes: &[u8]) -> Result<(), Error> {
        self.inner.arena_write(off, bytes).map_err(|e| self.fail("writing", e))
    }

    /// A consumer of this ring buffer.
    ///
    /// # Errors
    /// `EINVAL` for other kinds of map, `EBUSY` when there is one already.
    pub fn ring_buffer(&self) -> Result<RingBuffer, Error> {
        let reader = self.inner.reader().map_err(|e| self.fail("reading", e))?;
        Ok(RingBuffer { reader, name: self.def.name.clone() })
    }

    /// The producer of this user ring buffer.
    ///
    /// # Errors
    /// `EINVAL` for other kinds of map, `EBUSY` when there is one already.
    pub fn user_ring_buffer(&self) -> Result<UserRingBuffer, Error> {
        let producer = self.inner.producer().map_err(|e| self.fail("writing", e))?;
        Ok(UserRingBuffer { producer, name: self.def.name.clone() })
    }

    /// A reader of this perf event array, with a buffer of `size` bytes for each CPU, rounded up to a power of two of
    /// at least a page. What programs write while there is none is lost.
    ///
    /// # Errors
    /// `EINVAL` for other kinds of map, `EBUSY` when there is one already, `EOPNOTSUPP` where a backend has none.
    pub fn perf_buffer(&self, size: usize) -> Result<PerfBuffer, Error> {
        let reader = self.inner.perf_reader(size).map_err(|e| self.fail("reading", e))?;
        Ok(PerfBuffer { reader, name: self.def.name.clone() })
    }

    /// Whether it is a perf event array, which has records but no elements.
    pub fn is_perf_event_array(&self) -> bool {
        self.def.kind == MapType::PERF_EVENT_ARRAY
    }

    /// Whether it is a ring buffer, which has records but no elements.
    pub fn is_ring_buffer(&self) -> bool {
        self.def.kind == MapType::RINGBUF
    }

    /// Whether its elements can be listed: neither a ring buffer nor a table of programs. Those of maps of maps are ids.
    pub fn has_values(&self) -> bool {
        matches!(
            self.def.kind,
            MapType::ARRAY
                | MapType::HASH
                | MapType::PERCPU_ARRAY
                | MapType::PERCPU_HASH
                | MapType::LRU_HASH
                | MapType::LRU_PERCPU_HASH
                | MapType::LPM_TRIE
                | MapType::ARRAY_OF_MAPS
                | MapType::HASH_OF_MAPS
                | MapType::STRUCT_OPS
        )
    }
}

/// The consumer of a ring buffer map.
pub struct RingBuffer {
    reader: Box<dyn ByteReader>,
    name: String,
}

impl fmt::Debug for RingBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingBuffer").field("map", &self.name).finish_non_exhaustive()
    }
}

impl RingBuffer {
    /// Hands every record that is ready to `each`, without waiting; returns how many.
    ///
    /// # Errors
    /// When the positions in shared memory make no sense.
    pub fn poll(&mut self, mut each: impl FnMut(&[u8])) -> Result<usize, Error> {
        let name = &self.name;
        self.reader.poll(&mut each).map_err(|e| Error::system(format_args!("ring buffer `{name}`"), e))
    }

    /// Waits until a record is ready or the time has passed; says whether one is.
    ///
    /// # Errors
    /// As `poll(2)`.
    pub fn wait(&mut self, timeout: Duration) -> Result<bool, Error> {
        let name = &self.name;
        self.reader.wait(timeout).map_err(|e| Error::system(format_args!("ring buffer `{name}`"), e))
    }

    /// The map's name.
    pub fn map_name(&self) -> &str {
        &self.name
    }
}

/// The producer of a user ring buffer: what programs drain with `bpf_user_ringbuf_drain`.
///
/// ```
/// use skep::{Backend, abi::MapType, spec::MapDef};
///
/// let map = Backend::user().create_map(MapDef::new(MapType::USER_RINGBUF, 0, 0, 4096).named("commands"))?;
/// let mut commands = map.user_ring_buffer()?;
/// commands.send(b"first")?;
/// let sample = commands.reserve(6)?;
/// commands.write(&sample, 0, b"second")?;
/// commands.submit(sample);
/// assert!(commands.reserve(4096).is_err());
/// # Ok::<(), skep::Error>(())
/// ```
pub struct UserRingBuffer {
    producer: Box<dyn RingProducer>,
    name: String,
}

impl fmt::Debug for UserRingBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserRingBuffer").field("map", &self.name).finish_non_exhaustive()
    }
}

impl UserRingBuffer {
    #[cold]
    fn fail(&self, error: skep_spec::Error) -> Error {
        Error::system(format_args!("user ring buffer `{}`", self.name), error)
    }

    /// Gives programs a sample of these bytes.
    ///
    /// # Errors
    /// As [`Self::reserve`].
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let sample = self.reserve(bytes.len())?;
        self.write(&sample, 0, bytes)?;
        self.submit(sample);
        Ok(())
    }

    /// Room for a sample of `len` bytes, which must be submitted or discarded; later ones wait for it.
    ///
    /// # Errors
    /// `E2BIG` larger than the ring, `ENOSPC` no room until programs have drained.
    pub fn reserve(&mut self, len: usize) -> Result<RingSample, Error> {
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        self.producer.reserve(len).map_err(|e| self.fail(e))
    }

    /// Writes into a sample, from a byte of it on.
    ///
    /// # Errors
    /// `EINVAL` outside the sample, and for one of another producer.
    pub fn write(&mut self, sample: &RingSample, off_bytes: usize, bytes: &[u8]) -> Result<(), Error> {
        self.producer.write(sample, off_bytes, bytes).map_err(|e| self.fail(e))
    }

    /// Gives a sample to programs.
    pub fn submit(&mut self, sample: RingSample) {
        self.producer.submit(sample);
    }

    /// Gives a sample up: programs skip it.
    pub fn discard(&mut self, sample: RingSample) {
        self.producer.discard(sample);
    }

    /// Waits until there is room for a sample of `len` bytes or the time has passed; says whether there is.
    ///
    /// # Errors
    /// As `poll(2)`.
    pub fn wait(&mut self, len: usize, timeout: Duration) -> Result<bool, Error> {
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        self.producer.wait(len, timeout).map_err(|e| self.fail(e))
    }

    /// The map's name.
    pub fn map_name(&self) -> &str {
        &self.name
    }

    /// A descriptor that becomes ready when programs have drained, where there is one.
    pub fn raw_fd(&self) -> Option<i32> {
        self.producer.raw_fd()
    }
}

/// The reader of a perf event array.
pub struct PerfBuffer {
    reader: Box<dyn PerfEventReader>,
    name: String,
}

impl fmt::Debug for PerfBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerfBuffer").field("map", &self.name).finish_non_exhaustive()
    }
}

impl PerfBuffer {
    /// Hands everything that is ready to `each`, without waiting; returns how many records there were.
    ///
    /// # Errors
    /// When what is in shared memory makes no sense.
    pub fn poll(&mut self, mut each: impl FnMut(PerfRecord<'_>)) -> Result<usize, Error> {
        let name = &self.name;
        self.reader.poll(&mut each).map_err(|e| Error::system(format_args!("perf event array `{name}`"), e))
    }

    /// Waits until something is ready or the time has passed; says whether something is.
    ///
    /// # Errors
    /// As `poll(2)`.
    pub fn wait(&mut self, timeout: Duration) -> Result<bool, Error> {
        let name = &self.name;
        self.reader.wait(timeout).map_err(|e| Error::system(format_args!("perf event array `{name}`"), e))
    }

    /// The map's name.
    pub fn map_name(&self) -> &str {
        &self.name
    }

    /// A descriptor that becomes readable with new records, where there is one.
    pub fn raw_fd(&self) -> Option<i32> {
        self.reader.raw_fd()
    }
}

/// A map that stands alone.
///
/// # Errors
/// As `BPF_MAP_CREATE`.
pub(crate) fn create(backend: &dyn skep_spec::Backend, def: &Arc<MapDef>) -> Result<Map, Error> {
    let inner = backend.create_map(def).map_err(|e| Error::of_map(&def.name, e))?;
    Ok(Map::new(inner, Arc::clone(def)))
}
