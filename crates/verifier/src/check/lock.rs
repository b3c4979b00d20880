//! Spin locks in map values and objects. A `bpf_spin_lock` is taken alone; those that notice deadlocks nest, and one of
//! them may be taken under it.

use alloc::format;
use alloc::string::String;

use skep_isa::Reg;
use skep_spec::FieldKind;

use super::section;
use crate::Code;
use crate::contract::LockChange;
use crate::program::Program;
use crate::state::{Kind, Lock, LockKind, Locked, State};
use crate::violation::{Check, Explain, refuse};

/// Takes the lock that a register points to, or gives it back (`process_spin_lock`).
pub(super) fn change(
    p: &Program<'_>,
    s: &State,
    pc: usize,
    reg: Reg,
    kind: LockKind,
    takes: bool,
) -> Check<LockChange> {
    let value = s.reg(reg);
    // A structure of the field's name and `_lock`.
    let (field, name) = match kind {
        LockKind::Plain => (FieldKind::SpinLock, "bpf_spin"),
        LockKind::Noticing | LockKind::NoInterrupts => (FieldKind::ResSpinLock, "bpf_res_spin"),
    };
    let (of, what) = match value.kind {
        Kind::MapValue(map) => (Locked::Map(map), format!("map '{}'", p.map(map).name)),
        Kind::Local { .. } => (Locked::Object, String::from("local 'kptr'")),
        _ => return refuse(Code::BadArgument, format!("R{} is no map value", reg.0)),
    };
    let Some(var) = value.val.as_const() else {
        let words =
            format!("R{} doesn't have constant offset. {name}_lock has to be at the constant offset", reg.0);
        return refuse(Code::BadArgument, words);
    };
    if let Kind::MapValue(map) = value.kind
        && (p.map(map).btf.is_none() || p.map(map).value_btf_id == 0)
    {
        let words = format!("{what} has to have BTF in order to use {name}_lock");
        return refuse(Code::BadArgument, words).explain(
            "a map whose value type is known",
            "it has none",
            "define the map in SEC(\".maps\") with __type(value, …), and compile with -g",
        );
    }
    let fields = p.fields_of(value).unwrap_or_default();
    let Some(lock) = fields.find(field) else {
        let words = format!("{what} has no valid {name}_lock");
        return refuse(Code::BadArgument, words).explain(
            format!("a struct {name}_lock in the type"),
            match fields.bad() {
                Some(bad) => format!("the type has {bad}, which the kernel does not take"),
                None => "the type has none".into(),
            },
            format!("add a member of type struct {name}_lock"),
        );
    };
    let off = i64::from(value.off).wrapping_add(var as i64);
    if off != i64::from(lock.off_bytes) {
        let at = lock.off_bytes;
        let words = format!("off {off} doesn't point to 'struct {name}_lock' that is at {at}");
        return refuse(Code::BadArgument, words);
    }
    let lock = Lock { kind, of, id: value.id, pc };
    match takes {
        true => take(s, lock),
        false => give(s, lock, name),
    }
}

/// A lock that is taken is not held yet, as far as that is known.
fn take(s: &State, lock: Lock) -> Check<LockChange> {
    // A plain one is taken where no other is held: `no_calls`.
    if let Some(held) = s.locks.iter().find(|held| is_same(held, &lock)) {
        let words = "Acquiring the same lock again, AA deadlock detected";
        return refuse(Code::Lock, words).explain(
            "a lock that is not held",
            format!("it was taken at insn {}", held.pc),
            "give it back first",
        );
    }
    Ok(LockChange::Take(lock))
}

/// The lock that was taken last, in the same way, is given back.
fn give(s: &State, lock: Lock, name: &str) -> Check<LockChange> {
    let Some(last) = s.locks.last() else {
        return refuse(Code::Lock, format!("{name}_unlock without taking a lock"));
    };
    let fits = |held: &&Lock| held.kind == lock.kind && is_same(held, &lock);
    match s.locks.iter().find(fits) {
        None => refuse(Code::Lock, format!("{name}_unlock of different lock")).explain(
            "the lock that is held",
            format!("it was taken at insn {} through another lookup, of another map, or otherwise", last.pc),
            "keep the pointer that the lock was taken through",
        ),
        Some(_) if !is_same(last, &lock) => {
            refuse(Code::Lock, format!("{name}_unlock cannot be out of order")).explain(
                "the lock that was taken last is given back first",
                format!("the one of insn {} is still held", last.pc),
                "give locks back in the opposite order",
            )
        }
        Some(_) => Ok(LockChange::Give),
    }
}

/// Whether both are in the same value or object.
fn is_same(a: &Lock, b: &Lock) -> bool {
    (a.of, a.id) == (b.of, b.id)
}

/// The lock beside a list or a tree is held: the one of the same map value or object (`check_reg_allocation_locked`).
pub(super) fn held_for(s: &State, reg: Reg) -> Result<(), Option<String>> {
    let value = s.reg(reg);
    let of = match value.kind {
        Kind::MapValue(map) => Locked::Map(map),
        _ => Locked::Object,
    };
    if s.locks.is_empty() {
        return Err(None);
    }
    match s.locks.iter().any(|held| (held.of, held.id) == (of, value.id)) {
        true => Ok(()),
        false => Err(Some("held lock and object are not in the same allocation".into())),
    }
}

/// No call while a lock is held, except of what gives it back, or takes one that notices deadlocks.
pub(super) fn no_calls(s: &State, what: &str) -> Check<()> {
    let Some(held) = s.locks.last() else { return Ok(()) };
    refuse(Code::Lock, String::from(what)).explain(
        "a short region without calls between taking the lock and giving it back",
        format!("the lock taken at insn {} is held", held.pc),
        "call before or after the region; functions of the program itself must be static",
    )
}

/// Nobody leaves with a lock, or in a section.
pub(super) fn released(s: &State, what: &str) -> Check<()> {
    let Some(held) = s.locks.last() else { return section::left(s, what) };
    refuse(Code::Lock, format!("{what} cannot be used inside bpf_spin_lock-ed region")).explain(
        "the lock is given back first",
        format!("the lock taken at insn {} is held", held.pc),
        "give it back on this path as well",
    )
}
