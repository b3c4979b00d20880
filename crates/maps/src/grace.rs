//! Grace periods: an element that was taken out is not used again while a run lasts that may have its address.
//!
//! ```text
//! epoch            counts what was taken out
//! run begins:      its CPU's word says the epoch; fence
//! taken out:       unlink; fence; the element is marked with the epoch, which then goes on by 1
//! used again:      fence; every CPU that runs began in a later epoch than the mark
//! ```
//!
//! A run that began in a later epoch has seen the unlinking, so it cannot have found the element. A run whose word was
//! not seen yet has its fence behind that of the taker, and so looks only after the unlinking. (RCU's argument; epochs
//! are compared as they wrap around, so 2³¹ elements may be taken out during a run.)
//!
//! The word for a CPU's runs says which process they are in. If that has died, the runs are over: who leases the CPU next
//! begins anew, and who needs elements ends them ([`Grace::bury`]).
//!
//! Each map has grace periods of its own, in its metadata, so that only programs that use it pay for them.

use crate::mem::Block;
use crate::sync::{AtomicU32, Ordering, Owner, Waiting, fence};

/// Offsets from the start: the epoch; runs on CPUs that the map has no word for.
const EPOCH: usize = 0;
const OTHERS: usize = 4;
const CPUS: usize = 64;
/// In the word for runs: their number; above it the process that they are in.
const RUNS: u32 = (1 << 14) - 1;
/// Bytes for a CPU: runs inside each other and their process, epoch of the outermost; a cache line, against false
/// sharing.
const CPU: usize = 64;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Grace {
    /// Offset in the metadata.
    base: usize,
    cpus: u32,
}

impl Grace {
    /// Grace periods at `base`; also the offset of their end. `None` when it cannot be counted.
    pub fn new(base: usize, cpus: u32) -> Option<(Self, usize)> {
        let end = base.checked_add(CPUS)?.checked_add(CPU.checked_mul(cpus as usize)?)?;
        Some((Self { base, cpus }, end))
    }

    fn epoch<'m>(&self, m: &'m Block) -> &'m AtomicU32 {
        m.u32(self.base + EPOCH)
    }

    fn others<'m>(&self, m: &'m Block) -> &'m AtomicU32 {
        m.u32(self.base + OTHERS)
    }

    /// The words of a CPU: runs, epoch.
    fn of<'m>(&self, m: &'m Block, cpu: u32) -> [&'m AtomicU32; 2] {
        let at = self.base + CPUS + CPU * cpu as usize;
        [m.u32(at), m.u32(at + 4)]
    }

    /// A run begins on a CPU, perhaps inside another.
    pub fn begin(&self, m: &Block, cpu: u32, wait: Waiting) {
        if cpu >= self.cpus {
            self.others(m).fetch_add(1, Ordering::Relaxed);
        } else {
            // Nobody else writes these words while the run has the CPU.
            let [runs, began] = self.of(m, cpu);
            let (before, me) = (runs.load(Ordering::Relaxed), wait.me() * (RUNS + 1));
            // Another process had the CPU, and died in a run.
            let now = if before & !RUNS == me { before & RUNS } else { 0 };
            if now == 0 {
                began.store(self.epoch(m).load(Ordering::Acquire), Ordering::Release);
            }
            runs.store(me | (now + 1).min(RUNS), Ordering::Release);
        }
        fence(Ordering::SeqCst);
    }

    /// A run ends that has begun on this CPU.
    pub fn end(&self, m: &Block, cpu: u32) {
        if cpu >= self.cpus {
            self.others(m).fetch_sub(1, Ordering::Release);
        } else {
            let [runs, _] = self.of(m, cpu);
            let now = runs.load(Ordering::Relaxed);
            let left = (now & RUNS).saturating_sub(1);
            runs.store(if left == 0 { 0 } else { now & !RUNS | left }, Ordering::Release);
        }
    }

    /// As [`Self::begin`], also where two runs have one CPU at the same time: whoever spoils the table that CPUs are
    /// leased by must not bring about that something goes which a run has the address of. The words are private memory.
    pub fn begin_among_others(&self, m: &Block, cpu: u32, wait: Waiting) {
        if cpu >= self.cpus {
            self.others(m).fetch_add(1, Ordering::Relaxed);
        } else {
            let [runs, began] = self.of(m, cpu);
            let me = wait.me() * (RUNS + 1);
            // Before the count: who finds it raised goes by this epoch, which must not be later than he is.
            let epoch = self.epoch(m).load(Ordering::Acquire);
            let mut before = runs.load(Ordering::Relaxed);
            loop {
                // In a forked child the parent's runs are over.
                let now = if before & !RUNS == me { before & RUNS } else { 0 };
                let more = me | (now + 1).min(RUNS);
                match runs.compare_exchange(before, more, Ordering::AcqRel, Ordering::Relaxed) {
                    Ok(_) => {
                        // Until then an earlier run's stands there, which only makes others wait for longer.
                        if now == 0 {
                            began.store(epoch, Ordering::Release);
                        }
                        break;
                    }
                    Err(other) => before = other,
                }
            }
        }
        fence(Ordering::SeqCst);
    }

    /// A run ends that began among others.
    pub fn end_among_others(&self, m: &Block, cpu: u32) {
        if cpu >= self.cpus {
            self.others(m).fetch_sub(1, Ordering::Release);
            return;
        }
        let [runs, _] = self.of(m, cpu);
        let mut now = runs.load(Ordering::Relaxed);
        loop {
            let left = (now & RUNS).saturating_sub(1);
            let less = if left == 0 { 0 } else { now & !RUNS | left };
            match runs.compare_exchange(now, less, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(other) => now = other,
            }
        }
    }

    /// Ends the runs of processes that have died.
    #[cold]
    pub fn bury(&self, m: &Block, wait: Waiting) {
        for cpu in 0..self.cpus {
            let [runs, _] = self.of(m, cpu);
            let now = runs.load(Ordering::Acquire);
            if now != 0 && wait.is_dead(now) {
                // Another process may have got the CPU meanwhile.
                let _ = runs.compare_exchange(now, 0, Ordering::AcqRel, Ordering::Relaxed);
            }
        }
    }

    /// The mark of an element that was unlinked just now, under the map's lock.
    pub fn mark(&self, m: &Block) -> u32 {
        fence(Ordering::SeqCst);
        let epoch = self.epoch(m);
        let now = epoch.load(Ordering::Relaxed);
        epoch.store(now.wrapping_add(1), Ordering::Release);
        now
    }

    /// Whether what has this mark is not used again before the run on a CPU has ended, which has begun.
    pub fn waits_for(&self, m: &Block, mark: u32, cpu: u32) -> bool {
        if cpu >= self.cpus {
            return self.others(m).load(Ordering::Acquire) != 0;
        }
        let [runs, began] = self.of(m, cpu);
        runs.load(Ordering::Acquire) != 0 && (began.load(Ordering::Acquire).wrapping_sub(mark) as i32) <= 0
    }

    /// Whether no run is left that may have the address of an element with this mark. Asks first who is likely to.
    pub fn is_over(&self, m: &Block, mark: u32, asker: Owner) -> bool {
        fence(Ordering::SeqCst);
        let later = |cpu: u32| {
            let [runs, began] = self.of(m, cpu);
            let idle = runs.load(Ordering::Acquire) == 0;
            idle || (began.load(Ordering::Acquire).wrapping_sub(mark) as i32) > 0
        };
        let first = asker.slot().filter(|&cpu| cpu < self.cpus);
        first.is_none_or(later) && self.others(m).load(Ordering::Acquire) == 0 && (0..self.cpus).all(later)
    }
}
