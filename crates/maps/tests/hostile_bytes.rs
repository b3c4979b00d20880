//! Every byte of a map's memory, payload and metadata, is overwritten with bytes that a hostile peer would choose, before
//! operations and in the middle of them: no panic, no access outside the memory, which stands between pages that cannot be
//! touched, and no operation without an end.
//!
//! Time is counted in steps (`sync::step`, only in builds with debug assertions), so that a loop without an end is found at
//! once and on every machine. What is slept for others is counted, not slept.
//!
//! A slice by default; with `SKEP_MAPS_CAMPAIGN` as many times more, and other places.
#![cfg(all(target_os = "linux", debug_assertions, not(shuttle)))]

mod support;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use skep_abi::{MapFlags, MapType};
use skep_btf::{Builder, IntEncoding};
use skep_maps::{Bytes, BytesMut, Config, Drained, Header, Map, PATIENCE, Peers, Step, Walk};
use skep_spec::MapDef;
use support::Rng;
use support::guarded::{Damage, Memories, PAGE};

/// Steps that an operation on maps as small as these may take, when it waits for each of its locks in vain.
const STEPS: u64 = 1_000_000;
/// For how many locks an operation may wait in vain.
const WAITS: u64 = 4;
const ENTRIES: u32 = 4;
/// Bytes from a block's beginning that are put back after each damage: behind them are values.
const KEPT: usize = 64 << 10;

/// This process is 1; processes with other odd numbers have died.
struct Others(AtomicU32);

static OTHERS: Others = Others(AtomicU32::new(1));

impl Peers for Others {
    fn number(&self) -> &AtomicU32 {
        &self.0
    }
    fn join(&self) -> u32 {
        1
    }
    fn is_dead(&self, number: u32) -> bool {
        number % 2 == 1
    }
}

thread_local! {
    static STEP: Cell<u64> = const { Cell::new(0) };
    static SLEPT: Cell<u64> = const { Cell::new(0) };
    /// What is written at a step.
    static LATER: Cell<Option<(u64, Damage)>> = const { Cell::new(None) };
}

/// An operation begins.
fn start() {
    STEP.set(0);
    SLEPT.set(0);
}

fn on_step() {
    let step = STEP.get() + 1;
    STEP.set(step);
    if let Some((at, damage)) = LATER.get()
        && step >= at
    {
        LATER.set(None);
        damage.write();
    }
    if step == STEPS {
        panic!("an operation without an end");
    }
}

fn config() -> Config {
    let sleep = |micros: u32| SLEPT.set(SLEPT.get() + u64::from(micros));
    Config { relax: || {}, sleep, peers: Some(&OTHERS), ..Config::new(2) }
}

/// A map, its memory, and what that held when nothing was wrong yet.
struct Victim {
    name: &'static str,
    memory: Memories,
    map: Arc<Map>,
    sound: Vec<Vec<u8>>,
}

fn with(kind: MapType, key: u32, flags: u32) -> MapDef {
    MapDef { flags: MapFlags(flags), ..MapDef::new(kind, key, 24, ENTRIES) }
}

/// Values with a lock in them.
fn locked(kind: MapType) -> MapDef {
    let mut b = Builder::new();
    let int = b.int("int", 4, IntEncoding::Signed);
    let long = b.int("long", 8, IntEncoding::Signed);
    let lock = b.structure("bpf_spin_lock", 4, &[("val", int, 0)]);
    let members = [("a", long, 0), ("lock", lock, 64), ("n", int, 96), ("b", long, 128)];
    let value = b.structure("value", 24, &members);
    MapDef { btf: Some(Arc::new(b.finish().expect("legal"))), value_btf_id: value.0, ..with(kind, 4, 0) }
}

fn kinds() -> Vec<(&'static str, MapDef)> {
    let inner = || Some(Box::new(MapDef::new(MapType::ARRAY, 4, 8, 1)));
    let of_maps = |kind| MapDef { value_size: 4, inner: inner(), ..with(kind, 4, 0) };
    vec![
        ("array", with(MapType::ARRAY, 4, 0)),
        ("array_lock", locked(MapType::ARRAY)),
        ("percpu_array", with(MapType::PERCPU_ARRAY, 4, 0)),
        ("prog_array", MapDef::new(MapType::PROG_ARRAY, 4, 4, ENTRIES)),
        ("hash", with(MapType::HASH, 4, 0)),
        ("hash_no_prealloc", with(MapType::HASH, 12, MapFlags::NO_PREALLOC)),
        ("hash_lock", locked(MapType::HASH)),
        ("percpu_hash", with(MapType::PERCPU_HASH, 4, 0)),
        ("lru_hash", with(MapType::LRU_HASH, 4, 0)),
        ("lru_percpu_hash", with(MapType::LRU_PERCPU_HASH, 4, MapFlags::NO_COMMON_LRU)),
        ("array_of_maps", of_maps(MapType::ARRAY_OF_MAPS)),
        ("hash_of_maps", of_maps(MapType::HASH_OF_MAPS)),
        // Large values, so that there are few nodes.
        ("lpm_trie", MapDef { value_size: 32 << 10, ..with(MapType::LPM_TRIE, 8, MapFlags::NO_PREALLOC) }),
        ("queue", with(MapType::QUEUE, 0, 0)),
        ("stack", with(MapType::STACK, 0, 0)),
        ("bloom_filter", MapDef::new(MapType::BLOOM_FILTER, 0, 24, 64)),
        ("stack_trace", MapDef::new(MapType::STACK_TRACE, 4, 24, ENTRIES)),
        ("ringbuf", MapDef::new(MapType::RINGBUF, 0, 0, PAGE as u32)),
        ("user_ringbuf", MapDef::new(MapType::USER_RINGBUF, 0, 0, PAGE as u32)),
        ("arena", with_size(MapDef::new(MapType::ARENA, 0, 0, 8), MapFlags::MMAPABLE)),
    ]
}

fn with_size(def: MapDef, flags: u32) -> MapDef {
    MapDef { flags: MapFlags(flags), ..def }
}

fn key_of(map: &Map, n: u32) -> Vec<u8> {
    match map.kind() {
        MapType::LPM_TRIE => {
            let data = [[1u8, 0, 0, 0], [1, 1, 0, 0], [1, 0x80, 0, 0], [2, 0, 0, 0], [1, 1, 1, 0]];
            let len = [8u32, 16, 9, 8, 24];
            let n = n as usize % data.len();
            [len[n].to_ne_bytes(), data[n]].concat()
        }
        _ => {
            let mut key = vec![0; map.key_size() as usize];
            let len = key.len().min(4);
            key[..len].copy_from_slice(&n.to_ne_bytes()[..len]);
            key
        }
    }
}

impl Victim {
    fn new(name: &'static str, def: &MapDef) -> Self {
        let memory = Memories::default();
        let map = Map::create(def, &config(), &memory).unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut victim = Self { name, memory, map, sound: Vec::new() };
        for _ in 0..2 {
            for n in 0..3 {
                let _ = victim.map.update_from_host(&key_of(&victim.map, n), &victim.value(1), 0);
            }
        }
        let _ = victim.map.delete_from_host(&key_of(&victim.map, 1));
        let _ = victim.map.stack_id(&[1, 2, 3], 0, 0);
        if let Some(ring) = victim.map.ringbuf() {
            ring.output((&[1; 100]).into(), 0, 0).expect("room");
            let _open = ring.reserve(100, 0, 0).expect("room");
        }
        if let Some(arena) = victim.map.arena() {
            assert_ne!(arena.alloc_pages(0, 2, -1), 0);
        }
        if victim.map.user_ringbuf().is_some() {
            let mut producer = victim.map.producer().expect("the first");
            for len in [100, 8, 0] {
                let sample = producer.reserve(len).expect("room");
                producer.submit(sample);
            }
        }
        victim.sound = victim.memory.contents(KEPT);
        victim
    }

    fn value(&self, byte: u8) -> Vec<u8> {
        vec![byte; self.map.host_value_size()]
    }

    /// An address that the map gave out, with the bytes behind it that may be used.
    fn inside(&self, addr: u64, len: usize) {
        assert!(self.memory.has(addr, len), "{addr:#x}+{len} is outside the map");
    }

    /// One operation, whatever comes of it.
    fn operate(&self, operation: usize) {
        let map = &self.map;
        let [a, b, c] = [0, 2, 3].map(|n| key_of(map, n));
        let [a, b, c] = [&a, &b, &c].map(|k| k.as_slice());
        let one = vec![7; map.value_size() as usize];
        let (one, all): (Bytes<'_>, _) = (one.as_slice().into(), self.value(9));
        match operation {
            0 => {
                for key in [a, b, c] {
                    map.lookup(key.into(), 1).inspect(|&at| self.inside(at, map.value_size() as usize));
                }
            }
            1 => _ = map.update(c.into(), one, 0, 1),
            2 => _ = map.update(a.into(), one, 2, 0),
            3 => _ = map.update(b.into(), one, 4, 1),
            4 => _ = map.delete(b.into(), 0),
            5 => drop(map.lookup_copy(a, 0)),
            6 => drop(map.lookup_copy(b, 4)),
            7 => drop(map.update_from_host(c, &all, 1)),
            8 => drop(map.update_from_host(a, &all, 4)),
            9 => drop(map.delete_from_host(b)),
            10 => self.dump(),
            11 => self.batches(false),
            12 => self.batches(true),
            13 => _ = map.update_batch(&[a, c].concat(), &[all.clone(), all].concat(), 0),
            14 => _ = map.delete_batch(&[a, b].concat(), 0),
            15 => self.walk(),
            16 => _ = map.push(one, 2, 1),
            17 => _ = map.pop(&mut BytesMut::from(&mut vec![0; map.value_size() as usize][..]), 1),
            18 => _ = map.peek(&mut BytesMut::from(&mut vec![0; map.value_size() as usize][..]), 1),
            19 => _ = (map.peek_value(one), map.pop_from_host().is_ok()),
            20 => _ = map.stack_id(&[5, 6], 1 << 10, 1),
            21 => _ = (map.get_program(2), map.inner_id(a.into()), map.is_frozen(), map.element_count()),
            22 => {
                map.begin_run(1);
                let found = map.lookup(a.into(), 1);
                let _ = map.update(a.into(), one, 0, 1);
                found.inspect(|&at| self.inside(at, map.value_size() as usize));
                map.end_run(1);
            }
            23 => self.locks(),
            24 => self.rings(),
            25 => self.user_rings(),
            26 => self.arenas(),
            27 => {
                // Evicts, and fills.
                for n in 10..10 + 2 * ENTRIES {
                    STEP.set(STEP.get().min(STEPS / 2));
                    if map.update(key_of(map, n).as_slice().into(), one, 0, 0).is_err() {
                        break;
                    }
                }
            }
            _ => {
                let header = self.memory.contents(Header::LEN).pop().expect("metadata");
                if let Ok(header) = Header::parse("again", &header, PAGE) {
                    drop(Map::open(&header, &config(), &self.memory));
                }
            }
        }
    }

    const OPERATIONS: usize = 29;

    fn dump(&self) {
        let mut key = None;
        for _ in 0..3 * ENTRIES {
            match self.map.next_key(key.as_deref()) {
                Ok(next) => key = Some(next),
                Err(_) => break,
            }
            // Each is an operation.
            start();
        }
    }

    fn batches(&self, take: bool) {
        let mut after = None;
        for _ in 0..3 * ENTRIES {
            match self.map.batch(after.as_deref(), 3, 0, take) {
                Ok(batch) if batch.next.is_some() => after = batch.next,
                _ => break,
            }
            start();
        }
        drop(self.map.batch(None, 100, 4, false));
    }

    fn walk(&self) {
        let mut walk = Walk::default();
        while let Step::Element(_) | Step::Nothing = self.step(&mut walk) {}
    }

    fn step(&self, walk: &mut Walk) -> Step {
        let step = self.map.walk(walk, 1);
        if let Step::Element(element) = step {
            self.inside(element.value, self.map.value_size() as usize);
            if let skep_maps::Key::At(key) = element.key {
                self.inside(key, self.map.key_size() as usize);
            }
        }
        step
    }

    fn locks(&self) {
        let (Some(off), Some(area)) = (self.map.spin_lock_off(), self.map.value_area()) else { return };
        let lock = area.addr + u64::from(off);
        if self.map.spin_lock(lock, 1) == Some(Ok(())) {
            assert!(self.map.spin_unlock(lock));
        }
        assert_eq!(self.map.spin_lock(lock + 4, 1), None);
    }

    fn rings(&self) {
        let Some(ring) = self.map.ringbuf() else { return };
        for size in [0, 8, 100, 3000] {
            if let Ok(addr) = ring.reserve(size, 0, 1) {
                self.inside(addr, size as usize);
                let _ = match size {
                    8 => ring.discard(addr, 0),
                    _ => ring.submit(addr, 0),
                };
            }
        }
        let _ = ring.output(Bytes::from(&[1; 77]), 0, 0);
        (0..4).for_each(|what| _ = ring.query(what));
        if let Ok(mut consumer) = self.map.consumer() {
            let _ = consumer.ready();
            for _ in 0..4 {
                let _ = consumer.poll(&mut |r| assert!(r.len() <= PAGE));
            }
        }
    }

    fn user_rings(&self) {
        let Some(ring) = self.map.user_ringbuf() else { return };
        if let Ok(mut drain) = ring.begin(0, 1) {
            while let Ok(Drained::Sample { .. } | Drained::Nothing) =
                ring.next(&mut drain).inspect(|sample| match *sample {
                    Drained::Sample { addr, len } => self.inside(addr, len as usize),
                    Drained::Nothing | Drained::End => {}
                })
            {}
            ring.finish(drain);
        }
        if let Ok(mut producer) = self.map.producer() {
            for len in [8, 3000, 0] {
                let _ = producer.has_room(len);
                let Ok(sample) = producer.reserve(len) else { continue };
                let _ = producer.write(&sample, 0, &vec![1; len as usize]);
                producer.submit(sample);
            }
        }
    }

    fn arenas(&self) {
        let Some(arena) = self.map.arena() else { return };
        for count in [1, 3] {
            let at = arena.alloc_pages(0, count, -1);
            if at != 0 {
                arena.at(at as u32, 0, 8).inspect(|&host| self.inside(host, 8));
                arena.free_pages(at, count);
            }
        }
        let _ = arena.reserve_pages(arena.base() + PAGE as u64, 2);
        let _ = arena.alloc_pages(arena.base() + 5 * PAGE as u64, 2, -1);
        for at in [0, PAGE as u64 - 4, 8 * PAGE as u64 - 4, 1 << 40] {
            let _ = (arena.read(at, &mut [0; 16]), arena.write(at, &[1; 4]));
            arena.at((arena.base() + at) as u32, 4, 4).inspect(|&host| self.inside(host, 4));
        }
    }

    /// Runs an operation under the clock.
    fn run(&self, operation: usize) {
        start();
        self.operate(operation);
        let limit = WAITS * PATIENCE.as_micros() as u64 * 11 / 10;
        assert!(SLEPT.get() <= limit, "an operation waits for {} s", SLEPT.get() / 1_000_000);
    }

    /// Runs operations on damaged memory, the first one perhaps damaged on its way.
    fn attack(&self, damages: &[Damage], later: Option<(u64, Damage)>, operations: &[usize]) {
        self.memory.restore(&self.sound);
        damages.iter().for_each(|d| d.write());
        LATER.set(later);
        let now = Cell::new(0);
        let done = catch_unwind(AssertUnwindSafe(|| {
            for &operation in operations {
                now.set(operation);
                self.run(operation);
            }
        }));
        LATER.set(None);
        let offsets: Vec<_> =
            damages.iter().chain(later.iter().map(|(_, d)| d)).map(|d| self.where_is(d)).collect();
        let what = format!(
            "{}: {offsets:?}, at step {:?}, operation {} of {operations:?}",
            self.name,
            later.map(|(step, _)| step),
            now.get()
        );
        assert!(done.is_ok(), "{what}");
        assert!(self.memory.is_whole(), "written behind the memory: {what}");
    }

    /// Which block, and the offset in it.
    fn where_is(&self, damage: &Damage) -> String {
        let blocks = self.memory.blocks();
        let (addr, _) =
            blocks.iter().find(|(a, len)| damage.addr.wrapping_sub(*a) < *len as u64).expect("inside");
        let what = if *addr == self.memory.metadata_block().0 { "metadata" } else { "payload" };
        format!("{what}+{}:{}={:#x}", damage.addr - addr, damage.bytes, damage.value)
    }

    /// Words that may mean something: links, counts, lengths, holders of locks who live, have died, or are here.
    fn words(&self) -> Vec<u32> {
        let host = 0x3fff;
        let mut words = vec![1, 2, 3, 5, 7, 0x7fff_ffff, 1 << 31, 1 << 30, 3 << 30, u32::MAX - 7];
        words.extend([
            host,
            1 << 14 | host,
            2 << 14 | host,
            3 << 14 | 1,
            1 << 14 | 2,
            4 << 14 | 2,
            9,
            4090,
            4097,
        ]);
        words
    }

    fn random(&self, rng: &mut Rng) -> Damage {
        let (addr, len) = rng.pick(&self.memory.blocks());
        let within = if rng.below(4) == 0 { len.min(KEPT) } else { len.min(2048) };
        let value = match rng.below(4) {
            0 => rng.next() as u32,
            1 => rng.below(24) as u32,
            _ => rng.pick(&self.words()),
        };
        Damage { addr: addr + rng.below(within as u64 / 4) * 4, value, bytes: 4 }
    }
}

fn victims() -> Vec<Victim> {
    skep_maps::on_step(Some(on_step));
    kinds().iter().map(|(name, def)| Victim::new(name, def)).collect()
}

/// The operations from one on, and all others behind it.
fn from(first: usize) -> Vec<usize> {
    (0..Victim::OPERATIONS).map(|i| (first + i) % Victim::OPERATIONS).collect()
}

/// Every byte of the first pages of each block is 0x00, 0xff and another; each word what might mean something.
#[test]
fn every_byte() {
    let (times, mut rng) = (support::campaign(), Rng::new(support::seed()));
    for victim in victims() {
        let mut attacks = 0u64;
        for (addr, len) in victim.memory.blocks() {
            let len = len.min(KEPT);
            // A slice: some of the bytes, more of them where the small tables are.
            let stride = |off: usize| if off < 1536 { 29 } else { 499 };
            let mut off = rng.below(8) as usize;
            while off < len {
                let at = addr + off as u64;
                for value in [0, 0xff, rng.next() as u32 & 0xff] {
                    victim.attack(&[Damage { addr: at, value, bytes: 1 }], None, &from(attacks as usize));
                    attacks += 1;
                }
                for value in victim.words() {
                    let word = Damage { addr: at & !3, value, bytes: 4 };
                    victim.attack(&[word], None, &from(attacks as usize));
                    attacks += 1;
                }
                off += if times > 8 { 1 } else { stride(off) / times as usize + 1 };
            }
        }
        eprintln!("{}: {attacks} damages", victim.name);
    }
}

/// Several words at a time, and one in the middle of an operation.
#[test]
fn while_operations_run() {
    let (times, mut rng) = (support::campaign(), Rng::new(support::seed()));
    for victim in victims() {
        for _ in 0..1500 * times {
            let damages: Vec<_> = (0..rng.below(5)).map(|_| victim.random(&mut rng)).collect();
            let first = rng.below(Victim::OPERATIONS as u64) as usize;
            let later = (1 + rng.below(200), victim.random(&mut rng));
            victim.attack(&damages, Some(later), &from(first)[..6]);
        }
    }
}

/// Every word of the metadata leads to each of the first elements, one operation after the other.
fn tie(kinds_of: &[&str], operations: &[usize]) {
    for victim in victims().into_iter().filter(|v| kinds_of.contains(&v.name)) {
        let (addr, len) = victim.memory.metadata_block();
        for off in (128..len.min(KEPT) as u64).step_by(4) {
            for value in 1..=4 {
                victim.attack(&[Damage { addr: addr + off, value, bytes: 4 }], None, operations);
            }
        }
    }
}

/// `bpf_for_each_map_elem` over a bucket whose list leads back to its beginning never came to an end.
#[test]
fn a_walk_over_a_tied_list_ends() {
    tie(&["hash", "percpu_hash", "lru_hash"], &[15]);
}

/// `BPF_MAP_LOOKUP_AND_DELETE_BATCH` of such a bucket took elements out until there was no memory left.
#[test]
fn taking_a_tied_list_ends() {
    tie(&["hash", "hash_no_prealloc", "lru_percpu_hash"], &[12]);
}

/// Readers of a trie whose version a peer had made odd, while nobody had the lock, waited for a writer each time.
#[test]
fn a_version_that_nobody_left_odd_is_mended() {
    for victim in victims().into_iter().filter(|v| v.name == "lpm_trie") {
        let (addr, _) = victim.memory.metadata_block();
        for off in (128..160).step_by(4) {
            victim.attack(&[Damage { addr: addr + off, value: 1, bytes: 4 }], None, &[0]);
            victim.run(0);
            assert_eq!(SLEPT.get(), 0, "{off}: the second time nothing is in the way");
        }
    }
}
