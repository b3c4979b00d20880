//! Mutation without instrumentation: seeds, changed at random, for a time or a number of rounds.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::generate::rng::Rng;

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// After a time.
    Elapsed(Duration),
    /// After a number of inputs: the same inputs every time.
    Inputs(u64),
}

/// What a campaign did.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// Inputs tried.
    pub inputs: u64,
    /// The longest time that one took.
    pub slowest: Duration,
    /// The input that took it.
    pub slowest_input: Vec<u8>,
    /// The first input that the target panicked on.
    pub crash: Option<Vec<u8>>,
}

/// Feeds `target` mutations of `seeds` (at least one) until told to stop, or it panics.
pub fn run(target: super::Target, seeds: &[Vec<u8>], seed: u64, until: Until) -> Done {
    let mut rng = Rng::new(seed);
    let mut done = Done::default();
    let start = Instant::now();
    loop {
        match until {
            Until::Elapsed(time) if start.elapsed() >= time => break,
            Until::Inputs(n) if done.inputs >= n => break,
            _ => {}
        }
        let mut input = rng.pick(seeds).clone();
        // The seeds themselves come first in every campaign.
        if let Some(seed) = usize::try_from(done.inputs).ok().and_then(|i| seeds.get(i)) {
            input.clone_from(seed);
        } else {
            for _ in 0..1 + rng.below(4) {
                mutate(&mut rng, &mut input, seeds);
            }
        }
        let before = Instant::now();
        let crashed = catch_unwind(AssertUnwindSafe(|| target(&input))).is_err();
        done.inputs += 1;
        if before.elapsed() > done.slowest {
            (done.slowest, done.slowest_input) = (before.elapsed(), input.clone());
        }
        if crashed {
            done.crash = Some(input);
            break;
        }
    }
    done
}

/// Numbers that lengths, offsets and counts go wrong at.
const NUMBERS: [u64; 12] = [
    0,
    1,
    7,
    0xff,
    0x7fff,
    0x8000,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0xffff_ffff_ffff_ffff,
];

fn mutate(rng: &mut Rng, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    if input.is_empty() {
        input.push(rng.bits() as u8);
    }
    let at = rng.below(input.len());
    match rng.below(9) {
        0 => input[at] ^= 1 << rng.below(8),
        1 => input[at] = rng.bits() as u8,
        2 => input.truncate(at),
        3 => {
            // A lying number of 1, 2, 4 or 8 bytes.
            let width = 1 << rng.below(4);
            let value = rng.pick(&NUMBERS).wrapping_add(rng.below(3) as u64).to_le_bytes();
            for (b, v) in input[at..].iter_mut().take(width).zip(value) {
                *b = v;
            }
        }
        4 => {
            let len = rng.below(64).min(input.len() - at);
            let piece = input[at..at + len].to_vec();
            let to = rng.below(input.len());
            input.splice(to..to, piece);
        }
        5 => {
            let len = rng.below(64).min(input.len() - at);
            input.drain(at..at + len);
        }
        6 => {
            let other = rng.pick(seeds).clone();
            if !other.is_empty() {
                let from = rng.below(other.len());
                let len = rng.below(256).min(other.len() - from);
                for (b, o) in input[at..].iter_mut().zip(&other[from..from + len]) {
                    *b = *o;
                }
            }
        }
        7 => {
            let delta = rng.below(33) as u8;
            input[at] = input[at].wrapping_add(delta).wrapping_sub(16);
        }
        _ => {
            let len = 1 + rng.below(16);
            let bytes: Vec<u8> = (0..len).map(|_| rng.bits() as u8).collect();
            input.splice(at..at, bytes);
        }
    }
}
