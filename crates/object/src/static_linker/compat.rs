//! Whether two files mean the same by a name: libbpf's `glob_sym_btf_matches` and `map_defs_match`.
//!
//! Types need not be equal: typedefs and qualifiers are looked through, lengths of arrays, values of enums and names
//! of parameters do not count, and behind a pointer a struct is known by its name alone, or only declared.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use skep_btf::{Btf, FuncLinkage, Member, Type, TypeId, VarLinkage};

/// A type of a file.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    pub(super) btf: &'a Btf,
    pub(super) ty: TypeId,
}

impl<'a> Side<'a> {
    fn at(self, ty: TypeId) -> Self {
        Self { ty, ..self }
    }

    fn resolved(self) -> &'a Type {
        self.btf.resolved(self.ty)
    }

    fn name(self) -> &'a str {
        self.btf.str(self.resolved().name())
    }
}

/// What two types must have alike where they stand.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Depth {
    /// All fields.
    Whole,
    /// Behind a pointer: the name.
    Shape,
}

/// Pairs of types of two files that were compared. A pair is looked at once, so types that refer to themselves end.
/// Since the first difference is the end of linking, pairs stay compared from one name to the next.
#[derive(Default)]
pub(super) struct Compared {
    open: Vec<(TypeId, TypeId, Depth)>,
    seen: BTreeSet<(TypeId, TypeId, Depth)>,
}

impl Compared {
    fn add(&mut self, a: TypeId, b: TypeId, depth: Depth) {
        if self.seen.insert((a, b, depth)) {
            self.open.push((a, b, depth));
        }
    }
}

/// Whether two variables or functions are one.
///
/// # Errors
/// The first difference; types that were made to be compared without end.
pub(super) fn same(a: Side<'_>, b: Side<'_>, work: &mut Compared) -> Result<(), String> {
    // Compilers' types meet one or two others each; cycles of different lengths meet all.
    let most = 4096 + 4 * (a.btf.len() + b.btf.len());
    work.add(a.ty, b.ty, Depth::Whole);
    while let Some((x, y, depth)) = work.open.pop() {
        step(a.at(x), b.at(y), depth, work)?;
        if work.seen.len() > most {
            return Err(format!("types that refer to each other in more than {most} ways"));
        }
    }
    Ok(())
}

fn step(a: Side<'_>, b: Side<'_>, depth: Depth, work: &mut Compared) -> Result<(), String> {
    let (t, u) = (a.resolved(), b.resolved());
    let kinds = |t: &Type, u: &Type| format!("{} there, {} here", t.kind().name(), u.kind().name());
    let names = || match a.name() == b.name() {
        true => Ok(()),
        false => Err(format!("{} \"{}\" there, \"{}\" here", t.kind().name(), a.name(), b.name())),
    };
    match (t, u) {
        (Type::Void, Type::Void) => Ok(()),
        (Type::Fwd { .. }, Type::Fwd { .. }) => names(),
        (Type::Fwd { is_union, .. }, other) | (other, Type::Fwd { is_union, .. })
            if depth == Depth::Shape =>
        {
            match (is_union, other) {
                (true, Type::Union { .. }) | (false, Type::Struct { .. }) => names(),
                _ => Err(kinds(t, u)),
            }
        }
        (
            Type::Int { size: x, .. } | Type::Float { size: x, .. },
            Type::Int { size: y, .. } | Type::Float { size: y, .. },
        ) if t.kind() == u.kind() => sizes(a, b, *x, *y),
        (
            Type::Enum { size: x, .. } | Type::Enum64 { size: x, .. },
            Type::Enum { size: y, .. } | Type::Enum64 { size: y, .. },
        ) if t.kind() == u.kind() => names().and_then(|()| sizes(a, b, *x, *y)),
        (Type::Ptr { target: x }, Type::Ptr { target: y }) => {
            work.add(*x, *y, Depth::Shape);
            Ok(())
        }
        (Type::Array { element: x, .. }, Type::Array { element: y, .. }) => {
            work.add(*x, *y, depth);
            Ok(())
        }
        (Type::Struct { members: x, .. }, Type::Struct { members: y, .. })
        | (Type::Union { members: x, .. }, Type::Union { members: y, .. }) => {
            names()?;
            match depth {
                Depth::Whole => fields(a, b, x, y, work),
                Depth::Shape => Ok(()),
            }
        }
        (Type::Func { proto: x, linkage: l, .. }, Type::Func { proto: y, linkage: m, .. }) => {
            names()?;
            if (*l == FuncLinkage::Static) != (*m == FuncLinkage::Static) {
                return Err("static in one file only".into());
            }
            work.add(*x, *y, depth);
            Ok(())
        }
        (Type::Var { ty: x, linkage: l, .. }, Type::Var { ty: y, linkage: m, .. }) => {
            names()?;
            if (*l == VarLinkage::Static) != (*m == VarLinkage::Static) {
                return Err("static in one file only".into());
            }
            work.add(*x, *y, depth);
            Ok(())
        }
        (Type::FuncProto { ret: r, params: x }, Type::FuncProto { ret: s, params: y }) => {
            if x.len() != y.len() {
                return Err(format!("{} parameters there, {} here", x.len(), y.len()));
            }
            work.add(*r, *s, depth);
            x.iter().zip(y).for_each(|(x, y)| work.add(x.ty, y.ty, depth));
            Ok(())
        }
        _ => Err(kinds(t, u)),
    }
}

fn sizes(a: Side<'_>, b: Side<'_>, x: u32, y: u32) -> Result<(), String> {
    match x == y {
        true => Ok(()),
        false => Err(format!("\"{}\" of {x} bytes there, \"{}\" of {y} here", a.name(), b.name())),
    }
}

fn fields(a: Side<'_>, b: Side<'_>, x: &[Member], y: &[Member], work: &mut Compared) -> Result<(), String> {
    let what = a.resolved().kind().name();
    if x.len() != y.len() {
        return Err(format!("{what} \"{}\" with {} fields there, {} here", a.name(), x.len(), y.len()));
    }
    for (i, (m, n)) in x.iter().zip(y).enumerate() {
        let (m_name, n_name) = (a.btf.str(m.name), b.btf.str(n.name));
        if m_name != n_name {
            return Err(format!(
                "{what} \"{}\" with field {i} \"{m_name}\" there, \"{n_name}\" here",
                a.name()
            ));
        }
        if (m.off_bits, m.bitfield_bits) != (n.off_bits, n.bitfield_bits) {
            let what = format!(
                "{what} \"{}\" with field \"{m_name}\" at bit {} there, {} here",
                a.name(),
                m.off_bits,
                n.off_bits
            );
            return Err(what);
        }
        work.add(m.ty, n.ty, Depth::Whole);
    }
    Ok(())
}

/// There are a dozen.
const MAX_ATTRIBUTES: usize = 64;

/// Whether two maps are one: all attributes alike. `a` and `b` are variables of `.maps`.
///
/// # Errors
/// The first difference.
pub(super) fn same_map(a: Side<'_>, b: Side<'_>, work: &mut Compared) -> Result<(), String> {
    let attributes = |side: Side<'_>| match side.resolved() {
        Type::Var { ty, .. } => Ok(side.at(*ty).ty),
        other => Err(format!("a {} in .maps", other.kind().name())),
    };
    let (mut a, mut b) = (a.at(attributes(a)?), b.at(attributes(b)?));
    // A map of maps, then the inner map.
    for outer in [true, false] {
        let (Type::Struct { members: x, .. }, Type::Struct { members: y, .. }) = (a.resolved(), b.resolved())
        else {
            return Err("a map that is no struct of attributes".into());
        };
        if x.len().max(y.len()) > MAX_ATTRIBUTES {
            return Err(format!("a map with more than {MAX_ATTRIBUTES} attributes"));
        }
        let mut inner = None;
        for m in x.iter().chain(y.iter()) {
            // From either side, so that what only one has is seen.
            let name =
                if x.iter().any(|n| core::ptr::eq(m, n)) { a.btf.str(m.name) } else { b.btf.str(m.name) };
            let prefix = if outer { "" } else { "the inner map's " };
            match (member(a, x, name), member(b, y, name)) {
                (Some(m), Some(n)) => match attribute(name, m, n, work) {
                    Ok(Some(found)) => inner = Some(found),
                    Ok(None) => {}
                    Err(what) => return Err(format!("{prefix}attribute \"{name}\": {what}")),
                },
                (m, n) if m.or(n).is_some_and(|m| number(m) == Some(0)) => {}
                _ => return Err(format!("{prefix}attribute \"{name}\" in one file only")),
            }
        }
        match inner {
            Some((m, n)) => (a, b) = (m, n),
            None => return Ok(()),
        }
    }
    Err("a map in a map in a map".into())
}

/// The attribute of this name.
fn member<'a>(side: Side<'a>, all: &[Member], name: &str) -> Option<Side<'a>> {
    all.iter().find(|m| side.btf.str(m.name) == name).map(|m| side.at(m.ty))
}

/// `int (*name)[N]`, or an enum with one value.
fn number(side: Side<'_>) -> Option<i64> {
    match side.resolved() {
        Type::Ptr { target } => match side.at(*target).resolved() {
            Type::Array { len, .. } => Some((*len).into()),
            _ => None,
        },
        Type::Enum { values, .. } | Type::Enum64 { values, .. } => values.first().map(|v| v.value),
        _ => None,
    }
}

/// One attribute of two maps; the inner maps if it is `values` of a map of maps.
#[allow(clippy::type_complexity, reason = "a pair of sides")]
fn attribute<'a, 'b>(
    name: &str,
    a: Side<'a>,
    b: Side<'b>,
    work: &mut Compared,
) -> Result<Option<(Side<'a>, Side<'b>)>, String> {
    let is_type = matches!(name, "key" | "value");
    if let (false, Some(x), Some(y)) = (is_type, number(a), number(b)) {
        return if x == y { Ok(None) } else { Err(format!("{x} there, {y} here")) };
    }
    match (a.resolved(), b.resolved()) {
        // __type(name, T)
        (Type::Ptr { target: x }, Type::Ptr { target: y }) => {
            same(a.at(*x), b.at(*y), work)?;
            let size = |side: Side<'_>, ty| side.btf.size_of(ty).unwrap_or(0);
            match (size(a, *x), size(b, *y)) {
                (m, n) if m == n => Ok(None),
                (m, n) => Err(format!("{m} bytes there, {n} here")),
            }
        }
        // __array(values, T)
        (Type::Array { element: x, .. }, Type::Array { element: y, .. }) => {
            let target = |side: Side<'_>| match side.resolved() {
                Type::Ptr { target } => Ok(*target),
                other => Err(format!("an array of {}, not of pointers", other.kind().name())),
            };
            let (x, y) = (target(a.at(*x))?, target(b.at(*y))?);
            match (a.at(x).resolved(), b.at(y).resolved()) {
                (Type::Struct { .. }, Type::Struct { .. }) => Ok(Some((a.at(x), b.at(y)))),
                (Type::FuncProto { .. }, Type::FuncProto { .. }) => Ok(None),
                (t, u) => Err(format!("{} there, {} here", t.kind().name(), u.kind().name())),
            }
        }
        (t, u) => Err(format!("{} there, {} here", t.kind().name(), u.kind().name())),
    }
}
