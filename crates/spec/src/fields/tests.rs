//! Types with fields, and types whose fields the kernel does not take.

use alloc::sync::Arc;

use skep_abi::MapType;
use skep_btf::{Builder, IntEncoding};

use super::*;

struct Types {
    b: Builder,
    int: TypeId,
    long: TypeId,
}

impl Types {
    fn new() -> Self {
        let mut b = Builder::new();
        let int = b.int("int", 4, IntEncoding::Signed);
        let long = b.int("long", 8, IntEncoding::Signed);
        Self { b, int, long }
    }

    fn field(&mut self, kind: FieldKind) -> TypeId {
        match kind.size() {
            4 => self.b.structure(kind.name(), 4, &[("v", self.int, 0)]),
            size => {
                let words = self.b.array(self.long, self.int, size / 8);
                self.b.structure(kind.name(), size, &[("v", words, 0)])
            }
        }
    }

    fn tagged(&mut self, tag: &str, target: TypeId) -> TypeId {
        let name = self.b.name(tag);
        let tagged = self.b.add(Type::TypeTag { name, target, attribute: false });
        self.b.ptr(tagged)
    }

    fn contains(&mut self, target: TypeId, member: u32, what: &str) {
        let name = self.b.name(&alloc::format!("contains:{what}"));
        self.b.add(Type::DeclTag { name, target, component: Some(member), attribute: false });
    }

    fn def(self, value: TypeId, size: u32) -> MapDef {
        MapDef {
            btf: Some(Arc::new(self.b.finish().expect("legal types"))),
            value_btf_id: value.0,
            ..MapDef::new(MapType::ARRAY, 4, size, 1)
        }
    }
}

fn kinds(fields: &Fields) -> Vec<(FieldKind, u32)> {
    fields.all().iter().map(|f| (f.kind, f.off_bytes)).collect()
}

#[test]
fn fields_are_found_by_their_types() {
    let mut t = Types::new();
    let timer = t.field(FieldKind::Timer);
    let task = t.b.structure("task_struct", 8, &[("a", t.long, 0)]);
    let (kptr, plain) = (t.tagged("kptr", task), t.b.ptr(task));
    let kptrs = t.b.array(kptr, t.int, 2);
    let inner = t.b.structure("inner", 24, &[("n", t.int, 0), ("t", timer, 64)]);
    let value = t.b.structure("v", 56, &[("p", plain, 0), ("i", inner, 64), ("k", kptrs, 256)]);
    let def = t.def(value, 56);
    let fields = def.fields();
    assert_eq!(fields.bad(), None);
    assert_eq!(kinds(&fields), [(FieldKind::Timer, 16), (FieldKind::Kptr, 32), (FieldKind::Kptr, 40)]);
    assert_eq!(fields.at(40).map(|f| f.of), Some(task));
    let short = MapDef { value_size: 40, ..def };
    assert_eq!(short.fields().bad(), Some(BadField::Place), "the last is behind the value");
}

#[test]
fn a_lock_is_found_by_its_type() {
    let at = |off: u32| {
        let mut t = Types::new();
        let lock = t.field(FieldKind::SpinLock);
        let value = t.b.structure("v", 24, &[("n", t.int, 0), ("l", lock, off * 8)]);
        t.def(value, 24).spin_lock_off()
    };
    assert_eq!(at(4), Some(4));
    assert_eq!(at(20), Some(20));
    assert_eq!(at(18), None, "not at a multiple of 4");
    let mut t = Types::new();
    let lock = t.field(FieldKind::SpinLock);
    let typeless = MapDef { value_btf_id: 0, ..t.def(lock, 24) };
    assert_eq!(typeless.spin_lock_off(), None);
}

#[test]
fn locks_in_structs_count_too() {
    let mut t = Types::new();
    let lock = t.field(FieldKind::SpinLock);
    let inner = t.b.structure("inner", 8, &[("n", t.int, 0), ("l", lock, 32)]);
    let value = t.b.structure("v", 24, &[("n", t.int, 0), ("i", inner, 64)]);
    assert_eq!(t.def(value, 24).spin_lock_off(), Some(12));
    let mut t = Types::new();
    let lock = t.field(FieldKind::SpinLock);
    let value = t.b.structure("v", 24, &[("a", lock, 0), ("b", lock, 32)]);
    let two = t.def(value, 24).fields();
    assert_eq!(
        (two.bad(), two.has(FieldKind::SpinLock)),
        (Some(BadField::Several(FieldKind::SpinLock)), false)
    );
}

#[test]
fn a_list_names_its_members() {
    let list = |tag: &str, lock: bool| {
        let mut t = Types::new();
        let (head, node) = (t.field(FieldKind::ListHead), t.field(FieldKind::ListNode));
        t.b.structure("elem", 32, &[("n", t.long, 0), ("node", node, 64)]);
        let spin = t.field(FieldKind::SpinLock);
        let first = if lock { spin } else { t.int };
        let value = t.b.structure("v", 24, &[("l", first, 0), ("h", head, 64)]);
        t.contains(value, 1, tag);
        t.def(value, 24).fields()
    };
    let fields = list("elem:node", true);
    assert_eq!((fields.bad(), fields.at(8).map(|f| f.node_off)), (None, Some(8)));
    assert_eq!(list("elem:node", false).bad(), Some(BadField::NoLock));
    assert_eq!(list("elem:n", true).bad(), Some(BadField::WrongContains(FieldKind::ListHead)));
    assert_eq!(list("other:node", true).bad(), Some(BadField::WrongContains(FieldKind::ListHead)));
    assert_eq!(list("elem", true).bad(), Some(BadField::NoContains(FieldKind::ListHead)));
}

#[test]
fn objects_have_nodes_and_values_have_not() {
    let mut t = Types::new();
    let (list, tree) = (t.field(FieldKind::ListNode), t.field(FieldKind::RbNode));
    let object = t.b.structure("o", 24, &[("n", list, 0)]);
    let both = t.b.structure("b", 56, &[("n", list, 0), ("m", tree, 192)]);
    let nodes = t.b.array(list, t.int, 2);
    let array = t.b.structure("a", 48, &[("n", nodes, 0)]);
    let outer = t.b.structure("outer", 24, &[("o", object, 0)]);
    let def = t.def(object, 24);
    assert!(def.fields().all().is_empty());
    let btf = def.btf.as_ref().expect("types");
    let of = |id| Fields::of_object(btf, id);
    assert_eq!(of(object).map(|f| kinds(&f)), Some(alloc::vec![(FieldKind::ListNode, 0)]));
    assert_eq!(of(both).and_then(|f| f.bad()), Some(BadField::NoRefcount));
    assert_eq!(of(array), None, "an array is none of its own members");
    assert_eq!(of(outer), None, "nor is what is in a member");
}
