//! Batches on both backends: the same operations, the same results and error numbers.

use std::collections::BTreeMap;
use std::sync::Arc;

use skep_abi::{MapFlags, MapType};
use skep_linux::LinuxBackend;
use skep_spec::{Backend, BackendMap, Batch, Errno, MapDef};
use skep_user::{UserBackend, UserOptions};

fn kernel() -> bool {
    let probe = LinuxBackend::probe();
    if !probe.is_yes() {
        println!("skipped: no kernel to ask: {probe:?}");
    }
    probe.is_yes()
}

fn cpus() -> u32 {
    let text = std::fs::read_to_string("/sys/devices/system/cpu/possible").unwrap_or_default();
    text.trim().rsplit(['-', ',']).next().and_then(|n| n.parse::<u32>().ok()).map_or(1, |n| n + 1)
}

type Maps = [Arc<dyn BackendMap>; 2];

/// The same map on both, with as many CPUs.
fn make(def: &MapDef) -> Maps {
    let ours = UserBackend::with_options(UserOptions { cpus: Some(cpus()), ..UserOptions::default() });
    let backends: [&dyn Backend; 2] = [&ours, &LinuxBackend::new()];
    backends.map(|b| b.create_map(def).expect("a legal map"))
}

fn def(kind: MapType, key: u32, value: u32, entries: u32, flags: u32) -> MapDef {
    let inner = kind.holds_maps().then(|| Box::new(MapDef::new(MapType::ARRAY, 4, 8, 1)));
    MapDef { flags: MapFlags(flags), inner, ..MapDef::new(kind, key, value, entries) }
}

/// Bytes of a value from outside.
fn value_len(map: &dyn BackendMap) -> usize {
    let info = map.info();
    let per_cpu =
        [MapType::PERCPU_ARRAY, MapType::PERCPU_HASH, MapType::LRU_PERCPU_HASH].contains(&info.kind);
    if per_cpu {
        info.value_size.next_multiple_of(8) as usize * cpus() as usize
    } else {
        info.value_size as usize
    }
}

fn same<T: PartialEq + std::fmt::Debug>(maps: &Maps, what: &str, op: impl Fn(&dyn BackendMap) -> T) -> T {
    let [ours, theirs] = [0, 1].map(|i| op(&*maps[i]));
    assert_eq!(ours, theirs, "{what}");
    ours
}

fn agree<T: PartialEq + std::fmt::Debug>(maps: &Maps, what: &str, op: impl Fn(&dyn BackendMap) -> T) {
    let _agreed = same(maps, what, op);
}

/// Everything, in batches of some size; a bucket that has more gets more room.
fn all(map: &dyn BackendMap, mut most: u32, take: bool) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, Errno> {
    let (mut all, mut after) = (BTreeMap::new(), None::<Vec<u8>>);
    for _ in 0..10_000 {
        let Batch { keys, values, count, next } = match map.lookup_batch(after.as_deref(), most, 0, take) {
            Err(e) if e.errno == Errno::ENOSPC => {
                most += 1;
                continue;
            }
            batch => batch.map_err(|e| e.errno)?,
        };
        assert!(count <= most);
        let (key, value) = (map.info().key_size as usize, value_len(map));
        assert_eq!((keys.len(), values.len()), (count as usize * key, count as usize * value));
        for (k, v) in keys.chunks(key).zip(values.chunks(value)) {
            assert!(all.insert(k.to_vec(), v.to_vec()).is_none(), "{k:?} comes twice");
        }
        match next {
            Some(next) => after = Some(next),
            None => return Ok(all),
        }
    }
    panic!("the batches have no end");
}

/// xorshift64.
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 8) % n
    }

    fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.below(256) as u8).collect()
    }
}

const KINDS: &[(MapType, u32, u32, u32)] = &[
    (MapType::ARRAY, 4, 8, 0),
    (MapType::ARRAY, 4, 5, 0),
    (MapType::PERCPU_ARRAY, 4, 12, 0),
    (MapType::HASH, 4, 8, 0),
    (MapType::HASH, 3, 13, MapFlags::NO_PREALLOC),
    (MapType::PERCPU_HASH, 4, 8, 0),
    (MapType::LRU_HASH, 4, 8, 0),
    (MapType::LRU_PERCPU_HASH, 8, 4, 0),
    (MapType::LPM_TRIE, 8, 8, MapFlags::NO_PREALLOC),
];

#[test]
fn random_batches_agree() {
    if !kernel() {
        return;
    }
    for &(kind, key, value, flags) in KINDS {
        // LRU hashes evict before they are full.
        let entries =
            if format!("{kind:?}").contains("LRU") || [9, 10].contains(&kind.0) { 1024 } else { 24 };
        let maps = make(&def(kind, key, value, entries, flags));
        let mut rng = Rng(u64::from(kind.0 * 97 + value));
        let index = matches!(kind, MapType::ARRAY | MapType::PERCPU_ARRAY);
        let pool: Vec<Vec<u8>> = (0..32u32)
            .map(|i| match kind {
                _ if index => i.to_ne_bytes().to_vec(),
                MapType::LPM_TRIE => [(i % 34).to_ne_bytes().to_vec(), rng.bytes(4)].concat(),
                _ => rng.bytes(key as usize),
            })
            .collect();
        for round in 0..300 {
            let what = format!("{kind:?} value {value} round {round}");
            let count = rng.below(6) as usize;
            let keys: Vec<u8> =
                (0..count).flat_map(|_| pool[rng.below(pool.len() as u64) as usize].clone()).collect();
            match rng.below(8) {
                0..4 => {
                    let values = rng.bytes(count * value_len(&*maps[0]));
                    let flags = [0, 0, 0, 0, 1, 2, 3, 4, 8][rng.below(9) as usize];
                    agree(&maps, &format!("{what}: update {keys:?} flags {flags}"), |m| {
                        let (done, result) = m.update_batch(&keys, &values, flags);
                        (done, result.map_err(|e| e.errno))
                    });
                }
                4..6 => {
                    let flags = [0, 0, 0, 1, 4, 8][rng.below(6) as usize];
                    agree(&maps, &format!("{what}: delete {keys:?} flags {flags}"), |m| {
                        let (done, result) = m.delete_batch(&keys, flags);
                        (done, result.map_err(|e| e.errno))
                    });
                }
                6 if round % 8 == 0 => {
                    agree(&maps, &format!("{what}: take"), |m| all(m, 1 + round % 7, true));
                }
                _ => {
                    let most = rng.below(30) as u32 + 1;
                    agree(&maps, &format!("{what}: lookup"), |m| all(m, most, false));
                    let flags = [1, 4, 8][rng.below(3) as usize];
                    agree(&maps, &format!("{what}: lookup with flags {flags}"), |m| {
                        m.lookup_batch(None, most, flags, false).map(drop).map_err(|e| e.errno)
                    });
                }
            }
        }
    }
}

/// Where keys have an order, batches are the same one by one, and go on behind keys that are gone.
#[test]
fn batches_of_ordered_kinds_are_equal() {
    if !kernel() {
        return;
    }
    for &(kind, key, value, flags) in KINDS {
        if !matches!(kind, MapType::ARRAY | MapType::PERCPU_ARRAY | MapType::LPM_TRIE) {
            continue;
        }
        let maps = make(&def(kind, key, value, 7, flags));
        for i in 0..7u32 {
            let name = if key == 4 {
                i.to_ne_bytes().to_vec()
            } else {
                [(i + 3).to_ne_bytes(), [i as u8; 4]].concat()
            };
            let value = vec![i as u8; value_len(&*maps[0])];
            same(&maps, "fill", |m| m.update(&name, &value, 0).map_err(|e| e.errno)).expect("room");
        }
        for most in [0, 1, 2, 6, 7, 8, 100] {
            let mut after: Option<Vec<u8>> = None;
            for step in 0..9 {
                let what = format!("{kind:?} step {step} of {most}");
                let batch = same(&maps, &what, |m| {
                    m.lookup_batch(after.as_deref(), most, 0, false).map_err(|e| e.errno)
                });
                match batch.expect("an ordered kind").next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
        }
        // Behind what is not there.
        let none = vec![0x7f; key as usize];
        agree(&maps, &format!("{kind:?} behind nothing"), |m| {
            m.lookup_batch(Some(&none), 3, 0, false).map_err(|e| e.errno)
        });
    }
}

/// Elements of maps of maps are written as descriptors and read as ids, one by one and in batches.
#[test]
fn batches_of_maps_agree() {
    if !kernel() {
        return;
    }
    for kind in [MapType::ARRAY_OF_MAPS, MapType::HASH_OF_MAPS] {
        let ours = UserBackend::with_options(UserOptions { cpus: Some(cpus()), ..UserOptions::default() });
        let backends: [&dyn Backend; 2] = [&ours, &LinuxBackend::new()];
        let (fits, other) = (MapDef::new(MapType::ARRAY, 4, 8, 1), MapDef::new(MapType::ARRAY, 4, 8, 2));
        let sides = backends.map(|b| {
            let inner = [&fits, &fits, &fits, &other].map(|def| b.create_map(def).expect("a legal map"));
            (b.create_map(&def(kind, 4, 4, 3, 0)).expect("a legal map"), inner)
        });
        let mut rng = Rng(u64::from(kind.0));
        for round in 0..1000 {
            let picks: Vec<(u32, usize)> =
                (0..rng.below(4)).map(|_| (rng.below(4) as u32, rng.below(8) as usize)).collect();
            let keys: Vec<u8> = picks.iter().flat_map(|(key, _)| key.to_ne_bytes()).collect();
            let (what, flags) = (rng.below(8), [0, 0, 0, 0, 1, 2, 4, 8][rng.below(8) as usize]);
            let [ours, theirs] = [0, 1].map(|side| {
                let (outer, inner): &(Arc<dyn BackendMap>, _) = &sides[side];
                let fd = |pick: usize| inner.get(pick % 6).and_then(|m| m.raw_fd()).unwrap_or(-1);
                let ids: Vec<u32> = inner.iter().map(|m| m.info().id).collect();
                let name = |id: &[u8]| {
                    let id = u32::from_ne_bytes(id.try_into().expect("4 bytes"));
                    ids.iter().position(|known| *known == id)
                };
                let done: (u32, Result<(), Errno>) = match what {
                    0..4 => {
                        let values: Vec<u8> = picks.iter().flat_map(|(_, m)| fd(*m).to_ne_bytes()).collect();
                        let (done, result) = outer.update_batch(&keys, &values, flags);
                        (done, result.map_err(|e| e.errno))
                    }
                    4 => picks.first().map_or((0, Ok(())), |(key, m)| {
                        let done = outer.update(&key.to_ne_bytes(), &fd(*m).to_ne_bytes(), flags);
                        (1, done.map_err(|e| e.errno))
                    }),
                    5 => {
                        let (done, result) = outer.delete_batch(&keys, 0);
                        (done, result.map_err(|e| e.errno))
                    }
                    _ => (0, Ok(())),
                };
                let elements = all(&**outer, 3, what == 6 && round % 8 == 0)
                    .map(|all| all.into_iter().map(|(key, id)| (key, name(&id))).collect::<Vec<_>>());
                (done, elements)
            });
            assert_eq!(ours, theirs, "{kind:?} round {round}: {what} {picks:?} flags {flags}");
        }
    }
}

/// Which kinds have which batches, and who may.
#[test]
fn refusals_agree() {
    if !kernel() {
        return;
    }
    let others = [
        (MapType::ARRAY_OF_MAPS, 4, 4, 0),
        (MapType::HASH_OF_MAPS, 4, 4, 0),
        (MapType::PROG_ARRAY, 4, 4, 0),
        (MapType::PERF_EVENT_ARRAY, 4, 4, 0),
        (MapType::STACK_TRACE, 4, 16, 0),
        (MapType::QUEUE, 0, 8, 0),
        (MapType::STACK, 0, 8, 0),
        (MapType::BLOOM_FILTER, 0, 8, 0),
    ];
    let access = [0, MapFlags::RDONLY, MapFlags::WRONLY];
    for &(kind, key, value, flags) in KINDS.iter().chain(&others) {
        for &access in &access {
            if access != 0 && kind == MapType::STACK_TRACE {
                continue;
            }
            let maps = make(&def(kind, key, value, 8, flags | access));
            let what = format!("{kind:?} flags {access:#x}");
            for take in [false, true] {
                for (most, flags) in [(0, 0), (4, 0), (4, 4), (4, 1)] {
                    agree(&maps, &format!("{what}: lookup {most} {flags} {take}"), |m| {
                        let batch = m.lookup_batch(None, most, flags, take).map_err(|e| e.errno);
                        batch.map(|b| b.count)
                    });
                }
            }
            let (keys, values) = (vec![0; key as usize], vec![1; value_len(&*maps[0])]);
            if key > 0 {
                agree(&maps, &format!("{what}: delete"), |m| m.delete_batch(&keys, 0).1.map_err(|e| e.errno));
                agree(&maps, &format!("{what}: update"), |m| {
                    m.update_batch(&keys, &values, 0).1.map_err(|e| e.errno)
                });
            }
        }
    }
    // Behind the last bucket of a hash there is nothing; a frozen map takes none.
    let maps = make(&def(MapType::HASH, 4, 8, 8, 0));
    agree(&maps, "behind the last bucket", |m| {
        m.lookup_batch(Some(&[0xff; 4]), 4, 0, false).map(|b| (b.count, b.next)).map_err(|e| e.errno)
    });
    agree(&maps, "no such token", |m| {
        m.lookup_batch(Some(&[0; 5]), 4, 0, false).map(drop).map_err(|e| e.errno)
    });
    same(&maps, "freeze", |m| m.freeze().map_err(|e| e.errno)).expect("it may be");
    agree(&maps, "frozen: take", |m| m.lookup_batch(None, 4, 0, true).map(drop).map_err(|e| e.errno));
    agree(&maps, "frozen: update", |m| m.update_batch(&[0; 4], &[0; 8], 0).1.map_err(|e| e.errno));
    agree(&maps, "frozen: delete", |m| m.delete_batch(&[0; 4], 0).1.map_err(|e| e.errno));
}
