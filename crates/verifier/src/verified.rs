//! An accepted program: the only thing that unchecked execution takes.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use skep_isa::Reg;
use skep_spec::{FieldKind, ProgramSpec};

use crate::domain::Scalar;
use crate::{Digest, FrameBytes, InsnCost};

/// What a verification cost, as in the last line of the kernel's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Instructions processed over all paths.
    pub insns_processed: u32,
    /// Most states kept at one instruction.
    pub max_states_per_insn: u32,
    /// States stored.
    pub total_states: u32,
    /// Most states stored at the same time.
    pub peak_states: u32,
    /// Always 0 since Linux 6.18, where liveness is computed beforehand.
    pub mark_read: u32,
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "processed {} insns (limit {}) max_states_per_insn {} total_states {} peak_states {} mark_read {}",
            self.insns_processed,
            crate::limits::PROCESSED_INSNS,
            self.max_states_per_insn,
            self.total_states,
            self.peak_states,
            self.mark_read
        )
    }
}

/// A function of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subprog {
    /// First slot.
    pub start: usize,
    /// Slot after the last.
    pub end: usize,
    /// Bytes of stack that it uses itself, a multiple of 8.
    pub stack_depth: u32,
    /// The function, or one that it calls, may run a tail call.
    pub has_tail_call: bool,
    /// Bytes of its frame that are touched other than by instructions with `r10` as their base: through pointers, by
    /// calls, by functions that are given pointers. All others only its own loads and stores with `r10` as base see. What
    /// of them an instruction touches is in [`Verified::touches`].
    pub shared: FrameBytes,
    /// Bytes of its frame that may also be touched by accesses that are not known to go to the stack
    /// ([`AccessBase::Mem`], [`AccessBase::Kernel`] and calls): iterators and buffers of slices, and the whole frame where
    /// its address was stored elsewhere or became a number. Those that no pointer is made to are not among `shared`, too.
    pub escaped: FrameBytes,
    /// Bytes at the upper end of its frame that may be read, by whomever, before it has written them; a multiple of 8.
    /// What calls write does not count. 0 for all programs of the unprivileged, and most others.
    pub unwritten: u32,
    /// It is verified by itself, for any arguments that its types allow: what a run does in it no other function's proof
    /// bounds.
    pub global: bool,
    /// It, or a function that it calls, calls a helper or a function of the kernel, or loads from a packet in the old way.
    pub calls_out: bool,
}

/// What the base register of a memory access points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessBase {
    /// The context.
    Ctx,
    /// A stack frame of the call chain.
    Stack,
    /// A map value.
    MapValue,
    /// A map's key, in the callback of `bpf_for_each_map_elem`.
    MapKey,
    /// The packet, or the metadata before it.
    Packet,
    /// Memory that a helper returned, or flow keys.
    Mem,
    /// A full socket of the kernel.
    Socket,
    /// A socket of the kernel, perhaps a request.
    SockCommon,
    /// A TCP socket.
    TcpSock,
    /// An XDP socket.
    XdpSock,
    /// An object of the kernel.
    Kernel,
    /// Memory of the arena.
    Arena,
    /// Different ones on different paths, but none that is loaded from in a way of its own.
    Various,
}

impl AccessBase {
    /// Whether an instruction may do either (`save_aux_ptr_type`).
    pub(crate) fn goes_with(self, other: Self) -> bool {
        self == other || !(self.is_converted() || other.is_converted())
    }

    /// Loads through it are converted into others: an instruction that does so on one path does nothing else on
    /// another (`reg_type_mismatch_ok`, kernel/bpf/verifier.c, Linux 6.18).
    const fn is_converted(self) -> bool {
        match self {
            Self::Ctx
            | Self::Socket
            | Self::SockCommon
            | Self::TcpSock
            | Self::XdpSock
            | Self::Kernel
            | Self::Arena => true,
            Self::Stack | Self::MapValue | Self::MapKey | Self::Packet | Self::Mem | Self::Various => false,
        }
    }
}

/// A program that was accepted, with what the proof found out. Cheap to clone.
#[derive(Clone)]
pub struct Verified(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) spec: Arc<ProgramSpec>,
    pub(crate) digest: Digest,
    pub(crate) stats: Stats,
    pub(crate) log: String,
    pub(crate) subprogs: Vec<Subprog>,
    pub(crate) insns: Vec<InsnFacts>,
    pub(crate) touched: BTreeMap<usize, FrameBytes>,
    pub(crate) states: Vec<Vec<Observed>>,
    pub(crate) costs: Vec<InsnCost>,
}

/// What was known before an instruction on one way to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// Frames on the call chain, the running one included, from the function on that is verified on its own.
    pub frames: usize,
    /// By register: the set of its values if it holds a number that may still be read, otherwise `None`.
    pub numbers: [Option<Scalar>; 11],
    /// Where the registers point that may still be read, and `r10`; those to memory of the kernel's own are not here.
    pub pointers: Vec<(Reg, Pointer)>,
    /// What the slots of all frames hold, those of which something is known.
    pub slots: Vec<ObservedSlot>,
    /// Registers and stack in the spelling of the kernel's log.
    pub text: String,
}

/// What a slot of the stack was known to hold.
#[derive(Clone, Debug, PartialEq)]
pub struct ObservedSlot {
    /// The frame, counted as [`Observed::frames`] does; 0 is the first.
    pub frame: usize,
    /// Bytes from the frame's end, negative.
    pub off: i32,
    /// What was saved in the whole slot.
    pub value: Option<Value>,
    /// Bytes that are zero, from the lowest address on.
    pub zeros: [bool; 8],
}

/// A number or an address.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// One of these numbers.
    Number(Scalar),
    /// An address.
    Pointer(Pointer),
}

/// An address.
#[derive(Clone, Debug, PartialEq)]
pub struct Pointer {
    /// What it points into.
    pub base: Base,
    /// Bytes from the base; the set of what is possible.
    pub off: Scalar,
    /// It may be 0 instead.
    pub nullable: bool,
}

/// What an address points into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// The context.
    Ctx,
    /// A map itself, by its index among the program's.
    Map(usize),
    /// A value of a map.
    Value {
        /// The map's index among the program's.
        map: usize,
        /// Bytes of a value.
        size: u32,
    },
    /// The end of a frame, counted as [`Observed::frames`] does.
    Stack {
        /// 0 is the first.
        frame: usize,
    },
    /// The packet's first byte. `there` bytes are there from where the address would be without the `fixed` part of the
    /// offset.
    Packet {
        /// Bytes.
        fixed: i32,
        /// Bytes.
        there: u32,
    },
    /// The end of the packet.
    PacketEnd,
}

/// What the proof found out about an instruction, over all paths.
///
/// Whatever runs without checks may rely on it, also for runs on paths whose exploration was cut short where they met a
/// state that covers them. Such a run behaves as one of that state does, up to numbers that nothing rests on and places
/// that nothing reads; and each fact here follows from what is compared before a path ends:
///
/// - what registers point to, at which offset from where: the kind of an access, a call's map, a callback's function, the
///   bytes of stack behind a pointer. Their comparison is exact, or the older state's offsets contain the newer's;
/// - numbers that were marked as precise, back to where they come from: how a jump comes out that is known to come out in
///   one way (one that may come out in either counts for both), sizes that calls are given, offsets that are added to
///   pointers, keys of arrays.
///
/// The range of a number that is not marked is no such thing and not here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InsnFacts {
    /// Some path reaches it.
    pub reached: bool,
    /// What it accesses, if it accesses memory.
    pub access: Option<AccessBase>,
    /// It loads or stores a pointer that a map value keeps for the kernel.
    pub field: Option<FieldKind>,
    /// A call of `bpf_loop` whose function or flags differ by path: Linux leaves the loop to the helper, which
    /// takes the number of iterations as 32 bits, where it otherwise puts the loop into the program.
    pub loop_out_of_line: bool,
    /// A conditional jump may jump.
    pub taken: bool,
    /// A conditional jump may go on behind it.
    pub falls: bool,
    /// Of a helper call, the map that is its argument, by its place among the program's, if it is the same on all paths. A
    /// map that was looked up in another is none of them.
    pub map: Option<u16>,
    /// Of a lookup in an array, the key, if it is known and the same on all paths. The array may be shorter.
    pub key: Option<u32>,
    /// Of a call that is given a function of the program, the slot where it starts, if it is the same on all paths.
    pub callback: Option<usize>,
}

impl InsnFacts {
    /// A conditional jump comes out so on some path.
    pub(crate) fn goes(&mut self, taken: bool) {
        self.taken |= taken;
        self.falls |= !taken;
    }
}

impl Verified {
    /// The program.
    pub fn spec(&self) -> &Arc<ProgramSpec> {
        &self.0.spec
    }

    /// Identifies the environment and the maps that the proof holds for. Whoever runs the program without
    /// checks compares it with [`Digest::of`] of what he has.
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    /// What the verification cost.
    pub fn stats(&self) -> Stats {
        self.0.stats
    }

    /// The log in the kernel's format, by the options' log level.
    pub fn log(&self) -> &str {
        &self.0.log
    }

    /// With [`Options::costs`](crate::Options::costs): what each slot cost; else empty.
    pub fn costs(&self) -> &[InsnCost] {
        &self.0.costs
    }

    /// The functions, the main one first.
    pub fn subprogs(&self) -> &[Subprog] {
        &self.0.subprogs
    }

    /// Facts by slot; the second slot of an `LDDW` has none.
    pub fn insns(&self) -> &[InsnFacts] {
        &self.0.insns
    }

    /// The bytes of its function's stack frame that an instruction may touch by a pointer to them, or that anything may
    /// touch that it calls, on any path. Nothing of loads and stores with `r10` as their base: those touch what they
    /// say. See also [`Subprog::escaped`].
    pub fn touches(&self, pc: usize) -> FrameBytes {
        self.0.touched.get(&pc).copied().unwrap_or(FrameBytes::NONE)
    }

    /// With [`Options::record_states`](crate::Options::record_states): the states seen before the instruction.
    pub fn states_at(&self, pc: usize) -> &[Observed] {
        self.0.states.get(pc).map_or(&[], |s| s)
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified")
            .field("name", &self.0.spec.name)
            .field("digest", &self.0.digest)
            .field("stats", &self.0.stats)
            .finish_non_exhaustive()
    }
}
