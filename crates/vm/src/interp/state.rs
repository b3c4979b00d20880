//! What a run is given and keeps beside registers and memory, and its fuel.

use alloc::boxed::Box;

use skep_spec::Redirect;

use super::End;
use crate::Program;
use crate::helpers::kept::Holdings;
use crate::host::{Host, Programs};
use crate::observe::Observer;
use crate::packet::Layout;
use crate::skb::SkbState;
use crate::trap::{Trap, TrapKind};

/// Fuel between two looks at the deadline.
const SLICE: u64 = 1 << 16;

/// What a run is given and keeps beside registers and memory.
pub(crate) struct State<'a> {
    /// Fuel that each run starts with.
    pub(crate) limit: u64,
    /// Somebody has asked for the limit, so instructions have to be counted.
    pub(crate) metered: bool,
    /// Fuel that is left.
    pub(crate) fuel: u64,
    pub(crate) deadline_ns: Option<u64>,
    pub(crate) packet: Option<Layout>,
    pub(crate) skb: SkbState,
    pub(crate) redirect: Option<Redirect>,
    pub(crate) clone_count: usize,
    pub(crate) ctx_addr: u64,
    /// Guest address of the flow keys; 0 when there are none.
    pub(crate) flow_keys: u64,
    pub(crate) vcpu: u32,
    pub(crate) host: &'a dyn Host,
    pub(crate) programs: &'a dyn Programs,
    pub(crate) observer: Option<&'a dyn Observer>,
    /// `r1` at entry.
    pub(crate) r1: u64,
    /// `r2` to `r5` at entry.
    pub(crate) others: [u64; 4],
    pub(crate) tail_calls: u32,
    /// Address of the spin lock that the running program holds.
    pub(crate) held_lock: Option<u64>,
    /// What it owns and has under way.
    pub(crate) holdings: Option<Box<Holdings>>,
    /// Why the run ended, if not by `exit`. Here and not in results: it is large, and rare.
    pub(super) trap: Option<Trap>,
}

impl<'a> State<'a> {
    #[inline(always)]
    pub(crate) fn new(limit: u64, host: &'a dyn Host, programs: &'a dyn Programs) -> Self {
        Self {
            limit,
            metered: false,
            fuel: 0,
            deadline_ns: None,
            packet: None,
            skb: SkbState::default(),
            redirect: None,
            clone_count: 0,
            ctx_addr: 0,
            flow_keys: 0,
            vcpu: 0,
            host,
            programs,
            observer: None,
            r1: 0,
            others: [0; 4],
            tail_calls: 0,
            held_lock: None,
            holdings: None,
            trap: None,
        }
    }

    /// A run begins.
    #[inline(always)]
    pub(crate) fn begin(&mut self) {
        self.fuel = self.limit;
        self.tail_calls = 0;
        (self.redirect, self.clone_count) = (None, 0);
    }

    /// A run begins that counts no instructions.
    #[inline(always)]
    pub(crate) fn begin_native(&mut self) {
        self.begin();
        self.fuel = u64::MAX;
    }

    /// Whether a run need not be interpreted.
    #[inline(always)]
    pub(crate) fn may_run_native(&self) -> bool {
        !self.metered && self.observer.is_none()
    }

    /// Whether the run's time is over.
    pub(crate) fn is_over(&self) -> bool {
        self.deadline_ns.is_some_and(|at| self.host.ktime_ns() >= at)
    }

    #[cold]
    #[inline(never)]
    pub(super) fn trapped(&mut self, program: &Program, pc: usize, kind: TrapKind) -> End {
        self.set_trap(program, pc, kind);
        End::Trap
    }

    /// Says why a run ends without a result.
    #[cold]
    pub(crate) fn set_trap(&mut self, program: &Program, pc: usize, kind: TrapKind) {
        self.trap = Some(Trap { prog_id: program.id(), pc, kind });
    }

    /// Why a run has ended without a result.
    #[cold]
    #[inline(never)]
    pub(crate) fn take_trap(&mut self) -> Trap {
        self.trap.take().expect("whoever gives no result has left a trap")
    }

    /// Takes a first slice of fuel; nothing when there is a deadline, which is looked at before each slice.
    #[inline(always)]
    pub(super) fn first_slice(&mut self) -> u64 {
        let slice = if self.deadline_ns.is_none() { self.fuel.min(SLICE) } else { 0 };
        self.fuel -= slice;
        slice
    }

    /// Takes fuel for work inside a function of the host, beside the slice at hand.
    pub(crate) fn spend(&mut self, n: u64) -> Result<(), TrapKind> {
        self.fuel = self.fuel.checked_sub(n).ok_or(TrapKind::Fuel)?;
        if self.fuel.is_multiple_of(SLICE) && self.deadline_ns.is_some_and(|at| self.host.ktime_ns() >= at) {
            return Err(TrapKind::Deadline);
        }
        Ok(())
    }

    /// Takes the next slice of fuel, of at least `need`.
    #[cold]
    #[inline(never)]
    pub(crate) fn refill(&mut self, need: u64) -> Result<u64, TrapKind> {
        if self.fuel < need {
            return Err(TrapKind::Fuel);
        }
        if self.deadline_ns.is_some_and(|at| self.host.ktime_ns() >= at) {
            return Err(TrapKind::Deadline);
        }
        let slice = self.fuel.min(SLICE.max(need));
        self.fuel -= slice;
        Ok(slice)
    }
}
