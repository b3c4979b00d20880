//! Fields of map values that the kernel keeps: timers, lists, pointers to objects. Loads and stores pass them by; only
//! pointers are loaded and stored, whole (`check_map_access` in kernel/bpf/verifier.c, Linux 6.18).

use alloc::format;

use skep_isa::Reg;
use skep_spec::Field;

use crate::Code;
use crate::program::Program;
use crate::state::State;
use crate::violation::{Check, Explain, refuse};

/// An access of `size` bytes at `off` behind a map value, by an instruction if `direct`, else by a helper. Gives the
/// pointer that it is an access to, if it is one.
pub(super) fn touched(
    p: &Program<'_>,
    s: &State,
    reg: Reg,
    map: u16,
    off: i32,
    size: i64,
    direct: bool,
) -> Check<Option<Field>> {
    let fields = p.fields(map).all();
    if fields.is_empty() {
        return Ok(None);
    }
    let val = s.reg(reg).val;
    let first = val.smin().saturating_add(off.into());
    let end = i64::try_from(val.umax()).unwrap_or(i64::MAX).saturating_add(i64::from(off) + size);
    let touches = |f: &&Field| {
        let at = i64::from(f.off_bytes);
        first < at + i64::from(f.kind.size()) && at < end
    };
    let Some(field) = fields.iter().find(touches) else { return Ok(None) };
    let (name, at) = (field.kind.name(), i64::from(field.off_bytes));
    let words = if !field.kind.is_pointer() {
        format!("{name} cannot be accessed directly by load/store")
    } else if !direct {
        format!("{name} cannot be accessed indirectly by helper")
    } else if !val.is_const() {
        format!("{name} access cannot have variable offset")
    } else if first != at {
        format!("{name} access misaligned expected={at} off={first}")
    } else if size != 8 {
        format!("{name} access size must be BPF_DW")
    } else {
        return Ok(Some(*field));
    };
    refuse(Code::ForbiddenAccess, words).explain(
        format!("an access beside the {name}, which is at {at}"),
        format!("bytes from {first} to {} may be accessed", end - 1),
        "access the other members; this one is for its own helpers and functions",
    )
}
