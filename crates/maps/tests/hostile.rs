//! A peer that writes anything anywhere in a map's shared memory, metadata included, costs data and time, not
//! safety: no panic, no access outside the blocks, no operation without an end.

mod support;

use std::sync::{Arc, Mutex};

use skep_abi::MapType;
use skep_maps::{Block, Bytes, BytesMut, Config, Heap, Map, Memory};
use skep_spec::MapDef;
use support::Rng;

/// The heap, remembering where its blocks are.
#[derive(Default)]
struct Watched(Mutex<Vec<(u64, usize)>>);

impl Watched {
    fn seen(&self, block: Option<Block>) -> Option<Block> {
        let block = block?;
        self.0.lock().expect("not poisoned").push((block.addr(0), block.len()));
        Some(block)
    }
}

// SAFETY: passes on what `Heap` gives.
unsafe impl Memory for Watched {
    fn page_size(&self) -> usize {
        Heap.page_size()
    }
    fn payload(&self, len: usize) -> Option<Block> {
        self.seen(Heap.payload(len))
    }
    fn metadata(&self, len: usize) -> Option<Block> {
        self.seen(Heap.metadata(len))
    }
}

/// Writes a few words somewhere into the blocks: random ones, small ones (links, counts) and huge ones.
fn scribble(rng: &mut Rng, blocks: &[(u64, usize)]) {
    for _ in 0..rng.below(8) {
        let (addr, len) = rng.pick(blocks);
        // Half of it near the start, where the header and the small tables are.
        let within = if rng.below(2) == 0 { len.min(1024) } else { len };
        let off = rng.below(within as u64 / 4) * 4;
        let word = match rng.below(4) {
            0 => rng.next() as u32,
            1 => rng.below(40) as u32,
            2 => u32::MAX,
            _ => 0,
        };
        // SAFETY: within a block of a map that is alive; aligned to 4.
        unsafe { std::ptr::with_exposed_provenance_mut::<u32>((addr + off) as usize).write_volatile(word) };
    }
}

fn inside(addr: u64, len: usize, blocks: &[(u64, usize)]) -> bool {
    blocks.iter().any(|&(base, size)| addr >= base && addr + len as u64 <= base + size as u64)
}

fn attack(def: &MapDef, rounds: u64) {
    // A lock that a peer left taken is waited for some millions of times: without a pause here.
    let config = Config { relax: || {}, sleep: |_| {}, ..Config::new(2) };
    let mut rng = Rng::new(def.kind.0.into());
    for _ in 0..rounds {
        let memory = Watched::default();
        let map: Arc<Map> = Map::create(def, &config, &memory).expect("legal");
        let blocks = memory.0.lock().expect("not poisoned").clone();
        let value_size = def.value_size as usize;
        for _ in 0..60 {
            if rng.below(4) == 0 {
                scribble(&mut rng, &blocks);
            }
            let mut key = vec![0; def.key_size as usize];
            if let Some(first) = key.first_mut() {
                *first = rng.below(10) as u8;
            }
            if let Some(last) = key.last_mut().filter(|_| def.kind == MapType::LPM_TRIE) {
                *last = rng.below(4) as u8;
            }
            if let Some(data) = key.get_mut(4).filter(|_| def.kind == MapType::LPM_TRIE) {
                *data = rng.next() as u8;
            }
            let value = rng.bytes(value_size);
            let (k, v) = (Bytes::from(key.as_slice()), Bytes::from(value.as_slice()));
            match rng.below(11) {
                10 => drop(map.stack_id(&[rng.next(), 7][..1 + rng.below(2) as usize], rng.below(4) << 9, 0)),
                8 => drop(map.push(v, rng.below(3), 0)),
                9 => drop(map.pop(&mut BytesMut::from(&mut vec![0; value_size][..]), 1)),
                0 => drop(map.update(k, v, rng.below(3), 0)),
                1 => drop(map.update_from_host(&key, &rng.bytes(map.host_value_size()), rng.below(3))),
                2 => drop(map.delete(k, 1)),
                3 => drop(map.lookup_copy(&key, 0)),
                4 => drop(map.next_key(Some(&key))),
                5 => {
                    if let Some(addr) = map.lookup(k, 1) {
                        assert!(inside(addr, value_size, &blocks), "a value outside the map");
                    }
                }
                6 => drop(map.get_program(rng.below(10) as u32)),
                _ => {
                    let Some(ring) = map.ringbuf() else { continue };
                    let size = rng.below(3000);
                    match ring.reserve(size, 0, 0) {
                        Ok(addr) => {
                            assert!(inside(addr, size as usize, &blocks), "a record outside the map");
                            scribble(&mut rng, &blocks);
                            let _ = ring.submit(addr, 0);
                        }
                        Err(_) => drop(ring.output(Bytes::from(&[1; 77]), 0, 1)),
                    }
                    let mut consumer = map.consumer().expect("the only one");
                    let _ = consumer.poll(&mut |r| assert!(r.len() <= 4096));
                }
            }
        }
    }
}

#[test]
fn arrays() {
    for kind in [MapType::ARRAY, MapType::PERCPU_ARRAY] {
        attack(&MapDef::new(kind, 4, 12, 8), 30 * support::campaign());
    }
    attack(&MapDef::new(MapType::PROG_ARRAY, 4, 4, 8), 30 * support::campaign());
}

#[test]
fn hashes() {
    for kind in [MapType::HASH, MapType::PERCPU_HASH, MapType::LRU_HASH, MapType::LRU_PERCPU_HASH] {
        attack(&MapDef::new(kind, 8, 12, 8), 30 * support::campaign());
    }
}

#[test]
fn lpm_tries() {
    let flags = skep_abi::MapFlags(skep_abi::MapFlags::NO_PREALLOC);
    attack(&MapDef { flags, ..MapDef::new(MapType::LPM_TRIE, 8, 12, 8) }, 30 * support::campaign());
}

#[test]
fn stack_traces() {
    attack(&MapDef::new(MapType::STACK_TRACE, 4, 24, 8), 30 * support::campaign());
}

#[test]
fn queues() {
    for kind in [MapType::QUEUE, MapType::STACK] {
        attack(&MapDef::new(kind, 0, 12, 8), 30 * support::campaign());
    }
}

#[test]
fn ring_buffers() {
    attack(&MapDef::new(MapType::RINGBUF, 0, 0, 4096), 30 * support::campaign());
}

/// What docs/map-layout.md says of the header, read by its offsets.
#[test]
fn header_is_as_documented() {
    let memory = Watched::default();
    let mut def = MapDef::new(MapType::PERCPU_HASH, 6, 12, 5);
    def.flags = skep_abi::MapFlags(skep_abi::MapFlags::NO_PREALLOC);
    let domain = 0x99aa_bbcc_ddee_ff00;
    let config = Config { seed: 0x1122_3344_5566_7788, domain, ..Config::new(3) };
    let map = Map::create(&def, &config, &memory).expect("legal");
    let (addr, len) = memory.0.lock().expect("not poisoned")[0];
    let word = |off: u64| {
        assert!(inside(addr + off, 4, &[(addr, len)]));
        // SAFETY: within the metadata of a map that is alive; aligned to 4.
        unsafe { std::ptr::with_exposed_provenance::<u32>((addr + off) as usize).read_volatile() }
    };
    assert_eq!(word(0), u32::from_le_bytes(*b"SKPM"));
    assert_eq!([4, 8, 12, 16, 20, 24, 28, 32].map(word), [5, 5, 1, 6, 12, 5, 3, 4096]);
    assert_eq!([40, 44].map(word), [0x5566_7788, 0x1122_3344]);
    assert_eq!([72, 76].map(word), [0xddee_ff00, 0x99aa_bbcc]);
    assert_eq!(word(52), 0);
    map.update_from_host(&[9; 6], &[7; 48], 0).expect("room");
    map.freeze().expect("the first time");
    assert_eq!(word(52), 1);
    let values = u64::from(word(56)) | u64::from(word(60)) << 32;
    let area = map.value_area().expect("one");
    assert_eq!((area.addr, area.len), (addr + values, 3 * 4096));
    // Pool: count, fresh; then the stacks of 3 CPUs, 8 buckets, and 5 elements of 16 + 8 bytes.
    assert_eq!([128, 132].map(word), [1, 1]);
    // Pool: a line, 16 for operations of the host, 3 for CPUs.
    let stacks = 128 + 64 + 64 * 16;
    let elems = stacks + 64 * 3 + 16 * 8;
    assert_eq!(values, (elems + 5 * 24u64).next_multiple_of(4096));
    assert_eq!([elems + 16, elems + 20].map(word), [0x0909_0909, 0x0909]);
    let hash = word(elems + 8);
    assert_eq!(word(stacks + 64 * 3 + 16 * u64::from(hash & 7) + 8), 1, "the head of its bucket");
    assert_eq!(map.lookup(Bytes::from(&[9; 6]), 2), Some(addr + values + 2 * 4096));
}
