//! Paths: an access string as the fields and elements that it goes through, and the same path in another type.
//!
//! `0:1:2:3` on `struct sample *s` is `s[0]`, its member 1, of that member 2, of that element 3. Members without
//! a name add their offset and are no step: the target may have put its fields into others.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use super::compat::{self, Pair};
use super::kind::Subject;
use super::{CoreKind, essential};
use crate::types::{Name, Type, TypeId};
use crate::{At, Btf, CoreRelo, Error};

/// Most numbers of an access string, and deepest path in a target (`BPF_CORE_SPEC_MAX_LEN`).
const MAX_LEN: usize = 64;
/// Most members that a search for one field looks at: anonymous structs may repeat each other.
const MAX_MEMBERS: u32 = 1 << 20;

/// A step: a named member, or an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// The struct or union, or the type of the element.
    pub(super) ty: TypeId,
    /// Number of the member or element.
    pub(super) index: u32,
    /// The member's name.
    pub(super) name: Option<Name>,
}

/// A path from a type to a part of it.
#[derive(Clone, Debug)]
pub(super) struct Spec<'a> {
    pub(super) btf: &'a Btf,
    /// Where it starts.
    pub(super) root: TypeId,
    /// For an enumerator one step with its name; for a type none.
    pub(super) steps: Vec<Step>,
    /// In a target: anonymous members on the way, of these types.
    pub(super) anonymous: Vec<(TypeId, u32)>,
    /// Numbers gone through, anonymous members included.
    depth: usize,
    /// Where the part begins, in bits; modulo 2^32, as libbpf counts.
    pub(super) off_bits: u32,
}

#[cold]
fn bad(ty: TypeId, what: impl Into<String>) -> Error {
    Error::malformed(At::Type(ty.0), what)
}

/// Bits that an index into an array of `ty` skips.
fn skipped(btf: &Btf, ty: TypeId, index: u32) -> Result<u32, Error> {
    let size = btf.size_of(ty).ok_or_else(|| {
        bad(ty, format!("a {} has no size, so there is no element {index}", btf.resolved(ty).kind().name()))
    })?;
    Ok(index.wrapping_mul(size).wrapping_mul(8))
}

/// Numbers of an access string.
fn numbers(text: &str, ty: TypeId) -> Result<Vec<u32>, Error> {
    let mut out = Vec::new();
    for part in text.split(':') {
        let n = part.parse::<u32>().ok().filter(|n| *n <= i32::MAX as u32);
        let n = n.ok_or_else(|| bad(ty, format!("access \"{text}\" is not numbers between colons")))?;
        if out.len() == MAX_LEN {
            return Err(bad(ty, format!("access \"{text}\" has more than {MAX_LEN} numbers")));
        }
        out.push(n);
    }
    Ok(out)
}

impl<'a> Spec<'a> {
    fn new(btf: &'a Btf, root: TypeId) -> Self {
        Self { btf, root, steps: Vec::new(), anonymous: Vec::new(), depth: 0, off_bits: 0 }
    }

    /// The path of a relocation in the local types.
    ///
    /// # Errors
    /// When the access string is none, or leads out of the type.
    pub(super) fn local(btf: &'a Btf, relo: &CoreRelo, kind: CoreKind) -> Result<Self, Error> {
        let text = btf.str(relo.access);
        let mut spec = Self::new(btf, relo.ty);
        if kind.subject() == Subject::Type {
            return match text {
                "0" => Ok(spec),
                _ => Err(bad(relo.ty, format!("access \"{text}\" of a whole type is not \"0\""))),
            };
        }
        let numbers = numbers(text, relo.ty)?;
        let mut id = btf.resolve(relo.ty);
        let (first, rest) = numbers.split_first().expect("`split` gives at least one part");
        if kind.subject() == Subject::EnumValue {
            let ty = btf.resolved(id);
            let Some(value) = ty.values().get(*first as usize).filter(|_| rest.is_empty()) else {
                let what = format!("access \"{text}\" names no enumerator of a {}", ty.kind().name());
                return Err(bad(relo.ty, what));
            };
            spec.steps.push(Step { ty: id, index: *first, name: Some(value.name) });
            return Ok(spec);
        }
        spec.steps.push(Step { ty: id, index: *first, name: None });
        spec.off_bits = skipped(btf, id, *first)?;
        for (at, &index) in (1..).zip(rest) {
            id = btf.resolve(id);
            let out_of = |what: String| bad(id, format!("access \"{text}\", number {at}: {what}"));
            match btf.resolved(id) {
                Type::Struct { members, .. } | Type::Union { members, .. } => {
                    let Some(m) = members.get(index as usize) else {
                        return Err(out_of(format!("the type has {} members", members.len())));
                    };
                    spec.off_bits = spec.off_bits.wrapping_add(m.off_bits);
                    if !m.name.is_none() {
                        if btf.is_anonymous(m.name) {
                            return Err(out_of(format!("member {index} has an empty name")));
                        }
                        spec.steps.push(Step { ty: id, index, name: Some(m.name) });
                    }
                    id = m.ty;
                }
                Type::Array { element, len, .. } => {
                    if index >= *len && !spec.ends_flexible(*len) {
                        return Err(out_of(format!("the array has {len} elements")));
                    }
                    id = btf.resolve(*element);
                    spec.steps.push(Step { ty: id, index, name: None });
                    spec.off_bits = spec.off_bits.wrapping_add(skipped(btf, id, index)?);
                }
                other => return Err(out_of(format!("a {} has no parts", other.kind().name()))),
            }
        }
        Ok(spec)
    }

    /// Whether the path has just entered a flexible array: without length, and the last member of its struct.
    fn ends_flexible(&self, len: u32) -> bool {
        let Some(step) = self.steps.last().filter(|s| len == 0 && s.name.is_some()) else { return false };
        let members = self.btf.resolved(step.ty).members().len();
        step.index as usize + 1 == members
    }

    /// The same path in another type of (but for flavours) the same name; `None` if there is none there.
    ///
    /// # Errors
    /// When the types cannot be compared: too deep, or elements without a size.
    pub(super) fn matching<'t>(
        &self,
        kind: CoreKind,
        btf: &'t Btf,
        root: TypeId,
    ) -> Result<Option<Spec<'t>>, Error> {
        let mut out = Spec::new(btf, root);
        let pair = Pair { local: self.btf, target: btf };
        match kind.subject() {
            Subject::Type => {
                let same = if kind == CoreKind::TypeMatches { compat::matches } else { compat::types };
                Ok(same(pair, self.root, root)?.then_some(out))
            }
            Subject::EnumValue => {
                let want = self.steps.first().and_then(|s| s.name).unwrap_or(Name::NONE);
                let want = essential(self.btf.str(want).as_bytes());
                let mut values = (0..).zip(btf.resolved(root).values());
                let found = values.find(|(_, v)| essential(btf.str(v.name).as_bytes()) == want);
                Ok(found.map(|(index, v)| {
                    out.steps.push(Step { ty: btf.resolve(root), index, name: Some(v.name) });
                    out
                }))
            }
            Subject::Field => Ok(out.follow(self)?.then_some(out)),
        }
    }

    /// Goes the way of `local`; `false` if it ends before.
    fn follow(&mut self, local: &Spec<'_>) -> Result<bool, Error> {
        let mut id = self.root;
        let mut left = MAX_MEMBERS;
        for (i, step) in local.steps.iter().enumerate() {
            id = self.btf.resolve(id);
            if step.name.is_some() {
                let wanted = Wanted { btf: local.btf, step: *step };
                match self.member(&wanted, id, &mut left)? {
                    Found::Yes(next) => id = next,
                    Found::No | Found::Incompatible => return Ok(false),
                }
                continue;
            }
            // The first is of the type itself, the others of an array.
            if i > 0 {
                let Type::Array { element, len, .. } = self.btf.resolved(id) else { return Ok(false) };
                if step.index >= *len && !self.ends_flexible(*len) {
                    return Ok(false);
                }
                id = self.btf.resolve(*element);
            }
            self.deeper()?;
            self.steps.push(Step { ty: id, index: step.index, name: None });
            self.off_bits = self.off_bits.wrapping_add(skipped(self.btf, id, step.index)?);
        }
        Ok(true)
    }

    fn deeper(&mut self) -> Result<(), Error> {
        if self.depth == MAX_LEN {
            return Err(Error::unsupported(
                At::Type(self.root.0),
                format!("the path in the target's type is deeper than {MAX_LEN}"),
            ));
        }
        self.depth += 1;
        Ok(())
    }

    /// Looks for a field by name in a type and in its anonymous members, in their order.
    fn member(&mut self, wanted: &Wanted<'_>, id: TypeId, left: &mut u32) -> Result<Found, Error> {
        let btf = self.btf;
        let id = btf.resolve(id);
        let name = wanted.name();
        for (index, m) in (0..).zip(btf.resolved(id).members()) {
            *left = left.checked_sub(1).ok_or_else(|| {
                Error::unsupported(At::Type(self.root.0), "the target's type has too many anonymous members")
            })?;
            let before = (self.off_bits, self.depth);
            self.deeper()?;
            self.off_bits = self.off_bits.wrapping_add(m.off_bits);
            if btf.is_anonymous(m.name) {
                match self.member(wanted, m.ty, left)? {
                    Found::No => {}
                    Found::Incompatible => return Ok(Found::Incompatible),
                    Found::Yes(ty) => {
                        self.anonymous.push((id, index));
                        return Ok(Found::Yes(ty));
                    }
                }
            } else if btf.is_named(m.name, name) {
                let pair = Pair { local: wanted.btf, target: btf };
                if !compat::fields(pair, wanted.ty(), m.ty) {
                    return Ok(Found::Incompatible);
                }
                self.steps.push(Step { ty: id, index, name: Some(m.name) });
                return Ok(Found::Yes(m.ty));
            }
            (self.off_bits, self.depth) = before;
        }
        Ok(Found::No)
    }
}

/// A local field that is looked for in the target.
struct Wanted<'a> {
    btf: &'a Btf,
    step: Step,
}

impl<'a> Wanted<'a> {
    fn name(&self) -> &'a str {
        self.btf.str(self.step.name.unwrap_or(Name::NONE))
    }

    fn ty(&self) -> TypeId {
        let members = self.btf.resolved(self.step.ty).members();
        members.get(self.step.index as usize).map_or(TypeId::VOID, |m| m.ty)
    }
}

enum Found {
    /// With its type.
    Yes(TypeId),
    No,
    /// A field of this name, whose type cannot be read as the local one.
    Incompatible,
}

/// A relocation in words.
pub(super) fn describe(btf: &Btf, relo: &CoreRelo) -> String {
    let ty = btf.ty(relo.ty).unwrap_or(&Type::Void);
    let word = match ty {
        Type::Struct { .. } => "struct ",
        Type::Union { .. } => "union ",
        Type::Enum { .. } | Type::Enum64 { .. } => "enum ",
        _ => "",
    };
    let name = btf.name(relo.ty).unwrap_or("(anonymous)");
    let access = btf.str(relo.access);
    let Some(kind) = CoreKind::from_raw(relo.kind) else {
        return format!("unknown kind {} of {word}{name}, access {access}", relo.kind);
    };
    let mut out = format!("{} of {word}{name}", kind.name());
    let Ok(spec) = Spec::local(btf, relo, kind) else {
        return format!("{out}, access {access}");
    };
    let dot = if kind.subject() == Subject::EnumValue { "::" } else { "." };
    for (i, step) in spec.steps.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = match step.name {
            Some(name) => write!(out, "{dot}{}", btf.str(name)),
            None if i > 0 || step.index > 0 => write!(out, "[{}]", step.index),
            None => Ok(()),
        };
    }
    out
}
