//! The map algorithms under a scheduler that switches threads at every access to shared memory.
//!
//! ```text
//! RUSTFLAGS="--cfg shuttle" cargo test -p skep-maps --test shuttle --target-dir target/shuttle --release
//! ```
//!
//! `SKEP_MAPS_CAMPAIGN=100` runs a hundred times as many schedules. The scheduler is sequentially consistent:
//! it finds wrong algorithms, not wrong memory orderings (those are argued for in the source).
#![cfg(shuttle)]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use shuttle::thread;
use skep_abi::{MapFlags, MapType};
use skep_maps::{Bytes, Config, Heap, Map};
use skep_spec::{Errno, MapDef};

fn schedules(run: impl Fn() + Send + Sync + 'static) {
    shuttle::check_random(run, 1000 * support::campaign() as usize);
}

fn map(kind: MapType, key: u32, value: u32, entries: u32) -> Arc<Map> {
    let config = Config { relax: || thread::yield_now(), sleep: |_| thread::yield_now(), ..Config::new(2) };
    Map::create(&MapDef::new(kind, key, value, entries), &config, &Heap).expect("legal")
}

/// A key that is only ever replaced is found by every lookup, also when it stands behind another in its list:
/// then the new element comes in before the lookup's place and the old one goes out behind it.
#[test]
fn hash_lookup_against_replacement() {
    // Whether two keys share one of the two buckets is the hash's secret: some of these do.
    for other in 2..6u64 {
        schedules(move || {
            let m = map(MapType::HASH, 8, 8, 2);
            let key = 1u64.to_ne_bytes();
            m.update_from_host(&key, &key, 0).expect("room");
            m.update_from_host(&other.to_ne_bytes(), &key, 0).expect("room");
            let writer = {
                let m = m.clone();
                thread::spawn(move || {
                    for v in [1u64, 2] {
                        let value = v.to_ne_bytes();
                        assert_eq!(m.update((&key).into(), (&value).into(), 0, 0), Ok(()));
                    }
                })
            };
            for _ in 0..2 {
                assert!(m.lookup((&key).into(), 1).is_some(), "a present key is found");
                let copy = m.lookup_copy(&key, 0).expect("a present key is found");
                assert!(matches!(u64::from_ne_bytes(copy.try_into().expect("8 bytes")), 1 | 2));
            }
            writer.join().expect("no panic");
        });
    }
}

/// Keys that are only replaced come once in a copy of the whole map, which another key that comes and goes does not upset.
#[test]
fn hash_copies_against_replacement() {
    schedules(|| {
        let m = map(MapType::HASH, 8, 8, 8);
        for key in [1u64, 2] {
            m.update_from_host(&key.to_ne_bytes(), &key.to_ne_bytes(), 0).expect("room");
        }
        let writer = {
            let m = m.clone();
            thread::spawn(move || {
                for key in [1u64, 2, 3, 1] {
                    let key = key.to_ne_bytes();
                    assert_eq!(m.update((&key).into(), (&key).into(), 0, 0), Ok(()));
                }
                assert_eq!(m.delete((&3u64.to_ne_bytes()).into(), 0), Ok(()));
            })
        };
        for _ in 0..3 {
            let (mut keys, mut values) = ([0; 64], [0; 64]);
            let batch = m.lookup_batch(0, &mut keys, &mut values).expect("there is room");
            assert_eq!(batch.next, None);
            let mut seen: Vec<u64> = keys[..8 * batch.count]
                .chunks_exact(8)
                .map(|k| u64::from_ne_bytes(k.try_into().expect("8 bytes")))
                .filter(|&key| key != 3)
                .collect();
            seen.sort_unstable();
            assert_eq!(seen, [1, 2]);
            thread::yield_now();
        }
        writer.join().expect("no panic");
    });
}

/// An element that is freed and reused for another key, in the same list, neither hides a key that stays nor
/// answers for one that it does not hold.
#[test]
fn hash_lookup_against_reuse() {
    schedules(|| {
        let m = map(MapType::HASH, 16, 16, 2);
        // Keys whose halves mix into another key when torn; values equal to their keys.
        let key = |a: u64, b: u64| {
            let mut k = [0u8; 16];
            k[..8].copy_from_slice(&a.to_ne_bytes());
            k[8..].copy_from_slice(&b.to_ne_bytes());
            k
        };
        let (stays, a, b) = (key(7, 7), key(1, 1), key(2, 2));
        m.update_from_host(&stays, &stays, 0).expect("room");
        m.update_from_host(&a, &a, 0).expect("room");
        let writer = {
            let m = m.clone();
            thread::spawn(move || {
                for (old, new) in [(a, b), (b, a)] {
                    assert_eq!(m.delete((&old).into(), 0), Ok(()));
                    assert_eq!(m.update((&new).into(), (&new).into(), 0, 0), Ok(()));
                }
            })
        };
        for _ in 0..2 {
            assert!(m.lookup_copy(&stays, 0).is_ok_and(|v| v == stays), "the key that stays");
            for torn in [key(1, 2), key(2, 1)] {
                assert_eq!(m.lookup((&torn).into(), 1), None, "a key that never was");
            }
            for k in [a, b] {
                assert!(m.lookup_copy(&k, 0).map_or(true, |v| v == k), "another key's value");
            }
        }
        writer.join().expect("no panic");
    });
}

/// Two writers fill and empty a map: `max_entries` holds, nothing is lost or doubled. The host and CPU 0 share
/// a stack of free elements.
#[test]
fn hash_two_writers() {
    schedules(|| {
        let m = map(MapType::HASH, 4, 8, 3);
        let shared = 1u32.to_ne_bytes();
        m.update_from_host(&shared, &[0; 8], 0).expect("room");
        let program = {
            let m = m.clone();
            thread::spawn(move || {
                let own = 10u32.to_ne_bytes();
                for value in [[10; 8], [11; 8]] {
                    assert_eq!(m.update((&shared).into(), (&value).into(), 0, 0), Ok(()));
                    assert_eq!(m.update((&own).into(), (&value).into(), 0, 0), Ok(()), "room for three keys");
                    assert_eq!(
                        m.lookup_copy(&own, 0).as_deref(),
                        Ok(value.as_slice()),
                        "nobody else writes it"
                    );
                    assert_eq!(m.delete((&own).into(), 0), Ok(()));
                }
            })
        };
        let own = 20u32.to_ne_bytes();
        for value in [[20; 8], [21; 8]] {
            m.update_from_host(&shared, &value, 0).expect("room");
            m.update_from_host(&own, &value, 0).expect("room for three keys");
            assert_eq!(m.lookup_copy(&own, 0).as_deref(), Ok(value.as_slice()), "nobody else writes it");
            m.delete_from_host(&own).expect("present");
        }
        program.join().expect("no panic");
        assert_eq!(m.next_key(None).expect("one key"), shared);
        assert_eq!(m.next_key(Some(&shared)).map_err(|e| e.errno), Err(Errno::ENOENT));
        for i in 0..2u32 {
            m.update_from_host(&(30 + i).to_ne_bytes(), &[0; 8], 0).expect("room for three keys");
        }
        assert_eq!(
            m.update_from_host(&99u32.to_ne_bytes(), &[0; 8], 0).map_err(|e| e.errno),
            Err(Errno::E2BIG)
        );
    });
}

/// Two producers and a consumer: every record comes once, whole, in each producer's order, and a consumer
/// that sleeps until it is woken misses none.
#[test]
fn ringbuf_producers_and_consumer() {
    use std::sync::atomic::{AtomicU32, Ordering};
    struct Count(Arc<AtomicU32>);
    impl skep_maps::Wake for Count {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    schedules(|| {
        let m = map(MapType::RINGBUF, 0, 0, 4096);
        let woken = Arc::new(AtomicU32::new(0));
        m.ringbuf().expect("a ring").add_wake(Box::new(Count(woken.clone())));
        let producers: Vec<_> = (0..2u32)
            .map(|cpu| {
                let m = m.clone();
                thread::spawn(move || {
                    let ring = m.ringbuf().expect("a ring");
                    for n in 0..2u32 {
                        let record = [cpu, n].map(u32::to_ne_bytes).concat();
                        ring.output(Bytes::from(record.as_slice()), 0, cpu).expect("room");
                    }
                })
            })
            .collect();
        let mut consumer = m.consumer().expect("the first");
        let mut seen = Vec::new();
        let mut wakes = 0;
        while seen.len() < 4 {
            let found = consumer.poll(&mut |r| seen.push(r.to_vec())).expect("sound");
            if found == 0 {
                // As a thread that sleeps until it is woken; nobody else would wake it.
                let mut patience = 2000;
                while woken.load(Ordering::SeqCst) == wakes {
                    thread::yield_now();
                    patience -= 1;
                    assert!(patience > 0, "asleep with {} of 4 records", seen.len());
                }
                wakes = woken.load(Ordering::SeqCst);
            }
        }
        producers.into_iter().for_each(|p| p.join().expect("no panic"));
        let set: BTreeSet<_> = seen.iter().cloned().collect();
        assert_eq!(set.len(), 4, "each once");
        for cpu in 0..2u32 {
            let order: Vec<_> = seen.iter().filter(|r| r[..4] == cpu.to_ne_bytes()).map(|r| r[4]).collect();
            assert_eq!(order, [0, 1], "in the producer's order");
        }
    });
}

/// What a run found in a trie stays as it was found until the run ends, whatever is replaced and added meanwhile.
#[test]
fn trie_nodes_wait_for_runs() {
    schedules(|| {
        let flags = MapFlags(MapFlags::NO_PREALLOC);
        let def = MapDef { flags, ..MapDef::new(MapType::LPM_TRIE, 5, 8, 2) };
        let config =
            Config { relax: || thread::yield_now(), sleep: |_| thread::yield_now(), ..Config::new(2) };
        let m = Map::create(&def, &config, &Heap).expect("legal");
        let key = [8u8, 0, 0, 0, 1];
        m.update_from_host(&key, &0u64.to_ne_bytes(), 0).expect("room");
        let writer = {
            let m = m.clone();
            thread::spawn(move || {
                for n in 1..5u64 {
                    assert_eq!(m.update((&key).into(), (&n.to_ne_bytes()).into(), 0, 0), Ok(()));
                }
            })
        };
        for _ in 0..2 {
            m.begin_run(1);
            let at = m.lookup((&key).into(), 1).expect("it is always there");
            // SAFETY: the address of an 8-byte value of a map that lives; others write it atomically.
            let read = || unsafe { AtomicU64::from_ptr(at as *mut u64) }.load(Ordering::Relaxed);
            let first = read();
            for _ in 0..4 {
                thread::yield_now();
                assert_eq!(read(), first, "the node was used again");
            }
            m.end_run(1);
        }
        writer.join().expect("no panic");
    });
}

/// Runs that find a map in a slot that is never empty: it lives and is found again until the run ends.
fn find_maps(outer: &Map, runs: u32) {
    for _ in 0..runs {
        outer.begin_run(1);
        let id = outer.inner_id((&[0; 4]).into()).expect("the slot is never empty");
        let found = Arc::downgrade(&outer.inner_map(id, 1).expect("it was found in this run"));
        for _ in 0..3 {
            thread::yield_now();
            assert!(found.upgrade().is_some(), "it went while the run may have its address");
            assert!(outer.inner_map(id, 1).is_some(), "it is found again");
        }
        outer.end_run(1);
    }
}

/// What a run found in a map of maps lives while the run lasts, and others put maps in its place. Also where two runs have
/// one CPU: whoever spoils the table of CPUs can bring that about.
#[test]
fn maps_found_in_maps_live_while_the_run_lasts() {
    for runners in [0, 1] {
        finding_maps(runners);
    }
}

fn finding_maps(more_on_the_cpu: u32) {
    schedules(move || {
        let inner = MapDef::new(MapType::ARRAY, 4, 8, 1);
        let def =
            MapDef { inner: Some(Box::new(inner.clone())), ..MapDef::new(MapType::ARRAY_OF_MAPS, 4, 4, 1) };
        let config =
            Config { relax: || thread::yield_now(), sleep: |_| thread::yield_now(), ..Config::new(2) };
        let outer = Map::create(&def, &config, &Heap).expect("legal");
        let put = move |outer: &Map, id: u32| {
            let map = Map::create(&inner, &config, &Heap).expect("legal");
            outer.set_map(&[0; 4], id, &map, 0).expect("it fits");
        };
        put(&outer, 1);
        let writer = {
            let outer = outer.clone();
            thread::spawn(move || (2..4).for_each(|id| put(&outer, id)))
        };
        let others: Vec<_> = (0..more_on_the_cpu)
            .map(|_| {
                let outer = outer.clone();
                thread::spawn(move || find_maps(&outer, 2))
            })
            .collect();
        find_maps(&outer, 2);
        others.into_iter().chain([writer]).for_each(|t| t.join().expect("no panic"));
    });
}

/// All keys of a map, each once.
fn keys(m: &Map) -> BTreeSet<Vec<u8>> {
    let (mut keys, mut last) = (BTreeSet::new(), None);
    while let Ok(key) = m.next_key(last.as_deref()) {
        assert!(keys.insert(key.clone()), "a key comes twice");
        last = Some(key);
    }
    keys
}

/// Two writers put more keys into an LRU hash than it holds: there is always room, what is evicted goes whole, and
/// afterwards the map holds as many as it should.
#[test]
fn lru_two_writers() {
    for kind in [MapType::LRU_HASH, MapType::LRU_PERCPU_HASH] {
        schedules(move || {
            let m = map(kind, 4, 8, 2);
            let fill = |m: Arc<Map>, cpu: u32| {
                for n in 0..3u32 {
                    let key = (10 * cpu + n).to_ne_bytes();
                    assert_eq!(
                        m.update((&key).into(), (&[cpu as u8 + 1; 8]).into(), 0, cpu),
                        Ok(()),
                        "there is room"
                    );
                    if let Ok(value) = m.lookup_copy(&key, 0) {
                        let whole = value.chunks_exact(8).all(|v| v.iter().all(|b| *b == v[0]));
                        assert!(whole && value.contains(&(cpu as u8 + 1)), "another key's value: {value:?}");
                    }
                }
            };
            let other = {
                let m = m.clone();
                thread::spawn(move || fill(m, 1))
            };
            fill(m.clone(), 0);
            other.join().expect("no panic");
            let left = keys(&m);
            assert!((1..=2).contains(&left.len()), "{left:?}");
            for n in 100..102u32 {
                assert_eq!(m.update((&n.to_ne_bytes()).into(), (&[9; 8]).into(), 1, 0), Ok(()));
            }
            assert_eq!(keys(&m).len(), 2, "nothing was lost on the way");
        });
    }
}

/// Values that two threads push come out once each, whole, and of a queue in each thread's order.
#[test]
fn queue_two_writers() {
    for kind in [MapType::QUEUE, MapType::STACK] {
        schedules(move || {
            let m = map(kind, 0, 16, 3);
            let writers: Vec<_> = (0..2u8)
                .map(|cpu| {
                    let m = m.clone();
                    thread::spawn(move || {
                        (0..2u8)
                            .filter(|n| m.push((&[16 * cpu + n; 16]).into(), 0, cpu.into()).is_ok())
                            .count()
                    })
                })
                .collect();
            let mut seen = Vec::new();
            let mut pop = || {
                let value = m.pop_from_host().ok()?;
                assert!(value.iter().all(|b| *b == value[0]), "torn: {value:?}");
                Some(value[0])
            };
            (0..2).for_each(|_| seen.extend(pop()));
            let pushed: usize = writers.into_iter().map(|w| w.join().expect("no panic")).sum();
            while let Some(value) = pop() {
                seen.push(value);
            }
            assert!(pushed >= 3, "there was room for three");
            assert_eq!(seen.len(), pushed, "{seen:?}");
            assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), pushed, "each once");
            if kind == MapType::QUEUE {
                for cpu in 0..2 {
                    let own: Vec<_> = seen.iter().filter(|v| **v / 16 == cpu).collect();
                    assert!(own.is_sorted(), "in the thread's order: {seen:?}");
                }
            }
        });
    }
}

/// Two CPUs and the host work on one key: each CPU's value is that which it wrote last or the host's, and no other's.
#[test]
fn percpu_values_are_of_their_cpus() {
    for kind in [MapType::PERCPU_HASH, MapType::PERCPU_ARRAY] {
        schedules(move || {
            let m = map(kind, 4, 8, 1);
            let key = 0u32.to_ne_bytes();
            m.update_from_host(&key, &[7; 16], 0).expect("room");
            let writers: Vec<_> = (0..2u8)
                .map(|cpu| {
                    let m = m.clone();
                    thread::spawn(move || {
                        for value in [[16 * cpu + 1; 8], [16 * cpu + 2; 8]] {
                            assert_eq!(m.update((&key).into(), (&value).into(), 0, cpu.into()), Ok(()));
                        }
                    })
                })
                .collect();
            for _ in 0..2 {
                let value = m.lookup_copy(&key, 0).expect("it is never gone");
                for (cpu, own) in (0..2u8).zip(value.chunks_exact(8)) {
                    assert!(own.iter().all(|b| *b == own[0]), "a word is whole: {value:?}");
                    assert!([7, 16 * cpu + 1, 16 * cpu + 2].contains(&own[0]), "another CPU's: {value:?}");
                }
            }
            writers.into_iter().for_each(|w| w.join().expect("no panic"));
            assert_eq!(m.lookup_copy(&key, 0).expect("there"), [[2; 8], [18; 8]].concat());
        });
    }
}

/// Records that are given up are never seen, those beside them are, in their order, and none holds up those behind it.
#[test]
fn ringbuf_discards() {
    schedules(|| {
        let m = map(MapType::RINGBUF, 0, 0, 4096);
        let producers: Vec<_> = (0..2u8)
            .map(|cpu| {
                let m = m.clone();
                thread::spawn(move || {
                    let ring = m.ringbuf().expect("a ring");
                    let kept = ring.reserve(8, 0, cpu.into()).expect("room");
                    let given_up = ring.reserve(8, 0, cpu.into()).expect("room");
                    // SAFETY: 8 bytes of a record of a map that lives, which nobody reads yet.
                    let write =
                        |at, v| unsafe { AtomicU64::from_ptr(at as *mut u64) }.store(v, Ordering::Relaxed);
                    write(kept, u64::from(cpu) + 1);
                    write(given_up, 99);
                    // Not in the order of reservation.
                    ring.discard(given_up, 0).expect("reserved");
                    ring.submit(kept, 0).expect("reserved");
                    assert!(ring.submit(kept, 0).is_err(), "only once");
                })
            })
            .collect();
        let mut consumer = m.consumer().expect("the first");
        let mut seen = Vec::new();
        let mut see = |consumer: &mut skep_maps::Consumer| {
            let each = &mut |r: &[u8]| seen.push(u64::from_ne_bytes(r.try_into().expect("8 bytes")));
            consumer.poll(each).expect("sound");
        };
        (0..2).for_each(|_| see(&mut consumer));
        producers.into_iter().for_each(|p| p.join().expect("no panic"));
        see(&mut consumer);
        seen.sort_unstable();
        assert_eq!(seen, [1, 2]);
        assert!(!consumer.ready(), "nothing is left");
    });
}
