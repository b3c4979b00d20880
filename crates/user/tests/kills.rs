//! Processes are killed at random moments while they work on maps that they share.
//!
//! Workers do operations of every kind as fast as they can, through programs and as the host, each with keys of its own
//! and some that all have. One after another is killed (`SIGKILL`) at a random moment and another comes in its place.
//! After each hundred kills all are killed, and this process, which has no part in the work, looks whether the maps are
//! sound: no lock is taken, no element twice, none lost that stays, values whole, room for exactly as many as there
//! should be.
//!
//! A slice by default; `cargo xtask kills [COUNT [SEED]]` makes as many kills as said, and `--record` writes what came of
//! it to `tests/kills.txt`.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use skep_abi::{MapFlags, MapType, ProgramType};
use skep_isa::text::assemble;
use skep_spec::{Backend, BackendMap, Errno, LoadOptions, MapDef, ProgramSpec};
use skep_user::{UserBackend, UserOptions, UserProgram};

/// Keys that stay: no worker deletes them.
const STAY: u32 = 8;
/// Keys that come and go, of each worker.
const OWN: u32 = 24;
const ENTRIES: u32 = 64;
/// Workers at a time.
const WORKERS: u32 = 3;
/// Virtual CPUs: fewer than workers, so that the slots of the dead are needed.
const CPUS: u32 = 2;
/// Kills between two looks at the maps.
const ROUND: u64 = 100;
/// How long an operation may take at most: locks of the dead are taken over at once.
const LONGEST: Duration = Duration::from_secs(10);
const BYTES: usize = 64;

struct Rng(u64);

impl Rng {
    fn below(&mut self, n: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) >> 32) as u32 % n
    }
}

fn kinds() -> Vec<(&'static str, MapDef)> {
    let with =
        |kind, key, flags| MapDef { flags: MapFlags(flags), ..MapDef::new(kind, key, BYTES as u32, ENTRIES) };
    vec![
        ("array", with(MapType::ARRAY, 4, 0)),
        ("percpu_array", with(MapType::PERCPU_ARRAY, 4, 0)),
        ("hash", with(MapType::HASH, 4, 0)),
        ("hash_no_prealloc", with(MapType::HASH, 4, MapFlags::NO_PREALLOC)),
        ("percpu_hash", with(MapType::PERCPU_HASH, 4, 0)),
        ("lru_hash", with(MapType::LRU_HASH, 4, 0)),
        ("lru_percpu_hash", with(MapType::LRU_PERCPU_HASH, 4, 0)),
        ("lpm_trie", with(MapType::LPM_TRIE, 8, MapFlags::NO_PREALLOC)),
        ("queue", with(MapType::QUEUE, 0, 0)),
        ("stack", with(MapType::STACK, 0, 0)),
        ("ringbuf", MapDef::new(MapType::RINGBUF, 0, 0, 8192)),
    ]
}

fn key_of(kind: MapType, n: u32) -> Vec<u8> {
    match kind {
        // Prefixes of different lengths, some inside others.
        MapType::LPM_TRIE => {
            let bits = 16 + n % 17;
            let data = (n / 3) << 16 | 0x5a5a;
            [bits.to_ne_bytes(), (data & u32::MAX << (32 - bits)).to_be_bytes()].concat()
        }
        _ => n.to_ne_bytes().to_vec(),
    }
}

fn is_percpu(kind: MapType) -> bool {
    matches!(kind, MapType::PERCPU_ARRAY | MapType::PERCPU_HASH | MapType::LRU_PERCPU_HASH)
}

fn is_lru(kind: MapType) -> bool {
    matches!(kind, MapType::LRU_HASH | MapType::LRU_PERCPU_HASH)
}

/// A value whose bytes are all the same.
fn value_of(kind: MapType, byte: u8) -> Vec<u8> {
    vec![byte; if is_percpu(kind) { BYTES * CPUS as usize } else { BYTES }]
}

/// What a program does with the key in its context's first word and a value whose words are the second.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Op {
    Lookup,
    Update,
    Delete,
    Push,
    Pop,
    Output,
    Reserve,
}

impl Op {
    fn of(kind: MapType) -> &'static [Self] {
        match kind {
            MapType::QUEUE | MapType::STACK => &[Self::Push, Self::Push, Self::Pop],
            MapType::RINGBUF => &[Self::Output, Self::Reserve],
            MapType::ARRAY | MapType::PERCPU_ARRAY => &[Self::Lookup, Self::Update],
            _ => &[Self::Lookup, Self::Update, Self::Update, Self::Delete],
        }
    }

    fn text(self) -> String {
        let store = |base: &str, at: i32| -> String {
            (0..8).map(|i| format!("*(u64 *)({base} {:+}) = r7\n", at + 8 * i)).collect()
        };
        let begin = format!(
            "r6 = *(u64 *)(r1 + 0)\nr7 = *(u64 *)(r1 + 8)\n*(u64 *)(r10 - 8) = r6\n{}",
            store("r10", -72)
        );
        let key = "r1 = map[idx:0] ll\nr2 = r10\nr2 += -8\n";
        let value = "r1 = map[idx:0] ll\nr2 = r10\nr2 += -72\n";
        let rest = match self {
            Self::Lookup => format!("{key}call 1\nif r0 == 0 goto +1\nr0 = *(u64 *)(r0 + 0)\nr0 = 0\nexit\n"),
            Self::Update => format!("{key}r3 = r10\nr3 += -72\nr4 = 0\ncall 2\nexit\n"),
            Self::Delete => format!("{key}call 3\nexit\n"),
            Self::Push => format!("{value}r3 = 2\ncall 87\nexit\n"),
            Self::Pop => format!("{value}call 88\nexit\n"),
            Self::Output => format!("{value}r3 = 64\nr4 = 0\ncall 130\nr0 = 0\nexit\n"),
            Self::Reserve => format!(
                "r1 = map[idx:0] ll\nr2 = 64\nr3 = 0\ncall 131\nif r0 == 0 goto +12\nr8 = r0\n{}r1 = r8\nr2 = 0\ncall 132\nr0 = 0\nexit\n",
                store("r8", 0)
            ),
        };
        begin + &rest
    }
}

/// The maps, and a program for each operation on them.
struct World {
    folder: PathBuf,
    maps: Vec<(&'static str, MapType, Arc<dyn BackendMap>)>,
    programs: BTreeMap<(usize, Op), Arc<UserProgram>>,
}

fn backend(folder: &std::path::Path) -> UserBackend {
    let options = UserOptions { cpus: Some(CPUS), ..UserOptions::default() };
    UserBackend::in_folder(folder, options).expect("a folder of pins")
}

impl World {
    /// Opens what is pinned in a folder; makes what is not there.
    fn open(folder: PathBuf) -> Self {
        let backend = backend(&folder);
        let (mut maps, mut programs) = (Vec::new(), BTreeMap::new());
        for (i, (name, def)) in kinds().into_iter().enumerate() {
            let path = folder.join(name);
            let path = path.to_str().expect("text");
            let map = backend.pinned_map(path).expect("sound").unwrap_or_else(|| {
                let map = backend.create_map(&def).expect("legal");
                backend.pin_map(&*map, path).expect("a name");
                for n in (0..STAY).filter(|_| def.key_size > 0) {
                    map.update(&key_of(def.kind, n), &value_of(def.kind, 99), 0).expect("room");
                }
                map
            });
            for &op in Op::of(def.kind) {
                programs.entry((i, op)).or_insert_with(|| {
                    let insns = assemble(&op.text()).unwrap_or_else(|e| panic!("{name}: {e}"));
                    let mut spec = ProgramSpec::new(ProgramType::RAW_TRACEPOINT, insns);
                    spec.maps = vec![Arc::new(def.clone())];
                    let loaded =
                        backend.load_program(&spec, std::slice::from_ref(&map), LoadOptions::default());
                    loaded.unwrap_or_else(|e| panic!("{name}: {}\n{}", e.error, e.log))
                });
            }
            maps.push((name, def.kind, map));
        }
        Self { folder, maps, programs }
    }

    fn by_program(&self, i: usize, op: Op, key: &[u8], byte: u8) -> Result<(), Errno> {
        let mut context = [0; 96];
        context[..key.len()].copy_from_slice(key);
        context[8..16].fill(byte);
        let result = self.programs[&(i, op)].run(&mut context, None, None).expect("no trap");
        if (result as i64) < 0 { Err(Errno(-(result as i64) as i32)) } else { Ok(()) }
    }

    fn by_host(&self, i: usize, op: Op, key: &[u8], byte: u8) -> Result<(), Errno> {
        let (_, kind, map) = &self.maps[i];
        let value = value_of(*kind, byte);
        let done = match op {
            Op::Lookup => map.lookup(key, 0).map(drop),
            Op::Update => map.update(key, &value, 0),
            Op::Delete => map.delete(key),
            Op::Push => map.update(&[], &value, 2),
            Op::Pop => map.lookup_and_delete(&[]).map(drop),
            Op::Output | Op::Reserve => return self.by_program(i, op, &[], byte),
        };
        done.map_err(|e| e.errno)
    }

    /// Works until it is killed, or something is wrong.
    fn work(&self, number: u32, seed: u64) -> String {
        let mut rng = Rng(seed);
        loop {
            for (i, (name, kind, _)) in self.maps.iter().enumerate() {
                let mut n = STAY + number * OWN + rng.below(OWN);
                let ops = Op::of(*kind);
                let op = ops[rng.below(ops.len() as u32) as usize];
                if op != Op::Delete && rng.below(3) == 0 {
                    n = rng.below(STAY);
                }
                if matches!(*kind, MapType::ARRAY | MapType::PERCPU_ARRAY) {
                    n %= ENTRIES;
                }
                let key = if kinds()[i].1.key_size > 0 { key_of(*kind, n) } else { Vec::new() };
                let start = Instant::now();
                let done = match rng.below(2) {
                    0 => self.by_program(i, op, &key, number as u8 + 1),
                    _ => self.by_host(i, op, &key, number as u8 + 1),
                };
                match done {
                    Ok(()) | Err(Errno::ENOENT | Errno::E2BIG | Errno::ENOSPC) => {}
                    Err(e) => return format!("{name}: key {n}: {e}"),
                }
                if start.elapsed() > LONGEST {
                    return format!("{name}: an operation took {:?}", start.elapsed());
                }
            }
        }
    }

    /// Looks whether the maps are sound, while nobody works; how many records the ring had.
    fn look(&self) -> usize {
        let mut records = 0;
        for (i, (name, kind, map)) in self.maps.iter().enumerate() {
            let start = Instant::now();
            match *kind {
                MapType::QUEUE | MapType::STACK => self.look_at_queue(name, &**map),
                MapType::RINGBUF => records += self.look_at_ring(i, &**map),
                MapType::ARRAY | MapType::PERCPU_ARRAY => {}
                _ => self.look_at_elements(name, *kind, &**map),
            }
            assert!(start.elapsed() < LONGEST, "{name}: a look took {:?}", start.elapsed());
        }
        records
    }

    fn keys(name: &str, map: &dyn BackendMap) -> Vec<Vec<u8>> {
        let mut keys: Vec<Vec<u8>> = Vec::new();
        loop {
            match map.next_key(keys.last().map(Vec::as_slice)).map_err(|e| e.errno) {
                Ok(key) => keys.push(key),
                Err(Errno::ENOENT) => return keys,
                Err(e) => panic!("{name}: next key: {e}"),
            }
            assert!(keys.len() <= ENTRIES as usize, "{name}: more elements than there can be");
        }
    }

    fn look_at_elements(&self, name: &str, kind: MapType, map: &dyn BackendMap) {
        let keys = Self::keys(name, map);
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len(), "{name}: a key comes twice");
        let stay: Vec<_> = (0..STAY).map(|n| key_of(kind, n)).collect();
        for key in &stay {
            assert!(is_lru(kind) || keys.contains(key), "{name}: {key:?} is lost");
        }
        for key in &keys {
            let value = map.lookup(key, 0).unwrap_or_else(|e| panic!("{name}: {key:?}: {e}"));
            let whole = value.iter().all(|b| *b == value[0]);
            assert!(whole || is_percpu(kind), "{name}: {key:?} is torn: {value:?}");
            if !stay.contains(key) {
                map.delete(key).unwrap_or_else(|e| panic!("{name}: delete {key:?}: {e}"));
            }
        }
        // Exactly as many as there should be have room.
        let mut have = keys.iter().filter(|k| stay.contains(k)).count() as u32;
        // An LRU hash finds what the dead held once its hand has gone round.
        let more = if is_lru(kind) { 6 * ENTRIES } else { ENTRIES + 1 };
        let more: Vec<_> = (1000..1000 + more).map(|n| key_of(kind, n)).collect();
        for key in &more {
            match map.update(key, &value_of(kind, 1), 1).map_err(|e| e.errno) {
                Ok(()) => have += 1,
                Err(Errno::E2BIG | Errno::ENOSPC) => break,
                Err(e) => panic!("{name}: insert: {e}"),
            }
        }
        if is_lru(kind) {
            assert_eq!(Self::keys(name, map).len(), ENTRIES as usize, "{name}: as many as there is room for");
        } else {
            assert_eq!(have, ENTRIES, "{name}: room for as many as there should be");
        }
        for key in &more {
            let _ = map.delete(key);
        }
    }

    fn look_at_queue(&self, name: &str, map: &dyn BackendMap) {
        let mut values = 0;
        while let Ok(value) = map.lookup_and_delete(&[]) {
            assert!(value.iter().all(|b| *b == value[0]), "{name}: torn: {value:?}");
            values += 1;
            assert!(values <= ENTRIES, "{name}: more values than there can be");
        }
        for _ in 0..ENTRIES {
            map.update(&[], &[1; BYTES], 0).unwrap_or_else(|e| panic!("{name}: push: {e}"));
        }
        assert_eq!(map.update(&[], &[1; BYTES], 0).map_err(|e| e.errno), Err(Errno::E2BIG), "{name}");
        while map.lookup_and_delete(&[]).is_ok() {}
    }

    fn look_at_ring(&self, i: usize, map: &dyn BackendMap) -> usize {
        let mut reader = map.reader().expect("the only one");
        let mut records = 0;
        let mut each = |record: &[u8]| {
            assert!(
                record.len() == BYTES && record.iter().all(|b| *b == record[0]),
                "a torn record: {record:?}"
            );
            records += 1;
        };
        // What was reserved by the dead goes, whatever stands before it.
        while reader.poll(&mut each).expect("sound") > 0 {}
        let before = records;
        let mut none = |_: &[u8]| {};
        for _ in 0..3 {
            for _ in 0..100 {
                self.by_program(i, Op::Output, &[], 1).expect("room");
            }
            let mut seen = 0;
            let mut count = |_: &[u8]| seen += 1;
            while reader.poll(&mut count).expect("sound") > 0 {}
            assert_eq!(seen, 100, "the ring holds a hundred records");
        }
        assert_eq!(reader.poll(&mut none).expect("sound"), 0);
        before
    }

    /// Forks a worker; of some, one that opens everything anew.
    fn hire(&self, number: u32, seed: u64) -> libc::pid_t {
        // SAFETY: the child works on maps and leaves without destructors. Of the allocator's locks the C library takes care.
        unsafe {
            match libc::fork() {
                0 => {
                    // Not after a failed test.
                    libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                    let wrong = std::panic::catch_unwind(AssertUnwindSafe(|| match seed % 16 {
                        0 => Self::open(self.folder.clone()).work(number, seed),
                        _ => self.work(number, seed),
                    }));
                    eprintln!("worker {number}, seed {seed}: {}", wrong.unwrap_or_else(|_| "a panic".into()));
                    libc::_exit(1)
                }
                pid => {
                    assert!(pid > 0, "fork");
                    pid
                }
            }
        }
    }
}

fn kill(pid: libc::pid_t) {
    let mut status = 0;
    // SAFETY: a child of ours that was not waited for; `status` is writable.
    unsafe {
        libc::kill(pid, libc::SIGKILL);
        assert_eq!(libc::waitpid(pid, &raw mut status, 0), pid);
    }
    assert!(libc::WIFSIGNALED(status), "a worker has found something wrong");
}

#[test]
fn maps_outlive_their_users() {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse().ok());
    let (count, seed) = (number("SKEP_KILLS").unwrap_or(200u64), number("SKEP_KILLS_SEED").unwrap_or(1u64));
    let folder = std::env::temp_dir().join(format!("skep-kills-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).expect("a folder");
    let (start, mut rng) = (Instant::now(), Rng(seed));
    let world = World::open(folder.clone());
    let (mut kills, mut looks, mut records) = (0, 0, 0);
    while kills < count {
        let mut workers: Vec<_> =
            (0..WORKERS).map(|n| world.hire(n, u64::from(rng.below(u32::MAX)))).collect();
        for _ in 0..ROUND.min(count - kills) {
            std::thread::sleep(Duration::from_micros(u64::from(rng.below(4000))));
            let n = rng.below(WORKERS);
            kill(workers[n as usize]);
            kills += 1;
            workers[n as usize] = world.hire(n, u64::from(rng.below(u32::MAX)));
        }
        workers.into_iter().for_each(kill);
        kills += u64::from(WORKERS);
        records += world.look();
        looks += 1;
    }
    let names: Vec<_> = kinds().iter().map(|(name, _)| *name).collect();
    let report = format!(
        "kills {kills}, seed {seed}, looks at the maps {looks}, records left in the ring {records}, took {} s\nmaps: {}\nwrong 0\n",
        start.elapsed().as_secs(),
        names.join(", ")
    );
    print!("{report}");
    if std::env::var_os("SKEP_KILLS_RECORD").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/kills.txt");
        fs::write(path, format!("cargo xtask kills {count} {seed} --record\n{report}")).expect("written");
    }
    drop(world);
    let _ = fs::remove_dir_all(&folder);
}
