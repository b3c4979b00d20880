//! skep's compiler beside those of others, and beside the machine's own code for the same C.
//!
//! ```text
//! cargo bench -p benches --bench jit                    the programs of the interpreter's bench
//! cargo bench -p benches --bench jit -- more            eight others, which nothing was tuned on
//! cargo bench -p benches --bench jit -- ablation        the ratio to native with each optimisation off
//! cargo bench -p benches --bench jit -- maps            what programs do with maps and calls
//! ```
//!
//! Everything runs interleaved in one process, pinned to one CPU; medians of processor time count. A second word names one
//! program. Each engine's time is net of its own empty program, so that only code counts; the empty programs have a line of
//! their own.

mod ablation;
mod clock;
mod kernel;
mod maps;
mod native;
mod ours;
mod peers;
#[path = "../peers/rbpf_map.rs"]
#[allow(dead_code, reason = "the interpreter's bench uses all of it")]
mod rbpf_map;
mod table;

fn main() {
    if !clock::pin(0) {
        println!("not pinned to a CPU: figures vary more");
    }
    let args: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let only = args.get(1).map(String::as_str);
    match args.first().map(String::as_str) {
        None => table::print("programs", None),
        Some("more") => table::print("more", only),
        Some("ablation") => ablation::print(only),
        Some("maps") => maps::print(only),
        Some(only) => table::print("programs", Some(only)),
    }
}
