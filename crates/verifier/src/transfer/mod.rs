//! What an instruction that was found safe does to a state. Never refuses.

mod alu;
mod atomic;
mod call;
mod dynptr;
mod irq;
mod iter;
pub(crate) mod jump;
mod memory;
pub(crate) mod pointer;

use skep_abi::MapType;
use skep_isa::{CallTarget, Imm64, Op, Operand};

pub(crate) use call::{
    Left, call_back, call_later, enter, global_entry, leave, leave_by_tail_call, lock_fails,
};
pub(crate) use iter::advance;

use crate::check::Facts;
use crate::program::{Program, target};
use crate::state::{Kind, Reg, State};

/// The stack slot, by frame, whose register an instruction saved or restored.
pub(crate) type SlotMove = Option<(usize, usize)>;

/// Numbers for new ids, ascending over a whole verification.
#[derive(Debug, Default)]
pub(crate) struct Fresh(u32);

impl Fresh {
    /// An id that no register has.
    pub(crate) fn id(&mut self) -> u32 {
        self.0 += 1;
        self.0
    }
}

/// Applies an instruction that goes on to the next one.
pub(crate) fn apply(
    p: &Program<'_>,
    s: &mut State,
    pc: usize,
    op: Op,
    facts: &Facts,
    fresh: &mut Fresh,
) -> SlotMove {
    match op {
        Op::Alu { width, op, dst, src } => alu::binary(p, s, width, op, dst, src, fresh),
        Op::Neg { width, dst } => alu::neg(s, width, dst),
        Op::Swap { kind, size, dst } => alu::swap(s, kind, size, dst),
        // Of the kernel's side is only known that it is in the arena, of the other nothing.
        Op::AddrSpaceCast { dst, src: _, dst_as, src_as: _ } => {
            s.set(dst, if dst_as == 0 { Reg::pointer(Kind::Arena) } else { Reg::unknown() });
        }
        Op::MovSx { width, from, dst, src } => alu::movsx(s, width, from, dst, src, fresh),
        Op::LoadImm64 { dst, value } => s.set(dst, immediate(p, pc, value)),
        Op::Load { size, signed, dst, src: _, off: _ } => {
            return memory::load(s, facts, size, signed, dst, fresh);
        }
        Op::LoadAcquire { size, dst, .. } => return memory::load(s, facts, size, false, dst, fresh),
        Op::Store { size, src, .. } => return memory::store(p, s, facts, size, src, fresh),
        Op::StoreRelease { size, src, .. } => {
            return memory::store(p, s, facts, size, Operand::Reg(src), fresh);
        }
        Op::Atomic { size, op, src, .. } => return atomic::rmw(s, facts, size, op, src, fresh),
        Op::LoadPacket { .. } => call::legacy_load(s),
        // A function of the program only if it is global: the others are entered.
        Op::Call(CallTarget::Kfunc { .. }) => match (&facts.iter, facts.irq) {
            (Some(call), _) => iter::call(p, s, pc, call, fresh),
            (None, Some(call)) => {
                irq::call(p, s, pc, call, fresh);
                // A lock goes with it.
                if facts.helper.is_some() {
                    call::kfunc(p, s, pc, facts, fresh);
                }
            }
            (None, None) => call::kfunc(p, s, pc, facts, fresh),
        },
        Op::Call(CallTarget::Helper(_) | CallTarget::Subprog(_)) => call::helper(p, s, pc, facts, fresh),
        // These do not go on to the next instruction, or are refused before.
        Op::Jump { .. }
        | Op::JumpIf { .. }
        | Op::MayGoto { .. }
        | Op::CallIndirect { .. }
        | Op::JumpIndirect { .. }
        | Op::Exit => {}
    }
    None
}

fn immediate(p: &Program<'_>, pc: usize, value: Imm64) -> Reg {
    let map = |idx: i32| u16::try_from(idx).unwrap_or(u16::MAX);
    match value {
        Imm64::Const(n) => Reg::scalar(crate::domain::Scalar::known(n)),
        Imm64::MapIdx(idx) => Reg::pointer(Kind::Map(map(idx))),
        // As user space sees it: an address to be cast.
        Imm64::MapValueIdx { idx, .. } if p.map(map(idx)).kind == MapType::ARENA => Reg::unknown(),
        Imm64::MapValueIdx { idx, off_bytes } => {
            let mut reg = Reg::pointer(Kind::MapValue(map(idx)));
            // `structure` has seen that it lies inside the value.
            reg.off = off_bytes as i32;
            reg
        }
        Imm64::Code(off) => match target(pc, off).and_then(|to| p.subprog_at(to)) {
            Some(subprog) => Reg::pointer(Kind::Func(subprog as u16)),
            None => Reg::NOT_INIT,
        },
        Imm64::Variable { btf_id, .. } => match p.kernel.as_ref().map(|k| k.variable(btf_id as u32)) {
            Some(Ok(kind)) => Reg::pointer(kind),
            Some(Err(_)) | None => Reg::NOT_INIT,
        },
        Imm64::MapFd(_) | Imm64::MapValueFd { .. } => Reg::NOT_INIT,
    }
}
