//! Many elements at once.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use skep_abi::{MapFlags, MapType};
use skep_maps::{Config, Heap, Map};
use skep_spec::{Errno, MapDef};
use support::Rng;

fn map(kind: MapType, key: u32, value: u32, entries: u32) -> Arc<Map> {
    let config = Config { relax: thread::yield_now, ..Config::new(2) };
    Map::create(&MapDef::new(kind, key, value, entries), &config, &Heap).expect("legal")
}

/// All elements, in batches of `room`; more room where there is not enough for a bucket.
fn dump(map: &Map, mut room: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    let (key_len, value_len) = (map.key_size() as usize, map.host_value_size());
    let (mut all, mut at) = (Vec::new(), Some(0));
    while let Some(from) = at {
        let (mut keys, mut values) = (vec![0xaa; room * key_len + 1], vec![0xaa; room * value_len + 1]);
        let batch = match map.lookup_batch(from, &mut keys, &mut values) {
            Ok(batch) => batch,
            Err(e) => {
                assert_eq!(e.errno, Errno::ENOSPC);
                room += 1;
                continue;
            }
        };
        assert!(batch.count <= room);
        let parts = keys.chunks_exact(key_len).zip(values.chunks_exact(value_len));
        all.extend(parts.take(batch.count).map(|(k, v)| (k.to_vec(), v.to_vec())));
        // Nothing behind the room; behind the elements may be what a copy that was given up has left.
        assert_eq!((keys.last(), values.last()), (Some(&0xaa), Some(&0xaa)));
        at = batch.next;
    }
    all
}

#[test]
fn all_elements_come_once() {
    let kinds = [
        MapType::HASH,
        MapType::PERCPU_HASH,
        MapType::LRU_HASH,
        MapType::LRU_PERCPU_HASH,
        MapType::ARRAY,
        MapType::PERCPU_ARRAY,
    ];
    let mut rng = Rng::new(3);
    for kind in kinds {
        let array = matches!(kind, MapType::ARRAY | MapType::PERCPU_ARRAY);
        for (key, value, entries) in [(4, 8, 1), (4, 3, 100), (7, 12, 5), (20, 8, 300)] {
            let map = map(kind, if array { 4 } else { key }, value, entries);
            let mut model = BTreeMap::new();
            for round in 0..2 * entries {
                let mut key = (rng.below(u64::from(entries)) as u32).to_ne_bytes().to_vec();
                key.resize(map.key_size() as usize, 7);
                // What fills the values up to 8 bytes is copied too.
                let value = vec![round as u8; map.host_value_size()];
                map.update_from_host(&key, &value, 0).expect("there is room");
                model.insert(key, value);
            }
            if array {
                for i in 0..entries {
                    model.entry(i.to_ne_bytes().to_vec()).or_insert_with(|| vec![0; map.host_value_size()]);
                }
            }
            for room in [1, 2, 7, 1000] {
                let all = dump(&map, room);
                let count = all.len();
                assert_eq!(all.into_iter().collect::<BTreeMap<_, _>>(), model, "{kind:?}, {room}");
                assert_eq!(count, model.len(), "{kind:?}: an element came twice");
            }
        }
    }
}

#[test]
fn what_others_do_not_touch_comes_once() {
    let map = map(MapType::HASH, 4, 8, 256);
    for key in 0..128u32 {
        map.update_from_host(&key.to_ne_bytes(), &u64::from(key).to_ne_bytes(), 0).expect("there is room");
    }
    let done = AtomicBool::new(false);
    struct Done<'a>(&'a AtomicBool);
    impl Drop for Done<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    thread::scope(|s| {
        // Also when an assertion fails: the other thread would go on for ever.
        let _end = Done(&done);
        s.spawn(|| {
            let mut rng = Rng::new(9);
            while !done.load(Ordering::Relaxed) {
                // Odd keys change, and keys that come and go share their buckets.
                let key = rng.below(128) as u32 | 1;
                map.update((&key.to_ne_bytes()).into(), (&u64::from(key).to_ne_bytes()).into(), 0, 0)
                    .expect("room");
                let guest = 1000 + rng.below(64) as u32;
                let _ =
                    map.update((&guest.to_ne_bytes()).into(), (&u64::from(guest).to_ne_bytes()).into(), 0, 0);
                let _ = map.delete((&guest.to_ne_bytes()).into(), 0);
            }
        });
        for round in 0..300 * support::campaign() {
            let mut seen = BTreeMap::new();
            for (key, value) in dump(&map, if round % 2 == 0 { 1000 } else { 1 + round as usize % 50 }) {
                let key = u32::from_ne_bytes(key.try_into().expect("four"));
                assert_eq!(u64::from_ne_bytes(value.try_into().expect("eight")), key.into());
                *seen.entry(key).or_insert(0) += 1;
            }
            for key in 0..128u32 {
                assert_eq!(seen.get(&key), Some(&1), "key {key}");
            }
        }
    });
}

#[test]
fn who_may_not_read_and_what_has_no_elements() {
    let flags = MapFlags(MapFlags::WRONLY);
    let def = MapDef { flags, ..MapDef::new(MapType::HASH, 4, 8, 4) };
    let closed = Map::create(&def, &Config::new(1), &Heap).expect("legal");
    let errno = |map: &Map, room: usize| {
        map.lookup_batch(0, &mut vec![0; 8 * room], &mut vec![0; 8 * room]).map_err(|e| e.errno)
    };
    assert_eq!(errno(&closed, 4).err(), Some(Errno::EPERM));
    assert_eq!(errno(&map(MapType::QUEUE, 0, 8, 4), 4).err(), Some(Errno::ENOTSUPP));
    assert_eq!(errno(&map(MapType::ARRAY, 4, 8, 4), 0).err(), Some(Errno::ENOSPC));
    let empty = errno(&map(MapType::HASH, 4, 8, 4), 0).expect("there is nothing to copy");
    assert_eq!((empty.count, empty.next), (0, None));
    let behind = map(MapType::HASH, 4, 8, 4).lookup_batch(u64::MAX, &mut [], &mut []).expect("nothing there");
    assert_eq!((behind.count, behind.next), (0, None));
}
