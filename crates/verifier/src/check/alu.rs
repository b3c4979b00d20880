//! Arithmetic: what pointers allow, and constants that make no sense.

use alloc::format;

use skep_isa::{AluOp, Operand, Reg, RegSet, Width};

use super::{leak, leaks, readable, writable};
use crate::domain::Scalar;
use crate::program::Program;
use crate::state::{self, Kind, State, type_name};
use crate::transfer::pointer;
use crate::violation::{Check, Explain, refuse, unsupported};
use crate::{Code, limits};

pub(super) fn unary(p: &Program<'_>, s: &State, dst: Reg) -> Check<()> {
    readable(s, dst)?;
    writable(dst)?;
    if leaks(p, s, dst) {
        return bad(s, dst, format!("R{} pointer arithmetic prohibited", dst.0));
    }
    Ok(())
}

pub(super) fn movsx(p: &Program<'_>, s: &State, dst: Reg, src: Reg) -> Check<()> {
    readable(s, src)?;
    writable(dst)?;
    if leaks(p, s, src) {
        return leak(s, src, format!("R{} sign-extension part of pointer", src.0));
    }
    Ok(())
}

pub(super) fn binary(
    p: &Program<'_>,
    s: &State,
    width: Width,
    op: AluOp,
    dst: Reg,
    src: Operand,
) -> Check<RegSet> {
    if let Operand::Reg(src) = src {
        readable(s, src)?;
    }
    if op != AluOp::Mov {
        readable(s, dst)?;
    }
    writable(dst)?;
    if op == AluOp::Mov {
        return mov(p, s, width, src).map(|()| RegSet::EMPTY);
    }
    constant_makes_sense(width, op, src)?;
    if of_arena(s, dst, src) {
        return Ok(RegSet::EMPTY);
    }
    match src {
        Operand::Imm(imm) if s.reg(dst).is_pointer() => {
            let by = Scalar::known(i64::from(imm) as u64);
            arithmetic(p, s, width, op, dst, dst, &by).map(|()| RegSet::EMPTY)
        }
        Operand::Reg(src) => match (s.reg(dst).is_pointer(), s.reg(src).is_pointer()) {
            (true, true) if op == AluOp::Sub && p.may_leak() => Ok(RegSet::EMPTY),
            (true, true) => bad(s, dst, format!("R{} pointer {} pointer prohibited", dst.0, symbol(op))),
            (true, false) => {
                let by = s.reg(src).val;
                arithmetic(p, s, width, op, dst, dst, &by).map(|()| RegSet::EMPTY.with(src))
            }
            (false, true) => {
                let by = s.reg(dst).val;
                arithmetic(p, s, width, op, dst, src, &by).map(|()| RegSet::EMPTY.with(dst))
            }
            (false, false) => Ok(RegSet::EMPTY),
        },
        Operand::Imm(_) => Ok(RegSet::EMPTY),
    }
}

/// Arithmetic with an address in the arena, which gives another one whatever it is.
pub(crate) fn of_arena(s: &State, dst: Reg, src: Operand) -> bool {
    let arena = |reg: Reg| s.reg(reg).kind == Kind::Arena;
    arena(dst) || matches!(src, Operand::Reg(src) if arena(src))
}

fn mov(p: &Program<'_>, s: &State, width: Width, src: Operand) -> Check<()> {
    match src {
        Operand::Reg(src) if width == Width::W32 && leaks(p, s, src) => {
            leak(s, src, format!("R{} partial copy of pointer", src.0))
        }
        _ => Ok(()),
    }
}

fn constant_makes_sense(width: Width, op: AluOp, src: Operand) -> Check<()> {
    let Operand::Imm(imm) = src else { return Ok(()) };
    let bits = if width == Width::W32 { 32 } else { 64 };
    match op {
        AluOp::Div | AluOp::Sdiv | AluOp::Mod | AluOp::Smod if imm == 0 => {
            refuse(Code::BadInsn, "div by zero")
        }
        AluOp::Lsh | AluOp::Rsh | AluOp::Arsh if imm < 0 || imm >= bits => {
            refuse(Code::BadInsn, format!("invalid shift {imm}"))
        }
        _ => Ok(()),
    }
}

/// `ptr op by`, the result in `dst`; `dst` is the number if it is not `ptr`.
fn arithmetic(
    p: &Program<'_>,
    s: &State,
    width: Width,
    op: AluOp,
    dst: Reg,
    ptr: Reg,
    by: &Scalar,
) -> Check<()> {
    let reg = s.reg(ptr);
    let name = type_name(reg);
    if width == Width::W32 {
        if op == AluOp::Sub && p.may_leak() {
            return Ok(());
        }
        return bad(s, ptr, format!("R{} 32-bit pointer arithmetic prohibited", dst.0));
    }
    if reg.nullable {
        let words = format!("R{} pointer arithmetic on {name} prohibited, null-check it first", dst.0);
        return refuse(Code::NullPointer, words).explain(
            "a pointer that is not NULL",
            format!("r{} is {}", ptr.0, state::register(p, s.depth(), reg)),
            format!("compare r{} with 0 first", ptr.0),
        );
    }
    match reg.kind {
        Kind::Ctx | Kind::MapValue(_) | Kind::MapKey(_) | Kind::Func(_) => {}
        Kind::Packet { .. } | Kind::PacketMeta { .. } => {}
        Kind::Stack { .. }
        | Kind::Mem { .. }
        | Kind::Slice { .. }
        | Kind::Dynptr(_)
        | Kind::Btf { .. }
        | Kind::Local { .. }
        | Kind::Buffer { .. }
        | Kind::TracepointBuffer => {}
        // Wherever it points to: loads look first.
        Kind::Probed if dst == ptr => return Ok(()),
        Kind::Probed => return unsupported(format!("a number moved by a {name}")),
        Kind::Map(_) if by.as_const() == Some(0) && op == AluOp::Add => {}
        Kind::FlowKeys if by.as_const().is_some() => {}
        Kind::FlowKeys
        | Kind::Map(_)
        | Kind::PacketEnd
        | Kind::Sock(_)
        | Kind::NotInit
        | Kind::Scalar
        | Kind::Arena => {
            return bad(s, ptr, format!("R{} pointer arithmetic on {name} prohibited", dst.0));
        }
    }
    offset_is_sane(name, reg.off, by)?;
    offset_is_sane(name, reg.off, &reg.val)?;
    match op {
        AluOp::Add => {}
        AluOp::Sub if dst != ptr => {
            return bad(s, ptr, format!("R{} tried to subtract pointer from scalar", dst.0));
        }
        AluOp::Sub if matches!(reg.kind, Kind::Stack { .. }) => {
            return bad(s, ptr, format!("R{} subtraction from stack pointer prohibited", dst.0));
        }
        AluOp::Sub => {}
        AluOp::And | AluOp::Or | AluOp::Xor => {
            return bad(s, ptr, format!("R{} bitwise operator {} on pointer prohibited", dst.0, symbol(op)));
        }
        _ => {
            return bad(
                s,
                ptr,
                format!("R{} pointer arithmetic with {} operator prohibited", dst.0, symbol(op)),
            );
        }
    }
    let result = pointer::moved(reg, by, op == AluOp::Sub, 0);
    offset_is_sane(name, result.off, &result.val)?;
    if p.may_leak() { Ok(()) } else { stays_in_object(p, dst, &result) }
}

/// Offsets stay so small that no sum of them wraps around.
fn offset_is_sane(name: &str, off: i32, var: &Scalar) -> Check<()> {
    let most = limits::VAR_OFF;
    let outside = |n: i64| n >= most || n <= -most;
    let words = match var.as_const().map(|n| n as i64) {
        Some(n) if outside(n) => format!("math between {name} pointer and {n} is not allowed"),
        _ if outside(off.into()) => format!("{name} pointer offset {off} is not allowed"),
        _ if var.smin() == i64::MIN => {
            format!("math between {name} pointer and register with unbounded min value is not allowed")
        }
        _ if outside(var.smin()) => format!("value {} makes {name} pointer be out of bounds", var.smin()),
        _ => return Ok(()),
    };
    refuse(Code::BadPointerArithmetic, words).explain(
        format!("an offset between {} and {most}", -most),
        format!("the offset is {off} plus a number in [{}, {}]", var.smin(), var.smax()),
        "bound the number before the addition: if (n >= LIMIT) return …",
    )
}

/// What unprivileged programs owe for the sake of speculation: pointers stay inside, even unused.
fn stays_in_object(p: &Program<'_>, dst: Reg, result: &state::Reg) -> Check<()> {
    match result.kind {
        Kind::Stack { .. } => match result.val.as_const() {
            None => bad_for_unprivileged(format!(
                "R{} variable stack access prohibited for !root, var_off={} off={}",
                dst.0,
                result.val.tnum(),
                result.off
            )),
            Some(var) => {
                let off = i64::from(result.off) + var as i64;
                if (-i64::from(limits::STACK)..0).contains(&off) {
                    return Ok(());
                }
                let words =
                    format!("R{} stack pointer arithmetic goes out of range, prohibited for !root", dst.0);
                bad_for_unprivileged(words)
            }
        },
        Kind::MapValue(map) => {
            let size = i64::from(p.map(map).value_size);
            let (lo, hi) = (result.val.smin(), result.val.umax());
            let inside = lo.saturating_add(result.off.into()) >= 0
                && hi < limits::VAR_OFF as u64
                && (hi as i64) + i64::from(result.off) < size;
            if inside {
                return Ok(());
            }
            let words = "pointer arithmetic of map value goes out of range, prohibited for !root";
            bad_for_unprivileged(format!("R{} {words}", dst.0))
        }
        _ => Ok(()),
    }
}

fn bad_for_unprivileged(words: alloc::string::String) -> Check<()> {
    refuse(Code::BadPointerArithmetic, words).explain(
        "a pointer that stays inside its object even where the processor speculates",
        "the result may lie outside",
        "bound the number before the addition, or load with CAP_PERFMON",
    )
}

fn bad<T>(s: &State, ptr: Reg, words: alloc::string::String) -> Check<T> {
    refuse(Code::BadPointerArithmetic, words).explain(
        "pointers take only + and - of a 64-bit number; some kinds take nothing",
        format!("r{} is a {}", ptr.0, type_name(s.reg(ptr))),
        "compute on a number and add that to the pointer last",
    )
}

fn symbol(op: AluOp) -> &'static str {
    match op {
        AluOp::Add => "+=",
        AluOp::Sub => "-=",
        AluOp::Mul => "*=",
        AluOp::Div => "/=",
        AluOp::Sdiv => "s/=",
        AluOp::Or => "|=",
        AluOp::And => "&=",
        AluOp::Lsh => "<<=",
        AluOp::Rsh => ">>=",
        AluOp::Mod => "%=",
        AluOp::Smod => "s%=",
        AluOp::Xor => "^=",
        AluOp::Mov => "=",
        AluOp::Arsh => "s>>=",
    }
}
