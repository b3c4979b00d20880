//! Bloom filters answer as the running kernel's do: without a seed they hold the same bits.

mod support;

use skep_abi::{MapFlags, MapType};
use skep_maps::{Config, Heap, Map};
use skep_spec::MapDef;
use support::{KernelMap, Rng};

fn def(value: u32, entries: u32, hashes: u64, flags: u32) -> MapDef {
    let flags = MapFlags(flags);
    MapDef { flags, map_extra: hashes, ..MapDef::new(MapType::BLOOM_FILTER, 0, value, entries) }
}

/// Values that went in and others: the same are found, also of those that only share their bits.
#[test]
fn the_same_bits() {
    if !support::kernel_or_skip() {
        return;
    }
    let mut by_chance = 0;
    for (value, entries, hashes) in
        [(1, 4, 0), (4, 16, 1), (5, 40, 3), (8, 100, 5), (12, 7, 15), (13, 64, 2), (31, 30, 0), (64, 200, 4)]
    {
        let what = format!("values of {value} bytes, {entries} entries, {hashes} hashes");
        let def = def(value, entries, hashes, MapFlags::ZERO_SEED);
        let ours = Map::create(&def, &Config::new(2), &Heap).expect("a legal map");
        let kernel = KernelMap::create(&def, value as usize).expect("the kernel makes it too");
        let mut rng = Rng::new(u64::from(value * entries));
        let mut added: Vec<Vec<u8>> = Vec::new();
        for _ in 0..600 * support::campaign() {
            let old = added.get(rng.below(added.len().max(1) as u64) as usize).cloned();
            let value = old.filter(|_| rng.below(3) == 0).unwrap_or_else(|| rng.bytes(value as usize));
            let flags = rng.pick(&[0, 0, 0, 0, 1, 2, 4, 8, u64::MAX]);
            if rng.below(4) == 0 && added.len() < 2 * entries as usize {
                let ours = ours.update_from_host(&[], &value, flags).map_err(|e| e.errno);
                assert_eq!(
                    ours,
                    kernel.update(&[], &value, flags),
                    "{what}: push {value:?} flags {flags:#x}"
                );
                if ours.is_ok() {
                    added.push(value);
                }
                continue;
            }
            let found = ours.lookup_copy(&value, flags).map_err(|e| e.errno);
            assert_eq!(found, kernel.has(&value, flags), "{what}: peek {value:?} flags {flags:#x}");
            match found {
                Ok(same) => {
                    assert_eq!(same, value, "{what}");
                    by_chance += usize::from(!added.contains(&value));
                }
                Err(_) => assert!(flags != 0 || !added.contains(&value), "{what}: {value:?} was added"),
            }
        }
    }
    assert!(by_chance > 10, "only {by_chance} values that were not added were found: nothing is shown");
}

/// What there is no operation for, and who may do what.
#[test]
fn access() {
    if !support::kernel_or_skip() {
        return;
    }
    for flags in [0, MapFlags::RDONLY, MapFlags::WRONLY, MapFlags::RDONLY_PROG, MapFlags::WRONLY_PROG] {
        let def = def(4, 8, 0, flags | MapFlags::ZERO_SEED);
        let ours = Map::create(&def, &Config::new(2), &Heap).expect("a legal map");
        let kernel = KernelMap::create(&def, 4).expect("the kernel makes it too");
        for frozen in [false, true] {
            let what = format!("flags {flags:#x}, frozen {frozen}");
            let put = ours.update_from_host(&[], &[7; 4], 0).map_err(|e| e.errno);
            assert_eq!(put, kernel.update(&[], &[7; 4], 0), "{what}: push");
            assert_eq!(
                ours.lookup_copy(&[7; 4], 0).map_err(|e| e.errno),
                kernel.has(&[7; 4], 0),
                "{what}: peek"
            );
            assert_eq!(ours.pop_from_host().map_err(|e| e.errno), kernel.pop(), "{what}: pop");
            let gone = ours.delete_from_host(&[]).map_err(|e| e.errno);
            assert_eq!(gone, kernel.delete(&[]), "{what}: delete");
            let next = ours.next_key(None).map_err(|e| e.errno);
            assert_eq!(next, kernel.next_key(None), "{what}: next key");
            if !frozen {
                assert_eq!(ours.freeze().map_err(|e| e.errno), kernel.freeze(), "{what}: freeze");
            }
        }
    }
}

/// Whatever stands in the key's place of a lookup must have a value's length.
#[test]
fn lengths() {
    let map = Map::create(&def(4, 8, 0, 0), &Config::new(2), &Heap).expect("a legal map");
    let error = map.lookup_copy(&[], 0).expect_err("no value");
    assert!(error.message.contains("the value has 0 bytes, the map's have 4"), "{error}");
    assert_eq!(map.map_extra(), 0);
}
