//! Two threads on two cores beside one.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;

use benches::ROUNDS;
use skep_abi::MapType;
use skep_maps::{Bytes, Heap, Map};
use skep_spec::MapDef;

use crate::clock::{median, pin, thread_ns};
use crate::ours::config;
use crate::programs::MIX;

/// Elements of the map.
const ELEMENTS: u32 = 1 << 16;
/// How many of them are used, every other by each thread.
const USED: [u32; 2] = [1 << 11, ELEMENTS];
/// Operations of a thread in a round.
const OPS: u32 = 500_000;

/// On a key, by a virtual CPU.
type Operation<'a> = &'a (dyn Fn(u32, u32) + Sync);

/// How many times as much two threads do in a second of processor time each.
pub fn measure() {
    let def = MapDef::new(MapType::HASH, 4, 8, ELEMENTS);
    let map = Map::create(&def, &config(), &Heap).expect("legal");
    for key in 0..ELEMENTS {
        map.update_from_host(&key.to_ne_bytes(), &[0; 8], 0).expect("there is room");
    }
    println!(
        "{:<32} {:>10} {:>10} {:>7} {:>7}",
        "scaling (ns an operation)", "1 thread", "2 threads", "times", "target"
    );
    let lookup = |key: u32, cpu: u32| _ = black_box(map.lookup((&key.to_ne_bytes()).into(), cpu));
    let update = |key: u32, cpu: u32| {
        let value = u64::from(key).to_ne_bytes();
        map.update((&key.to_ne_bytes()).into(), Bytes::from(&value), 0, cpu).expect("it exists");
    };
    let rows: [(&str, Operation<'_>); 2] = [("lookups", &lookup), ("updates, distinct", &update)];
    for (what, operation) in rows {
        for used in USED {
            let (mut one, mut two) = (Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                one.push(ns(1, used, operation));
                two.push(ns(2, used, operation));
            }
            let (one, two) = (median(one), median(two));
            let what = format!("{what}, {used} keys");
            println!("{what:<32} {one:>10.1} {two:>10.1} {:>7.2} {:>7.1}", 2.0 * one / two, 1.8);
        }
    }
}

/// Nanoseconds of processor time an operation, the mean over threads.
fn ns(threads: u32, used: u32, operation: Operation<'_>) -> f64 {
    let barrier = Barrier::new(threads as usize);
    let work = |cpu: u32| {
        pin(1 - cpu as usize);
        barrier.wait();
        let start = thread_ns();
        for i in 0..OPS {
            let key = i.wrapping_mul(MIX) >> 16 & (used - 1);
            operation(black_box(key & !1 | cpu), cpu);
        }
        (thread_ns() - start) / f64::from(OPS)
    };
    thread::scope(|s| {
        let running: Vec<_> = (0..threads).map(|cpu| s.spawn(move || work(cpu))).collect();
        running.into_iter().map(|t| t.join().expect("it does not panic")).sum::<f64>() / f64::from(threads)
    })
}
