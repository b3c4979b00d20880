//! User ring buffers: a program drains what the process put in.

use std::sync::Arc;

use benches::ROUNDS;
use skep_abi::MapType;
use skep_maps::{Drained, Heap, Map};
use skep_spec::{BackendMap, MapDef, ProgramSpec, RingProducer};

use crate::clock::{median, thread_ns};
use crate::kernel::Kernel;
use crate::ours::config;
use crate::programs::{OPS, assembled};

/// Bytes of a sample.
const SAMPLE: u32 = 64;
/// Bytes of the ring, which has room for the samples of a run.
const RING: u32 = 1 << 20;
/// Runs of a round, each of [`OPS`] samples.
const REPEAT: u32 = 100;

const PROGRAM: &str = "\
.license GPL
.map samples type=user_ringbuf max_entries=1048576
.section socket
drain:
    r1 = map[samples] ll
    r2 = subprog[see]
    r3 = 0
    r4 = 1
    call bpf_user_ringbuf_drain
    exit
see:
    r0 = 0
    exit
";

/// Nanoseconds of each side: to put a sample in, and to drain one.
type Sides = [[Vec<f64>; 2]; 2];

/// The rows; the program's function does nothing, and is not called on our side.
pub fn measure() {
    let def = MapDef::new(MapType::USER_RINGBUF, 0, 0, RING);
    let map = Map::create(&def, &config(), &Heap).expect("legal");
    let mut producer = map.producer().expect("there is none yet");
    let spec = program();
    let kernel = Kernel::of(&spec).inspect_err(|why| println!("skipped the kernel: {why}")).ok();
    let mut theirs = kernel.as_ref().map(|k| k.map("samples").producer().expect("there is none yet"));
    let mut samples: Sides = Default::default();
    for _ in 0..ROUNDS {
        let mut ns = [[0.0; 2]; 2];
        for _ in 0..REPEAT {
            ns[0][0] += timed(|| {
                for _ in 0..OPS {
                    let sample = producer.reserve(SAMPLE).expect("there is room");
                    producer.write(&sample, 0, &[1; SAMPLE as usize]).expect("inside");
                    producer.submit(sample);
                }
            });
            ns[1][0] += timed(|| assert_eq!(drain(&map), OPS));
            let (Some(kernel), Some(theirs)) = (&kernel, &mut theirs) else { continue };
            ns[0][1] += timed(|| fill(&mut **theirs));
            ns[1][1] += timed(|| _ = kernel.run(0, 1));
        }
        for (row, ns) in samples.iter_mut().zip(ns) {
            row[0].push(ns[0] / f64::from(REPEAT * OPS));
            row[1].extend(kernel.as_ref().map(|_| ns[1] / f64::from(REPEAT * OPS)));
        }
    }
    for (what, [mine, theirs]) in ["user ring buffer, put in", "user ring buffer, drain"].iter().zip(samples)
    {
        let mine = median(mine);
        let (theirs, ratio) = match theirs.is_empty() {
            true => ("–".to_owned(), "–".to_owned()),
            false => {
                let theirs = median(theirs);
                (format!("{theirs:.1}"), format!("{:.2}", theirs / mine))
            }
        };
        println!("{what:<32} {mine:>8.1} {:>8} {theirs:>9} {ratio:>7}", "–");
    }
}

fn timed(f: impl FnOnce()) -> f64 {
    let start = thread_ns();
    f();
    thread_ns() - start
}

/// As `bpf_user_ringbuf_drain`, without a function.
fn drain(map: &Arc<Map>) -> u32 {
    let ring = map.user_ringbuf().expect("it is one");
    let mut drain = ring.begin(1, 0).expect("nobody else drains");
    while let Drained::Sample { addr, len } = ring.next(&mut drain).expect("nobody damages it") {
        std::hint::black_box((addr, len));
    }
    ring.finish(drain)
}

fn fill(producer: &mut dyn RingProducer) {
    for _ in 0..OPS {
        let sample = producer.reserve(SAMPLE).expect("there is room");
        producer.write(&sample, 0, &[1; SAMPLE as usize]).expect("inside");
        producer.submit(sample);
    }
}

fn program() -> ProgramSpec {
    let (mut specs, _) = assembled(&[("drain", PROGRAM.to_owned())]);
    specs.remove(0)
}
