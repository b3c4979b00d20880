//! Why a run ended without a result.

use core::fmt;

use skep_isa::DecodeError;

use crate::mem::{CALL_FRAMES, FRAMES};

/// A run that ended before its program's `exit`. Data, never a panic.
///
/// Nothing of the host was harmed; what the program did before (map updates, packet stores) stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trap {
    /// Id of the program that trapped: after a tail call not the one that was started.
    pub prog_id: u32,
    /// Slot number of the instruction.
    pub pc: usize,
    /// What happened.
    pub kind: TrapKind,
}

/// What a trap is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrapKind {
    /// An access to memory that the run was not granted.
    Memory(MemoryFault),
    /// An access to the context that its program type does not allow.
    Context {
        /// Byte offset in the context.
        off: u64,
        /// Bytes.
        size: u64,
        /// A store.
        write: bool,
        /// C name of the context.
        name: &'static str,
    },
    /// An atomic operation on an address that is not a multiple of its size.
    Misaligned {
        /// The address.
        addr: u64,
        /// Bytes.
        size: u64,
    },
    /// The run used up its instructions.
    Fuel,
    /// The run's time is over.
    Deadline,
    /// Others had all virtual CPUs for as long as a run waits: it did not begin.
    NoCpu,
    /// A helper that this engine does not have, by id.
    UnknownHelper(u32),
    /// A call of a kernel function, by BTF id.
    Kfunc(i32),
    /// `callx`.
    CallIndirect,
    /// `gotox`.
    JumpIndirect,
    /// `addr_space_cast`: the program has no arena.
    NoArena,
    /// More than [`CALL_FRAMES`] functions deep, or [`FRAMES`] with those that tail calls left waiting.
    CallDepth,
    /// Not an instruction.
    BadInstruction(DecodeError),
    /// A jump into the middle of an `LDDW`.
    SecondSlot,
    /// A write to `r10`.
    FramePointer,
    /// The program ran or jumped past its last instruction.
    OutsideProgram,
    /// An `LDDW` of a map or map value that the program was not bound to, by index or descriptor.
    UnboundMap(i32),
    /// An `LDDW` of a kernel variable, by BTF id.
    Variable(i32),
    /// A helper's map argument is not one of the program's maps.
    NotAMap(u64),
    /// `bpf_spin_lock` of what is no lock of the program's maps, or `bpf_spin_unlock` of one that it does not hold.
    NotALock(u64),
    /// A second spin lock.
    SecondLock,
    /// A spin lock that is not given back, or is held by a run on the same CPU.
    LockBusy,
    /// A helper's argument is not the start of a field that it works on: a timer, a pointer, a list.
    NotAField(u64),
    /// A helper's argument is not the start of an object.
    NotAnObject(u64),
    /// The number of an object's type is not that of a struct of the program.
    NotAType(u64),
    /// The program's maps keep no objects, and it was loaded without anything that does.
    NoKeeper,
    /// A timer's function in a program that has no id by which whoever runs timers finds it.
    NobodyRunsTimers,
    /// A helper's function argument is no address of an instruction of the program.
    NotAFunction(u64),
    /// A helper's map argument is of a kind that the helper does not work on.
    WrongMap {
        /// The helper.
        helper: &'static str,
        /// Type of the map.
        map_type: skep_abi::MapType,
    },
    /// A helper's context argument is not the context.
    NotTheContext(u64),
    /// A helper works on socket buffers, and the program's context is another structure.
    NotAnSkb(&'static str),
    /// A ring buffer record that is not reserved, or no longer.
    NotARecord(u64),
    /// A helper's size argument that no program may pass.
    Size(u64),
    /// A packet operation in a run without a packet, or by a program type without one.
    NoPacket,
    /// The body of an embedder's helper, by the helper's id, has panicked.
    HelperPanicked(u32),
    /// The context given to the run is shorter than its program type needs.
    ContextTooShort {
        /// Bytes needed.
        need: usize,
        /// Bytes given.
        have: usize,
    },
}

/// An access outside what was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryFault {
    /// Guest address.
    pub addr: u64,
    /// Bytes.
    pub size: u64,
    /// A store.
    pub write: bool,
    /// The memory of the run that is nearest to the address, if any is within [`NEAR`] bytes.
    pub near: Option<Region>,
}

/// How far from an address the memory may be that a [`MemoryFault`] names.
pub const NEAR: u64 = 1 << 16;

/// Memory that a run may access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// What it is.
    pub name: &'static str,
    /// First guest address.
    pub start: u64,
    /// Bytes.
    pub len: u64,
    /// Stores are allowed.
    pub write: bool,
}

impl TrapKind {
    /// Whether the caller's limits ended the run, not a fault of the program.
    pub fn is_limit(&self) -> bool {
        matches!(self, Self::Fuel | Self::Deadline)
    }
}

impl fmt::Display for MemoryFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.write { "store" } else { "load" };
        write!(f, "{verb} of {} bytes at {:#x}: ", self.size, self.addr)?;
        let Some(Region { name, start, len, write }) = self.near else {
            return match self.addr {
                0..NEAR => f.write_str("a null pointer, or an offset from one"),
                _ => f.write_str("no memory of the program is near"),
            };
        };
        if self.addr < start {
            return write!(f, "{} bytes before the {name}, which has {len} bytes", start - self.addr);
        }
        let off = self.addr - start;
        if off.checked_add(self.size).is_none_or(|end| end > len) {
            return write!(f, "offset {off} of the {name}, which has {len} bytes");
        }
        let what = if self.write && !write { "read-only" } else { "not readable" };
        write!(f, "the {name} is {what}")
    }
}

impl fmt::Display for TrapKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(fault) => fault.fmt(f),
            Self::Context { off, size, write, name } => {
                let verb = if *write { "store" } else { "load" };
                write!(f, "{verb} of {size} bytes at offset {off} of {name} is not allowed")
            }
            Self::Misaligned { addr, size } => {
                write!(f, "atomic access of {size} bytes at {addr:#x}, which is not a multiple of {size}")
            }
            Self::Fuel => f.write_str("the run has used up its instructions; give it more fuel"),
            Self::Deadline => f.write_str("the run has passed its deadline"),
            Self::NoCpu => f.write_str("all virtual CPUs are taken: run fewer threads or make more"),
            Self::UnknownHelper(id) => match skep_abi::helper_name(*id) {
                Some(name) => write!(f, "helper {name}#{id} is not supported by the interpreter yet"),
                None => write!(f, "helper #{id} does not exist"),
            },
            Self::Kfunc(id) => write!(f, "kernel function #{id} is not one that the user backend has"),
            Self::CallIndirect => f.write_str("callx (indirect call) is not supported; call by name instead"),
            Self::JumpIndirect => {
                f.write_str("gotox (indirect jump) is not supported; compile with -fno-jump-tables")
            }
            Self::NoArena => f.write_str("addr_space_cast in a program without an arena map"),
            Self::CallDepth => write!(
                f,
                "call stack of more than {CALL_FRAMES} frames, or of {FRAMES} with those that tail calls left waiting"
            ),
            Self::BadInstruction(e) => e.fmt(f),
            Self::SecondSlot => f.write_str("jump into the second slot of an LDDW"),
            Self::FramePointer => f.write_str("frame pointer r10 is read-only"),
            Self::OutsideProgram => f.write_str("control left the program; end every path with exit"),
            Self::UnboundMap(idx) => write!(f, "LDDW names map {idx}, which the program was not loaded with"),
            Self::Variable(id) => write!(f, "LDDW names kernel variable #{id}: not supported yet"),
            Self::NotAMap(v) => write!(f, "map argument {v:#x} is not one of the program's maps"),
            Self::NotALock(v) => {
                write!(f, "{v:#x} is not a spin lock that the program may take or give back")
            }
            Self::SecondLock => f.write_str("a program holds one spin lock at a time"),
            Self::LockBusy => f.write_str("a spin lock is not given back, or this CPU holds it already"),
            Self::NotAField(v) => {
                write!(
                    f,
                    "{v:#x} is not the start of a field that the helper works on, in a value or an object"
                )
            }
            Self::NotAnObject(v) => {
                write!(f, "{v:#x} is not the start of an object that the program may have")
            }
            Self::NotAType(id) => write!(f, "type #{id} is no struct of the program's types"),
            Self::NoKeeper => f.write_str("there is nothing that keeps objects for this program"),
            Self::NobodyRunsTimers => {
                f.write_str("nobody runs the functions of timers: load the program by a backend")
            }
            Self::NotAFunction(v) => write!(f, "function argument {v:#x} is not one of the program's"),
            Self::WrongMap { helper, map_type } => {
                let name = map_type.name().unwrap_or("unknown");
                write!(f, "{helper} does not work on maps of type {name}")
            }
            Self::NotTheContext(v) => write!(f, "context argument {v:#x} is not the context"),
            Self::NotAnSkb(name) => write!(f, "a helper of struct __sk_buff in a program on {name}"),
            Self::NotARecord(v) => write!(f, "{v:#x} is not a reserved ring buffer record"),
            Self::Size(n) => write!(f, "size argument {n} is out of range"),
            Self::NoPacket => f.write_str("packet operation in a run without a packet"),
            Self::HelperPanicked(id) => write!(f, "the body of the embedder's helper #{id} has panicked"),
            Self::ContextTooShort { need, have } => {
                write!(f, "context of {have} bytes where the program type needs {need}")
            }
        }
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at instruction {}: {}", self.pc, self.kind)
    }
}

impl core::error::Error for Trap {}
