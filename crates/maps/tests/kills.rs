//! A process dies at each step of each operation of each kind: the map stays usable, no lock stays taken, nothing is lost
//! that the operation was not about, and the counts are right.
//!
//! A step is an access to a shared word (`sync::step`, only in builds with debug assertions). For each operation a child
//! is killed at its first step, at its second, and so on until the operation ends. Then this process and, through the
//! header of the map, one that opens it anew say what is there: it is as before the operation, or as after it.
#![cfg(all(target_os = "linux", debug_assertions, not(shuttle)))]

mod support;

use std::collections::BTreeMap;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use skep_abi::{MapFlags, MapType};
use skep_maps::{Block, Config, Header, Map, Memory, Peers};
use skep_spec::{Errno, MapDef};

const PAGE: usize = 4096;
/// Elements of the maps that are filled.
const ENTRIES: u32 = 4;

/// Memory that forked children share: fresh, or that of another map.
#[derive(Clone, Default)]
struct SharedMemory(std::rc::Rc<std::cell::RefCell<Blocks>>);

#[derive(Default)]
struct Blocks {
    /// Payload and metadata.
    made: [Option<(NonNull<u8>, usize)>; 2],
    again: bool,
}

struct Unmap(NonNull<u8>, usize);

// SAFETY: owns the mapping, whoever drops it.
unsafe impl Send for Unmap {}
// SAFETY: has no method on a shared reference.
unsafe impl Sync for Unmap {}

impl Drop for Unmap {
    fn drop(&mut self) {
        // SAFETY: mapped in `block` with this length.
        unsafe { libc::munmap(self.0.as_ptr().cast(), self.1) };
    }
}

impl SharedMemory {
    fn block(&self, which: usize, len: usize) -> Option<Block> {
        let mut blocks = self.0.borrow_mut();
        let (base, len, owner): (_, _, Box<dyn Send + Sync>) = match blocks.made[which] {
            Some((base, len)) => (base, len, Box::new(())),
            None => {
                let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
                // SAFETY: a new mapping.
                let at = unsafe {
                    libc::mmap(ptr::null_mut(), len, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
                };
                assert!(at != libc::MAP_FAILED, "memory");
                let base = NonNull::new(at.cast()).expect("not at 0");
                blocks.made[which] = Some((base, len));
                (base, len, Box::new(Unmap(base, len)))
            }
        };
        let _ = base.as_ptr().expose_provenance();
        // SAFETY: a mapping of `len` bytes at a page; the test drops the map that it was made for last.
        Some(unsafe { Block::new(base, len, owner) })
    }

    fn header(&self) -> Vec<u8> {
        let (base, _) = self.0.borrow().made[1].expect("there is a map");
        // SAFETY: the metadata has a header; nobody writes it now.
        unsafe { std::slice::from_raw_parts(base.as_ptr(), Header::LEN).to_vec() }
    }
}

// SAFETY: blocks are zeroed or as a map left them, as long as asked, and aligned to a page.
unsafe impl Memory for SharedMemory {
    fn page_size(&self) -> usize {
        PAGE
    }
    fn payload(&self, len: usize) -> Option<Block> {
        self.block(0, len)
    }
    fn metadata(&self, len: usize) -> Option<Block> {
        self.block(1, len)
    }
}

/// This process is 1; every other has died before anybody asks.
struct Generations(AtomicU32);

static PROCESSES: Generations = Generations(AtomicU32::new(1));

impl Peers for Generations {
    fn number(&self) -> &AtomicU32 {
        &self.0
    }
    fn join(&self) -> u32 {
        unreachable!("it has a number")
    }
    fn is_dead(&self, number: u32) -> bool {
        number != self.0.load(Ordering::Relaxed)
    }
}

fn config() -> Config {
    Config { relax: std::thread::yield_now, peers: Some(&PROCESSES), ..Config::new(2) }
}

static LEFT: AtomicU32 = AtomicU32::new(0);

fn count_down() {
    if LEFT.fetch_sub(1, Ordering::Relaxed) == 1 {
        // SAFETY: no pointers; it ends this process.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    }
}

/// Forks a child that runs an operation and is killed at a step; whether it was.
fn dies_at(step: u32, child: u32, operation: &dyn Fn()) -> bool {
    // SAFETY: the child runs an operation of a map, and leaves without destructors. Of the allocator's locks the C library
    // takes care.
    unsafe {
        match libc::fork() {
            0 => {
                PROCESSES.0.store(child, Ordering::Relaxed);
                LEFT.store(step, Ordering::Relaxed);
                skep_maps::on_step(Some(count_down));
                operation();
                libc::_exit(0)
            }
            pid => {
                assert!(pid > 0, "fork");
                let mut status = 0;
                assert_eq!(libc::waitpid(pid, &raw mut status, 0), pid);
                assert!(libc::WIFSIGNALED(status) || libc::WEXITSTATUS(status) == 0, "a panic in the child");
                libc::WIFSIGNALED(status)
            }
        }
    }
}

type Contents = BTreeMap<Vec<u8>, Vec<u8>>;

/// All elements; queues and rings under their place.
fn contents(map: &Arc<Map>) -> Contents {
    let mut all = Contents::new();
    let mut key = None;
    loop {
        key = match map.next_key(key.as_deref()).map_err(|e| e.errno) {
            Ok(next) => Some(next),
            Err(Errno::ENOENT) => return all,
            Err(e) => panic!("next_key: {e}"),
        };
        let k = key.clone().expect("just set");
        let value = map.lookup_copy(&k, 0).expect("a key of the map");
        assert!(all.insert(k, value).is_none(), "a key comes twice");
        assert!(all.len() < 100, "the walk has an end");
    }
}

fn key_of(map: &Map, n: u32) -> Vec<u8> {
    match map.kind() {
        // Prefixes that nest, and part.
        MapType::LPM_TRIE => {
            let data =
                [[1u8, 0, 0, 0], [1, 1, 0, 0], [1, 0x80, 0, 0], [2, 0, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]];
            let len = [8u32, 16, 9, 8, 24, 32];
            let n = n as usize % data.len();
            [len[n].to_ne_bytes(), data[n]].concat()
        }
        _ => n.to_ne_bytes().to_vec(),
    }
}

fn value_of(map: &Map, n: u8) -> Vec<u8> {
    vec![n; map.host_value_size()]
}

fn keyed(def: &MapDef, seed: u32) -> (SharedMemory, Arc<Map>) {
    let memory = SharedMemory::default();
    let map = Map::create(def, &config(), &memory).expect("legal");
    let arrays = matches!(def.kind, MapType::ARRAY | MapType::PERCPU_ARRAY);
    for n in 0..ENTRIES - u32::from(seed == 1 && !arrays) {
        map.update_from_host(&key_of(&map, n), &value_of(&map, n as u8 + 1), 0).expect("room");
    }
    // Elements that were used and are free.
    if seed == 2 && !arrays {
        map.delete_from_host(&key_of(&map, 2)).expect("there");
        map.delete_from_host(&key_of(&map, 0)).expect("there");
    }
    (memory, map)
}

/// What an operation does, and what the contents may be besides those before.
struct Operation {
    name: &'static str,
    run: fn(&Map),
}

const OPERATIONS: &[Operation] = &[
    Operation { name: "insert", run: |m| _ = m.update(k(m, 3), v(m, 9), 0, 1) },
    Operation { name: "replace", run: |m| _ = m.update(k(m, 1), v(m, 9), 0, 1) },
    Operation { name: "delete", run: |m| _ = m.delete(k(m, 1), 1) },
    Operation { name: "delete the first", run: |m| _ = m.delete(k(m, 0), 1) },
    Operation {
        name: "insert by the host",
        run: |m| drop(m.update_from_host(&key_of(m, 3), &value_of(m, 9), 0)),
    },
    Operation {
        name: "replace by the host",
        run: |m| drop(m.update_from_host(&key_of(m, 1), &value_of(m, 9), 0)),
    },
    Operation { name: "delete by the host", run: |m| drop(m.delete_from_host(&key_of(m, 1))) },
    Operation { name: "take by the host", run: |m| drop(m.take_from_host(&key_of(m, 1), 0)) },
    Operation { name: "insert another", run: |m| _ = m.update(k(m, 5), v(m, 9), 0, 0) },
    Operation { name: "insert what is there", run: |m| _ = m.update(k(m, 1), v(m, 9), 1, 0) },
    Operation { name: "look up", run: |m| _ = m.lookup(k(m, 1), 1) },
    Operation { name: "copy", run: |m| drop(m.lookup_copy(&key_of(m, 1), 0)) },
    Operation { name: "next key", run: |m| drop(m.next_key(None)) },
    Operation {
        name: "run",
        run: |m| {
            m.begin_run(1);
            m.lookup(k(m, 1), 1);
            m.end_run(1);
        },
    },
];

/// A key as programs give it; leaked, since a child dies anyway.
fn k(m: &Map, n: u32) -> skep_maps::Bytes<'static> {
    let key: &'static [u8] = Box::leak(key_of(m, n).into_boxed_slice());
    key.into()
}

fn v(m: &Map, n: u8) -> skep_maps::Bytes<'static> {
    let value: &'static [u8] = Box::leak(vec![n; m.value_size() as usize].into_boxed_slice());
    value.into()
}

/// Kills at each step of each operation on a map with keys.
fn kill_everywhere(def: &MapDef) {
    let mut kills = 0;
    for (seed, operation) in (0..3).flat_map(|seed| OPERATIONS.iter().map(move |o| (seed, o))) {
        for step in 1.. {
            assert!(step < 100_000, "the operation has an end");
            let (memory, map) = keyed(def, seed);
            let before = contents(&map);
            let what =
                format!("{:?} {:#x}, {} at step {step}, seed {seed}", def.kind, def.flags.0, operation.name);
            let died = dies_at(step, 2, &|| (operation.run)(&map));
            if !died {
                break;
            }
            kills += 1;
            check(&map, &memory, &before, &what);
        }
    }
    assert!(kills > 30, "{:?}: {kills} kills", def.kind);
}

fn check(map: &Arc<Map>, memory: &SharedMemory, before: &Contents, what: &str) {
    memory.0.borrow_mut().again = true;
    let header = Header::parse("again", &memory.header(), PAGE).expect("sound");
    let again = Map::open(&header, &config(), memory).expect("sound");
    let lru = matches!(map.kind(), MapType::LRU_HASH | MapType::LRU_PERCPU_HASH);
    let after = contents(map);
    assert_eq!(after, contents(&again), "{what}: both see the same");
    // Nothing is lost or changed that the operation was not about: 1, 0, 3, 5, whichever.
    let touched: Vec<_> = [0, 1, 3, 5].map(|n| key_of(map, n)).into();
    for (key, value) in before {
        if !touched.contains(key) && !lru {
            assert_eq!(after.get(key), Some(value), "{what}: another element is lost");
        }
    }
    let lost = before.keys().filter(|key| !after.contains_key(*key)).count();
    assert!(lost <= 1, "{what}: {lost} elements are lost");
    // One that is there has a value that somebody wrote, whole unless values are written in place.
    let in_place = matches!(
        map.kind(),
        MapType::ARRAY | MapType::PERCPU_ARRAY | MapType::PERCPU_HASH | MapType::LRU_PERCPU_HASH
    );
    for (key, value) in &after {
        let old = before.get(key).and_then(|v| v.first());
        let fits = |b: &u8| Some(b) == old || *b == 9 || map.is_percpu() && *b == 0;
        assert!(value.iter().all(fits), "{what}: key {key:?}: {value:?}");
        assert!(in_place || value.iter().all(|b| *b == value[0]), "{what}: torn");
    }
    usable(map, what, lru);
    usable(&again, what, lru);
}

/// Fills the map to its limit and empties it: no lock is stuck, and no element is missing or too many.
fn usable(map: &Arc<Map>, what: &str, lru: bool) {
    if matches!(map.kind(), MapType::ARRAY | MapType::PERCPU_ARRAY) {
        for n in 0..ENTRIES {
            map.update_from_host(&key_of(map, n), &value_of(map, 7), 0).expect("an array");
        }
        return;
    }
    for round in 0..3 {
        for key in contents(map).into_keys() {
            map.delete_from_host(&key).unwrap_or_else(|e| panic!("{what}: delete: {e}"));
        }
        assert_eq!(map.next_key(None).map_err(|e| e.errno), Err(Errno::ENOENT), "{what}: empty");
        for n in 0..ENTRIES {
            let done = match round {
                0 => map.update_from_host(&key_of(map, n), &value_of(map, 7), 1).map_err(|e| e.errno),
                _ => map.update(k(map, n), v(map, 7), 1, round - 1),
            };
            assert_eq!(done, Ok(()), "{what}: room for max_entries, round {round}, {n}");
        }
        assert_eq!(contents(map).len(), ENTRIES as usize, "{what}: all are there");
        let more = map.update(k(map, 4), v(map, 7), 1, 0);
        if lru {
            assert_eq!(more, Ok(()), "{what}: one goes for it");
        } else {
            assert!(
                matches!(more, Err(Errno::E2BIG | Errno::ENOSPC)),
                "{what}: no room for one more: {more:?}"
            );
        }
        // Replacing needs a spare one.
        for _ in 0..30 {
            assert_eq!(map.update(k(map, 3), v(map, 8), 0, 1), Ok(()), "{what}: replace");
        }
    }
}

fn def(kind: MapType, key: u32, flags: u32) -> MapDef {
    MapDef { flags: MapFlags(flags), ..MapDef::new(kind, key, 16, ENTRIES) }
}

#[test]
fn arrays() {
    kill_everywhere(&def(MapType::ARRAY, 4, 0));
    kill_everywhere(&def(MapType::PERCPU_ARRAY, 4, 0));
}

#[test]
fn hash() {
    kill_everywhere(&def(MapType::HASH, 4, 0));
}

#[test]
fn hash_without_preallocation() {
    kill_everywhere(&def(MapType::HASH, 4, MapFlags::NO_PREALLOC));
}

#[test]
fn percpu_hash() {
    kill_everywhere(&def(MapType::PERCPU_HASH, 4, 0));
}

#[test]
fn lru_hash() {
    kill_everywhere(&def(MapType::LRU_HASH, 4, 0));
}

#[test]
fn lru_percpu_hash() {
    kill_everywhere(&def(MapType::LRU_PERCPU_HASH, 4, MapFlags::NO_COMMON_LRU));
}

#[test]
fn lpm_trie() {
    kill_everywhere(&def(MapType::LPM_TRIE, 8, MapFlags::NO_PREALLOC));
}

/// Values come out in their order, each whole, and there is room for as many as there should be.
#[test]
fn queues_and_stacks() {
    for kind in [MapType::QUEUE, MapType::STACK] {
        let operations: [fn(&Map); 5] = [
            |m| _ = m.push(v(m, 9), 0, 1),
            |m| _ = m.push(v(m, 9), 2, 1),
            |m| _ = m.pop(&mut (&mut [0; 16][..]).into(), 0),
            |m| _ = m.peek(&mut (&mut [0; 16][..]).into(), 0),
            |m| drop(m.update_from_host(&[], &[9; 16], 0)),
        ];
        for (fill, operation) in [2, 4].into_iter().flat_map(|f| operations.iter().map(move |o| (f, o))) {
            for step in 1.. {
                let memory = SharedMemory::default();
                let map = Map::create(&def(kind, 0, 0), &config(), &memory).expect("legal");
                (0..fill).for_each(|n| map.update_from_host(&[], &[n + 1; 16], 0).expect("room"));
                if !dies_at(step, 2, &|| operation(&map)) {
                    break;
                }
                let mut seen: Vec<u8> = Vec::new();
                while let Ok(value) = map.pop_from_host() {
                    assert!(value.iter().all(|b| *b == value[0]), "torn");
                    seen.push(value[0]);
                }
                if kind == MapType::STACK {
                    seen.reverse();
                }
                let all: Vec<u8> = (1..=fill).collect();
                let mut may_be = vec![all.clone(), all[1..].to_vec(), all[..all.len() - 1].to_vec()];
                may_be.push([&all[..], &[9]].concat());
                may_be.push([&all[1..], &[9]].concat());
                assert!(may_be.contains(&seen), "{kind:?} at step {step}: {seen:?}");
                (0..4).for_each(|n| map.update_from_host(&[], &[n; 16], 0).expect("room for four"));
                assert_eq!(map.update_from_host(&[], &[0; 16], 0).map_err(|e| e.errno), Err(Errno::E2BIG));
            }
        }
    }
}

#[test]
fn stack_traces() {
    let def = MapDef::new(MapType::STACK_TRACE, 4, 24, ENTRIES);
    let operations: [fn(&Map, u32); 4] = [
        |m, id| drop(m.take_from_host(&id.to_ne_bytes(), 0)),
        |m, _| _ = m.stack_id(&[5, 6, 7], 1 << 10, 1),
        |m, _| _ = m.stack_id(&[1, 1, 1], 1 << 10, 0),
        |m, id| drop(m.delete_from_host(&id.to_ne_bytes())),
    ];
    for operation in operations {
        for step in 1.. {
            let memory = SharedMemory::default();
            let map = Map::create(&def, &config(), &memory).expect("legal");
            let ids: Vec<_> = (1..3).filter_map(|n| map.stack_id(&[n, n, n], 0, 0).ok()).collect();
            if !dies_at(step, 2, &|| operation(&map, ids[0])) {
                break;
            }
            let chains = contents(&map);
            for chain in chains.values() {
                let word = |i: usize| chain[8 * i];
                let sound =
                    word(0) == word(1) && word(1) == word(2) || [word(0), word(1), word(2)] == [5, 6, 7];
                assert!(sound, "at step {step}: {chain:?}");
            }
            // As many different chains as there are places, each under its own number.
            for key in chains.keys() {
                map.delete_from_host(key).expect("there");
            }
            let mut put = std::collections::BTreeSet::new();
            for n in 0..1000 {
                if let Ok(id) = map.stack_id(&[n, n + 1], 0, 1) {
                    put.insert(id);
                }
            }
            assert_eq!(put.len(), ENTRIES as usize, "at step {step}");
        }
    }
}

/// What a dead producer had reserved is skipped, what it had given out is there, and others' records come whole and in
/// order.
#[test]
fn ring_buffers() {
    let operations: [fn(&Map); 4] = [
        |m| _ = m.ringbuf().expect("a ring").output((&[9; 40]).into(), 0, 1),
        |m| _ = m.ringbuf().expect("a ring").output((&[]).into(), 0, 1),
        |m| {
            let ring = m.ringbuf().expect("a ring");
            let (a, b) = (ring.reserve(100, 0, 1), ring.reserve(0, 0, 1));
            let _ = (b.map(|b| ring.discard(b, 0)), a.map(|a| ring.submit(a, 0)));
        },
        // Across the end.
        |m| _ = m.ringbuf().expect("a ring").output((&[9; 3000]).into(), 0, 1),
    ];
    let mut kills = 0;
    for operation in operations {
        for step in 1.. {
            let memory = SharedMemory::default();
            let map =
                Map::create(&MapDef::new(MapType::RINGBUF, 0, 0, 4096), &config(), &memory).expect("legal");
            let ring = map.ringbuf().expect("a ring");
            let mut consumer = map.consumer().expect("the first");
            ring.output((&[1; 2000]).into(), 0, 0).expect("room");
            assert_eq!(consumer.poll(&mut |_| {}).expect("sound"), 1);
            ring.output((&[2; 8]).into(), 0, 0).expect("room");
            let open = ring.reserve(16, 0, 0).expect("room");
            if !dies_at(step, 2, &|| operation(&map)) {
                break;
            }
            kills += 1;
            let behind = ring.output((&[3; 24]).into(), 0, 0);
            assert!(
                behind.is_ok() || step > 100 && behind == Err(Errno::EAGAIN),
                "at step {step}: {behind:?}"
            );
            let mut seen: Vec<Vec<u8>> = Vec::new();
            consumer.poll(&mut |r| seen.push(r.to_vec())).expect("sound");
            assert_eq!(seen, [[2; 8]], "it waits for the record that lives, at step {step}");
            ring.submit(open, 0).expect("reserved");
            assert!(consumer.ready());
            consumer.poll(&mut |r| seen.push(r.to_vec())).expect("sound");
            if behind.is_ok() {
                assert_eq!(seen.pop(), Some(vec![3; 24]), "what came behind, at step {step}");
            }
            for record in &seen[2..] {
                assert!(record.iter().all(|b| *b == 9 || record.len() == 100), "a record of nobody");
            }
            // The whole ring can be had again, many times over.
            for n in 0..20u8 {
                ring.output((&[n; 1500]).into(), 0, 1).expect("room");
                ring.output((&[n; 1500]).into(), 0, 0).expect("room");
                let mut got = 0;
                consumer.poll(&mut |r| got += usize::from(*r == [n; 1500])).expect("sound");
                assert_eq!(got, 2, "at step {step}");
            }
        }
    }
    assert!(kills > 100, "{kills}");
}

/// A producer finds no room because a dead one's record was never given out, and nobody consumes: once the consumer comes,
/// there is room.
#[test]
fn a_ring_that_the_dead_filled() {
    let memory = SharedMemory::default();
    let map = Map::create(&MapDef::new(MapType::RINGBUF, 0, 0, 4096), &config(), &memory).expect("legal");
    let ring = map.ringbuf().expect("a ring");
    assert!(!dies_at(u32::MAX, 2, &|| { while ring.reserve(100, 0, 0).is_ok() {} }));
    assert_eq!(ring.output((&[1; 200]).into(), 0, 0), Err(Errno::EAGAIN));
    let mut consumer = map.consumer().expect("the first");
    assert_eq!(consumer.poll(&mut |_| panic!("nothing was given out")).expect("sound"), 0);
    ring.output((&[1; 200]).into(), 0, 0).expect("room");
    assert_eq!(consumer.poll(&mut |r| assert_eq!(r, [1; 200])).expect("sound"), 1);
}

/// Runs of a process that died hold nodes of a trie no longer than they are needed.
#[test]
fn runs_of_the_dead_end() {
    let mut trie = def(MapType::LPM_TRIE, 8, MapFlags::NO_PREALLOC);
    // Few spare nodes.
    trie.value_size = 1 << 20;
    let memory = SharedMemory::default();
    let map = Map::create(&trie, &config(), &memory).expect("legal");
    let value = vec![1; 1 << 20];
    let key = key_of(&map, 1);
    map.update_from_host(&key, &value, 0).expect("room");
    assert!(!dies_at(u32::MAX, 2, &|| map.begin_run(1)));
    for _ in 0..100 {
        map.update_from_host(&key, &value, 0).expect("no run that lives holds nodes");
    }
}

/// Whoever dies in the middle of `operation` leaves a map that `sound` finds so.
fn kill_each_step(def: &MapDef, fill: &dyn Fn(&Map), operations: &[fn(&Map)], sound: &dyn Fn(&Map, &str)) {
    let mut kills = 0;
    for (i, operation) in operations.iter().enumerate() {
        for step in 1.. {
            assert!(step < 100_000, "the operation has an end");
            let memory = SharedMemory::default();
            let map = Map::create(def, &config(), &memory).expect("legal");
            fill(&map);
            if !dies_at(step, 2, &|| operation(&map)) {
                break;
            }
            kills += 1;
            let what = format!("{:?}, operation {i} at step {step}", def.kind);
            sound(&map, &what);
            memory.0.borrow_mut().again = true;
            if let Ok(header) = Header::parse("again", &memory.header(), PAGE) {
                sound(&Map::open(&header, &config(), &memory).expect("sound"), &what);
            }
        }
    }
    assert!(kills > 2 * operations.len(), "{:?}: {kills} kills", def.kind);
}

/// What was added before is found, and more can be added.
#[test]
fn bloom_filters() {
    kill_each_step(
        &MapDef::new(MapType::BLOOM_FILTER, 0, 16, 64),
        &|m| (0..3).for_each(|n| m.push(v(m, n), 0, 0).expect("it takes all")),
        &[|m| _ = m.push(v(m, 9), 0, 1), |m| drop(m.update_from_host(&[], &value_of(m, 9), 0))],
        &|m, what| {
            (0..3).for_each(|n| assert_eq!(m.peek_value(v(m, n)), Ok(()), "{what}"));
            m.push(v(m, 9), 0, 0).expect("it takes all");
            assert_eq!(m.peek_value(v(m, 9)), Ok(()), "{what}");
        },
    );
}

/// Pages that are there stay with what is in them; those that the dead had taken are free again once they are freed.
#[test]
fn arenas() {
    const PAGES: u32 = 4;
    kill_each_step(
        &MapDef { flags: MapFlags(MapFlags::MMAPABLE), ..MapDef::new(MapType::ARENA, 0, 0, PAGES) },
        &|m| {
            let arena = m.arena().expect("one");
            assert_eq!(arena.alloc_pages(0, 1, -1), arena.base());
            arena.write(8, &[7; 16]).expect("there");
        },
        &[
            |m| _ = m.arena().map(|a| a.alloc_pages(0, 2, -1)),
            |m| _ = m.arena().map(|a| a.alloc_pages(a.base() + 2 * PAGE as u64, 1, -1)),
            |m| _ = m.arena().map(|a| a.reserve_pages(a.base() + PAGE as u64, 3)),
            |m| _ = m.arena().map(|a| a.free_pages(a.base() + PAGE as u64, 3)),
            |m| _ = m.arena().map(|a| a.write(PAGE as u64 * 3 - 4, &[9; 8])),
        ],
        &|m, what| {
            let arena = m.arena().expect("one");
            let mut seen = [0; 16];
            arena.read(8, &mut seen).expect("it is there");
            assert_eq!(seen, [7; 16], "{what}");
            arena.free_pages(arena.base() + PAGE as u64, PAGES - 1);
            let rest = arena.alloc_pages(0, PAGES - 1, -1);
            assert_eq!(rest, arena.base() + PAGE as u64, "{what}: all pages can be had");
            for page in 1..PAGES {
                let mut seen = [1; PAGE];
                arena.read(u64::from(page) * PAGE as u64, &mut seen).expect("there");
                assert_eq!(seen, [0; PAGE], "{what}: of zeros");
            }
        },
    );
}

/// Each kind of storage: the values of other objects stay, and there is a value for the object of the dead or there is not.
#[test]
fn storages() {
    // The four kinds are one in all but whose the objects are.
    let kind = MapType::TASK_STORAGE;
    // Large values, so that there is little to look through.
    let mut types = skep_btf::Builder::new();
    let int = types.int("int", 4, skep_btf::IntEncoding::Signed);
    let value = types.structure("value", 8_000, &[("a", int, 0)]);
    let btf = Some(Arc::new(types.finish().expect("legal")));
    let ids = MapDef { btf, key_btf_id: int.0, value_btf_id: value.0, ..MapDef::default() };
    let flags = MapFlags(MapFlags::NO_PREALLOC);
    let def = MapDef { flags, kind, key_size: 4, value_size: 8_000, ..ids };
    kill_each_step(
        &def,
        &|m| (1..3).for_each(|n| m.storage_update([n, n], &value_of(m, n as u8), 0).expect("room")),
        &[
            |m| _ = m.storage_get([9, 9], true, Some(v(m, 9)), 1),
            |m| _ = m.storage_get([9, 9], true, None, 1),
            |m| _ = m.storage_delete([1, 1], 1),
            |m| drop(m.storage_update([1, 1], &value_of(m, 9), 0)),
            |m| drop(m.storage_remove([1, 1])),
        ],
        &|m, what| {
            let value = |n: u64| m.storage_lookup([n, n], 0).map(|v| v[0]).map_err(|e| e.errno);
            assert_eq!(value(2), Ok(2), "{what}");
            // The second who looks finds what the first one put in.
            assert!(matches!(value(1), Ok(1 | 9 | 5) | Err(Errno::ENOENT)), "{what}: {:?}", value(1));
            assert!(matches!(value(9), Ok(9 | 0 | 5) | Err(Errno::ENOENT)), "{what}: {:?}", value(9));
            let mut objects = m.storage_objects();
            objects.sort_unstable();
            let all = objects.len();
            objects.dedup();
            assert_eq!(objects.len(), all, "{what}: an object comes twice");
            for n in [1, 9] {
                let _ = m.storage_remove([n, n]);
                m.storage_update([n, n], &value_of(m, 5), 1).unwrap_or_else(|e| panic!("{what}: {e}"));
            }
        },
    );
}

/// Interfaces, queues and sockets: an element is what it was, what it was to be, or gone.
#[test]
fn targets_and_sockets() {
    let devices = [MapType::DEVMAP, MapType::DEVMAP_HASH];
    for def in devices.map(|kind| MapDef::new(kind, 4, 4, ENTRIES)) {
        let put =
            |m: &Map, n: u32, to: u32| m.update_device(&n.to_ne_bytes(), &to.to_ne_bytes(), 0, &|_| true);
        kill_each_step(
            &def,
            &|m| (0..2).for_each(|n| put(m, n, 10 + n).expect("room")),
            &[
                |m| drop(m.update_device(&1u32.to_ne_bytes(), &19u32.to_ne_bytes(), 0, &|_| true)),
                |m| drop(m.update_device(&3u32.to_ne_bytes(), &19u32.to_ne_bytes(), 0, &|_| true)),
                |m| drop(m.delete_from_host(&1u32.to_ne_bytes())),
            ],
            &|m, what| {
                assert_eq!(m.redirect_target(0), Some(10), "{what}");
                assert!(matches!(m.redirect_target(1), None | Some(11 | 19)), "{what}");
                assert!(matches!(m.redirect_target(3), None | Some(13 | 19)), "{what}");
                (0..ENTRIES).for_each(|n| put(m, n, 10 + n).unwrap_or_else(|e| panic!("{what}: {e}")));
            },
        );
    }
    let cpumap = MapDef::new(MapType::CPUMAP, 4, 4, 2);
    kill_each_step(
        &cpumap,
        &|m| m.update_from_host(&0u32.to_ne_bytes(), &64u32.to_ne_bytes(), 0).expect("a CPU"),
        &[|m| drop(m.update_from_host(&1u32.to_ne_bytes(), &9u32.to_ne_bytes(), 0))],
        &|m, what| {
            m.update_from_host(&1u32.to_ne_bytes(), &8u32.to_ne_bytes(), 0)
                .unwrap_or_else(|e| panic!("{what}: {e}"));
        },
    );
    for kind in [MapType::SOCKMAP, MapType::SOCKHASH] {
        kill_each_step(
            &MapDef::new(kind, 4, 8, ENTRIES),
            &|m| m.update_socket(&0u32.to_ne_bytes(), 7, 0).expect("room"),
            &[
                |m| drop(m.update_socket(&0u32.to_ne_bytes(), 9, 0)),
                |m| drop(m.update_socket(&2u32.to_ne_bytes(), 9, 0)),
                |m| drop(m.delete_from_host(&0u32.to_ne_bytes())),
            ],
            &|m, what| {
                for n in 0..ENTRIES {
                    let cookie = m.lookup_copy(&n.to_ne_bytes(), 0).map(|v| v[0]);
                    assert!(matches!(cookie, Err(_) | Ok(7 | 9)), "{what}: {cookie:?}");
                    m.update_socket(&n.to_ne_bytes(), 5, 0).unwrap_or_else(|e| panic!("{what}: {e}"));
                }
            },
        );
    }
}
