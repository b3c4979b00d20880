//! How others are waited for, and how it is found out that they are dead.
//!
//! A holder that lives may be starved: on a busy machine the one thread that could give a lock back runs when the
//! scheduler likes. So who waits spins for a moment, lets others run some times, and then sleeps, each time longer. Only
//! the sleeping counts against the limit: it is time that others had. A holder that died is a different matter: it is
//! asked after again and again, and what it held is taken at once.

use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;

use super::{Owner, PEERS, Peers, WHO_BITS};

/// How long somebody is waited for who lives, unless a map's `Config` says otherwise.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Turns that are spun, then turns in which others may run.
const SPINS: u32 = 64;
const YIELDS: u32 = 256;
/// The first turn that is slept.
const SLEEP: u32 = SPINS + YIELDS;
/// In those turns it is asked once in so many whether the holder lives.
const ASK: u32 = 64;
/// The first and the longest sleep, in microseconds.
const SLEEPS: [u32; 2] = [10, 2_000];

/// Waits for about so many microseconds where nobody can sleep.
pub fn spin(micros: u32) {
    (0..micros.saturating_mul(16)).for_each(|_| core::hint::spin_loop());
}

/// How to wait for others, and how to find out that they are dead.
#[derive(Clone, Copy)]
pub struct Waiting {
    relax: fn(),
    sleep: fn(u32),
    /// Microseconds that are slept at most.
    limit: u32,
    peers: Option<(&'static AtomicU32, &'static dyn Peers)>,
}

impl core::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Waiting").field("me", &self.me()).finish_non_exhaustive()
    }
}

impl Waiting {
    /// `relax` lets others run, `sleep` does so for some microseconds; who lives is waited for as long as `limit`.
    pub fn new(relax: fn(), sleep: fn(u32), limit: Duration, peers: Option<&'static dyn Peers>) -> Self {
        let limit = u32::try_from(limit.as_micros()).unwrap_or(u32::MAX);
        Self { relax, sleep, limit, peers: peers.map(|p| (p.number(), p)) }
    }

    /// The same without sleeping: for what somebody has only for a moment, or there is another way.
    pub fn briefly(&self) -> Self {
        Self { limit: 0, ..*self }
    }

    /// The same for at most this long.
    pub fn at_most(&self, limit: Duration) -> Self {
        let limit = u32::try_from(limit.as_micros()).unwrap_or(u32::MAX);
        Self { limit: self.limit.min(limit), ..*self }
    }

    /// Begins to wait for somebody.
    pub fn begin(&self) -> Wait<'_> {
        Wait { waiting: self, turn: 0, slept: 0 }
    }

    /// Lets others run, between two tries of something that others may spoil but not hold up.
    #[inline]
    pub fn pause(&self) {
        (self.relax)();
    }

    /// The number of this process; 0 without peers.
    #[inline]
    pub fn me(&self) -> u32 {
        match self.peers {
            None => 0,
            Some((number, peers)) => match number.load(Ordering::Relaxed) {
                0 => peers.join(),
                number => number,
            },
        }
    }

    /// What stands in a word that an owner of this process has.
    #[inline]
    pub fn word(&self, owner: Owner) -> u32 {
        self.me() << WHO_BITS | owner.0
    }

    /// Whether the process of a number has died.
    pub fn has_died(&self, process: u32) -> bool {
        process != 0 && process < PEERS && self.is_dead(process << WHO_BITS)
    }

    /// Whether a word names an owner in a process that has died.
    #[cold]
    pub fn is_dead(&self, word: u32) -> bool {
        let process = word >> WHO_BITS;
        let Some((_, peers)) = self.peers else { return false };
        // Where processes have numbers, what has none was written by nobody who took a lock.
        process == 0 || process != self.me() && peers.is_dead(process)
    }
}

/// A wait for somebody.
pub struct Wait<'w> {
    waiting: &'w Waiting,
    turn: u32,
    /// Microseconds.
    slept: u32,
}

impl Wait<'_> {
    /// Whether it is time to ask if the one who is waited for lives: not at every turn, since that asks the system.
    pub fn asks(&self) -> bool {
        self.turn >= SLEEP || self.turn % ASK == ASK - 1
    }

    /// Waits a little, each time longer; `false` at the limit.
    pub fn again(&mut self) -> bool {
        match self.turn {
            0..SPINS if cfg!(not(shuttle)) => core::hint::spin_loop(),
            0..SLEEP => (self.waiting.relax)(),
            turn => {
                let micros = SLEEPS[1].min(SLEEPS[0] << (turn - SLEEP).min(8));
                if self.slept >= self.waiting.limit {
                    return false;
                }
                (self.waiting.sleep)(micros);
                self.slept = self.slept.saturating_add(micros);
            }
        }
        self.turn = self.turn.saturating_add(1);
        true
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use core::sync::atomic::AtomicU64;

    use super::super::{self as sync, Guard, lock};
    use super::*;

    struct Others(AtomicU32);

    impl Peers for Others {
        fn number(&self) -> &AtomicU32 {
            &self.0
        }
        fn join(&self) -> u32 {
            1
        }
        /// Those with odd numbers have died.
        fn is_dead(&self, number: u32) -> bool {
            !number.is_multiple_of(2)
        }
    }

    static OTHERS: Others = Others(AtomicU32::new(1));
    static SLEPT: AtomicU64 = AtomicU64::new(0);

    fn sleep(micros: u32) {
        SLEPT.fetch_add(micros.into(), Ordering::Relaxed);
    }

    /// Locks a word that somebody holds; whether he was inherited from, and what was slept in milliseconds.
    fn wait_for(holder: u32, limit: Duration) -> (Option<bool>, u64) {
        let word = sync::AtomicU32::new(holder);
        let before = SLEPT.load(Ordering::Relaxed);
        let held = lock(&word, Owner::cpu(1), Waiting::new(|| {}, sleep, limit, Some(&OTHERS)));
        (held.as_ref().map(Guard::is_inherited), (SLEPT.load(Ordering::Relaxed) - before) / 1000)
    }

    #[test]
    fn the_living_are_waited_for_and_the_dead_are_not() {
        let (host, cpu) = (Owner::HOST.0, Owner::cpu(0).0);
        assert_eq!(wait_for(0, PATIENCE), (Some(false), 0));
        assert_eq!(wait_for(3 << WHO_BITS | host, PATIENCE), (Some(true), 0), "it has died");
        assert_eq!(wait_for(host, PATIENCE), (Some(true), 0), "written by nobody");
        let (held, slept) = wait_for(2 << WHO_BITS | host, PATIENCE);
        assert!(held.is_none() && (5000..5003).contains(&slept), "it lives: {slept} ms");
        let (held, slept) = wait_for(1 << WHO_BITS | cpu, Duration::from_millis(20));
        assert!(held.is_none() && (20..23).contains(&slept), "another thread of this process: {slept} ms");
        assert_eq!(wait_for(1 << WHO_BITS | Owner::cpu(1).0, PATIENCE), (None, 0), "an outer run");
    }
}
