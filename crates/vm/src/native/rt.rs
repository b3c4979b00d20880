//! What native code is handed: the structure that its services work on.

use alloc::sync::Arc;
use core::mem::MaybeUninit;

use super::quick::{PLACES, UNKNOWN};
use crate::Program;
use crate::interp::{self, State};
use crate::mem::{Alike, Entered, FRAME_BYTES, FRAMES, Mem, no_links};
use crate::trap::TrapKind;

/// How many numbers pieces of a function can hand on: the registers but for `r10`, and one more.
pub const HANDED: usize = 11;

/// What a native run has at hand. Native code reads and writes the public fields, by their offsets.
#[repr(C)]
pub struct Rt {
    /// Operands of some services, and what they give.
    pub args: [u64; 5],
    /// What pieces of a large function hand on to each other: native code's alone.
    pub handed: [MaybeUninit<u64>; HANDED],
    /// Address of the packet's first byte. The four addresses are current after every service.
    pub packet_data: u64,
    /// Address behind its last byte.
    pub packet_end: u64,
    /// Address of the metadata before it.
    pub packet_meta: u64,
    /// Address of the flow keys.
    pub flow_keys: u64,
    /// The virtual CPU.
    pub vcpu: u64,
    /// What was asked for once in the run; else [`UNKNOWN`].
    pub(super) kept: [u64; PLACES],
    /// Steps until the deadline is looked at. Native code takes one at each pass of `may_goto` and in each global function, and asks
    /// [`Services::tick`](super::Services) when there are none left; helpers take one, too.
    pub steps: u64,
    /// Address of [`LINKS`](super::LINKS) [`Link`](super::Link)s, which native code goes on by.
    pub links: u64,
    /// Address of the number (32 bits) of tail calls that the run has made.
    pub tail_calls: u64,
    /// What runs now: after a tail call not what was started. Native code that goes on by a link writes it.
    pub program: *const Program,
    /// What is granted its memory: another one than [`Self::program`] after such a jump, until a service is asked.
    within: *const Program,
    mem: *mut Mem<'static>,
    state: *mut State<'static>,
    /// Where the first frame ends.
    top: u64,
    /// Frame of the main function.
    pub(super) base: usize,
    /// Steps of calls back until the deadline is looked at.
    pub(super) slice: u64,
    /// What was thrown.
    pub(super) cookie: u64,
    /// What was granted before [`Self::program`]; none when that has been left.
    entered: Option<Entered>,
    /// Keeps the running program, if it is not the one that was started.
    held: Option<Arc<Program>>,
    /// Keeps the one before, which may still be on its way into the running one.
    before: Option<Arc<Program>>,
}

/// Steps between two looks at the deadline. In each, a loop that the verifier has followed to its end may run.
pub(super) const STEPS: u64 = 1 << 10;

/// Offset of [`Rt::kept`].
pub(super) const KEPT: usize = core::mem::offset_of!(Rt, kept);

/// What services and native functions give, in two registers.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// A number.
    pub value: u64,
    /// [`RETURNED`], or why the function returns at once, with the same `stop`.
    pub stop: u64,
}

/// [`Pair::stop`]: all is well.
pub const RETURNED: u64 = 0;
/// [`Pair::stop`]: the run ends with a trap.
pub const TRAPPED: u64 = 1;
/// [`Pair::stop`]: the program has thrown.
pub const THROWN: u64 = 2;

impl Pair {
    /// A value.
    #[inline(always)]
    pub(super) const fn of(value: u64) -> Self {
        Self { value, stop: RETURNED }
    }
}

/// What a service works on, for as long as it runs.
pub(super) struct Parts<'r> {
    pub(super) program: &'r Program,
    pub(super) mem: &'r mut Mem<'static>,
    pub(super) state: &'r mut State<'static>,
}

impl Rt {
    /// Nothing entered yet.
    #[inline]
    pub(super) fn new(program: &Program, mem: &mut Mem<'_>, state: &mut State<'_>, base: usize) -> Self {
        Self {
            args: [0; 5],
            handed: [MaybeUninit::uninit(); HANDED],
            packet_data: 0,
            packet_end: 0,
            packet_meta: 0,
            flow_keys: state.flow_keys,
            vcpu: state.vcpu.into(),
            kept: [UNKNOWN; PLACES],
            steps: STEPS,
            links: no_links(),
            tail_calls: (&raw mut state.tail_calls).expose_provenance() as u64,
            program,
            within: program,
            top: mem.stack_top(),
            mem: (&raw mut *mem).cast(),
            state: (&raw mut *state).cast(),
            base,
            slice: 0,
            cookie: 0,
            entered: None,
            held: None,
            before: None,
        }
    }

    /// What the run is made of.
    ///
    /// # Safety
    /// As [`super::run`] made it, and nobody uses what an earlier call has given.
    #[inline(always)]
    pub(super) unsafe fn parts<'r>(&self) -> Parts<'r> {
        // SAFETY: `Rt::new` has these pointers from references that outlive the run, and nobody uses them meanwhile: the
        // caller says so. The program lives: it is the one that was started, or `held`. Lifetimes inside of `Mem` and
        // `State` only bound how long they live, and nothing that is taken out of them goes further than a service.
        unsafe { Parts { program: &*self.program, mem: &mut *self.mem, state: &mut *self.state } }
    }

    /// The frame that a function's `r10` is of.
    #[inline(always)]
    pub(super) fn depth(&self, frame: u64) -> usize {
        (self.top.wrapping_sub(frame) / FRAME_BYTES as u64) as usize
    }

    /// `r10` of a frame.
    #[inline(always)]
    pub(super) fn frame(&self, depth: usize) -> u64 {
        self.top - (depth * FRAME_BYTES) as u64
    }

    /// The program gets what it is granted.
    ///
    /// # Safety
    /// As [`Self::parts`]; the program is left again ([`Self::leave`]) before anything that it was given goes.
    #[inline]
    pub(super) unsafe fn enter(&mut self) {
        // SAFETY: the caller's.
        let Parts { program, mem, state } = unsafe { self.parts() };
        let packet = state.packet.filter(|_| program.has_packet()).map(|p| (p.meta, p.end));
        // SAFETY: the caller's: the program, and with it its maps, lives until it is left.
        let entered =
            unsafe { mem.enter_program(&program.bound, program.ctx.kind, packet, (FRAMES - 1, state.vcpu)) };
        self.entered = Some(entered);
        self.within = self.program;
        self.refresh(mem, state);
    }

    /// Ends the program's part of the run: what it still has goes, and it is granted nothing more.
    ///
    /// # Safety
    /// As [`Self::parts`].
    #[inline]
    pub(super) unsafe fn leave(&mut self) {
        let Some(entered) = self.entered.take() else { return };
        // SAFETY: the caller's.
        let Parts { program: _, mem, state } = unsafe { self.parts() };
        // SAFETY: it was entered, so it lives until it is left: it was started, is held, or stands in a link, and links stay
        // while the run lasts.
        let program = unsafe { &*self.within };
        interp::clean_up(program, mem, state, self.base);
        mem.leave_program(&entered, program.bound.waiting(), state.vcpu);
    }

    /// Makes what was granted that of the program that runs, which was jumped to by a link.
    ///
    /// # Safety
    /// As [`Self::parts`].
    #[inline(always)]
    pub(super) unsafe fn catch_up(&mut self) {
        if !core::ptr::eq(self.program, self.within) {
            // SAFETY: the caller's; both programs live (`leave`).
            unsafe {
                self.leave();
                self.enter();
            }
        }
    }

    /// A run begins: tail calls go by the links that hold for it.
    ///
    /// # Safety
    /// As [`Self::parts`]; no other run goes on by the stack's links.
    #[inline]
    pub(super) unsafe fn use_links(&mut self) {
        // SAFETY: the caller's.
        let Parts { program, mem, state } = unsafe { self.parts() };
        let Some(version) = state.programs.version() else { return };
        let alike = Alike {
            version,
            prog_type: program.prog_type().0,
            ctx: (program.ctx.need, mem.ctx_bytes()),
            last_cpu: program.last_cpu,
            vcpu: state.vcpu,
            packet: (state.packet.is_some(), mem.packet_writable()),
            flow_keys: state.flow_keys != 0,
        };
        self.links = mem.links(alike);
    }

    /// Links to a program that this run has just gone on with, if such runs always can.
    ///
    /// # Safety
    /// As [`Self::parts`].
    pub(super) unsafe fn link(&mut self, target: &Arc<Program>, jump: usize) {
        // SAFETY: the caller's.
        let Parts { program: _, mem, state: _ } = unsafe { self.parts() };
        let like = mem.alike();
        // Who waits for runs is told when the program begins; the rest is what a tail call looks at.
        let always = target.bound.waiting().is_empty()
            && target.bound.outer().is_empty()
            && target.is_verified()
            && (target.prog_type().0, target.ctx.need, target.last_cpu)
                == (like.prog_type, like.ctx.0, like.last_cpu);
        if self.links != no_links() && always {
            mem.link(target, jump);
        }
    }

    /// Goes on with another program, at its beginning; the one that runs has been left.
    pub(super) fn go_on_with(&mut self, program: Arc<Program>) {
        self.program = Arc::as_ptr(&program);
        // What stands for the CPU may depend on the program.
        self.kept = [UNKNOWN; PLACES];
        self.before = self.held.replace(program);
    }

    /// Where the packet lies now.
    #[inline(always)]
    pub(super) fn refresh(&mut self, mem: &Mem<'_>, state: &State<'_>) {
        if let Some(packet) = &state.packet {
            self.packet_data = mem.packet_addr(packet.data);
            self.packet_end = mem.packet_addr(packet.end);
            self.packet_meta = mem.packet_addr(packet.meta);
        }
    }
}

impl Parts<'_> {
    /// Ends the run.
    #[cold]
    pub(super) fn trap(&mut self, pc: usize, kind: TrapKind) -> Pair {
        self.state.set_trap(self.program, pc, kind);
        Pair { value: 0, stop: TRAPPED }
    }

    /// The value, or the end of the run.
    #[inline(always)]
    pub(super) fn give(&mut self, pc: usize, result: Result<u64, TrapKind>) -> Pair {
        match result {
            Ok(v) => Pair::of(v),
            Err(kind) => self.trap(pc, kind),
        }
    }
}
