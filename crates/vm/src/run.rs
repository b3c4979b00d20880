//! A run: what a program is given, and what comes of it.

use core::fmt;

use crate::host::{Host, Programs};
use crate::interp;
use crate::mem::{Lent, Loan, Mem, Name, Stack};
use crate::packet::Layout;
use crate::trap::{Trap, TrapKind};
use crate::{NoPrograms, Observer, Program};

/// Fuel of a run that is not told otherwise: about a second of interpretation.
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
    pub(crate) args: [u64; 5],
    pub(crate) packet: Option<Layout>,
    pub(crate) fuel: u64,
    pub(crate) deadline_ns: Option<u64>,
    pub(crate) vcpu: u32,
    pub(crate) host: &'a dyn Host,
    pub(crate) programs: &'a dyn Programs,
    pub(crate) observer: Option<&'a dyn Observer>,
}

impl fmt::Debug for Run<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("packet", &self.packet)
            .field("fuel", &self.fuel)
            .field("deadline_ns", &self.deadline_ns)
            .field("vcpu", &self.vcpu)
            .finish_non_exhaustive()
    }
}

/// The result of a run that reached `exit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Content of `r0`.
    pub r0: u64,
    /// Fuel that is left.
    pub fuel: u64,
}

impl<'a> Run<'a> {
    /// A run without context or packet, on virtual CPU 0, with [`DEFAULT_FUEL`].
    #[inline(always)]
    pub fn new(stack: &'a mut Stack, host: &'a dyn Host) -> Self {
        Self {
            loan: Loan::new(stack),
            args: [0; 5],
            packet: None,
            fuel: DEFAULT_FUEL,
            deadline_ns: None,
            vcpu: 0,
            host,
            programs: &NoPrograms,
            observer: None,
        }
    }

    /// Lends the context: an image with fields at the program's own offsets, or a plain buffer. `r1` points to it.
    #[must_use]
    #[inline(always)]
    pub fn with_ctx(mut self, image: &'a mut [u8]) -> Self {
        self.loan.ctx = Lent::new(image, true, Name::Context);
        self.args[0] = self.loan.ctx.start();
        self
    }

    /// Lends a packet buffer.
    ///
    /// Programs reach the part from the metadata to the end by address if their type has packet pointers, and
    /// all of the packet by helpers.
    #[must_use]
    #[inline(always)]
    pub fn with_packet(mut self, buffer: &'a mut [u8], layout: Layout) -> Self {
        self.packet = layout.fits(buffer.len()).then_some(layout);
        self.loan.packet = Lent::new(buffer, true, Name::Packet);
        self
    }

    /// As [`Self::with_packet`], of bytes that only programs without packet stores see. Helpers that change the
    /// packet trap.
    #[must_use]
    #[inline(always)]
    pub fn with_packet_read_only(mut self, buffer: &'a [u8], layout: Layout) -> Self {
        self.packet = layout.fits(buffer.len()).then_some(layout);
        self.loan.packet = Lent::read_only(buffer, Name::Packet);
        self
    }

    /// Lends another buffer (at most [`BUFFERS`](crate::BUFFERS)) and gives its guest address; `None` when there is no room.
    pub fn lend(&mut self, bytes: &'a mut [u8], write: bool) -> Option<u64> {
        let free = self.loan.buffers.iter_mut().find(|b| b.len() == 0)?;
        *free = Lent::new(bytes, write, Name::Buffer);
        Some(free.start())
    }

    /// Sets what register `r<n>` (1 to 5) holds at entry; others are ignored.
    #[must_use]
    #[inline(always)]
    pub fn with_arg(mut self, n: usize, value: u64) -> Self {
        if let Some(arg) = n.checked_sub(1).and_then(|i| self.args.get_mut(i)) {
            *arg = value;
        }
        self
    }

    /// Bounds the instructions of a run: a backward jump costs the slots that it jumps over, a call 1, a return
    /// the slots from the function's start. So a run executes at most `fuel` instructions and, for each frame
    /// that is open at its end, the program's length.
    #[must_use]
    #[inline(always)]
    pub fn with_fuel(mut self, fuel: u64) -> Self {
        self.fuel = fuel;
        self
    }

    /// Ends the run with a trap some time after [`Host::ktime_ns`] reaches `ns`; it is looked at about every
    /// 65,536 instructions.
    #[must_use]
    #[inline(always)]
    pub fn with_deadline(mut self, ns: u64) -> Self {
        self.deadline_ns = Some(ns);
        self
    }

    /// Sets the virtual CPU. Nobody else runs on it meanwhile: its per-CPU values belong to this run.
    #[must_use]
    #[inline(always)]
    pub fn with_vcpu(mut self, vcpu: u32) -> Self {
        self.vcpu = vcpu;
        self
    }

    /// Sets where tail calls find programs.
    #[must_use]
    #[inline(always)]
    pub fn with_programs(mut self, programs: &'a dyn Programs) -> Self {
        self.programs = programs;
        self
    }

    /// Shows the run to an observer, instruction by instruction. It is slower by far and means the same.
    #[must_use]
    pub fn with_observer(mut self, observer: &'a dyn Observer) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Where the packet lies now: programs may have moved its ends.
    #[inline(always)]
    pub fn packet(&self) -> Option<Layout> {
        self.packet
    }
}

impl Program {
    /// Runs to the `exit` of the program or of one that it tail-called.
    ///
    /// # Errors
    /// A [`Trap`] when the program does something that it may not, or reaches a limit. Ring buffer records
    /// that it still held are discarded; whatever else it changed stays changed.
    pub fn run(&self, run: &mut Run<'_>) -> Result<Outcome, Trap> {
        if run.loan.ctx.len() < self.ctx.need {
            let kind = TrapKind::ContextTooShort { need: self.ctx.need, have: run.loan.ctx.len() };
            return Err(Trap { prog_id: self.id(), pc: 0, kind });
        }
        let mut state = interp::State::new(run);
        let mut mem = Mem::new(&mut run.loan);
        let result = interp::run_chain(self, &mut mem, &mut state);
        let (packet, fuel) = (state.packet, state.fuel);
        run.packet = packet;
        result.map(|r0| Outcome { r0, fuel })
    }
}
