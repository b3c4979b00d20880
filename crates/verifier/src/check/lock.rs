//! Spin locks in map values and objects: one is held at a time, and shortly.

use alloc::format;
use alloc::string::String;

use skep_isa::Reg;
use skep_spec::FieldKind;

use super::section;
use crate::Code;
use crate::contract::LockChange;
use crate::program::Program;
use crate::state::{Kind, Lock, Locked, State};
use crate::violation::{Check, Explain, refuse};

/// `bpf_spin_lock` if `takes`, else `bpf_spin_unlock`, of what a register points to (`process_spin_lock`).
pub(super) fn change(p: &Program<'_>, s: &State, pc: usize, reg: Reg, takes: bool) -> Check<LockChange> {
    let value = s.reg(reg);
    let (of, what) = match value.kind {
        Kind::MapValue(map) => (Locked::Map(map), format!("map '{}'", p.map(map).name)),
        Kind::Local { .. } => (Locked::Object, String::from("local 'kptr'")),
        _ => return refuse(Code::BadArgument, format!("R{} is no map value", reg.0)),
    };
    let Some(var) = value.val.as_const() else {
        let words = format!(
            "R{} doesn't have constant offset. bpf_spin_lock has to be at the constant offset",
            reg.0
        );
        return refuse(Code::BadArgument, words);
    };
    if let Kind::MapValue(map) = value.kind
        && (p.map(map).btf.is_none() || p.map(map).value_btf_id == 0)
    {
        let words = format!("{what} has to have BTF in order to use bpf_spin_lock");
        return refuse(Code::BadArgument, words).explain(
            "a map whose value type is known",
            "it has none",
            "define the map in SEC(\".maps\") with __type(value, …), and compile with -g",
        );
    }
    let fields = p.fields_of(value).unwrap_or_default();
    let Some(lock) = fields.find(FieldKind::SpinLock) else {
        let words = format!("{what} has no valid bpf_spin_lock");
        return refuse(Code::BadArgument, words).explain(
            "a struct bpf_spin_lock in the type",
            match fields.bad() {
                Some(bad) => format!("the type has {bad}, which the kernel does not take"),
                None => "the type has none".into(),
            },
            "add a member of type struct bpf_spin_lock",
        );
    };
    let off = i64::from(value.off).wrapping_add(var as i64);
    if off != i64::from(lock.off_bytes) {
        let at = lock.off_bytes;
        let words = format!("off {off} doesn't point to 'struct bpf_spin_lock' that is at {at}");
        return refuse(Code::BadArgument, words);
    }
    let lock = Lock { of, id: value.id, pc };
    match (takes, s.lock) {
        (true, None) => Ok(LockChange::Take(lock)),
        (true, Some(_)) => refuse(Code::Lock, "Locking two bpf_spin_locks are not allowed"),
        (false, None) => refuse(Code::Lock, "bpf_spin_unlock without taking a lock"),
        (false, Some(held)) if (held.of, held.id) == (of, value.id) => Ok(LockChange::Give),
        (false, Some(held)) => refuse(Code::Lock, "bpf_spin_unlock of different lock").explain(
            "the lock that is held",
            format!("it was taken at insn {} through another lookup or of another map", held.pc),
            "keep the pointer that the lock was taken through",
        ),
    }
}

/// The lock beside a list or a tree is held: the one of the same map value or object (`check_reg_allocation_locked`).
pub(super) fn held_for(s: &State, reg: Reg) -> Result<(), Option<String>> {
    let value = s.reg(reg);
    let of = match value.kind {
        Kind::MapValue(map) => Locked::Map(map),
        _ => Locked::Object,
    };
    match s.lock {
        None => Err(None),
        Some(held) if (held.of, held.id) == (of, value.id) => Ok(()),
        Some(_) => Err(Some("held lock and object are not in the same allocation".into())),
    }
}

/// No call while a lock is held, except of `bpf_spin_unlock`.
pub(super) fn no_calls(s: &State, what: &str) -> Check<()> {
    let Some(held) = s.lock else { return Ok(()) };
    refuse(Code::Lock, String::from(what)).explain(
        "a short region without calls between bpf_spin_lock and bpf_spin_unlock",
        format!("the lock taken at insn {} is held", held.pc),
        "call before or after the region; functions of the program itself must be static",
    )
}

/// Nobody leaves with a lock, or in a section.
pub(super) fn released(s: &State, what: &str) -> Check<()> {
    let Some(held) = s.lock else { return section::left(s, what) };
    refuse(Code::Lock, format!("{what} cannot be used inside bpf_spin_lock-ed region")).explain(
        "the lock is given back first",
        format!("the lock taken at insn {} is held", held.pc),
        "call bpf_spin_unlock on this path as well",
    )
}
