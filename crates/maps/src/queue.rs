//! Queue and stack: values without keys, taken out in the order that they came in, or in the reverse.
//!
//! A ring of `max_entries + 1` places between `tail`, the oldest value, and `head`, the place of the next: equal when
//! there are none. A stack takes from the head, a queue from the tail. All is done under one lock, as in the kernel
//! (kernel/bpf/queue_stack_maps.c). Peers may write anything into head and tail: each is bounded when it is read.

use skep_abi::{MapType, UpdateFlags};
use skep_spec::Errno;

use crate::geometry::{Geometry, HEADER_LEN};
use crate::map::Ops;
use crate::mem::{Block, Bytes, BytesMut, Memory};
use crate::sync::{Guard, Ordering, Owner, lock};

/// Offsets in the metadata: lock, head, tail, the places.
const LOCK: usize = HEADER_LEN;
const HEAD: usize = HEADER_LEN + 4;
const TAIL: usize = HEADER_LEN + 8;
const PLACES: usize = HEADER_LEN + 64;

pub(crate) struct Queue {
    geometry: Geometry,
    metadata: Block,
    /// One more than there can be values.
    places: u32,
}

impl Queue {
    pub fn new(geometry: Geometry, memory: &dyn Memory) -> Result<Self, Errno> {
        let places = geometry.max_entries.checked_add(1).ok_or(Errno::ENOMEM)?;
        let len = (places as usize).checked_mul(geometry.stride).and_then(|n| n.checked_add(PLACES));
        let metadata = geometry.metadata(memory, len.ok_or(Errno::ENOMEM)?, 0)?;
        Ok(Self { geometry, metadata, places })
    }

    fn lock(&self, owner: Owner) -> Result<Guard<'_>, Errno> {
        lock(self.metadata.u32(LOCK), owner, self.geometry.wait).ok_or(Errno::EBUSY)
    }

    fn get(&self, off: usize) -> u32 {
        self.metadata.u32(off).load(Ordering::Relaxed) % self.places
    }

    /// What stands in the places before is written first: whoever dies between has done nothing.
    fn set(&self, off: usize, place: u32) {
        self.metadata.u32(off).store(place, Ordering::Release);
    }

    fn after(&self, place: u32) -> u32 {
        if place + 1 == self.places { 0 } else { place + 1 }
    }

    fn before(&self, place: u32) -> u32 {
        place.checked_sub(1).unwrap_or(self.places - 1)
    }

    fn at(&self, place: u32) -> usize {
        PLACES + place as usize * self.geometry.stride
    }

    /// Adds a value; with `BPF_EXIST` the oldest one goes when there is no room.
    pub fn push(&self, value: Bytes<'_>, flags: u64, owner: Owner) -> Result<(), Errno> {
        if flags & UpdateFlags::NOEXIST != 0 || flags > UpdateFlags::EXIST {
            return Err(Errno::EINVAL);
        }
        let _held = self.lock(owner)?;
        let (head, tail) = (self.get(HEAD), self.get(TAIL));
        let next = self.after(head);
        if next == tail {
            if flags & UpdateFlags::EXIST == 0 {
                return Err(Errno::E2BIG);
            }
            self.set(TAIL, self.after(tail));
        }
        self.metadata.write(self.at(head), value.slice(0, self.geometry.value_size));
        self.set(HEAD, next);
        Ok(())
    }

    /// Copies the next value out, and takes it out if so said; zeros when there is none.
    pub fn next(&self, to: &mut BytesMut<'_>, take: bool, owner: Owner) -> Result<(), Errno> {
        let _held = self.lock(owner)?;
        let (head, tail) = (self.get(HEAD), self.get(TAIL));
        if head == tail {
            to.zero();
            return Err(Errno::ENOENT);
        }
        let stack = self.geometry.kind == MapType::STACK;
        let place = if stack { self.before(head) } else { tail };
        to.write(self.metadata.bytes(self.at(place), self.geometry.value_size));
        match (take, stack) {
            (false, _) => {}
            (true, true) => self.set(HEAD, place),
            (true, false) => self.set(TAIL, self.after(tail)),
        }
        Ok(())
    }
}

impl Ops for Queue {
    fn lookup(&self, _: Bytes<'_>, _: u32) -> Option<u64> {
        None
    }

    fn update(&self, _: Bytes<'_>, _: Bytes<'_>, _: u64, _: u32) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    fn delete(&self, _: Bytes<'_>, _: Owner) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    fn lookup_copy(&self, _: Bytes<'_>, out: &mut [u8]) -> Result<(), Errno> {
        self.next(&mut BytesMut::from(out), false, Owner::HOST)
    }

    fn update_from_host(&self, _: Bytes<'_>, value: Bytes<'_>, flags: u64) -> Result<(), Errno> {
        self.push(value, flags, Owner::HOST)
    }

    fn next_key(&self, _: Option<Bytes<'_>>, _: &mut [u8]) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    fn values(&self) -> Option<(u64, usize)> {
        None
    }

    fn metadata(&self) -> &Block {
        &self.metadata
    }
}
