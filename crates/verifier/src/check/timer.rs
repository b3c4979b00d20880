//! Timers and what runs later: the field in a map value, and its map (`process_timer_func`, Linux 6.18).

use alloc::format;

use skep_isa::Reg;
use skep_spec::FieldKind;

use crate::Code;
use crate::program::Program;
use crate::state::{Kind, State};
use crate::violation::{Check, Explain, refuse};

/// The register points to the field of this kind in a map value; gives the map (`check_map_field_pointer`).
pub(super) fn field(p: &Program<'_>, s: &State, reg: Reg, kind: FieldKind) -> Check<u16> {
    let (value, name) = (s.reg(reg), kind.name());
    let Kind::MapValue(map) = value.kind else {
        return refuse(Code::BadArgument, format!("R{} is no map value", reg.0));
    };
    let def = p.map(map);
    let Some(var) = value.val.as_const() else {
        let words =
            format!("R{} doesn't have constant offset. {name} has to be at the constant offset", reg.0);
        return refuse(Code::BadArgument, words);
    };
    if def.btf.is_none() || def.value_btf_id == 0 {
        let words = format!("map '{}' has to have BTF in order to use {name}", def.name);
        return refuse(Code::BadArgument, words);
    }
    let fields = p.fields(map);
    let Some(field) = fields.find(kind) else {
        return refuse(Code::BadArgument, format!("map '{}' has no valid {name}", def.name)).explain(
            format!("a struct {name} in the map's value type"),
            match fields.bad() {
                Some(bad) => format!("the type has {bad}, which the kernel does not take"),
                None => "the type has none".into(),
            },
            format!("add a member of type struct {name}"),
        );
    };
    let off = i64::from(value.off).wrapping_add(var as i64);
    if off != i64::from(field.off_bytes) {
        let at = field.off_bytes;
        return refuse(
            Code::BadArgument,
            format!("off {off} doesn't point to 'struct {name}' that is at {at}"),
        );
    }
    Ok(map)
}

/// The map that a timer or a work queue is told is the one that it lies in.
pub(super) fn same_map(s: &State, map: u16, reg: Reg, what: &str) -> Check<()> {
    let (at, to) = (reg.0 - 1, reg.0);
    let (uid, given) = (s.reg(Reg(at)).map_uid, s.reg(reg).map_uid);
    if s.reg(reg).kind == Kind::Map(map) && uid == given {
        return Ok(());
    }
    let words =
        format!("{what} pointer in R{at} map_uid={uid} doesn't match map pointer in R{to} map_uid={given}");
    refuse(Code::BadArgument, words).explain(
        format!("the map that the {what} lies in"),
        format!("r{} is another", reg.0),
        "pass the map of the value",
    )
}
