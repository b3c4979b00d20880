//! Two threads on two cores beside one, and the kernel's maps in the same way.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use benches::ROUNDS;
use skep_abi::MapType;
use skep_maps::{Bytes, Heap, Map};
use skep_spec::{BackendMap, MapDef};

use crate::clock::{median, pin, thread_ns};
use crate::kernel::Kernel;
use crate::ours::config;
use crate::programs::{MIX, OPS, shared};

/// How many elements a map is for, and how many it has: all of them are used, every other one by each thread.
const MAPS: [(u32, u32); 3] = [(1 << 16, 1 << 11), (1 << 16, 1 << 16), (1 << 20, 1 << 11)];
/// Runs of [`OPS`] operations of a thread in a round.
const REPEAT: u32 = 400;

/// How often a measurement is made again, and the share of its time that a thread must have had its core.
const TRIES: u32 = 30;
const UNDISTURBED: f64 = 0.97;

/// Operations, as often as [`REPEAT`] says, by a virtual CPU; nanoseconds for each.
type Work<'a> = &'a (dyn Fn(u32) -> f64 + Sync);

/// How many times as much two threads do in a second of processor time each.
pub fn measure() {
    println!(
        "{:<32} {:>8} {:>9} {:>7} {:>7} {:>9} {:>9} {:>7}",
        "scaling (ns an operation)",
        "1 thread",
        "2 threads",
        "times",
        "target",
        "kernel 1",
        "kernel 2",
        "times"
    );
    for (what, updates) in [("lookups", false), ("updates", true)] {
        for (entries, used) in MAPS {
            let def = MapDef::new(MapType::HASH, 4, 8, entries);
            let map = Map::create(&def, &config(), &Heap).expect("legal");
            let lookup = |key: u32, cpu: u32| _ = black_box(map.lookup((&key.to_ne_bytes()).into(), cpu));
            let update = |key: u32, cpu: u32| {
                let value = u64::from(key).to_ne_bytes();
                map.update((&key.to_ne_bytes()).into(), Bytes::from(&value), 0, cpu).expect("there is room");
            };
            insert(used, update);
            let kernel = Kernel::of(&shared("both", updates, used, entries));
            let kernel = kernel.inspect_err(|why| println!("skipped the kernel: {why}")).ok();
            if let Some(kernel) = &kernel {
                insert(used, |key, _| {
                    kernel.map("hash").update(&key.to_ne_bytes(), &[0; 8], 0).expect("there is room");
                });
            }
            let ours: Work<'_> = match updates {
                false => &|cpu| many(cpu, used, lookup),
                true => &|cpu| many(cpu, used, update),
            };
            let theirs = |_| kernel.as_ref().map_or(f64::NAN, |k| k.run(0, REPEAT));
            let mut samples = [const { Vec::new() }; 4];
            for _ in 0..ROUNDS {
                samples[0].push(ns(1, ours));
                samples[1].push(ns(2, ours));
                samples[2].push(ns(1, &theirs));
                samples[3].push(ns(2, &theirs));
            }
            let [one, two, kernel_one, kernel_two] = samples.map(median);
            let what = format!("{what}, {used} of {entries}");
            println!(
                "{what:<32} {one:>8.1} {two:>9.1} {:>7.2} {:>7.1} {kernel_one:>9.1} {kernel_two:>9.1} {:>7.2}",
                2.0 * one / two,
                1.8,
                2.0 * kernel_one / kernel_two
            );
        }
    }
}

/// Inserts each key on the CPU that will use it, as where programs of each CPU have flows of their own: its elements lie together.
fn insert(used: u32, put: impl Fn(u32, u32)) {
    for cpu in 0..2 {
        pin(1 - cpu as usize);
        (cpu..used).step_by(2).for_each(|key| put(key, cpu));
    }
    pin(1);
}

/// Does an operation on keys of a CPU's; nanoseconds of processor time for each.
#[inline(always)]
fn many(cpu: u32, used: u32, operation: impl Fn(u32, u32)) -> f64 {
    let start = thread_ns();
    for i in 0..REPEAT * OPS {
        let key = i.wrapping_mul(MIX) >> 16 & (used - 1);
        operation(black_box(key & !1 | cpu), cpu);
    }
    (thread_ns() - start) / f64::from(REPEAT * OPS)
}

/// Nanoseconds of processor time an operation, the mean over threads, each on a core of its own. Threads that had to share
/// their cores with others did not run at the same time: such a measurement is made again.
fn ns(threads: u32, work: Work<'_>) -> f64 {
    let mut last = f64::NAN;
    for _ in 0..TRIES {
        let (ns, share) = together(threads, work);
        last = ns;
        if share >= UNDISTURBED {
            return ns;
        }
    }
    println!("other work kept the cores busy: the next line tells less than it seems to");
    last
}

/// The same once, and the share of its time that the thread which was disturbed most had a core.
fn together(threads: u32, work: Work<'_>) -> (f64, f64) {
    let barrier = Barrier::new(threads as usize);
    let work = |cpu: u32| {
        assert!(pin(1 - cpu as usize) || threads == 1, "there are two CPUs");
        barrier.wait();
        let (start, busy) = (Instant::now(), thread_ns());
        let ns = work(cpu);
        (ns, (thread_ns() - busy) / start.elapsed().as_nanos() as f64)
    };
    thread::scope(|s| {
        let running: Vec<_> = (0..threads).map(|cpu| s.spawn(move || work(cpu))).collect();
        let done: Vec<_> = running.into_iter().map(|t| t.join().expect("it does not panic")).collect();
        let mean = done.iter().map(|d| d.0).sum::<f64>() / f64::from(threads);
        (mean, done.iter().map(|d| d.1).fold(1.0, f64::min))
    })
}
