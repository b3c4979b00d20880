//! Spin locks in map values: one is held at a time, and shortly.

use alloc::format;
use alloc::string::String;

use skep_isa::Reg;
use skep_spec::SPIN_LOCK_SIZE;

use super::kfunc;
use crate::Code;
use crate::contract::LockChange;
use crate::program::Program;
use crate::state::{Kind, Lock, State};
use crate::violation::{Check, Explain, refuse};

/// `bpf_spin_lock` if `takes`, else `bpf_spin_unlock`, of what a register points to.
pub(super) fn change(p: &Program<'_>, s: &State, pc: usize, reg: Reg, takes: bool) -> Check<LockChange> {
    let value = s.reg(reg);
    let Kind::MapValue(map) = value.kind else {
        return refuse(Code::BadArgument, format!("R{} is no map value", reg.0));
    };
    let Some(var) = value.val.as_const() else {
        let words = format!(
            "R{} doesn't have constant offset. bpf_spin_lock has to be at the constant offset",
            reg.0
        );
        return refuse(Code::BadArgument, words);
    };
    let def = p.map(map);
    if def.btf.is_none() || def.value_btf_id == 0 {
        let words = format!("map '{}' has to have BTF in order to use bpf_spin_lock", def.name);
        return refuse(Code::BadArgument, words).explain(
            "a map whose value type is known",
            "it has none",
            "define the map in SEC(\".maps\") with __type(value, …), and compile with -g",
        );
    }
    let Some(lock_off) = p.spin_lock(map) else {
        let words = format!("map '{}' has no valid bpf_spin_lock", def.name);
        return refuse(Code::BadArgument, words).explain(
            "a struct bpf_spin_lock in the map's value type",
            "the type has none",
            "add a member of type struct bpf_spin_lock",
        );
    };
    let off = i64::from(value.off).wrapping_add(var as i64);
    if off != i64::from(lock_off) {
        let words = format!("off {off} doesn't point to 'struct bpf_spin_lock' that is at {lock_off}");
        return refuse(Code::BadArgument, words);
    }
    let lock = Lock { map, id: value.id, pc };
    match (takes, s.lock) {
        (true, None) => Ok(LockChange::Take(lock)),
        (true, Some(_)) => refuse(Code::Lock, "Locking two bpf_spin_locks are not allowed"),
        (false, None) => refuse(Code::Lock, "bpf_spin_unlock without taking a lock"),
        (false, Some(held)) if (held.map, held.id) == (map, value.id) => Ok(LockChange::Give),
        (false, Some(held)) => refuse(Code::Lock, "bpf_spin_unlock of different lock").explain(
            "the lock that is held",
            format!("it was taken at insn {} through another lookup or of another map", held.pc),
            "keep the pointer that the lock was taken through",
        ),
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
    let Some(held) = s.lock else { return kfunc::left(s, what) };
    refuse(Code::Lock, format!("{what} cannot be used inside bpf_spin_lock-ed region")).explain(
        "the lock is given back first",
        format!("the lock taken at insn {} is held", held.pc),
        "call bpf_spin_unlock on this path as well",
    )
}

/// The lock's own bytes are for the lock's helpers.
pub(super) fn untouched(p: &Program<'_>, s: &State, reg: Reg, map: u16, off: i32, size: i64) -> Check<()> {
    let Some(lock) = p.spin_lock(map) else { return Ok(()) };
    let (lock, val) = (i64::from(lock), s.reg(reg).val);
    let first = val.smin().saturating_add(off.into());
    let end = i64::try_from(val.umax()).unwrap_or(i64::MAX).saturating_add(i64::from(off) + size);
    if first >= lock + i64::from(SPIN_LOCK_SIZE) || lock >= end {
        return Ok(());
    }
    refuse(Code::ForbiddenAccess, "bpf_spin_lock cannot be accessed directly by load/store").explain(
        format!("an access beside the lock, which is at {lock}"),
        format!("bytes from {first} to {} may be accessed", end - 1),
        "access the other members; the lock is for bpf_spin_lock and bpf_spin_unlock",
    )
}
