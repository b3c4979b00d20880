//! Which types of the target may stand for local ones. Each question has its own rules:
//!
//! | question | names | kinds | goes into |
//! |---|---|---|---|
//! | [`fields`]: may the field be read | of enums and forward declarations | struct and union alike | elements |
//! | [`types`]: is it that type | of the root only, by the caller | equal | pointers, elements, signatures |
//! | [`matches`]: is it all of that type | everywhere | equal; forward declarations behind pointers | all, members too |
//!
//! Answers are bounded: libbpf goes 32 levels deep and refuses what is deeper, and so do we. Members of members
//! could still be visited very often, so the whole question has a budget.

use super::{essential, is_enum, same_kind};
use crate::types::{IntEncoding, Name, Type, TypeId};
use crate::{At, Btf, Error};

/// Deepest chain of pointers and elements, and deepest nesting of signatures and members.
const MAX_DEPTH: u32 = 32;
/// Most pairs of types that one question looks at.
const MAX_PAIRS: u32 = 1 << 20;

/// Two types, one on either side.
#[derive(Clone, Copy)]
pub(super) struct Pair<'a> {
    pub(super) local: &'a Btf,
    pub(super) target: &'a Btf,
}

#[cold]
fn too_deep(id: TypeId) -> Error {
    Error::unsupported(At::Type(id.0), "types nest deeper than 32 levels")
}

/// An integer that describes a bit-field of its own, as old compilers wrote them.
fn is_shifted_int(t: &Type) -> bool {
    matches!(t, Type::Int { off_bits, .. } if *off_bits != 0)
}

fn is_composite(t: &Type) -> bool {
    matches!(t, Type::Struct { .. } | Type::Union { .. })
}

impl Pair<'_> {
    /// Whether names without flavours are equal.
    fn names(&self, local: Name, target: Name) -> bool {
        essential(self.local.str(local).as_bytes()) == essential(self.target.str(target).as_bytes())
    }
}

/// Whether a field of the target type can be read where the local one was meant: sizes and signs may differ.
pub(super) fn fields(p: Pair<'_>, mut local: TypeId, mut target: TypeId) -> bool {
    loop {
        let (l, t) = (p.local.resolved(local), p.target.resolved(target));
        if is_composite(l) && is_composite(t) {
            return true;
        }
        if !same_kind(l, t) {
            return false;
        }
        match (l, t) {
            (Type::Ptr { .. } | Type::Float { .. }, _) => return true,
            (Type::Fwd { .. } | Type::Enum { .. } | Type::Enum64 { .. }, _) => {
                return p.local.is_anonymous(l.name())
                    || p.target.is_anonymous(t.name())
                    || p.names(l.name(), t.name());
            }
            (Type::Int { .. }, _) => return !is_shifted_int(l) && !is_shifted_int(t),
            // Arrays do not contain themselves, so this ends.
            (Type::Array { element: l, .. }, Type::Array { element: t, .. }) => (local, target) = (*l, *t),
            _ => return false,
        }
    }
}

/// Whether the target type is the local one as far as kinds tell, through pointers, elements and signatures.
/// That the names are equal has been seen to.
pub(super) fn types(p: Pair<'_>, local: TypeId, target: TypeId) -> Result<bool, Error> {
    if !same_kind(p.local.ty(local).unwrap_or(&Type::Void), p.target.ty(target).unwrap_or(&Type::Void)) {
        return Ok(false);
    }
    let mut work = Work { pair: p, left: MAX_PAIRS };
    work.types(local, target, MAX_DEPTH)
}

/// Whether the target type has all that the local one has, by name.
pub(super) fn matches(p: Pair<'_>, local: TypeId, target: TypeId) -> Result<bool, Error> {
    Work { pair: p, left: MAX_PAIRS }.matches(local, target, false, MAX_DEPTH)
}

/// One question, with what it may still cost.
struct Work<'a> {
    pair: Pair<'a>,
    left: u32,
}

impl Work<'_> {
    fn spend(&mut self, local: TypeId) -> Result<(), Error> {
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            Error::unsupported(At::Type(local.0), "it has too many parts to be compared with the target's")
        })?;
        Ok(())
    }

    fn types(&mut self, mut local: TypeId, mut target: TypeId, level: u32) -> Result<bool, Error> {
        let p = self.pair;
        for _ in 0..MAX_DEPTH {
            self.spend(local)?;
            let (l, t) = (p.local.resolved(local), p.target.resolved(target));
            if !same_kind(l, t) {
                return Ok(false);
            }
            match (l, t) {
                (
                    Type::Void
                    | Type::Struct { .. }
                    | Type::Union { .. }
                    | Type::Enum { .. }
                    | Type::Enum64 { .. }
                    | Type::Fwd { .. },
                    _,
                ) => return Ok(true),
                (Type::Int { .. }, _) => return Ok(!is_shifted_int(l) && !is_shifted_int(t)),
                (Type::Ptr { target: l }, Type::Ptr { target: t })
                | (Type::Array { element: l, .. }, Type::Array { element: t, .. }) => {
                    (local, target) = (*l, *t);
                }
                (
                    Type::FuncProto { ret: l, params: l_params },
                    Type::FuncProto { ret: t, params: t_params },
                ) => {
                    if l_params.len() != t_params.len() {
                        return Ok(false);
                    }
                    for (l, t) in l_params.iter().zip(t_params) {
                        let level = level.checked_sub(1).ok_or_else(|| too_deep(local))?;
                        // The kinds are compared before qualifiers are skipped, too: both are skipped here.
                        if !self.types(p.local.resolve(l.ty), p.target.resolve(t.ty), level)? {
                            return Ok(false);
                        }
                    }
                    (local, target) = (*l, *t);
                }
                _ => return Ok(false),
            }
        }
        Err(too_deep(local))
    }

    fn matches(
        &mut self,
        mut local: TypeId,
        mut target: TypeId,
        mut behind_ptr: bool,
        level: u32,
    ) -> Result<bool, Error> {
        let p = self.pair;
        let level = level.checked_sub(1).ok_or_else(|| too_deep(local))?;
        for _ in 0..MAX_DEPTH {
            self.spend(local)?;
            let (l, t) = (p.local.resolved(local), p.target.resolved(target));
            if !p.names(l.name(), t.name()) {
                return Ok(false);
            }
            match (l, t) {
                (Type::Void, Type::Void) => return Ok(true),
                (Type::Fwd { is_union: l, .. }, Type::Fwd { is_union: t, .. }) => return Ok(l == t),
                (Type::Fwd { is_union, .. }, Type::Struct { .. }) => return Ok(behind_ptr && !is_union),
                (Type::Fwd { is_union, .. }, Type::Union { .. }) => return Ok(behind_ptr && *is_union),
                (Type::Struct { .. }, Type::Fwd { is_union, .. }) => return Ok(behind_ptr && !is_union),
                (Type::Union { .. }, Type::Fwd { is_union, .. }) => return Ok(behind_ptr && *is_union),
                (Type::Struct { .. }, Type::Struct { .. }) | (Type::Union { .. }, Type::Union { .. }) => {
                    return if behind_ptr { Ok(true) } else { self.members(l, t, level) };
                }
                (l, t) if is_enum(l) && is_enum(t) => return Ok(self.enums(l, t)),
                (Type::Int { size: l, encoding: l_enc, .. }, Type::Int { size: t, encoding: t_enc, .. }) => {
                    let signed = |e: &IntEncoding| *e == IntEncoding::Signed;
                    return Ok(l == t && signed(l_enc) == signed(t_enc));
                }
                (Type::Ptr { target: l }, Type::Ptr { target: t }) => {
                    behind_ptr = true;
                    (local, target) = (*l, *t);
                }
                (Type::Array { element: l, len: l_len, .. }, Type::Array { element: t, len: t_len, .. }) => {
                    if l_len != t_len {
                        return Ok(false);
                    }
                    (local, target) = (*l, *t);
                }
                (
                    Type::FuncProto { ret: l, params: l_params },
                    Type::FuncProto { ret: t, params: t_params },
                ) => {
                    if l_params.len() != t_params.len() {
                        return Ok(false);
                    }
                    for (l, t) in l_params.iter().zip(t_params) {
                        if !self.matches(l.ty, t.ty, behind_ptr, level)? {
                            return Ok(false);
                        }
                    }
                    (local, target) = (*l, *t);
                }
                // Among them floating point, which libbpf does not compare.
                _ => return Ok(false),
            }
        }
        Err(too_deep(local))
    }

    /// Whether each local member has one of its name in the target that matches it.
    fn members(&mut self, local: &Type, target: &Type, level: u32) -> Result<bool, Error> {
        if local.members().len() > target.members().len() {
            return Ok(false);
        }
        for l in local.members() {
            let mut found = false;
            for t in target.members() {
                self.spend(l.ty)?;
                if self.pair.names(l.name, t.name) && self.matches(l.ty, t.ty, false, level)? {
                    found = true;
                    break;
                }
            }
            if !found {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether each local enumerator has one of its name in the target; values may differ.
    fn enums(&self, local: &Type, target: &Type) -> bool {
        let size = |t: &Type| match t {
            Type::Enum { size, .. } | Type::Enum64 { size, .. } => Some(*size),
            _ => None,
        };
        let (l, t) = (local.values(), target.values());
        let found = |l: Name| t.iter().any(|t| self.pair.names(l, t.name));
        size(local) == size(target) && l.len() <= t.len() && l.iter().all(|l| found(l.name))
    }
}
