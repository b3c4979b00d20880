//! Odd geometries and flags get the same answer here and from the running kernel.

mod support;

use std::sync::Arc;

use skep_abi::{MapFlags, MapType};
use skep_btf::{Builder, IntEncoding};
use skep_maps::{Config, Heap, Map};
use skep_spec::{Errno, MapDef};
use support::KernelMap;

const KINDS: [MapType; 23] = [
    MapType::ARRAY,
    MapType::HASH,
    MapType::PERCPU_ARRAY,
    MapType::PERCPU_HASH,
    MapType::LRU_HASH,
    MapType::LRU_PERCPU_HASH,
    MapType::LPM_TRIE,
    MapType::PROG_ARRAY,
    MapType::ARRAY_OF_MAPS,
    MapType::HASH_OF_MAPS,
    MapType::PERF_EVENT_ARRAY,
    MapType::STACK_TRACE,
    MapType::QUEUE,
    MapType::STACK,
    MapType::RINGBUF,
    MapType::USER_RINGBUF,
    MapType::BLOOM_FILTER,
    MapType::DEVMAP,
    MapType::DEVMAP_HASH,
    MapType::CPUMAP,
    MapType::SOCKMAP,
    MapType::SOCKHASH,
    MapType::ARENA,
];
const SIZES: [u32; 30] = [
    0,
    1,
    3,
    4,
    5,
    8,
    260,
    261,
    511,
    512,
    513,
    4096,
    32760,
    32761,
    32767,
    32768,
    32769,
    (4 << 20) - 280,
    (4 << 20) - 279,
    (4 << 20) - 60,
    (4 << 20) - 57,
    (4 << 20) - 53,
    (4 << 20) - 52,
    (4 << 20) - 49,
    (4 << 20) - 48,
    4 << 20,
    (4 << 20) + 1,
    i32::MAX as u32,
    1 << 31,
    u32::MAX,
];
const ENTRIES: [u32; 16] = [
    0,
    1,
    2,
    3,
    4095,
    4096,
    4097,
    8192,
    12288,
    (1 << 27) + 1,
    1 << 28,
    (1 << 28) + 1,
    1 << 30,
    1 << 31,
    (1 << 31) + 1,
    u32::MAX,
];

/// Whether the kernel may be asked for a legal map of that shape: it allocates at once, and an array of
/// per-CPU pointers goes on allocating until the machine has no memory left. What is far beyond any memory
/// it refuses at once.
fn reasonable(def: &MapDef) -> bool {
    let bytes = u128::from(def.max_entries) * (u128::from(def.key_size) + u128::from(def.value_size) + 64);
    // `NR_CPUS` is at least 64 in kernels for machines with several CPUs.
    if def.kind == MapType::CPUMAP && def.max_entries > 64 {
        return false;
    }
    bytes < 32 << 20 || def.kind == MapType::ARRAY && bytes > 1 << 42
}

/// Both answers, equal but for memory: the kernel allocates at once, we when it is touched.
fn ask(def: &MapDef) {
    let ours = Map::create(def, &Config::new(support::possible_cpus()), &Heap).map(drop);
    let refused = ours.as_ref().is_err_and(|e| e.errno != Errno::ENOMEM);
    if !refused && !reasonable(def) {
        return;
    }
    let kernel = KernelMap::create(def, 0).map(drop);
    let errno = ours.as_ref().copied().map_err(|e| e.errno);
    let memory = [Ok(()), Err(Errno::ENOMEM)];
    if memory.contains(&kernel) && memory.contains(&errno) {
        return;
    }
    assert_eq!(
        errno,
        kernel,
        "{:?} key {} value {} entries {} flags {:#x} node {} extra {}: {ours:?}",
        def.kind.name(),
        def.key_size,
        def.value_size,
        def.max_entries,
        def.flags.0,
        def.numa_node,
        def.map_extra
    );
}

fn legal(kind: MapType) -> MapDef {
    match kind {
        MapType::RINGBUF | MapType::USER_RINGBUF => MapDef::new(kind, 0, 0, 4096),
        MapType::STACK_TRACE => MapDef::new(kind, 4, 32, 4),
        MapType::QUEUE | MapType::STACK | MapType::BLOOM_FILTER => MapDef::new(kind, 0, 4, 4),
        MapType::ARENA => MapDef { flags: MapFlags(MapFlags::MMAPABLE), ..MapDef::new(kind, 0, 0, 4) },
        MapType::LPM_TRIE => MapDef { flags: MapFlags(MapFlags::NO_PREALLOC), ..MapDef::new(kind, 8, 4, 4) },
        _ if kind.holds_maps() => {
            let inner = Some(Box::new(MapDef::new(MapType::ARRAY, 4, 8, 2)));
            MapDef { inner, ..MapDef::new(kind, 4, 4, 4) }
        }
        _ if kind.is_local_storage() => storage(kind),
        MapType::STRUCT_OPS => MapDef { struct_ops: Some(Box::default()), ..MapDef::new(kind, 4, 16, 1) },
        _ => MapDef::new(kind, 4, 4, 4),
    }
}

/// Local storage, whose keys and values have types.
fn storage(kind: MapType) -> MapDef {
    let mut types = Builder::new();
    let int = types.int("int", 4, IntEncoding::Signed);
    let btf = types.finish().ok().map(Arc::new);
    let flags = MapFlags(MapFlags::NO_PREALLOC);
    MapDef { flags, btf, key_btf_id: int.0, value_btf_id: int.0, ..MapDef::new(kind, 4, 4, 0) }
}

#[test]
fn sizes() {
    if !support::kernel_or_skip() {
        return;
    }
    for kind in KINDS {
        for key_size in SIZES {
            for value_size in SIZES {
                ask(&MapDef { key_size, value_size, ..legal(kind) });
            }
            for max_entries in ENTRIES {
                ask(&MapDef { key_size, max_entries, ..legal(kind) });
            }
        }
        for value_size in SIZES {
            for max_entries in ENTRIES {
                ask(&MapDef { value_size, max_entries, ..legal(kind) });
            }
        }
    }
}

#[test]
fn flags() {
    if !support::kernel_or_skip() {
        return;
    }
    // Above the flags that `abi` names stand those that need a descriptor or a token: a descriptor 0 that is
    // none gives other errors than the flag alone would.
    for kind in KINDS {
        for a in 0..13 {
            for b in a..13 {
                let flags = MapFlags(1 << a | 1 << b);
                ask(&MapDef { flags, ..legal(kind) });
                ask(&MapDef { flags, value_size: 0, ..legal(kind) });
                ask(&MapDef { flags, max_entries: u32::MAX, value_size: u32::MAX, ..legal(kind) });
                ask(&MapDef { flags, max_entries: u32::MAX, ..legal(kind) });
            }
        }
        for high in [1 << 19, 1 << 20, 1 << 24, 1 << 31] {
            ask(&MapDef { flags: MapFlags(high), ..legal(kind) });
        }
        for numa_node in [0, 1, 63, 4096, u32::MAX - 1, u32::MAX] {
            ask(&MapDef { flags: MapFlags(MapFlags::NUMA_NODE), numa_node, ..legal(kind) });
        }
        for map_extra in [1, 5, 15, 16, 0x11] {
            ask(&MapDef { map_extra, ..legal(kind) });
        }
        ask(&MapDef { map_extra: 1 << 40, ..legal(kind) });
    }
}

/// What may be inside a map of maps, and what its definition says of that.
#[test]
fn inner_maps() {
    if !support::kernel_or_skip() {
        return;
    }
    for kind in [MapType::ARRAY_OF_MAPS, MapType::HASH_OF_MAPS] {
        for inner in KINDS {
            ask(&MapDef { inner: Some(Box::new(legal(inner))), ..legal(kind) });
        }
        let text = Map::create(&MapDef { inner: None, ..legal(kind) }, &Config::new(2), &Heap)
            .expect_err("nothing is said")
            .to_string();
        assert!(text.contains("does not say what its maps look like"), "{text}");
    }
}

/// Without any kernel: a refusal names the map, the field and the value.
#[test]
fn refusals_have_words() {
    let create = |def: MapDef| Map::create(&def.named("counts"), &Config::new(2), &Heap).map(drop);
    let text = |def| create(def).expect_err("refused").to_string();
    let short_key = text(MapDef::new(MapType::ARRAY, 3, 8, 1));
    assert!(
        short_key.contains("`counts`: key_size 3: must be 4") && short_key.contains("EINVAL"),
        "{short_key}"
    );
    let ring = text(MapDef::new(MapType::RINGBUF, 0, 0, 5000));
    assert!(ring.contains("max_entries 5000") && ring.contains("power of two"), "{ring}");
    let flags = text(MapDef { flags: MapFlags(MapFlags::MMAPABLE), ..MapDef::new(MapType::HASH, 4, 4, 1) });
    assert!(flags.contains("flags 0x400"), "{flags}");
    let kind = text(MapDef::new(MapType::XSKMAP, 4, 4, 1));
    assert!(kind.contains("xskmap") && kind.contains("not supported yet"), "{kind}");
}

/// Absurd sizes fail; they do not abort, and lazily allocated ones do not take the memory.
#[test]
fn absurd_sizes_fail_softly() {
    let create = |def: MapDef| Map::create(&def, &Config::new(64), &Heap).map(drop).map_err(|e| e.errno);
    assert_eq!(create(MapDef::new(MapType::ARRAY, 4, i32::MAX as u32, u32::MAX)), Err(Errno::ENOMEM));
    assert_eq!(create(MapDef::new(MapType::HASH, 4, 4 << 20, u32::MAX)), Err(Errno::E2BIG));
    assert_eq!(create(MapDef::new(MapType::HASH, 8, 4 << 20, 1 << 27)), Err(Errno::E2BIG));
    assert_eq!(create(MapDef::new(MapType::PERCPU_HASH, 4, 32768, 1 << 27)), Err(Errno::ENOMEM));
    let lazy = MapDef { flags: MapFlags(MapFlags::NO_PREALLOC), ..MapDef::new(MapType::HASH, 8, 8, 1 << 20) };
    assert_eq!(create(lazy), Ok(()));
}

/// The rows of `abi` say what `create` does: each kind is there, takes each of its flags alone and no other.
#[test]
fn rows_agree() {
    for row in skep_abi::MAP_TYPES {
        for bit in 0..32 {
            let def = MapDef { flags: MapFlags(legal(row.id).flags.0 | 1 << bit), ..legal(row.id) };
            let made = Map::create(&def, &Config::new(2), &Heap).map(drop).map_err(|e| e.errno);
            let lru = matches!(row.id, MapType::LRU_HASH | MapType::LRU_PERCPU_HASH);
            let expected = match row.flags & 1 << bit {
                0 if lru && 1 << bit == MapFlags::NO_PREALLOC => Err(Errno::ENOTSUPP),
                0 => Err(Errno::EINVAL),
                _ => Ok(()),
            };
            assert_eq!(made, expected, "{:?} flag {:#x}", row.id.name(), 1u32 << bit);
        }
        for size in SIZES {
            if !row.key.allows(size) {
                let def = MapDef { key_size: size, ..legal(row.id) };
                assert!(Map::create(&def, &Config::new(2), &Heap).is_err(), "{:?} key {size}", row.id.name());
            }
            if !row.value.allows(size) {
                let def = MapDef { value_size: size, ..legal(row.id) };
                assert!(
                    Map::create(&def, &Config::new(2), &Heap).is_err(),
                    "{:?} value {size}",
                    row.id.name()
                );
            }
        }
    }
}
