//! Fields of map values that only helpers and functions of the kernel may touch, found by their types
//! (`btf_parse_fields` in kernel/bpf/btf.c, Linux 6.18).

use alloc::vec::Vec;

use skep_btf::{Btf, Type, TypeId};

use crate::MapDef;

/// Structs and arrays in structs that are looked into.
const DEPTH: u32 = 8;
/// Fields that are noted; Linux takes 11 in a map's values at most.
const MOST: usize = 64;

/// A field that the kernel keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// What it is, in the kernel's words: `bpf_timer`, `kptr`.
    pub name: &'static str,
    /// Offset in the value.
    pub off_bytes: u32,
    /// Bytes.
    pub size: u32,
    /// A pointer, which programs may load and store whole.
    pub pointer: bool,
}

/// Structures with their sizes. `struct bpf_spin_lock` has a rule of its own ([`MapDef::spin_lock_off`]).
const STRUCTS: &[(&str, u32)] = &[
    ("bpf_res_spin_lock", 4),
    ("bpf_timer", 16),
    ("bpf_wq", 16),
    ("bpf_list_head", 16),
    ("bpf_rb_root", 16),
    ("bpf_refcount", 4),
    ("bpf_task_work", 8),
];

/// Tags on what a pointer points to, and what the pointer is then.
const POINTERS: &[(&str, &str)] =
    &[("kptr_untrusted", "kptr"), ("kptr", "kptr"), ("percpu_kptr", "percpu_kptr"), ("uptr", "uptr")];

impl MapDef {
    /// The fields of a value that the kernel keeps, without its spin lock.
    pub fn kept_fields(&self) -> Vec<Field> {
        let mut found = Vec::new();
        if let Some(btf) = self.btf.as_ref().filter(|_| self.value_btf_id != 0) {
            look(btf, TypeId(self.value_btf_id), 0, DEPTH, &mut found);
        }
        let inside = |f: &Field| f.off_bytes.checked_add(f.size).is_some_and(|end| end <= self.value_size);
        found.retain(inside);
        found
    }
}

fn look(btf: &Btf, id: TypeId, at: u32, depth: u32, found: &mut Vec<Field>) {
    if found.len() >= MOST {
        return;
    }
    let resolved = btf.resolve(id);
    let Some(depth) = depth.checked_sub(1) else { return };
    let mut part = |ty: TypeId, off: u32| {
        if let Some(at) = at.checked_add(off) {
            look(btf, ty, at, depth, found);
        }
    };
    match btf.ty(resolved) {
        Some(Type::Ptr { target }) => {
            let Some(Type::TypeTag { name, .. }) = btf.ty(*target) else { return };
            let tag = btf.str(*name);
            if let Some(&(_, name)) = POINTERS.iter().find(|(t, _)| *t == tag) {
                found.push(Field { name, off_bytes: at, size: 8, pointer: true });
            }
        }
        Some(Type::Struct { members, .. }) => {
            let name = btf.name(resolved).unwrap_or("");
            if let Some(&(name, size)) = STRUCTS.iter().find(|(n, _)| *n == name) {
                found.push(Field { name, off_bytes: at, size, pointer: false });
                return;
            }
            members.iter().filter(|m| m.off_bits % 8 == 0).for_each(|m| part(m.ty, m.off_bits / 8));
        }
        Some(Type::Datasec { entries, .. }) => entries.iter().for_each(|e| part(e.ty, e.off_bytes)),
        Some(Type::Var { ty, .. }) => part(*ty, 0),
        Some(Type::Array { element, len, .. }) => {
            let (element, size) = (*element, btf.size_of(*element).unwrap_or(0));
            // Elements are alike: where the first has nothing, none has.
            for i in 0..(*len).min(MOST as u32) {
                let before = found.len();
                if let Some(at) = size.checked_mul(i).and_then(|off| at.checked_add(off)) {
                    look(btf, element, at, depth, found);
                }
                if found.len() == before {
                    return;
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;

    use skep_abi::MapType;
    use skep_btf::{Builder, IntEncoding};

    use super::*;

    #[test]
    fn fields_are_found_by_their_types() {
        let mut b = Builder::new();
        let int = b.int("int", 4, IntEncoding::Signed);
        let long = b.int("long", 8, IntEncoding::Signed);
        let timer = b.structure("bpf_timer", 16, &[("a", long, 0), ("b", long, 64)]);
        let task = b.structure("task_struct", 8, &[("a", long, 0)]);
        let name = b.name("kptr");
        let tagged = b.add(Type::TypeTag { name, target: task, attribute: false });
        let kptr = b.ptr(tagged);
        let plain = b.ptr(task);
        let kptrs = b.array(kptr, int, 2);
        let inner = b.structure("inner", 24, &[("n", int, 0), ("t", timer, 64)]);
        let value = b.structure("v", 56, &[("p", plain, 0), ("i", inner, 64), ("k", kptrs, 256)]);
        let def = MapDef {
            btf: Some(Arc::new(b.finish().expect("legal types"))),
            value_btf_id: value.0,
            ..MapDef::new(MapType::ARRAY, 4, 56, 1)
        };
        let found: Vec<_> = def.kept_fields().iter().map(|f| (f.name, f.off_bytes, f.pointer)).collect();
        assert_eq!(found, [("bpf_timer", 16, false), ("kptr", 32, true), ("kptr", 40, true)]);
        let short = MapDef { value_size: 40, ..def };
        assert_eq!(short.kept_fields().len(), 2, "the last is behind the value");
    }
}
