//! What the operating system gives, with what there is instead where it is not Linux.

use std::time::Duration;

use skep_maps::{Config, Memory};

#[cfg(target_os = "linux")]
mod imp {
    use std::io;
    use std::os::fd::{AsFd, AsRawFd, OwnedFd};
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use skep_maps::Wake;
    use skep_spec::Error;

    use crate::sys;

    pub(crate) use sys::fd::{first_bytes, is_file};
    pub(crate) use sys::memfd::Memfds as MapMemory;
    pub(crate) use sys::slots::{Table, peers_in, peers_of_fd};
    pub(crate) use sys::task::{comm, task, uid_gid};
    pub(crate) use sys::time::{boot_ns, coarse_ns, monotonic_ns, real_ns, tai_ns};

    /// Wakes a thread that waits for records: an eventfd.
    #[derive(Clone)]
    pub(crate) struct Bell(Arc<OwnedFd>);

    impl Bell {
        pub(crate) fn new() -> io::Result<Self> {
            Ok(Self(Arc::new(sys::fd::eventfd()?)))
        }

        pub(crate) fn wait(&self, timeout: Duration) -> io::Result<()> {
            sys::fd::wait_readable([self.0.as_fd(), self.0.as_fd()], timeout).map(drop)
        }

        /// Forgets rings so far.
        pub(crate) fn silence(&self) {
            sys::fd::drain(self.0.as_fd());
        }

        pub(crate) fn raw_fd(&self) -> Option<i32> {
            Some(self.0.as_raw_fd())
        }

        /// One that another process has handed on.
        pub(crate) fn of_fd(fd: OwnedFd) -> io::Result<Self> {
            sys::fd::never_block(&fd)?;
            Ok(Self(Arc::new(fd)))
        }

        /// Its descriptor, for another process.
        pub(crate) fn fd(&self) -> io::Result<OwnedFd> {
            self.0.try_clone()
        }

        /// The one that all processes ring which use a pinned ring buffer.
        pub(crate) fn of_pinned(path: &Path) -> Result<Self, Error> {
            Ok(Self(Arc::new(sys::folder::bell(path)?)))
        }
    }

    /// Whether maps are pinned in a folder.
    pub(crate) fn is_folder_of_pins(folder: &Path) -> bool {
        sys::folder::Table::is_in(folder)
    }

    /// Gives a map a name in its folder.
    pub(crate) fn pin(memory: &MapMemory, path: &Path, bell: bool) -> Result<(), Error> {
        let (metadata, payload) = memory.parts().ok_or(skep_spec::Errno::EINVAL)?;
        sys::folder::pin(path, metadata, payload, bell)
    }

    /// What is pinned at a path: its memory, and the first bytes of it.
    pub(crate) fn open_pinned(path: &Path, header: usize) -> Result<Option<(MapMemory, Vec<u8>)>, Error> {
        let pinned = sys::folder::open(path, header)?;
        Ok(pinned.map(|p| (MapMemory::opened(p.metadata, p.payload), p.header)))
    }

    impl Wake for Bell {
        fn wake(&self) {
            sys::fd::signal(self.0.as_fd());
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::io;
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::time::{Duration, Instant};

    use skep_maps::{Heap, Memory, Wake};
    use skep_spec::{Errno, Error};

    /// Private memory.
    #[derive(Default)]
    pub(crate) struct MapMemory;

    impl MapMemory {
        pub(crate) fn new(_: &str) -> Self {
            Self
        }

        pub(crate) fn raw_fd(&self) -> Option<i32> {
            None
        }

        pub(crate) fn in_folder(_: &str, _: &Path) -> Self {
            Self
        }

        pub(crate) fn folder(&self) -> Option<&Path> {
            None
        }

        pub(crate) fn refused(&self) -> Option<String> {
            None
        }

        pub(crate) fn as_memory(&self) -> &dyn Memory {
            &Heap
        }
    }

    #[cold]
    fn no_pins() -> Error {
        Error::new(Errno::EOPNOTSUPP, "maps are pinned on Linux only")
    }

    pub(crate) fn is_folder_of_pins(_: &Path) -> bool {
        false
    }

    pub(crate) fn peers_in(_: &Path) -> Result<(&'static dyn skep_maps::Peers, u64), Error> {
        Err(no_pins())
    }

    pub(crate) fn pin(_: &MapMemory, _: &Path, _: bool) -> Result<(), Error> {
        Err(no_pins())
    }

    pub(crate) fn open_pinned(_: &Path, _: usize) -> Result<Option<(MapMemory, Vec<u8>)>, Error> {
        Err(no_pins())
    }

    /// Virtual CPUs in this process's own memory.
    pub(crate) struct Table(Box<[Line]>, u64);

    /// A slot on a cache line of its own.
    #[derive(Default)]
    #[repr(align(64))]
    struct Line(AtomicU64);

    impl Table {
        pub(crate) fn new(cpus: u32, domain: u64) -> Self {
            Self((0..cpus).map(|_| Line::default()).collect(), domain)
        }

        pub(crate) fn in_folder(_: &Path, _: u32, _: u64) -> Result<Self, Error> {
            Err(no_pins())
        }

        pub(crate) fn peers(&self) -> Option<&'static dyn skep_maps::Peers> {
            None
        }

        pub(crate) fn domain(&self) -> u64 {
            self.1
        }

        pub(crate) fn len(&self) -> usize {
            self.0.len()
        }

        pub(crate) fn slot(&self, cpu: usize) -> &AtomicU64 {
            &self.0[cpu].0
        }

        pub(crate) fn process(&self) -> u32 {
            1
        }

        pub(crate) fn is_dead(&self, _: u32) -> bool {
            false
        }
    }

    /// Since the first call.
    pub(crate) fn monotonic_ns() -> u64 {
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        START.get_or_init(Instant::now).elapsed().as_nanos() as u64
    }

    pub(crate) fn boot_ns() -> u64 {
        monotonic_ns()
    }

    pub(crate) fn coarse_ns() -> u64 {
        monotonic_ns()
    }

    /// The wall clock, without what leap seconds differ.
    pub(crate) fn tai_ns() -> u64 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(0, |d| d.as_nanos() as u64)
    }

    pub(crate) fn real_ns() -> u64 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(0, |d| d.as_nanos() as u64)
    }

    /// The process; threads have no numbers here.
    pub(crate) fn task() -> skep_vm::Task {
        skep_vm::Task { pid: std::process::id(), tgid: std::process::id() }
    }

    pub(crate) fn uid_gid() -> (u32, u32) {
        (0, 0)
    }

    pub(crate) fn comm() -> [u8; skep_vm::COMM_BYTES] {
        [0; skep_vm::COMM_BYTES]
    }

    /// Wakes a thread that waits for records; it looks every millisecond.
    #[derive(Clone)]
    pub(crate) struct Bell(Arc<AtomicBool>);

    impl Bell {
        pub(crate) fn new() -> io::Result<Self> {
            Ok(Self(Arc::default()))
        }

        pub(crate) fn wait(&self, timeout: Duration) -> io::Result<()> {
            let start = Instant::now();
            while !self.0.load(Ordering::Acquire) && start.elapsed() < timeout {
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(())
        }

        pub(crate) fn silence(&self) {
            self.0.store(false, Ordering::Release);
        }

        pub(crate) fn raw_fd(&self) -> Option<i32> {
            None
        }

        pub(crate) fn of_pinned(_: &Path) -> Result<Self, Error> {
            Err(no_pins())
        }
    }

    impl Wake for Bell {
        fn wake(&self) {
            self.0.store(true, Ordering::Release);
        }
    }
}

pub(crate) use imp::{
    Bell, MapMemory, Table, boot_ns, coarse_ns, comm, is_folder_of_pins, monotonic_ns, open_pinned, peers_in,
    pin, real_ns, tai_ns, task, uid_gid,
};

#[cfg(target_os = "linux")]
pub(crate) use imp::{first_bytes, is_file, peers_of_fd};

#[cfg(target_os = "linux")]
pub(crate) use crate::sys::objects::{has_ended, has_interface, object, socket, task_object};

/// Elsewhere there are no such descriptors, and only the loopback interface.
#[cfg(not(target_os = "linux"))]
mod objects {
    use skep_abi::MapType;
    use skep_maps::Object;
    use skep_spec::Errno;

    pub(crate) fn object(_: MapType, _: i32) -> Result<Object, Errno> {
        Err(Errno::EBADF)
    }

    pub(crate) fn has_ended(_: Object) -> bool {
        false
    }

    pub(crate) fn socket(_: u64) -> Result<u64, Errno> {
        Err(Errno::EBADF)
    }

    pub(crate) fn has_interface(ifindex: u32) -> bool {
        ifindex == 1
    }

    pub(crate) fn task_object() -> Object {
        let task = super::task();
        [0, task.pid.into()]
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) use objects::{has_ended, has_interface, object, socket, task_object};

/// The memory of a map, as `maps` takes it.
#[cfg(target_os = "linux")]
pub(crate) fn memory(memory: &MapMemory) -> &dyn Memory {
    memory
}

/// The memory of a map, as `maps` takes it.
#[cfg(not(target_os = "linux"))]
pub(crate) fn memory(memory: &MapMemory) -> &dyn Memory {
    memory.as_memory()
}

/// Bytes of a page, which the bytes of a ring buffer are a multiple of.
pub fn page_size() -> u32 {
    u32::try_from(memory(&MapMemory::new("")).page_size()).unwrap_or(4096)
}

/// How threads of this process wait for others in maps.
pub(crate) fn config(cpus: u32) -> Config {
    Config { relax: std::thread::yield_now, sleep, ..Config::new(cpus) }
}

/// Sleeps for so many microseconds.
pub(crate) fn sleep(micros: u32) {
    std::thread::sleep(Duration::from_micros(micros.into()));
}

/// What is left of a timeout.
pub(crate) fn left(start: std::time::Instant, timeout: Duration) -> Option<Duration> {
    timeout.checked_sub(start.elapsed()).filter(|d| !d.is_zero())
}
