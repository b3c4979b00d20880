//! Ring buffer: many producers, one consumer, records of any length in order of reservation.
//!
//! The payload has the kernel's layout, so that consumers written for it can map it: a page with the
//! consumer's position, one with the producers', the data. The kernel maps the data twice in a row so that
//! no record is cut at the end; here the data has twice the room instead, a record that crosses the end
//! goes on behind it, and what stands there is copied to the start before the record is given out.
//!
//! Producers believe nothing that stands in the payload but the consumer's position, and that only as a
//! hint how much was read: their own position, and the records from the oldest that is still reserved on, are kept in
//! the metadata. A lying consumer loses records; it cannot make a producer write over one that is still reserved, or
//! outside the ring.
//!
//! That list begins anew whenever nothing is reserved, so it stays short, and its few lines near: each place is an
//! offset in the ring, the length and state that the record's header shows to the consumer, and the process that
//! reserved it. If that died, a producer that finds no room, or a consumer that stands before the record, discards it.
//! Places are added and left under the lock; a record is given out without it, since its place stays where it is as
//! long as it is reserved.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::AtomicU32 as Private;

use skep_abi::ringbuf::{BUSY, DISCARD, HDR_SZ};
use skep_spec::{Errno, Error};

use crate::geometry::{Geometry, HEADER_LEN};
use crate::map::{Map, Ops};
use crate::mem::{Block, Bytes, Memory};
use crate::sync::{AppendList, AtomicBool, AtomicU32, AtomicUsize, Ordering, Owner, fence, lock};

/// Bytes of a record's header: `u32 len`, `u32 pg_off`.
const HDR: usize = HDR_SZ;
/// `RINGBUF_MAX_RECORD_SZ`.
const RECORD_MAX: u64 = u32::MAX as u64 / 4;
/// Offsets in the metadata.
const LOCK: usize = HEADER_LEN;
/// The place of the oldest record in the list, and the one behind the newest; the list is empty when that is not more.
const FIRST: usize = HEADER_LEN + 4;
const PRODUCER: usize = HEADER_LEN + 8;
const NEXT: usize = HEADER_LEN + 16;
const CONSUMED: usize = HEADER_LEN + 24;
const PLACES: usize = HEADER_LEN + 64;
/// Bytes of a place: `u32` offset in the ring, length and state, process.
const PLACE: usize = 12;

/// What `bpf_ringbuf_query` can be asked.
pub struct Query;

impl Query {
    /// Bytes reserved and not yet consumed.
    pub const AVAIL_DATA: u64 = 0;
    /// Bytes of the ring.
    pub const RING_SIZE: u64 = 1;
    /// Consumer's position.
    pub const CONS_POS: u64 = 2;
    /// Producers' position.
    pub const PROD_POS: u64 = 3;
}

/// Something to wake when records are ready, such as an eventfd.
pub trait Wake: Send + Sync {
    /// Called on the run path of programs: must not block, allocate or panic.
    fn wake(&self);
}

/// The producer side of a ring buffer.
pub struct Ringbuf {
    geometry: Geometry,
    metadata: Block,
    payload: Block,
    /// Bytes of the ring, a power of two.
    size: usize,
    sinks: AppendList<Box<dyn Wake>>,
    has_consumer: AtomicBool,
}

impl Ringbuf {
    /// Do not wake the consumer (`BPF_RB_NO_WAKEUP`).
    pub const NO_WAKEUP: u64 = 1;
    /// Wake the consumer in any case (`BPF_RB_FORCE_WAKEUP`).
    pub const FORCE_WAKEUP: u64 = 2;

    pub(crate) fn new(geometry: Geometry, memory: &dyn Memory) -> Result<Self, Errno> {
        let size = geometry.max_entries as usize;
        let len = size.checked_mul(2).and_then(|n| n.checked_add(2 * geometry.page)).ok_or(Errno::ENOMEM)?;
        let payload = memory.payload(len).filter(|b| b.len() >= len).ok_or(Errno::ENOMEM)?;
        // Every record has a header at least.
        let places =
            (size / HDR).checked_mul(PLACE).and_then(|n| n.checked_add(PLACES)).ok_or(Errno::ENOMEM)?;
        let metadata = geometry.metadata(memory, places, 0)?;
        let sinks = AppendList::new();
        Ok(Self { geometry, metadata, payload, size, sinks, has_consumer: AtomicBool::new(false) })
    }

    /// Adds a sink that is woken as long as the map lives.
    pub fn add_wake(&self, sink: Box<dyn Wake>) {
        self.sinks.push(sink);
    }

    /// Reserves a record for a program on `cpu`; the address of its `size` bytes (`bpf_ringbuf_reserve`).
    /// They hold what was there before.
    ///
    /// # Errors
    /// The helper returns NULL for each: `EINVAL` flags, `E2BIG` larger than any record, `EAGAIN` no room,
    /// `EBUSY` a lock stays taken.
    pub fn reserve(&self, size: u64, flags: u64, cpu: u32) -> Result<u64, Errno> {
        if flags != 0 {
            return Err(Errno::EINVAL);
        }
        let (off, _) = self.reserve_at(size, Owner::cpu(cpu))?;
        Ok(self.payload.addr(self.data() + off + HDR))
    }

    /// Gives a reserved record out (`bpf_ringbuf_submit`).
    ///
    /// # Errors
    /// `EINVAL` when `addr` is not a record that is reserved, which the verifier refuses.
    pub fn submit(&self, addr: u64, flags: u64) -> Result<(), Errno> {
        self.commit(self.place_at(addr)?, flags, 0)
    }

    /// Gives a reserved record up: consumers skip it (`bpf_ringbuf_discard`).
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub fn discard(&self, addr: u64, flags: u64) -> Result<(), Errno> {
        self.commit(self.place_at(addr)?, flags, DISCARD)
    }

    /// Copies a record in (`bpf_ringbuf_output`).
    ///
    /// # Errors
    /// `EINVAL` unknown flags, `EAGAIN` no room or any other failure of the reservation.
    pub fn output(&self, data: Bytes<'_>, flags: u64, cpu: u32) -> Result<(), Errno> {
        if flags & !(Self::NO_WAKEUP | Self::FORCE_WAKEUP) != 0 {
            return Err(Errno::EINVAL);
        }
        let (off, place) = self.reserve_at(data.len() as u64, Owner::cpu(cpu)).map_err(|_| Errno::EAGAIN)?;
        self.payload.write(self.data() + off + HDR, data);
        self.commit(place, flags, 0)
    }

    /// `bpf_ringbuf_query`: see [`Query`]; 0 for what it does not know.
    pub fn query(&self, what: u64) -> u64 {
        let consumer = self.consumer_pos().load(Ordering::Acquire);
        let producer = self.metadata.word(PRODUCER).load(Ordering::Acquire);
        match what {
            Query::AVAIL_DATA => producer.wrapping_sub(consumer) as u64,
            Query::RING_SIZE => self.size as u64,
            Query::CONS_POS => consumer as u64,
            Query::PROD_POS => producer as u64,
            _ => 0,
        }
    }

    /// Bytes of the record that is reserved at `addr`, as an engine needs them to bound accesses.
    pub fn reserved_len(&self, addr: u64) -> Option<usize> {
        let [_, state, _] = self.place(self.place_at(addr).ok()?);
        let record = state.load(Ordering::Acquire);
        (record & BUSY != 0).then_some((record & !(BUSY | DISCARD)) as usize)
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

    /// A place of the list, below [`Self::places`]: offset in the ring, length and state, process.
    #[inline]
    fn place(&self, place: u32) -> &[AtomicU32; 3] {
        self.metadata.words(PLACES + place as usize * PLACE)
    }

    fn places(&self) -> u32 {
        (self.size / HDR) as u32
    }

    /// The places of the list, as far as they are: from the oldest record on.
    fn list(&self) -> core::ops::Range<u32> {
        let [first, next] = [FIRST, NEXT].map(|at| self.metadata.u32(at).load(Ordering::Acquire));
        first..next.min(self.places())
    }

    fn is_at(&self, place: u32, off: usize) -> bool {
        self.place(place)[0].load(Ordering::Relaxed) as usize == off
    }

    /// The place of the reserved record whose bytes start at `addr`. It is there as long as the record is reserved, and
    /// most are given out soon: the newest are looked at first.
    fn place_at(&self, addr: u64) -> Result<u32, Errno> {
        let off = self.offset_of(addr)?;
        let here =
            |&place: &u32| self.is_at(place, off) && self.place(place)[1].load(Ordering::Relaxed) & BUSY != 0;
        self.list().rev().find(here).ok_or(Errno::EINVAL)
    }

    /// The offset of the record whose bytes start at `addr`.
    fn offset_of(&self, addr: u64) -> Result<usize, Errno> {
        let first = self.payload.addr(self.data() + HDR);
        let off = addr.checked_sub(first).ok_or(Errno::EINVAL)?;
        if off % 8 != 0 || off >= self.size as u64 {
            return Err(Errno::EINVAL);
        }
        Ok(off as usize)
    }

    /// A new record: the offset of its header, and its place in the list.
    fn reserve_at(&self, size: u64, owner: Owner) -> Result<(usize, u32), Errno> {
        // A record with its header has to be shorter than the ring: full and empty would look the same.
        if size > RECORD_MAX || size as usize + HDR > self.size {
            return Err(Errno::E2BIG);
        }
        let total = record_len(size as u32);
        if total >= self.size {
            return Err(Errno::EAGAIN);
        }
        let m = &self.metadata;
        let held = lock(m.u32(LOCK), owner, self.geometry.wait).ok_or(Errno::EBUSY)?;
        let producer = m.word(PRODUCER).load(Ordering::Relaxed);
        if held.is_inherited() {
            self.mend(producer);
        }
        let after = producer.wrapping_add(total);
        let is_full = |pos| after.wrapping_sub(pos) >= self.size;
        let mut buried = 0;
        let place = loop {
            match self.first_reserved() {
                // The list begins anew.
                None => break 0,
                Some(first) if is_full(self.position(first, producer)) => {
                    // No more than there can be: a peer may say of one again and again that it is reserved.
                    if buried == self.places() || !self.bury(first) {
                        return Err(Errno::EAGAIN);
                    }
                    buried += 1;
                }
                Some(_) => break m.u32(NEXT).load(Ordering::Relaxed),
            }
        };
        // The consumer's word is his: it is only looked at when what he had consumed before does not do.
        let consumed = m.word(CONSUMED);
        if is_full(consumed.load(Ordering::Relaxed)) {
            let now = self.consumer_pos().load(Ordering::Acquire);
            consumed.store(now, Ordering::Relaxed);
            if is_full(now) {
                return Err(Errno::EAGAIN);
            }
        }
        if place >= self.places() {
            // Records have a header at least: a peer wrote the list.
            return Err(Errno::EAGAIN);
        }
        if place == 0 {
            // In this order: in between it is empty too.
            m.u32(NEXT).store(0, Ordering::Relaxed);
            m.u32(FIRST).store(0, Ordering::Release);
        }
        let off = self.ring_off(producer);
        let [its_off, state, process] = self.place(place);
        process.store(self.geometry.wait.me(), Ordering::Relaxed);
        its_off.store(off as u32, Ordering::Relaxed);
        state.store(size as u32 | BUSY, Ordering::Relaxed);
        let header = self.data() + off;
        self.payload.u32(header).store(size as u32 | BUSY, Ordering::Relaxed);
        self.payload.u32(header + 4).store((header / self.geometry.page) as u32 + PG_OFF, Ordering::Relaxed);
        m.u32(NEXT).store(place + 1, Ordering::Release);
        // Now it is reserved: a place that begins where the producers stand is none (`mend`).
        m.word(PRODUCER).store(after, Ordering::Release);
        // The consumer that sees the position sees the busy header.
        self.producer_pos().store(after, Ordering::Release);
        Ok((off, place))
    }

    /// Makes whole what a producer left that died with the lock.
    #[cold]
    fn mend(&self, producer: usize) {
        let list = self.list();
        if list.clone().last().is_some_and(|last| self.is_at(last, self.ring_off(producer))) {
            self.metadata.u32(NEXT).store(list.end - 1, Ordering::Relaxed);
        }
        self.producer_pos().store(producer, Ordering::Release);
    }

    /// The place of the oldest record that is still reserved; those before it leave the list. The lock is held.
    fn first_reserved(&self) -> Option<u32> {
        let list = self.list();
        let reserved = |&place: &u32| self.place(place)[1].load(Ordering::Acquire) & BUSY != 0;
        let first = list.clone().find(reserved);
        if let Some(first) = first.filter(|&first| first != list.start) {
            self.metadata.u32(FIRST).store(first, Ordering::Relaxed);
        }
        first
    }

    /// The position of the record in a place, by that of the producers: less than the ring before it.
    fn position(&self, place: u32, producer: usize) -> usize {
        let off = self.place(place)[0].load(Ordering::Relaxed) as usize;
        producer.wrapping_sub(self.ring_off(producer).wrapping_sub(off) & (self.size - 1))
    }

    /// Whether the record in a place is reserved by a process that died.
    fn is_orphan(&self, place: u32) -> bool {
        let [_, state, process] = self.place(place);
        state.load(Ordering::Acquire) & BUSY != 0
            && self.geometry.wait.has_died(process.load(Ordering::Relaxed))
    }

    /// Whether the record at an offset, before which the consumer stands, is reserved by a process that died.
    fn is_orphan_at(&self, off: usize) -> Option<u32> {
        let place = self.list().find(|&place| self.is_at(place, off))?;
        self.is_orphan(place).then_some(place)
    }

    /// Discards the record in a place if it is reserved by a process that died; the lock is held.
    #[cold]
    fn bury(&self, place: u32) -> bool {
        if !self.is_orphan(place) {
            return false;
        }
        let [off, state, _] = self.place(place);
        let off = self.ring_off(off.load(Ordering::Relaxed) as usize);
        let shown = self.payload.u32(self.data() + off).load(Ordering::Acquire);
        if shown & BUSY != 0 {
            return self.commit(place, 0, DISCARD).is_ok();
        }
        // It died after the consumer was shown the record, and before that was noted.
        state.store(state.load(Ordering::Relaxed) & !(BUSY | DISCARD) | shown & DISCARD, Ordering::Release);
        true
    }

    /// As [`Self::bury`], for the consumer, who stands before the record at an offset.
    fn bury_for_consumer(&self, off: usize) -> bool {
        self.is_orphan_at(off).is_some()
            && lock(self.metadata.u32(LOCK), Owner::HOST, self.geometry.wait)
                // The list may be another now.
                .is_some_and(|_held| self.is_orphan_at(off).is_some_and(|place| self.bury(place)))
    }

    /// Clears the busy bit of the record in a place and wakes the consumer as `flags` say.
    fn commit(&self, place: u32, flags: u64, discard: u32) -> Result<(), Errno> {
        let [off, state, _] = self.place(place);
        let (off, len) = (off.load(Ordering::Relaxed) as usize, state.load(Ordering::Relaxed));
        if len & BUSY == 0 {
            return Err(Errno::EINVAL);
        }
        let len = len & !(BUSY | DISCARD);
        let end = off.saturating_add(record_len(len));
        if off >= self.size || !off.is_multiple_of(8) || end > 2 * self.size {
            // No record of ours: a peer wrote the list.
            return Err(Errno::EINVAL);
        }
        if end > self.size && discard == 0 {
            let behind = self.payload.bytes(self.data() + self.size, end - self.size);
            self.payload.write(self.data(), behind);
        }
        let header = self.payload.u32(self.data() + off);
        let may_wait = flags & (Self::FORCE_WAKEUP | Self::NO_WAKEUP) == 0;
        if may_wait {
            // The header must be out before the consumer's position is read: a consumer that finds the record
            // busy has stored its position before, with a fence in between, so that one of the two sees the other.
            header.swap(len | discard, Ordering::SeqCst);
        } else {
            header.store(len | discard, Ordering::Release);
        }
        state.store(len | discard, Ordering::Release);
        let mut sinks = self.sinks.iter().peekable();
        // Where nobody is to be woken, the consumer's line stays his.
        if sinks.peek().is_none() {
            return Ok(());
        }
        let waits = || self.consumer_pos().load(Ordering::SeqCst) & (self.size - 1) == off;
        if flags & Self::FORCE_WAKEUP != 0 || may_wait && waits() {
            sinks.for_each(|sink| sink.wake());
        }
        Ok(())
    }
}

/// Pages of the kernel's `struct bpf_ringbuf` before the consumer's page, which `pg_off` counts too.
const PG_OFF: u32 = 1;

/// Bytes that a record takes with its header.
fn record_len(size: u32) -> usize {
    (size as usize + HDR).next_multiple_of(8)
}

impl Ops for Ringbuf {
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

    fn values(&self) -> Option<(u64, usize)> {
        Some((self.payload.addr(self.data()), 2 * self.size))
    }

    fn metadata(&self) -> &Block {
        &self.metadata
    }
}

/// A consumer close behind producers takes away each line that they write next, and every record costs both of them a way
/// through the cache of the other. So one that has looked this often and each time found no more than so many bytes ...
const CLOSE: u32 = 8;
const FEW: usize = 512;
/// ... and did not look in vain more often than this in between, nor slept, lets them get ahead, for some microseconds.
const IN_VAIN: u32 = 16;
const PAUSES: u32 = if cfg!(shuttle) { 1 } else { 512 };

/// The consumer of a ring buffer in this process. It keeps the map alive.
pub struct Consumer {
    map: Arc<Map>,
    /// Its own position; the shared one only tells the producers.
    pos: usize,
    record: Vec<u8>,
    /// How often in a row little was found, and nothing since then. Nobody else sees these.
    close: Private,
    in_vain: u32,
}

impl Consumer {
    /// `None` when there is one already, or the map is no ring buffer.
    pub(crate) fn new(map: Arc<Map>) -> Option<Self> {
        let ring = map.ringbuf()?;
        if ring.has_consumer.swap(true, Ordering::Acquire) {
            return None;
        }
        let pos = ring.consumer_pos().load(Ordering::Acquire);
        Some(Self { map, pos, record: Vec::new(), close: Private::new(0), in_vain: 0 })
    }

    /// The map.
    pub fn map(&self) -> &Arc<Map> {
        &self.map
    }

    /// Whether [`Self::poll`] would find something: a record that is ready or was discarded.
    pub fn ready(&self) -> bool {
        let Some(ring) = self.map.ringbuf() else { return false };
        // Who asks may sleep next: he keeps nobody from anything.
        self.close.store(0, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        ring.producer_pos().load(Ordering::Acquire) != self.pos
            && (self.header(ring) & BUSY == 0 || ring.is_orphan_at(ring.ring_off(self.pos)).is_some())
    }

    fn header(&self, ring: &Ringbuf) -> u32 {
        ring.payload.u32(ring.data() + ring.ring_off(self.pos)).load(Ordering::Acquire)
    }

    /// Hands every record that is ready to `each`, a private copy, without waiting; returns how many. Stops
    /// at a record that is still reserved, and after as many bytes as the ring has.
    ///
    /// # Errors
    /// `EPROTO` when the producers' position or a record's length makes no sense: a peer or a program wrote
    /// over it. What is in the ring is then skipped.
    pub fn poll(&mut self, each: &mut dyn FnMut(&[u8])) -> Result<usize, Error> {
        let map = self.map.clone();
        let Some(ring) = map.ringbuf() else { return Ok(0) };
        let (mut records, mut bytes) = (0, 0);
        // The producers' position, as far as we know: looking at it takes their line away.
        let mut producer = self.pos;
        while bytes < ring.size {
            if producer == self.pos {
                fence(Ordering::SeqCst);
                producer = self.looked(ring.producer_pos().load(Ordering::Acquire));
                if self.close.load(Ordering::Relaxed) == CLOSE {
                    (0..PAUSES).for_each(|_| core::hint::spin_loop());
                    producer = self.looked(ring.producer_pos().load(Ordering::Acquire));
                }
            }
            let ready = producer.wrapping_sub(self.pos);
            if ready == 0 {
                break;
            }
            let mut header = self.header(ring);
            if ready <= ring.size && header & BUSY != 0 {
                // Whoever gives the record out after this sees where we stand.
                fence(Ordering::SeqCst);
                header = self.header(ring);
            }
            if ready <= ring.size && header & BUSY != 0 {
                if ring.bury_for_consumer(ring.ring_off(self.pos)) {
                    // A peer may have it be busy again and again.
                    bytes += HDR;
                    continue;
                }
                break;
            }
            let len = record_len(header & !(BUSY | DISCARD));
            if ready > ring.size || len > ready {
                self.advance(ring, producer);
                return Err(Error::new(
                    Errno::EPROTO,
                    format!(
                        "ringbuf map `{}`: consume: record of {len} bytes, {ready} in the ring",
                        map.name()
                    ),
                ));
            }
            if header & DISCARD == 0 {
                let size = (header & !(BUSY | DISCARD)) as usize;
                if self.record.len() < size {
                    self.record.resize(size, 0);
                }
                let at = ring.data() + ring.ring_off(self.pos) + HDR;
                ring.payload.bytes(at, size).copy_to(&mut self.record[..size]);
                each(&self.record[..size]);
                records += 1;
            }
            self.advance(ring, self.pos.wrapping_add(len));
            bytes += len;
        }
        Ok(records)
    }

    /// Notes how far the producers are.
    fn looked(&mut self, producer: usize) -> usize {
        let close = self.close.get_mut();
        match producer.wrapping_sub(self.pos) {
            0 => self.in_vain = self.in_vain.saturating_add(1),
            1..FEW => {
                *close = if self.in_vain <= IN_VAIN && *close < CLOSE { *close + 1 } else { 0 };
                self.in_vain = 0;
            }
            _ => *close = 0,
        }
        producer
    }

    fn advance(&mut self, ring: &Ringbuf, pos: usize) {
        self.pos = pos;
        ring.consumer_pos().store(pos, Ordering::Release);
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        if let Some(ring) = self.map.ringbuf() {
            ring.has_consumer.store(false, Ordering::Release);
        }
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use alloc::sync::Arc;
    use alloc::vec::Vec;

    use skep_abi::MapType;
    use skep_spec::MapDef;

    use super::{CLOSE, Ordering};
    use crate::{Bytes, Config, Heap, Map};

    /// Not a multiple of what it lets the producers get ahead after.
    const RECORDS: u8 = 3 * CLOSE as u8 - 1;

    #[test]
    fn a_consumer_close_behind_gets_each_record() {
        let def = MapDef::new(MapType::RINGBUF, 0, 0, 4096);
        let map: Arc<Map> = Map::create(&def, &Config::new(1), &Heap).expect("legal");
        let mut consumer = map.consumer().expect("the first");
        let mut got = Vec::new();
        for i in 0..RECORDS {
            map.ringbuf().expect("it is one").output(Bytes::from(&[i]), 0, 0).expect("room");
            assert_eq!(consumer.poll(&mut |record| got.push(record[0])).expect("sound"), 1);
        }
        assert_eq!(got, (0..RECORDS).collect::<Vec<_>>());
        assert_ne!(consumer.close.load(Ordering::Relaxed), 0);
        assert!(!consumer.ready());
        assert_eq!(consumer.close.load(Ordering::Relaxed), 0, "who may sleep is held up by nothing");
    }
}
