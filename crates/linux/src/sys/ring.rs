//! The pages of a kernel ring buffer: the consumer's position (ours to write), the producer's position and
//! the data at twice its size (read only).
//!
//! ```text
//! map offset 0          page              2 pages          2 pages + size     2 pages + 2·size
//!            | consumer | producer        | data           | data again       |
//! ```

use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use skep_spec::Errno;

use super::last_errno;

/// Bytes of a page.
pub(super) fn page_size() -> Result<usize, Errno> {
    // SAFETY: no addresses.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).map_err(|_| Errno::EINVAL)
}

/// A mapping, unmapped when dropped.
pub(super) struct Mapping {
    start: *mut u8,
    len: usize,
}

impl Mapping {
    pub(super) fn new(
        fd: BorrowedFd<'_>,
        protection: i32,
        off_bytes: usize,
        len: usize,
    ) -> Result<Self, Errno> {
        // SAFETY: the kernel chooses an unused address; nothing of ours is replaced.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                protection,
                libc::MAP_SHARED,
                fd.as_raw_fd(),
                off_bytes as libc::off_t,
            )
        };
        if start == libc::MAP_FAILED { Err(last_errno()) } else { Ok(Self { start: start.cast(), len }) }
    }

    /// The first byte.
    pub(super) fn start(&self) -> *mut u8 {
        self.start
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and nothing borrowed from it outlives `self`.
        unsafe { libc::munmap(self.start.cast(), self.len) };
    }
}

/// The mapped pages. The memory is shared with the kernel and never seen through `&[u8]`.
pub struct RingPages {
    consumer: Mapping,
    producer: Mapping,
    page: usize,
    size: usize,
}

// SAFETY: the mappings are owned, and all access to them is atomic.
unsafe impl Send for RingPages {}

impl RingPages {
    /// Maps the pages of a ring buffer of `size` data bytes (a power of two of at least a page).
    pub fn map(fd: BorrowedFd<'_>, size: usize) -> Result<Self, Errno> {
        let page = page_size()?;
        if !size.is_power_of_two() || size < page {
            return Err(Errno::EINVAL);
        }
        let len = size.checked_mul(2).and_then(|n| n.checked_add(page)).ok_or(Errno::E2BIG)?;
        let consumer = Mapping::new(fd, libc::PROT_READ | libc::PROT_WRITE, 0, page)?;
        let producer = Mapping::new(fd, libc::PROT_READ, page, len)?;
        Ok(Self { consumer, producer, page, size })
    }

    /// Bytes of data.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Sets the consumer's position: what lies before may be overwritten.
    pub fn set_consumer(&self, position: u64) {
        // SAFETY: the first word of a live, writable, page-aligned mapping.
        let word = unsafe { AtomicU64::from_ptr(self.consumer.start.cast()) };
        word.store(position, Ordering::Release);
    }

    /// The consumer's position, where an earlier consumer may have left it.
    pub fn consumer(&self) -> u64 {
        // SAFETY: as in `set_consumer`.
        unsafe { AtomicU64::from_ptr(self.consumer.start.cast()) }.load(Ordering::Acquire)
    }

    /// The producer's position: records before it have a header.
    pub fn producer(&self) -> u64 {
        // SAFETY: the first word of a live, page-aligned mapping; an aligned load does not write, so
        // that a read-only page serves.
        unsafe { AtomicU64::from_ptr(self.producer.start.cast()) }.load(Ordering::Acquire)
    }

    /// The 32-bit word at `position`, which wraps around; `position` is a multiple of 4.
    pub fn word(&self, position: u64) -> u32 {
        let at = (position as usize & (self.size - 1)) & !3;
        // SAFETY: `at` is below `size` and aligned; the data starts one page into this mapping. Loads do
        // not write.
        let word = unsafe { AtomicU32::from_ptr(self.producer.start.add(self.page + at).cast()) };
        word.load(Ordering::Acquire)
    }

    /// Copies `len` bytes from `position` on to the end of `out`. `len` must not exceed the size.
    pub fn copy(&self, position: u64, len: usize, out: &mut Vec<u8>) {
        let mut left = len.min(self.size);
        let mut at = position;
        while left > 0 {
            let word = self.word(at).to_ne_bytes();
            let n = left.min(4);
            out.extend_from_slice(&word[..n]);
            at = at.wrapping_add(4);
            left -= n;
        }
    }
}
