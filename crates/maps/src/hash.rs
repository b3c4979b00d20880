//! Hash, per-CPU hash, and both with eviction (LRU).
//!
//! A table of buckets, each a lock, a version and the head of a list; and elements, each a header, a key and a value,
//! numbered from 0. Programs may write the values; those of a per-CPU hash stand apart, each CPU's together.
//!
//! *Writers* hold the lock of the key's bucket. A hash update puts a new element at the head of the list,
//! then takes the old one out and frees it, to be reused at once, as the kernel's hashes do, preallocated or not
//! (`pool`). A per-CPU hash and a hash of maps write the values of an existing element in place.
//!
//! *Lookups* take no lock. What can go wrong, and what they do about it:
//! - An element is rewritten while its key is compared. Its `seq` is odd from when it was taken out until it was
//!   written anew, and changes with each reuse; a lookup that sees it odd or changed starts over.
//! - An element moves to another list (or the same) under a lookup that stands on it, or the element that it
//!   looks for is replaced ahead of it: it may then miss a key that is there. Each unlinking first raises the
//!   bucket's `version`; a lookup that misses and sees another version than it started with starts over.
//! - A hit needs no version: whatever list the lookup walked, an element that holds the key and did not
//!   change meanwhile was in the map at some moment of the walk (an element that leaves keeps its link, and what
//!   it leads to was linked when it was itself taken out).
//! - Most misses look at the bucket alone: `filter` has a bit for each element of the list, by its hash. The bit is
//!   set before the element is linked, and cleared, if no other needs it, after it was unlinked: bits without an
//!   element cost time, an element without its bit is never.
//! - A hostile peer writes links: each index is bounded by the private capacity, walks by as many steps.
//!
//! *Eviction*: an insert into a full LRU hash lets a hand pass over the elements in the order of their
//! numbers. One that was used since the hand last passed is spared once, the first other goes. So an
//! insert never finds the map full, what it puts in is there afterwards, and an element that programs keep
//! using stays as long as there are others. (The kernel's lists promise no more; which element goes differs.)

mod batch;
mod repair;
mod take;
mod walk;

use skep_abi::{MapFlags, MapType, UpdateFlags};
use skep_spec::Errno;

use crate::geometry::{Geometry, HEADER_LEN};
use crate::kept::Kept;
use crate::map::Ops;
use crate::mem::{Block, Bytes, Memory};
use crate::percpu_array::{PercpuValues, Values};
use crate::pool::{Pool, REPAIRED, Replacing};
use crate::sync::{AtomicU32, Ordering, Owner, fence};

/// Bytes of a bucket: lock, version, head, filter.
const BUCKET: usize = 16;
/// Offsets in an element.
const SEQ: usize = 0;
const NEXT: usize = 4;
const HASH: usize = 8;
const FREE: usize = 12;
const KEY: usize = 16;
/// Bytes before the key of an LRU hash: the word `REF`, 1 when a program used the element, and 4 unused.
const LRU_KEY: usize = 24;
const REF: usize = 16;
/// How many elements an insert evicts for others to snatch before it gives up.
const EVICTIONS: u32 = 128;
/// How many locks that stay taken the hand passes over.
const BUSY: u32 = 4;
/// How often a lookup starts over before it gives its answer whatever others do.
const RETRIES: u32 = 1 << 12;

/// Bytes of a cache line.
const LINE: usize = 64;
/// Bytes that Linux has before the key of an element (`struct htab_elem`, 6.18).
const LINUX_KEY: usize = 48;

/// Bytes from one element to the next, of elements of `len` bytes with their keys at `key`: whole cache lines, so that
/// CPUs that change different elements do not wait for each other, where that is no more than Linux's elements take.
fn elem_len(len: usize, key: usize) -> Option<usize> {
    let lines = len.checked_next_multiple_of(LINE)?;
    Some(if lines <= len - key + LINUX_KEY { lines } else { len })
}

pub(crate) struct Hash {
    geometry: Geometry,
    metadata: Block,
    /// Buckets less 1, a power of two less 1.
    mask: u32,
    buckets: usize,
    elems: usize,
    elem_len: usize,
    /// Offset of the key in an element.
    key: usize,
    lru: bool,
    values: PercpuValues,
    pool: Pool,
    percpu: bool,
    /// An update writes over the values of an element that is there.
    in_place: bool,
    pub kept: Kept,
    /// What the hash of a key begins with.
    start: u64,
}

/// An element as a lookup found it.
#[derive(Clone, Copy)]
struct Found {
    index: u32,
    /// Its `seq` then: unchanged as long as it is the same element.
    seq: u32,
    next: u32,
}

impl Hash {
    pub fn new(geometry: Geometry, memory: &dyn Memory) -> Result<Self, Errno> {
        Self::layout(geometry, memory).unwrap_or(Err(Errno::ENOMEM))
    }

    /// `None` when sizes cannot be counted.
    fn layout(g: Geometry, memory: &dyn Memory) -> Option<Result<Self, Errno>> {
        let percpu = matches!(g.kind, MapType::PERCPU_HASH | MapType::LRU_PERCPU_HASH);
        let lru = matches!(g.kind, MapType::LRU_HASH | MapType::LRU_PERCPU_HASH);
        let key = if lru { LRU_KEY } else { KEY };
        let in_place = percpu || g.kind == MapType::HASH_OF_MAPS;
        let replacing = match in_place {
            true => Replacing::InPlace,
            false if lru || g.flags.has(MapFlags::NO_PREALLOC) => Replacing::Any,
            false => Replacing::Last,
        };
        let (pool, buckets) = Pool::new(HEADER_LEN, g.max_entries, replacing, g.cpus, g.wait)?;
        let bucket_count = g.max_entries.checked_next_power_of_two()?;
        let elems = buckets.checked_add(BUCKET.checked_mul(bucket_count as usize)?)?;
        let elems = elems.checked_next_multiple_of(LINE)?;
        let value = key + g.key_size.next_multiple_of(8);
        let slots = pool.capacity() as usize;
        let (elem_len, (values, end)) = if percpu {
            let base = elems.checked_add(value.checked_mul(slots)?)?;
            (value, PercpuValues::new(&g, base, slots, g.cpus)?)
        } else {
            let len = elem_len(value.checked_add(g.stride)?, key)?;
            (len, PercpuValues::apart(&g, elems + value, slots, len)?)
        };
        Some(g.metadata(memory, end, values.base).map(|metadata| Self {
            geometry: g,
            metadata,
            mask: bucket_count - 1,
            buckets,
            elems,
            elem_len,
            key,
            lru,
            values,
            pool,
            percpu,
            in_place,
            kept: Kept::default(),
            start: start(g.seed, g.key_size),
        }))
    }

    fn elem(&self, index: u32, field: usize) -> &AtomicU32 {
        self.metadata.u32(self.elem_off(index) + field)
    }

    fn elem_off(&self, index: u32) -> usize {
        self.elems + index as usize * self.elem_len
    }

    fn key(&self, index: u32) -> Bytes<'_> {
        self.metadata.bytes(self.elem_off(index) + self.key, self.geometry.key_size)
    }

    fn free_link(&self) -> impl Fn(u32) -> usize {
        let (elems, elem_len) = (self.elems, self.elem_len);
        move |index| elems + index as usize * elem_len + FREE
    }

    #[inline]
    fn bucket(&self, hash: u32) -> Bucket<'_> {
        let off = self.buckets + (hash & self.mask) as usize * BUCKET;
        let [lock, version, head, filter] = self.metadata.words(off);
        Bucket { lock, version, head, filter }
    }

    /// The element that a link leads to; `None` at the end, and for what only a peer can have written.
    #[inline(always)]
    fn follow(&self, link: u32) -> Option<u32> {
        // 0 becomes more than any capacity.
        let index = link.wrapping_sub(1);
        (index < self.pool.capacity()).then_some(index)
    }

    /// Finds a key without a lock.
    #[inline(always)]
    fn find(&self, key: Bytes<'_>, hash: u32) -> Option<Found> {
        let bucket = self.bucket(hash);
        if bucket.filter.load(Ordering::Acquire) & bit(hash) == 0 {
            return None;
        }
        let version = bucket.version.load(Ordering::Acquire);
        match self.walk(&bucket, key, hash, &mut self.pool.capacity()) {
            Ok(Some(found)) => Some(found),
            // The loads of the walk are Acquire, so that a version raised before an unlinking that the walk
            // saw is seen here.
            Ok(None) if bucket.version.load(Ordering::Acquire) == version => None,
            Ok(None) | Err(Changed) => self.find_again(&bucket, key, hash),
        }
    }

    /// As [`Self::find`], after others came in between.
    #[cold]
    #[inline(never)]
    fn find_again(&self, bucket: &Bucket<'_>, key: Bytes<'_>, hash: u32) -> Option<Found> {
        // Of all walks together: a peer may have made one list of all elements.
        let mut steps = self.pool.capacity().saturating_mul(2).saturating_add(RETRIES);
        while steps > 0 {
            self.geometry.wait.pause();
            let version = bucket.version.load(Ordering::Acquire);
            match self.walk(bucket, key, hash, &mut steps) {
                Ok(Some(found)) => return Some(found),
                Ok(None) if bucket.version.load(Ordering::Acquire) == version => return None,
                Ok(None) | Err(Changed) => {}
            }
        }
        None
    }

    /// Looks for a key in a bucket's list, with so many steps at most.
    #[inline(always)]
    fn walk(
        &self,
        bucket: &Bucket<'_>,
        key: Bytes<'_>,
        hash: u32,
        steps: &mut u32,
    ) -> Result<Option<Found>, Changed> {
        let first = key.word_at(0);
        let mut link = bucket.head.load(Ordering::Acquire);
        while *steps > 0 {
            *steps -= 1;
            let Some(index) = self.follow(link) else { break };
            let off = self.elem_off(index);
            let [seq_now, next, its_hash] = self.metadata.words(off);
            let seq = seq_now.load(Ordering::Acquire);
            let hit = its_hash.load(Ordering::Relaxed) == hash && self.has_key(off, first, key);
            let next = next.load(Ordering::Acquire);
            fence(Ordering::Acquire);
            if seq & 1 != 0 || seq_now.load(Ordering::Relaxed) != seq {
                return Err(Changed);
            }
            if hit {
                return Ok(Some(Found { index, seq, next }));
            }
            link = next;
        }
        Ok(None)
    }

    /// Whether the element at an offset has a key, whose first 8 bytes are `first`. Behind keys in the map are zeros.
    #[inline(always)]
    fn has_key(&self, off: usize, first: u64, key: Bytes<'_>) -> bool {
        let word = |i: usize| self.metadata.load_u64(off + self.key + 8 * i);
        word(0) == first
            && match key.len() {
                ..=8 => true,
                // Addresses of IPv6, and four numbers.
                16 => word(1) == key.word_at(1),
                _ => self.has_rest(off, key),
            }
    }

    #[inline(never)]
    fn has_rest(&self, off: usize, key: Bytes<'_>) -> bool {
        (1..key.len().div_ceil(8)).all(|i| self.metadata.load_u64(off + self.key + 8 * i) == key.word_at(i))
    }

    /// Whether what was read of an element since its `seq` was loaded belongs together.
    fn unchanged(&self, index: u32, seq: u32) -> bool {
        fence(Ordering::Acquire);
        self.elem(index, SEQ).load(Ordering::Relaxed) == seq
    }

    /// Finds a key under its bucket's lock: the word that links to the element, and the element.
    fn find_locked<'a>(
        &'a self,
        bucket: &Bucket<'a>,
        key: Bytes<'_>,
        hash: u32,
    ) -> Option<(&'a AtomicU32, u32)> {
        let first = key.word_at(0);
        let mut from = bucket.head;
        for _ in 0..self.pool.capacity() {
            let index = self.follow(from.load(Ordering::Relaxed))?;
            let off = self.elem_off(index);
            let [_, next, its_hash] = self.metadata.words(off);
            if its_hash.load(Ordering::Relaxed) == hash && self.has_key(off, first, key) {
                return Some((from, index));
            }
            from = next;
        }
        None
    }

    /// Takes an element out of its list. The version goes up before lookups can notice.
    fn unlink(&self, bucket: &Bucket<'_>, from: &AtomicU32, index: u32) {
        let version = bucket.version.load(Ordering::Relaxed);
        bucket.version.store(version.wrapping_add(1), Ordering::Relaxed);
        from.store(self.elem(index, NEXT).load(Ordering::Relaxed), Ordering::Release);
        self.gone(index);
    }

    /// Marks an element that is in no list: whoever goes by the elements' numbers passes it over.
    fn gone(&self, index: u32) {
        let seq = self.elem(index, SEQ);
        seq.store(seq.load(Ordering::Relaxed) | 1, Ordering::Release);
    }

    /// Clears the bits of the filter that no element of the list needs, whose lock is held.
    fn filter(&self, bucket: &Bucket<'_>) {
        let (mut bits, mut link) = (0, bucket.head.load(Ordering::Relaxed));
        for _ in 0..self.pool.capacity() {
            let Some(index) = self.follow(link) else { break };
            let [_, next, hash] = self.metadata.words(self.elem_off(index));
            bits |= bit(hash.load(Ordering::Relaxed));
            link = next.load(Ordering::Relaxed);
        }
        bucket.filter.store(bits, Ordering::Release);
    }

    /// Writes an element that is in no list and puts it at the head of its bucket, whose lock is held.
    fn link(&self, bucket: &Bucket<'_>, index: u32, key: Bytes<'_>, hash: u32, write_value: impl FnOnce()) {
        let off = self.elem_off(index);
        let [seq, next, its_hash] = self.metadata.words(off);
        let odd = seq.load(Ordering::Relaxed) | 1;
        seq.store(odd, Ordering::Relaxed);
        // Whoever sees what is written below sees the odd number too.
        fence(Ordering::Release);
        its_hash.store(hash, Ordering::Relaxed);
        bucket.filter.store(bucket.filter.load(Ordering::Relaxed) | bit(hash), Ordering::Relaxed);
        self.metadata.write_padded(off + self.key, key);
        if self.lru {
            self.elem(index, REF).store(0, Ordering::Relaxed);
        }
        write_value();
        next.store(bucket.head.load(Ordering::Relaxed), Ordering::Relaxed);
        // 0 is that of an element which was never used.
        seq.store(odd.wrapping_add(1).max(2), Ordering::Release);
        bucket.head.store(index + 1, Ordering::Release);
    }

    /// Lets go what the values of an element keep that is in no list any more.
    #[inline]
    fn let_go(&self, index: u32) {
        if self.kept.0.is_some() {
            for cpu in 0..self.values.cpus {
                self.kept.release(&self.geometry, &self.metadata, self.values.off(index, cpu));
            }
        }
    }

    /// Notes that an element was used, for eviction.
    #[inline]
    fn used(&self, index: u32) {
        if self.lru && self.elem(index, REF).load(Ordering::Relaxed) != 1 {
            self.elem(index, REF).store(1, Ordering::Relaxed);
        }
    }

    /// Deletes the next element that was not used since the hand last passed; `false` when there is none
    /// that this owner may take. The caller holds no lock.
    ///
    /// # Errors
    /// `REPAIRED` while the map is repaired.
    fn evict(&self, owner: Owner) -> Result<bool, Errno> {
        let capacity = self.pool.capacity();
        let mut busy = 0;
        // Lists are short, unless a peer has made them.
        let mut steps = u64::from(capacity).saturating_mul(64);
        // A round clears the marks, so that a second one finds an element unless others keep marking.
        for _ in 0..2 * u64::from(capacity) {
            let index = self.pool.advance_hand(&self.metadata);
            // Once a round: elements that the dead had in their hands are missing.
            if index == 0 && self.pool.is_bereaved(&self.metadata) {
                return Err(REPAIRED);
            }
            if self.elem(index, REF).load(Ordering::Relaxed) == 1 {
                self.elem(index, REF).store(0, Ordering::Relaxed);
                continue;
            }
            // Free elements have a hash too, that of their last key: the list below does not hold them.
            let bucket = self.bucket(self.elem(index, HASH).load(Ordering::Relaxed));
            let held = match self.lock(&bucket, owner) {
                Ok(held) => held,
                Err(REPAIRED) => return Err(REPAIRED),
                Err(_) => {
                    busy += 1;
                    if busy == BUSY {
                        return Ok(false);
                    }
                    continue;
                }
            };
            let Some(from) = self.link_to(&bucket, index, &mut steps) else { continue };
            self.unlink(&bucket, from, index);
            self.filter(&bucket);
            drop(held);
            self.let_go(index);
            self.pool.give_back(&self.metadata, index, owner, self.free_link());
            return Ok(true);
        }
        Ok(false)
    }

    /// The word that links to an element, under its bucket's lock; with so many steps at most.
    fn link_to<'a>(&'a self, bucket: &Bucket<'a>, wanted: u32, steps: &mut u64) -> Option<&'a AtomicU32> {
        let mut from = bucket.head;
        for _ in 0..self.pool.capacity() {
            *steps = steps.checked_sub(1)?;
            let index = self.follow(from.load(Ordering::Relaxed))?;
            if index == wanted {
                return Some(from);
            }
            from = self.elem(index, NEXT);
        }
        None
    }

    #[inline(always)]
    fn hash_of(&self, key: Bytes<'_>) -> u32 {
        hash(self.start, key)
    }

    /// Update by either side; `new` and `existing` write the values of an element (per-CPU hash: one CPU's or
    /// all), `existing` only on a per-CPU hash.
    fn put(
        &self,
        key: Bytes<'_>,
        flags: u64,
        owner: Owner,
        new: impl Fn(u32),
        existing: impl Fn(u32),
    ) -> Result<(), Errno> {
        // Per-CPU and LRU hashes have no locks.
        let in_place = flags & UpdateFlags::LOCK != 0;
        let flags = flags & !UpdateFlags::LOCK;
        if flags > UpdateFlags::EXIST || in_place && self.geometry.spin_lock.is_none() {
            return Err(Errno::EINVAL);
        }
        let hash = self.hash_of(key);
        self.operate(owner, || self.put_hashed(key, hash, (flags, in_place), owner, &new, &existing))
    }

    /// As [`Self::put`], within an operation.
    fn put_hashed(
        &self,
        key: Bytes<'_>,
        hash: u32,
        (flags, in_place): (u64, bool),
        owner: Owner,
        new: impl Fn(u32),
        existing: impl Fn(u32),
    ) -> Result<(), Errno> {
        if in_place && self.put_in_place(key, hash, flags, owner, &new)? {
            return Ok(());
        }
        let bucket = self.bucket(hash);
        let mut evictions = 0;
        loop {
            match self.put_once(&bucket, key, hash, (flags, in_place), owner, &new, &existing) {
                Err(Errno::E2BIG) if self.lru => {}
                done => return done,
            }
            evictions += 1;
            if evictions > EVICTIONS || !self.evict(owner)? {
                return Err(Errno::ENOMEM);
            }
        }
    }

    /// Writes the value of an element that is there under its own lock, without the bucket's; `false` when it is not
    /// there and may be inserted.
    fn put_in_place(
        &self,
        key: Bytes<'_>,
        hash: u32,
        flags: u64,
        owner: Owner,
        write: impl Fn(u32),
    ) -> Result<bool, Errno> {
        for _ in 0..RETRIES {
            match self.find(key, hash) {
                Some(_) if flags == UpdateFlags::NOEXIST => return Err(Errno::EEXIST),
                None if flags == UpdateFlags::EXIST => return Err(Errno::ENOENT),
                None => return Ok(false),
                Some(found) => {
                    let off = self.values.off(found.index, 0);
                    let _held = self.geometry.lock_value(&self.metadata, off, owner)?;
                    if self.unchanged(found.index, found.seq) {
                        write(found.index);
                        return Ok(true);
                    }
                }
            }
        }
        Err(Errno::EBUSY)
    }

    /// Of a hash of maps: the id of a key.
    pub fn id(&self, key: Bytes<'_>) -> Option<u32> {
        if key.len() != self.geometry.key_size {
            return None;
        }
        let hash = self.hash_of(key);
        for _ in 0..RETRIES {
            let found = self.find(key, hash)?;
            let id = self.id_of(found.index).load(Ordering::Acquire);
            if self.unchanged(found.index, found.seq) {
                return Some(id);
            }
        }
        None
    }

    /// Of a hash of maps: sets the id of a key.
    pub fn put_id(&self, key: Bytes<'_>, id: u32, flags: u64) -> Result<(), Errno> {
        let write = |index| self.id_of(index).store(id, Ordering::Release);
        self.put(key, flags, Owner::HOST, write, write)
    }

    /// Adds a key whose value is zeros.
    pub fn add_zeros(&self, key: Bytes<'_>, owner: Owner) -> Result<(), Errno> {
        let write = |index| self.geometry.zero_value(&self.metadata, self.values.off(index, 0));
        self.put(key, UpdateFlags::NOEXIST, owner, write, |_| {})
    }

    fn id_of(&self, index: u32) -> &AtomicU32 {
        self.metadata.u32(self.values.off(index, 0))
    }

    /// Copies the value of a key; `EAGAIN` when it changed meanwhile.
    #[inline(always)]
    fn copy_found(&self, key: Bytes<'_>, hash: u32, out: &mut [u8]) -> Result<(), Errno> {
        let found = self.find(key, hash).ok_or(Errno::ENOENT)?;
        if self.percpu {
            self.values.copy_all(&self.geometry, &self.metadata, found.index, out);
        } else {
            self.geometry.read_value(&self.metadata, self.values.off(found.index, 0), out);
        }
        self.unchanged(found.index, found.seq).then_some(()).ok_or(Errno::EAGAIN)
    }

    #[cold]
    #[inline(never)]
    fn copy_again(&self, key: Bytes<'_>, hash: u32, out: &mut [u8]) -> Result<(), Errno> {
        for _ in 0..RETRIES {
            match self.copy_found(key, hash, out) {
                Err(Errno::EAGAIN) => {}
                done => return done,
            }
        }
        Err(Errno::EBUSY)
    }

    /// As `lookup_copy`, under the value's lock.
    pub fn copy_locked(&self, key: Bytes<'_>, out: &mut [u8]) -> Result<(), Errno> {
        let hash = self.hash_of(key);
        for _ in 0..RETRIES {
            let found = self.find(key, hash).ok_or(Errno::ENOENT)?;
            let off = self.values.off(found.index, 0);
            let _held = self.geometry.lock_value(&self.metadata, off, Owner::HOST)?;
            self.geometry.read_value(&self.metadata, off, out);
            if self.unchanged(found.index, found.seq) {
                return Ok(());
            }
        }
        Err(Errno::EBUSY)
    }

    /// The values, per CPU or not.
    pub fn area(&self) -> Values<'_> {
        self.values.area(&self.metadata)
    }

    /// The address of an element's key.
    pub fn key_addr(&self, index: u32) -> Option<u64> {
        (index < self.pool.capacity()).then(|| self.metadata.addr(self.elem_off(index) + self.key))
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one update")]
    fn put_once(
        &self,
        bucket: &Bucket<'_>,
        key: Bytes<'_>,
        hash: u32,
        (flags, in_place): (u64, bool),
        owner: Owner,
        new: impl Fn(u32),
        existing: impl Fn(u32),
    ) -> Result<(), Errno> {
        let m = &self.metadata;
        let held = self.lock(bucket, owner)?;
        let old = self.find_locked(bucket, key, hash);
        match old {
            Some(_) if flags == UpdateFlags::NOEXIST => {
                drop(held);
                self.leave_value(owner, new);
                return Err(Errno::EEXIST);
            }
            None if flags == UpdateFlags::EXIST => {
                drop(held);
                self.leave_value(owner, new);
                return Err(Errno::ENOENT);
            }
            Some((_, index)) if self.in_place => {
                existing(index);
                self.used(index);
                return Ok(());
            }
            Some((_, index)) if in_place => {
                let _held = self.geometry.lock_value(m, self.values.off(index, 0), owner)?;
                new(index);
            }
            Some((from, old)) => {
                let index = self.pool.take_replacement(m, owner, self.free_link())?;
                // The new one goes before the old: if that was the first, the link to it is now the new one's.
                let from = if core::ptr::eq(from, bucket.head) { self.elem(index, NEXT) } else { from };
                self.link(bucket, index, key, hash, || new(index));
                self.used(index);
                self.unlink(bucket, from, old);
                drop(held);
                self.let_go(old);
                self.pool.give_replaced(m, old, owner, self.free_link());
            }
            None => {
                let index = self.pool.take_new(m, owner, self.free_link())?;
                self.link(bucket, index, key, hash, || new(index));
            }
        }
        Ok(())
    }

    /// What an update that failed has done to an LRU hash: Linux takes and writes the new element before it looks for the
    /// old one, and then frees it again (`htab_lru_map_update_elem`), which whoever has a pointer to it can see.
    fn leave_value(&self, owner: Owner, write: impl Fn(u32)) {
        if !self.lru || self.percpu {
            return;
        }
        if let Ok(index) = self.pool.take_replacement(&self.metadata, owner, self.free_link()) {
            write(index);
            self.pool.give_replaced(&self.metadata, index, owner, self.free_link());
        }
    }

    /// Elements, as far as others' unfinished operations let one say.
    pub fn element_count(&self) -> u32 {
        self.pool.count(&self.metadata)
    }
}

struct Bucket<'a> {
    lock: &'a AtomicU32,
    version: &'a AtomicU32,
    head: &'a AtomicU32,
    filter: &'a AtomicU32,
}

/// The bit of a hash in its bucket's filter: of those that do not choose the bucket.
fn bit(hash: u32) -> u32 {
    1 << (hash >> 27)
}

/// An element changed under a lookup.
struct Changed;

impl Ops for Hash {
    #[inline(always)]
    fn lookup(&self, key: Bytes<'_>, cpu: u32) -> Option<u64> {
        if key.len() != self.geometry.key_size {
            return None;
        }
        let cpu = if self.percpu { cpu } else { 0 };
        if cpu >= self.values.cpus {
            return None;
        }
        let found = self.find(key, self.hash_of(key))?;
        self.used(found.index);
        Some(self.metadata.addr(self.values.off(found.index, cpu)))
    }

    fn update(&self, key: Bytes<'_>, value: Bytes<'_>, flags: u64, cpu: u32) -> Result<(), Errno> {
        let (m, values) = (&self.metadata, &self.values);
        if !self.percpu {
            let write = |index| self.geometry.write_value(m, values.off(index, 0), value);
            return self.put(key, flags, Owner::cpu(cpu), write, |_| {});
        }
        if cpu >= values.cpus {
            return Err(Errno::EINVAL);
        }
        let existing = |index| {
            let off = values.off(index, cpu);
            self.geometry.write_value(m, off, value);
            self.kept.release(&self.geometry, m, off);
        };
        let new = |index| {
            for other in (0..values.cpus).filter(|&other| other != cpu) {
                self.geometry.zero_value(m, values.off(index, other));
            }
            existing(index);
        };
        self.put(key, flags, Owner::cpu(cpu), new, existing)
    }

    fn delete(&self, key: Bytes<'_>, owner: Owner) -> Result<(), Errno> {
        let hash = self.hash_of(key);
        self.operate(owner, || {
            let bucket = self.bucket(hash);
            let held = self.lock(&bucket, owner)?;
            let (from, index) = self.find_locked(&bucket, key, hash).ok_or(Errno::ENOENT)?;
            self.unlink(&bucket, from, index);
            self.filter(&bucket);
            drop(held);
            self.let_go(index);
            self.pool.give_back(&self.metadata, index, owner, self.free_link());
            Ok(())
        })
    }

    fn lookup_copy(&self, key: Bytes<'_>, out: &mut [u8]) -> Result<(), Errno> {
        let hash = self.hash_of(key);
        match self.copy_found(key, hash, out) {
            Err(Errno::EAGAIN) => self.copy_again(key, hash, out),
            done => done,
        }
    }

    fn update_from_host(&self, key: Bytes<'_>, value: Bytes<'_>, flags: u64) -> Result<(), Errno> {
        let write = |index| {
            if self.percpu {
                self.values.write_all(&self.geometry, &self.metadata, index, value);
                self.let_go(index);
            } else {
                self.geometry.write_value(&self.metadata, self.values.off(index, 0), value);
            }
        };
        self.put(key, flags, Owner::HOST, write, write)
    }

    fn next_key(&self, key: Option<Bytes<'_>>, out: &mut [u8]) -> Result<(), Errno> {
        self.key_after(key, out)
    }

    fn values(&self) -> Option<(u64, usize)> {
        Some(self.area().range())
    }

    fn values_apart(&self) -> Option<usize> {
        (!self.percpu).then_some(self.values.stride)
    }

    fn metadata(&self) -> &Block {
        &self.metadata
    }
}

const K: [u64; 3] = [0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db, 0x8ebc_6af0_9c88_c6e3];

fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// What the hashes of all keys of a map begin with.
fn start(seed: u64, key_size: usize) -> u64 {
    mix(seed ^ K[0], key_size as u64 ^ K[1])
}

/// Hash of a key: each 64-bit word is folded in by a 64 × 64 → 128 bit multiplication, whose halves are
/// xored (the mixing step of the wyhash family). Part of the layout: peers must agree on it.
#[inline(always)]
fn hash(start: u64, key: Bytes<'_>) -> u32 {
    let fold = |h: u64, word: u64| mix(h ^ word, K[2]).rotate_left(32) ^ h;
    let folded = match key.len() {
        // What most keys are.
        4 | 8 => fold(start, key.word_at(0)),
        16 => fold(fold(start, key.word_at(0)), key.word_at(1)),
        _ => hash_words(start, key, fold),
    };
    let last = mix(folded ^ K[1], K[0]);
    (last ^ last >> 32) as u32
}

#[inline(never)]
fn hash_words(start: u64, key: Bytes<'_>, fold: impl Fn(u64, u64) -> u64) -> u64 {
    key.words().fold(start, fold)
}
