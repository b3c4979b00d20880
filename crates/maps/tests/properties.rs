//! Random operations against models that a reader can check at a glance, without any kernel.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use skep_abi::{MapFlags, MapType};
use skep_maps::{Bytes, BytesMut, Config, Heap, Map};
use skep_spec::{Errno, MapDef};

fn map(kind: MapType, key: u32, value: u32, entries: u32, flags: u32) -> Arc<Map> {
    let def = MapDef { flags: MapFlags(flags), ..MapDef::new(kind, key, value, entries) };
    Map::create(&def, &Config { seed: 99, ..Config::new(3) }, &Heap).expect("legal")
}

#[derive(Clone, Debug)]
enum Op {
    Update(u8, u8, u64),
    Delete(u8),
    Lookup(u8),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (0..12u8, any::<u8>(), 0..3u64).prop_map(|(k, v, f)| Op::Update(k, v, f)),
        1 => (0..12u8).prop_map(Op::Delete),
        1 => (0..12u8).prop_map(Op::Lookup),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// A chain keeps its number, numbers are of different chains, and what is there is what was put in.
    #[test]
    fn stacks_have_numbers(
        entries in 1..6u32,
        build_id in any::<bool>(),
        ops in vec((vec(0..4u64, 0..5), 0..4u64, 0..8u8), 1..120),
    ) {
        let (element, flags) = if build_id { (32, MapFlags::STACK_BUILD_ID) } else { (8, 0) };
        let m = map(MapType::STACK_TRACE, 4, 3 * element, entries, flags);
        let mut model: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
        for (chain, flags, op) in ops {
            if op == 0 {
                let gone = model.pop_first();
                if let Some((id, _)) = gone {
                    prop_assert_eq!(m.delete_from_host(&id.to_ne_bytes()).is_ok(), true);
                }
                continue;
            }
            let kept: Vec<u64> = chain.iter().copied().take(3).collect();
            let (fast, reuse) = (flags & 1 != 0, flags & 2 != 0);
            match m.stack_id(&chain, flags << 9, 1) {
                Ok(id) => {
                    prop_assert!(id < entries.next_power_of_two());
                    let before = model.insert(id, kept.clone());
                    prop_assert!(before.is_none() || before == Some(kept) || reuse || fast);
                }
                Err(Errno::EFAULT) => prop_assert!(chain.is_empty()),
                Err(Errno::EEXIST) => prop_assert!(!reuse && !model.values().any(|c| *c == kept)),
                Err(e) => {
                    prop_assert_eq!(e, Errno::ENOMEM);
                    prop_assert_eq!(model.len(), entries as usize);
                }
            }
            prop_assert!(model.len() <= entries as usize);
            for (id, chain) in &model {
                let value = m.lookup_copy(&id.to_ne_bytes(), 0).expect("it is there");
                let mut wanted = vec![0u8; 3 * element as usize];
                for (part, address) in wanted.chunks_mut(element as usize).zip(chain) {
                    if build_id {
                        part[0] = 2;
                    }
                    let at = part.len() - 8;
                    part[at..].copy_from_slice(&address.to_ne_bytes());
                }
                prop_assert_eq!(value, wanted);
            }
        }
        let mut keys = Vec::new();
        while let Ok(key) = m.next_key(keys.last().map(Vec::as_slice)) {
            keys.push(key);
        }
        prop_assert_eq!(keys, model.keys().map(|k| k.to_ne_bytes().to_vec()).collect::<Vec<_>>());
    }

    /// A queue is a queue and a stack is a stack; program and host side agree.
    #[test]
    fn queue_is_a_queue(
        stack in any::<bool>(),
        value_len in 1..40usize,
        entries in 1..6u32,
        ops in vec((0..6u8, any::<u8>()), 1..200),
    ) {
        let kind = if stack { MapType::STACK } else { MapType::QUEUE };
        let m = map(kind, 0, value_len as u32, entries, 0);
        let mut model: VecDeque<Vec<u8>> = VecDeque::new();
        for (op, v) in ops {
            let value = vec![v; value_len];
            let full = model.len() == entries as usize;
            let expected = match (op, full) {
                (0 | 1, true) => Err(Errno::E2BIG),
                (2, true) => model.pop_front().map(drop).ok_or(Errno::ENOENT),
                _ => Ok(()),
            };
            let next = |model: &VecDeque<Vec<u8>>| if stack { model.back().cloned() } else { model.front().cloned() };
            match op {
                0 => prop_assert_eq!(m.push(Bytes::from(&value[..]), 0, 1), expected),
                1 => prop_assert_eq!(m.update_from_host(&[], &value, 0).map_err(|e| e.errno), expected),
                2 => prop_assert_eq!(m.push(Bytes::from(&value[..]), 2, 0), expected),
                3 => prop_assert_eq!(m.lookup_copy(&[], 0).ok(), next(&model)),
                _ => {
                    let mut out = vec![0xaa; value_len];
                    let done = m.pop(&mut BytesMut::from(&mut out[..]), 2);
                    let wanted = if stack { model.pop_back() } else { model.pop_front() };
                    prop_assert_eq!(done.is_ok(), wanted.is_some());
                    prop_assert_eq!(out, wanted.unwrap_or_else(|| vec![0; value_len]));
                    continue;
                }
            }
            if op < 3 && expected.is_ok() {
                model.push_back(value);
            }
        }
    }

    /// A hash is a map from keys to values with at most `max_entries` keys; program and host side agree.
    #[test]
    fn hash_is_a_map(
        key_len in 1..40usize,
        value_len in 1..40usize,
        entries in 1..10u32,
        prealloc in any::<bool>(),
        ops in vec(op(), 1..300),
    ) {
        let flags = if prealloc { 0 } else { MapFlags::NO_PREALLOC };
        let m = map(MapType::HASH, key_len as u32, value_len as u32, entries, flags);
        let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        let key = |k: u8| { let mut key = vec![0xa5; key_len]; key[key_len - 1] = k; key };
        for (i, op) in ops.into_iter().enumerate() {
            match op {
                Op::Update(k, v, flags) => {
                    let (k, v) = (key(k), vec![v; value_len]);
                    let expected = match (model.contains_key(&k), flags) {
                        (true, 1) => Err(Errno::EEXIST),
                        (false, 2) => Err(Errno::ENOENT),
                        (false, _) if model.len() == entries as usize => Err(Errno::E2BIG),
                        _ => {
                            drop(model.insert(k.clone(), v.clone()));
                            Ok(())
                        },
                    };
                    let got = if i % 2 == 0 {
                        m.update(k[..].into(), v[..].into(), flags, (i % 3) as u32)
                    } else {
                        m.update_from_host(&k, &v, flags).map_err(|e| e.errno)
                    };
                    prop_assert_eq!(got, expected);
                }
                Op::Delete(k) => {
                    let expected = model.remove(&key(k)).map(drop).ok_or(Errno::ENOENT);
                    prop_assert_eq!(m.delete(key(k)[..].into(), (i % 3) as u32), expected);
                }
                Op::Lookup(k) => {
                    let expected = model.get(&key(k)).cloned().ok_or(Errno::ENOENT);
                    prop_assert_eq!(m.lookup_copy(&key(k), 0).map_err(|e| e.errno), expected.clone());
                    prop_assert_eq!(m.lookup(key(k)[..].into(), 0).is_some(), expected.is_ok());
                }
            }
        }
        let mut keys = Vec::new();
        while let Ok(k) = m.next_key(keys.last().map(Vec::as_slice)) {
            keys.push(k);
            prop_assert!(keys.len() <= entries as usize);
        }
        keys.sort();
        prop_assert_eq!(keys, model.into_keys().collect::<Vec<_>>());
    }

    /// Keys and values may lie at any address: alignment changes how they are read, not what.
    #[test]
    fn bytes_at_any_alignment(data in vec(any::<u8>(), 1..70), at in 0..16usize) {
        let m = map(MapType::HASH, data.len() as u32, data.len() as u32, 2, 0);
        let mut shifted = vec![0xee; at];
        shifted.extend(&data);
        let view = Bytes::from(&shifted[at..]);
        prop_assert_eq!(m.update(view, view, 1, 0), Ok(()));
        prop_assert_eq!(m.lookup_copy(&data, 0).map_err(|e| e.errno), Ok(data.clone()));
        let mut other = data.clone();
        other[data.len() - 1] ^= 1;
        prop_assert_eq!(m.lookup(Bytes::from(other.as_slice()), 0), None);
    }

    /// A ring buffer is a queue: what was submitted comes out in order of reservation, nothing else, and a
    /// record is refused only when the ring has no room for it.
    #[test]
    fn ringbuf_is_a_queue(steps in vec((0..5u8, 0..1500usize), 1..200)) {
        const SIZE: usize = 4096;
        let m = map(MapType::RINGBUF, 0, 0, SIZE as u32, 0);
        let ring = m.ringbuf().expect("a ring");
        let mut consumer = m.consumer().expect("the first");
        let room = |len: usize| (len + 8).next_multiple_of(8);
        // Records in order: bytes, and whether still reserved (at an address), submitted or discarded.
        let mut queue: VecDeque<(Vec<u8>, Option<u64>, bool)> = VecDeque::new();
        for (n, (what, len)) in steps.into_iter().enumerate() {
            let used: usize = queue.iter().map(|(r, ..)| room(r.len())).sum();
            let fits = used + room(len) < SIZE;
            let record = vec![n as u8; len];
            match what {
                0 => {
                    let expected = if fits { Ok(()) } else { Err(Errno::EAGAIN) };
                    prop_assert_eq!(ring.output(Bytes::from(record.as_slice()), 0, 0), expected);
                    if fits { queue.push_back((record, None, true)) }
                }
                1 => {
                    let got = ring.reserve(len as u64, 0, 1);
                    prop_assert_eq!(got.is_ok(), fits);
                    if let Ok(addr) = got {
                        let to = std::ptr::with_exposed_provenance_mut::<u8>(addr as usize);
                        // SAFETY: `len` reserved bytes.
                        (0..len).for_each(|i| unsafe { to.add(i).write_volatile(n as u8) });
                        queue.push_back((record, Some(addr), true));
                    }
                }
                2 | 3 => {
                    // Records end in any order, here by length.
                    let open = queue.iter_mut().filter(|(_, addr, _)| addr.is_some());
                    if let Some(entry) = open.max_by_key(|(r, ..)| r.len()) {
                        let addr = entry.1.take().expect("reserved");
                        entry.2 = what == 2;
                        let done = if what == 2 { ring.submit(addr, 0) } else { ring.discard(addr, 0) };
                        prop_assert_eq!(done, Ok(()));
                    }
                }
                _ => {
                    let mut expected = Vec::new();
                    while let Some((_, None, _)) = queue.front() {
                        let (record, _, submitted) = queue.pop_front().expect("the front");
                        if submitted { expected.push(record) }
                    }
                    let mut seen = Vec::new();
                    consumer.poll(&mut |r| seen.push(r.to_vec())).expect("sound");
                    prop_assert_eq!(seen, expected);
                }
            }
        }
    }
}
