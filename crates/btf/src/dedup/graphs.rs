//! Structs, unions and typedefs, which may be parts of cycles; and what declares them.

use alloc::vec;

use super::{Work, shallow};
use crate::Type;

impl Work {
    /// Makes one of structs, unions and typedefs with matching graphs.
    pub(super) fn graphs(&mut self) {
        for id in self.own_ids() {
            let graph =
                matches!(self.ty(id), Type::Struct { .. } | Type::Union { .. } | Type::Typedef { .. });
            if graph && !self.is_mapped(id) {
                self.graph(id);
            }
        }
    }

    fn graph(&mut self, id: u32) {
        let Some(hash) = self.hash(id) else { return };
        let mut at = self.table.first(hash);
        while let Some(known) = at {
            if !self.spend(1 + shallow::parts(self.ty(id))) {
                break;
            }
            // Not a forward declaration that happens to have the hash.
            if shallow::equal(self.ty(id), self.ty(known)) && self.equivalent(id, known) {
                self.merge_pairs();
                if !self.defines_base {
                    self.map[id as usize] = known;
                    return;
                }
            }
            at = self.table.after(known);
        }
        self.keep(id, hash);
    }

    /// Takes over what a comparison that succeeded has found out about the types on the way.
    ///
    /// A forward declaration on either side becomes the other side's struct, whether that is settled or not: it
    /// will be. A struct of the new graph becomes the known one if that is settled.
    fn merge_pairs(&mut self) {
        for i in 0..self.pairs.len() {
            let known = self.pairs[i];
            let new = self.resolve(self.paired[known as usize]);
            let known = self.resolve(known);
            let declared = |t: &Type| matches!(t, Type::Fwd { .. });
            let (new_fwd, known_fwd) = (declared(self.ty(new)), declared(self.ty(known)));
            if known_fwd && !new_fwd {
                self.map[known as usize] = new;
            }
            // The graphs match only once the base's declaration is replaced, so nothing else follows.
            if self.defines_base {
                continue;
            }
            let record = matches!(self.ty(new), Type::Struct { .. } | Type::Union { .. });
            let settled = record && self.is_mapped(known) && !self.is_mapped(new);
            if !known_fwd && (new_fwd || settled) {
                self.map[new as usize] = known;
            }
        }
    }

    /// Lets a declared struct or union be the defined one, if there is only one of the name.
    pub(super) fn forwards(&mut self) {
        /// Several are defined.
        const MANY: u32 = Work::NONE - 1;
        let len = self.map.len() as u32;
        let names = (1..len).map(|id| self.ty(id).name().0 as usize + 1).max().unwrap_or(0);
        let mut defined = vec![Self::NONE; names];
        for id in 1..len {
            if self.map[id as usize] == id
                && let Type::Struct { name, .. } | Type::Union { name, .. } = self.ty(id)
            {
                let one = &mut defined[name.0 as usize];
                *one = if *one == Self::NONE { id } else { MANY };
            }
        }
        for id in self.own_ids() {
            let Type::Fwd { name, is_union } = *self.ty(id) else { continue };
            let to = defined[name.0 as usize];
            if self.map[id as usize] == id
                && to < MANY
                && matches!(self.ty(to), Type::Union { .. }) == is_union
            {
                self.map[id as usize] = to;
            }
        }
    }
}
