//! The producer of a kernel's user ring buffer.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use skep_abi::ringbuf::{BUSY, DISCARD, HDR_SZ};
use skep_spec::{Errno, Error, RingProducer, RingSample};

use crate::sys::{self, MapFd, produce::SamplePages};

/// Bytes before a sample.
const HEADER: u64 = HDR_SZ as u64;

/// A producer; one at a time per [`crate::LinuxMap`] handle.
pub(crate) struct Producer {
    pages: SamplePages,
    fd: Arc<MapFd>,
    name: String,
    taken: Arc<AtomicBool>,
    /// Our own position: the shared word is only written.
    position: u64,
    /// Samples that are being written, by the position of their headers.
    reserved: Vec<u64>,
}

impl Producer {
    pub(crate) fn new(fd: Arc<MapFd>, name: &str, taken: Arc<AtomicBool>) -> Result<Self, Error> {
        if taken.swap(true, Ordering::AcqRel) {
            let words = format!("user ring buffer `{name}` has a producer already; drop that one first");
            return Err(Error::new(Errno::EBUSY, words));
        }
        match SamplePages::map(fd.as_fd(), fd.info().max_entries as usize) {
            Ok(pages) => {
                let position = pages.producer();
                Ok(Self { pages, fd, name: name.into(), taken, position, reserved: Vec::new() })
            }
            Err(errno) => {
                taken.store(false, Ordering::Release);
                let words = format!("mapping the pages of user ring buffer `{name}`: {}", errno.text());
                Err(Error::new(errno, words))
            }
        }
    }

    /// Bytes of a sample with its header, where the ring is large enough.
    fn total(&self, len: u32) -> Option<u64> {
        let total = (u64::from(len) + HEADER).next_multiple_of(8);
        (len & (BUSY | DISCARD) == 0 && total <= self.pages.size() as u64).then_some(total)
    }

    fn has_room(&self, total: u64) -> bool {
        let used = self.position.wrapping_sub(self.pages.consumer());
        used.checked_add(total).is_some_and(|after| after <= self.pages.size() as u64)
    }

    fn commit(&mut self, sample: &RingSample, flag: u32) {
        if let Some(at) = self.reserved.iter().position(|position| *position == sample.id()) {
            let position = self.reserved.swap_remove(at);
            self.pages.set_header(position, sample.len() | flag);
        }
    }
}

impl RingProducer for Producer {
    fn reserve(&mut self, len: u32) -> Result<RingSample, Error> {
        let Some(total) = self.total(len) else {
            let size = self.pages.size();
            let words = format!(
                "user ring buffer `{}`: {len} bytes with a header of 8, the ring has {size}",
                self.name
            );
            return Err(Error::new(Errno::E2BIG, words));
        };
        if !self.has_room(total) {
            let words =
                format!("user ring buffer `{}`: no room: programs have not drained it yet", self.name);
            return Err(Error::new(Errno::ENOSPC, words));
        }
        let position = self.position;
        self.pages.set_header(position, len | BUSY);
        self.position = position.wrapping_add(total);
        self.pages.set_producer(self.position);
        self.reserved.push(position);
        Ok(RingSample::new(position, len))
    }

    fn write(&mut self, sample: &RingSample, off_bytes: usize, bytes: &[u8]) -> Result<(), Error> {
        if !self.reserved.contains(&sample.id()) {
            return Err(RingSample::foreign(&self.name));
        }
        let len = sample.len() as usize;
        if off_bytes.checked_add(bytes.len()).is_none_or(|end| end > len) {
            let words = format!(
                "user ring buffer `{}`: bytes {off_bytes}+{} of a sample of {len}",
                self.name,
                bytes.len()
            );
            return Err(Error::new(Errno::EINVAL, words));
        }
        self.pages.write(sample.id().wrapping_add(HEADER), off_bytes, bytes);
        Ok(())
    }

    fn submit(&mut self, sample: RingSample) {
        self.commit(&sample, 0);
    }

    fn discard(&mut self, sample: RingSample) {
        self.commit(&sample, DISCARD);
    }

    fn wait(&mut self, len: u32, timeout: Duration) -> Result<bool, Error> {
        let start = Instant::now();
        let Some(total) = self.total(len) else { return Ok(false) };
        loop {
            if self.has_room(total) {
                return Ok(true);
            }
            let Some(left) = timeout.checked_sub(start.elapsed()) else { return Ok(false) };
            let left = left.max(Duration::from_millis(1));
            sys::poll((*self.fd).as_fd(), libc::POLLOUT, left).map_err(|e| {
                Error::new(e, format!("waiting for user ring buffer `{}`: {}", self.name, e.text()))
            })?;
        }
    }

    fn raw_fd(&self) -> Option<i32> {
        Some((*self.fd).as_fd().as_raw_fd())
    }
}

/// A sample that nobody gives out would stop programs for ever.
impl Drop for Producer {
    fn drop(&mut self) {
        for position in std::mem::take(&mut self.reserved) {
            self.pages.discard(position);
        }
        self.taken.store(false, Ordering::Release);
    }
}
