//! The context, and the arguments of what a program is attached to.

use alloc::format;

use skep_abi::CtxValue;
use skep_isa::Reg;

use super::{Intent, Target};
use crate::Code;
use crate::kernel::{Attached, Loaded};
use crate::program::Program;
use crate::state::{Kind, Marks, State, type_name};
use crate::violation::{Check, Explain, refuse};

/// The context, and what helpers take as it, must be as it was at entry.
pub(crate) fn unmodified(s: &State, base: Reg) -> Check<()> {
    let reg = s.reg(base);
    let name = type_name(reg);
    let words = if reg.off < 0 {
        format!("negative offset {name} ptr R{} off={} disallowed", base.0, reg.off)
    } else if reg.off != 0 {
        format!("dereference of modified {name} ptr R{} off={} disallowed", base.0, reg.off)
    } else if reg.val.as_const() != Some(0) {
        format!("variable {name} access var_off={} disallowed", reg.val.tnum())
    } else {
        return Ok(());
    };
    refuse(Code::BadContextAccess, words).explain(
        "the pointer as it was given to the program",
        format!("r{} has been moved", base.0),
        "access the field as *(base + constant) from the unchanged pointer",
    )
}

pub(super) fn context(p: &Program<'_>, off: i32, size: usize, intent: Intent) -> Check<Target> {
    let value = u32::try_from(off).ok().and_then(|off| p.ctx.access(off, size as u32, intent.writes()));
    // What a load makes a pointer has no sign (`is_ldsx` in `bpf_skb_is_valid_access`, 6.18).
    let value = value.filter(|v| !matches!(intent, Intent::SignedLoad) || *v == CtxValue::Scalar);
    match value {
        Some(CtxValue::Btf(name)) => {
            let id = crate::kernel::of(p)?.structure(name)?;
            Ok(Target::Argument(Loaded { kind: Kind::Btf { id, marks: Marks::TRUSTED }, nullable: false }))
        }
        Some(value) => Ok(Target::Ctx(value)),
        None => {
            let field = u32::try_from(off).ok().and_then(|o| p.ctx.field_at(o));
            let known = match field {
                Some(f) => format!("{}.{} is {} bytes at {}", p.ctx.name, f.name, f.size, f.off),
                None => format!("{} has no field there for this program type", p.ctx.name),
            };
            refuse(Code::BadContextAccess, format!("invalid bpf_context access off={off} size={size}"))
                .explain(
                    "a field of the context, at its size, in a way that the program type allows",
                    known,
                    "see the program type's context for its fields",
                )
        }
    }
}

/// A load of an argument of what the program is attached to (`tracing_prog_is_valid_access`).
pub(super) fn argument(attached: &Attached<'_>, off: i32, size: usize, intent: Intent) -> Check<Target> {
    match u32::try_from(off) {
        Ok(at) if !intent.writes() && (at as usize).is_multiple_of(size) => {
            let loaded = attached.load(at, size as u32)?;
            // Of a part of the word only where that is its low part.
            let low = size == 8 || cfg!(target_endian = "little");
            Ok(match attached.known_result(at).filter(|_| low) {
                Some((min, max)) => Target::Result { min, max },
                None => Target::Argument(loaded),
            })
        }
        _ => refuse(Code::BadContextAccess, format!("invalid bpf_context access off={off} size={size}"))
            .explain(
                "an aligned load of an argument",
                "arguments are not stored to",
                "copy it to a local variable",
            ),
    }
}
