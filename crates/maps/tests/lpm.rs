//! Tries against a list that is looked through from end to end.

mod support;

use std::collections::BTreeMap;

use skep_abi::{MapFlags, MapType};
use skep_maps::{Config, Heap, Map};
use skep_spec::{Errno, MapDef};
use support::Rng;

/// Prefix and data, bits behind the prefix 0, and the value.
type Model = BTreeMap<(u32, Vec<u8>), u64>;

fn masked(prefix: u32, data: &[u8]) -> (u32, Vec<u8>) {
    let mut data = data.to_vec();
    for (i, byte) in data.iter_mut().enumerate() {
        let kept = prefix.saturating_sub(8 * i as u32).min(8);
        *byte &= (0xff00u16 >> kept) as u8;
    }
    (prefix, data)
}

fn longest(model: &Model, prefix: u32, data: &[u8]) -> Option<u64> {
    (0..=prefix).rev().find_map(|p| model.get(&masked(p, data))).copied()
}

fn key(prefix: u32, data: &[u8]) -> Vec<u8> {
    [&prefix.to_ne_bytes(), data].concat()
}

/// Data whose first bits are often those of others.
fn data(rng: &mut Rng, len: usize) -> Vec<u8> {
    let mut data = rng.bytes(len);
    for byte in data.iter_mut().take(rng.below(len as u64 + 1) as usize) {
        *byte = rng.pick(&[0, 0x80, 0xff, 1]);
    }
    data
}

/// What a program reads.
fn looked_up(map: &Map, key: &[u8]) -> Option<u64> {
    let addr = map.lookup(key.into(), 0)?;
    // SAFETY: eight bytes of a value of the map, which is alive; nobody writes meanwhile.
    Some(unsafe { std::ptr::with_exposed_provenance::<u64>(addr as usize).read_volatile() })
}

#[test]
fn the_longest_prefix_wins() {
    let sizes = [
        (1, 5),
        (1, 300),
        (2, 4000),
        (3, 40),
        (4, 1),
        (4, 2),
        (4, 5000),
        (8, 200),
        (9, 200),
        (16, 3000),
        (256, 20),
    ];
    for (len, entries) in sizes {
        let flags = MapFlags(MapFlags::NO_PREALLOC);
        let def = MapDef { flags, ..MapDef::new(MapType::LPM_TRIE, 4 + len as u32, 8, entries) };
        let map = Map::create(&def, &Config::new(1), &Heap).expect("legal");
        let (mut model, mut rng) = (Model::new(), Rng::new(u64::from(entries) + len as u64));
        let prefixes = 8 * len as u64 + 1;
        for round in 0..3000 / (len as u64 / 8).max(1) * support::campaign() {
            let prefix = rng.below(prefixes) as u32;
            let bytes = data(&mut rng, len);
            let place = masked(prefix, &bytes);
            if rng.below(3) == 0 {
                let known = model.keys().nth(rng.below(model.len() as u64 + 1) as usize).cloned();
                let (prefix, bytes) = known.unwrap_or(place);
                let gone = map.delete_from_host(&key(prefix, &bytes)).map_err(|e| e.errno);
                let expected = model.remove(&(prefix, bytes)).map(drop).ok_or(Errno::ENOENT);
                assert_eq!(gone, expected, "{len} bytes, {entries} elements, round {round}");
            } else {
                let put =
                    map.update_from_host(&key(prefix, &bytes), &round.to_ne_bytes(), 0).map_err(|e| e.errno);
                let full = model.len() == entries as usize && !model.contains_key(&place);
                assert_eq!(put, if full { Err(Errno::ENOSPC) } else { Ok(()) });
                if !full {
                    model.insert(place, round);
                }
            }
            for _ in 0..8 {
                let prefix = if rng.below(4) == 0 { rng.below(prefixes) as u32 } else { prefixes as u32 - 1 };
                let asked = data(&mut rng, len);
                let expected = longest(&model, prefix, &asked);
                let what = || format!("{len} bytes, {entries} elements, round {round}: {asked:x?}/{prefix}");
                assert_eq!(looked_up(&map, &key(prefix, &asked)), expected, "{}", what());
                let copy = map.lookup_copy(&key(prefix, &asked), 0).ok();
                assert_eq!(
                    copy.map(|v| u64::from_ne_bytes(v.try_into().expect("eight"))),
                    expected,
                    "{}",
                    what()
                );
            }
        }
        // What is there comes with its own prefix.
        let (mut at, mut keys) = (None, Vec::new());
        while let Ok(next) = map.next_key(at.as_deref()) {
            keys.push(masked(u32::from_ne_bytes(next[..4].try_into().expect("four")), &next[4..]));
            at = Some(next);
        }
        keys.sort();
        assert!(keys.iter().eq(model.keys()), "{len} bytes, {entries} elements");
    }
}
