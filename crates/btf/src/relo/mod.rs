//! CO-RE: what a program, compiled against one machine's types, has to say on another one.
//!
//! A [`CoreRelo`] names a local type and an access in it. [`Resolver::resolve`] finds the types of the same name
//! in the target, follows the access there by the *names* of fields, and gives the value that the instruction
//! must carry: an offset, a size, an id, an enumerator.
//!
//! ```text
//! spec     the access string → a path of fields and elements; the same path in a target type
//! compat   which types may stand for each other
//! value    kind of relocation and path → number
//! resolve  candidates by name, and that all that match agree
//! minimal  what of the target is looked at
//! ```
//!
//! The rules are libbpf's (1.7, `relo_core.c`), which are the kernel's too. A name's *flavour*, `___` and what
//! follows, does not count: `task_struct___old` is `task_struct`.

mod compat;
mod kind;
mod minimal;
mod resolve;
mod spec;
mod symbol;
mod value;

pub use kind::CoreKind;
pub use minimal::Minimal;
pub use resolve::{Module, Resolver, TargetBtf};
pub use symbol::{Symbol, find_symbol};
pub use value::{Outcome, Patch};

use crate::CoreRelo;
use crate::raw::Kinds;
use crate::{Btf, Kind, Type};

/// The part of a name that counts: without its last `___flavour`.
pub(crate) fn essential(name: &[u8]) -> &[u8] {
    // Three underscores in a row have one at one of these places, and another beside it. Most names have none.
    let two = |at: usize| name[at] == b'_' && (name[at - 1] == b'_' || name.get(at + 1) == Some(&b'_'));
    if !(2..name.len()).step_by(3).any(two) {
        return name;
    }
    let separator = |at: &usize| {
        let w = &name[*at..*at + 5];
        w[0] != b'_' && &w[1..4] == b"___" && w[4] != b'_'
    };
    match (0..name.len().saturating_sub(4)).rev().find(separator) {
        Some(at) => &name[..at + 1],
        None => name,
    }
}

/// The part of a name that counts for CO-RE: without its last `___flavour`.
pub fn essential_name(name: &str) -> &str {
    &name[..essential(name.as_bytes()).len()]
}

/// Whether a type of the target can be meant: the same kind, or both enums of some width.
pub(crate) fn same_kind(a: &Type, b: &Type) -> bool {
    a.kind() == b.kind() || (is_enum(a) && is_enum(b))
}

/// The kinds of the target that can be meant by one.
pub(crate) fn meant(kind: Kind) -> Kinds {
    match kind {
        Kind::Enum | Kind::Enum64 => Kinds::of(&[Kind::Enum, Kind::Enum64]),
        kind => Kinds::of(&[kind]),
    }
}

pub(crate) fn is_enum(t: &Type) -> bool {
    matches!(t, Type::Enum { .. } | Type::Enum64 { .. })
}

/// A relocation in words: `byte_off of struct task_struct.pid`, as C would write the access.
pub fn describe(btf: &Btf, relo: &CoreRelo) -> alloc::string::String {
    spec::describe(btf, relo)
}
