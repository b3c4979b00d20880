//! Whether types fit together: ids and names in range, sizes that add up, nothing that contains itself.
//!
//! Records are read where they lie; no type is decoded. Two walks over the graph of types, both iterative (the input
//! decides how deep it is):
//! 1. along what *contains* (fields, elements, typedefs, qualifiers, variables): a cycle there would be a
//!    value of infinite size. In post-order, so a type's size is known before that of what contains it.
//! 2. along what is *spelled out* in a type's C name (pointers, elements, typedefs, qualifiers): a cycle there
//!    would be a name of infinite length.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crate::facts::{Facts, Kept};
use crate::raw::{Kinds, Record};
use crate::store::{Records, Store};
use crate::types::*;
use crate::{At, Btf, Error};

/// Kinds that may be referred to by more than sections and tags.
const PLAIN: Kinds = Kinds(!Kinds::of(&[Kind::Func, Kind::Var, Kind::Datasec, Kind::DeclTag]).0);

/// Kinds that contain nothing and have no rules for their sizes.
const ALONE: Kinds =
    Kinds::of(&[Kind::Void, Kind::Ptr, Kind::Fwd, Kind::Func, Kind::FuncProto, Kind::DeclTag]);

/// Kinds whose name in C has that of another type in it.
const SPELLED: Kinds = Kinds::of(&[
    Kind::Ptr,
    Kind::Array,
    Kind::Typedef,
    Kind::Volatile,
    Kind::Const,
    Kind::Restrict,
    Kind::TypeTag,
]);

/// What is known of the own types of `own` that hang on others. The base is checked already.
pub(crate) fn check(base: Option<&Btf>, own: &Store, pointer_size: u32) -> Result<Vec<Kept>, Error> {
    let first = base.map_or(0, |b| b.len() as u32);
    let facts = vec![Kept::NOTHING; own.layout.derived.count()];
    let first_str = base.map_or(0, Btf::strings_end);
    let mut types = Types { base, store: own, own: own.records(), first, first_str, pointer_size, facts };
    let ids = first..types.len();
    for id in ids.clone().map(TypeId).filter(|id| *id != TypeId::VOID) {
        let record = types.record(id);
        if !types.is_right(record) {
            types.names(id.0, record)?;
            types.references(id.0, record)?;
        }
    }
    let records = types.own;
    let record = |id: TypeId| records.get((id.0 - first) as usize).expect("own types are there");
    let contain = |id: TypeId| !records.is((id.0 - first) as usize, ALONE);
    post_order(ids.clone(), contain, record, contained, "contains itself", |id, record| {
        types.parts(id, record)?;
        if let Some(number) = own.layout.derived.number((id.0 - first) as usize) {
            types.facts[number] = types.derived(id, record).into();
        }
        Ok(())
    })?;
    let cycle = "refers to itself through pointers or typedefs only";
    let spell = |id: TypeId| records.is((id.0 - first) as usize, SPELLED);
    post_order(ids, spell, record, spelled, cycle, |_, _| Ok(()))?;
    Ok(types.facts)
}

/// Own types and the base's, while facts are being found: each own type's are there once it has been left.
struct Types<'a> {
    base: Option<&'a Btf>,
    store: &'a Store,
    own: Records<'a>,
    /// The id of the first own type.
    first: u32,
    /// The offset of the first own string.
    first_str: u32,
    pointer_size: u32,
    facts: Vec<Kept>,
}

#[cold]
fn bad(id: u32, what: impl Into<String>) -> Error {
    Error::malformed(At::Type(id), what)
}

impl<'a> Types<'a> {
    fn len(&self) -> u32 {
        self.first + self.own.len() as u32
    }

    fn get(&self, id: TypeId) -> Option<Record<'a>> {
        match id.0.checked_sub(self.first) {
            Some(own) => self.own.get(own as usize),
            None => self.base?.record(id),
        }
    }

    fn kind(&self, id: TypeId) -> Option<Kind> {
        match id.0.checked_sub(self.first) {
            Some(own) => self.own.kind(own as usize),
            None => self.base?.kind(id),
        }
    }

    /// A type whose id has been checked.
    fn record(&self, id: TypeId) -> Record<'a> {
        self.get(id).expect("ids are checked")
    }

    fn facts(&self, id: TypeId) -> Facts {
        let Some(own) = id.0.checked_sub(self.first) else {
            return self.base.and_then(|b| b.facts(id)).expect("ids are checked");
        };
        let plain = Facts::plain(id, self.record(id), self.pointer_size);
        plain.unwrap_or_else(|| {
            let number = self.store.layout.derived.number(own as usize);
            self.facts[number.expect("such types are numbered")].get()
        })
    }

    /// The type behind typedefs, qualifiers and type tags.
    fn resolved(&self, id: TypeId) -> Record<'a> {
        self.record(self.facts(id).resolved)
    }

    /// Whether nothing is wrong with names and references, without saying what. What it does not know is not right: of
    /// sections and tags there are few.
    fn is_right(&self, record: Record<'_>) -> bool {
        let plain = |id: u32| match id.checked_sub(self.first) {
            Some(own) => self.own.is(own as usize, PLAIN),
            None => self.is_plain(TypeId(id)),
        };
        let ascii = if self.store.layout.ascii { self.store.layout.strings.len() as u32 } else { 0 };
        let named = |n: u32| n.wrapping_sub(self.first_str) < ascii || self.is_name(Name(n));
        let rest = match record.kind() {
            Kind::Void | Kind::Int | Kind::Fwd | Kind::Float => true,
            Kind::Enum => record.parts::<8, 2>().all(|[name, _]| named(name)),
            Kind::Enum64 => record.parts::<12, 3>().all(|[name, ..]| named(name)),
            Kind::Ptr
            | Kind::Typedef
            | Kind::Volatile
            | Kind::Const
            | Kind::Restrict
            | Kind::TypeTag
            | Kind::Var => plain(record.word()),
            Kind::Array => plain(record.extra(0)) && plain(record.extra(1)),
            Kind::Struct | Kind::Union => {
                record.parts::<12, 3>().all(|[name, ty, _]| named(name) && plain(ty))
            }
            Kind::Func => self.kind(record.target()) == Some(Kind::FuncProto),
            Kind::FuncProto => {
                plain(record.word()) && record.parts::<8, 2>().all(|[name, ty]| named(name) && plain(ty))
            }
            Kind::Datasec | Kind::DeclTag => false,
        };
        rest && named(record.name().0)
    }

    fn names(&self, id: u32, record: Record<'_>) -> Result<(), Error> {
        let all = core::iter::once(record.name()).chain(record.part_names());
        match all.into_iter().find(|n| !self.is_name(*n)) {
            None => Ok(()),
            Some(n) => {
                let end = self.first_str as usize + self.store.layout.strings.len();
                let what = format!("name offset {:#x} is not in the string section ({end:#x} bytes)", n.0);
                Err(bad(id, what))
            }
        }
    }

    fn is_name(&self, n: Name) -> bool {
        match n.0.checked_sub(self.first_str) {
            Some(own) => self.store.is_string(own as usize),
            None => self.base.is_some_and(|b| b.name_at(n.0).is_some()),
        }
    }

    /// Whether there is such a type, and it may be referred to by more than sections and tags.
    fn is_plain(&self, target: TypeId) -> bool {
        self.kind(target).is_some_and(|k| PLAIN.has(k))
    }

    /// A reference to a type that is not there, or of a kind that may not be referred to from here.
    #[cold]
    fn wrong(&self, id: u32, target: TypeId, role: impl fmt::Display) -> Error {
        match self.kind(target) {
            Some(kind) => bad(id, format!("{role} is type {target}, a {}", kind.name())),
            None => {
                let len = self.len();
                bad(id, format!("{role} is type {target}, but there are only {len} types"))
            }
        }
    }

    /// Ids in range, and of kinds that may be referred to from there.
    fn references(&self, id: u32, record: Record<'_>) -> Result<(), Error> {
        let plain = |target: TypeId, role: &str| match self.is_plain(target) {
            true => Ok(()),
            false => Err(self.wrong(id, target, role)),
        };
        let target = record.target();
        match record.kind() {
            Kind::Void | Kind::Int | Kind::Fwd | Kind::Float | Kind::Enum | Kind::Enum64 => Ok(()),
            Kind::Ptr | Kind::Typedef | Kind::Volatile | Kind::Const | Kind::Restrict | Kind::TypeTag => {
                plain(target, "target")
            }
            Kind::Array => {
                plain(TypeId(record.extra(0)), "element")?;
                plain(TypeId(record.extra(1)), "index")
            }
            Kind::Struct | Kind::Union => match record.members().position(|m| !self.is_plain(m.ty)) {
                None => Ok(()),
                Some(i) => {
                    let ty = TypeId(record.extra(i * 3 + 1));
                    Err(self.wrong(id, ty, format_args!("member {i}")))
                }
            },
            Kind::Func => match self.kind(target) {
                Some(Kind::FuncProto) => Ok(()),
                _ => Err(self.wrong(id, target, "prototype")),
            },
            Kind::FuncProto => {
                plain(target, "return type")?;
                match record.params().position(|p| !self.is_plain(p.ty)) {
                    None => Ok(()),
                    Some(i) => {
                        let ty = TypeId(record.extra(i * 2 + 1));
                        Err(self.wrong(id, ty, format_args!("parameter {i}")))
                    }
                }
            }
            Kind::Var => plain(target, "type of the variable"),
            Kind::Datasec => {
                let right = |kind| matches!(kind, Some(Kind::Var | Kind::Func));
                match record.entries().enumerate().find(|(_, e)| !right(self.kind(e.ty))) {
                    None => Ok(()),
                    Some((_, e)) if self.kind(e.ty).is_none() => Err(self.wrong(id, e.ty, "entry")),
                    Some((i, e)) => Err(self.wrong(id, e.ty, format_args!("entry {i}"))),
                }
            }
            Kind::DeclTag => {
                let tagged = self.get(target).ok_or_else(|| self.wrong(id, target, "target"))?;
                let (parts, what) = match tagged.kind() {
                    Kind::Struct | Kind::Union => (tagged.vlen(), "members"),
                    Kind::Func => match self.get(tagged.target()).filter(|p| p.kind() == Kind::FuncProto) {
                        Some(proto) => (proto.vlen(), "parameters"),
                        None => (0, "parameters"),
                    },
                    Kind::Var | Kind::Typedef => (0, "parts"),
                    _ => return Err(self.wrong(id, target, "target")),
                };
                match record.component() {
                    Some(c) if c >= parts => {
                        let what = format!("component_idx is {c}, but type {target} has {parts} {what}");
                        Err(bad(id, what))
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    /// What a type that hangs on others has from them, whose facts are known.
    fn derived(&self, id: TypeId, record: Record<'_>) -> Facts {
        match record.kind() {
            // Map attributes are written as lengths of arrays that nobody makes: too large is not wrong.
            Kind::Array => {
                let size = self.facts(TypeId(record.extra(0))).size;
                Facts { size: size.and_then(|s| s.checked_mul(record.extra(2))), resolved: id }
            }
            // An extern variable may be of an incomplete type.
            Kind::Var => Facts { size: self.facts(record.target()).size, resolved: id },
            _ => self.facts(record.target()),
        }
    }

    /// Rules for the size of a type and for its parts, whose facts are known.
    fn parts(&self, id: TypeId, record: Record<'_>) -> Result<(), Error> {
        let (kind, size) = (record.kind(), record.word());
        match kind {
            Kind::Void | Kind::Fwd | Kind::Func | Kind::FuncProto | Kind::DeclTag => Ok(()),
            Kind::Ptr | Kind::Var => Ok(()),
            Kind::Typedef | Kind::Volatile | Kind::Const | Kind::Restrict | Kind::TypeTag => Ok(()),
            // As compilers leave it: the linker fills in sizes and offsets.
            Kind::Datasec if size == 0 => Ok(()),
            Kind::Datasec => {
                for (i, e) in record.entries().enumerate() {
                    let of_type = self.facts(e.ty).size.unwrap_or(0);
                    if u64::from(e.off_bytes) + u64::from(e.size.max(of_type)) > u64::from(size) {
                        let what =
                            format!("entry {i} at byte {} exceeds the section's {size} bytes", e.off_bytes);
                        return Err(bad(id.0, what));
                    }
                }
                Ok(())
            }
            Kind::Int => {
                if !matches!(size, 1 | 2 | 4 | 8 | 16) {
                    return Err(bad(id.0, format!("size {size} of an INT is not 1, 2, 4, 8 or 16")));
                }
                let (off_bits, bits) = record.int_bits();
                if bits == 0 || u32::from(off_bits) + u32::from(bits) > size * 8 {
                    let what =
                        format!("bits {off_bits}+{bits} do not lie within the {size} bytes of the INT");
                    return Err(bad(id.0, what));
                }
                Ok(())
            }
            Kind::Float if !matches!(size, 2 | 4 | 8 | 12 | 16) => {
                Err(bad(id.0, format!("size {size} of a FLOAT is not 2, 4, 8, 12 or 16")))
            }
            Kind::Enum | Kind::Enum64 if !matches!(size, 1 | 2 | 4 | 8) => {
                Err(bad(id.0, format!("size {size} of an enum is not 1, 2, 4 or 8")))
            }
            Kind::Float | Kind::Enum | Kind::Enum64 => Ok(()),
            Kind::Array => {
                let element = TypeId(record.extra(0));
                if self.facts(element).size.is_none() {
                    let kind = self.resolved(element).kind().name();
                    return Err(bad(id.0, format!("element is type {element}, a {kind}, which has no size")));
                }
                Ok(())
            }
            Kind::Struct | Kind::Union => {
                let mut last = 0;
                for (i, m) in record.members().enumerate() {
                    self.member(id, i, &m, size)?;
                    if kind == Kind::Union && m.off_bits != 0 {
                        let what = format!("member {i} of a UNION is at bit {}, not 0", m.off_bits);
                        return Err(bad(id.0, what));
                    }
                    if m.off_bits < last {
                        let what = format!("member {i} at bit {} lies before its predecessor", m.off_bits);
                        return Err(bad(id.0, what));
                    }
                    last = m.off_bits;
                }
                Ok(())
            }
        }
    }

    /// A field has a size and lies within its struct; a bit-field is of a type that can be cut.
    fn member(&self, id: TypeId, i: usize, m: &Member, size: u32) -> Result<(), Error> {
        let part = self.facts(m.ty);
        let target = self.record(part.resolved);
        let kind = target.kind();
        let Some(part_size) = part.size else {
            let kind = kind.name();
            return Err(bad(id.0, format!("member {i} is of type {}, a {kind}, which has no size", m.ty)));
        };
        let width = match (m.bitfield_bits, kind) {
            (0, Kind::Int) => {
                let (off_bits, bits) = target.int_bits();
                u64::from(off_bits) + u64::from(bits)
            }
            (0, _) if !m.off_bits.is_multiple_of(8) => {
                let what = format!("member {i} at bit {} does not start at a byte", m.off_bits);
                return Err(bad(id.0, what));
            }
            (0, _) => u64::from(part_size) * 8,
            (n, Kind::Int | Kind::Enum | Kind::Enum64) if kind != Kind::Int || target.int_bits().0 == 0 => {
                if u32::from(n) > part_size * 8 {
                    let what =
                        format!("bit-field member {i} has {n} bits, more than its type of {part_size} bytes");
                    return Err(bad(id.0, what));
                }
                n.into()
            }
            (_, other) => {
                let what = format!("bit-field member {i} is of type {}, a {}", m.ty, other.name());
                return Err(bad(id.0, what));
            }
        };
        if u64::from(m.off_bits) + width > u64::from(size) * 8 {
            let at = m.off_bits;
            let what = format!("member {i} takes bits {at}+{width}, outside the {size} bytes of its type");
            return Err(bad(id.0, what));
        }
        Ok(())
    }
}

/// The `i`th type whose value is part of a value of this one, or that it stands for.
pub(crate) fn contained(record: Record<'_>, i: usize) -> Option<TypeId> {
    match record.kind() {
        Kind::Struct | Kind::Union => record.part_type(i, 1),
        Kind::Datasec => record.part_type(i, 0),
        Kind::Array => (i == 0).then(|| TypeId(record.extra(0))),
        Kind::Var => (i == 0).then(|| record.target()),
        kind => (i == 0 && kind.is_modifier()).then(|| record.target()),
    }
}

/// The `i`th type that the C name of this one spells out.
fn spelled(record: Record<'_>, i: usize) -> Option<TypeId> {
    match record.kind() {
        Kind::Array => (i == 0).then(|| TypeId(record.extra(0))),
        kind => (i == 0 && (kind == Kind::Ptr || kind.is_modifier())).then(|| record.target()),
    }
}

/// Calls `leave` for each type of `ids` that `matters` once, after it was called for what `edge` leads to. One that does
/// not leads nowhere. What lies before `ids` is of a base, and leads to none of them.
pub(crate) fn post_order<'a>(
    ids: Range<u32>,
    matters: impl Fn(TypeId) -> bool,
    record: impl Fn(TypeId) -> Record<'a>,
    edge: impl Fn(Record<'_>, usize) -> Option<TypeId>,
    cycle: &str,
    mut leave: impl FnMut(TypeId, Record<'a>) -> Result<(), Error>,
) -> Result<(), Error> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let first = ids.start;
    let mut marks = vec![Mark::New; ids.len()];
    let mut stack: Vec<(TypeId, Record<'a>, usize)> = Vec::new();
    for root in ids.map(TypeId).filter(|id| matters(*id)) {
        let mark = &mut marks[(root.0 - first) as usize];
        if *mark == Mark::New {
            *mark = Mark::Open;
            stack.push((root, record(root), 0));
        }
        while let Some((id, from, next)) = stack.last_mut() {
            let Some(to) = edge(*from, *next) else {
                leave(*id, *from)?;
                marks[(id.0 - first) as usize] = Mark::Done;
                stack.pop();
                continue;
            };
            *next += 1;
            let Some(own) = to.0.checked_sub(first).filter(|_| matters(to)) else { continue };
            let mark = &mut marks[own as usize];
            match *mark {
                Mark::Done => {}
                Mark::Open => return Err(bad(to.0, cycle)),
                Mark::New => {
                    let record = record(to);
                    if edge(record, 0).is_some() {
                        *mark = Mark::Open;
                        stack.push((to, record, 0));
                    } else {
                        leave(to, record)?;
                        *mark = Mark::Done;
                    }
                }
            }
        }
    }
    Ok(())
}
