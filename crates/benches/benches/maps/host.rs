//! Operations of the host.

use std::hint::black_box;
use std::time::Instant;

use benches::ROUNDS;
use skep_abi::MapType;
use skep_maps::{Heap, Map};
use skep_spec::{BackendMap, MapDef};

use crate::clock::{median, thread_ns};
use crate::kernel;
use crate::ours::config;
use crate::programs::MIX;

/// Lookups of a round.
const LOOKUPS: u32 = 100_000;
/// Elements of a dump.
const DUMPED: u32 = 1_000_000;
/// Elements of a map that has to open soon.
const HUGE: u32 = 10_000_000;
/// Elements of a step of a dump in steps.
const STEP: usize = 16_384;

/// Lookups, a dump, and how long a large map takes to open.
pub fn measure() {
    println!("{:<32} {:>8} {:>8} {:>9} {:>7}", "host", "skep", "target", "kernel", "ratio");
    lookup();
    dump();
    open();
}

fn line(what: &str, mine: Vec<f64>, target: f64, theirs: Vec<f64>) {
    let mine = median(mine);
    let (theirs, ratio) = match theirs.is_empty() {
        true => ("–".to_owned(), "–".to_owned()),
        false => {
            let theirs = median(theirs);
            (format!("{theirs:.1}"), format!("{:.2}", theirs / mine))
        }
    };
    let target = if target.is_nan() { "–".to_owned() } else { format!("{target:.0}") };
    println!("{what:<32} {mine:>8.1} {target:>8} {theirs:>9} {ratio:>7}");
}

fn lookup() {
    let def = MapDef::new(MapType::HASH, 4, 8, 1024);
    let (ours, theirs) = (Map::create(&def, &config(), &Heap).expect("legal"), kernel::create(&def));
    for key in 0..1024u32 {
        ours.update_from_host(&key.to_ne_bytes(), &[0; 8], 0).expect("there is room");
        if let Some(k) = &theirs {
            k.update(&key.to_ne_bytes(), &[0; 8], 0).expect("there is room");
        }
    }
    let mut samples = [const { Vec::new() }; 3];
    let mut value = [0; 8];
    for _ in 0..ROUNDS {
        let key = |i: u32| (i.wrapping_mul(MIX) >> 16 & 1023).to_ne_bytes();
        let start = thread_ns();
        for i in 0..LOOKUPS {
            black_box(ours.lookup_copy(&black_box(key(i)), 0).expect("it is there"));
        }
        samples[0].push((thread_ns() - start) / f64::from(LOOKUPS));
        let start = thread_ns();
        for i in 0..LOOKUPS {
            ours.lookup_into(&black_box(key(i)), 0, &mut value).expect("it is there");
            black_box(&value);
        }
        samples[2].push((thread_ns() - start) / f64::from(LOOKUPS));
        let Some(theirs) = &theirs else { continue };
        let start = thread_ns();
        for i in 0..LOOKUPS {
            black_box(theirs.lookup(&black_box(key(i)), 0).expect("it is there"));
        }
        samples[1].push((thread_ns() - start) / f64::from(LOOKUPS));
    }
    let [vectors, theirs, mine] = samples;
    line("lookup (ns)", mine, 50.0, theirs.clone());
    line("lookup, into a new vector (ns)", vectors, 50.0, theirs);
}

fn dump() {
    let def = MapDef::new(MapType::HASH, 4, 8, DUMPED);
    let (ours, theirs) = (Map::create(&def, &config(), &Heap).expect("legal"), kernel::create(&def));
    let numbers: Vec<u32> = (0..DUMPED).map(|i| i.wrapping_mul(MIX)).collect();
    for key in &numbers {
        ours.update_from_host(&key.to_ne_bytes(), &u64::from(*key).to_ne_bytes(), 0).expect("there is room");
    }
    if let Some(k) = &theirs {
        let values: Vec<u64> = numbers.iter().map(|&k| k.into()).collect();
        kernel::fill(k, &numbers, &values);
    }
    let mut samples = [const { Vec::new() }; 3];
    let (mut keys, mut values) = (vec![0u32; DUMPED as usize + 1], vec![0u64; DUMPED as usize + 1]);
    let (mut own_keys, mut own_values) = (vec![1u8; 4 * DUMPED as usize], vec![1u8; 8 * DUMPED as usize]);
    for _ in 0..ROUNDS {
        for (room, which) in [(DUMPED as usize, 0), (STEP, 2)] {
            let start = thread_ns();
            let (mut count, mut at) = (0, Some(0));
            while let Some(from) = at {
                let (keys, values) = (&mut own_keys[..4 * room], &mut own_values[..8 * room]);
                let batch = ours.lookup_batch(from, keys, values).expect("there is room");
                black_box((&own_keys, &own_values));
                count += batch.count as u32;
                at = batch.next;
            }
            samples[which].push((thread_ns() - start) / 1e6);
            assert_eq!(count, DUMPED);
        }
        let Some(theirs) = &theirs else { continue };
        let start = thread_ns();
        let count = kernel::dump(theirs, &mut keys, &mut values, DUMPED + 1);
        samples[1].push((thread_ns() - start) / 1e6);
        assert_eq!(count, DUMPED as usize);
    }
    let [mine, theirs, steps] = samples;
    line("dump of 1,000,000 elements (ms)", mine, 20.0, theirs.clone());
    line("dump, 16,384 at a time (ms)", steps, f64::NAN, theirs);
}

fn open() {
    let def = MapDef::new(MapType::HASH, 4, 8, HUGE);
    let mut samples = [const { Vec::new() }; 2];
    for _ in 0..3 {
        let start = Instant::now();
        let ours = Map::create(&def, &config(), &Heap).expect("legal");
        samples[0].push(start.elapsed().as_secs_f64() * 1e3);
        drop(ours);
        let start = Instant::now();
        if kernel::create(&def).is_some() {
            samples[1].push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    let [mine, theirs] = samples;
    line("hash of 10,000,000 opens (ms)", mine, 1000.0, theirs);
}
