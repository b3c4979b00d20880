//! Bodies of the kernel's functions that programs call by name (kfuncs), one file per family, and the table that finds
//! them.
//!
//! A row says the function as C does, and what it does here; flags and users are in `skep_abi`. The declarations make up
//! the types ([`types()`]) that the verifier judges calls by where programs do not run in a kernel. A body is like a
//! helper's: it gets the five argument registers as they are.

mod arenas;
mod bits;
mod cpumasks;
mod dynptrs;
mod exceptions;
mod maps;
mod numbers;
pub(crate) mod objects;
mod probes;
mod sections;
mod strings;
mod types;

use skep_btf::{Btf, Kind, TypeId};

use crate::code::HelperSlot;
use crate::helpers::{Args, Body, Call};
use crate::trap::TrapKind;

/// A function.
struct Row {
    /// As the kernel declares it: names of arguments say what else is known of them.
    decl: &'static str,
    does: Does,
}

/// What a call does.
#[derive(Clone, Copy)]
enum Does {
    /// Runs a body.
    Body(Body),
    /// Leaves the program, which the interpreter does.
    Throw,
}

const fn row(decl: &'static str, body: Body) -> Row {
    Row { decl, does: Does::Body(body) }
}

/// The rows, by family.
static FAMILIES: &[&[Row]] = &[
    numbers::ROWS,
    bits::ROWS,
    sections::ROWS,
    dynptrs::ROWS,
    strings::ROWS,
    maps::ROWS,
    arenas::ROWS,
    exceptions::ROWS,
    objects::ROWS,
    cpumasks::ROWS,
    probes::ROWS,
];

/// The function that calls one of the program's back, which no body can do.
const TREE_ADD: &str = "int bpf_rbtree_add_impl(struct bpf_rb_root *root, struct bpf_rb_node *node, less *less, void *meta__ign, u64 off)";

/// Where their places begin in the numbering of helpers' bodies.
pub(crate) const FIRST_SLOT: u16 = 0x4000;

fn rows() -> impl Iterator<Item = &'static Row> {
    FAMILIES.iter().copied().flatten()
}

/// The types of all functions that have a body here, in the form of a kernel's: each is a `FUNC` tagged `bpf_kfunc`.
///
/// Made anew each time.
pub fn types() -> Btf {
    types::of(rows().map(|row| row.decl).chain([TREE_ADD]))
}

/// Where the body of a function is, if there is one.
pub(crate) fn slot(name: &str) -> Option<HelperSlot> {
    if name == types::name(TREE_ADD) {
        return Some(HelperSlot::TreeAdd);
    }
    let (at, row) = rows().enumerate().find(|(_, row)| types::name(row.decl) == name)?;
    Some(match row.does {
        Does::Body(_) => HelperSlot::Table(FIRST_SLOT + at as u16),
        Does::Throw => HelperSlot::Throw,
    })
}

/// The name of the function of a number in a kernel's types.
pub(crate) fn name(types: Option<&Btf>, id: i32) -> Option<&str> {
    let (types, id) = (types?, TypeId(u32::try_from(id).ok()?));
    types.name(id).filter(|_| types.kind(id) == Some(Kind::Func))
}

/// Calls the body in a slot.
pub(crate) fn call(index: u16, call: &mut Call<'_, '_, '_>, args: Args) -> Option<Result<u64, TrapKind>> {
    let row = rows().nth(usize::from(index.checked_sub(FIRST_SLOT)?))?;
    match row.does {
        Does::Body(body) => Some(body(call, args)),
        Does::Throw => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn every_body_has_a_row_among_the_kernels() {
        let names: Vec<&str> = rows().map(|row| row.decl).chain([TREE_ADD]).map(types::name).collect();
        for name in &names {
            assert!(skep_abi::kfunc(name).is_some(), "{name} is no function of the kernel");
            assert_eq!(names.iter().filter(|n| *n == name).count(), 1, "{name} stands twice");
        }
        let types = types();
        assert_eq!(types.iter_kinds([Kind::Func]).count(), names.len());
    }
}
