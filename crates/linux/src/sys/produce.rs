//! The pages of a kernel's user ring buffer: the consumer's position (read only), the producer's position and the data
//! at twice its size (ours to write), as in [`super::ring`] with the roles exchanged.

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use skep_abi::ringbuf::DISCARD;
use skep_spec::Errno;

use super::ring::{Mapping, page_size};

/// The mapped pages. The memory is shared with the kernel and never seen through `&[u8]`.
pub struct SamplePages {
    consumer: Mapping,
    producer: Mapping,
    page: usize,
    size: usize,
}

// SAFETY: the mappings are owned, and all access to them is atomic.
unsafe impl Send for SamplePages {}

impl SamplePages {
    /// Maps the pages of a user ring buffer of `size` data bytes (a power of two of at least a page).
    pub fn map(fd: BorrowedFd<'_>, size: usize) -> Result<Self, Errno> {
        let page = page_size()?;
        if !size.is_power_of_two() || size < page {
            return Err(Errno::EINVAL);
        }
        let len = size.checked_mul(2).and_then(|n| n.checked_add(page)).ok_or(Errno::E2BIG)?;
        let consumer = Mapping::new(fd, libc::PROT_READ, 0, page)?;
        let producer = Mapping::new(fd, libc::PROT_READ | libc::PROT_WRITE, page, len)?;
        Ok(Self { consumer, producer, page, size })
    }

    /// Bytes of data.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The consumer's position: what lies before was drained.
    pub fn consumer(&self) -> u64 {
        // SAFETY: the first word of a live, page-aligned mapping; a load does not write, so that a read-only page serves.
        unsafe { AtomicU64::from_ptr(self.consumer.start().cast()) }.load(Ordering::Acquire)
    }

    fn producer_word(&self) -> &AtomicU64 {
        // SAFETY: the first word of a live, writable, page-aligned mapping.
        unsafe { AtomicU64::from_ptr(self.producer.start().cast()) }
    }

    /// The producer's position, where an earlier producer may have left it.
    pub fn producer(&self) -> u64 {
        self.producer_word().load(Ordering::Acquire)
    }

    /// Sets the producer's position: programs look at what lies before.
    pub fn set_producer(&self, position: u64) {
        self.producer_word().store(position, Ordering::Release);
    }

    /// The offset in the data of a position, which wraps around, rounded down to a multiple of 8.
    fn at(&self, position: u64) -> usize {
        position as usize & (self.size - 1) & !7
    }

    fn header(&self, position: u64) -> &AtomicU32 {
        // SAFETY: below `size` and aligned; the data starts one page into the mapping.
        unsafe { AtomicU32::from_ptr(self.producer.start().add(self.page + self.at(position)).cast()) }
    }

    /// Writes the first word of the header at a position.
    pub fn set_header(&self, position: u64, word: u32) {
        self.header(position).swap(word, Ordering::AcqRel);
    }

    /// Gives the sample up whose header is at a position.
    pub fn discard(&self, position: u64) {
        let len = self.header(position).load(Ordering::Relaxed) & (DISCARD - 1);
        self.set_header(position, len | DISCARD);
    }

    /// Writes bytes from `off` on behind a position, as far as the second half of the data reaches.
    pub fn write(&self, position: u64, off: usize, bytes: &[u8]) {
        let start = self.at(position).saturating_add(off);
        for (i, byte) in bytes.iter().enumerate().take((2 * self.size).saturating_sub(start)) {
            // SAFETY: `start + i` is below twice the size, all of which is mapped behind the first page.
            let to = unsafe { AtomicU8::from_ptr(self.producer.start().add(self.page + start + i)) };
            to.store(*byte, Ordering::Relaxed);
        }
    }
}
