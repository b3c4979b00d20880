//! Maps whose values keep something: timers, pointers, lists and trees. The same operations from the host on both backends,
//! the same results.

use std::sync::Arc;

use skep_abi::{MapFlags, MapType};
use skep_btf::Btf;
use skep_linux::LinuxBackend;
use skep_spec::{Backend, BackendMap, Errno, FieldKind, MapDef};
use skep_testkit::objects;
use skep_user::UserBackend;

fn kernel() -> bool {
    let probe = LinuxBackend::probe();
    if !probe.is_yes() {
        println!("skipped: no kernel to ask: {probe:?}");
    }
    probe.is_yes()
}

fn lru(kind: MapType) -> bool {
    matches!(kind, MapType::LRU_HASH | MapType::LRU_PERCPU_HASH)
}

/// A map of a kind with values of one of the types.
fn def(btf: &Arc<Btf>, value: &str, kind: MapType, flags: u32) -> MapDef {
    let find = |name: &str| btf.find_by_name(None, name).expect("a type of ours");
    let id = find(value);
    MapDef {
        btf: Some(btf.clone()),
        key_btf_id: find("int").0,
        value_btf_id: id.0,
        flags: MapFlags(flags),
        // An LRU hash evicts before it is full.
        ..MapDef::new(kind, 4, btf.size_of(id).expect("a struct"), if lru(kind) { 512 } else { 3 })
    }
}

type Made = Result<Arc<dyn BackendMap>, Errno>;

fn create(def: &MapDef) -> [Made; 2] {
    let backends: [&dyn Backend; 2] = [&UserBackend::new(), &LinuxBackend::new()];
    backends.map(|b| b.create_map(def).map_err(|e| e.errno))
}

fn types() -> Arc<Btf> {
    Arc::new(objects::types().finish().expect("legal types"))
}

/// Types of values, and some kinds and flags of maps; which go together is for the backends to say.
fn each(mut f: impl FnMut(&MapDef)) {
    let btf = types();
    // `pointers` points to the kernel's objects too, and `tasks` is of a later Linux.
    for value in ["lists", "holder", "works", "plain", "chain"] {
        for kind in [
            MapType::ARRAY,
            MapType::HASH,
            MapType::LRU_HASH,
            MapType::PERCPU_ARRAY,
            MapType::PERCPU_HASH,
            MapType::LRU_PERCPU_HASH,
        ] {
            for flags in [0, MapFlags::NO_PREALLOC, MapFlags::RDONLY_PROG, MapFlags::WRONLY_PROG] {
                f(&def(&btf, value, kind, flags));
            }
        }
    }
}

#[test]
fn creation_agrees() {
    if !kernel() {
        return;
    }
    each(|def| {
        let [ours, theirs] = create(def).map(|r| r.map(drop));
        assert_eq!(ours, theirs, "{:?} flags {:?} type {}", def.kind, def.flags, def.value_btf_id);
    });
}

#[test]
fn operations_agree() {
    if !kernel() {
        return;
    }
    let mut seen = 0;
    each(|def| {
        let [Ok(ours), Ok(theirs)] = create(def) else { return };
        seen += 1;
        let what = format!("{:?} flags {:?} type {}", def.kind, def.flags, def.value_btf_id);
        let cpus = if format!("{:?}", def.kind).contains("PERCPU") { host_len(&*theirs) } else { 0 };
        let len = if cpus > 0 { cpus } else { def.value_size as usize };
        let mut fill = 0u8;
        for update in [0, 1, 2, 3, 4, 5, 6, 8, 0] {
            for key in [0u32, 1, 2, 3, 9] {
                fill = fill.wrapping_add(7);
                let (key, value) = (key.to_ne_bytes(), vec![fill | 1; len]);
                let both = [&ours, &theirs].map(|m| m.update(&key, &value, update).map_err(|e| e.errno));
                assert_eq!(both[0], both[1], "{what}: update {key:?} with flags {update}");
                for lookup in [0, 4] {
                    let both = [&ours, &theirs].map(|m| m.lookup(&key, lookup).map_err(|e| e.errno));
                    // An empty list is two addresses of itself in Linux.
                    let both = both.map(|r| r.map(|v| without_lists(def, v)));
                    assert_eq!(both[0], both[1], "{what}: lookup {key:?} with flags {lookup}");
                }
            }
        }
        let both = [&ours, &theirs].map(|m| m.delete(&1u32.to_ne_bytes()).map_err(|e| e.errno));
        assert_eq!(both[0], both[1], "{what}: delete");
        let both = [&ours, &theirs].map(|m| m.freeze().map_err(|e| e.errno));
        assert_eq!(both[0], both[1], "{what}: freeze");
    });
    assert!(seen >= 12, "{seen} maps were compared");
}

fn without_lists(def: &MapDef, mut value: Vec<u8>) -> Vec<u8> {
    for field in def.fields().all().iter().filter(|f| f.kind == FieldKind::ListHead) {
        value[field.off_bytes as usize..][..16].fill(0);
    }
    value
}

/// Bytes of the values of all CPUs.
fn host_len(map: &dyn BackendMap) -> usize {
    let cpus = std::fs::read_to_string("/sys/devices/system/cpu/possible").unwrap_or_default();
    let cpus =
        cpus.trim().rsplit(['-', ',']).next().and_then(|n| n.parse::<usize>().ok()).map_or(1, |n| n + 1);
    map.info().value_size.next_multiple_of(8) as usize * cpus
}
