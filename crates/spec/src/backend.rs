//! The seam between skep and whatever runs programs: shaped like `bpf(2)`, object-safe, bytes in and
//! bytes out.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use skep_abi::{MapType, ProgramType};

use crate::{CloneRedirect, Errno, MapDef, ProgramSpec, Redirect, ValueMemory};

/// A failed operation: a Linux error number and words that name what failed and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The error number, the same on both backends.
    pub errno: Errno,
    /// What failed and what to do.
    pub message: String,
}

impl Error {
    /// An error with words.
    #[cold]
    pub fn new(errno: Errno, message: impl Into<String>) -> Self {
        Self { errno, message: message.into() }
    }
}

impl From<Errno> for Error {
    #[cold]
    fn from(errno: Errno) -> Self {
        Self { errno, message: errno.text().into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{:?}]", self.message, self.errno)
    }
}

impl core::error::Error for Error {}

/// A program that did not load.
#[derive(Clone, Debug)]
pub struct LoadError {
    /// Why.
    pub error: Error,
    /// The verifier's log, if it got as far.
    pub log: String,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl core::error::Error for LoadError {}

/// How to load a program.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadOptions {
    /// Log level as in `bpf(2)`: 0 none, 1 on failure and summary, 2 every instruction, 4 statistics.
    pub log_level: u32,
}

/// What a map looks like from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapInfo {
    /// Id, ascending, unique in the backend.
    pub id: u32,
    /// Name.
    pub name: String,
    /// Type.
    pub kind: MapType,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value.
    pub value_size: u32,
    /// Elements; bytes for ring buffers.
    pub max_entries: u32,
    /// Creation flags.
    pub flags: u32,
    /// Type-dependent number (`map_extra`).
    pub map_extra: u64,
}

/// What a loaded program looks like from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramInfo {
    /// Id, ascending, unique in the backend.
    pub id: u32,
    /// Name.
    pub name: String,
    /// Type.
    pub prog_type: ProgramType,
    /// Instructions that the verifier processed.
    pub insns_processed: u32,
    /// Time of the verifier alone, where the backend knows it.
    pub verify_time: Option<Duration>,
    /// The verifier's log, if loading asked for one.
    pub log: String,
    /// Bytes of its instructions, as whoever runs it has them; 0 where the backend does not tell.
    pub xlated_bytes: u32,
    /// Its native code, if it has some.
    pub native: Option<NativeInfo>,
    /// Why it has none, where the backend could have made some.
    pub interpreted: Option<String>,
}

/// The native code of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NativeInfo {
    /// Bytes.
    pub bytes: u32,
    /// Time that making it took, where the backend knows it.
    pub compile_time: Option<Duration>,
}

/// A test run's input (`BPF_PROG_TEST_RUN`).
#[derive(Clone, Copy, Debug, Default)]
pub struct RunInput<'a> {
    /// Packet bytes.
    pub data: &'a [u8],
    /// Context bytes, for types that take one.
    pub ctx: &'a [u8],
    /// How often to run; 0 counts as 1.
    pub repeat: u32,
}

/// A test run's output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunOutput {
    /// `r0` of the last run, its low 32 bits as the kernel returns them.
    pub retval: u32,
    /// The packet afterwards.
    pub data: Vec<u8>,
    /// The context afterwards.
    pub ctx: Vec<u8>,
    /// Mean time of a run.
    pub duration: Duration,
    /// Where the last run wanted the packet to go. Linux does not tell.
    pub redirect: Option<Redirect>,
    /// Copies of the packet that the last run sent. Linux has sent them, and does not tell.
    pub clones: Vec<CloneRedirect>,
}

/// What an attached program has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunStats {
    /// Runs.
    pub runs: u64,
    /// Events that were lost before the program could see them.
    pub dropped: u64,
    /// Runs that ended in a trap or ran out of fuel.
    pub faults: u64,
}

/// Elements of a map, one after another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Keys.
    pub keys: Vec<u8>,
    /// As many values, each as [`BackendMap::lookup`] gives it.
    pub values: Vec<u8>,
    /// How many there are.
    pub count: u32,
    /// What the next batch is asked for with; `None` when there are no more.
    pub next: Option<Vec<u8>>,
}

/// A map of a backend. Dropping the last handle releases it once no program uses it.
pub trait BackendMap: Send + Sync {
    /// Description.
    fn info(&self) -> MapInfo;
    /// The value of a key; for per-CPU maps the values of all CPUs in order, each rounded up to 8 bytes. A bloom filter
    /// is asked for a value, which stands in the key's place, and gives it back.
    ///
    /// # Errors
    /// `ENOENT` when the key is absent, `EINVAL` for a key of the wrong size.
    fn lookup(&self, key: &[u8], flags: u64) -> Result<Vec<u8>, Error>;
    /// Adds or replaces an element; per-CPU values as in [`Self::lookup`].
    ///
    /// # Errors
    /// As `BPF_MAP_UPDATE_ELEM`.
    fn update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Error>;
    /// Writes into the value of a key, from a byte of it on, and nothing beside it: a program may write the rest of the
    /// value meanwhile. 1, 2, 4 and 8 bytes at a multiple of their number change at once.
    ///
    /// # Errors
    /// `ENOTSUPP` for maps that are not arrays, `EINVAL` outside the value, `EPERM` when the map is frozen or read-only.
    /// In the kernel a map without `BPF_F_MMAPABLE` is not mapped: there the whole value is read and written.
    fn write_value(&self, key: &[u8], off_bytes: usize, bytes: &[u8]) -> Result<(), Error>;
    /// The value of a key where it stands; of per-CPU maps that of `cpu`.
    ///
    /// # Errors
    /// `ENOENT` when the key is absent, `EINVAL` for a key of the wrong size, a CPU that is not there, and a per-CPU map
    /// without one; `ENOTSUPP` for kinds that are neither arrays nor hashes, and in the kernel for all but arrays that are
    /// mapped (`BPF_F_MMAPABLE`).
    fn view(&self, key: &[u8], cpu: Option<u32>) -> Result<Box<dyn ValueMemory>, Error>;
    /// Deletes an element.
    ///
    /// # Errors
    /// As `BPF_MAP_DELETE_ELEM`.
    fn delete(&self, key: &[u8]) -> Result<(), Error>;
    /// The value of a key, taken out; queues and stacks have no keys and give the next value.
    ///
    /// # Errors
    /// As `BPF_MAP_LOOKUP_AND_DELETE_ELEM`: `ENOENT` when there is none, `ENOTSUPP` for kinds without it.
    fn lookup_and_delete(&self, key: &[u8]) -> Result<Vec<u8>, Error>;
    /// The key after `key`, the first for `None` and for a key that is absent.
    ///
    /// # Errors
    /// `ENOENT` after the last.
    fn next_key(&self, key: Option<&[u8]>) -> Result<Vec<u8>, Error>;
    /// The elements behind a batch, the first for `None`: at most `most`. With `take` they leave the map. Elements that others
    /// insert or delete meanwhile may be among them or not; in a hash no other is missed or met twice.
    ///
    /// # Errors
    /// As `BPF_MAP_LOOKUP_BATCH` and `BPF_MAP_LOOKUP_AND_DELETE_BATCH`, but for the end, which is no error: `ENOSPC` when
    /// `most` is less than what a hash has in one bucket, `ENOTSUPP` for kinds without batches.
    fn lookup_batch(&self, after: Option<&[u8]>, most: u32, flags: u64, take: bool) -> Result<Batch, Error>;
    /// Adds or replaces elements, in order; gives how many were, and why the next was not
    /// (`BPF_MAP_UPDATE_BATCH`).
    fn update_batch(&self, keys: &[u8], values: &[u8], flags: u64) -> (u32, Result<(), Error>);
    /// Deletes elements, in order; gives how many were, and why the next was not (`BPF_MAP_DELETE_BATCH`).
    fn delete_batch(&self, keys: &[u8], flags: u64) -> (u32, Result<(), Error>);
    /// Ends writes from user space.
    ///
    /// # Errors
    /// As `BPF_MAP_FREEZE`.
    fn freeze(&self) -> Result<(), Error>;
    /// Puts a program into a slot of a program array.
    ///
    /// # Errors
    /// As `BPF_MAP_UPDATE_ELEM`; `EINVAL` for other kinds or a program of another backend.
    fn set_program(&self, index: u32, program: &dyn BackendProgram) -> Result<(), Error>;
    /// Fills an element of a devmap, where `target` is the interface, or of a cpumap, where it is the length of the CPU's
    /// queue, with a program that packets run through there: an XDP program of attach type `BPF_XDP_DEVMAP` or
    /// `BPF_XDP_CPUMAP`, for which values must have 8 bytes.
    ///
    /// # Errors
    /// As `BPF_MAP_UPDATE_ELEM`: `EINVAL` (of a cpumap `ENOMEM`) for a program that is not such a one, or not like the map's
    /// others; `EINVAL` for other kinds, a program without room for it, or one of another backend.
    fn set_target(
        &self,
        key: &[u8],
        target: u32,
        program: Option<&dyn BackendProgram>,
        flags: u64,
    ) -> Result<(), Error>;
    /// Puts a map into an element of a map of maps.
    ///
    /// # Errors
    /// As `BPF_MAP_UPDATE_ELEM`: `EINVAL` for a map that does not look like the inner one; `EINVAL` for other kinds or a
    /// map of another backend.
    fn set_map(&self, key: &[u8], map: &dyn BackendMap) -> Result<(), Error>;
    /// A consumer of a ring buffer.
    ///
    /// # Errors
    /// `EINVAL` for other kinds, `EBUSY` when there is one already.
    fn reader(&self) -> Result<Box<dyn ByteReader>, Error>;
    /// The producer of a user ring buffer.
    ///
    /// # Errors
    /// `EINVAL` for other kinds, `EBUSY` when there is one already.
    fn producer(&self) -> Result<Box<dyn RingProducer>, Error>;
    /// A reader of a perf event array, with a buffer of `size` bytes for each CPU, rounded up to a power of two of at
    /// least a page. Programs' records are lost while there is none.
    ///
    /// # Errors
    /// `EINVAL` for other kinds, `EBUSY` when there is one already.
    fn perf_reader(&self, size: usize) -> Result<Box<dyn PerfEventReader>, Error>;
    /// Bytes of an arena, from `off` on.
    ///
    /// # Errors
    /// `EINVAL` for other kinds, and outside of it; `EFAULT` where there is no memory yet and none comes by itself
    /// (`BPF_F_SEGV_ON_FAULT`).
    fn arena_read(&self, off: u64, out: &mut [u8]) -> Result<(), Error>;
    /// Writes bytes of an arena, from `off` on.
    ///
    /// # Errors
    /// As [`Self::arena_read`].
    fn arena_write(&self, off: u64, bytes: &[u8]) -> Result<(), Error>;
    /// The descriptor, where there is one.
    fn raw_fd(&self) -> Option<i32>;
    /// For the backend's own use.
    fn as_any(&self) -> &dyn core::any::Any;
}

/// What a reader of a perf event array finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PerfRecord<'r> {
    /// What a program wrote.
    Sample {
        /// The CPU that it ran on.
        cpu: u32,
        /// The record. Linux pads it to 4 more than a multiple of 8.
        data: &'r [u8],
    },
    /// Records that did not fit since the last time.
    Lost {
        /// The CPU whose buffer was full.
        cpu: u32,
        /// How many.
        count: u64,
    },
}

/// A reader of the records that programs write to a perf event array. Records of one CPU come in order.
pub trait PerfEventReader: Send {
    /// Hands everything that is ready to `each`, without waiting; returns how many records there were.
    ///
    /// # Errors
    /// When what is in a buffer makes no sense.
    fn poll(&mut self, each: &mut dyn FnMut(PerfRecord<'_>)) -> Result<usize, Error>;
    /// Waits until something is ready or the time has passed; says whether something is.
    ///
    /// # Errors
    /// As `poll(2)`.
    fn wait(&mut self, timeout: Duration) -> Result<bool, Error>;
    /// A descriptor that becomes readable with new records, where there is one.
    fn raw_fd(&self) -> Option<i32>;
}

/// A consumer of records.
pub trait ByteReader: Send {
    /// Hands every record that is ready to `each`, without waiting; returns how many.
    ///
    /// # Errors
    /// When the producer's positions make no sense.
    fn poll(&mut self, each: &mut dyn FnMut(&[u8])) -> Result<usize, Error>;
    /// Waits until a record is ready or the time has passed; says whether one is.
    ///
    /// # Errors
    /// As `poll(2)`.
    fn wait(&mut self, timeout: Duration) -> Result<bool, Error>;
    /// A descriptor that becomes readable with new records, where there is one.
    fn raw_fd(&self) -> Option<i32>;
}

/// A sample of a user ring buffer that is being written: its producer's [`RingProducer::submit`] or
/// [`RingProducer::discard`] ends that, or dropping the producer.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct RingSample {
    id: u64,
    len: u32,
}

impl RingSample {
    /// A sample of `len` bytes under a number of its producer's.
    pub fn new(id: u64, len: u32) -> Self {
        Self { id, len }
    }

    /// The producer's number for it.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Bytes.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The error of a sample that is none of its producer's.
    #[cold]
    pub fn foreign(map: &str) -> Error {
        Error::new(Errno::EINVAL, alloc::format!("user ring buffer `{map}`: another producer's sample"))
    }
}

/// The producer of a user ring buffer (libbpf's `struct user_ring_buffer`). Programs drain samples in the order of
/// reservation.
pub trait RingProducer: Send {
    /// Room for a sample (`user_ring_buffer__reserve`).
    ///
    /// # Errors
    /// `E2BIG` larger than the ring, `ENOSPC` no room until programs have drained.
    fn reserve(&mut self, len: u32) -> Result<RingSample, Error>;
    /// Writes into a sample, from a byte of it on.
    ///
    /// # Errors
    /// `EINVAL` outside the sample, and for one of another producer.
    fn write(&mut self, sample: &RingSample, off_bytes: usize, bytes: &[u8]) -> Result<(), Error>;
    /// Gives a sample to programs.
    fn submit(&mut self, sample: RingSample);
    /// Gives a sample up: programs skip it.
    fn discard(&mut self, sample: RingSample);
    /// Waits until there is room for a sample of `len` bytes or the time has passed; says whether there is
    /// (`user_ring_buffer__reserve_blocking`).
    ///
    /// # Errors
    /// As `poll(2)`.
    fn wait(&mut self, len: u32, timeout: Duration) -> Result<bool, Error>;
    /// A descriptor that becomes ready when programs have drained, where there is one.
    fn raw_fd(&self) -> Option<i32>;
}

/// A loaded program.
pub trait BackendProgram: Send + Sync {
    /// Description.
    fn info(&self) -> ProgramInfo;
    /// Runs on given bytes.
    ///
    /// # Errors
    /// As `BPF_PROG_TEST_RUN`.
    fn test_run(&self, input: RunInput<'_>) -> Result<RunOutput, Error>;
    /// The descriptor, where there is one.
    fn raw_fd(&self) -> Option<i32>;
    /// For the backend's own use.
    fn as_any(&self) -> &dyn core::any::Any;
}

/// An attached program; dropping it detaches.
pub trait BackendLink: Send {
    /// What has happened so far.
    fn stats(&self) -> RunStats;
    /// For sources that end (captures): whether the source has ended; waits for at most `timeout`.
    ///
    /// # Errors
    /// The source's, once.
    fn wait(&mut self, timeout: Duration) -> Result<bool, Error>;
}

/// Something that runs programs.
pub trait Backend: Send + Sync {
    /// `user` or `linux`.
    fn name(&self) -> &'static str;
    /// Creates a map; its initial contents are written and it is frozen if the definition says so.
    ///
    /// # Errors
    /// As `BPF_MAP_CREATE`.
    fn create_map(&self, def: &MapDef) -> Result<Arc<dyn BackendMap>, Error>;
    /// The map that is pinned at a path; `None` when there is nothing.
    ///
    /// # Errors
    /// As `BPF_OBJ_GET`; `EOPNOTSUPP` on a backend without pins.
    fn pinned_map(&self, path: &str) -> Result<Option<Arc<dyn BackendMap>>, Error>;
    /// Pins a map: it stays while the path does.
    ///
    /// # Errors
    /// As `BPF_OBJ_PIN`: `EEXIST` when the path is taken, `EINVAL` when it is on no file system of BPF's;
    /// `EOPNOTSUPP` on a backend without pins.
    fn pin_map(&self, map: &dyn BackendMap, path: &str) -> Result<(), Error>;
    /// Verifies and loads a program; `maps[i]` stands for `spec.maps[i]`.
    ///
    /// # Errors
    /// As `BPF_PROG_LOAD`, with the verifier's log.
    fn load(
        &self,
        spec: &ProgramSpec,
        maps: &[Arc<dyn BackendMap>],
        options: LoadOptions,
    ) -> Result<Arc<dyn BackendProgram>, LoadError>;
    /// Verifies and loads a program that replaces a function of another (`BPF_PROG_TYPE_EXT`, `attach_prog_fd`): of
    /// `extended`, the function that `spec.attach_btf_id` or else `spec.attach_target` names.
    ///
    /// # Errors
    /// As `BPF_PROG_LOAD`, with the verifier's log; `EINVAL` for a program that is no extension or was loaded without types,
    /// `ESRCH` for a function that it does not have; `EOPNOTSUPP` on a backend without such programs.
    fn load_extension(
        &self,
        spec: &ProgramSpec,
        maps: &[Arc<dyn BackendMap>],
        extended: &Arc<dyn BackendProgram>,
        options: LoadOptions,
    ) -> Result<Arc<dyn BackendProgram>, LoadError>;
    /// Gives the kernel a set of functions. `value` is that of the `struct_ops` map, and `functions` the programs that
    /// pointers in it are to point to, by their bytes. Dropping the link takes them back.
    ///
    /// # Errors
    /// As `BPF_MAP_UPDATE_ELEM` and `BPF_LINK_CREATE`: `EEXIST` for a name that is taken, `EINVAL` for a value that the
    /// kernel's part refuses.
    fn attach_struct_ops(
        &self,
        map: &Arc<dyn BackendMap>,
        value: &[u8],
        functions: &[(u32, Arc<dyn BackendProgram>)],
    ) -> Result<Box<dyn BackendLink>, Error>;
    /// Attaches a socket filter to a raw socket on a network interface.
    ///
    /// # Errors
    /// `ENODEV` for an unknown interface, `EPERM` without `CAP_NET_RAW`.
    fn attach_socket(
        &self,
        program: &Arc<dyn BackendProgram>,
        interface: &str,
    ) -> Result<Box<dyn BackendLink>, Error>;
}
