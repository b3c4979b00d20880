//! Which kinds of maps the running kernel makes with which fields in their values.

use std::sync::Arc;

use skep_abi::{MapFlags, MapType};
use skep_btf::{Builder, IntEncoding};
use skep_spec::{FieldKind, MapDef};
use skep_testkit::kernel;

/// Kinds whose values have types, with their key's bytes.
const KINDS: &[(MapType, u32)] = &[
    (MapType::HASH, 4),
    (MapType::ARRAY, 4),
    (MapType::LRU_HASH, 4),
    (MapType::PERCPU_HASH, 4),
    (MapType::PERCPU_ARRAY, 4),
    (MapType::LRU_PERCPU_HASH, 4),
    (MapType::SK_STORAGE, 4),
    (MapType::INODE_STORAGE, 4),
    (MapType::TASK_STORAGE, 4),
    (MapType::CGRP_STORAGE, 4),
    (MapType::CGROUP_STORAGE, 8),
];

/// Fields that need nothing beside them in a value.
const FIELDS: &[FieldKind] = &[
    FieldKind::SpinLock,
    FieldKind::ResSpinLock,
    FieldKind::Timer,
    FieldKind::Workqueue,
    FieldKind::TaskWork,
    FieldKind::Refcount,
    FieldKind::KptrUntrusted,
    FieldKind::Uptr,
];

fn def(kind: MapType, key_size: u32, field: FieldKind, flags: u32) -> MapDef {
    let mut b = Builder::new();
    let int = b.int("int", 4, IntEncoding::Signed);
    let long = b.int("long", 8, IntEncoding::Signed);
    let key = if key_size == 4 { int } else { long };
    let ty = match field {
        FieldKind::KptrUntrusted | FieldKind::Uptr => {
            // Of the program's own types, or of the kernel's.
            let (tag, of) =
                if field == FieldKind::Uptr { ("uptr", "shared") } else { ("kptr_untrusted", "task_struct") };
            let target = b.structure(of, 8, &[("a", long, 0)]);
            let name = b.name(tag);
            let tagged = b.add(skep_btf::Type::TypeTag { name, target, attribute: false });
            b.ptr(tagged)
        }
        _ => {
            let words = b.array(int, int, field.size() / 4);
            b.structure(field.name(), field.size(), &[("v", words, 0)])
        }
    };
    let size = 8 + field.size().next_multiple_of(8);
    let value = b.structure("value", size, &[("n", long, 0), ("f", ty, 64)]);
    let storage = matches!(
        kind,
        MapType::SK_STORAGE | MapType::INODE_STORAGE | MapType::TASK_STORAGE | MapType::CGRP_STORAGE
    );
    let entries = if storage || kind == MapType::CGROUP_STORAGE { 0 } else { 4 };
    MapDef {
        btf: Some(Arc::new(b.finish().expect("legal types"))),
        key_btf_id: key.0,
        value_btf_id: value.0,
        flags: MapFlags(flags | if storage { MapFlags::NO_PREALLOC } else { 0 }),
        ..MapDef::new(kind, key_size, size, entries)
    }
}

#[test]
fn the_kernel_makes_the_same_maps() {
    let Some(linux) = kernel::asked() else { return };
    let (mut wrong, mut made, mut refused) = (Vec::new(), 0, 0);
    for &(kind, key_size) in KINDS {
        for &field in FIELDS {
            for flags in [0, MapFlags::RDONLY_PROG] {
                let def = def(kind, key_size, field, flags);
                assert!(def.fields().bad().is_none());
                let ours = def.misplaced().map(|m| m.errno);
                let theirs = linux.create(&def).map(drop).map_err(|e| e.errno).err();
                made += u32::from(theirs.is_none());
                refused += u32::from(theirs.is_some());
                // A storage does not know the flag.
                let same = ours == theirs || (flags != 0 && ours.is_some() && theirs.is_some());
                if !same {
                    let name = kind.name().unwrap_or("?");
                    wrong.push(format!(
                        "{} in {name}, {flags:#x}: ours {ours:?}, Linux {theirs:?}",
                        field.name()
                    ));
                }
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
    assert!(made > 20 && refused > 40, "{made} {refused}");
}
