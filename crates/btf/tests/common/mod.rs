//! What several test files ask of types.
#![allow(dead_code, reason = "each test file uses some")]

pub mod units;

use std::collections::BTreeSet;

use skep_btf::{Btf, Type, TypeId};

/// A section of raw words with the given strings.
pub fn raw(words: &[u32], strings: &[u8]) -> Vec<u8> {
    let len = words.len() as u32 * 4;
    let mut out = vec![0x9f, 0xeb, 1, 0];
    for w in [24, 0, len, len, strings.len() as u32].iter().chain(words) {
        out.extend_from_slice(&w.to_le_bytes());
    }
    out.extend_from_slice(strings);
    out
}

/// What types refer to, in order.
fn references(t: &Type) -> Vec<TypeId> {
    let mut out = Vec::new();
    t.each_reference(|id| out.push(id));
    out
}

/// A type as words, without what it refers to.
fn words(btf: &Btf, t: &Type) -> String {
    let mut t = t.clone();
    t.each_reference_mut(|id| *id = TypeId::VOID);
    let mut names = Vec::new();
    t.each_name_mut(|n| names.push(btf.str(std::mem::take(n)).to_owned()));
    format!("{t:?} {names:?}")
}

/// Whether a type is only declared, and what as.
fn declared(t: &Type) -> Option<&'static str> {
    match t {
        Type::Fwd { is_union: false, .. } => Some("STRUCT"),
        Type::Fwd { is_union: true, .. } => Some("UNION"),
        Type::Enum { values, .. } | Type::Enum64 { values, .. } if values.is_empty() => Some("ENUM"),
        _ => None,
    }
}

/// Every old type is what the map says: the same record, which refers to what the map says of the old one's
/// references; or what an old one declares. So layouts are the same, however deep.
#[track_caller]
pub fn same(old: &Btf, new: &Btf, map: impl Fn(TypeId) -> TypeId) {
    for (id, t) in old.iter_own() {
        let to = map(id);
        let u = new.ty(to).unwrap_or_else(|| panic!("{id} → {to}, which is not there"));
        let declares = declared(t)
            .is_some_and(|kind| u.kind().name().starts_with(kind) && old.str(t.name()) == new.str(u.name()));
        if declares {
            continue;
        }
        assert_eq!(words(old, t), words(new, u), "{id} → {to}");
        // What stands for a declaration gets the size of what defines it.
        if let Some(size) = old.size_of(id) {
            assert_eq!(new.size_of(to), Some(size), "{id} → {to}");
        }
        for (i, (a, b)) in references(t).into_iter().zip(references(u)).enumerate() {
            // A base keeps what it declares, though own types define it.
            let (a, based) = (map(a), new.base().is_some());
            let alike = a == b || (based && alike(new, a, b));
            assert!(alike, "{id} → {to}: reference {i} is {b}, not {a}");
        }
    }
}

/// Whether two types differ at most in what is declared only in one of them.
fn alike(btf: &Btf, a: TypeId, b: TypeId) -> bool {
    let mut seen = BTreeSet::from([(a, b)]);
    let mut todo = vec![(a, b)];
    while let Some((a, b)) = todo.pop() {
        let (Some(t), Some(u)) = (btf.ty(a), btf.ty(b)) else { return false };
        let of = |d: &Type, t: &Type| {
            declared(d).is_some_and(|kind| t.kind().name().starts_with(kind))
                && btf.str(d.name()) == btf.str(t.name())
        };
        if a == b || of(t, u) || of(u, t) {
            continue;
        }
        if words(btf, t) != words(btf, u) {
            return false;
        }
        todo.extend(references(t).into_iter().zip(references(u)).filter(|p| seen.insert(*p)));
    }
    true
}
