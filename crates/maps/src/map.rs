//! A map: what is common to all kinds.

mod host;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::time::Duration;

use skep_abi::{MapFlags, MapType, UpdateFlags};
use skep_spec::{Errno, Error, MapDef};

use crate::arena::Arena;
use crate::array::{Array, ArrayGeometry};
use crate::bloom_filter::BloomFilter;
use crate::devices::Devices;
use crate::geometry::Geometry;
use crate::hash::Hash;
use crate::kept::{Keeper, Kept};
use crate::lpm_trie::LpmTrie;
use crate::map_of_maps::MapOfMaps;
use crate::mem::{Block, Bytes, BytesMut, Memory};
use crate::percpu_array::PercpuArray;
use crate::perf_event_array::{PerfEventArray, PerfReader};
use crate::prog_array::ProgArray;
use crate::queue::Queue;
use crate::ringbuf::{Consumer, Ringbuf, Wake};
use crate::sockets::Sockets;
use crate::stack_trace::StackTrace;
use crate::storage::Storage;
use crate::struct_ops::StructOps;
use crate::sync::{AtomicBool, Owner, PATIENCE, Peers, Waiting, spin};
use crate::user_ringbuf::UserRingbuf;

/// What a map takes from the domain that it is created in.
#[derive(Clone, Copy)]
pub struct Config {
    /// Virtual CPUs: per-CPU maps hold as many values. At least 1.
    pub cpus: u32,
    /// The number of the domain that the CPUs are of, which the map's header tells to who opens it: programs of another
    /// domain would have the same CPUs at the same time. 0 for a domain that has no number.
    pub domain: u64,
    /// Randomness for the hash seed; maps with `BPF_F_ZERO_SEED` do not use it.
    pub seed: u64,
    /// What a thread does while it waits for a spin lock that another holds: `std::thread::yield_now`
    /// where there is an operating system. Must not allocate or lock.
    pub relax: fn(),
    /// What a thread does that has waited for longer: sleeps for so many microseconds, where there is an operating
    /// system. As above.
    pub sleep: fn(u32),
    /// For how long it sleeps in all while the holder lives, before the call fails with `EBUSY`.
    pub patience: Duration,
    /// The processes that may have the map's memory too; without them nobody's death is noticed.
    pub peers: Option<&'static dyn Peers>,
}

impl Config {
    /// A configuration without randomness, whose waiters spin.
    pub fn new(cpus: u32) -> Self {
        Self {
            cpus,
            domain: 0,
            seed: 0x9e37_79b9_7f4a_7c15,
            relax: core::hint::spin_loop,
            sleep: spin,
            patience: PATIENCE,
            peers: None,
        }
    }

    pub(crate) fn waiting(&self) -> Waiting {
        Waiting::new(self.relax, self.sleep, self.patience, self.peers)
    }
}

/// Memory that a map holds values in, as a program may use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// Host address of the first byte.
    pub addr: u64,
    /// Bytes.
    pub len: usize,
    /// Bytes from one value to the next, and of each value, rounded up to 8, where something else stands between them.
    pub parts: Option<(usize, usize)>,
    /// Programs may read it (not `BPF_F_WRONLY_PROG`).
    pub read: bool,
    /// Programs may write it (not `BPF_F_RDONLY_PROG`).
    pub write: bool,
}

/// What each kind does. Keys and values have the right length when these are called from the host; a
/// kind checks them itself on the program side.
pub(crate) trait Ops {
    /// Address of a value (per-CPU kinds: that CPU's).
    fn lookup(&self, key: Bytes<'_>, cpu: u32) -> Option<u64>;
    /// Update by a program (per-CPU kinds: that CPU's value).
    fn update(&self, key: Bytes<'_>, value: Bytes<'_>, flags: u64, cpu: u32) -> Result<(), Errno>;
    /// Delete.
    fn delete(&self, key: Bytes<'_>, owner: Owner) -> Result<(), Errno>;
    /// Copies a value out (per-CPU kinds: all CPUs'); `out` has the length of [`Map::host_value_size`].
    fn lookup_copy(&self, key: Bytes<'_>, out: &mut [u8]) -> Result<(), Errno>;
    /// Update by the host (per-CPU kinds: all CPUs).
    fn update_from_host(&self, key: Bytes<'_>, value: Bytes<'_>, flags: u64) -> Result<(), Errno>;
    /// Writes the key after `key`, or the first.
    fn next_key(&self, key: Option<Bytes<'_>>, out: &mut [u8]) -> Result<(), Errno>;
    /// Memory of the values, by address and length.
    fn values(&self) -> Option<(u64, usize)>;
    /// Bytes from one value to the next, where something that is no value stands between them.
    fn values_apart(&self) -> Option<usize> {
        None
    }
    /// The block that starts with the header.
    fn metadata(&self) -> &Block;
}

pub(crate) enum Kind {
    Arena(Arena),
    Array(Array),
    BloomFilter(BloomFilter),
    PercpuArray(PercpuArray),
    Hash(Hash),
    LpmTrie(LpmTrie),
    MapOfMaps(Box<MapOfMaps>),
    PerfEventArray(PerfEventArray),
    ProgArray(ProgArray),
    Queue(Queue),
    Ringbuf(Ringbuf),
    StackTrace(StackTrace),
    StructOps(StructOps),
    UserRingbuf(UserRingbuf),
    Devices(Devices),
    Sockets(Sockets),
    Storage(Storage),
}

/// A map. Threads share it by `Arc`; when the last one is dropped, its memory is freed.
pub struct Map {
    name: String,
    pub(crate) geometry: Geometry,
    pub(crate) kind: Kind,
    pub(crate) kept: Option<Arc<Keeper>>,
    /// Whoever made the map has no handle on it any more.
    pub(crate) abandoned: AtomicBool,
}

impl core::fmt::Debug for Map {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Map")
            .field("name", &self.name)
            .field("geometry", &self.geometry)
            .finish_non_exhaustive()
    }
}

impl Map {
    /// Creates a map, writes its initial contents and freezes it if the definition says so.
    ///
    /// # Errors
    /// As `BPF_MAP_CREATE` of Linux 6.18: `EINVAL` and `E2BIG` for a geometry or flags that the kind does not
    /// have, `ENOMEM` when `memory` gives none. `EINVAL` for kinds that this crate does not have.
    pub fn create(def: &MapDef, config: &Config, memory: &dyn Memory) -> Result<Arc<Self>, Error> {
        let wait = config.waiting();
        Self::create_kept(def, config, memory, &|| Keeper::waiting(wait).map(Arc::new))
    }

    /// As [`Self::create`]; what the fields of values keep, if there are any, is `keeper`'s, which the programs share that
    /// use the map.
    ///
    /// # Errors
    /// As [`Self::create`], and the keeper's.
    pub fn create_kept(
        def: &MapDef,
        config: &Config,
        memory: &dyn Memory,
        keeper: &dyn Fn() -> Result<Arc<Keeper>, Errno>,
    ) -> Result<Arc<Self>, Error> {
        let geometry = crate::create::check(def, config, memory)?;
        let inner = crate::create::inner(def, config, memory)?;
        let map = Self::with_geometry(def, geometry, inner, memory, keeper)?;
        if let Some(initial) = &def.initial {
            map.write_initial(initial)?;
        }
        if def.frozen {
            map.freeze()?;
        }
        Ok(Arc::new(map))
    }

    pub(crate) fn with_geometry(
        def: &MapDef,
        geometry: Geometry,
        inner: Option<Geometry>,
        memory: &dyn Memory,
        keeper: &dyn Fn() -> Result<Arc<Keeper>, Errno>,
    ) -> Result<Self, Error> {
        let kind = match def.kind {
            _ if let Some(inner) = inner => {
                MapOfMaps::new(geometry, inner, memory).map(|of| Kind::MapOfMaps(Box::new(of)))
            }
            MapType::ARENA => Arena::new(geometry, memory).map(Kind::Arena),
            MapType::ARRAY => Array::new(geometry, memory).map(Kind::Array),
            MapType::BLOOM_FILTER => BloomFilter::new(geometry, memory).map(Kind::BloomFilter),
            MapType::PERCPU_ARRAY => PercpuArray::new(geometry, memory).map(Kind::PercpuArray),
            kind if crate::create::is_hash(kind) => Hash::new(geometry, memory).map(Kind::Hash),
            MapType::LPM_TRIE => LpmTrie::new(geometry, memory).map(Kind::LpmTrie),
            MapType::PERF_EVENT_ARRAY => PerfEventArray::new(geometry, memory).map(Kind::PerfEventArray),
            MapType::PROG_ARRAY => ProgArray::new(geometry, memory).map(Kind::ProgArray),
            MapType::QUEUE | MapType::STACK => Queue::new(geometry, memory).map(Kind::Queue),
            MapType::USER_RINGBUF => UserRingbuf::new(geometry, memory).map(Kind::UserRingbuf),
            MapType::DEVMAP | MapType::DEVMAP_HASH | MapType::CPUMAP => {
                Devices::new(geometry, memory).map(Kind::Devices)
            }
            MapType::SOCKMAP | MapType::SOCKHASH => Sockets::new(geometry, memory).map(Kind::Sockets),
            kind if kind.is_local_storage() => Storage::new(geometry, memory).map(Kind::Storage),
            MapType::STACK_TRACE => StackTrace::new(geometry, memory).map(Kind::StackTrace),
            MapType::STRUCT_OPS => StructOps::new(geometry, memory).map(Kind::StructOps),
            _ => Ringbuf::new(geometry, memory).map(Kind::Ringbuf),
        };
        let mut kind = kind.map_err(|errno| {
            if errno == Errno::EINVAL {
                let text = format!("map `{}`: its header does not agree with itself: make it anew", def.name);
                return Error::new(errno, text);
            }
            let what = if errno == Errno::ENOMEM { "not enough memory" } else { "too large" };
            Error::new(
                errno,
                format!(
                    "map `{}`: {what} for max_entries {} with values of {} bytes: lower max_entries",
                    def.name, def.max_entries, def.value_size
                ),
            )
        })?;
        let kept = match geometry.places.keeping().next() {
            Some(_) => {
                let keeper = keeper().map_err(|e| {
                    Error::new(e, format!("map `{}`: no memory for what its values keep", def.name))
                })?;
                Some(keeper)
            }
            None => None,
        };
        // No other kind has values with such fields.
        if let Kind::Array(Array { kept: its, .. })
        | Kind::PercpuArray(PercpuArray { kept: its, .. })
        | Kind::Hash(Hash { kept: its, .. }) = &mut kind
        {
            *its = Kept(kept.clone());
        }
        Ok(Self { name: def.name.clone(), geometry, kind, kept, abandoned: AtomicBool::new(false) })
    }

    fn write_initial(&self, initial: &[u8]) -> Result<(), Error> {
        if let Kind::Arena(arena) = &self.kind {
            if initial.len() as u64 > arena.len() {
                return Err(self.error(Errno::E2BIG, "initial contents", "longer than the arena"));
            }
            arena.write_initial(initial);
            return Ok(());
        }
        if let Kind::StructOps(_) = &self.kind {
            return Ok(()); // its value comes with the programs, by an update
        }
        let Kind::Array(array) = &self.kind else {
            return Err(self.error(Errno::EINVAL, "initial contents", "only arrays and arenas have them"));
        };
        if initial.len() > self.geometry.value_size {
            return Err(self.error(Errno::E2BIG, "initial contents", "longer than value_size"));
        }
        array.write_initial(initial.into());
        Ok(())
    }

    pub(crate) fn ops(&self) -> &dyn Ops {
        match &self.kind {
            Kind::Arena(k) => k,
            Kind::Array(k) => k,
            Kind::BloomFilter(k) => k,
            Kind::PercpuArray(k) => k,
            Kind::Hash(k) => k,
            Kind::LpmTrie(k) => k,
            Kind::MapOfMaps(k) => &**k,
            Kind::PerfEventArray(k) => k,
            Kind::ProgArray(k) => k,
            Kind::Queue(k) => k,
            Kind::Ringbuf(k) => k,
            Kind::StackTrace(k) => k,
            Kind::StructOps(k) => k,
            Kind::UserRingbuf(k) => k,
            Kind::Devices(k) => k,
            Kind::Sockets(k) => k,
            Kind::Storage(k) => k,
        }
    }

    /// Name as given, not cut.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The domain that its CPUs are of: [`Config::domain`] of whoever made it.
    pub fn domain(&self) -> u64 {
        self.geometry.domain
    }

    /// Type.
    pub fn kind(&self) -> MapType {
        self.geometry.kind
    }

    /// Bytes of a key.
    pub fn key_size(&self) -> u32 {
        self.geometry.key_size as u32
    }

    /// Bytes of a value.
    pub fn value_size(&self) -> u32 {
        self.geometry.value_size as u32
    }

    /// Elements; bytes for ring buffers.
    pub fn max_entries(&self) -> u32 {
        self.geometry.max_entries
    }

    /// `map_extra` as given: a bloom filter's number of hashes.
    pub fn map_extra(&self) -> u64 {
        self.geometry.map_extra
    }

    /// Creation flags.
    pub fn flags(&self) -> MapFlags {
        self.geometry.flags
    }

    /// Virtual CPUs.
    pub fn cpus(&self) -> u32 {
        self.geometry.cpus
    }

    /// Whether each CPU has its own value.
    pub fn is_percpu(&self) -> bool {
        matches!(self.geometry.kind, MapType::PERCPU_ARRAY | MapType::PERCPU_HASH | MapType::LRU_PERCPU_HASH)
    }

    /// Bytes of a value as the host sees it: for per-CPU kinds all CPUs' values, each rounded up to 8.
    #[inline]
    pub fn host_value_size(&self) -> usize {
        if self.is_percpu() {
            self.geometry.stride * self.geometry.cpus as usize
        } else {
            self.geometry.value_size
        }
    }

    // --- Program side -----------------------------------------------------------------------------------

    /// The address of a key's value; for per-CPU kinds of the value of `cpu`
    /// (`bpf_map_lookup_elem`; with another CPU's number `bpf_map_lookup_percpu_elem`).
    ///
    /// The address stays readable memory as long as the map lives. After the element was deleted or
    /// replaced, the memory may hold another element's value: at once, or for a map that [`Self::waits_for_runs`]
    /// once the run has ended.
    #[inline]
    pub fn lookup(&self, key: Bytes<'_>, cpu: u32) -> Option<u64> {
        match &self.kind {
            Kind::Array(array) => array.lookup(key, cpu),
            Kind::Hash(hash) => hash.lookup(key, cpu),
            Kind::PercpuArray(array) => array.lookup(key, cpu),
            Kind::LpmTrie(trie) => trie.lookup(key, cpu),
            Kind::Devices(devices) => devices.lookup(key, cpu),
            Kind::BloomFilter(_)
            | Kind::MapOfMaps(_)
            | Kind::PerfEventArray(_)
            | Kind::ProgArray(_)
            | Kind::Queue(_)
            | Kind::Ringbuf(_)
            | Kind::StackTrace(_)
            | Kind::StructOps(_)
            | Kind::Arena(_)
            | Kind::UserRingbuf(_)
            | Kind::Sockets(_)
            | Kind::Storage(_) => None,
        }
    }

    /// Whether it is a hash, per CPU or not, with eviction or without.
    pub fn is_hash(&self) -> bool {
        matches!(self.kind, Kind::Hash(_)) && !self.is_of_maps()
    }

    /// As [`Self::lookup`] of a map that [`Self::is_hash`], put where it is called: with a key whose length is known there,
    /// hash and comparison are a few instructions.
    #[inline(always)]
    pub fn lookup_in_hash(&self, key: Bytes<'_>, cpu: u32) -> Option<u64> {
        match &self.kind {
            Kind::Hash(hash) => hash.lookup(key, cpu),
            _ => None,
        }
    }

    /// Whether elements that are taken out wait for the runs that may have found them, as in Linux: those of tries, and
    /// the maps in maps of maps. Hashes use theirs again at once.
    pub fn waits_for_runs(&self) -> bool {
        matches!(self.kind, Kind::LpmTrie(_) | Kind::MapOfMaps(_))
    }

    /// A run begins on `cpu`: until [`Self::end_run`] no element is used again that the run may find. Runs on a CPU
    /// may begin inside each other. Does nothing unless [`Self::waits_for_runs`].
    pub fn begin_run(&self, cpu: u32) {
        match &self.kind {
            Kind::LpmTrie(trie) => trie.begin_run(cpu),
            Kind::MapOfMaps(of) => of.begin_run(cpu),
            Kind::Array(_)
            | Kind::BloomFilter(_)
            | Kind::PercpuArray(_)
            | Kind::Hash(_)
            | Kind::PerfEventArray(_)
            | Kind::ProgArray(_)
            | Kind::Queue(_)
            | Kind::Ringbuf(_)
            | Kind::StackTrace(_)
            | Kind::StructOps(_)
            | Kind::Arena(_)
            | Kind::UserRingbuf(_)
            | Kind::Devices(_)
            | Kind::Sockets(_)
            | Kind::Storage(_) => {}
        }
    }

    /// A run ends, once for each that began.
    pub fn end_run(&self, cpu: u32) {
        match &self.kind {
            Kind::LpmTrie(trie) => trie.end_run(cpu),
            Kind::MapOfMaps(of) => of.end_run(cpu),
            Kind::Array(_)
            | Kind::BloomFilter(_)
            | Kind::PercpuArray(_)
            | Kind::Hash(_)
            | Kind::PerfEventArray(_)
            | Kind::ProgArray(_)
            | Kind::Queue(_)
            | Kind::Ringbuf(_)
            | Kind::StackTrace(_)
            | Kind::StructOps(_)
            | Kind::Arena(_)
            | Kind::UserRingbuf(_)
            | Kind::Devices(_)
            | Kind::Sockets(_)
            | Kind::Storage(_) => {}
        }
    }

    /// `bpf_map_update_elem` of a program that runs on `cpu`; for per-CPU kinds it writes that CPU's value.
    ///
    /// # Errors
    /// As the helper: `EINVAL` unknown flags, `EEXIST`, `ENOENT`, `E2BIG` full or an index outside; `EBUSY`
    /// when a run nested in another meets a lock of the outer one; `EPERM` on a `BPF_F_RDONLY_PROG` map and
    /// `EINVAL` for a key or value of the wrong length, which the verifier refuses earlier.
    pub fn update(&self, key: Bytes<'_>, value: Bytes<'_>, flags: u64, cpu: u32) -> Result<(), Errno> {
        if self.geometry.flags.has(MapFlags::RDONLY_PROG) {
            return Err(Errno::EPERM);
        }
        if key.len() != self.geometry.key_size || value.len() != self.geometry.value_size {
            return Err(Errno::EINVAL);
        }
        self.ops().update(key, value, flags, cpu)
    }

    /// `bpf_map_delete_elem` of a program that runs on `cpu`.
    ///
    /// # Errors
    /// As the helper: `ENOENT` when the key is absent, `EINVAL` for arrays; `EBUSY`, `EPERM` and `EINVAL` as
    /// for [`Self::update`].
    pub fn delete(&self, key: Bytes<'_>, cpu: u32) -> Result<(), Errno> {
        if self.geometry.flags.has(MapFlags::RDONLY_PROG) {
            return Err(Errno::EPERM);
        }
        if key.len() != self.geometry.key_size {
            return Err(Errno::EINVAL);
        }
        self.ops().delete(key, Owner::cpu(cpu))
    }

    /// `bpf_map_push_elem` of a program that runs on `cpu`.
    ///
    /// # Errors
    /// As the helper: `E2BIG` when a queue or stack is full, unless `flags` are `BPF_EXIST` (the oldest value goes),
    /// `EINVAL` other flags, kinds and lengths; `EBUSY` and `EPERM` as for [`Self::update`].
    pub fn push(&self, value: Bytes<'_>, flags: u64, cpu: u32) -> Result<(), Errno> {
        if self.geometry.flags.has(MapFlags::RDONLY_PROG) {
            return Err(Errno::EPERM);
        }
        match &self.kind {
            Kind::Queue(queue) if value.len() == self.geometry.value_size => {
                queue.push(value, flags, Owner::cpu(cpu))
            }
            Kind::BloomFilter(filter) if value.len() == self.geometry.value_size => filter.push(value, flags),
            _ => Err(Errno::EINVAL),
        }
    }

    /// `bpf_map_pop_elem` of a program that runs on `cpu`: the next value, taken out.
    ///
    /// # Errors
    /// As the helper: `ENOENT` when there is none, and then zeros are written; `EINVAL` other kinds and lengths;
    /// `EBUSY` and `EPERM` as for [`Self::update`].
    pub fn pop(&self, to: &mut BytesMut<'_>, cpu: u32) -> Result<(), Errno> {
        if self.geometry.flags.has(MapFlags::RDONLY_PROG) {
            return Err(Errno::EPERM);
        }
        self.next_value(to, true, Owner::cpu(cpu))
    }

    /// `bpf_map_peek_elem` of a program that runs on `cpu`: the next value, left where it is.
    ///
    /// # Errors
    /// As [`Self::pop`], but for `EPERM`.
    pub fn peek(&self, to: &mut BytesMut<'_>, cpu: u32) -> Result<(), Errno> {
        self.next_value(to, false, Owner::cpu(cpu))
    }

    /// `bpf_map_peek_elem` on a bloom filter: whether a value may have been added.
    ///
    /// # Errors
    /// As the helper: `ENOENT` when it was certainly not; `EINVAL` other kinds and lengths.
    pub fn peek_value(&self, value: Bytes<'_>) -> Result<(), Errno> {
        match &self.kind {
            Kind::BloomFilter(filter) if value.len() == self.geometry.value_size => filter.peek(value),
            _ => Err(Errno::EINVAL),
        }
    }

    fn next_value(&self, to: &mut BytesMut<'_>, take: bool, owner: Owner) -> Result<(), Errno> {
        match &self.kind {
            Kind::Queue(queue) if to.len() == self.geometry.value_size => queue.next(to, take, owner),
            _ => Err(Errno::EINVAL),
        }
    }

    /// `bpf_perf_event_output` of a program that runs on `cpu`: a record of two parts for the buffer in slot `index`.
    ///
    /// # Errors
    /// As the helper: `E2BIG` an index outside, `ENOENT` nobody reads, `EOPNOTSUPP` another CPU's slot, `ENOSPC` no
    /// room, which is counted; `E2BIG` also for a record of more than 65,500 bytes, which Linux writes cut;
    /// `EINVAL` for other kinds, `EBUSY` as for [`Self::update`].
    pub fn perf_output(&self, index: u32, parts: [Bytes<'_>; 2], cpu: u32) -> Result<(), Errno> {
        self.perf_event_array().ok_or(Errno::EINVAL)?.output(index, parts, cpu)
    }

    /// The number of a call chain (`bpf_get_stackid`), innermost address first, for a program on `cpu`; `flags` are the
    /// helper's for equality and replacement.
    ///
    /// # Errors
    /// As the helper: `EFAULT` no addresses, `EEXIST` another chain has the number, `ENOMEM` all entries are taken,
    /// `EINVAL` other kinds, `EBUSY` as for [`Self::update`].
    pub fn stack_id(&self, chain: &[u64], flags: u64, cpu: u32) -> Result<u32, Errno> {
        match &self.kind {
            Kind::StackTrace(traces) => traces.id(chain, flags, Owner::cpu(cpu)),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Most addresses of a call chain; 0 for other kinds.
    pub fn stack_depth(&self) -> usize {
        match &self.kind {
            Kind::StackTrace(traces) => traces.depth(),
            _ => 0,
        }
    }

    pub(crate) fn perf_event_array(&self) -> Option<&PerfEventArray> {
        match &self.kind {
            Kind::PerfEventArray(array) => Some(array),
            _ => None,
        }
    }

    /// The id of the program in a slot of a program array; `None` for an empty slot, an index outside and
    /// other kinds (`bpf_tail_call` then falls through).
    #[inline]
    pub fn get_program(&self, index: u32) -> Option<u32> {
        match &self.kind {
            Kind::ProgArray(array) => array.get(index),
            _ => None,
        }
    }

    /// The producer side of a ring buffer.
    #[inline]
    pub fn ringbuf(&self) -> Option<&Ringbuf> {
        match &self.kind {
            Kind::Ringbuf(ringbuf) => Some(ringbuf),
            _ => None,
        }
    }

    /// The memory of the values, of which a guest may be granted what is no gap between them.
    /// For ring buffers the data range; `None` for kinds that programs reach no values of.
    pub fn value_area(&self) -> Option<Area> {
        let flags = self.geometry.flags;
        self.ops().values().map(|(addr, len)| Area {
            addr,
            len,
            parts: self.ops().values_apart().map(|step| (step, self.geometry.stride)),
            read: !flags.has(MapFlags::WRONLY_PROG),
            write: !flags.has(MapFlags::RDONLY_PROG),
        })
    }

    /// The elements of a hash, as far as others' unfinished operations let one say; 0 for kinds that do not count them
    /// (`bpf_map_sum_elem_count`).
    pub fn element_count(&self) -> u64 {
        match &self.kind {
            Kind::Hash(hash) => hash.element_count().into(),
            Kind::MapOfMaps(maps) => maps.element_count().into(),
            _ => 0,
        }
    }

    /// The arena, if it is one.
    pub fn arena(&self) -> Option<&Arena> {
        match &self.kind {
            Kind::Arena(arena) => Some(arena),
            _ => None,
        }
    }

    /// Where the values of an array stand, for engines that compute their addresses themselves.
    pub fn array(&self) -> Option<ArrayGeometry> {
        match &self.kind {
            Kind::Array(array) => Some(array.geometry()),
            _ => None,
        }
    }

    /// Address of a program array's slots, numbers of 32 bits that others write, and how many there are.
    pub fn program_slots(&self) -> Option<(u64, u32)> {
        match &self.kind {
            Kind::ProgArray(array) => Some((array.slots(), self.geometry.max_entries)),
            _ => None,
        }
    }

    /// As [`Self::array`], of a per-CPU array's values of a CPU.
    pub fn percpu_array(&self, cpu: u32) -> Option<ArrayGeometry> {
        match &self.kind {
            Kind::PercpuArray(array) => array.geometry(cpu),
            _ => None,
        }
    }

    /// The consumer of a ring buffer; there is at most one in a process.
    ///
    /// # Errors
    /// `EINVAL` for other kinds, `EBUSY` when there is one already.
    pub fn consumer(self: &Arc<Self>) -> Result<Consumer, Error> {
        if self.ringbuf().is_none() {
            return Err(self.error(Errno::EINVAL, "consume", "it is no ring buffer"));
        }
        Consumer::new(self.clone())
            .ok_or_else(|| self.error(Errno::EBUSY, "consume", "there is a consumer already: drop it first"))
    }

    /// The reader of a perf event array, with a buffer of `size` bytes for each CPU, rounded up to a power of two of
    /// at least a page; there is at most one in a process.
    ///
    /// # Errors
    /// `EINVAL` for other kinds, `EBUSY` when there is one already, `ENOMEM`.
    pub fn perf_reader(self: &Arc<Self>, size: usize) -> Result<PerfReader, Error> {
        PerfReader::new(self.clone(), size).map_err(|e| {
            let why = match e {
                Errno::EINVAL => "it is no perf event array",
                Errno::EBUSY => "there is a reader already: drop it first",
                _ => e.text(),
            };
            self.error(e, "read", why)
        })
    }

    /// Adds a sink that every record of a perf event array wakes as long as the map lives; other kinds drop it.
    pub fn add_perf_wake(&self, sink: alloc::boxed::Box<dyn Wake>) {
        if let Some(array) = self.perf_event_array() {
            array.add_wake(sink);
        }
    }

    pub(crate) fn may_read(&self, op: &str) -> Result<(), Error> {
        if self.geometry.flags.has(MapFlags::WRONLY) {
            return Err(self.error(Errno::EPERM, op, "it was created with BPF_F_WRONLY"));
        }
        Ok(())
    }

    pub(crate) fn may_write(&self, op: &str) -> Result<(), Error> {
        if self.geometry.flags.has(MapFlags::RDONLY) {
            return Err(self.error(Errno::EPERM, op, "it was created with BPF_F_RDONLY"));
        }
        if self.is_frozen() {
            return Err(self.error(Errno::EPERM, op, "it is frozen"));
        }
        Ok(())
    }

    pub(crate) fn no_lock(&self, op: &str, flags: u64) -> Result<(), Error> {
        if flags & UpdateFlags::LOCK != 0 && self.geometry.spin_lock.is_none() {
            return Err(self.error(Errno::EINVAL, op, "BPF_F_LOCK, but the value has no bpf_spin_lock"));
        }
        Ok(())
    }

    pub(crate) fn key_length(&self, op: &str, key: &[u8]) -> Result<(), Error> {
        if key.len() != self.geometry.key_size {
            let why = format!("the key has {} bytes, the map's have {}", key.len(), self.geometry.key_size);
            return Err(self.error(Errno::EINVAL, op, &why));
        }
        Ok(())
    }

    /// What an update asks of any kind.
    pub(crate) fn check_update(&self, op: &str, key: &[u8], value: &[u8], flags: u64) -> Result<(), Error> {
        self.may_write(op)?;
        self.no_lock(op, flags)?;
        self.key_length(op, key)?;
        self.value_length(op, value)
    }

    fn value_length(&self, op: &str, value: &[u8]) -> Result<(), Error> {
        let size = self.host_value_size();
        if value.len() != size {
            let why = format!("the value has {} bytes, the map's have {size}", value.len());
            return Err(self.error(Errno::EINVAL, op, &why));
        }
        Ok(())
    }

    /// What an error number of a kind's operation means.
    pub(crate) fn words(&self, errno: Errno) -> &'static str {
        let hash = matches!(self.kind, Kind::Hash(_));
        let queue = matches!(self.kind, Kind::Queue(_));
        match errno {
            Errno::ENOENT if matches!(self.kind, Kind::StackTrace(_)) => "no such stack",
            Errno::ENOENT if matches!(self.kind, Kind::BloomFilter(_)) => "the value was not added",
            Errno::EOPNOTSUPP => "the kind has no such operation",
            Errno::ENOENT if queue => "it is empty",
            Errno::E2BIG if queue => "it is full: max_entries values; BPF_EXIST drops the oldest",
            Errno::ENOENT => "no such key",
            Errno::EBADF => "the value is no descriptor of a map of this backend",
            Errno::EEXIST if hash || matches!(self.kind, Kind::LpmTrie(_)) => "the key exists already",
            Errno::EEXIST => "the elements of an array always exist, BPF_NOEXIST cannot succeed",
            Errno::E2BIG if hash => "the map is full: max_entries elements",
            Errno::E2BIG => "the index is not below max_entries",
            Errno::ENOSPC => "the map is full: max_entries elements",
            Errno::EBUSY if matches!(self.kind, Kind::StructOps(_)) => {
                "it has its value, and never gets another"
            }
            Errno::EINPROGRESS => "its value was deleted already",
            Errno::EINVAL => "unknown flags, or an operation that the kind does not have",
            Errno::EBUSY => "an element's lock stays taken",
            Errno::ENOTSUPP => "the kind has no such operation",
            _ => errno.text(),
        }
    }

    #[cold]
    pub(crate) fn error(&self, errno: Errno, op: &str, why: &str) -> Error {
        let kind = self.geometry.kind.name().unwrap_or("map");
        Error::new(errno, format!("{kind} map `{}`: {op}: {why}", self.name))
    }
}
