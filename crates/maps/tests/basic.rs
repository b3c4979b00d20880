//! Each kind does its job, on one thread, without any oracle.

use std::sync::Arc;

use skep_abi::{MapFlags, MapType, UpdateFlags};
use skep_maps::{Bytes, Config, Heap, Map, Query, Ringbuf};
use skep_spec::{Errno, MapDef};

fn map(kind: MapType, key: u32, value: u32, entries: u32) -> Arc<Map> {
    let def = MapDef::new(kind, key, value, entries).named("m");
    Map::create(&def, &Config::new(4), &Heap).expect("a legal map")
}

fn k(n: u32) -> [u8; 4] {
    n.to_ne_bytes()
}

/// A 64-bit value at an address that a map gave.
fn peek(addr: u64) -> u64 {
    // SAFETY: the tests pass addresses of 8-byte values of maps that are still alive.
    unsafe { std::ptr::with_exposed_provenance::<u64>(addr as usize).read_volatile() }
}

#[test]
fn array_updates_in_place() {
    let m = map(MapType::ARRAY, 4, 8, 3);
    let addr = m.lookup((&k(2)).into(), 0).expect("in range");
    assert_eq!(peek(addr), 0);
    m.update((&k(2)).into(), (&7u64.to_ne_bytes()).into(), UpdateFlags::ANY, 1).expect("in range");
    assert_eq!(peek(addr), 7);
    assert_eq!(m.lookup((&k(3)).into(), 0), None);
    assert_eq!(m.update((&k(3)).into(), (&[0; 8]).into(), 0, 0), Err(Errno::E2BIG));
    assert_eq!(m.update((&k(0)).into(), (&[0; 8]).into(), UpdateFlags::NOEXIST, 0), Err(Errno::EEXIST));
    assert_eq!(m.update((&k(0)).into(), (&[0; 7]).into(), 0, 0), Err(Errno::EINVAL));
    assert_eq!(m.delete((&k(0)).into(), 0), Err(Errno::EINVAL));
    let g = m.array().expect("an array");
    assert_eq!((g.base + 2 * g.stride as u64, g.max_entries), (addr, 3));
}

#[test]
fn hash_fills_up_and_replaces_when_full() {
    let m = map(MapType::HASH, 4, 8, 2);
    let put = |key, value: u64, flags| m.update((&k(key)).into(), (&value.to_ne_bytes()).into(), flags, 0);
    assert_eq!(put(1, 1, UpdateFlags::EXIST), Err(Errno::ENOENT));
    assert_eq!(put(1, 1, UpdateFlags::ANY), Ok(()));
    assert_eq!(put(1, 1, UpdateFlags::NOEXIST), Err(Errno::EEXIST));
    assert_eq!(put(2, 2, UpdateFlags::NOEXIST), Ok(()));
    assert_eq!(put(3, 3, UpdateFlags::ANY), Err(Errno::E2BIG));
    let old = m.lookup((&k(1)).into(), 0).expect("present");
    for round in 10..1000 {
        assert_eq!(put(1, round, UpdateFlags::EXIST), Ok(()));
        assert_eq!(peek(m.lookup((&k(1)).into(), 0).expect("present")), round);
    }
    // The old value's memory is still memory.
    let _ = peek(old);
    assert_eq!(m.delete((&k(2)).into(), 0), Ok(()));
    assert_eq!(m.delete((&k(2)).into(), 0), Err(Errno::ENOENT));
    assert_eq!(put(3, 3, UpdateFlags::ANY), Ok(()));
}

#[test]
fn percpu_values_are_apart() {
    for kind in [MapType::PERCPU_ARRAY, MapType::PERCPU_HASH] {
        let m = map(kind, 4, 8, 2);
        for cpu in 0..4 {
            let value = (u64::from(cpu) + 1).to_ne_bytes();
            m.update((&k(1)).into(), (&value).into(), UpdateFlags::ANY, cpu).expect("legal");
        }
        for cpu in 0..4 {
            let addr = m.lookup((&k(1)).into(), cpu).expect("present");
            assert_eq!(peek(addr), u64::from(cpu) + 1);
        }
        assert_eq!(m.lookup((&k(1)).into(), 4), None, "no such CPU");
        let all = m.lookup_copy(&k(1), 0).expect("present");
        let sum: u64 = all.chunks_exact(8).map(|c| u64::from_ne_bytes(c.try_into().expect("8 bytes"))).sum();
        assert_eq!((all.len(), sum), (32, 10));
    }
}

#[test]
fn percpu_hash_insert_by_a_program_clears_the_others() {
    let m = map(MapType::PERCPU_HASH, 4, 8, 1);
    m.update_from_host(&k(1), &[0xff; 32], 0).expect("legal");
    m.delete_from_host(&k(1)).expect("present");
    m.update((&k(2)).into(), (&1u64.to_ne_bytes()).into(), 0, 2).expect("legal");
    let mut expected = [0; 32];
    expected[16..24].copy_from_slice(&1u64.to_ne_bytes());
    assert_eq!(m.lookup_copy(&k(2), 0).expect("present"), expected);
}

#[test]
fn prog_array_holds_ids() {
    let m = map(MapType::PROG_ARRAY, 4, 4, 2);
    assert_eq!(m.get_program(0), None);
    m.set_program(0, 17).expect("in range");
    assert_eq!((m.get_program(0), m.get_program(1), m.get_program(2)), (Some(17), None, None));
    assert_eq!(m.lookup_copy(&k(0), 0).expect("present"), k(17));
    m.delete_from_host(&k(0)).expect("present");
    assert_eq!(m.delete_from_host(&k(0)).expect_err("empty").errno, Errno::ENOENT);
    assert_eq!(m.set_program(2, 1).expect_err("outside").errno, Errno::E2BIG);
}

#[test]
fn ringbuf_records_come_in_order_of_reservation() {
    let m = map(MapType::RINGBUF, 0, 0, 4096);
    let ring = m.ringbuf().expect("a ring buffer");
    let mut consumer = m.consumer().expect("the first");
    assert_eq!(m.consumer().err().map(|e| e.errno), Some(Errno::EBUSY));
    let a = ring.reserve(16, 0, 0).expect("room");
    let b = ring.reserve(16, 0, 0).expect("room");
    assert_eq!(ring.reserved_len(a), Some(16));
    ring.output(Bytes::from(b"third"), 0, 0).expect("room");
    ring.discard(b, 0).expect("reserved");
    let mut seen = Vec::new();
    consumer.poll(&mut |r| seen.push(r.to_vec())).expect("sound");
    assert_eq!(seen, Vec::<Vec<u8>>::new(), "the first is still being written");
    ring.submit(a, 0).expect("reserved");
    assert_eq!(ring.submit(a, 0), Err(Errno::EINVAL), "not any more");
    assert_eq!(consumer.poll(&mut |r| seen.push(r.to_vec())).expect("sound"), 2);
    assert_eq!((seen[0].len(), seen[1].as_slice()), (16, b"third".as_slice()));
    assert_eq!(ring.query(Query::AVAIL_DATA), 0);
    assert_eq!(ring.query(Query::PROD_POS), 24 + 24 + 16);
    assert_eq!(ring.query(Query::RING_SIZE), 4096);
    drop(consumer);
    assert!(m.consumer().is_ok());
    assert_eq!(ring.output(Bytes::from(b"x"), 4, 0), Err(Errno::EINVAL));
    assert_eq!(ring.output(Bytes::from(b"x"), Ringbuf::NO_WAKEUP, 0), Ok(()));
}

#[test]
fn frozen_and_read_only_maps() {
    let mut def = MapDef::new(MapType::ARRAY, 4, 8, 1).named("rodata");
    def.flags = MapFlags(MapFlags::RDONLY_PROG);
    def.initial = Some(vec![1, 2, 3]);
    def.frozen = true;
    let m = Map::create(&def, &Config::new(1), &Heap).expect("legal");
    assert_eq!(m.lookup_copy(&k(0), 0).expect("present"), [1, 2, 3, 0, 0, 0, 0, 0]);
    assert_eq!(m.update_from_host(&k(0), &[0; 8], 0).expect_err("frozen").errno, Errno::EPERM);
    assert_eq!(m.update((&k(0)).into(), (&[0; 8]).into(), 0, 0), Err(Errno::EPERM));
    assert_eq!(m.freeze().expect_err("again").errno, Errno::EPERM);
    let area = m.value_area().expect("one");
    assert_eq!((area.len, area.read, area.write), (8, true, false));
}

/// Chains that cancelled out in an earlier hash, which had 0 for 0, have hashes of their own: a number that goes by the
/// hash alone (`BPF_F_FAST_STACK_CMP`) is not another chain's.
#[test]
fn stack_hashes_do_not_cancel_out() {
    let def = MapDef::new(MapType::STACK_TRACE, 4, 24, 1);
    let map = Map::create(&def, &Config::new(1), &Heap).expect("legal");
    assert_eq!(map.stack_id(&[3, 0, 3], 0, 0), Ok(0));
    assert_eq!(map.stack_id(&[2], 1 << 9, 0), Err(Errno::EEXIST));
    let (copy, taken) = (map.lookup_copy(&[0; 4], 0), map.take_from_host(&[0; 4], 0));
    assert_eq!(taken.expect("there"), copy.expect("there"));
    assert_eq!(map.take_from_host(&[0; 4], 0).map_err(|e| e.errno), Err(Errno::ENOENT));
    assert_eq!(map.stack_id(&[3, 0, 3], 0, 0), Ok(0));
}

fn trie(entries: u32) -> Arc<Map> {
    let flags = MapFlags(MapFlags::NO_PREALLOC);
    let def = MapDef { flags, ..MapDef::new(MapType::LPM_TRIE, 8, 8, entries) };
    Map::create(&def, &Config::new(2), &Heap).expect("a legal map")
}

/// A prefix of 32 bits.
fn prefix(n: u32) -> [u8; 8] {
    let key = [32u32.to_ne_bytes(), n.to_be_bytes()].concat();
    key.try_into().expect("8 bytes")
}

/// A node that was replaced or deleted is not used again while a run lasts that may have its address, on whichever
/// CPU and however nested; when none is left, it is.
#[test]
fn trie_nodes_wait_for_runs() {
    let m = trie(2);
    assert!(m.waits_for_runs());
    let put = |n: u32, value: u64, cpu| m.update((&prefix(n)).into(), (&value.to_ne_bytes()).into(), 0, cpu);
    let at = |n: u32, cpu| m.lookup((&prefix(n)).into(), cpu);
    // The last is of a CPU that the map has no place for.
    for holder in [0, 1, 7] {
        m.begin_run(holder);
        m.begin_run(holder);
        put(1, 1, 0).expect("room");
        put(2, 2, 0).expect("room");
        let (replaced, deleted) = (at(1, holder).expect("there"), at(2, holder).expect("there"));
        m.end_run(holder);
        let mut seen = vec![replaced, deleted];
        m.delete((&prefix(2)).into(), 0).expect("there");
        for round in 3..2000u64 {
            // Runs that come and go elsewhere end nothing.
            m.begin_run(1 - holder % 2);
            put(1, round, 0).expect("there are nodes");
            let now = at(1, 0).expect("there");
            assert!(!seen.contains(&now), "a node that was seen is used again");
            seen.push(now);
            m.end_run(1 - holder % 2);
            assert_eq!((peek(replaced), peek(deleted)), (1, 2));
        }
        m.end_run(holder);
        m.delete((&prefix(1)).into(), 0).expect("there");
        let before = seen.len();
        for round in 0..3 * before as u64 {
            put(2, round, 0).expect("room");
            seen.push(at(2, 0).expect("there"));
            m.delete((&prefix(2)).into(), 0).expect("there");
        }
        assert!(seen[before..].contains(&replaced) && seen[before..].contains(&deleted), "used again");
    }
}

/// A run that lasts can use up the nodes: an update then fails, changes nothing and counts nothing, and works again
/// once the run has ended.
#[test]
fn trie_without_nodes_has_no_memory() {
    let def =
        MapDef { flags: MapFlags(MapFlags::NO_PREALLOC), ..MapDef::new(MapType::LPM_TRIE, 8, 1 << 20, 3) };
    let m = Map::create(&def, &Config::new(1), &Heap).expect("a legal map");
    let value = vec![7; 1 << 20];
    let put = |n: u32| m.update((&prefix(n)).into(), value[..].into(), 0, 0);
    put(1).expect("room");
    m.begin_run(0);
    let done = (0..10_000).map(|_| put(1)).find(|done| done.is_err());
    assert_eq!(done, Some(Err(Errno::ENOMEM)));
    for n in 2..9 {
        assert_eq!(put(n), Err(Errno::ENOMEM));
    }
    m.end_run(0);
    assert_eq!([put(2), put(3), put(4)], [Ok(()), Ok(()), Err(Errno::ENOSPC)], "three elements fit, as ever");
}

/// What a CPU deleted last its next insert gets; what it replaced last the next replacement gets, and no insert.
#[test]
fn hash_reuses_elements_as_linux_does() {
    let no_prealloc = MapFlags(MapFlags::NO_PREALLOC);
    let def = MapDef::new(MapType::HASH, 4, 8, 4);
    for def in [def.clone(), MapDef { flags: no_prealloc, ..def }] {
        let m = Map::create(&def, &Config::new(2), &Heap).expect("a legal map");
        let put = |key| m.update((&k(key)).into(), (&[0; 8]).into(), 0, 0).expect("room");
        let at = |key| m.lookup((&k(key)).into(), 0).expect("there");
        let apart = def.flags == MapFlags::default();
        put(1);
        put(2);
        let deleted = at(1);
        m.delete((&k(1)).into(), 0).expect("there");
        put(2);
        assert_eq!(at(2) != deleted, apart);
        m.delete((&k(2)).into(), 0).expect("there");
        put(1);
        let deleted = at(1);
        m.delete((&k(1)).into(), 0).expect("there");
        put(2);
        assert_eq!(at(2), deleted);
        put(2);
        let replaced = deleted;
        put(3);
        assert_eq!(at(3) != replaced, apart);
        put(2);
        assert_eq!(at(2) == replaced, apart);
    }
}
