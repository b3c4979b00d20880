//! Perf event array: a buffer of records for each CPU, once somebody reads them.
//!
//! Linux keeps perf events in the slots, opened by whoever reads. Here a reader opens a buffer for each virtual CPU,
//! which stands in the slot of its number until the reader is dropped. A program writes to the buffer of the CPU that
//! it runs on; what does not fit is counted as lost. Buffers are private memory of the process, and no program can
//! name them.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use skep_spec::{Errno, Error, PerfRecord};

use crate::geometry::{BadIndex, Geometry, HEADER_LEN, next_index};
use crate::map::{Map, Ops};
use crate::mem::{Block, Bytes, Heap, Memory};
use crate::ringbuf::Wake;
use crate::sync::{AppendList, AtomicBool, AtomicU32, AtomicUsize, Ordering, Owner, lock};

/// Bytes before a record: its length.
const HDR: usize = 8;
/// The longest record: what a sample's 16-bit size leaves in Linux.
const RECORD_MAX: usize = 65_500;

pub(crate) struct PerfEventArray {
    geometry: Geometry,
    metadata: Block,
    /// By CPU.
    slots: Vec<Slot>,
    sinks: AppendList<Box<dyn Wake>>,
    has_reader: AtomicBool,
}

/// What a CPU writes to.
struct Slot {
    /// Held while a record is written, and while the buffer is opened or closed.
    lock: AtomicU32,
    open: AtomicBool,
    /// The newest one counts; others wait for the map's end, since a program may just look at one.
    buffers: AppendList<Buffer>,
}

/// A ring of one writer and one reader. Positions count bytes from the beginning of time.
struct Buffer {
    block: Block,
    /// Bytes, a power of two.
    size: usize,
    head: AtomicUsize,
    tail: AtomicUsize,
    lost: AtomicUsize,
}

impl Buffer {
    /// Bytes at a position, in two parts where the end of the ring is between them.
    fn parts(&self, pos: usize, len: usize) -> [(usize, usize); 2] {
        let at = pos & (self.size - 1);
        let first = len.min(self.size - at);
        [(at, first), (0, len - first)]
    }

    fn write(&self, pos: usize, bytes: Bytes<'_>) {
        let [(a, n), (b, m)] = self.parts(pos, bytes.len());
        self.block.write(a, bytes.slice(0, n));
        self.block.write(b, bytes.slice(n, m));
    }

    fn read(&self, pos: usize, to: &mut [u8]) {
        let [(a, n), (b, m)] = self.parts(pos, to.len());
        self.block.bytes(a, n).copy_to(&mut to[..n]);
        self.block.bytes(b, m).copy_to(&mut to[n..]);
    }

    fn put(&self, parts: [Bytes<'_>; 2]) -> Result<(), Errno> {
        let len = parts[0].len() + parts[1].len();
        if len > RECORD_MAX {
            return Err(Errno::E2BIG);
        }
        let total = HDR + len.next_multiple_of(8);
        let head = self.head.load(Ordering::Relaxed);
        let used = head.wrapping_sub(self.tail.load(Ordering::Acquire));
        if total > self.size.saturating_sub(used) {
            self.lost.store(self.lost.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
            return Err(Errno::ENOSPC);
        }
        self.write(head, (&(len as u64).to_ne_bytes()).into());
        self.write(head.wrapping_add(HDR), parts[0]);
        self.write(head.wrapping_add(HDR + parts[0].len()), parts[1]);
        self.head.store(head.wrapping_add(total), Ordering::Release);
        Ok(())
    }
}

impl PerfEventArray {
    pub fn new(geometry: Geometry, memory: &dyn Memory) -> Result<Self, Errno> {
        let metadata = geometry.metadata(memory, HEADER_LEN, 0)?;
        let slot =
            |_| Slot { lock: AtomicU32::new(0), open: AtomicBool::new(false), buffers: AppendList::new() };
        let slots = (0..geometry.cpus.min(geometry.max_entries)).map(slot).collect();
        Ok(Self { geometry, metadata, slots, sinks: AppendList::new(), has_reader: AtomicBool::new(false) })
    }

    /// Writes a record, of two parts, for a program on `cpu` into the buffer of a slot.
    pub fn output(&self, index: u32, parts: [Bytes<'_>; 2], cpu: u32) -> Result<(), Errno> {
        if index >= self.geometry.max_entries {
            return Err(Errno::E2BIG);
        }
        let slot = self.slots.get(index as usize).filter(|s| s.open.load(Ordering::Acquire));
        let slot = slot.ok_or(Errno::ENOENT)?;
        if index != cpu {
            return Err(Errno::EOPNOTSUPP);
        }
        {
            let _held = lock(&slot.lock, Owner::cpu(cpu), self.geometry.wait).ok_or(Errno::EBUSY)?;
            let buffer = slot.buffers.iter().next().filter(|_| slot.open.load(Ordering::Relaxed));
            buffer.ok_or(Errno::ENOENT)?.put(parts)?;
        }
        self.sinks.iter().for_each(|sink| sink.wake());
        Ok(())
    }

    /// Adds a sink that is woken by every record as long as the map lives.
    pub fn add_wake(&self, sink: Box<dyn Wake>) {
        self.sinks.push(sink);
    }

    /// Opens every CPU's slot with a buffer of `size` bytes, a power of two.
    fn open(&self, size: usize) -> Result<(), Errno> {
        for slot in &self.slots {
            let fits = slot.buffers.iter().next().is_some_and(|b| b.size == size);
            if !fits {
                let block = Heap.metadata(size).ok_or(Errno::ENOMEM)?;
                let zero = || AtomicUsize::new(0);
                slot.buffers.push(Buffer { block, size, head: zero(), tail: zero(), lost: zero() });
            }
            let _held = lock(&slot.lock, Owner::HOST, self.geometry.wait).ok_or(Errno::EBUSY)?;
            if let Some(buffer) = slot.buffers.iter().next() {
                buffer.tail.store(buffer.head.load(Ordering::Relaxed), Ordering::Relaxed);
                buffer.lost.store(0, Ordering::Relaxed);
            }
            slot.open.store(true, Ordering::Release);
        }
        Ok(())
    }

    fn close(&self) {
        self.slots.iter().for_each(|slot| slot.open.store(false, Ordering::Release));
    }
}

impl Ops for PerfEventArray {
    fn lookup(&self, _: Bytes<'_>, _: u32) -> Option<u64> {
        None
    }

    fn update(&self, _: Bytes<'_>, _: Bytes<'_>, _: u64, _: u32) -> Result<(), Errno> {
        // The kernel's verifier lets no program call the helper on it.
        Err(Errno::EINVAL)
    }

    fn delete(&self, key: Bytes<'_>, owner: Owner) -> Result<(), Errno> {
        if owner != Owner::HOST {
            return Err(Errno::EINVAL);
        }
        let index = self.geometry.index(key).map_err(|e| match e {
            BadIndex::Outside => Errno::E2BIG,
            BadIndex::Length => Errno::EINVAL,
        })?;
        match self.slots.get(index as usize) {
            Some(slot) if slot.open.swap(false, Ordering::AcqRel) => Ok(()),
            _ => Err(Errno::ENOENT),
        }
    }

    fn lookup_copy(&self, _: Bytes<'_>, _: &mut [u8]) -> Result<(), Errno> {
        Err(Errno::ENOTSUPP)
    }

    fn update_from_host(&self, key: Bytes<'_>, _: Bytes<'_>, flags: u64) -> Result<(), Errno> {
        if flags != 0 {
            return Err(Errno::EINVAL);
        }
        match self.geometry.index(key) {
            Err(BadIndex::Outside) => Err(Errno::E2BIG),
            Err(BadIndex::Length) => Err(Errno::EINVAL),
            // There are no perf events to put there: a reader opens the slots.
            Ok(_) => Err(Errno::EBADF),
        }
    }

    fn next_key(&self, key: Option<Bytes<'_>>, out: &mut [u8]) -> Result<(), Errno> {
        next_index(&self.geometry, key, out)
    }

    fn values(&self) -> Option<(u64, usize)> {
        None
    }

    fn metadata(&self) -> &Block {
        &self.metadata
    }
}

/// The reader of a perf event array in this process. It keeps the map alive; while it lives the slots are open.
pub struct PerfReader {
    map: Arc<Map>,
    record: Vec<u8>,
    /// Records lost that were told, by CPU.
    told: Vec<usize>,
}

impl PerfReader {
    /// Opens the slots with buffers of `size` bytes, rounded up to a power of two of at least a page.
    pub(crate) fn new(map: Arc<Map>, size: usize) -> Result<Self, Errno> {
        let array = map.perf_event_array().ok_or(Errno::EINVAL)?;
        let size = size.max(4096).checked_next_power_of_two().ok_or(Errno::ENOMEM)?;
        if array.has_reader.swap(true, Ordering::Acquire) {
            return Err(Errno::EBUSY);
        }
        let told = alloc::vec![0; array.slots.len()];
        // Dropped on failure, which closes what was opened.
        let reader = Self { map: map.clone(), record: Vec::new(), told };
        array.open(size)?;
        Ok(reader)
    }

    /// The map.
    pub fn map(&self) -> &Arc<Map> {
        &self.map
    }

    /// Whether [`Self::poll`] would find something.
    pub fn ready(&self) -> bool {
        let Some(array) = self.map.perf_event_array() else { return false };
        let mut buffers = array.slots.iter().filter_map(|s| s.buffers.iter().next()).zip(&self.told);
        buffers.any(|(b, told)| {
            b.head.load(Ordering::Acquire) != b.tail.load(Ordering::Relaxed)
                || b.lost.load(Ordering::Relaxed) != *told
        })
    }

    /// Hands every record to `each`, a private copy, CPU by CPU in the order that they were written, and what was
    /// lost behind them; without waiting. Returns how many records there were.
    ///
    /// # Errors
    /// `EPROTO` when a length makes no sense, which nobody can cause from outside.
    pub fn poll(&mut self, each: &mut dyn FnMut(PerfRecord<'_>)) -> Result<usize, Error> {
        let map = self.map.clone();
        let Some(array) = map.perf_event_array() else { return Ok(0) };
        let mut records = 0;
        for (cpu, (slot, told)) in (0..).zip(array.slots.iter().zip(&mut self.told)) {
            let Some(buffer) = slot.buffers.iter().next() else { continue };
            let mut tail = buffer.tail.load(Ordering::Relaxed);
            // As much as there is now: a program that goes on writing must not keep the others waiting.
            let head = buffer.head.load(Ordering::Acquire);
            while tail != head {
                let mut len = [0; HDR];
                buffer.read(tail, &mut len);
                let len = u64::from_ne_bytes(len) as usize;
                if len > RECORD_MAX || HDR + len > head.wrapping_sub(tail) {
                    buffer.tail.store(head, Ordering::Release);
                    let text = format!("perf event array `{}`: a record of {len} bytes", map.name());
                    return Err(Error::new(Errno::EPROTO, text));
                }
                self.record.resize(len, 0);
                buffer.read(tail.wrapping_add(HDR), &mut self.record);
                tail = tail.wrapping_add(HDR + len.next_multiple_of(8));
                buffer.tail.store(tail, Ordering::Release);
                each(PerfRecord::Sample { cpu, data: &self.record });
                records += 1;
            }
            let lost = buffer.lost.load(Ordering::Relaxed);
            if lost != *told {
                each(PerfRecord::Lost { cpu, count: lost.wrapping_sub(*told) as u64 });
                *told = lost;
            }
        }
        Ok(records)
    }
}

impl Drop for PerfReader {
    fn drop(&mut self) {
        if let Some(array) = self.map.perf_event_array() {
            array.close();
            array.has_reader.store(false, Ordering::Release);
        }
    }
}
