//! Timers and work of values: what is to run when (`bpf_timer_init` and what follows it in kernel/bpf/helpers.c, Linux
//! 6.18).
//!
//! The functions run in whoever asks for what is [`Due`]; this only says which, and when. A timer that is deleted with its
//! value while its function runs is gone at once, and the function runs to its end.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::any::Any;

use skep_spec::Errno;

use super::Keeper;
use crate::ringbuf::Wake;

/// The program of a timer's function.
pub type Owner = Arc<dyn Any + Send + Sync>;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerKind {
    /// `struct bpf_timer`.
    Timer,
    /// `struct bpf_wq`.
    Work,
}

pub(super) struct Timer {
    kind: TimerKind,
    /// The clock of a timer, as `bpf_timer_init` got it.
    clock: u32,
    /// What stands for its map in its program.
    map: u64,
    /// What is to run: the program and its function.
    call: Option<(Owner, u64)>,
    /// When, and its number in the queue.
    at: Option<(u64, u64)>,
    /// The CPU that it must run on.
    cpu: Option<u32>,
    /// Which call of its function is under way.
    running: Option<u64>,
    /// How many wait until its function has ended, to cancel it.
    cancelling: u32,
}

/// Timers that have been started, by when they end: nanoseconds of the monotonic clock, and a number.
#[derive(Default)]
pub(super) struct Queue {
    by_end: BTreeMap<(u64, u64), u64>,
    last: u64,
}

impl Queue {
    pub(super) fn remove(&mut self, timer: &Timer) {
        if let Some(at) = timer.at {
            self.by_end.remove(&at);
        }
    }
}

/// A function that is to run now. [`Keeper::ran`] is told when it has.
pub struct Due {
    /// Its program.
    pub program: Owner,
    /// The function, as whoever started the timer named it.
    pub function: u64,
    /// Where the timer is.
    pub timer: u64,
    /// What stands for its map in the program.
    pub map: u64,
    call: u64,
}

impl core::fmt::Debug for Due {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Due")
            .field("timer", &self.timer)
            .field("function", &self.function)
            .finish_non_exhaustive()
    }
}

/// What an attempt to cancel comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancel {
    /// It is cancelled; whether it had been started.
    Done(bool),
    /// Its function runs: ask again, with [`Keeper::cancel_waits`] before and after.
    /// Whether it had been started again.
    Running(bool),
}

impl Keeper {
    /// `bpf_timer_init`, `bpf_wq_init`; `map` is what stands for the map in its program.
    ///
    /// # Errors
    /// `EBUSY` when it has been already.
    pub fn timer_init(&self, timer: u64, kind: TimerKind, clock: u32, map: u64) -> Result<(), Errno> {
        self.change(|s| {
            if s.timers.contains_key(&timer) {
                return Err(Errno::EBUSY);
            }
            let new =
                Timer { kind, clock, map, call: None, at: None, cpu: None, running: None, cancelling: 0 };
            s.timers.insert(timer, new);
            Ok(())
        })?
    }

    /// Takes an initialisation back.
    pub fn timer_forget(&self, timer: u64) {
        // What cannot be changed any more stays until the process ends.
        let _gone = self.change(|s| s.release_timers(timer, timer + 1));
    }

    /// Between two looks at what somebody else is to change.
    pub fn pause(&self) {
        self.wait.pause();
    }

    /// The clock of a timer that has been initialised.
    pub fn timer_clock(&self, timer: u64) -> Option<u32> {
        self.state.read(|s| s.timers.get(&timer).map(|t| t.clock)).flatten()
    }

    /// `bpf_timer_set_callback`, `bpf_wq_set_callback_impl`.
    ///
    /// # Errors
    /// `EINVAL` when it has not been initialised.
    pub fn timer_set(&self, timer: u64, program: Owner, function: u64) -> Result<(), Errno> {
        // The program before may be dropped here, behind the lock.
        let _before = self.change(|s| match s.timers.get_mut(&timer) {
            Some(t) => Ok(t.call.replace((program, function))),
            None => Err(Errno::EINVAL),
        })??;
        Ok(())
    }

    /// `bpf_timer_start` with a time of the monotonic clock, `bpf_wq_start` with 0.
    ///
    /// # Errors
    /// `EINVAL` when it has not been initialised or has no function.
    pub fn timer_start(&self, timer: u64, end_ns: u64, cpu: Option<u32>) -> Result<(), Errno> {
        let first = self.change(|s| {
            let t = s.timers.get_mut(&timer).filter(|t| t.call.is_some()).ok_or(Errno::EINVAL)?;
            // Work that waits already is not queued twice.
            if t.kind == TimerKind::Work && t.at.is_some() {
                return Ok(false);
            }
            s.queue.remove(t);
            s.queue.last += 1;
            let at = (end_ns, s.queue.last);
            (t.at, t.cpu) = (Some(at), cpu);
            s.queue.by_end.insert(at, timer);
            Ok(s.queue.by_end.keys().next() == Some(&at))
        })??;
        if first {
            self.wakes.iter().for_each(|wake| wake.wake());
        }
        Ok(())
    }

    /// One step of `bpf_timer_cancel`, by the function of `own` if that is a timer's.
    ///
    /// # Errors
    /// `EINVAL` when it has not been initialised; `EDEADLK` when the caller is its own function, or when another timer's
    /// function is about to cancel the caller's timer and so may wait for the caller.
    pub fn timer_cancel(&self, timer: u64, own: Option<u64>) -> Result<Cancel, Errno> {
        let (cancel, _gone) = self.change(|s| {
            s.timers.get(&timer).ok_or(Errno::EINVAL)?;
            if own == Some(timer) {
                return Err(Errno::EDEADLK);
            }
            let awaited = own.and_then(|own| s.timers.get(&own)).is_some_and(|t| t.cancelling > 0);
            if awaited {
                return Err(Errno::EDEADLK);
            }
            let t = s.timers.get_mut(&timer).ok_or(Errno::EINVAL)?;
            let gone = t.call.take();
            s.queue.remove(t);
            let started = t.at.take().is_some();
            let done = if t.running.is_some() { Cancel::Running(started) } else { Cancel::Done(started) };
            Ok((done, gone))
        })??;
        Ok(cancel)
    }

    /// Somebody begins (`true`) or ends to wait for a timer's function, to cancel it.
    pub fn cancel_waits(&self, timer: u64, begins: bool) {
        // A timer that is gone is waited for by nobody.
        let _gone = self.change(|s| {
            if let Some(t) = s.timers.get_mut(&timer) {
                t.cancelling =
                    if begins { t.cancelling.saturating_add(1) } else { t.cancelling.saturating_sub(1) };
            }
        });
    }

    /// When the next timer ends, and the CPU that its function must run on.
    pub fn next_end(&self) -> Option<(u64, Option<u32>)> {
        let next = |s: &super::State| {
            let (at, timer) = s.queue.by_end.iter().next()?;
            Some((at.0, s.timers.get(timer).and_then(|t| t.cpu)))
        };
        self.state.read(next).flatten()
    }

    /// The function that is to run next at a time, if there is one and it may run on a CPU. Until [`Self::ran`] it counts
    /// as running.
    pub fn due(&self, now_ns: u64, cpu: u32) -> Option<Due> {
        self.change(|s| {
            let (&at, &timer) = s.queue.by_end.iter().next().filter(|(at, _)| at.0 <= now_ns)?;
            if s.timers.get(&timer).and_then(|t| t.cpu).is_some_and(|own| own != cpu) {
                return None;
            }
            s.queue.by_end.remove(&at);
            let t = s.timers.get_mut(&timer)?;
            t.at = None;
            let (program, function) = t.call.clone()?;
            t.running = Some(at.1);
            Some(Due { program, function, timer, map: t.map, call: at.1 })
        })
        .ok()?
    }

    /// A function has run to its end.
    pub fn ran(&self, due: &Due) {
        // What cannot be changed any more runs for ever.
        let _done = self.change(|s| {
            if let Some(t) = s.timers.get_mut(&due.timer).filter(|t| t.running == Some(due.call)) {
                t.running = None;
            }
        });
    }

    /// Adds what is woken when a timer is to end sooner than any other.
    pub fn add_wake(&self, wake: Box<dyn Wake>) {
        self.wakes.push(wake);
    }
}
