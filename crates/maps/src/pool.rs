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
//!
//! A process may die with an element in its hands. So whoever changes the map first says so in a word of his CPU's, or
//! in one of `HOSTS` that the host's threads share ([`Pool::begin`]); where the process of such a word is dead, the
//! elements that no bucket holds are gathered again ([`Pool::gather`]). Nobody else may be in an operation then:
//! whoever repairs takes the lock of the repair (`geometry::REPAIR`), then each bucket's once, and then waits until
//! the words are 0. Who has got a bucket's lock before that has said so before; who gets it later sees that the
//! repair is going on, and leaves.

use skep_spec::Errno;

use crate::geometry::REPAIR;
use crate::mem::Block;
use crate::sync::{AtomicU32, Ordering, Owner, Waiting, exchange_here, fence, lock};

/// Elements beyond `max_entries`, besides one for each CPU: threads that replace an element at the same
/// time wait for each other beyond that.
const SPARE: u32 = 16;
/// Offsets from the pool's start.
const COUNT: usize = 0;
const FRESH: usize = 4;
const HAND: usize = 8;
/// As `REPLACED`, of the host's threads.
const HOST_REPLACED: usize = 12;
const HOST: usize = 64;
/// Words of operations of the host's threads, each on a cache line.
const HOSTS: u32 = 16;
const STACKS: usize = HOST + 64 * HOSTS as usize;
/// Bytes of a CPU's stack: lock, head, replaced, operation, number of operations; a cache line, against false sharing.
const STACK: usize = 64;
/// Offset in them of the element that the CPU replaced last.
const REPLACED: usize = 8;
/// Offset in them of the word that says who is in an operation.
const OPERATION: usize = 12;
/// Behind a word that says who is in an operation: how many began with it.
const BEGUN: usize = 4;
/// How often it is looked whether an operation has ended before elements are copied in a way that does without.
const GLANCES: u32 = 256;
/// In the place of an element's link while elements are gathered: no bucket holds it.
const LOOSE: u32 = u32::MAX;
/// What an operation comes to that met a repair, and starts over after it.
pub(crate) const REPAIRED: Errno = Errno(130);

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
    wait: Waiting,
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
        wait: Waiting,
    ) -> Option<(Self, usize)> {
        let capacity = match replacing {
            Replacing::InPlace => max_entries,
            Replacing::Any | Replacing::Last => max_entries.checked_add(cpus.checked_add(SPARE)?)?,
        };
        let end = base.checked_add(STACKS)?.checked_add(STACK.checked_mul(cpus as usize)?)?;
        let keeps_replaced = replacing == Replacing::Last;
        // Links are index + 1.
        (capacity < u32::MAX)
            .then_some((Self { base, cpus, max_entries, capacity, keeps_replaced, wait }, end))
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
            let kept = match self.own_replaced(m, owner) {
                Some(word) => {
                    let kept = word.load(Ordering::Relaxed);
                    // A run inside this one may have it now.
                    if kept != 0 && exchange_here(word, kept, 0) { kept } else { 0 }
                }
                None => m.u32(self.base + HOST_REPLACED).swap(0, Ordering::Acquire),
            };
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
        // Host threads share a place, and a run may be nested in an update: whoever finds it taken gives the element to
        // all.
        let is_kept = self.keeps_replaced
            && match self.own_replaced(m, owner) {
                Some(word) => exchange_here(word, 0, index + 1),
                None => {
                    let word = m.u32(self.base + HOST_REPLACED);
                    word.compare_exchange(0, index + 1, Ordering::Release, Ordering::Relaxed).is_ok()
                }
            };
        if !is_kept {
            self.give(m, index, owner, free_link);
        }
    }

    /// The word for the element that a CPU replaced last, which nobody else writes while a run has the CPU.
    fn own_replaced<'m>(&self, m: &'m Block, owner: Owner) -> Option<&'m AtomicU32> {
        let cpu = owner.slot().filter(|&cpu| cpu < self.cpus)?;
        Some(m.u32(self.stack(cpu) + REPLACED))
    }

    /// Takes a free element.
    ///
    /// # Errors
    /// EBUSY when none comes back, or a lock stays taken.
    fn take(&self, m: &Block, owner: Owner, free_link: impl Fn(u32) -> usize) -> Result<u32, Errno> {
        let own = self.own_stack(owner);
        let mut turns = self.wait.begin();
        loop {
            if turns.asks() && self.is_bereaved(m) {
                return Err(REPAIRED);
            }
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
            // Another thread is about to free one.
            if !turns.again() {
                return Err(Errno::EBUSY);
            }
        }
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
        let _held = lock(m.u32(at), owner, self.wait).ok_or(Errno::EBUSY)?;
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
        let others = (0..self.cpus).map(|step| ((own + step) % self.cpus, self.wait.briefly()));
        for (cpu, wait) in others.chain([(own, self.wait)]) {
            let at = self.stack(cpu);
            let Some(_held) = lock(m.u32(at), owner, wait) else { continue };
            let head = m.u32(at + 4);
            m.u32(free_link(index)).store(head.load(Ordering::Relaxed), Ordering::Relaxed);
            head.store(index + 1, Ordering::Relaxed);
            return;
        }
    }

    /// Says that an operation begins which may take elements, until it is dropped. `None` when the words tell of dead
    /// processes: see [`Self::is_bereaved`].
    #[inline]
    pub fn begin<'m>(&self, m: &'m Block, owner: Owner) -> Option<Operation<'m>> {
        let mine = self.wait.word(owner);
        if let Some(cpu) = owner.slot().filter(|&cpu| cpu < self.cpus) {
            // Nobody else writes the word while the run has the CPU, unless he has a CPU of another domain.
            let at = self.stack(cpu) + OPERATION;
            let word = m.u32(at);
            let before = word.load(Ordering::Relaxed);
            if before == 0 || before == mine {
                word.store(mine, Ordering::Release);
                count_up(m.u32(at + BEGUN));
                return Some(Operation { word, before });
            }
        }
        self.begin_shared(m, mine)
    }

    /// As [`Self::begin`], in a word that many share.
    fn begin_shared<'m>(&self, m: &'m Block, mine: u32) -> Option<Operation<'m>> {
        // Threads have stacks of their own, so that most begin with another word.
        let first = (core::ptr::from_ref(&mine).addr() >> 14) as u32;
        let mut turns = self.wait.begin();
        loop {
            for i in 0..HOSTS {
                let at = self.host_word(first.wrapping_add(i) % HOSTS);
                let word = m.u32(at);
                if word.load(Ordering::Relaxed) == 0
                    && word.compare_exchange(0, mine, Ordering::AcqRel, Ordering::Relaxed).is_ok()
                {
                    count_up(m.u32(at + BEGUN));
                    return Some(Operation { word, before: 0 });
                }
            }
            if turns.asks() && self.is_bereaved(m) || !turns.again() {
                return None;
            }
        }
    }

    fn host_word(&self, i: u32) -> usize {
        self.base + HOST + 64 * i as usize
    }

    /// Offsets of the words that say who is in an operation.
    fn operation_words(&self) -> impl Iterator<Item = usize> {
        let cpus = (0..self.cpus).map(|cpu| self.stack(cpu) + OPERATION);
        cpus.chain((0..HOSTS).map(|i| self.host_word(i)))
    }

    fn operations<'s, 'm: 's>(&'s self, m: &'m Block) -> impl Iterator<Item = &'m AtomicU32> + 's {
        self.operation_words().map(|at| m.u32(at))
    }

    /// How many operations began until now, which have all ended; `None` when others do not end soon.
    pub fn quiet(&self, m: &Block) -> Option<u32> {
        let begun = self.begun(m);
        // Whoever is in one has been counted, or began after this.
        for word in self.operations(m) {
            let mut left = GLANCES;
            while word.load(Ordering::Acquire) != 0 {
                left = left.checked_sub(1)?;
                self.wait.pause();
            }
        }
        Some(begun)
    }

    /// How many operations began until now.
    pub fn begun(&self, m: &Block) -> u32 {
        let counts = self.operation_words().map(|at| m.u32(at + BEGUN).load(Ordering::Acquire));
        counts.fold(0, u32::wrapping_add)
    }

    /// Elements that were ever used: all are below.
    pub fn used(&self, m: &Block) -> u32 {
        m.u32(self.base + FRESH).load(Ordering::Acquire).min(self.capacity)
    }

    /// Whether a process died in an operation.
    pub fn is_bereaved(&self, m: &Block) -> bool {
        self.operations(m).any(|word| match word.load(Ordering::Relaxed) {
            0 => false,
            holder => self.wait.is_dead(holder),
        })
    }

    /// Whether the owner is in an operation, in an outer run on its CPU.
    pub fn is_nested(&self, m: &Block, owner: Owner) -> bool {
        let cpu = owner.slot().filter(|&cpu| cpu < self.cpus);
        cpu.is_some_and(|cpu| {
            m.u32(self.stack(cpu) + OPERATION).load(Ordering::Relaxed) == self.wait.word(owner)
        })
    }

    /// Whether a repair is under way: to be asked with a bucket's lock held, before anything is changed.
    #[inline]
    pub fn is_repaired(&self, m: &Block) -> bool {
        m.u32(REPAIR).load(Ordering::Relaxed) != 0
    }

    /// Waits until nobody who lives is in an operation, and forgets the dead.
    ///
    /// # Errors
    /// EBUSY when an operation does not end.
    pub fn wait_for_operations(&self, m: &Block) -> Result<(), Errno> {
        for word in self.operations(m) {
            let mut turns = self.wait.begin();
            loop {
                let holder = word.load(Ordering::Acquire);
                if holder == 0 {
                    break;
                }
                if turns.asks() && self.wait.is_dead(holder) {
                    let _ = word.compare_exchange(holder, 0, Ordering::AcqRel, Ordering::Relaxed);
                }
                if !turns.again() {
                    return Err(Errno::EBUSY);
                }
            }
        }
        Ok(())
    }

    /// Counts the elements that buckets hold, and frees all others that were ever used. Nobody else is in an
    /// operation. `keep` hands every element that a bucket holds to its argument, which refuses one that does not
    /// exist or came before; `freed` is told of the others.
    pub fn gather(
        &self,
        m: &Block,
        free_link: impl Fn(u32) -> usize,
        keep: impl FnOnce(&mut dyn FnMut(u32) -> bool),
        freed: impl Fn(u32),
    ) {
        let used = self.used(m);
        let link = |index| m.u32(free_link(index));
        (0..used).for_each(|index| link(index).store(LOOSE, Ordering::Relaxed));
        let mut count = 0;
        keep(&mut |index| {
            let first =
                index < used && link(index).load(Ordering::Relaxed) == LOOSE && count < self.max_entries;
            if first {
                link(index).store(0, Ordering::Relaxed);
                count += 1;
            }
            first
        });
        m.u32(self.base + HOST_REPLACED).store(0, Ordering::Relaxed);
        for cpu in 0..self.cpus {
            let at = self.stack(cpu);
            [0, 4, REPLACED].iter().for_each(|off| m.u32(at + off).store(0, Ordering::Relaxed));
        }
        for index in (0..used).filter(|&index| link(index).load(Ordering::Relaxed) == LOOSE) {
            freed(index);
            let head = m.u32(self.stack(index % self.cpus) + 4);
            link(index).store(head.load(Ordering::Relaxed), Ordering::Relaxed);
            head.store(index + 1, Ordering::Relaxed);
        }
        m.u32(self.base + COUNT).store(count, Ordering::Release);
    }
}

/// Counts an operation, before all that it does. Nobody else writes the number meanwhile.
#[inline]
fn count_up(begun: &AtomicU32) {
    begun.store(begun.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
    // Whoever sees what the operation does sees the number.
    fence(Ordering::Release);
}

/// An operation under way.
pub(crate) struct Operation<'m> {
    word: &'m AtomicU32,
    /// What the word said before: an outer run's operation on the same CPU, or nothing.
    before: u32,
}

impl Drop for Operation<'_> {
    #[inline]
    fn drop(&mut self) {
        self.word.store(self.before, Ordering::Release);
    }
}
