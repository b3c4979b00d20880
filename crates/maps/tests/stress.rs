//! Many threads on one map: bounded in rounds, with checks that hold whatever the interleaving.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use skep_abi::MapType;
use skep_maps::{Bytes, Config, Heap, Map, Wake};
use skep_spec::{Errno, MapDef};
use support::Rng;

const THREADS: u32 = 4;

fn map(kind: MapType, key: u32, value: u32, entries: u32) -> Arc<Map> {
    let config = Config { relax: thread::yield_now, ..Config::new(THREADS) };
    Map::create(&MapDef::new(kind, key, value, entries), &config, &Heap).expect("legal")
}

fn on_all_cpus(work: impl Fn(u32) + Sync) {
    thread::scope(|s| {
        for cpu in 0..THREADS {
            let work = &work;
            s.spawn(move || work(cpu));
        }
    });
}

/// Runs find maps in a map of maps while the host replaces and deletes them. What a run found lives until it ends, also
/// when the run lets go of it, and what nobody can find is gone in the end.
#[test]
fn maps_of_maps() {
    for kind in [MapType::ARRAY_OF_MAPS, MapType::HASH_OF_MAPS] {
        let inner = MapDef::new(MapType::ARRAY, 4, 8, 1);
        let def = MapDef { inner: Some(Box::new(inner.clone())), ..MapDef::new(kind, 4, 4, 3) };
        let config = Config { relax: thread::yield_now, ..Config::new(THREADS) };
        let outer = Map::create(&def, &config, &Heap).expect("legal");
        let made = std::sync::Mutex::new(Vec::new());
        on_all_cpus(|cpu| {
            let mut rng = Rng::new(u64::from(cpu) + 5);
            for round in 0..2_000 * support::campaign() {
                let key = (rng.below(3) as u32).to_ne_bytes();
                if cpu == 0 && rng.below(4) == 0 {
                    match outer.delete_from_host(&key).map_err(|e| e.errno) {
                        Ok(()) | Err(Errno::ENOENT) => {}
                        Err(e) => panic!("delete: {e}"),
                    }
                } else if cpu < 2 {
                    let id = u32::from(cpu == 0) + 2 * round as u32 + 1;
                    let map = Map::create(&inner, &config, &Heap).expect("legal");
                    map.update_from_host(&[0; 4], &u64::from(id).to_ne_bytes(), 0).expect("an array");
                    outer.set_map(&key, id, &map, 0).expect("it fits");
                    made.lock().expect("nobody panics").push(Arc::downgrade(&map));
                } else {
                    outer.begin_run(cpu);
                    if let Some(id) = outer.inner_id((&key).into()) {
                        let found =
                            Arc::downgrade(&outer.inner_map(id, cpu).expect("it was found in this run"));
                        for _ in 0..rng.below(3) {
                            thread::yield_now();
                        }
                        let map = found.upgrade().expect("it lives while the run lasts");
                        let value = map.lookup_copy(&[0; 4], 0).expect("an array");
                        assert_eq!(value, u64::from(id).to_ne_bytes());
                        assert!(outer.inner_map(id, cpu).is_some_and(|m| Arc::ptr_eq(&m, &map)));
                    }
                    outer.end_run(cpu);
                }
            }
        });
        // One more change lets go of what the last runs kept.
        let last = Map::create(&inner, &config, &Heap).expect("legal");
        outer.set_map(&[0; 4], u32::MAX, &last, 0).expect("it fits");
        let alive = made.into_inner().expect("nobody panics").iter().filter(|m| m.strong_count() > 0).count();
        assert!(alive <= 2, "{kind:?}: {alive} maps live, two slots hold one");
    }
}

/// A run cannot name a map that left before it began, though an older run keeps it.
#[test]
fn maps_that_left_before_a_run() {
    let inner = MapDef::new(MapType::ARRAY, 4, 8, 1);
    let def = MapDef { inner: Some(Box::new(inner.clone())), ..MapDef::new(MapType::ARRAY_OF_MAPS, 4, 4, 1) };
    let outer = Map::create(&def, &Config::new(2), &Heap).expect("legal");
    let map = Map::create(&inner, &Config::new(2), &Heap).expect("legal");
    let value = map.value_area().expect("an array").addr;
    outer.set_map(&[0; 4], 7, &map, 0).expect("it fits");
    outer.begin_run(0);
    outer.delete_from_host(&[0; 4]).expect("it is there");
    outer.begin_run(1);
    assert!(
        outer.inner_map(7, 0).is_some() && outer.inner_holding(value, 8, 0).is_some(),
        "the older run keeps it"
    );
    assert!(outer.inner_map(7, 1).is_none() && outer.inner_holding(value, 8, 1).is_none());
    outer.end_run(1);
    outer.end_run(0);
    let left = Arc::downgrade(&map);
    drop(map);
    assert!(left.upgrade().is_some(), "it stays until the next change");
    assert_eq!(outer.delete_from_host(&[0; 4]).map_err(|e| e.errno), Err(Errno::ENOENT));
    outer
        .set_map(&[0; 4], 8, &Map::create(&inner, &Config::new(2), &Heap).expect("legal"), 0)
        .expect("it fits");
    assert!(left.upgrade().is_none());
}

/// Values repeat their key; some keys stay, others come and go. What a copy shows belongs to its key, what
/// stays is always found, and the count of free elements is right in the end.
#[test]
fn hash() {
    const STAY: u64 = 8;
    const GO: u64 = 40;
    let m = map(MapType::HASH, 16, 24, (STAY + 12) as u32);
    let key = |n: u64| [n, !n].map(u64::to_ne_bytes).concat();
    let value = |n: u64| [n, n, n].map(u64::to_ne_bytes).concat();
    for n in 0..STAY {
        m.update_from_host(&key(n), &value(n), 0).expect("room");
    }
    on_all_cpus(|cpu| {
        let mut rng = Rng::new(u64::from(cpu) + 11);
        for _ in 0..8_000 * support::campaign() {
            let n = rng.below(STAY + GO);
            let (k, v) = (key(n), value(n));
            match rng.below(6) {
                0 | 1 if n < STAY => m.update(k[..].into(), v[..].into(), 2, cpu).expect("it stays"),
                0 | 1 => match m.update(k[..].into(), v[..].into(), 0, cpu) {
                    Ok(()) | Err(Errno::E2BIG) => {}
                    Err(e) => panic!("update: {e}"),
                },
                2 | 3 if n >= STAY => match m.delete(k[..].into(), cpu) {
                    Ok(()) | Err(Errno::ENOENT) => {}
                    Err(e) => panic!("delete: {e}"),
                },
                4 => {
                    let next = m.next_key(Some(&k)).map_err(|e| e.errno);
                    let word = |b: &[u8]| u64::from_ne_bytes(b.try_into().expect("8 bytes"));
                    assert!(
                        next.is_err() || next.is_ok_and(|k| word(&k[..8]) == !word(&k[8..])),
                        "whole keys"
                    );
                }
                _ => match m.lookup_copy(&k, 0) {
                    Ok(copy) => assert_eq!(copy, v, "the value of key {n}"),
                    Err(e) => assert!(e.errno == Errno::ENOENT && n >= STAY, "key {n}: {e}"),
                },
            }
        }
    });
    for n in STAY..STAY + GO {
        let _ = m.delete_from_host(&key(n));
    }
    for n in 1000..1012 {
        m.update_from_host(&key(n), &value(n), 1).expect("room for max_entries keys");
    }
    assert_eq!(m.update_from_host(&key(2000), &value(0), 0).map_err(|e| e.errno), Err(Errno::E2BIG));
}

/// Each CPU counts in its own value; nothing is lost while others insert and delete.
#[test]
fn percpu_hash() {
    let m = map(MapType::PERCPU_HASH, 4, 8, 16);
    let key = 1u32.to_ne_bytes();
    m.update_from_host(&key, &[0; 8 * THREADS as usize], 0).expect("room");
    const ROUNDS: u64 = 5_000;
    on_all_cpus(|cpu| {
        let other = (100 + cpu).to_ne_bytes();
        for n in 1..=ROUNDS {
            m.update((&key).into(), (&n.to_ne_bytes()).into(), 2, cpu).expect("present");
            m.update((&other).into(), (&n.to_ne_bytes()).into(), 1, cpu).expect("room");
            m.delete((&other).into(), cpu).expect("present");
        }
    });
    assert_eq!(m.lookup_copy(&key, 0).expect("present"), ROUNDS.to_ne_bytes().repeat(THREADS as usize));
}

/// Producers of all lengths, reserving and discarding; a consumer that only looks when it was woken sees all
/// that was submitted, whole and in each producer's order.
#[test]
fn ringbuf() {
    struct Flag(Arc<(AtomicBool, thread::Thread)>);
    impl Wake for Flag {
        fn wake(&self) {
            self.0.0.store(true, Ordering::SeqCst);
            self.0.1.unpark();
        }
    }
    const RECORDS: u32 = 4_000;
    let m = map(MapType::RINGBUF, 0, 0, 4096);
    let flag = Arc::new((AtomicBool::new(false), thread::current()));
    m.ringbuf().expect("a ring").add_wake(Box::new(Flag(flag.clone())));
    let mut consumer = m.consumer().expect("the first");
    let mut next = [0u32; THREADS as usize];
    thread::scope(|s| {
        for cpu in 0..THREADS {
            let m = &m;
            s.spawn(move || {
                let ring = m.ringbuf().expect("a ring");
                let mut rng = Rng::new(u64::from(cpu));
                for n in 0..RECORDS {
                    let mut record = [cpu, n].map(u32::to_ne_bytes).concat();
                    record.resize(8 + rng.below(300) as usize, n as u8);
                    if rng.below(4) == 0
                        && let Ok(addr) = ring.reserve(rng.below(100), 0, cpu)
                    {
                        ring.discard(addr, 0).expect("reserved");
                    }
                    while let Err(e) = ring.output(Bytes::from(record.as_slice()), 0, cpu) {
                        assert_eq!(e, Errno::EAGAIN);
                        thread::yield_now();
                    }
                }
            });
        }
        let mut seen = 0;
        while seen < RECORDS * THREADS {
            let found = consumer.poll(&mut |r| {
                let cpu = u32::from_ne_bytes(r[..4].try_into().expect("4 bytes"));
                let n = u32::from_ne_bytes(r[4..8].try_into().expect("4 bytes"));
                assert_eq!(n, std::mem::replace(&mut next[cpu as usize], n + 1), "order of CPU {cpu}");
                assert!(r[8..].iter().all(|&b| b == n as u8), "a whole record");
                seen += 1;
            });
            if found.expect("sound") == 0 && seen < RECORDS * THREADS {
                let start = std::time::Instant::now();
                while !consumer.ready() && !flag.0.swap(false, Ordering::SeqCst) {
                    thread::park_timeout(std::time::Duration::from_secs(1));
                    assert!(start.elapsed().as_secs() < 50, "not woken with {seen} records");
                }
            }
        }
    });
    assert_eq!(next, [RECORDS; THREADS as usize]);
}

/// A map lives as long as anybody holds it, a consumer included.
#[test]
fn lifetime() {
    let m = map(MapType::RINGBUF, 0, 0, 4096);
    let weak = Arc::downgrade(&m);
    let consumer = m.consumer().expect("the first");
    drop(m);
    assert!(weak.upgrade().is_some(), "the consumer holds it");
    drop(consumer);
    assert!(weak.upgrade().is_none(), "nobody holds it");
}

/// Threads that insert far more keys than there is room for never find an LRU hash full; what they see belongs
/// to its key, and no element is lost.
#[test]
fn lru_hash() {
    const ROOM: u64 = 32;
    const KEYS: u64 = 200;
    let m = map(MapType::LRU_HASH, 8, 16, ROOM as u32);
    let key = |n: u64| n.to_ne_bytes();
    let value = |n: u64| [n, !n].map(u64::to_ne_bytes).concat();
    on_all_cpus(|cpu| {
        let mut rng = Rng::new(u64::from(cpu) + 5);
        for _ in 0..8_000 * support::campaign() {
            let n = rng.below(KEYS);
            match rng.below(8) {
                0..5 => m
                    .update((&key(n)).into(), value(n)[..].into(), 0, cpu)
                    .unwrap_or_else(|e| panic!("insert into an LRU hash: {e}")),
                5 => {
                    let deleted = m.delete((&key(n)).into(), cpu);
                    assert!(matches!(deleted, Ok(()) | Err(Errno::ENOENT)), "delete: {deleted:?}");
                }
                6 => drop(m.lookup((&key(n)).into(), cpu)),
                _ => match m.lookup_copy(&key(n), 0) {
                    Ok(copy) => assert_eq!(copy, value(n), "the value of key {n}"),
                    Err(e) => assert_eq!(e.errno, Errno::ENOENT, "key {n}"),
                },
            }
        }
    });
    let there = |from: u64| (from..from + KEYS).filter(|&n| m.lookup_copy(&key(n), 0).is_ok()).count();
    assert!(there(0) <= ROOM as usize, "{} elements", there(0));
    for n in 1000..1000 + KEYS {
        m.update_from_host(&key(n), &value(n), 1).expect("an insert");
    }
    assert_eq!((there(0), there(1000)), (0, ROOM as usize), "the newest fill it");
}

/// Prefixes come and go under lookups: a copy belongs to a prefix of its key, the default is always found.
#[test]
fn lpm_trie() {
    let config = Config { relax: thread::yield_now, ..Config::new(THREADS) };
    let flags = skep_abi::MapFlags(skep_abi::MapFlags::NO_PREALLOC);
    let def = MapDef { flags, ..MapDef::new(MapType::LPM_TRIE, 8, 16, 64) };
    let m = Map::create(&def, &config, &Heap).expect("legal");
    let key = |prefix: u32, data: u32| [prefix.to_ne_bytes(), data.to_be_bytes()].concat();
    let value = |prefix: u32, data: u32| {
        let cut = u64::from(data) >> (32 - prefix) << (32 - prefix);
        [u64::from(prefix), cut].map(u64::to_ne_bytes).concat()
    };
    m.update_from_host(&key(0, 0), &value(0, 0), 0).expect("room");
    on_all_cpus(|cpu| {
        let mut rng = Rng::new(u64::from(cpu) + 3);
        for _ in 0..8_000 * support::campaign() {
            let (prefix, data) = (1 + rng.below(8) as u32, (rng.next() as u32) << 24);
            let (k, v) = (key(prefix, data), value(prefix, data));
            match rng.below(4) {
                0 => {
                    let done = m.update(k[..].into(), v[..].into(), 0, cpu);
                    assert!(matches!(done, Ok(()) | Err(Errno::ENOSPC)), "update: {done:?}");
                }
                1 => {
                    let done = m.delete(k[..].into(), cpu);
                    assert!(matches!(done, Ok(()) | Err(Errno::ENOENT)), "delete: {done:?}");
                }
                _ => {
                    let copy = m.lookup_copy(&key(32, data), 0).expect("the default matches");
                    let prefix = u64::from_ne_bytes(copy[..8].try_into().expect("8 bytes")) as u32;
                    assert!(prefix <= 8, "{prefix}");
                    assert_eq!(copy, value(prefix, data), "what matches {data:#x}");
                }
            }
        }
    });
    let mut keys = Vec::new();
    while let Ok(next) = m.next_key(keys.last().map(Vec::as_slice)) {
        assert!(m.lookup_copy(&next, 0).is_ok(), "{next:?}");
        keys.push(next);
    }
    keys.iter().for_each(|k| m.delete_from_host(k).expect("it is there"));
    for n in 0..64 {
        m.update_from_host(&key(8, n << 24), &value(8, n << 24), 1).expect("room for max_entries prefixes");
    }
}
