//! What the operating system gives, with what there is instead where it is not Linux.

use std::time::Duration;

use skep_maps::Memory;

#[cfg(target_os = "linux")]
mod imp {
    use std::io;
    use std::os::fd::{AsFd, AsRawFd, OwnedFd};
    use std::sync::Arc;
    use std::time::Duration;

    use skep_maps::Wake;

    use crate::sys;

    pub(crate) use sys::memfd::Memfds as MapMemory;
    pub(crate) use sys::slots::Table;
    pub(crate) use sys::task::{comm, task, uid_gid};
    pub(crate) use sys::time::{boot_ns, coarse_ns, monotonic_ns, tai_ns};

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
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::time::{Duration, Instant};

    use skep_maps::{Block, Heap, Memory, Wake};

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

        pub(crate) fn as_memory(&self) -> &dyn Memory {
            &Heap
        }
    }

    /// Virtual CPUs in this process's own memory.
    pub(crate) struct Table(Box<[Line]>);

    /// A slot on a cache line of its own.
    #[derive(Default)]
    #[repr(align(64))]
    struct Line(AtomicU64);

    impl Table {
        pub(crate) fn new(cpus: u32) -> Self {
            Self((0..cpus).map(|_| Line::default()).collect())
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
    }

    impl Wake for Bell {
        fn wake(&self) {
            self.0.store(true, Ordering::Release);
        }
    }
}

pub(crate) use imp::{Bell, MapMemory, Table, boot_ns, coarse_ns, comm, monotonic_ns, tai_ns, task, uid_gid};

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

/// What is left of a timeout.
pub(crate) fn left(start: std::time::Instant, timeout: Duration) -> Option<Duration> {
    timeout.checked_sub(start.elapsed()).filter(|d| !d.is_zero())
}
