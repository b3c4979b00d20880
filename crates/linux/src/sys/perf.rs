//! A perf event that programs of one CPU write records to, and the pages of its buffer.
//!
//! ```text
//! map offset 0                                     page
//!            | struct perf_event_mmap_page: … |    | data, a power of two of pages |
//!            | 1024: data_head, 1032: data_tail |
//! ```

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use skep_spec::Errno;

use super::ring::Mapping;
use super::{last_errno, owned, raw};

/// `struct perf_event_attr` as far as its first version goes (`PERF_ATTR_SIZE_VER0`).
#[repr(C)]
#[derive(Default)]
struct PerfEventAttr {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    bp_type: u32,
    bp_addr: u64,
}

/// `PERF_TYPE_SOFTWARE`, `PERF_COUNT_SW_BPF_OUTPUT`, `PERF_SAMPLE_RAW`.
const SOFTWARE: u32 = 1;
const BPF_OUTPUT: u64 = 10;
const SAMPLE_RAW: u64 = 1 << 10;
/// `PERF_FLAG_FD_CLOEXEC`.
const CLOEXEC: libc::c_ulong = 8;
/// `PERF_EVENT_IOC_ENABLE`.
const IOC_ENABLE: libc::c_ulong = 0x2400;
/// Offsets in the first page.
const DATA_HEAD: usize = 1024;
const DATA_TAIL: usize = 1032;

/// An event with its buffer. The memory is shared with the kernel and never seen through `&[u8]`.
pub struct PerfBuffer {
    fd: OwnedFd,
    pages: Mapping,
    page: usize,
    size: usize,
}

// SAFETY: the mapping is owned, and all access to it is atomic.
unsafe impl Send for PerfBuffer {}

impl PerfBuffer {
    /// Opens an event on a CPU with a buffer of `size` bytes, a power of two of at least a page.
    pub fn open(cpu: u32, size: usize) -> Result<Self, Errno> {
        // SAFETY: no addresses.
        let page =
            usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).map_err(|_| Errno::EINVAL)?;
        if !size.is_power_of_two() || size < page {
            return Err(Errno::EINVAL);
        }
        let attr = PerfEventAttr {
            kind: SOFTWARE,
            size: size_of::<PerfEventAttr>() as u32,
            config: BPF_OUTPUT,
            sample_period: 1,
            sample_type: SAMPLE_RAW,
            wakeup_events: 1,
            ..PerfEventAttr::default()
        };
        // SAFETY: `attr` is as long as it says and only read.
        let fd = unsafe { libc::syscall(libc::SYS_perf_event_open, &attr, -1, cpu as i32, -1, CLOEXEC) };
        if fd < 0 {
            return Err(last_errno());
        }
        let fd = owned(fd as i32);
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let pages = Mapping::new(fd.as_fd(), protection, 0, page + size)?;
        // SAFETY: the command takes no address.
        if unsafe { libc::ioctl(raw(fd.as_fd()) as i32, IOC_ENABLE, 0) } < 0 {
            return Err(last_errno());
        }
        Ok(Self { fd, pages, page, size })
    }

    /// Bytes of data.
    pub fn size(&self) -> usize {
        self.size
    }

    fn word(&self, off: usize) -> &AtomicU64 {
        // SAFETY: both offsets lie in the first page of a live mapping and are multiples of 8; the kernel and we
        // access the words atomically.
        unsafe { AtomicU64::from_ptr(self.pages.start().add(off).cast()) }
    }

    /// The position that the kernel has written up to.
    pub fn head(&self) -> u64 {
        self.word(DATA_HEAD).load(Ordering::Acquire)
    }

    /// The position that was read up to.
    pub fn tail(&self) -> u64 {
        self.word(DATA_TAIL).load(Ordering::Relaxed)
    }

    /// Sets the position that was read up to: what lies before may be overwritten.
    pub fn set_tail(&self, position: u64) {
        self.word(DATA_TAIL).store(position, Ordering::Release);
    }

    /// Copies bytes from `position` on, at most as many as the buffer has.
    pub fn copy(&self, position: u64, out: &mut [u8]) {
        for (i, byte) in out.iter_mut().enumerate().take(self.size) {
            let at = (position as usize).wrapping_add(i) & (self.size - 1);
            // SAFETY: `at` is below `size`, and the data starts one page into the mapping.
            *byte =
                unsafe { AtomicU8::from_ptr(self.pages.start().add(self.page + at)) }.load(Ordering::Relaxed);
        }
    }
}

impl AsFd for PerfBuffer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A descriptor that is readable when any of these is (`epoll(7)`).
pub fn any_readable<'f>(fds: impl Iterator<Item = BorrowedFd<'f>>) -> Result<OwnedFd, Errno> {
    // SAFETY: no addresses.
    let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    if epoll < 0 {
        return Err(last_errno());
    }
    let epoll = owned(epoll);
    for fd in fds {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 0 };
        let (set, fd) = (raw(epoll.as_fd()) as i32, raw(fd) as i32);
        // SAFETY: `event` is a live structure that is only read.
        if unsafe { libc::epoll_ctl(set, libc::EPOLL_CTL_ADD, fd, &mut event) } < 0 {
            return Err(last_errno());
        }
    }
    Ok(epoll)
}
