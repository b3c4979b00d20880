//! Virtual CPUs: who runs on which.
//!
//! A [`Domain`] has a fixed number of slots. A run leases one and has it to itself, so that per-CPU values need no
//! lock and no pinned thread. A thread tries the slot that it had last time first; a run inside another of
//! the same thread keeps its slot.
//!
//! The slots stand in memory that forked children share, since children have the parent's maps too: a child is another
//! process with leases of its own, also where it was forked inside a run. A folder of pins has slots that all processes
//! share which use it. What a process held that died inside a run is taken back when slots run out.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use skep_spec::{Errno, Error};

use crate::os::Table;

/// A set of virtual CPUs, fixed in number.
pub struct Domain {
    /// 0 when free, otherwise the token of the thread that runs there: its process's number in the upper half, its own
    /// in the lower.
    slots: Table,
    /// How long somebody waits for a slot.
    patience: Duration,
}

/// How long a run waits for a virtual CPU, unless `UserOptions::cpu_patience` says otherwise: as long as other runs may
/// take, but not for ever, since whoever shares the table may say that somebody has all of them.
pub const CPU_PATIENCE: Duration = Duration::from_secs(60);

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Domain").field("cpus", &self.cpus()).finish_non_exhaustive()
    }
}

thread_local! {
    /// The slot that the thread had last, of whichever domain.
    static LAST: Cell<u32> = const { Cell::new(0) };
    /// Runs of this thread that have not ended.
    static ACTIVE: Cell<u32> = const { Cell::new(0) };
    /// The thread's number in its process; 0 until it has one.
    static THREAD: Cell<u32> = const { Cell::new(0) };
}

/// The calling thread's number, never 0.
#[inline]
fn thread_number() -> u32 {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    match THREAD.get() {
        0 => {
            let number = COUNT.fetch_add(1, Ordering::Relaxed).wrapping_add(1).max(1);
            THREAD.set(number);
            number
        }
        number => number,
    }
}

impl Domain {
    /// A domain of `cpus` virtual CPUs, at least 1.
    pub fn new(cpus: u32) -> Self {
        Self { slots: Table::new(cpus.max(1), new_number()), patience: CPU_PATIENCE }
    }

    /// As many as the machine runs threads at a time.
    pub fn of_machine() -> Self {
        Self::new(threads_of_machine())
    }

    /// The domain of a folder of pins, with `cpus` virtual CPUs (as many as the machine runs threads at a time if not
    /// said) unless it has some already.
    ///
    /// # Errors
    /// `EINVAL` when the folder has something else in that place, and what the system says.
    pub fn in_folder(folder: &Path, cpus: Option<u32>) -> Result<Self, Error> {
        let cpus = cpus.unwrap_or_else(threads_of_machine).max(1);
        Ok(Self { slots: Table::in_folder(folder, cpus, new_number())?, patience: CPU_PATIENCE })
    }

    /// The same; runs wait so long for a virtual CPU.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// What the headers of maps say whose programs run here: no other domain has this number.
    pub(crate) fn number(&self) -> u64 {
        self.slots.domain()
    }

    /// The processes that may have maps of the domain.
    pub(crate) fn peers(&self) -> Option<&'static dyn skep_maps::Peers> {
        self.slots.peers()
    }

    /// The file that tells which of them live, and where the word is in it that counts them.
    #[cfg(target_os = "linux")]
    pub(crate) fn processes(&self) -> Option<std::io::Result<(std::os::fd::OwnedFd, usize)>> {
        self.slots.processes()
    }

    /// Virtual CPUs.
    pub fn cpus(&self) -> u32 {
        self.slots.len() as u32
    }

    /// Leases a slot, waiting while others have all of them; `None` when that takes longer than the domain's patience.
    #[inline]
    pub fn lease(&self) -> Option<Lease<'_>> {
        let claim = match self.claim_again() {
            Some(claim) => claim,
            None => self.claim_waiting()?,
        };
        Some(self.leased(claim))
    }

    /// Leases one slot and no other, waiting while somebody has it, as [`Self::lease`]; one there is not counts as another.
    /// For threads without a lease.
    pub(crate) fn lease_on(&self, cpu: u32) -> Option<Lease<'_>> {
        let (me, cpu) = (self.token(), cpu % self.cpus());
        let claim = self.wait_for(|| self.take(cpu, me).then_some(Claim { cpu, holds: Some(me) }))?;
        Some(self.leased(claim))
    }

    #[cold]
    #[inline(never)]
    fn claim_waiting(&self) -> Option<Claim> {
        self.wait_for(|| self.claim())
    }

    fn wait_for(&self, claim: impl Fn() -> Option<Claim>) -> Option<Claim> {
        let (mut rounds, mut start) = (0u32, None);
        loop {
            if let Some(claim) = claim() {
                return Some(claim);
            }
            match rounds {
                0..64 => std::hint::spin_loop(),
                64..128 => thread::yield_now(),
                _ => {
                    if rounds.is_multiple_of(128) {
                        self.bury();
                    }
                    if start.get_or_insert_with(Instant::now).elapsed() > self.patience {
                        return None;
                    }
                    thread::sleep(Duration::from_micros(50));
                }
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
                if self.bury() {
                    continue;
                }
                return Err(self.all_taken());
            }
            thread::yield_now();
        }
    }

    /// Why nothing runs.
    #[cold]
    pub(crate) fn all_taken(&self) -> Error {
        let text = format!("all {} virtual CPUs are taken: run fewer threads or make more", self.cpus());
        Error::new(Errno::EBUSY, text)
    }

    /// Leases a slot if one is free, or this thread has one.
    pub fn try_lease(&self) -> Option<Lease<'_>> {
        self.claim_again().or_else(|| self.claim()).map(|claim| self.leased(claim))
    }

    /// What stands in the slots that the calling thread has.
    #[inline]
    fn token(&self) -> u64 {
        u64::from(self.slots.process()) << 32 | u64::from(thread_number())
    }

    /// Takes a slot if it is free.
    #[inline]
    fn take(&self, cpu: u32, token: u64) -> bool {
        let slot = self.slots.slot(cpu as usize);
        slot.load(Ordering::Relaxed) == 0
            && slot.compare_exchange(0, token, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// The slot of last time, if no run of this thread is under way and it is free: the usual case.
    #[inline]
    fn claim_again(&self) -> Option<Claim> {
        let cpu = LAST.get();
        if cpu as usize >= self.slots.len() || ACTIVE.get() > 0 {
            return None;
        }
        let token = self.token();
        self.take(cpu, token).then_some(Claim { cpu, holds: Some(token) })
    }

    fn claim(&self) -> Option<Claim> {
        let (me, count) = (self.token(), self.cpus());
        if ACTIVE.get() > 0
            && let Some(cpu) = (0..count).find(|&c| self.slots.slot(c as usize).load(Ordering::Relaxed) == me)
        {
            return Some(Claim { cpu, holds: None });
        }
        let last = LAST.get() % count;
        let free = (0..count).map(|i| (last.wrapping_add(i)) % count).find(|&cpu| self.take(cpu, me));
        free.map(|cpu| Claim { cpu, holds: Some(me) })
    }

    #[inline]
    fn leased(&self, claim: Claim) -> Lease<'_> {
        ACTIVE.set(ACTIVE.get() + 1);
        LAST.set(claim.cpu);
        Lease { domain: self, cpu: claim.cpu, holds: claim.holds, thread: PhantomData }
    }

    /// Frees the slots of processes that have died; whether there were any.
    #[cold]
    fn bury(&self) -> bool {
        let me = self.slots.process();
        let mut freed = false;
        for cpu in 0..self.slots.len() {
            let slot = self.slots.slot(cpu);
            let holder = slot.load(Ordering::Acquire);
            let process = (holder >> 32) as u32;
            if holder != 0 && process != me && self.slots.is_dead(process) {
                freed |= slot.compare_exchange(holder, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok();
            }
        }
        freed
    }
}

/// A number that no other domain has, in whatever process or at whatever time; never 0.
fn new_number() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one((std::process::id(), crate::os::real_ns())).max(1)
}

fn threads_of_machine() -> u32 {
    thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX))
}

/// A slot that a thread has got, or has had.
#[derive(Clone, Copy)]
struct Claim {
    cpu: u32,
    /// What stands in the slot, unless an outer run has it.
    holds: Option<u64>,
}

/// A slot that this thread has to itself until the lease is dropped.
#[derive(Debug)]
pub struct Lease<'d> {
    domain: &'d Domain,
    cpu: u32,
    /// What stands in the slot, unless an outer run has it.
    holds: Option<u64>,
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
        self.holds.is_none()
    }
}

impl Drop for Lease<'_> {
    #[inline]
    fn drop(&mut self) {
        ACTIVE.set(ACTIVE.get() - 1);
        // In a child that was forked inside the run the slot is the parent's.
        if self.holds.is_some_and(|token| (token >> 32) as u32 == self.domain.slots.process()) {
            self.domain.slots.slot(self.cpu as usize).store(0, Ordering::Release);
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
        let outer = domain.lease().expect("free");
        let inner = domain.lease().expect("mine");
        assert_eq!((outer.cpu(), inner.is_nested()), (inner.cpu(), true));
        drop(inner);
        let again = domain.lease().expect("mine");
        assert_eq!(again.cpu(), outer.cpu());
        drop(again);
        let cpu = outer.cpu();
        drop(outer);
        assert_eq!(domain.lease().map(|l| l.cpu()), Some(cpu));
    }

    #[test]
    fn another_domain_has_slots_of_its_own() {
        let (a, b) = (Domain::new(1), Domain::new(1));
        let first = a.lease().expect("free");
        let second = b.lease().expect("free");
        assert!(!second.is_nested());
        assert!([&a, &b].iter().all(|d| d.lease().is_some_and(|l| l.is_nested())));
        drop((first, second));
    }

    #[test]
    fn no_slot_left_fails_or_waits() {
        let domain = Arc::new(Domain::new(1));
        let held = domain.lease().expect("free");
        let other = Arc::clone(&domain);
        let failed = thread::spawn(move || {
            other.try_lease().is_none()
                && other.lease_timeout(Duration::from_millis(1)).is_err_and(|e| e.errno == Errno::EBUSY)
        });
        assert!(failed.join().expect("no panic"));
        let other = Arc::clone(&domain);
        let waits = thread::spawn(move || other.lease().expect("it comes").cpu());
        drop(held);
        assert_eq!(waits.join().expect("no panic"), 0);
    }

    #[test]
    fn nobody_waits_for_ever() {
        let domain = Arc::new(Domain::new(1).with_patience(Duration::from_millis(5)));
        let held = domain.lease().expect("free");
        let other = Arc::clone(&domain);
        let waited = thread::spawn(move || other.lease().is_none() && other.lease_on(0).is_none());
        assert!(waited.join().expect("no panic"));
        drop(held);
        assert!(domain.lease().is_some());
    }

    #[test]
    fn domains_have_numbers_of_their_own() {
        let (a, b) = (Domain::new(1), Domain::new(1));
        assert!(a.number() != 0 && b.number() != 0 && a.number() != b.number());
    }

    #[test]
    fn a_slot_has_one_thread_at_a_time() {
        let domain = Domain::new(2);
        let inside = [AtomicU32::new(0), AtomicU32::new(0)];
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        let lease = domain.lease().expect("it comes");
                        let counter = &inside[lease.cpu() as usize];
                        assert_eq!(counter.fetch_add(1, Ordering::SeqCst), 0);
                        counter.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
    }
}
