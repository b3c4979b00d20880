//! The same operations on a map of ours and on one of the running kernel give the same results and error
//! numbers.
//!
//! A slice by default; `cargo xtask operations [FACTOR]` makes it a thousand times longer, or as said, and `--record` writes
//! how many operations of each kind were compared to `tests/operations.txt`.

mod support;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsRawFd;
use std::sync::Mutex;

use skep_abi::{MapFlags, MapType};
use skep_maps::{Config, Heap, Map};
use skep_spec::{Errno, MapDef};
use support::{KernelMap, Rng};

/// Update flags that mean something, and some that do not.
const FLAGS: &[u64] = &[0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 4, 5, 6, 7, 8, 9, 1 << 32, 1 << 63, u64::MAX];

struct Pair {
    ours: std::sync::Arc<Map>,
    kernel: KernelMap,
    what: String,
    /// Operations that were compared.
    compared: Cell<u64>,
}

/// Operations that were compared, by kind.
static COMPARED: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());

impl Drop for Pair {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let mut all = COMPARED.lock().expect("nobody panics with it");
        *all.entry(self.ours.kind().name().unwrap_or("?").to_owned()).or_default() += self.compared.get();
        if std::env::var_os("SKEP_MAPS_RECORD").is_some() {
            let lines: String = all.iter().map(|(kind, n)| format!("{kind} {n}\n")).collect();
            let head = format!("cargo xtask operations {} --record\n", support::campaign());
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/operations.txt");
            std::fs::write(path, head + &lines + "different 0\n").expect("written");
        }
    }
}

impl Pair {
    fn new(def: &MapDef) -> Self {
        let ours = Map::create(def, &Config::new(support::possible_cpus()), &Heap).expect("a legal map");
        let kernel = KernelMap::create(def, ours.host_value_size()).expect("the kernel makes it too");
        let what = format!(
            "{} key {} value {} entries {} flags {:#x}",
            def.kind.name().unwrap_or("?"),
            def.key_size,
            def.value_size,
            def.max_entries,
            def.flags.0
        );
        Self { ours, kernel, what, compared: Cell::new(0) }
    }

    /// Another operation is compared.
    fn count(&self) {
        self.compared.set(self.compared.get() + 1);
    }

    /// All keys, in the order of `next_key`.
    fn keys(next: impl Fn(Option<&[u8]>) -> Result<Vec<u8>, Errno>) -> Result<Vec<Vec<u8>>, Errno> {
        let mut keys = Vec::new();
        loop {
            match next(keys.last().map(Vec::as_slice)) {
                Ok(key) => keys.push(key),
                Err(Errno::ENOENT) => return Ok(keys),
                Err(e) => return Err(e),
            }
            assert!(keys.len() < 10_000, "the walk has an end");
        }
    }

    fn compare_keys(&self, ordered: bool) {
        self.count();
        let ours = Self::keys(|k| self.ours.next_key(k).map_err(|e| e.errno));
        let theirs = Self::keys(|k| self.kernel.next_key(k));
        if ordered {
            assert_eq!(ours, theirs, "{}: keys in order", self.what);
            return;
        }
        let set = |r: Result<Vec<Vec<u8>>, Errno>| {
            r.map(|keys| {
                let n = keys.len();
                let set: BTreeSet<_> = keys.into_iter().collect();
                assert_eq!(set.len(), n, "{}: no key comes twice", self.what);
                set
            })
        };
        assert_eq!(set(ours), set(theirs), "{}: keys", self.what);
    }

    fn update(&self, key: &[u8], value: &[u8], flags: u64) {
        self.count();
        assert_eq!(
            self.ours.update_from_host(key, value, flags).map_err(|e| e.errno),
            self.kernel.update(key, value, flags),
            "{}: update {key:?} flags {flags:#x}",
            self.what
        );
    }

    fn lookup(&self, key: &[u8], flags: u64) {
        self.count();
        assert_eq!(
            self.ours.lookup_copy(key, flags).map_err(|e| e.errno),
            self.kernel.lookup(key, flags),
            "{}: lookup {key:?} flags {flags:#x}",
            self.what
        );
    }

    fn delete(&self, key: &[u8]) {
        self.count();
        assert_eq!(
            self.ours.delete_from_host(key).map_err(|e| e.errno),
            self.kernel.delete(key),
            "{}: delete {key:?}",
            self.what
        );
    }

    fn take(&self, key: &[u8], flags: u64) {
        self.count();
        assert_eq!(
            self.ours.take_from_host(key, flags).map_err(|e| e.errno),
            self.kernel.take(key, flags),
            "{}: lookup and delete {key:?} flags {flags:#x}",
            self.what
        );
    }

    fn pop(&self) {
        self.count();
        let ours = self.ours.pop_from_host().map_err(|e| e.errno);
        assert_eq!(ours, self.kernel.pop(), "{}: pop", self.what);
    }

    /// `rounds` random operations with keys from a pool somewhat larger than the map.
    fn random(&self, rng: &mut Rng, rounds: u64, keys: &[Vec<u8>], ordered: bool) {
        for round in 0..rounds {
            let key = &keys[rng.below(keys.len() as u64) as usize];
            match rng.below(20) {
                0..9 => {
                    let value = rng.bytes(self.ours.host_value_size());
                    self.update(key, &value, rng.pick(FLAGS));
                }
                9..13 => self.lookup(key, 0),
                13 => self.lookup(key, rng.pick(FLAGS)),
                14..17 => self.delete(key),
                17 => self.take(key, if rng.below(8) == 0 { rng.pick(FLAGS) } else { 0 }),
                18 if ordered => assert_eq!(
                    self.ours.next_key(Some(key)).map_err(|e| e.errno),
                    self.kernel.next_key(Some(key)),
                    "{}: next key of {key:?}",
                    self.what
                ),
                _ if round % 4 == 0 => self.compare_keys(ordered),
                _ => {}
            }
        }
        self.compare_keys(ordered);
        for key in keys {
            self.lookup(key, 0);
        }
    }
}

fn def(kind: MapType, key: u32, value: u32, entries: u32, flags: u32) -> MapDef {
    MapDef { flags: MapFlags(flags), ..MapDef::new(kind, key, value, entries) }
}

#[test]
fn arrays() {
    if !support::kernel_or_skip() {
        return;
    }
    let keys: Vec<Vec<u8>> = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1 << 31, u32::MAX, u32::MAX - 1]
        .iter()
        .map(|i: &u32| i.to_ne_bytes().to_vec())
        .collect();
    for kind in [MapType::ARRAY, MapType::PERCPU_ARRAY] {
        for (value, entries) in [(1, 8), (4, 1), (5, 7), (8, 8), (12, 5), (64, 8), (100, 9)] {
            let mut rng = Rng::new(u64::from(value));
            Pair::new(&def(kind, 4, value, entries, 0)).random(
                &mut rng,
                400 * support::campaign(),
                &keys,
                true,
            );
        }
    }
}

#[test]
fn hashes() {
    if !support::kernel_or_skip() {
        return;
    }
    for kind in [MapType::HASH, MapType::PERCPU_HASH] {
        for flags in [0, MapFlags::NO_PREALLOC, MapFlags::ZERO_SEED] {
            for (key, value, entries) in
                [(1, 1, 1), (4, 8, 8), (3, 5, 7), (8, 4, 16), (13, 100, 3), (64, 12, 9)]
            {
                let mut rng = Rng::new(u64::from(key * value + flags));
                let pool: Vec<_> = (0..entries + 5).map(|_| rng.bytes(key as usize)).collect();
                let pair = Pair::new(&def(kind, key, value, entries, flags));
                pair.random(&mut rng, 250 * support::campaign(), &pool, false);
            }
        }
    }
}

/// With room for all keys an LRU hash is a hash.
#[test]
fn lru_hashes_that_evict_nothing() {
    if !support::kernel_or_skip() {
        return;
    }
    for kind in [MapType::LRU_HASH, MapType::LRU_PERCPU_HASH] {
        for flags in [0, MapFlags::NO_COMMON_LRU, MapFlags::ZERO_SEED] {
            for (key, value) in [(1, 1), (4, 8), (13, 100)] {
                let mut rng = Rng::new(u64::from(key * value + flags));
                let pool: Vec<_> = (0..16).map(|_| rng.bytes(key as usize)).collect();
                // The kernel evicts before the map is full: each CPU keeps free elements to itself.
                let pair = Pair::new(&def(kind, key, value, 64 * support::possible_cpus(), flags));
                pair.random(&mut rng, 250 * support::campaign(), &pool, false);
            }
        }
    }
}

/// Prefixes that nest and part at every bit, with junk behind their ends.
#[test]
fn lpm_tries() {
    if !support::kernel_or_skip() {
        return;
    }
    for (data, value, entries) in [(1, 1, 1), (1, 4, 12), (4, 8, 8), (4, 5, 40), (16, 8, 16), (256, 3, 9)] {
        let mut rng = Rng::new(u64::from(data * value * entries));
        let root = rng.bytes(data as usize);
        let pool: Vec<_> = (0..2 * entries + 4)
            .map(|_| {
                // Most have a stretch in common with the same root.
                let bits = rng.below(u64::from(8 * data) + 1) as usize;
                let mut key = root.clone();
                let from = rng.below(u64::from(8 * data)) as usize;
                key[from / 8] ^= 0x80 >> (from % 8);
                for byte in key.iter_mut().skip(bits / 8 + 1) {
                    *byte = rng.next() as u8;
                }
                let too_long = rng.below(16) == 0;
                let prefix = if too_long { 8 * data + 1 } else { bits as u32 };
                [prefix.to_ne_bytes().to_vec(), key].concat()
            })
            .collect();
        let pair = Pair::new(&def(MapType::LPM_TRIE, 4 + data, value, entries, MapFlags::NO_PREALLOC));
        pair.random(&mut rng, 2000 * support::campaign(), &pool, true);
    }
}

type Lookup<'a> = &'a dyn Fn(&[u8]) -> Result<Vec<u8>, Errno>;
type Update<'a> = &'a dyn Fn(&[u8], &[u8], u64) -> Result<(), Errno>;
type Delete<'a> = &'a dyn Fn(&[u8]) -> Result<(), Errno>;

/// What an LRU hash promises though it evicts as it likes: an update succeeds and is seen, a key has its last
/// value or is absent, flags and deletions go by what is there, and there are never more than `max` elements.
fn evicts_as_promised(who: &str, max: usize, size: usize, lookup: Lookup, update: Update, delete: Delete) {
    let mut rng = Rng::new(max as u64);
    let mut last: std::collections::BTreeMap<u32, Vec<u8>> = std::collections::BTreeMap::new();
    let keys = 3 * max as u64;
    for round in 0..4000 * support::campaign() {
        let k = rng.below(keys) as u32;
        let key = k.to_ne_bytes();
        let there = lookup(&key);
        match &there {
            Ok(value) => assert_eq!(Some(value), last.get(&k), "{who}: key {k} has its last value"),
            Err(e) => assert_eq!(*e, Errno::ENOENT, "{who}"),
        }
        match rng.below(8) {
            0 => {
                let expected = there.as_ref().map(drop).map_err(|_| Errno::ENOENT);
                assert_eq!(delete(&key), expected, "{who}: delete {k}");
                last.remove(&k);
            }
            n => {
                let value = rng.bytes(size);
                let flags = [0, 0, 0, 1, 2][n as usize % 5];
                let expected = match (flags, there.is_ok()) {
                    (1, true) => Err(Errno::EEXIST),
                    (2, false) => Err(Errno::ENOENT),
                    _ => Ok(()),
                };
                // To add and to be refused the kernel takes an element first: the key itself may be evicted for it.
                let done = update(&key, &value, flags);
                if flags == 0 || there.is_err() {
                    assert_eq!(done, expected, "{who}: update {k} flags {flags}");
                }
                if done.is_ok() {
                    last.insert(k, value.clone());
                    assert_eq!(lookup(&key), Ok(value), "{who}: key {k} is there after its update");
                }
            }
        }
        if round % 64 == 0 {
            let n = (0..keys as u32).filter(|k| lookup(&k.to_ne_bytes()).is_ok()).count();
            assert!(n <= max, "{who}: {n} elements of {max}");
        }
    }
}

#[test]
fn lru_hashes_that_evict() {
    if !support::kernel_or_skip() {
        return;
    }
    for kind in [MapType::LRU_HASH, MapType::LRU_PERCPU_HASH] {
        for flags in [0, MapFlags::NO_COMMON_LRU] {
            for entries in [1, 2, 7, 40] {
                let pair = Pair::new(&def(kind, 4, 8, entries, flags));
                let (ours, kernel, what) = (&pair.ours, &pair.kernel, &pair.what);
                let (max, size) = (ours.max_entries() as usize, ours.host_value_size());
                evicts_as_promised(
                    &format!("ours, {what}"),
                    max,
                    size,
                    &|k| ours.lookup_copy(k, 0).map_err(|e| e.errno),
                    &|k, v, f| ours.update_from_host(k, v, f).map_err(|e| e.errno),
                    &|k| ours.delete_from_host(k).map_err(|e| e.errno),
                );
                // The kernel's own lists need at least an element for each CPU.
                if max >= 4 * support::possible_cpus() as usize {
                    evicts_as_promised(
                        &format!("the kernel, {what}"),
                        max,
                        size,
                        &|k| kernel.lookup(k, 0),
                        &|k, v, f| kernel.update(k, v, f),
                        &|k| kernel.delete(k),
                    );
                }
            }
        }
    }
}

/// An element that a program keeps looking up outlives those that nobody uses.
#[test]
fn used_elements_stay() {
    let map = Map::create(&def(MapType::LRU_HASH, 4, 8, 16, 0), &Config::new(2), &Heap).expect("a legal map");
    let hot = 0u32.to_ne_bytes();
    map.update_from_host(&hot, &[1; 8], 0).expect("an insert");
    for k in 1u32..10_000 {
        assert!(map.lookup((&hot).into(), 0).is_some(), "before insert {k}");
        map.update((&k.to_ne_bytes()).into(), (&[0; 8]).into(), 0, 1).expect("an insert");
    }
    assert!(map.lookup_copy(&9_999u32.to_ne_bytes(), 0).is_ok(), "the newest is there");
    assert_eq!(map.lookup_copy(&1u32.to_ne_bytes(), 0).map_err(|e| e.errno), Err(Errno::ENOENT));
}

/// Access flags and freezing: who may do what, and which error comes first.
#[test]
fn access() {
    if !support::kernel_or_skip() {
        return;
    }
    for kind in [MapType::ARRAY, MapType::HASH, MapType::PERCPU_ARRAY, MapType::PERCPU_HASH] {
        for flags in [0, MapFlags::RDONLY, MapFlags::WRONLY, MapFlags::RDONLY_PROG, MapFlags::WRONLY_PROG] {
            let pair = Pair::new(&def(kind, 4, 8, 2, flags));
            let value = vec![7; pair.ours.host_value_size()];
            for frozen in [false, true, true] {
                for key in [[0; 4], [1, 0, 0, 0], [9, 0, 0, 0]] {
                    for flags in [0, 1, 2, 4, 8] {
                        pair.update(&key, &value, flags);
                        pair.lookup(&key, flags);
                    }
                    pair.delete(&key);
                    pair.update(&key, &value, 0);
                    pair.take(&key, 0);
                    pair.update(&key, &value, 0);
                    pair.compare_keys(kind == MapType::ARRAY);
                }
                if frozen {
                    let ours = pair.ours.freeze().map_err(|e| e.errno);
                    assert_eq!(ours, pair.kernel.freeze(), "{}: freeze", pair.what);
                }
            }
        }
    }
}

#[test]
fn prog_arrays() {
    if !support::kernel_or_skip() {
        return;
    }
    let exit = [0xb7, 0x95]; // r0 = 0; exit
    let Ok(program) = support::load_program(1, 0, &exit) else {
        eprintln!("skipped: bpf(2) loads no socket filter here");
        return;
    };
    let id = support::program_id(&program).expect("a program has an id").to_ne_bytes();
    let fd = program.as_raw_fd().to_ne_bytes();
    let pair = Pair::new(&def(MapType::PROG_ARRAY, 4, 4, 4, 0));
    let mut rng = Rng::new(1);
    for _ in 0..1000 * support::campaign() {
        pair.count();
        let key = (rng.below(6) as u32).to_ne_bytes();
        match rng.below(8) {
            0..3 => {
                let flags = rng.pick(FLAGS);
                assert_eq!(
                    pair.ours.update_from_host(&key, &id, flags).map_err(|e| e.errno),
                    pair.kernel.update(&key, &fd, flags),
                    "update {key:?} flags {flags:#x}"
                );
            }
            3 => assert_eq!(
                pair.ours.update_from_host(&key, &[0; 4], 0).map_err(|e| e.errno),
                pair.kernel.update(&key, &(-1i32).to_ne_bytes(), 0),
                "update {key:?} to no program"
            ),
            4 => pair.delete(&key),
            5 => pair.lookup(&key, rng.pick(&[0, 0, 4, 8])),
            _ => pair.compare_keys(true),
        }
    }
}

/// A map that may be put into others.
struct Inner {
    fd: i32,
    id: u32,
    map: std::sync::Arc<Map>,
    what: String,
}

/// Random operations on maps of maps that look like the one at `at`.
fn change_maps(kind: MapType, like: &MapDef, inner: &[Inner], at: usize) {
    let outer = MapDef { inner: Some(Box::new(like.clone())), ..def(kind, 4, 4, 3, 0) };
    let pair = Pair::new(&outer);
    let mut rng = Rng::new(at as u64);
    for _ in 0..100 * support::campaign() {
        pair.count();
        let key = (rng.below(5) as u32).to_ne_bytes();
        match rng.below(8) {
            0..4 => {
                // Half of them fit.
                let which = if rng.below(2) == 0 { at } else { rng.below(inner.len() as u64) as usize };
                let (flags, put) = (rng.pick(FLAGS), &inner[which]);
                let ours = pair.ours.set_map(&key, put.id, &put.map, flags);
                assert_eq!(
                    ours.as_ref().copied().map_err(|e| e.errno),
                    pair.kernel.update(&key, &put.fd.to_ne_bytes(), flags),
                    "{}: {} as {} at {key:?} flags {flags:#x}: {ours:?}",
                    pair.what,
                    put.what,
                    inner[at].what,
                );
            }
            4 => assert_eq!(
                pair.ours.update_from_host(&key, &[0xff; 4], 0).map_err(|e| e.errno),
                pair.kernel.update(&key, &(-1i32).to_ne_bytes(), 0),
                "{}: update {key:?} to no map",
                pair.what
            ),
            5 => pair.delete(&key),
            6 => pair.lookup(&key, rng.pick(&[0, 0, 4, 8])),
            _ => pair.compare_keys(kind == MapType::ARRAY_OF_MAPS),
        }
    }
}

/// Maps of maps: which maps fit, slots filled, replaced and emptied; the ids that are read back.
#[test]
fn maps_of_maps() {
    if !support::kernel_or_skip() {
        return;
    }
    let array = |entries, flags| def(MapType::ARRAY, 4, 8, entries, flags);
    let inner = |kind: MapType| match kind {
        MapType::LPM_TRIE => def(kind, 8, 8, 4, MapFlags::NO_PREALLOC),
        MapType::QUEUE => def(kind, 0, 8, 4, 0),
        MapType::RINGBUF => def(kind, 0, 0, 4096, 0),
        _ => def(kind, 4, 8, 4, 0),
    };
    let mut all = vec![
        array(4, 0),
        array(4, 0),
        array(5, 0),
        array(4, MapFlags::INNER_MAP),
        array(2, MapFlags::INNER_MAP),
    ];
    all.push(def(MapType::ARRAY, 4, 12, 4, 0));
    all.push(def(MapType::ARRAY, 4, 8, 4, MapFlags::RDONLY_PROG));
    for kind in [
        MapType::HASH,
        MapType::PERCPU_ARRAY,
        MapType::LRU_HASH,
        MapType::LPM_TRIE,
        MapType::QUEUE,
        MapType::RINGBUF,
    ] {
        let def = inner(kind);
        // The number of elements counts for arrays only.
        all.push(MapDef { max_entries: 2 * def.max_entries, ..def.clone() });
        all.push(def);
    }
    all.push(MapDef { key_size: 8, ..inner(MapType::HASH) });
    all.push(MapDef { flags: MapFlags(MapFlags::NO_PREALLOC), ..inner(MapType::HASH) });
    let maps: Vec<Pair> = all.iter().map(Pair::new).collect();
    let ids: Vec<u32> = maps.iter().map(|m| support::map_id(&m.kernel).expect("a map has an id")).collect();
    let inner: Vec<Inner> = maps
        .iter()
        .zip(&ids)
        .map(|(m, id)| Inner { fd: m.kernel.fd(), id: *id, map: m.ours.clone(), what: m.what.clone() })
        .collect();
    // The kernel waits for a grace period after each change: they wait together.
    std::thread::scope(|scope| {
        for kind in [MapType::ARRAY_OF_MAPS, MapType::HASH_OF_MAPS] {
            for (at, def) in all.iter().enumerate() {
                let inner = &inner;
                scope.spawn(move || change_maps(kind, def, inner, at));
            }
        }
    });
    for kind in [MapType::ARRAY_OF_MAPS, MapType::HASH_OF_MAPS] {
        for flags in [0, MapFlags::RDONLY, MapFlags::WRONLY] {
            let outer = MapDef { inner: Some(Box::new(all[0].clone())), ..def(kind, 4, 4, 2, flags) };
            let pair = Pair::new(&outer);
            for frozen in [false, true] {
                let ours = pair.ours.set_map(&[0; 4], ids[0], &maps[0].ours, 0).map_err(|e| e.errno);
                assert_eq!(
                    ours,
                    pair.kernel.update(&[0; 4], &maps[0].kernel.fd().to_ne_bytes(), 0),
                    "{}",
                    pair.what
                );
                pair.lookup(&[0; 4], 0);
                pair.delete(&[0; 4]);
                if !frozen {
                    assert_eq!(
                        pair.ours.freeze().map_err(|e| e.errno),
                        pair.kernel.freeze(),
                        "{}",
                        pair.what
                    );
                }
            }
        }
    }
}

/// Queues and stacks: values in and out, full and empty, oldest dropped.
#[test]
fn queues_and_stacks() {
    if !support::kernel_or_skip() {
        return;
    }
    for kind in [MapType::QUEUE, MapType::STACK] {
        for (value, entries) in [(1, 1), (4, 2), (8, 5), (13, 8), (100, 3)] {
            let mut rng = Rng::new(u64::from(value * entries));
            let pair = Pair::new(&def(kind, 0, value, entries, 0));
            for round in 0..600 * support::campaign() {
                match rng.below(16) {
                    0..7 => pair.update(&[], &rng.bytes(value as usize), rng.pick(FLAGS)),
                    7..10 => pair.lookup(&[], 0),
                    10 => pair.lookup(&[], rng.pick(FLAGS)),
                    11..15 => pair.pop(),
                    _ if round % 4 == 0 => pair.delete(&[]),
                    _ => {
                        let ours = pair.ours.next_key(None).map_err(|e| e.errno);
                        assert_eq!(ours, pair.kernel.next_key(None), "{}: next key", pair.what);
                    }
                }
            }
        }
        for flags in [0, MapFlags::RDONLY, MapFlags::WRONLY, MapFlags::RDONLY_PROG, MapFlags::WRONLY_PROG] {
            let pair = Pair::new(&def(kind, 0, 4, 2, flags));
            for frozen in [false, true] {
                for _ in 0..3 {
                    pair.update(&[], &[7; 4], 0);
                    pair.lookup(&[], 0);
                }
                pair.pop();
                if !frozen {
                    assert_eq!(
                        pair.ours.freeze().map_err(|e| e.errno),
                        pair.kernel.freeze(),
                        "{}",
                        pair.what
                    );
                }
            }
        }
    }
}

#[test]
fn perf_event_arrays_that_nobody_reads() {
    if !support::kernel_or_skip() {
        return;
    }
    let pair = Pair::new(&def(MapType::PERF_EVENT_ARRAY, 4, 4, 4, 0));
    let mut rng = Rng::new(1);
    for _ in 0..1000 * support::campaign() {
        let key = rng.pick(&[0u32, 1, 3, 4, 5, u32::MAX]).to_ne_bytes();
        match rng.below(4) {
            0 => pair.update(&key, &(-1i32).to_ne_bytes(), rng.pick(FLAGS)),
            1 => pair.delete(&key),
            2 => pair.lookup(&key, rng.pick(&[0, 0, 4, 8])),
            _ => pair.compare_keys(true),
        }
    }
}

#[test]
fn stack_traces_that_nobody_has_taken() {
    if !support::kernel_or_skip() {
        return;
    }
    let pair = Pair::new(&def(MapType::STACK_TRACE, 4, 16, 5, 0));
    let mut rng = Rng::new(1);
    for _ in 0..1000 * support::campaign() {
        let key = rng.pick(&[0u32, 4, 5, 7, 8, u32::MAX]).to_ne_bytes();
        match rng.below(4) {
            0 => pair.update(&key, &[7; 16], rng.pick(FLAGS)),
            1 => pair.delete(&key),
            2 => pair.lookup(&key, rng.pick(&[0, 0, 4, 8])),
            3 if rng.below(2) == 0 => pair.take(&key, rng.pick(&[0, 0, 4, 8])),
            _ => pair.compare_keys(true),
        }
    }
}

#[test]
fn ring_buffers_have_no_elements() {
    if !support::kernel_or_skip() {
        return;
    }
    for kind in [MapType::RINGBUF, MapType::USER_RINGBUF] {
        let pair = Pair::new(&def(kind, 0, 0, 4096, 0));
        pair.lookup(&[], 0);
        pair.update(&[], &[], 0);
        pair.delete(&[]);
        assert_eq!(pair.ours.next_key(None).map_err(|e| e.errno), pair.kernel.next_key(None));
    }
}
