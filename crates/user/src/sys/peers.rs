//! The processes that share a domain, and who of them still lives.
//!
//! Each process has a number, and a lock on the byte of that number, which the kernel releases when the process dies
//! however it dies (`F_OFD_SETLK`): what a dead process held can be taken. Processes that were forked from one another go
//! by one memfd, those that use a folder of pins by a file in it.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use skep_maps::PEERS;

use super::fd::check;
use super::memfd::{self, Shared};

/// In the number of a process: it holds no lock, so nobody can tell whether it lives.
const UNLOCKED: u32 = PEERS / 2;
/// How many numbers are tried that others hold.
const TRIES: u32 = 64;

/// The processes of a domain.
pub(crate) struct Peers {
    /// The first word counts the processes that ever came.
    memory: Shared,
    /// In memory that the kernel wipes in forked children.
    number: &'static AtomicU32,
    /// The descriptor whose lock says that this process lives; -1 without.
    lock: AtomicI32,
}

impl Peers {
    /// Of this process and those that it forks.
    pub(crate) fn of_lineage() -> Option<&'static Self> {
        static LINEAGE: OnceLock<Option<Peers>> = OnceLock::new();
        let made = LINEAGE.get_or_init(|| Some(Self::new(memfd::shared("skep:processes", 4096).ok()?)));
        made.as_ref().inspect(|peers| _ = peers.me())
    }

    /// Of those that share a file whose first word counts them.
    pub(crate) fn new(memory: Shared) -> Self {
        Self { memory, number: number_word(), lock: AtomicI32::new(-1) }
    }

    /// The file that tells who lives, and the offset of the word in it that counts processes.
    pub(crate) fn file(&self) -> io::Result<(OwnedFd, usize)> {
        Ok((self.memory.fd().try_clone()?, self.memory.word_off()))
    }

    /// Device and inode of that file.
    pub(crate) fn id(&self) -> io::Result<(u64, u64)> {
        super::fd::identity(self.memory.fd())
    }

    /// The number of this process, never 0.
    #[inline]
    pub(crate) fn me(&self) -> u32 {
        match self.number.load(Ordering::Relaxed) {
            0 => self.take_number(),
            number => number,
        }
    }

    /// Takes a number: at the start, and at the first run of a child, which must not allocate.
    #[cold]
    fn take_number(&self) -> u32 {
        let mut number = UNLOCKED | 1;
        let mut lock = -1;
        for _ in 0..TRIES {
            number = (self.memory.word().fetch_add(1, Ordering::Relaxed) % (UNLOCKED - 1)) + 1;
            match self.hold(number) {
                Ok(fd) => {
                    lock = fd.into_raw_fd();
                    break;
                }
                // One who lives has had the number for a long time.
                Err(e) if matches!(e.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => {}
                Err(_) => break,
            }
        }
        if lock < 0 {
            number |= UNLOCKED;
        }
        match self.number.compare_exchange(0, number, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => {
                // In a child this was the parent's lock: it must not say that the parent lives.
                close(self.lock.swap(lock, Ordering::AcqRel));
                number
            }
            // Another thread of this process was faster.
            Err(now) => {
                close(lock);
                now
            }
        }
    }

    /// Locks the byte of a number through an open file description that no other process has.
    fn hold(&self, number: u32) -> io::Result<OwnedFd> {
        let fd = self.memory.fd().as_raw_fd();
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
}

impl skep_maps::Peers for Peers {
    fn number(&self) -> &AtomicU32 {
        self.number
    }

    fn join(&self) -> u32 {
        self.me()
    }

    fn is_dead(&self, number: u32) -> bool {
        if number == 0 || number & UNLOCKED != 0 {
            return false;
        }
        let mut lock = byte(number);
        // SAFETY: `lock` is a valid flock, which the call reads and writes.
        let asked =
            check(unsafe { libc::fcntl(self.memory.fd().as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock) });
        asked.is_ok() && lock.l_type == libc::F_UNLCK as libc::c_short
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

/// A word that is 0, and 0 again in children: it stands in memory that the kernel wipes there (`MADV_WIPEONFORK`). Where
/// that is not known (before Linux 4.14), and after a thousand words, children are not told apart.
fn number_word() -> &'static AtomicU32 {
    static PAGE: OnceLock<Option<&'static [AtomicU32]>> = OnceLock::new();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let words = PAGE.get_or_init(wiped_on_fork).unwrap_or(&[]);
    let next = NEXT.fetch_add(1, Ordering::Relaxed) as usize;
    words.get(next).unwrap_or_else(|| Box::leak(Box::default()))
}

fn wiped_on_fork() -> Option<&'static [AtomicU32]> {
    const LEN: usize = 4096;
    // SAFETY: a new private mapping of zeroed bytes, which is never unmapped and which only these atomics touch; the
    // advice concerns this mapping alone.
    unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let page = libc::mmap(ptr::null_mut(), LEN, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
        if page == libc::MAP_FAILED {
            return None;
        }
        if libc::madvise(page, LEN, libc::MADV_WIPEONFORK) != 0 {
            libc::munmap(page, LEN);
            return None;
        }
        Some(std::slice::from_raw_parts(page.cast(), LEN / 4))
    }
}
