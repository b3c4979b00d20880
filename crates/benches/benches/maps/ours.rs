//! Our side: direct calls of what a program's helpers call, each operation [`OPS`] times a run, as the programs do.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;

use skep_maps::{ArrayGeometry, Bytes, BytesMut, Config, Heap, Map, Ringbuf};
use skep_spec::MapDef;

use crate::clock::thread_ns;
use crate::programs::{MIX, OPS};

/// The virtual CPU that the calls name.
const CPU: u32 = 0;

/// What a domain of two CPUs gives maps here.
pub fn config() -> Config {
    Config { relax: std::thread::yield_now, ..Config::new(2) }
}

/// Maps, and the counter that keys are made of.
pub struct Ours {
    maps: HashMap<String, Arc<Map>>,
    counter: u32,
    failed: u64,
}

impl Ours {
    pub fn new(defs: &[Arc<MapDef>]) -> Self {
        let create =
            |def: &Arc<MapDef>| (def.name.clone(), Map::create(def, &config(), &Heap).expect("a legal map"));
        Self { maps: defs.iter().map(create).collect(), counter: 0, failed: 0 }
    }

    /// A map by its name.
    pub fn map(&self, name: &str) -> &Arc<Map> {
        &self.maps[name]
    }

    /// How often an operation did not do what its name says.
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// Does an operation; nanoseconds of this thread for each.
    pub fn run(&mut self, name: &str, repeat: u32) -> f64 {
        let small = |hash: u32| hash >> 16 & 1023;
        let other = |hash: u32| hash >> 16 & 1023 | 0x4000_0000;
        let map = |name: &str| self.maps[name].clone();
        let ns = match name {
            "empty" => self.times(repeat, small, |_, _| 1),
            "array" => self.times(repeat, small, indexed(map("array").array())),
            "percpu_array" => self.times(repeat, small, indexed(map("percpu_array").percpu_array(CPU))),
            "hash_hit" => self.times(repeat, small, found(&map("hash"))),
            "hash_miss" => self.times(repeat, other, absent(&map("hash"))),
            "large_hit" => self.times(repeat, |hash| hash >> 8 & 0xf_ffff, found(&map("large"))),
            "percpu_hash" => self.times(repeat, small, found(&map("percpu_hash"))),
            "hash_update" => self.times(repeat, small, put(&map("hash"))),
            "insert_delete" => {
                let room = map("room");
                let put = put(&room);
                self.times(repeat, other, |key, i| {
                    put(key, i) & u64::from(room.delete(key.into(), CPU).is_ok())
                })
            }
            "lru_hit" => self.times(repeat, small, found(&map("lru"))),
            "lru_evict" => self.times(repeat, |hash| hash, put(&map("lru_full"))),
            "lpm" => {
                let lpm = map("lpm");
                let look = |key: &[u8; 4], _| {
                    let mut whole = [32, 0, 0, 0, 0, 0, 0, 0];
                    whole[4..].copy_from_slice(key);
                    lpm.lookup((&whole).into(), CPU).unwrap_or(1)
                };
                self.times(repeat, |hash| hash, look)
            }
            "queue" => {
                let queue = map("queue");
                let mut out = [0u8; 8];
                let both = |_: &[u8; 4], i: u32| {
                    let value = black_box(u64::from(i).to_ne_bytes());
                    let pushed = queue.push((&value).into(), 0, CPU);
                    u64::from(pushed.is_ok() && queue.pop(&mut BytesMut::from(&mut out[..]), CPU).is_ok())
                };
                self.times(repeat, small, both)
            }
            "bloom_push" => {
                let bloom = map("bloom");
                self.times(repeat, small, |key, _| u64::from(bloom.push(key.into(), 0, CPU).is_ok()))
            }
            "bloom_hit" => {
                let bloom = map("bloom");
                self.times(repeat, small, |key, _| u64::from(bloom.peek_value(key.into()).is_ok()))
            }
            "bloom_miss" => {
                let bloom = map("bloom");
                self.times(repeat, other, |key, _| 1 + u64::from(bloom.peek_value(key.into()).is_ok()))
            }
            "devmap" => self.times(repeat, small, found(&map("devmap"))),
            "ring" => {
                let map = map("ring");
                let ring = map.ringbuf().expect("it is one");
                self.times(repeat, small, |_, i| submit(ring, i))
            }
            other => panic!("no operation {other}"),
        };
        ns / f64::from(repeat * OPS)
    }

    /// Nanoseconds of it all. An operation gives 0 when it did not do what its name says.
    #[inline(always)]
    fn times(
        &mut self,
        repeat: u32,
        key: impl Fn(u32) -> u32,
        mut operation: impl FnMut(&[u8; 4], u32) -> u64,
    ) -> f64 {
        let (mut counter, mut failed, mut seen) = (self.counter, 0, 0);
        let start = thread_ns();
        for _ in 0..repeat * OPS {
            let key = black_box(key(counter.wrapping_mul(MIX)).to_ne_bytes());
            let result = operation(&key, counter);
            failed += u64::from(result == 0);
            seen ^= result;
            counter = counter.wrapping_add(1);
        }
        black_box(seen);
        let ns = thread_ns() - start;
        (self.counter, self.failed) = (counter, self.failed + failed);
        ns
    }
}

/// As engines do, which know where an array stands.
fn indexed(array: Option<ArrayGeometry>) -> impl Fn(&[u8; 4], u32) -> u64 {
    let array = array.expect("it is one");
    move |key, _| array.value(u32::from_ne_bytes(*key)).unwrap_or(0)
}

fn found(map: &Map) -> impl Fn(&[u8; 4], u32) -> u64 {
    |key, _| map.lookup(key.into(), CPU).unwrap_or(0)
}

fn absent(map: &Map) -> impl Fn(&[u8; 4], u32) -> u64 {
    |key, _| u64::from(map.lookup(key.into(), CPU).is_none())
}

fn put(map: &Map) -> impl Fn(&[u8; 4], u32) -> u64 {
    |key, i| {
        let value = black_box(u64::from(i).to_ne_bytes());
        u64::from(map.update(key.into(), Bytes::from(&value), 0, CPU).is_ok())
    }
}

fn submit(ring: &Ringbuf, i: u32) -> u64 {
    let Ok(addr) = ring.reserve(64, 0, CPU) else { return 0 };
    let first = std::ptr::with_exposed_provenance_mut::<u64>(addr as usize);
    // SAFETY: 64 bytes that are reserved for us, aligned to 8; only atomics look at them otherwise.
    unsafe { first.write_volatile(i.into()) };
    u64::from(ring.submit(addr, Ringbuf::NO_WAKEUP).is_ok())
}
