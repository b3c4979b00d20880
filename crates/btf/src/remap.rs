//! Where types and names have gone: after one set of types was appended to another, or deduplicated.

use alloc::vec::Vec;

use crate::types::*;
use crate::{BtfExt, Name};

/// Old ids and names to new ones. What belongs to a base stays as it is.
#[derive(Clone, Debug)]
pub struct Remap {
    /// The first id that `ids` says something of.
    pub(crate) first: u32,
    /// New ids of the types from `first` on.
    pub(crate) ids: Vec<TypeId>,
    /// The first string offset that `names` says something of.
    pub(crate) first_str: u32,
    pub(crate) names: Names,
}

#[derive(Clone, Debug)]
pub(crate) enum Names {
    /// Every offset moves by this much.
    Shift(u32),
    /// New offsets by old ones; [`NO_STRING`] for strings that are gone.
    Table(Vec<u32>),
}

/// No offset of any string.
pub(crate) const NO_STRING: u32 = u32::MAX;

impl Remap {
    /// The new id of a type; an id that the map does not know comes back as it is.
    pub fn id(&self, old: TypeId) -> TypeId {
        let own = old.0.checked_sub(self.first).and_then(|i| self.ids.get(i as usize));
        own.copied().unwrap_or(old)
    }

    /// The new place of a name; [`Name::NONE`] for a string that was not kept.
    pub fn name(&self, old: Name) -> Name {
        if old.is_none() {
            return old;
        }
        let Some(own) = old.0.checked_sub(self.first_str) else { return old };
        match &self.names {
            Names::Shift(by) => Name(old.0.wrapping_add(*by)),
            Names::Table(new) => match new.get(own as usize) {
                Some(&new) if new != NO_STRING => Name(new),
                _ => Name::NONE,
            },
        }
    }

    /// The type with its references and names at their new places.
    pub fn ty(&self, t: &mut Type) {
        t.each_reference_mut(|id| *id = self.id(*id));
        t.each_name_mut(|n| *n = self.name(*n));
    }
}

impl BtfExt {
    /// Every name in it: to be kept when the types that it belongs to are deduplicated.
    pub fn names(&self) -> impl Iterator<Item = Name> {
        let lines = self
            .line_info
            .iter()
            .flat_map(|s| [s.section].into_iter().chain(s.records.iter().flat_map(|l| [l.file, l.text])));
        let relos = self
            .core_relos
            .iter()
            .flat_map(|s| [s.section].into_iter().chain(s.records.iter().map(|r| r.access)));
        self.func_info.iter().map(|s| s.section).chain(lines).chain(relos)
    }

    /// Follows the types and strings that it belongs to.
    pub fn remap(&mut self, map: &Remap) {
        for s in &mut self.func_info {
            s.section = map.name(s.section);
            s.records.iter_mut().for_each(|f| f.ty = map.id(f.ty));
        }
        for s in &mut self.line_info {
            s.section = map.name(s.section);
            for l in &mut s.records {
                (l.file, l.text) = (map.name(l.file), map.name(l.text));
            }
        }
        for s in &mut self.core_relos {
            s.section = map.name(s.section);
            for r in &mut s.records {
                (r.ty, r.access) = (map.id(r.ty), map.name(r.access));
            }
        }
    }
}

impl Type {
    /// Calls `f` with each type that this one names, to change it.
    pub fn each_reference_mut(&mut self, mut f: impl FnMut(&mut TypeId)) {
        match self {
            Self::Void
            | Self::Int { .. }
            | Self::Enum { .. }
            | Self::Fwd { .. }
            | Self::Float { .. }
            | Self::Enum64 { .. } => {}
            Self::Ptr { target }
            | Self::Typedef { target, .. }
            | Self::Volatile { target }
            | Self::Const { target }
            | Self::Restrict { target }
            | Self::DeclTag { target, .. }
            | Self::TypeTag { target, .. } => f(target),
            Self::Array { element, index, .. } => {
                f(element);
                f(index);
            }
            Self::Struct { members, .. } | Self::Union { members, .. } => {
                members.iter_mut().for_each(|m| f(&mut m.ty));
            }
            Self::Func { proto, .. } => f(proto),
            Self::FuncProto { ret, params } => {
                f(ret);
                params.iter_mut().for_each(|p| f(&mut p.ty));
            }
            Self::Var { ty, .. } => f(ty),
            Self::Datasec { entries, .. } => entries.iter_mut().for_each(|e| f(&mut e.ty)),
        }
    }

    /// Calls `f` with each name in this type, its own and its parts', to change it.
    pub fn each_name_mut(&mut self, mut f: impl FnMut(&mut Name)) {
        match self {
            Self::Void
            | Self::Ptr { .. }
            | Self::Array { .. }
            | Self::Volatile { .. }
            | Self::Const { .. }
            | Self::Restrict { .. } => {}
            Self::Int { name, .. }
            | Self::Fwd { name, .. }
            | Self::Typedef { name, .. }
            | Self::Func { name, .. }
            | Self::Var { name, .. }
            | Self::Datasec { name, .. }
            | Self::Float { name, .. }
            | Self::DeclTag { name, .. }
            | Self::TypeTag { name, .. } => f(name),
            Self::Struct { name, members, .. } | Self::Union { name, members, .. } => {
                f(name);
                members.iter_mut().for_each(|m| f(&mut m.name));
            }
            Self::Enum { name, values, .. } | Self::Enum64 { name, values, .. } => {
                f(name);
                values.iter_mut().for_each(|v| f(&mut v.name));
            }
            Self::FuncProto { params, .. } => params.iter_mut().for_each(|p| f(&mut p.name)),
        }
    }
}
