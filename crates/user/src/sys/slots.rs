//! The table of virtual CPUs in memory that forked children share, and who still lives.
//!
//! A child that is forked has the parent's maps, whose per-CPU values belong to whoever holds the virtual CPU: so both
//! must go by one table. Each process has a number in it, and a lock on the byte of that number, which the kernel
//! releases when the process dies however it dies (`F_OFD_SETLK`): what a dead process held can be taken.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

use super::fd::check;
use super::memfd;

/// Bytes of a slot, and of the table's head: a cache line, against false sharing.
const LINE: usize = 64;
/// In the number of a process: it holds no lock, so nobody can tell whether it lives.
const UNLOCKED: u32 = 1 << 31;

/// A line of a table that is not shared.
#[repr(C, align(64))]
struct Line([AtomicU64; LINE / 8]);

/// Virtual CPUs and processes in shared memory.
pub(crate) struct Table {
    base: NonNull<u8>,
    cpus: u32,
    /// Of the memory; none where there were no descriptors left: then children have tables of their own.
    fd: Option<OwnedFd>,
    /// Frees the memory.
    _owner: Box<dyn Send + Sync>,
    /// This process: its stamp in the upper half, its number in the lower.
    me: AtomicU64,
    /// A number of this process that a forked child does not have: 0 in one that has not run anything.
    stamp: &'static AtomicU32,
    /// The descriptor whose lock says that this process lives; -1 without.
    lock: AtomicI32,
}

// SAFETY: the memory is reached by atomics alone, and lives as long as the table.
unsafe impl Send for Table {}
// SAFETY: as above.
unsafe impl Sync for Table {}

impl Table {
    /// A table of `cpus` slots, all free.
    pub(crate) fn new(cpus: u32) -> Self {
        let lines = cpus as usize + 1;
        let (fd, base, owner) = match memfd::shared("skep:cpus", lines * LINE) {
            Ok((fd, base, owner)) => (Some(fd), base, owner),
            Err(_) => {
                let room: Vec<Line> = (0..lines).map(|_| Line(Default::default())).collect();
                // Only atomics reach it, which is why a shared reference is enough.
                let base = NonNull::new(room.as_ptr().cast_mut().cast()).unwrap_or(NonNull::dangling());
                (None, base, Box::new(room) as Box<dyn Send + Sync>)
            }
        };
        let (me, lock) = (AtomicU64::new(0), AtomicI32::new(-1));
        let table = Self { base, cpus, fd, _owner: owner, me, stamp: stamp(), lock };
        // Not at the first run, which must not wait for anything.
        table.join(0);
        table
    }

    /// Slots.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.cpus as usize
    }

    /// Whoever holds a slot; 0 for nobody.
    #[inline]
    pub(crate) fn slot(&self, cpu: usize) -> &AtomicU64 {
        assert!(cpu < self.len());
        // SAFETY: slot `cpu` lies in the memory, behind the head, aligned to a line; only atomics touch it.
        unsafe { AtomicU64::from_ptr(self.base.as_ptr().add((cpu + 1) * LINE).cast()) }
    }

    /// Processes that have ever used the table.
    fn processes(&self) -> &AtomicU32 {
        // SAFETY: the first word of the memory, aligned; only atomics touch it.
        unsafe { AtomicU32::from_ptr(self.base.as_ptr().cast()) }
    }

    /// The number of this process in the table, never 0.
    #[inline]
    pub(crate) fn process(&self) -> u32 {
        let (me, stamp) = (self.me.load(Ordering::Acquire), self.stamp.load(Ordering::Relaxed));
        if me >> 32 == u64::from(stamp) { me as u32 } else { self.join(me) }
    }

    /// Takes a number: when the table is made, and at the first run of a child.
    #[cold]
    fn join(&self, before: u64) -> u32 {
        let stamp = fresh(self.stamp);
        let number = (self.processes().fetch_add(1, Ordering::Relaxed) + 1) % UNLOCKED;
        let (number, lock) = match self.hold(number) {
            Ok(fd) => (number, fd.into_raw_fd()),
            Err(_) => (number | UNLOCKED, -1),
        };
        let mine = u64::from(stamp) << 32 | u64::from(number);
        match self.me.compare_exchange(before, mine, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => {
                // In a child this was the parent's lock: it must not say that the parent lives.
                close(self.lock.swap(lock, Ordering::AcqRel));
                number
            }
            // Another thread of this process was faster.
            Err(now) => {
                close(lock);
                now as u32
            }
        }
    }

    /// Locks the byte of a number through an open file description that no other process has.
    fn hold(&self, number: u32) -> io::Result<OwnedFd> {
        let fd = self.fd.as_ref().ok_or(io::ErrorKind::Unsupported)?.as_raw_fd();
        // Digits from the right, without allocating: a child may be here in its first run.
        let mut path = *b"/proc/self/fd/0000000000\0";
        let mut left = fd.unsigned_abs();
        let mut first = path.len() - 1;
        while left > 0 || first == path.len() - 1 {
            first -= 1;
            path[first] = b'0' + (left % 10) as u8;
            left /= 10;
        }
        let digits = path.len() - 1 - first;
        path.copy_within(first.., 14);
        path[14 + digits] = 0;
        // SAFETY: `path` ends in a NUL; the new descriptor is owned by nobody else.
        let fd = unsafe {
            let fd = check(libc::open(path.as_ptr().cast(), libc::O_RDWR | libc::O_CLOEXEC))?;
            OwnedFd::from_raw_fd(fd)
        };
        let mut lock = byte(number);
        // SAFETY: `lock` is a valid flock, which the call reads.
        check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_OFD_SETLK, &raw mut lock) })?;
        Ok(fd)
    }

    /// Whether the process of a number has died; no when nobody can tell.
    pub(crate) fn is_dead(&self, number: u32) -> bool {
        let Some(fd) = self.fd.as_ref().filter(|_| number & UNLOCKED == 0) else { return false };
        let mut lock = byte(number);
        // SAFETY: `lock` is a valid flock, which the call reads and writes.
        let asked = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock) });
        asked.is_ok() && lock.l_type == libc::F_UNLCK as libc::c_short
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        close(*self.lock.get_mut());
    }
}

fn close(fd: i32) {
    if fd >= 0 {
        // SAFETY: ours, from `hold`, and closed once: whoever swaps it out closes it.
        drop(unsafe { OwnedFd::from_raw_fd(fd) });
    }
}

/// The byte that stands for a process.
fn byte(number: u32) -> libc::flock {
    // SAFETY: an all-zero flock is a valid value.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock.l_start = libc::off_t::from(number);
    lock.l_len = 1;
    lock
}

/// Where the stamp of this process stands: in memory that the kernel wipes in children (`MADV_WIPEONFORK`). Where that is
/// not known (before Linux 4.14) children are not told apart.
fn stamp() -> &'static AtomicU32 {
    static PAGE: OnceLock<Option<&'static AtomicU32>> = OnceLock::new();
    static ALWAYS: AtomicU32 = AtomicU32::new(1);
    (*PAGE.get_or_init(wiped_on_fork)).unwrap_or(&ALWAYS)
}

/// The stamp of this process, which gets one if it is a child that has none yet: the copy of `LAST` goes on from the
/// parent's.
fn fresh(stamp: &AtomicU32) -> u32 {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let known = stamp.load(Ordering::Relaxed);
    if known != 0 {
        return known;
    }
    let next = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    match stamp.compare_exchange(0, next, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => next,
        Err(now) => now,
    }
}

fn wiped_on_fork() -> Option<&'static AtomicU32> {
    // SAFETY: a new private mapping of a page, which is never unmapped and which only this atomic touches; the
    // advice concerns this mapping alone.
    unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let len = usize::try_from(libc::sysconf(libc::_SC_PAGESIZE)).ok()?;
        let page = libc::mmap(ptr::null_mut(), len, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
        if page == libc::MAP_FAILED {
            return None;
        }
        if libc::madvise(page, len, libc::MADV_WIPEONFORK) != 0 {
            libc::munmap(page, len);
            return None;
        }
        Some(AtomicU32::from_ptr(page.cast()))
    }
}
