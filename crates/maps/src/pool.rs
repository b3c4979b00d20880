//! The free elements of a hash.
//!
//! Elements that were never used are taken by counting upwards (`fresh`), so that creating a map touches
//! none of them; freed ones wait in a stack for each virtual CPU, as in the kernel's `pcpu_freelist`, and
//! who finds its own empty takes from the others'. `count` is what E2BIG goes by: an insert raises it first
//! and a delete lowers it last, so that an element is free for whoever raised it. `SPARE` more elements
//! than `max_entries` let updates replace elements of a full map.
//!
//! Which element comes back when shows, through the pointers that programs still have. So it is as in Linux 6.18
//! (`alloc_htab_elem`, `free_htab_elem`): what a CPU deleted last it inserts first; what it replaced last in a
//! preallocated hash replaces the next (`extra_elems`), and never serves an insert.

use skep_spec::Errno;

use crate::mem::Block;
use crate::sync::{AtomicU32, Ordering, Owner, lock};

/// Elements beyond `max_entries`, besides one for each CPU: threads that replace an element at the same
/// time wait for each other beyond that.
const SPARE: u32 = 16;
/// Offsets from the pool's start.
const COUNT: usize = 0;
const FRESH: usize = 4;
const HAND: usize = 8;
const STACKS: usize = 64;
/// Bytes of a CPU's stack: lock, head, replaced; a cache line, against false sharing.
const STACK: usize = 64;
/// Offset in them of the element that the CPU replaced last.
const REPLACED: usize = 8;
/// How often all stacks are searched for an element that another thread is about to free.
const PATIENCE: u32 = 1 << 20;

#[derive(Clone, Copy)]
pub(crate) struct Pool {
    /// Offset in the metadata.
    base: usize,
    cpus: u32,
    max_entries: u32,
    /// Elements in all.
    capacity: u32,
    /// Replaced elements are kept for replacements.
    keeps_replaced: bool,
    relax: fn(),
}

/// How elements are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replacing {
    /// Never: values are written in place.
    InPlace,
    /// By any free element.
    Any,
    /// By the one that the CPU replaced last.
    Last,
}

impl Pool {
    /// A pool at `base`; also the offset of its end.
    pub fn new(
        base: usize,
        max_entries: u32,
        replacing: Replacing,
        cpus: u32,
        relax: fn(),
    ) -> Option<(Self, usize)> {
        let capacity = match replacing {
            Replacing::InPlace => max_entries,
            Replacing::Any | Replacing::Last => max_entries.checked_add(cpus.checked_add(SPARE)?)?,
        };
        let end = base.checked_add(STACKS)?.checked_add(STACK.checked_mul(cpus as usize)?)?;
        let keeps_replaced = replacing == Replacing::Last;
        // Links are index + 1.
        (capacity < u32::MAX)
            .then_some((Self { base, cpus, max_entries, capacity, keeps_replaced, relax }, end))
    }

    /// Elements in all: every index read from shared memory is below it or refused.
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Elements in the map, as far as others' unfinished operations let one say.
    pub fn count(&self, m: &Block) -> u32 {
        m.u32(self.base + COUNT).load(Ordering::Acquire)
    }

    /// The element that an eviction looks at next. Threads that evict at the same time may look at the same.
    pub fn advance_hand(&self, m: &Block) -> u32 {
        let hand = m.u32(self.base + HAND);
        let index = hand.load(Ordering::Relaxed) % self.capacity;
        hand.store(index + 1, Ordering::Relaxed);
        index
    }

    /// Takes an element for a new key.
    ///
    /// # Errors
    /// E2BIG when the map is full; EBUSY when a lock stays taken.
    pub fn take_new(&self, m: &Block, owner: Owner, free_link: impl Fn(u32) -> usize) -> Result<u32, Errno> {
        let count = m.u32(self.base + COUNT);
        let mut now = count.load(Ordering::Relaxed);
        loop {
            if now >= self.max_entries {
                return Err(Errno::E2BIG);
            }
            match count.compare_exchange(now, now + 1, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => break,
                Err(other) => now = other,
            }
        }
        let taken = self.take(m, owner, free_link);
        if taken.is_err() {
            self.lower(m);
        }
        taken
    }

    /// Gives back an element of a deleted key.
    pub fn give_back(&self, m: &Block, index: u32, owner: Owner, free_link: impl Fn(u32) -> usize) {
        self.give(m, index, owner, free_link);
        self.lower(m);
    }

    fn lower(&self, m: &Block) {
        m.u32(self.base + COUNT).fetch_sub(1, Ordering::Release);
    }

    /// Takes an element to replace another, which [`Self::give_replaced`] gets soon.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn take_replacement(
        &self,
        m: &Block,
        owner: Owner,
        free_link: impl Fn(u32) -> usize,
    ) -> Result<u32, Errno> {
        if self.keeps_replaced {
            let kept = self.replaced(m, owner).swap(0, Ordering::Acquire);
            if let Some(index) = kept.checked_sub(1).filter(|&i| i < self.capacity) {
                return Ok(index);
            }
            // Linux sets one aside for each CPU.
            if let Some(index) = self.fresh(m) {
                return Ok(index);
            }
        }
        self.take(m, owner, free_link)
    }

    /// Gives back an element that another has replaced.
    pub fn give_replaced(&self, m: &Block, index: u32, owner: Owner, free_link: impl Fn(u32) -> usize) {
        let kept = self.keeps_replaced.then(|| self.replaced(m, owner));
        // Host threads share a place, and a run may be nested in an update: whoever finds it taken gives the element to
        // all.
        let is_kept = |kept: &AtomicU32| {
            kept.compare_exchange(0, index + 1, Ordering::Release, Ordering::Relaxed).is_ok()
        };
        if !kept.is_some_and(is_kept) {
            self.give(m, index, owner, free_link);
        }
    }

    /// The word for the element that the owner's CPU replaced last.
    fn replaced<'m>(&self, m: &'m Block, owner: Owner) -> &'m AtomicU32 {
        m.u32(self.stack(self.own_stack(owner)) + REPLACED)
    }

    /// Takes a free element.
    ///
    /// # Errors
    /// EBUSY when none comes back, or a lock stays taken.
    fn take(&self, m: &Block, owner: Owner, free_link: impl Fn(u32) -> usize) -> Result<u32, Errno> {
        let own = self.own_stack(owner);
        for _ in 0..PATIENCE {
            if let Some(index) = self.pop(m, own, owner, &free_link)? {
                return Ok(index);
            }
            if let Some(index) = self.fresh(m) {
                return Ok(index);
            }
            for cpu in 0..self.cpus {
                if let Some(index) = self.pop(m, cpu, owner, &free_link)? {
                    return Ok(index);
                }
            }
            (self.relax)();
        }
        Err(Errno::EBUSY)
    }

    fn own_stack(&self, owner: Owner) -> u32 {
        owner.slot().unwrap_or(0) % self.cpus
    }

    fn stack(&self, cpu: u32) -> usize {
        self.base + STACKS + STACK * cpu as usize
    }

    /// The next element that was never used.
    fn fresh(&self, m: &Block) -> Option<u32> {
        let fresh = m.u32(self.base + FRESH);
        let mut now = fresh.load(Ordering::Relaxed);
        while now < self.capacity {
            match fresh.compare_exchange(now, now + 1, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(now),
                Err(other) => now = other,
            }
        }
        None
    }

    fn pop(
        &self,
        m: &Block,
        cpu: u32,
        owner: Owner,
        free_link: impl Fn(u32) -> usize,
    ) -> Result<Option<u32>, Errno> {
        let at = self.stack(cpu);
        let head = m.u32(at + 4);
        if head.load(Ordering::Relaxed) == 0 {
            return Ok(None);
        }
        let _held = lock(m.u32(at), owner, self.relax).ok_or(Errno::EBUSY)?;
        let Some(index) = head.load(Ordering::Relaxed).checked_sub(1).filter(|&i| i < self.capacity) else {
            return Ok(None);
        };
        head.store(m.u32(free_link(index)).load(Ordering::Relaxed), Ordering::Relaxed);
        Ok(Some(index))
    }

    /// Gives back an element. When the stack's lock stays taken (its holder died), the element is lost.
    fn give(&self, m: &Block, index: u32, owner: Owner, free_link: impl Fn(u32) -> usize) {
        let own = self.own_stack(owner);
        // A run nested in one that holds its CPU's stack puts the element on another's.
        for step in 0..self.cpus {
            let at = self.stack((own + step) % self.cpus);
            let Some(_held) = lock(m.u32(at), owner, self.relax) else { continue };
            let head = m.u32(at + 4);
            m.u32(free_link(index)).store(head.load(Ordering::Relaxed), Ordering::Relaxed);
            head.store(index + 1, Ordering::Relaxed);
            return;
        }
    }
}
