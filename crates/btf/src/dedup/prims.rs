//! Types that refer to nothing.

use super::{Work, shallow};
use crate::Type;

impl Work {
    /// Makes one of equal integers, floats, forward declarations and enums.
    pub(super) fn prims(&mut self) {
        for id in self.own_ids() {
            match self.ty(id) {
                Type::Int { .. } | Type::Float { .. } | Type::Fwd { .. } => self.prim(id),
                Type::Enum { .. } | Type::Enum64 { .. } => self.enumeration(id),
                Type::Void
                | Type::Ptr { .. }
                | Type::Array { .. }
                | Type::Struct { .. }
                | Type::Union { .. }
                | Type::Typedef { .. }
                | Type::Volatile { .. }
                | Type::Const { .. }
                | Type::Restrict { .. }
                | Type::Func { .. }
                | Type::FuncProto { .. }
                | Type::Var { .. }
                | Type::Datasec { .. }
                | Type::DeclTag { .. }
                | Type::TypeTag { .. } => {}
            }
        }
    }

    /// A type whose record says all, once what it refers to is settled.
    pub(super) fn prim(&mut self, id: u32) {
        let Some(hash) = self.hash(id) else { return };
        let mut at = self.table.first(hash);
        while let Some(other) = at {
            if !self.spend(1 + shallow::parts(self.ty(id))) {
                break;
            }
            if self.ty(id) == self.ty(other) {
                self.map[id as usize] = other;
                return;
            }
            at = self.table.after(other);
        }
        self.keep(id, hash);
    }

    /// An enum; one without values is the declaration of one with.
    fn enumeration(&mut self, id: u32) {
        let Some(hash) = self.hash(id) else { return };
        let declared = self.ty(id).values().is_empty();
        let mut at = self.table.first(hash);
        while let Some(other) = at {
            if !self.spend(1 + shallow::parts(self.ty(id))) {
                break;
            }
            let (t, known) = (self.ty(id), self.ty(other));
            if t == known {
                self.map[id as usize] = other;
                return;
            }
            if shallow::enums(t, known) && matches!(known, Type::Enum { .. } | Type::Enum64 { .. }) {
                if declared {
                    self.map[id as usize] = other;
                    return;
                }
                if known.values().is_empty() {
                    self.map[other as usize] = id;
                }
            }
            at = self.table.after(other);
        }
        self.keep(id, hash);
    }
}
