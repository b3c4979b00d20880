//! The SSA form between verifier and machine code.
//!
//! A [`Module`] is a program: one [`Function`] for each subprogram that can be reached. A function is a list of blocks; a
//! block has parameters (there are no phi nodes), instructions in order and a terminator. An instruction gives at most one
//! value, and is named by it: [`Val`] indexes [`Function::nodes`]. Integers are [`Ty::I32`] or [`Ty::I64`] and have no
//! sign; addresses are `I64`.
//!
//! Meanings are eBPF's: a shift count is masked to the width, a division by zero gives 0, a remainder by zero the
//! dividend, signed division wraps; so every operation is defined for all operands, and passes need no proofs to move
//! what has no effect. Memory is little more than bytes: the verifier has proved that accesses are in bounds.
//!
//! ```text
//! function 0 "count" slot 0 {
//! block0(v0: i64, v1: i64, v2: i64, v3: i64, v4: i64):   ; r1 to r5
//!   v5: i64 = load u8 packet [v0 + 14]
//!   v6: i32 = trunc v5
//!   v7: i32 = const 17
//!   branch eq v6, v7 -> block1(v5), block2
//! ```
//!
//! [`text`] has its text, [`Module::parse`] reads it, [`Module::check`] says whether a module is valid.

pub mod balance;
pub mod check;
pub mod choose;
mod compact;
pub mod dead;
pub mod divisors;
pub mod dom;
pub mod eval;
pub mod find;
pub mod fold;
pub mod inline;
pub mod lookup;
pub mod loops;
pub mod never;
mod params;
pub mod parse;
pub mod passes;
pub mod random;
pub mod slots;
pub mod ssa;
pub mod text;
pub mod thread;
mod walk;

use skep_isa::{AtomicOp, Size};

/// Type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ty {
    /// 32 bits.
    I32,
    /// 64 bits.
    I64,
    /// An instruction that gives nothing.
    None,
}

/// A value, and the instruction or block parameter that defines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Val(pub u32);

/// A block of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Block(pub u32);

/// A function of a module, by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Func(pub u32);

/// Arithmetic on two values of the result's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bin {
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a * b`
    Mul,
    /// `a & b`
    And,
    /// `a | b`
    Or,
    /// `a ^ b`
    Xor,
    /// `a << (b mod width)`
    Shl,
    /// `a >> (b mod width)`, zeros from above.
    Shr,
    /// `a >> (b mod width)`, copies of the sign from above.
    Sar,
    /// `a / b`, unsigned; 0 when `b` is 0.
    Udiv,
    /// `a % b`, unsigned; `a` when `b` is 0.
    Urem,
    /// `a / b`, signed, truncating; 0 when `b` is 0, `a` when the quotient does not fit.
    Sdiv,
    /// `a % b`, signed; `a` when `b` is 0, 0 when the quotient does not fit.
    Srem,
}

/// Comparison of two values of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cond {
    /// `a == b`
    Eq,
    /// `a != b`
    Ne,
    /// `a < b`, unsigned.
    Ult,
    /// `a <= b`, unsigned.
    Ule,
    /// `a > b`, unsigned.
    Ugt,
    /// `a >= b`, unsigned.
    Uge,
    /// `a < b`, signed.
    Slt,
    /// `a <= b`, signed.
    Sle,
    /// `a > b`, signed.
    Sgt,
    /// `a >= b`, signed.
    Sge,
    /// `a & b` is not zero.
    Set,
    /// `a & b` is zero.
    Clear,
}

/// A number that the runtime keeps for native code, by the field of [`skep_vm`]'s native seam.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cell {
    /// Address of the packet's first byte.
    PacketData,
    /// Address behind its last.
    PacketEnd,
    /// Address of the metadata before it.
    PacketMeta,
    /// Address of the flow keys.
    FlowKeys,
    /// The virtual CPU.
    Vcpu,
}

/// Bytes of a stack frame, by their distance below its end: `from` and `to` are negative, `from < to ≤ 0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameBytes {
    /// First byte.
    pub from: i16,
    /// Behind the last.
    pub to: i16,
}

/// What memory an access may touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Region {
    /// A stack frame: this function's, or that of a caller.
    Frame,
    /// The context.
    Ctx,
    /// The packet.
    Packet,
    /// A map value.
    Map,
    /// Anything but a stack frame.
    Other,
    /// Anything.
    Any,
}

impl Region {
    /// Whether it may be a stack frame.
    pub fn may_be_frame(self) -> bool {
        match self {
            Self::Frame | Self::Any => true,
            Self::Ctx | Self::Packet | Self::Map | Self::Other => false,
        }
    }
}

/// What is asked of the runtime. Each may end the run (a trap), in which case the function returns at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// The helper or kernel function whose body is in this slot of the runtime's table; its arguments are the operands.
    Helper {
        /// Slot of the body.
        index: u16,
    },
    /// `bpf_map_lookup_elem(map, key)` of any map.
    Lookup,
    /// `bpf_map_lookup_elem` of one map: the runtime's function for it, of which the operand is the key's address. Never ends the
    /// run.
    Find {
        /// Address of the function.
        function: u64,
        /// Address of the map.
        map: u64,
    },
    /// A helper without arguments that never ends the run: the runtime's function for it.
    Quick {
        /// Address of the function.
        function: u64,
        /// Offset of the word in the runtime's structure that keeps what it gives; 0 if none does.
        kept: u16,
    },
    /// `bpf_get_stackid` (`false`) or `bpf_get_stack` (`true`).
    Stack {
        /// Which.
        buffer: bool,
    },
    /// Starts `bpf_loop`, `bpf_for_each_map_elem`, `bpf_user_ringbuf_drain` or the insertion into a tree, with the call's five
    /// arguments: 1 when the function is to be called (with [`Op::Arg`]s), 0 when [`Op::Arg`] 0 is the result.
    CallBackBegin {
        /// Number of the kind, as the runtime counts them.
        kind: u8,
    },
    /// Goes on with it; the operand is what the function returned: as [`Self::CallBackBegin`].
    CallBackNext,
    /// A legacy packet load of a size at an offset (operand, as `I64`, sign-extended): 1 when [`Op::Arg`] 0 is the
    /// number, 0 when the function is to return 0.
    PacketLoad {
        /// How much.
        size: Size,
    },
    /// A load from a context field, or memory of the kernel, that is no plain load. Operand: the address.
    LoadElsewhere {
        /// How much; zero-extended.
        size: Size,
    },
    /// A store to such a field. Operands: the address, the number.
    StoreElsewhere {
        /// How much.
        size: Size,
    },
    /// The arena access of this number among the program's. Operands: its base register, its source register and `r0`, 0
    /// where it reads none. Gives what the register holds then that it writes.
    Arena {
        /// Number.
        index: u32,
    },
    /// A step of the run, each so many of which its deadline is looked at; gives 0.
    Tick,
    /// Whether the bytes at an address (operand) were granted to the run; ends it if not. For code that checks what was
    /// proved.
    Check {
        /// How many.
        size: Size,
        /// To be stored.
        write: bool,
    },
    /// `bpf_throw(cookie)`.
    Throw,
}

/// An instruction's meaning.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// A parameter of a block.
    Param,
    /// A constant; of `I32` the low half counts and the upper is zero.
    Const(u64),
    /// Arithmetic.
    Bin(Bin, Val, Val),
    /// The low half of an `I64`, as `I32`.
    Trunc(Val),
    /// An `I32` with zeros above, as `I64`.
    Zext(Val),
    /// The low bytes of a value of the result's type or (to `I64`) an `I32`, with copies of their sign above.
    Sext(Size, Val),
    /// Swaps the low bytes of a value of the result's type; zeros above.
    Swap(Size, Val),
    /// 1 if the comparison holds, else 0.
    Cmp(Cond, Val, Val),
    /// The fourth value if the comparison of the first two holds, else the fifth.
    Select(Cond, Val, Val, Val, Val),
    /// The end of the function's stack frame (`r10`).
    Frame,
    /// What the runtime keeps.
    Cell(Cell),
    /// The argument of this number that a [`Service`] just before has left.
    Arg(u8),
    /// What [`Term::Leave`] has handed over under this number; in the first blocks of a piece.
    Kept(u8),
    /// Loads, zero-extended to the type.
    Load {
        /// How much.
        size: Size,
        /// Address.
        base: Val,
        /// Bytes added to it.
        off: i32,
        /// What memory it is.
        region: Region,
    },
    /// Stores the low bytes of a value; an `I32` has 4.
    Store {
        /// How much.
        size: Size,
        /// Address.
        base: Val,
        /// Bytes added to it.
        off: i32,
        /// What memory it is.
        region: Region,
        /// What.
        value: Val,
    },
    /// An atomic operation, sequentially consistent; gives the old content where it fetches. Of W, operands and result are
    /// `I32`; of DW `I64`.
    Atomic {
        /// Which.
        op: AtomicOp,
        /// W or DW.
        size: Size,
        /// Address.
        base: Val,
        /// Bytes added to it.
        off: i32,
        /// What memory it is.
        region: Region,
        /// Operand.
        value: Val,
        /// Of `Cmpxchg`, what is compared with; else the same as `value`.
        expected: Val,
    },
    /// A load with acquire order.
    LoadAcquire {
        /// How much.
        size: Size,
        /// Address.
        base: Val,
        /// Bytes added to it.
        off: i32,
        /// What memory it is.
        region: Region,
    },
    /// A store with release order.
    StoreRelease {
        /// How much.
        size: Size,
        /// Address.
        base: Val,
        /// Bytes added to it.
        off: i32,
        /// What memory it is.
        region: Region,
        /// What.
        value: Val,
    },
    /// Calls a function of the module with `r1` to `r5`; gives its `r0`. Its frame lies below the caller's.
    Call {
        /// Which.
        func: Func,
        /// Arguments.
        args: Box<[Val; 5]>,
        /// Bytes of this function's frame that it may access.
        frame: FrameUse,
    },
    /// Asks the runtime; gives an `I64`.
    Service {
        /// For what.
        service: Service,
        /// Operands.
        args: Box<[Val]>,
        /// Bytes of this function's frame that it may access.
        frame: FrameUse,
    },
    /// `bpf_tail_call(ctx, map, index)`: leaves the function for another program, or goes on and gives `r0`.
    TailCall {
        /// The three arguments.
        args: Box<[Val; 3]>,
    },
}

/// What of a function's own stack frame an instruction may access behind the function's back.
#[derive(Clone, Debug, PartialEq)]
pub enum FrameUse {
    /// These bytes.
    Bytes(Box<[FrameBytes]>),
    /// Any.
    All,
}

/// An instruction or block parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it means.
    pub op: Op,
    /// What it gives.
    pub ty: Ty,
    /// The program's slot that it stands for.
    pub pc: u32,
    /// Of an unsigned division: its divisor is not zero.
    pub proved: bool,
}

/// A way to a block.
#[derive(Clone, Debug, PartialEq)]
pub struct Edge {
    /// Where to.
    pub to: Block,
    /// Its parameters.
    pub args: Vec<Val>,
}

/// The end of a block.
#[derive(Clone, Debug, PartialEq)]
pub enum Term {
    /// Goes to a block.
    Jump(Edge),
    /// To the first if the comparison holds, else to the second.
    Branch {
        /// How it compares.
        cond: Cond,
        /// First operand.
        a: Val,
        /// Second operand.
        b: Val,
        /// If it holds.
        then: Edge,
        /// If not.
        other: Edge,
    },
    /// `may_goto`: after its budget is spent to the first, else to the second.
    MayGoto {
        /// When the budget is spent.
        spent: Edge,
        /// Else.
        other: Edge,
    },
    /// Goes on in a piece of the same function ([`Function::piece`]), in the same frame.
    Leave {
        /// Which.
        to: Func,
        /// What it is handed, by number: all that it asks for ([`Op::Kept`]).
        kept: Vec<(u8, Val)>,
    },
    /// Returns a value (`r0`).
    Return(Val),
    /// Not reached: the verifier has seen no way here.
    Unreachable,
}

/// Instructions with one entry and one end.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockData {
    /// Parameters: [`Op::Param`]s.
    pub params: Vec<Val>,
    /// Instructions in order, without parameters.
    pub insts: Vec<Val>,
    /// Its end.
    pub term: Term,
    /// The program's slot that the end stands for.
    pub term_pc: u32,
}

/// A function. Its first block is the entry, with the five parameters `r1` to `r5`, and no edge leads there.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    /// Name, for people.
    pub name: String,
    /// First slot in the program.
    pub slot: u32,
    /// A piece of a large function: only [`Term::Leave`] leads there, and its parameters mean nothing.
    pub piece: bool,
    /// Bytes at the end of its frame that are to be zero at entry, since they may be read before they are written; a
    /// multiple of 8.
    pub zeroed: u16,
    /// Instructions and parameters, by value.
    pub nodes: Vec<Node>,
    /// Blocks.
    pub blocks: Vec<BlockData>,
}

/// How many numbers [`Term::Leave`] can hand over.
pub const KEPT: usize = skep_vm::native::HANDED;

/// Stack frames.
#[derive(Clone, Copy, Debug)]
pub struct Frame;

impl Frame {
    /// Bytes of a frame: a function's lies so many below its caller's.
    pub const BYTES: i64 = skep_vm::FRAME_BYTES as i64;
}

/// A program: its functions, the main one first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Module {
    /// Functions.
    pub functions: Vec<Function>,
    /// Bytes of the context that plain accesses touch.
    pub ctx_bytes: usize,
}

impl Node {
    /// An instruction of which nothing is proved.
    pub fn new(op: Op, ty: Ty, pc: u32) -> Self {
        Self { op, ty, pc, proved: false }
    }
}

impl Function {
    /// A function that does nothing.
    pub fn empty() -> Self {
        Self { name: String::new(), slot: 0, piece: false, zeroed: 0, nodes: Vec::new(), blocks: Vec::new() }
    }

    /// The instruction or parameter that defines a value.
    pub fn node(&self, v: Val) -> &Node {
        &self.nodes[v.0 as usize]
    }

    /// Type of a value.
    pub fn ty(&self, v: Val) -> Ty {
        self.node(v).ty
    }

    /// A block.
    pub fn block(&self, b: Block) -> &BlockData {
        &self.blocks[b.0 as usize]
    }

    /// The number, if the value is a constant.
    pub fn constant(&self, v: Val) -> Option<u64> {
        match self.node(v).op {
            Op::Const(c) => Some(c),
            _ => None,
        }
    }

    /// Adds an instruction or parameter, which no block has yet.
    pub fn add(&mut self, op: Op, ty: Ty, pc: u32) -> Val {
        let v = Val(u32::try_from(self.nodes.len()).expect("programs have at most a million instructions"));
        self.nodes.push(Node::new(op, ty, pc));
        v
    }
}
