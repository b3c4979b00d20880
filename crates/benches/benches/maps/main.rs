//! Maps and ring buffers beside the running kernel's, in one run, interleaved, on one CPU (the consumer of the ring
//! buffer on the other).
//!
//! `cargo bench -p benches --bench maps [-- WORD…]`; words choose parts: `operations`, `host`, `scaling`, `memory`. What the
//! kernel does runs in a program with a loop (`programs`), by `BPF_PROG_TEST_RUN`; what we do is the same calls that a
//! program's helpers make (`ours`). Both are differences to an empty loop, in processor time of the thread.

mod clock;
mod drain;
mod host;
mod kernel;
mod memory;
mod operations;
mod ours;
mod programs;
mod scaling;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let wanted = |part: &str| words.is_empty() || words.iter().any(|w| w == part);
    if !clock::pin(1) {
        println!("this thread cannot be kept on CPU 1: read with care");
    }
    let parts: [(&str, fn()); 4] = [
        ("operations", operations::measure),
        ("host", host::measure),
        ("scaling", scaling::measure),
        ("memory", memory::measure),
    ];
    for (name, measure) in parts {
        if wanted(name) {
            measure();
        }
    }
}
