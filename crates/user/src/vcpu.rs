//! Virtual CPUs: who runs on which.
//!
//! A [`Domain`] has a fixed number of slots. A run leases one and has it to itself, so that per-CPU values need no
//! lock and no pinned thread. A thread tries the slot that it had last time first; a run inside another of
//! the same thread keeps its slot.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use skep_spec::{Errno, Error};

/// A set of virtual CPUs, fixed in number.
#[derive(Debug)]
pub struct Domain {
    /// 0 when free, otherwise the [`token`] of the thread that runs there.
    slots: Box<[Slot]>,
}

/// A slot on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Slot(AtomicUsize);

thread_local! {
    /// The slot that the thread had last, of whichever domain; its address is the thread's [`token`].
    static LAST: Cell<u32> = const { Cell::new(0) };
    /// Runs of this thread that have not ended.
    static ACTIVE: Cell<u32> = const { Cell::new(0) };
}

/// A number that no other living thread has, never 0.
#[inline]
fn token() -> usize {
    LAST.with(|last| std::ptr::from_ref(last).addr())
}

impl Domain {
    /// A domain of `cpus` virtual CPUs, at least 1.
    pub fn new(cpus: u32) -> Self {
        Self { slots: (0..cpus.max(1)).map(|_| Slot::default()).collect() }
    }

    /// As many as the machine runs threads at a time.
    pub fn of_machine() -> Self {
        Self::new(thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX)))
    }

    /// Virtual CPUs.
    pub fn cpus(&self) -> u32 {
        self.slots.len() as u32
    }

    /// Leases a slot, waiting while others have all of them.
    #[inline]
    pub fn lease(&self) -> Lease<'_> {
        let claim = self.claim_again().unwrap_or_else(|| self.claim_waiting());
        self.leased(claim)
    }

    #[cold]
    #[inline(never)]
    fn claim_waiting(&self) -> Claim {
        let mut rounds = 0u32;
        loop {
            if let Some(claim) = self.claim() {
                return claim;
            }
            match rounds {
                0..64 => std::hint::spin_loop(),
                64..128 => thread::yield_now(),
                _ => thread::sleep(Duration::from_micros(50)),
            }
            rounds = rounds.saturating_add(1);
        }
    }

    /// As [`Self::lease`], for at most `timeout`.
    ///
    /// # Errors
    /// `EBUSY` when all slots stay taken.
    pub fn lease_timeout(&self, timeout: Duration) -> Result<Lease<'_>, Error> {
        let start = Instant::now();
        loop {
            if let Some(lease) = self.try_lease() {
                return Ok(lease);
            }
            if start.elapsed() >= timeout {
                let text =
                    format!("all {} virtual CPUs are taken: run fewer threads or make more", self.cpus());
                return Err(Error::new(Errno::EBUSY, text));
            }
            thread::yield_now();
        }
    }

    /// Leases a slot if one is free, or this thread has one.
    pub fn try_lease(&self) -> Option<Lease<'_>> {
        self.claim_again().or_else(|| self.claim()).map(|claim| self.leased(claim))
    }

    /// The slot of last time, if no run of this thread is under way and it is free: the usual case.
    #[inline]
    fn claim_again(&self) -> Option<Claim> {
        let cpu = LAST.get();
        let slot = self.slots.get(cpu as usize).filter(|_| ACTIVE.get() == 0)?;
        slot.take(token()).then_some(Claim { cpu, nested: false })
    }

    fn claim(&self) -> Option<Claim> {
        let me = token();
        if ACTIVE.get() > 0
            && let Some(cpu) = self.slots.iter().position(|s| s.0.load(Ordering::Relaxed) == me)
        {
            return Some(Claim { cpu: cpu as u32, nested: true });
        }
        let count = self.slots.len();
        let last = LAST.get() as usize % count;
        let free = (0..count).map(|i| (last + i) % count).find(|&cpu| self.slots[cpu].take(me));
        free.map(|cpu| Claim { cpu: cpu as u32, nested: false })
    }

    #[inline]
    fn leased(&self, claim: Claim) -> Lease<'_> {
        ACTIVE.set(ACTIVE.get() + 1);
        LAST.set(claim.cpu);
        Lease { domain: self, cpu: claim.cpu, nested: claim.nested, thread: PhantomData }
    }
}

/// A slot that a thread has got, or has had.
#[derive(Clone, Copy)]
struct Claim {
    cpu: u32,
    nested: bool,
}

impl Slot {
    /// Takes the slot if it is free.
    #[inline]
    fn take(&self, token: usize) -> bool {
        self.0.load(Ordering::Relaxed) == 0
            && self.0.compare_exchange(0, token, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }
}

/// A slot that this thread has to itself until the lease is dropped.
#[derive(Debug)]
pub struct Lease<'d> {
    domain: &'d Domain,
    cpu: u32,
    nested: bool,
    /// A lease belongs to its thread.
    thread: PhantomData<*const ()>,
}

impl Lease<'_> {
    /// Number of the virtual CPU.
    #[inline]
    pub fn cpu(&self) -> u32 {
        self.cpu
    }

    /// Whether an outer run of this thread has the slot too.
    pub fn is_nested(&self) -> bool {
        self.nested
    }
}

impl Drop for Lease<'_> {
    #[inline]
    fn drop(&mut self) {
        ACTIVE.set(ACTIVE.get() - 1);
        if !self.nested {
            self.domain.slots[self.cpu as usize].0.store(0, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[test]
    fn nested_runs_keep_the_slot_and_the_last_slot_comes_back() {
        let domain = Domain::new(4);
        let outer = domain.lease();
        let inner = domain.lease();
        assert_eq!((outer.cpu(), inner.is_nested()), (inner.cpu(), true));
        drop(inner);
        let again = domain.lease();
        assert_eq!(again.cpu(), outer.cpu());
        drop(again);
        let cpu = outer.cpu();
        drop(outer);
        assert_eq!(domain.lease().cpu(), cpu);
    }

    #[test]
    fn another_domain_has_slots_of_its_own() {
        let (a, b) = (Domain::new(1), Domain::new(1));
        let first = a.lease();
        let second = b.lease();
        assert!(!second.is_nested());
        assert!(a.lease().is_nested() && b.lease().is_nested());
        drop((first, second));
    }

    #[test]
    fn no_slot_left_fails_or_waits() {
        let domain = Arc::new(Domain::new(1));
        let held = domain.lease();
        let other = Arc::clone(&domain);
        let failed = thread::spawn(move || {
            other.try_lease().is_none()
                && other.lease_timeout(Duration::from_millis(1)).is_err_and(|e| e.errno == Errno::EBUSY)
        });
        assert!(failed.join().expect("no panic"));
        let other = Arc::clone(&domain);
        let waits = thread::spawn(move || other.lease().cpu());
        drop(held);
        assert_eq!(waits.join().expect("no panic"), 0);
    }

    #[test]
    fn a_slot_has_one_thread_at_a_time() {
        let domain = Domain::new(2);
        let inside = [AtomicU32::new(0), AtomicU32::new(0)];
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        let lease = domain.lease();
                        let counter = &inside[lease.cpu() as usize];
                        assert_eq!(counter.fetch_add(1, Ordering::SeqCst), 0);
                        counter.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
    }
}
