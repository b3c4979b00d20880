//! A run: what a program is given, and what comes of it.

use alloc::boxed::Box;
use core::fmt;

use skep_abi::FLOW_KEYS_BYTES;
use skep_maps::Due;
use skep_spec::{CloneRedirect, Redirect};

use crate::helpers::kept::Holdings;
use crate::host::{Host, Programs};
use crate::interp::{self, State};
use crate::mem::{Lent, Loan, Mem, Name, Scratch, Stack};
use crate::native;
use crate::packet::Layout;
use crate::skb::SkbState;
use crate::trap::{Trap, TrapKind};
use crate::{NoPrograms, Observer, Program};

/// Fuel of a run that is not told otherwise: about a second of interpretation. Nobody has asked for this bound, so a native
/// run has none.
pub const DEFAULT_FUEL: u64 = 1 << 30;

/// What a run is given: lent memory, limits, the host. One run at a time; it may be used again.
///
/// ```
/// use skep_vm::{NullHost, Run, Stack};
/// let (mut stack, host) = (Stack::new(), NullHost);
/// let mut memory = [1, 2, 3, 4];
/// let run = Run::new(&mut stack, &host).with_ctx(&mut memory).with_arg(2, 4).with_fuel(1000);
/// ```
pub struct Run<'a> {
    pub(crate) loan: Loan<'a>,
    pub(crate) scratch: &'a mut Scratch,
    pub(crate) state: State<'a>,
}

impl fmt::Debug for Run<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("packet", &self.state.packet)
            .field("fuel", &self.state.limit)
            .field("deadline_ns", &self.state.deadline_ns)
            .field("vcpu", &self.state.vcpu)
            .finish_non_exhaustive()
    }
}

/// The result of a run that reached `exit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Content of `r0`.
    pub r0: u64,
    /// Fuel that is left; of a native run, all of it.
    pub fuel: u64,
}

impl<'a> Run<'a> {
    /// A run without context or packet, on virtual CPU 0, with [`DEFAULT_FUEL`].
    #[inline(always)]
    pub fn new(stack: &'a mut Stack, host: &'a dyn Host) -> Self {
        let (loan, scratch) = Loan::new(stack);
        Self { loan, scratch, state: State::new(DEFAULT_FUEL, host, &NoPrograms) }
    }

    /// Lends the context: an image with fields at the program's own offsets, or a plain buffer. `r1` points to it.
    #[must_use]
    #[inline(always)]
    pub fn with_ctx(mut self, image: &'a mut [u8]) -> Self {
        self.lend_ctx(image);
        self
    }

    /// As [`Self::with_ctx`], in place.
    #[inline(always)]
    pub fn lend_ctx(&mut self, image: &'a mut [u8]) {
        self.loan.ctx = Lent::new(image, true, Name::Context);
        self.state.ctx_addr = self.loan.ctx.start();
        self.state.r1 = self.loan.ctx.start();
    }

    /// Lends a packet buffer.
    ///
    /// Programs reach the part from the metadata to the end by address if their type has packet pointers, and
    /// all of the packet by helpers.
    #[must_use]
    #[inline(always)]
    pub fn with_packet(mut self, buffer: &'a mut [u8], layout: Layout) -> Self {
        self.lend_packet(buffer, layout);
        self
    }

    /// As [`Self::with_packet`], in place.
    #[inline(always)]
    pub fn lend_packet(&mut self, buffer: &'a mut [u8], layout: Layout) {
        self.state.packet = layout.fits(buffer.len()).then_some(layout);
        self.loan.packet = Lent::new(buffer, true, Name::Packet);
    }

    /// As [`Self::with_packet`], of bytes that only programs without packet stores see. Helpers that change the
    /// packet trap.
    #[must_use]
    #[inline(always)]
    pub fn with_packet_read_only(mut self, buffer: &'a [u8], layout: Layout) -> Self {
        self.lend_packet_read_only(buffer, layout);
        self
    }

    /// As [`Self::with_packet_read_only`], in place.
    #[inline(always)]
    pub fn lend_packet_read_only(&mut self, buffer: &'a [u8], layout: Layout) {
        self.state.packet = layout.fits(buffer.len()).then_some(layout);
        self.loan.packet = Lent::read_only(buffer, Name::Packet);
    }

    /// Sets what a socket buffer knows beside its bytes and its `__sk_buff`.
    #[must_use]
    #[inline(always)]
    pub fn with_skb(mut self, skb: SkbState) -> Self {
        self.state.skb = skb;
        self
    }

    /// Lends another buffer (at most [`BUFFERS`](crate::BUFFERS)) and gives its guest address; `None` when there is no room.
    pub fn lend(&mut self, bytes: &'a mut [u8], write: bool) -> Option<u64> {
        let free = self.loan.buffers.iter_mut().find(|b| b.len() == 0)?;
        *free = Lent::new(bytes, write, Name::Buffer);
        Some(free.start())
    }

    /// Lends the `struct bpf_flow_keys` that a flow dissector fills in: one of the buffers of [`Self::lend`].
    #[must_use]
    pub fn with_flow_keys(mut self, keys: &'a mut [u8; FLOW_KEYS_BYTES as usize]) -> Self {
        self.state.flow_keys = self.lend(keys, true).unwrap_or(0);
        self
    }

    /// Sets what register `r<n>` (1 to 5) holds at entry; others are ignored.
    #[must_use]
    #[inline(always)]
    pub fn with_arg(mut self, n: usize, value: u64) -> Self {
        match n {
            1 => self.state.r1 = value,
            2..=5 => self.state.others[n - 2] = value,
            _ => {}
        }
        self
    }

    /// Bounds the instructions of a run: a backward jump costs the slots that it jumps over, a call 1, a return
    /// the slots from the function's start. So a run executes at most `fuel` instructions and, for each frame
    /// that is open at its end, the program's length.
    ///
    /// Native code counts nothing, so such a run is interpreted, unless `fuel` is `u64::MAX`: no bound.
    #[must_use]
    #[inline(always)]
    pub fn with_fuel(mut self, fuel: u64) -> Self {
        self.set_fuel(fuel);
        self
    }

    /// As [`Self::with_fuel`], in place.
    #[inline(always)]
    pub fn set_fuel(&mut self, fuel: u64) {
        self.state.limit = fuel;
        self.state.metered = fuel != u64::MAX;
    }

    /// Ends the run with a trap some time after [`Host::ktime_ns`] reaches `ns`; it is looked at about every
    /// 65,536 instructions.
    #[must_use]
    #[inline(always)]
    pub fn with_deadline(mut self, ns: u64) -> Self {
        self.state.deadline_ns = Some(ns);
        self
    }

    /// Sets the virtual CPU. Nobody else runs on it meanwhile: its per-CPU values belong to this run.
    #[must_use]
    #[inline(always)]
    pub fn with_vcpu(mut self, vcpu: u32) -> Self {
        self.set_vcpu(vcpu);
        self
    }

    /// As [`Self::with_vcpu`], in place.
    #[inline(always)]
    pub fn set_vcpu(&mut self, vcpu: u32) {
        self.state.vcpu = vcpu;
    }

    /// Sets where tail calls find programs.
    #[must_use]
    #[inline(always)]
    pub fn with_programs(mut self, programs: &'a dyn Programs) -> Self {
        self.set_programs(programs);
        self
    }

    /// As [`Self::with_programs`], in place.
    #[inline(always)]
    pub fn set_programs(&mut self, programs: &'a dyn Programs) {
        self.state.programs = programs;
    }

    /// Shows the run to an observer, instruction by instruction. It is slower by far and means the same.
    #[must_use]
    pub fn with_observer(mut self, observer: &'a dyn Observer) -> Self {
        self.state.observer = Some(observer);
        self
    }

    /// Where the packet lies now: programs may have moved its ends.
    #[inline(always)]
    pub fn packet(&self) -> Option<Layout> {
        self.state.packet
    }

    /// What the socket buffer knows now: helpers may have changed it.
    pub fn skb(&self) -> SkbState {
        self.state.skb
    }

    /// Where the program wanted the packet to go, if a redirecting helper succeeded. Nothing has been sent: that is
    /// for the caller, and only if the verdict says so too.
    pub fn redirect(&self) -> Option<Redirect> {
        self.state.redirect
    }

    /// The copies of the packet that the program sent by `bpf_clone_redirect`, in order. That is for the caller, too.
    pub fn clones(&self) -> &[CloneRedirect] {
        self.scratch.clones(self.state.clone_count)
    }
}

impl Program {
    /// Runs to the `exit` of the program or of one that it tail-called.
    ///
    /// # Errors
    /// A [`Trap`] when the program does something that it may not, or reaches a limit. Ring buffer records
    /// that it still held are discarded; whatever else it changed stays changed.
    #[inline]
    pub fn run(&self, run: &mut Run<'_>) -> Result<Outcome, Trap> {
        match self.run_to_end(run) {
            Some(r0) => Ok(Outcome { r0, fuel: run.state.fuel }),
            None => Err(run.state.take_trap()),
        }
    }

    /// Runs the function of a timer or of work that is due, with its map, key and value; nothing when the element is gone.
    /// Of the run the virtual CPU, the limits and where tail calls find programs count.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_due(&self, run: &mut Run<'_>, due: &Due) -> Result<(), Trap> {
        let Some(slot) = usize::try_from(due.function).ok().filter(|slot| self.is_function(*slot)) else {
            return Ok(());
        };
        run.state.holdings = Some(Box::new(Holdings::of_timer(due.timer)));
        let found = self.map(due.map, run.state.vcpu);
        let Some((size, element)) = found.and_then(|m| Some((m.key_size(), m.element_at(due.timer)?))) else {
            return Ok(());
        };
        let mut mem = Mem::new(&mut run.loan, run.scratch);
        let args = (due.map, size, element);
        let result = match native::entry(self, &run.state, slot) {
            Some(entry) => native::run_due(self, entry, &mut mem, &mut run.state, args),
            None => interp::run_callback(self, &mut mem, &mut run.state, slot, args),
        };
        match result {
            Some(_) => Ok(()),
            None => Err(run.state.take_trap()),
        }
    }

    /// Content of `r0`; nothing after a trap, which the state has.
    fn run_to_end(&self, run: &mut Run<'_>) -> Option<u64> {
        if run.loan.ctx.len() < self.ctx.need {
            let kind = TrapKind::ContextTooShort { need: self.ctx.need, have: run.loan.ctx.len() };
            run.state.set_trap(self, 0, kind);
            return None;
        }
        let mut mem = Mem::new(&mut run.loan, run.scratch);
        if run.state.r1 == run.state.ctx_addr
            && let Some(native) = native::ready(self, &mem, &run.state, 0)
        {
            return native::run_first(self, native, &mut mem, &mut run.state);
        }
        interp::run_chain(self, &mut mem, &mut run.state)
    }
}
