//! Calls of global functions, which are verified on their own.

use alloc::format;
use alloc::string::String;

use skep_abi::MemAccess;
use skep_isa::Reg;

use super::given::Used;
use super::memory::unmodified;
use super::{Facts, dynptr, exit, lock, object, section};
use crate::Code;
use crate::contract::{HelperFacts, Returned, arg_reg};
use crate::program::Program;
use crate::signature::{self, Param};
use crate::state::{self, Kind, State};
use crate::transfer::jump;
use crate::violation::{Check, Explain, refuse, unsupported};

/// Whether the arguments are such that the function was, or will be, verified for (`btf_check_func_arg_match`).
pub(super) fn call(p: &Program<'_>, s: &State, callee: usize) -> Check<Facts> {
    let words = "global function calls are not allowed while holding a lock,\nuse static function instead";
    lock::no_calls(s, words)?;
    section::before_global(p, s, callee)?;
    if p.throwing[callee] {
        // What is held would never be released. Linux 6.18 does not look into the function here.
        exit::no_references(s, "bpf_throw")?;
    }
    let extent = p.subprogs[callee];
    let mut facts = Facts::default();
    let mut out = HelperFacts {
        ret: Returned::Integer,
        changes_packet: extent.changes_packet,
        ..HelperFacts::default()
    };
    let params = signature::params(p, callee).or_else(|v| refused(p, callee, v))?;
    for (i, param) in params.into_iter().enumerate() {
        argument(p, s, arg_reg(i), i, param, &mut facts, &mut out).or_else(|v| refused(p, callee, v))?;
    }
    facts.helper = Some(out);
    Ok(facts)
}

/// The kernel's last word on a call, with what led to it.
#[cold]
fn refused<T>(
    p: &Program<'_>,
    callee: usize,
    why: alloc::boxed::Box<crate::violation::Violation>,
) -> Check<T> {
    if why.code == Code::Unsupported {
        return Err(why);
    }
    let name = signature::name(p.spec, p.subprogs[callee].start);
    let led_here = why.lines().map(String::from).collect();
    let refusal = refuse(why.code, format!("Caller passes invalid args into func#{callee} ('{name}')"))
        .explain(
            "arguments for which a global function can be verified on its own, and as its types say",
            why.message,
            "change the argument or its type, or declare the function static",
        );
    refusal.map_err(|mut v| {
        v.before = led_here;
        v
    })
}

fn argument(
    p: &Program<'_>,
    s: &State,
    reg: Reg,
    i: usize,
    param: Param,
    facts: &mut Facts,
    out: &mut HelperFacts,
) -> Check<()> {
    let value = s.reg(reg);
    match param {
        Param::Number if value.is_scalar() => Ok(()),
        Param::Number => refuse(Code::BadArgument, format!("R{} is not a scalar", reg.0)),
        Param::Dynptr => {
            let given = dynptr::used(s, reg)?;
            // It may write through it. (Linux 6.18 forgets that.)
            out.changes_packet |= given.kind.write_changes_packet();
            Ok(())
        }
        // Whatever it is, loads look whether something is there.
        Param::Untrusted { .. } | Param::Probed => Ok(()),
        Param::Object { nullable: true, .. } if value.is_null() => {
            facts.precise = facts.precise.with(reg);
            Ok(())
        }
        Param::Object { id, nullable } => object::trusted(p, s, reg, id, nullable),
        Param::Arena if value.is_scalar() || value.kind == Kind::Arena => Ok(()),
        Param::Arena => refuse(Code::BadArgument, format!("R{} is not a pointer to arena or scalar.", reg.0)),
        Param::Ctx if value.kind == Kind::Ctx => unmodified(s, reg),
        Param::Ctx => refuse(Code::BadArgument, format!("arg#{i} expects pointer to ctx")),
        Param::Mem { nullable, .. } if value.is_null() && nullable => {
            // Another number would be an address that nobody has looked at. Linux forgets that.
            facts.precise = facts.precise.with(reg);
            Ok(())
        }
        Param::Mem { nullable: false, .. } if value.is_null() || value.nullable => {
            refuse(Code::NullPointer, format!("arg#{i} is expected to be non-NULL"))
        }
        // To the function it is memory that stays. (Linux 6.18 lets it look at what is gone.)
        Param::Mem { .. } if value.kind.is_packet() && out.changes_packet => {
            unsupported(format!("argument {i} of a global function that may change the packet: the packet"))
        }
        Param::Mem { size, .. } => {
            if !has_offset(value) {
                unmodified(s, reg)?;
            }
            // If it is NULL, the function finds out.
            let mut there = s.clone();
            if value.nullable {
                jump::not_null(p, there.reg_mut(reg));
            }
            for access in [MemAccess::Read, MemAccess::Write] {
                let used = Used { reg, size: size.into(), access, zero_ok: true, exact: false };
                used.check(p, &there, facts, out)?;
            }
            Ok(())
        }
    }
}

/// Whether a pointer of the kind may have moved (`check_func_arg_reg_off`).
fn has_offset(value: &state::Reg) -> bool {
    match value.kind {
        Kind::Scalar | Kind::Stack { .. } | Kind::Packet { .. } | Kind::PacketMeta { .. } => true,
        Kind::MapValue(_) | Kind::MapKey(_) | Kind::Mem { .. } | Kind::Slice { .. } => true,
        Kind::Dynptr(_) | Kind::NotInit | Kind::Ctx | Kind::Map(_) | Kind::Func(_) | Kind::PacketEnd => false,
        Kind::Buffer { .. } => true,
        Kind::FlowKeys | Kind::TracepointBuffer | Kind::Sock(_) => false,
        Kind::Btf { .. } | Kind::Local { .. } | Kind::Probed | Kind::Arena => false,
    }
}
