//! The maps that verdict files name.

use std::sync::Arc;

use skep_abi::{MapFlags, MapType};
use skep_btf::{Builder, IntEncoding, Type};
use skep_spec::MapDef;

/// A map that nobody can change.
fn constants(initial: &[u8], value_size: u32, entries: u32) -> MapDef {
    MapDef {
        flags: MapFlags(MapFlags::RDONLY_PROG),
        initial: Some(initial.to_vec()),
        frozen: true,
        ..MapDef::new(MapType::ARRAY, 4, value_size, entries)
    }
}

/// All of them.
pub(super) fn maps() -> Vec<Arc<MapDef>> {
    let maps = [
        MapDef::new(MapType::ARRAY, 4, 8, 1).named("array8"),
        MapDef::new(MapType::ARRAY, 4, 48, 1).named("array48"),
        MapDef::new(MapType::HASH, 8, 8, 16).named("hash8"),
        MapDef::new(MapType::PROG_ARRAY, 4, 4, 4).named("progs"),
        MapDef::new(MapType::RINGBUF, 0, 0, 4096).named("ring"),
        MapDef::new(MapType::USER_RINGBUF, 0, 0, 4096).named("samples"),
        MapDef::new(MapType::QUEUE, 0, 8, 4).named("queue"),
        MapDef { flags: MapFlags(MapFlags::RDONLY_PROG), ..MapDef::new(MapType::STACK, 0, 8, 4) }
            .named("fixed_stack"),
        MapDef::new(MapType::PERCPU_ARRAY, 4, 8, 2).named("percpu"),
        MapDef::new(MapType::PERF_EVENT_ARRAY, 4, 4, 4).named("events"),
        MapDef::new(MapType::STACK_TRACE, 4, 64, 4).named("stacks"),
        constants(&[8, 0, 0, 0, 0, 0, 0, 0], 8, 1).named("rodata"),
        constants(b"a%d\0%s %lu\0%z\0", 16, 1).named("text"),
        constants(b"abcd", 4, 1).named("unended"),
        constants(b"abc", 4, 2).named("two"),
        locked(MapDef::new(MapType::ARRAY, 4, 16, 1)).named("locked"),
        locked(MapDef::new(MapType::HASH, 4, 16, 8)).named("lockedhash"),
        noticing(MapDef::new(MapType::ARRAY, 4, 16, 1)).named("reslocked"),
        noticing(MapDef::new(MapType::HASH, 4, 16, 8)).named("reslockedhash"),
        MapDef::new(MapType::PERCPU_HASH, 8, 8, 16).named("percpu8"),
        MapDef::new(MapType::PERCPU_ARRAY, 4, 8, 4).named("percpuarray8"),
        MapDef::new(MapType::LRU_HASH, 8, 8, 16).named("lru8"),
        MapDef { flags: MapFlags(MapFlags::NO_PREALLOC), ..MapDef::new(MapType::LPM_TRIE, 8, 8, 16) }
            .named("lpm8"),
        kept().named("kept"),
        storage(MapType::SK_STORAGE).named("sk_storage"),
        storage(MapType::TASK_STORAGE).named("task_storage"),
        storage(MapType::INODE_STORAGE).named("inode_storage"),
        storage(MapType::CGRP_STORAGE).named("cgrp_storage"),
        MapDef::new(MapType::CGROUP_STORAGE, 16, 8, 0).named("cgroup_storage"),
        MapDef::new(MapType::CGROUP_STORAGE, 8, 8, 0).named("cgroup_storage2"),
        MapDef::new(MapType::PERCPU_CGROUP_STORAGE, 16, 8, 0).named("percpu_cgroup_storage"),
        MapDef::new(MapType::SOCKMAP, 4, 4, 4).named("sockmap"),
        MapDef::new(MapType::SOCKHASH, 8, 8, 4).named("sockhash"),
        MapDef::new(MapType::REUSEPORT_SOCKARRAY, 4, 8, 4).named("sockarray"),
        MapDef::new(MapType::XSKMAP, 4, 4, 4).named("xskmap"),
        MapDef::new(MapType::DEVMAP, 4, 8, 4).named("devmap"),
        MapDef::new(MapType::DEVMAP_HASH, 4, 4, 4).named("devmap_hash"),
        MapDef::new(MapType::CPUMAP, 4, 4, 4).named("cpumap"),
        MapDef::new(MapType::CGROUP_ARRAY, 4, 4, 4).named("cgroups"),
        MapDef::new(MapType::BLOOM_FILTER, 0, 8, 4).named("bloom"),
        arena(4).named("arena"),
        arena(2).named("arena2"),
        of_maps(MapType::ARRAY_OF_MAPS, 4, MapDef::new(MapType::ARRAY, 4, 16, 2)).named("arrays"),
        of_maps(MapType::HASH_OF_MAPS, 8, MapDef::new(MapType::HASH, 8, 16, 4)).named("hashes"),
        of_maps(MapType::ARRAY_OF_MAPS, 4, flexible(MapDef::new(MapType::ARRAY, 4, 16, 2))).named("sized"),
        of_maps(MapType::HASH_OF_MAPS, 4, locked(MapDef::new(MapType::ARRAY, 4, 16, 1))).named("lockeds"),
        of_maps(MapType::ARRAY_OF_MAPS, 4, MapDef::new(MapType::RINGBUF, 0, 0, 4096)).named("rings"),
        of_maps(
            MapType::ARRAY_OF_MAPS,
            4,
            MapDef { flags: MapFlags(MapFlags::RDONLY_PROG), ..MapDef::new(MapType::ARRAY, 4, 16, 2) },
        )
        .named("fixeds"),
        of_maps(MapType::ARRAY_OF_MAPS, 4, constants(b"!", 8, 1)).named("frozens"),
        of_maps(MapType::ARRAY_OF_MAPS, 4, kept()).named("kepts"),
        of_maps(MapType::ARRAY_OF_MAPS, 4, MapDef::new(MapType::PERCPU_ARRAY, 4, 16, 2)).named("percpus"),
    ];
    maps.into_iter().map(Arc::new).collect()
}

/// With values `struct { long n; struct bpf_timer t; struct task_struct *k; int m; }`, `k` untrusted.
fn kept() -> MapDef {
    let mut b = Builder::new();
    let int = b.int("int", 4, IntEncoding::Signed);
    let long = b.int("long", 8, IntEncoding::Signed);
    let timer = b.structure("bpf_timer", 16, &[("a", long, 0), ("b", long, 64)]);
    let task = b.structure("task_struct", 8, &[("a", long, 0)]);
    let name = b.name("kptr_untrusted");
    let tagged = b.add(Type::TypeTag { name, target: task, attribute: false });
    let kptr = b.ptr(tagged);
    let members = [("n", long, 0), ("t", timer, 64), ("k", kptr, 192), ("m", int, 256)];
    let value = b.structure("value", 40, &members);
    let btf = b.finish().expect("legal types");
    let def = MapDef::new(MapType::ARRAY, 4, 40, 1);
    MapDef { btf: Some(Arc::new(btf)), key_btf_id: int.0, value_btf_id: value.0, ..def }
}

/// What a map keeps with objects of the kernel: a `long` each.
fn storage(kind: MapType) -> MapDef {
    let mut b = Builder::new();
    let int = b.int("int", 4, IntEncoding::Signed);
    let long = b.int("long", 8, IntEncoding::Signed);
    let btf = b.finish().expect("legal types");
    MapDef {
        flags: MapFlags(MapFlags::NO_PREALLOC),
        btf: Some(Arc::new(btf)),
        key_btf_id: int.0,
        value_btf_id: long.0,
        ..MapDef::new(kind, 4, 8, 0)
    }
}

/// An arena of some pages.
fn arena(pages: u32) -> MapDef {
    MapDef { flags: MapFlags(MapFlags::MMAPABLE), ..MapDef::new(MapType::ARENA, 0, 0, pages) }
}

/// A map of maps.
fn of_maps(kind: MapType, key_size: u32, inner: MapDef) -> MapDef {
    MapDef { inner: Some(Box::new(inner)), ..MapDef::new(kind, key_size, 4, 4) }
}

/// An array that may stand for one of another length.
fn flexible(def: MapDef) -> MapDef {
    MapDef { flags: MapFlags(MapFlags::INNER_MAP), ..def }
}

/// With values `struct { int n; struct bpf_spin_lock lock; long m; }`.
fn locked(def: MapDef) -> MapDef {
    with_lock(def, "bpf_spin_lock")
}

/// With values `struct { int n; struct bpf_res_spin_lock lock; long m; }`.
fn noticing(def: MapDef) -> MapDef {
    with_lock(def, "bpf_res_spin_lock")
}

fn with_lock(def: MapDef, name: &str) -> MapDef {
    let mut b = Builder::new();
    let int = b.int("int", 4, IntEncoding::Signed);
    let long = b.int("long", 8, IntEncoding::Signed);
    let lock = b.structure(name, 4, &[("val", int, 0)]);
    let value = b.structure("value", 16, &[("n", int, 0), ("lock", lock, 32), ("m", long, 64)]);
    let btf = b.finish().expect("legal types");
    MapDef { btf: Some(Arc::new(btf)), key_btf_id: int.0, value_btf_id: value.0, ..def }
}
