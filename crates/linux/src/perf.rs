//! The reader of a kernel perf event array: an event for each CPU, in the slot of its number.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use skep_spec::{Errno, Error, PerfEventReader, PerfRecord};

use crate::sys::{
    self, MapFd,
    perf::{PerfBuffer, any_readable},
};

/// `PERF_RECORD_LOST` and `PERF_RECORD_SAMPLE`.
const LOST: u32 = 2;
const SAMPLE: u32 = 9;
/// Bytes of `struct perf_event_header`: `u32 type`, `u16 misc`, `u16 size`.
const HEADER: usize = 8;

/// A reader; one at a time per [`crate::LinuxMap`] handle.
pub(crate) struct PerfReader {
    fd: Arc<MapFd>,
    name: String,
    taken: Arc<AtomicBool>,
    /// By CPU.
    buffers: Vec<(u32, PerfBuffer)>,
    ready: Option<OwnedFd>,
    /// A record's copy; reused.
    record: Vec<u8>,
}

impl PerfReader {
    pub(crate) fn new(
        fd: Arc<MapFd>,
        name: &str,
        taken: Arc<AtomicBool>,
        size: usize,
    ) -> Result<Self, Error> {
        if taken.swap(true, Ordering::AcqRel) {
            let text = format!("perf event array `{name}` has a reader already; drop that one first");
            return Err(Error::new(Errno::EBUSY, text));
        }
        let buffers = Vec::new();
        // Dropped on failure, which empties the slots that were filled.
        let mut reader = Self { fd, name: name.into(), taken, buffers, ready: None, record: Vec::new() };
        reader.open(size).map_err(|e| {
            let text = format!("opening perf events for `{name}`: {}", e.text());
            Error::new(e, text)
        })?;
        Ok(reader)
    }

    fn open(&mut self, size: usize) -> Result<(), Errno> {
        let size = size.max(4096).checked_next_power_of_two().ok_or(Errno::ENOMEM)?;
        let cpus = (sys::possible_cpus() as u32).min(self.fd.info().max_entries);
        for cpu in 0..cpus {
            let buffer = match PerfBuffer::open(cpu, size) {
                // A CPU that is possible and not online.
                Err(Errno::ENODEV) => continue,
                opened => opened?,
            };
            let event = buffer.as_fd().as_raw_fd().to_ne_bytes();
            self.fd.update(&cpu.to_ne_bytes(), &event, 0)?;
            self.buffers.push((cpu, buffer));
        }
        self.ready = Some(any_readable(self.buffers.iter().map(|(_, b)| b.as_fd()))?);
        Ok(())
    }

    fn is_ready(&self) -> bool {
        self.buffers.iter().any(|(_, b)| b.head() != b.tail())
    }
}

impl Drop for PerfReader {
    fn drop(&mut self) {
        for (cpu, _) in &self.buffers {
            // A frozen map keeps them; without their descriptors nobody reads them.
            let _ = self.fd.delete(&cpu.to_ne_bytes());
        }
        self.taken.store(false, Ordering::Release);
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

/// The record in the bytes of one, header included; `None` when it is cut.
fn record(cpu: u32, bytes: &[u8]) -> Option<Option<PerfRecord<'_>>> {
    Some(match u32_at(bytes, 0)? {
        SAMPLE => {
            let len = u32_at(bytes, HEADER)? as usize;
            let data = bytes.get(HEADER + 4..)?.get(..len)?;
            Some(PerfRecord::Sample { cpu, data })
        }
        LOST => {
            let count = bytes.get(HEADER + 8..HEADER + 16)?.try_into().ok().map(u64::from_ne_bytes)?;
            Some(PerfRecord::Lost { cpu, count })
        }
        _ => None,
    })
}

impl PerfEventReader for PerfReader {
    fn poll(&mut self, each: &mut dyn FnMut(PerfRecord<'_>)) -> Result<usize, Error> {
        let mut samples = 0;
        for (cpu, buffer) in &self.buffers {
            let mut tail = buffer.tail();
            // As much as there is now: a program that goes on writing must not keep the others waiting.
            let head = buffer.head();
            while tail != head {
                let mut header = [0; HEADER];
                buffer.copy(tail, &mut header);
                let len = usize::from(u16::from_ne_bytes([header[6], header[7]]));
                let ready = head.wrapping_sub(tail);
                self.record.clear();
                self.record.resize(len, 0);
                buffer.copy(tail, &mut self.record);
                let found = if ready <= buffer.size() as u64 && len >= HEADER && len as u64 <= ready {
                    record(*cpu, &self.record)
                } else {
                    None
                };
                let Some(found) = found else {
                    buffer.set_tail(head);
                    let text =
                        format!("perf event array `{}` is damaged: a record of {len} bytes", self.name);
                    return Err(Error::new(Errno::EPROTO, text));
                };
                tail = tail.wrapping_add(len as u64);
                buffer.set_tail(tail);
                if let Some(found) = found {
                    samples += usize::from(matches!(found, PerfRecord::Sample { .. }));
                    each(found);
                }
            }
        }
        Ok(samples)
    }

    fn wait(&mut self, timeout: Duration) -> Result<bool, Error> {
        if self.is_ready() {
            return Ok(true);
        }
        if let Some(ready) = &self.ready {
            sys::poll(ready.as_fd(), libc::POLLIN, timeout).map_err(|e| {
                Error::new(e, format!("waiting for records of `{}`: {}", self.name, e.text()))
            })?;
        }
        Ok(self.is_ready())
    }

    fn raw_fd(&self) -> Option<i32> {
        self.ready.as_ref().map(AsRawFd::as_raw_fd)
    }
}
