//! The consumer of a kernel ring buffer.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use skep_abi::ringbuf::{BUSY, DISCARD, HDR_SZ};
use skep_spec::{ByteReader, Errno, Error};

use crate::sys::{self, MapFd, ring::RingPages};

/// Bytes before a record's payload.
const HEADER: u64 = HDR_SZ as u64;

/// A consumer; one at a time per [`crate::LinuxMap`] handle.
pub(crate) struct RingReader {
    pages: RingPages,
    fd: Arc<MapFd>,
    name: String,
    taken: Arc<AtomicBool>,
    /// Our own position: the shared word is only written.
    position: u64,
    /// A record's copy; reused.
    record: Vec<u8>,
}

impl RingReader {
    pub(crate) fn new(fd: Arc<MapFd>, name: &str, taken: Arc<AtomicBool>) -> Result<Self, Error> {
        if taken.swap(true, Ordering::AcqRel) {
            return Err(Error::new(
                Errno::EBUSY,
                format!("ring buffer `{name}` has a consumer already; drop that one first"),
            ));
        }
        match RingPages::map(fd.as_fd(), fd.info().max_entries as usize) {
            Ok(pages) => {
                let position = pages.consumer();
                Ok(Self { pages, fd, name: name.into(), taken, position, record: Vec::new() })
            }
            Err(errno) => {
                taken.store(false, Ordering::Release);
                Err(Error::new(errno, format!("mapping the pages of ring buffer `{name}`: {}", errno.text())))
            }
        }
    }

    #[cold]
    fn damaged(&self, what: &str) -> Error {
        Error::new(Errno::EPROTO, format!("ring buffer `{}` is damaged: {what}", self.name))
    }
}

impl Drop for RingReader {
    fn drop(&mut self) {
        self.taken.store(false, Ordering::Release);
    }
}

impl ByteReader for RingReader {
    fn poll(&mut self, each: &mut dyn FnMut(&[u8])) -> Result<usize, Error> {
        let size = self.pages.size() as u64;
        let mut n = 0;
        // A producer that never stops must not keep us here for ever: one look at its position a round,
        // and no more rounds than the buffer has room for.
        let mut budget = size;
        while budget > 0 {
            let ready = self.pages.producer().wrapping_sub(self.position);
            if ready == 0 {
                break;
            }
            if ready > size || !ready.is_multiple_of(8) {
                return Err(self.damaged("the producer's position lies outside of the buffer"));
            }
            let header = self.pages.word(self.position);
            if header & BUSY != 0 {
                break;
            }
            let len = header & !(BUSY | DISCARD);
            let step = (u64::from(len) + HEADER).next_multiple_of(8);
            if step > ready {
                return Err(self.damaged("a record is longer than what was written"));
            }
            if header & DISCARD == 0 {
                self.record.clear();
                self.pages.copy(self.position.wrapping_add(HEADER), len as usize, &mut self.record);
                each(&self.record);
                n += 1;
            }
            self.position = self.position.wrapping_add(step);
            self.pages.set_consumer(self.position);
            budget = budget.saturating_sub(step);
        }
        Ok(n)
    }

    fn wait(&mut self, timeout: Duration) -> Result<bool, Error> {
        let events = sys::poll((*self.fd).as_fd(), libc::POLLIN, timeout)
            .map_err(|e| Error::new(e, format!("waiting for ring buffer `{}`: {}", self.name, e.text())))?;
        Ok(events & libc::POLLIN != 0)
    }

    fn raw_fd(&self) -> Option<i32> {
        Some((*self.fd).as_fd().as_raw_fd())
    }
}
