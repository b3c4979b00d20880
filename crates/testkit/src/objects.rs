//! Types of programs that allocate objects, and maps whose values keep them: for verdicts on both.
//!
//! ```text
//! struct plain  { long a; long b; };
//! struct item   { long key; bpf_list_node node; bpf_rb_node rb; bpf_refcount refs; int n; };    8 32 64 68
//! struct single { long key; bpf_rb_node rb; };                                                  8
//! struct chain  { bpf_spin_lock lock; int n; bpf_list_head head (of item.node); };              0 4 8
//! struct holder { long n; struct plain __kptr *p; };                                            8
//! struct linked { long *p; struct plain *q; };                                                  0 8
//! struct large  { long words[65]; };
//!
//! lists     { bpf_spin_lock lock; int n; bpf_list_head head (item.node);                        0 4 8
//!             bpf_rb_root root (item.rb); bpf_rb_root singles (single.rb); }                    24 40
//! pointers  { long n; plain __kptr *p; plain __percpu_kptr *c; task_struct __kptr *t;           0 8 16 24
//!             task_struct __kptr_untrusted *u; item __kptr *i; }                                32 40
//! works     { long n; bpf_timer t; bpf_wq w; }                                                  0 8 24
//! tasks     { long n; bpf_task_work w; }                                                        0 8
//! restrees  { bpf_res_spin_lock lock; int n; bpf_rb_root singles (single.rb); }                 0 4 8
//! workarrays: an array of maps like works
//! shared    { struct plain __uptr *p; long n; }, of tasks                                       0 8
//! ```

use std::sync::Arc;

use skep_abi::{MapFlags, MapType};
use skep_btf::{Btf, Builder, IntEncoding, Type, TypeId};
use skep_spec::{FieldKind, MapDef};

/// Names of the maps that [`maps`] gives.
pub const MAPS: &[&str] = &[
    "lists",
    "listhash",
    "pointers",
    "pointerhash",
    "works",
    "otherworks",
    "tasks",
    "othertasks",
    "shared",
    "restrees",
    "workarrays",
];

/// The types, for functions to be added.
pub fn types() -> Builder {
    let mut b = Builder::new();
    let int = b.int("int", 4, IntEncoding::Signed);
    let long = b.int("long", 8, IntEncoding::Signed);
    let mut field = |kind: FieldKind| match kind.size() {
        4 => b.structure(kind.name(), 4, &[("v", int, 0)]),
        size => {
            let words = b.array(long, int, size / 8);
            b.structure(kind.name(), size, &[("v", words, 0)])
        }
    };
    let (lock, noticing) = (field(FieldKind::SpinLock), field(FieldKind::ResSpinLock));
    let (timer, work, task_work) =
        (field(FieldKind::Timer), field(FieldKind::Workqueue), field(FieldKind::TaskWork));
    let (head, node) = (field(FieldKind::ListHead), field(FieldKind::ListNode));
    let (root, rb, refs) = (field(FieldKind::RbRoot), field(FieldKind::RbNode), field(FieldKind::Refcount));
    let task = b.structure("task_struct", 8, &[("a", long, 0)]);
    let plain = b.structure("plain", 16, &[("a", long, 0), ("b", long, 64)]);
    let members =
        [("key", long, 0), ("node", node, 64), ("rb", rb, 256), ("refs", refs, 512), ("n", int, 544)];
    let item = b.structure("item", 72, &members);
    b.structure("single", 40, &[("key", long, 0), ("rb", rb, 64)]);
    let chain = b.structure("chain", 24, &[("lock", lock, 0), ("n", int, 32), ("head", head, 64)]);
    contains(&mut b, chain, 2, "item:node");
    let kptr = tagged(&mut b, "kptr", plain);
    b.structure("holder", 16, &[("n", long, 0), ("p", kptr, 64)]);
    let (number, object) = (b.ptr(long), b.ptr(plain));
    b.structure("linked", 16, &[("p", number, 0), ("q", object, 64)]);
    let words = b.array(long, int, 65);
    b.structure("large", 520, &[("words", words, 0)]);
    let members =
        [("lock", lock, 0), ("n", int, 32), ("head", head, 64), ("root", root, 192), ("singles", root, 320)];
    let lists = b.structure("lists", 56, &members);
    contains(&mut b, lists, 2, "item:node");
    contains(&mut b, lists, 3, "item:rb");
    contains(&mut b, lists, 4, "single:rb");
    let members = [("lock", noticing, 0), ("n", int, 32), ("singles", root, 64)];
    let trees = b.structure("restrees", 24, &members);
    contains(&mut b, trees, 2, "single:rb");
    let per_cpu = tagged(&mut b, "percpu_kptr", plain);
    let (owned, untrusted) = (tagged(&mut b, "kptr", task), tagged(&mut b, "kptr_untrusted", task));
    let item = tagged(&mut b, "kptr", item);
    let members = [
        ("n", long, 0),
        ("p", kptr, 64),
        ("c", per_cpu, 128),
        ("t", owned, 192),
        ("u", untrusted, 256),
        ("i", item, 320),
    ];
    b.structure("pointers", 48, &members);
    b.structure("works", 40, &[("n", long, 0), ("t", timer, 64), ("w", work, 192)]);
    b.structure("tasks", 16, &[("n", long, 0), ("w", task_work, 64)]);
    let shared = tagged(&mut b, "uptr", plain);
    b.structure("shared", 16, &[("p", shared, 0), ("n", long, 64)]);
    b
}

fn tagged(b: &mut Builder, tag: &str, target: TypeId) -> TypeId {
    let name = b.name(tag);
    let tagged = b.add(Type::TypeTag { name, target, attribute: false });
    b.ptr(tagged)
}

fn contains(b: &mut Builder, target: TypeId, member: u32, what: &str) {
    let name = b.name(&format!("contains:{what}"));
    b.add(Type::DeclTag { name, target, component: Some(member), attribute: false });
}

/// Maps with values of these types, in the order of [`MAPS`].
pub fn maps(btf: &Arc<Btf>) -> Vec<MapDef> {
    let find = |name: &str| btf.find_by_name(None, name).expect("a type of ours");
    let map = |name: &'static str, value: &str| {
        let (kind, entries) = match name {
            "shared" => (MapType::TASK_STORAGE, 0),
            name if name.ends_with("hash") => (MapType::HASH, 8),
            _ => (MapType::ARRAY, 1),
        };
        let flags = MapFlags(if name == "shared" { MapFlags::NO_PREALLOC } else { 0 });
        let value = find(value);
        let size = btf.size_of(value).expect("a struct");
        MapDef {
            btf: Some(btf.clone()),
            key_btf_id: find("int").0,
            value_btf_id: value.0,
            flags,
            ..MapDef::new(kind, 4, size, entries)
        }
        .named(name)
    };
    let values =
        ["lists", "lists", "pointers", "pointers", "works", "works", "tasks", "tasks", "shared", "restrees"];
    let mut all: Vec<MapDef> = MAPS.iter().zip(values).map(|(name, value)| map(name, value)).collect();
    let inner = Some(Box::new(map("works", "works")));
    all.push(MapDef { inner, ..MapDef::new(MapType::ARRAY_OF_MAPS, 4, 4, 4) }.named("workarrays"));
    all
}
