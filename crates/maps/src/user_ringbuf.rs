//! User ring buffer: one producer outside, programs that drain it (`bpf_user_ringbuf_drain`, kernel/bpf/ringbuf.c).
//!
//! The payload has the kernel's layout with the roles exchanged: the producer writes its position and the data, programs
//! the consumer's position. Here the data has twice the room instead of being mapped twice: a sample that crosses the
//! end goes on behind it, where whoever writes samples in one piece (as libbpf does) puts it.
//!
//! Programs believe nothing that stands in the payload: their own position is kept in the metadata, and a sample's
//! length is bounded by what is said to be written and by the ring. What is in a sample may change while a program
//! reads it, as in the kernel.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;

use skep_abi::ringbuf::{BUSY, DISCARD, HDR_SZ};
use skep_spec::{Errno, Error};

use crate::geometry::{Geometry, HEADER_LEN};
use crate::map::{Map, Ops};
use crate::mem::{Block, Bytes, Memory};
use crate::ringbuf::Wake;
use crate::sync::{AppendList, AtomicBool, AtomicU32, AtomicUsize, Ordering, Owner};

/// Bytes of a sample's header: `u32 len`, `u32` unused.
const HDR: usize = HDR_SZ;
/// Most samples of one drain (`BPF_MAX_USER_RINGBUF_SAMPLES`).
const SAMPLES: u32 = 128 << 10;
/// Most bytes of a sample: those of a dynptr (`DYNPTR_MAX_SIZE`).
const LARGEST: usize = (1 << 24) - 1;
/// Offsets in the metadata: who drains, the programs' position.
const DRAINER: usize = HEADER_LEN;
const CONSUMER: usize = HEADER_LEN + 8;
/// Do not wake the producer (`BPF_RB_NO_WAKEUP`).
const NO_WAKEUP: u64 = 1;
/// Wake the producer in any case (`BPF_RB_FORCE_WAKEUP`).
const FORCE_WAKEUP: u64 = 2;

/// The side of a user ring buffer that programs drain.
pub struct UserRingbuf {
    geometry: Geometry,
    metadata: Block,
    payload: Block,
    /// Bytes of the ring, a power of two.
    size: usize,
    sinks: AppendList<Box<dyn Wake>>,
    has_producer: AtomicBool,
}

/// How far a drain is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drain {
    flags: u64,
    /// Samples so far, also those that were discarded.
    samples: u32,
    discarded: u32,
    /// Bytes of the sample that was handed out last, with its header; 0 once it was given back.
    out: u32,
}

/// What a step of a drain came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// A sample: address and bytes.
    Sample {
        /// The address, in the ring's data.
        addr: u64,
        /// Bytes.
        len: u32,
    },
    /// One that the producer has discarded.
    Nothing,
    /// There are no more, or too many.
    End,
}

impl UserRingbuf {
    pub(crate) fn new(geometry: Geometry, memory: &dyn Memory) -> Result<Self, Errno> {
        let size = geometry.max_entries as usize;
        let len = size.checked_mul(2).and_then(|n| n.checked_add(2 * geometry.page)).ok_or(Errno::ENOMEM)?;
        let payload = memory.payload(len).filter(|b| b.len() >= len).ok_or(Errno::ENOMEM)?;
        let metadata = geometry.metadata(memory, HEADER_LEN + 64, 0)?;
        let (sinks, has_producer) = (AppendList::new(), AtomicBool::new(false));
        Ok(Self { geometry, metadata, payload, size, sinks, has_producer })
    }

    /// Adds a sink that is woken when samples were drained, as long as the map lives.
    pub fn add_wake(&self, sink: Box<dyn Wake>) {
        self.sinks.push(sink);
    }

    /// A program on `cpu` begins to drain; [`Self::finish`] ends it.
    ///
    /// # Errors
    /// As the helper: `EINVAL` flags, `EBUSY` while another program drains, or this one in a callback.
    pub fn begin(&self, flags: u64, cpu: u32) -> Result<Drain, Errno> {
        if flags & !(NO_WAKEUP | FORCE_WAKEUP) != 0 {
            return Err(Errno::EINVAL);
        }
        let (word, wait) = (self.metadata.u32(DRAINER), self.geometry.wait);
        let mine = wait.word(Owner::cpu(cpu));
        let take = |from| word.compare_exchange(from, mine, Ordering::AcqRel, Ordering::Relaxed);
        if let Err(holder) = take(0)
            && !(wait.is_dead(holder) && take(holder).is_ok())
        {
            return Err(Errno::EBUSY);
        }
        Ok(Drain { flags, ..Drain::default() })
    }

    /// Gives the last sample back and the next one out.
    ///
    /// # Errors
    /// As the helper, which ends: `EINVAL` when the producer's position or a sample's length makes no sense, `E2BIG` for a
    /// sample that is longer than the ring or than any dynptr.
    pub fn next(&self, drain: &mut Drain) -> Result<Drained, Errno> {
        self.give_back(drain);
        if drain.samples == SAMPLES {
            return Ok(Drained::End);
        }
        let producer = self.producer_pos().load(Ordering::Acquire);
        if !producer.is_multiple_of(8) {
            return Err(Errno::EINVAL);
        }
        let consumer = self.metadata.word(CONSUMER).load(Ordering::Relaxed) & !7;
        if consumer >= producer {
            return Ok(Drained::End);
        }
        let header = self.payload.u32(self.data() + self.ring_off(consumer)).load(Ordering::Acquire);
        let len = (header & !(BUSY | DISCARD)) as usize;
        let total = (len + HDR).next_multiple_of(8);
        if total > producer - consumer {
            return Err(Errno::EINVAL);
        }
        if total > self.size || len > LARGEST {
            return Err(Errno::E2BIG);
        }
        if header & DISCARD != 0 {
            self.set_consumer(consumer.wrapping_add(total));
            drain.samples += 1;
            drain.discarded += 1;
            return Ok(Drained::Nothing);
        }
        if header & BUSY != 0 {
            return Ok(Drained::End);
        }
        drain.samples += 1;
        drain.out = total as u32;
        let at = self.data() + self.ring_off(consumer.wrapping_add(HDR));
        Ok(Drained::Sample { addr: self.payload.addr(at), len: len as u32 })
    }

    /// Ends a drain and wakes the producer as its flags say; how many samples it handed out.
    pub fn finish(&self, mut drain: Drain) -> u32 {
        self.give_back(&mut drain);
        self.metadata.u32(DRAINER).store(0, Ordering::Release);
        let force = drain.flags & FORCE_WAKEUP != 0;
        if force || drain.flags & NO_WAKEUP == 0 && drain.samples > 0 {
            self.sinks.iter().for_each(|sink| sink.wake());
        }
        drain.samples - drain.discarded
    }

    fn give_back(&self, drain: &mut Drain) {
        let out = core::mem::take(&mut drain.out) as usize;
        if out != 0 {
            let consumer = self.metadata.word(CONSUMER).load(Ordering::Relaxed);
            self.set_consumer(consumer.wrapping_add(out));
        }
    }

    fn set_consumer(&self, pos: usize) {
        self.metadata.word(CONSUMER).store(pos, Ordering::Relaxed);
        self.consumer_pos().store(pos, Ordering::Release);
    }

    /// Offset of the data in the payload.
    fn data(&self) -> usize {
        2 * self.geometry.page
    }

    fn consumer_pos(&self) -> &AtomicUsize {
        self.payload.word(0)
    }

    fn producer_pos(&self) -> &AtomicUsize {
        self.payload.word(self.geometry.page)
    }

    /// Offset in the ring of a position: a multiple of 8, whatever the position is.
    fn ring_off(&self, pos: usize) -> usize {
        pos & (self.size - 1) & !7
    }

    /// The first word of the header at an offset of the ring.
    fn header(&self, off: usize) -> &AtomicU32 {
        self.payload.u32(self.data() + off)
    }
}

impl Ops for UserRingbuf {
    fn lookup(&self, _: Bytes<'_>, _: u32) -> Option<u64> {
        None
    }

    fn update(&self, _: Bytes<'_>, _: Bytes<'_>, _: u64, _: u32) -> Result<(), Errno> {
        Err(Errno::ENOTSUPP)
    }

    fn delete(&self, _: Bytes<'_>, _: Owner) -> Result<(), Errno> {
        Err(Errno::ENOTSUPP)
    }

    fn lookup_copy(&self, _: Bytes<'_>, _: &mut [u8]) -> Result<(), Errno> {
        Err(Errno::ENOTSUPP)
    }

    fn update_from_host(&self, _: Bytes<'_>, _: Bytes<'_>, _: u64) -> Result<(), Errno> {
        Err(Errno::ENOTSUPP)
    }

    fn next_key(&self, _: Option<Bytes<'_>>, _: &mut [u8]) -> Result<(), Errno> {
        Err(Errno::ENOTSUPP)
    }

    /// The data: programs read and write samples.
    fn values(&self) -> Option<(u64, usize)> {
        Some((self.payload.addr(self.data()), 2 * self.size))
    }

    fn metadata(&self) -> &Block {
        &self.metadata
    }
}

/// The producer of a user ring buffer in this process (libbpf's `struct user_ring_buffer`). It keeps the map alive.
pub struct Producer {
    map: Arc<Map>,
    /// Its own position; the shared one only tells the programs.
    pos: usize,
}

/// A sample that is being written: [`Producer::submit`] or [`Producer::discard`] it, or programs wait there for ever.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Reserved {
    /// Offset of the header in the ring.
    off: usize,
    len: u32,
}

impl Reserved {
    /// Bytes.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Map {
    /// The side of a user ring buffer that programs drain.
    pub fn user_ringbuf(&self) -> Option<&UserRingbuf> {
        match &self.kind {
            crate::map::Kind::UserRingbuf(ring) => Some(ring),
            _ => None,
        }
    }

    /// The producer of a user ring buffer; there is at most one in a process.
    ///
    /// # Errors
    /// `EINVAL` for other kinds, `EBUSY` when there is one already.
    pub fn producer(self: &Arc<Self>) -> Result<Producer, Error> {
        const OP: &str = "produce";
        let Some(ring) = self.user_ringbuf() else {
            return Err(self.error(Errno::EINVAL, OP, "it is no user ring buffer"));
        };
        if ring.has_producer.swap(true, Ordering::Acquire) {
            return Err(self.error(Errno::EBUSY, OP, "there is a producer already: drop it first"));
        }
        let pos = ring.producer_pos().load(Ordering::Acquire) & !7;
        Ok(Producer { map: self.clone(), pos })
    }
}

impl Producer {
    /// The map.
    pub fn map(&self) -> &Arc<Map> {
        &self.map
    }

    fn ring(&self) -> Result<&UserRingbuf, Error> {
        self.map.user_ringbuf().ok_or_else(|| Errno::EINVAL.into())
    }

    /// Room for a sample of `len` bytes (`user_ring_buffer__reserve`). Samples are drained in the order of reservation.
    ///
    /// # Errors
    /// `E2BIG` larger than the ring, `ENOSPC` no room until programs have drained.
    pub fn reserve(&mut self, len: u32) -> Result<Reserved, Error> {
        const OP: &str = "reserve";
        let ring = self.ring()?;
        let total = (len as usize).checked_add(HDR).and_then(|n| n.checked_next_multiple_of(8));
        let Some(total) = total.filter(|total| len & (BUSY | DISCARD) == 0 && *total <= ring.size) else {
            let why = format!("{len} bytes with a header of 8, the ring has {}", ring.size);
            return Err(self.map.error(Errno::E2BIG, OP, &why));
        };
        let used = self.pos.wrapping_sub(ring.consumer_pos().load(Ordering::Acquire));
        if used > ring.size || ring.size - used < total {
            return Err(self.map.error(Errno::ENOSPC, OP, "no room: programs have not drained it yet"));
        }
        let off = ring.ring_off(self.pos);
        ring.header(off).store(len | BUSY, Ordering::Relaxed);
        ring.header(off + 4).store(0, Ordering::Relaxed);
        let after = self.pos.wrapping_add(total);
        // The program that sees the position sees the busy header.
        ring.producer_pos().store(after, Ordering::Release);
        self.pos = after;
        Ok(Reserved { off, len })
    }

    /// Writes into a sample, from a byte of it on.
    ///
    /// # Errors
    /// `EINVAL` outside the sample.
    pub fn write(&mut self, sample: &Reserved, off_bytes: usize, bytes: &[u8]) -> Result<(), Error> {
        let ring = self.ring()?;
        let inside = off_bytes.checked_add(bytes.len()).is_some_and(|end| end <= sample.len as usize);
        if !inside || sample.off >= ring.size || sample.len as usize > ring.size {
            let why = format!("bytes {off_bytes}+{} of a sample of {}", bytes.len(), sample.len);
            return Err(self.map.error(Errno::EINVAL, "write", &why));
        }
        // The sample begins in the first half, also where its header is the last word of it.
        let start = ring.data() + ring.ring_off(sample.off + HDR);
        ring.payload.write(start + off_bytes, bytes.into());
        Ok(())
    }

    /// Gives a sample to programs (`user_ring_buffer__submit`).
    pub fn submit(&mut self, sample: Reserved) {
        self.commit(sample, 0);
    }

    /// Gives a sample up: programs skip it (`user_ring_buffer__discard`).
    pub fn discard(&mut self, sample: Reserved) {
        self.commit(sample, DISCARD);
    }

    fn commit(&mut self, Reserved { off, len }: Reserved, discard: u32) {
        if let Some(ring) = self.map.user_ringbuf().filter(|ring| off < ring.size) {
            ring.header(off).swap(len | discard, Ordering::AcqRel);
        }
    }

    /// Whether there is room for a sample of `len` bytes now.
    pub fn has_room(&self, len: u32) -> bool {
        let Some(ring) = self.map.user_ringbuf() else { return false };
        let used = self.pos.wrapping_sub(ring.consumer_pos().load(Ordering::Acquire));
        let total = (len as usize).saturating_add(HDR).checked_next_multiple_of(8);
        used <= ring.size && total.is_some_and(|total| total <= ring.size - used)
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        if let Some(ring) = self.map.user_ringbuf() {
            ring.has_producer.store(false, Ordering::Release);
        }
    }
}
