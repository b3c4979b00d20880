//! What the pointer to an element leads to once the element is gone: random updates and deletions, reads and writes
//! through pointers that a program goes on holding, against the kernel's.
//!
//! `ELEMENT_SEQUENCES=N` runs as many programs of each kind as one likes.

use std::fmt::Write as _;

use skep_testkit::case::source;
use skep_testkit::generate::rng::Rng;
use skep_testkit::oracle::{self, Input, Oracle, Privilege};

/// Programs of each kind.
const SEQUENCES: u64 = 40;
/// Runs of each program over the same maps.
const RUNS: usize = 3;
/// Words that a program writes down.
const WORDS: usize = 64;

/// A kind of map: its line, its keys, the elements that fit.
struct Kind {
    map: &'static str,
    keys: &'static [u64],
    room: usize,
}

/// `u32 prefixlen`, and the first bytes of the data above it.
const PREFIXES: &[u64] =
    &[0x0100_0000_0020, 0x0200_0000_0020, 0x0300_0000_0020, 0x001f, 0x0018, 0x0100_0000_0018, 8, 0];
const NUMBERS: &[u64] = &[0, 1, 2, 3, 4, 5];

/// Not per-CPU hashes with `BPF_F_NO_PREALLOC`: which memory the next value gets there is the kernel's allocator's affair,
/// which keeps three that are free and hands on others.
const KINDS: &[Kind] = &[
    Kind { map: "type=hash key=8 value=16 max_entries=4", keys: NUMBERS, room: 4 },
    Kind { map: "type=hash key=8 value=16 max_entries=4 flags=1", keys: NUMBERS, room: 4 },
    Kind { map: "type=percpu_hash key=8 value=16 max_entries=4", keys: NUMBERS, room: 4 },
    Kind { map: "type=lru_hash key=8 value=16 max_entries=512", keys: NUMBERS, room: 6 },
    Kind { map: "type=lru_percpu_hash key=8 value=16 max_entries=512", keys: NUMBERS, room: 6 },
    Kind { map: "type=lpm_trie key=8 value=16 max_entries=5 flags=1", keys: PREFIXES, room: 5 },
];

/// A program: numbers say what it writes, so that each value is one of a kind.
fn program(kind: &Kind, seed: u64) -> String {
    let mut rng = Rng::new(seed);
    let mut there: Vec<u64> = Vec::new();
    let (mut held, mut word) = ([false; 4], 0);
    let mut text = format!(
        ".map elements {}\n.map out type=array key=4 value={} max_entries=1\n.section xdp\nmain:\n",
        kind.map,
        8 * WORDS
    );
    let mut keep = |text: &mut String, what: &str| {
        let _ = writeln!(text, "{what}\nr1 = map[out][0]+{} ll\n*(u64 *)(r1 + 0) = r0", 8 * word);
        word += 1;
    };
    for number in 1..=WORDS {
        let key = *rng.pick(kind.keys);
        let slot = 6 + rng.below(4);
        let held_slot = held[slot - 6];
        match rng.below(10) {
            0..4 => {
                let flags = *rng.pick(&[0, 0, 0, 1, 2]);
                set(&mut text, -8, key);
                set(&mut text, -24, number as u64);
                set(&mut text, -16, number as u64 | 0x1_0000);
                keep(
                    &mut text,
                    &format!(
                        "r1 = map[elements] ll\nr2 = r10\nr2 += -8\nr3 = r10\nr3 += -24\nr4 = {flags}\n\
                         call bpf_map_update_elem"
                    ),
                );
                let (is_there, room) = (there.contains(&key), there.len() < kind.room);
                if !is_there && flags != 2 && room {
                    there.push(key);
                }
            }
            4 => {
                set(&mut text, -8, key);
                keep(&mut text, "r1 = map[elements] ll\nr2 = r10\nr2 += -8\ncall bpf_map_delete_elem");
                there.retain(|&k| k != key);
            }
            5..7 if !there.is_empty() => {
                let key = *rng.pick(&there);
                set(&mut text, -8, key);
                let _ = writeln!(
                    text,
                    "r1 = map[elements] ll\nr2 = r10\nr2 += -8\ncall bpf_map_lookup_elem\nif r0 == 0 goto missing\n\
                     r{slot} = r0"
                );
                held[slot - 6] = true;
            }
            7 if held_slot => {
                let off = 8 * rng.below(2);
                let _ = writeln!(text, "*(u64 *)(r{slot} + {off}) = {}", 0x2_0000 | number);
            }
            _ if held_slot => {
                let off = 8 * rng.below(2);
                keep(&mut text, &format!("r0 = *(u64 *)(r{slot} + {off})"));
            }
            _ => {}
        }
    }
    text + "r0 = 2\nexit\nmissing:\nr0 = 1\nexit\n"
}

/// Writes a number to the stack.
fn set(text: &mut String, off: i32, value: u64) {
    let _ = writeln!(text, "r1 = {value:#x} ll\n*(u64 *)(r10 - {}) = r1", -off);
}

#[test]
fn gone_elements_are_used_again_as_in_linux() {
    let [ours, kernel] = oracle::all();
    if let Err(why) = kernel.available() {
        eprintln!("skipped: {why}");
        return;
    }
    let sequences = std::env::var("ELEMENT_SEQUENCES").ok().and_then(|n| n.parse().ok());
    let inputs = vec![Input { data: vec![0; 64], ctx: Vec::new() }; RUNS];
    let mut differ = Vec::new();
    for (kind, seed) in KINDS.iter().flat_map(|k| (0..sequences.unwrap_or(SEQUENCES)).map(move |s| (k, s))) {
        let text = program(kind, seed);
        let specs = source::assemble(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        let answer = |o: &dyn Oracle| o.run(&specs[0], Privilege::Privileged, &inputs);
        let (a, b) = (answer(ours), answer(kernel));
        let loads = a.is_ok() && b.is_ok();
        let what = oracle::disagreement((ours.name(), &a), (kernel.name(), &b));
        if !loads || what.is_some() {
            eprintln!("; {}, seed {seed}: {what:?}\n{text}", kind.map);
            differ.push(format!("{}, seed {seed}: {what:?}", kind.map));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}
