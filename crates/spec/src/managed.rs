//! Fields of map values that belong to the kernel, found by their types.

use alloc::vec::Vec;

use skep_btf::{Btf, Type, TypeId};

use crate::MapDef;

/// Structs in structs that are looked into (`MAX_RESOLVE_DEPTH` of nested fields).
const DEPTH: u32 = 4;

/// Bytes of a `struct bpf_spin_lock`.
pub const SPIN_LOCK_SIZE: u32 = 4;

impl MapDef {
    /// Offset in a value of its `struct bpf_spin_lock`, from the value's type. `None` when it has none, several, or
    /// one that is not at a multiple of 4: such a map has no lock that programs can take (`btf_parse_fields`,
    /// Linux 6.18).
    pub fn spin_lock_off(&self) -> Option<u32> {
        match self.spin_locks()[..] {
            [off] if off.is_multiple_of(4) => Some(off),
            _ => None,
        }
    }

    fn spin_locks(&self) -> Vec<u32> {
        let mut found = Vec::new();
        if let Some(btf) = self.btf.as_ref().filter(|_| self.value_btf_id != 0) {
            locks(btf, TypeId(self.value_btf_id), 0, DEPTH, &mut found);
        }
        found.retain(|off| off.checked_add(SPIN_LOCK_SIZE).is_some_and(|end| end <= self.value_size));
        found
    }
}

fn locks(btf: &Btf, id: TypeId, at: u32, depth: u32, found: &mut Vec<u32>) {
    let parts: Vec<(TypeId, u32)> = match btf.resolved(id) {
        Type::Struct { members, .. } => {
            members.iter().filter(|m| m.off_bits % 8 == 0).map(|m| (m.ty, m.off_bits / 8)).collect()
        }
        Type::Datasec { entries, .. } => entries.iter().map(|e| (e.ty, e.off_bytes)).collect(),
        _ => return,
    };
    for (ty, off) in parts {
        let ty = match btf.ty(ty) {
            Some(Type::Var { ty, .. }) => *ty,
            _ => ty,
        };
        let Some(off) = at.checked_add(off) else { continue };
        let target = btf.resolve(ty);
        if !matches!(btf.ty(target), Some(Type::Struct { .. })) {
            continue;
        }
        if btf.name(target) == Some("bpf_spin_lock") {
            found.push(off);
        } else if let Some(depth) = depth.checked_sub(1) {
            locks(btf, target, off, depth, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;

    use skep_abi::MapType;
    use skep_btf::{Builder, IntEncoding};

    use super::*;

    fn def(fields: impl FnOnce(&mut Builder, TypeId, TypeId) -> TypeId) -> MapDef {
        let mut b = Builder::new();
        let int = b.int("int", 4, IntEncoding::Signed);
        let lock = b.structure("bpf_spin_lock", 4, &[("val", int, 0)]);
        let value = fields(&mut b, int, lock);
        MapDef {
            btf: Some(Arc::new(b.finish().expect("legal types"))),
            value_btf_id: value.0,
            ..MapDef::new(MapType::ARRAY, 4, 24, 1)
        }
    }

    #[test]
    fn a_lock_is_found_by_its_type() {
        let at = |off: u32| {
            def(move |b, int, lock| b.structure("v", 24, &[("n", int, 0), ("l", lock, off * 8)]))
                .spin_lock_off()
        };
        assert_eq!(at(4), Some(4));
        assert_eq!(at(20), Some(20));
        assert_eq!(at(18), None, "not at a multiple of 4");
        let short = MapDef { value_size: 8, ..def(|b, _, lock| b.structure("v", 24, &[("l", lock, 128)])) };
        assert_eq!(short.spin_lock_off(), None, "behind the value");
        let none = def(|b, int, _| b.structure("v", 24, &[("n", int, 0)]));
        assert_eq!(none.spin_lock_off(), None);
        let typeless = MapDef { value_btf_id: 0, ..def(|_, _, lock| lock) };
        assert_eq!(typeless.spin_lock_off(), None);
    }

    #[test]
    fn locks_in_structs_count_too() {
        let nested = def(|b, int, lock| {
            let inner = b.structure("inner", 8, &[("n", int, 0), ("l", lock, 32)]);
            b.structure("v", 24, &[("n", int, 0), ("i", inner, 64)])
        });
        assert_eq!(nested.spin_lock_off(), Some(12));
        let two = def(|b, _, lock| b.structure("v", 24, &[("a", lock, 0), ("b", lock, 32)]));
        assert_eq!(two.spin_lock_off(), None);
    }
}
