//! Whether an instruction is safe in a state. Changes nothing: what it found out goes to `transfer` as
//! [`Facts`].

pub(crate) mod allocated;
pub(crate) mod alu;
mod atomic;
mod call;
pub(crate) mod dynptr;
mod exit;
mod field;
mod given;
mod global;
mod irq;
mod iter;
mod jump;
pub(crate) mod kfunc;
mod kptr;
mod lock;
pub(crate) mod memory;
mod object;
mod packet;
mod reference;
mod section;
mod sized;
pub(crate) mod speculation;
mod strings;
mod throw;
mod timer;

use alloc::format;
use alloc::vec::Vec;

use skep_abi::KfuncEffect;
use skep_btf::FuncLinkage;
use skep_isa::{CallTarget, Imm64, Op, Operand, Reg, RegSet};

use crate::Code;
use crate::contract::HelperFacts;
use crate::program::Program;
use crate::state::{State, type_name};
use crate::transfer::jump::Outcome;
use crate::violation::{Check, Explain, refuse, unsupported};

pub(crate) use atomic::fetched;
pub(crate) use irq::IrqCall;
pub(crate) use iter::IterCall;
pub(crate) use memory::Target;
pub(crate) use speculation::Masking;

/// What a check found out, for `transfer` to apply and for precision to protect.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// The memory that the instruction accesses.
    pub(crate) target: Option<Target>,
    /// How a conditional jump comes out.
    pub(crate) outcome: Outcome,
    /// Registers whose number the verdict rests on.
    pub(crate) precise: RegSet,
    /// Stack slots `(frame, slot)` whose number the verdict rests on.
    pub(crate) precise_slots: Vec<(usize, usize)>,
    /// Stack bytes touched, as the lowest offset in a frame.
    pub(crate) touched: Vec<(usize, i32)>,
    /// Stack bytes that a call may read, in a frame, from an offset on; none of a pointer that nothing is read through.
    pub(crate) stack_reads: Vec<(usize, i32, usize)>,
    /// How an unprivileged addition is masked.
    pub(crate) masking: Option<Masking>,
    /// What a call of a kernel function does.
    pub(crate) kfunc: Option<KfuncEffect>,
    /// A call that turns interrupts off, or on as they were.
    pub(crate) irq: Option<IrqCall>,
    /// A call that begins, advances or ends an iterator.
    pub(crate) iter: Option<IterCall>,
    /// The helper call.
    pub(crate) helper: Option<HelperFacts>,
    /// The program ends here, however many functions deep.
    pub(crate) throws: bool,
}

impl Facts {
    fn target(target: Target) -> Self {
        Self { target: Some(target), ..Self::default() }
    }

    fn precise(precise: RegSet) -> Self {
        Self { precise, ..Self::default() }
    }
}

/// Checks one instruction.
pub(crate) fn insn(p: &Program<'_>, s: &State, pc: usize, op: Op) -> Check<Facts> {
    match op {
        Op::Alu { width, op, dst, src } => {
            let precise = alu::binary(p, s, width, op, dst, src)?;
            let masking = speculation::masking(p, s, op, dst, src)?;
            Ok(Facts { precise, masking, ..Facts::default() })
        }
        Op::Neg { dst, .. } | Op::Swap { dst, .. } => alu::unary(p, s, dst).map(|()| Facts::default()),
        Op::MovSx { dst, src, .. } => alu::movsx(p, s, dst, src).map(|()| Facts::default()),
        Op::AddrSpaceCast { dst, src, dst_as, src_as } => {
            memory::arena::cast(p, dst_as, src_as)?;
            readable(s, src)?;
            writable(dst).map(|()| Facts::default())
        }
        Op::LoadImm64 { dst, value } => {
            writable(dst)?;
            match value {
                Imm64::Const(_) | Imm64::MapIdx(_) | Imm64::MapValueIdx { .. } => Ok(Facts::default()),
                Imm64::Code(off) => static_function(p, pc, off).map(|()| Facts::default()),
                // `structure` has seen that it is one.
                Imm64::Variable { .. } => Ok(Facts::default()),
                Imm64::MapFd(_) | Imm64::MapValueFd { .. } => unsupported("this form of LDDW"),
            }
        }
        Op::Load { size, signed, dst, src, off } => {
            readable(s, src)?;
            writable(dst)?;
            let intent = if signed { memory::Intent::SignedLoad } else { memory::Intent::Load };
            memory::access(p, s, src, off.into(), size.bytes(), intent).map(Facts::target)
        }
        Op::Store { size, dst, off, src } => {
            if let Operand::Reg(src) = src {
                readable(s, src)?;
            }
            readable(s, dst)?;
            let intent = memory::Intent::Store(src);
            let target = memory::access(p, s, dst, off.into(), size.bytes(), intent)?;
            let precise = memory::zero_written_to_bytes(s, &target, src);
            Ok(Facts { target: Some(target), precise, ..Facts::default() })
        }
        Op::Atomic { size, op, dst, src, off } => atomic::rmw(p, s, size, op, dst, src, off),
        Op::LoadAcquire { size, dst, src, off } => atomic::load_acquire(p, s, size, dst, src, off),
        Op::StoreRelease { size, dst, src, off } => atomic::store_release(p, s, size, dst, src, off),
        Op::LoadPacket { mode, .. } => packet::legacy_load(p, s, mode),
        Op::Jump { .. } | Op::MayGoto { .. } => Ok(Facts::default()),
        Op::JumpIf { width, op, dst, src, .. } => jump::conditional(p, s, width, op, dst, src),
        Op::Call(CallTarget::Helper(id)) => call::helper(p, s, pc, id),
        Op::Call(CallTarget::Subprog(off)) => call::subprog(p, s, pc, off),
        Op::Call(CallTarget::Kfunc { btf_id: 0, .. }) => {
            refuse(Code::BadInsn, "invalid kernel function call not eliminated in verifier pass")
        }
        Op::Call(CallTarget::Kfunc { btf_id, btf_idx }) => kfunc::call(p, s, pc, btf_id, btf_idx),
        Op::Exit => exit::exit(p, s),
        Op::CallIndirect { .. } => unsupported(format!("indirect call (callx) at insn {pc}")),
        Op::JumpIndirect { .. } => unsupported(format!("indirect jump (gotox) at insn {pc}")),
    }
}

/// The address of a function may be taken only of a static one: it is verified for each call of its.
fn static_function(p: &Program<'_>, pc: usize, off: i32) -> Check<()> {
    let start = crate::program::target(pc, off).unwrap_or(usize::MAX);
    let linkage = crate::structure::linkage(p.spec, start);
    if linkage == Some(FuncLinkage::Static) {
        return Ok(());
    }
    refuse(Code::BadArgument, "callback function not static").explain(
        "a callback declared static",
        match linkage {
            Some(_) => "the function is visible outside its file",
            None => "the function has no type",
        },
        "declare it static, and compile with -g",
    )
}

/// The register has been written.
pub(crate) fn readable(s: &State, reg: Reg) -> Check<()> {
    if s.reg(reg).is_init() {
        return Ok(());
    }
    let remedy = match reg.0 {
        1..=5 => "set it before; calls lose r1 to r5, keep values in r6 to r9",
        _ => "set it on every path that leads here",
    };
    refuse(Code::Uninitialized, format!("R{} !read_ok", reg.0)).explain(
        format!("r{} holds a value", reg.0),
        format!("r{} was never written on this path, or lost at a call", reg.0),
        remedy,
    )
}

/// The register may be written.
pub(crate) fn writable(reg: Reg) -> Check<()> {
    if reg != Reg::FP {
        return Ok(());
    }
    refuse(Code::FramePointerWrite, "frame pointer is read only").explain(
        "a destination from r0 to r9",
        "r10 is the frame pointer",
        "copy r10 to another register and change that",
    )
}

/// Whether an unprivileged program would reveal an address by using the register as a number.
pub(crate) fn leaks(p: &Program<'_>, s: &State, reg: Reg) -> bool {
    !p.may_leak() && s.reg(reg).is_pointer()
}

/// A refusal to reveal an address.
pub(crate) fn leak<T>(s: &State, reg: Reg, message: alloc::string::String) -> Check<T> {
    refuse(Code::PointerLeak, message).explain(
        "a number: the loader may not see kernel addresses",
        format!("r{} is a {}", reg.0, type_name(s.reg(reg))),
        "do not store, compare or return the pointer, or load with CAP_PERFMON",
    )
}
