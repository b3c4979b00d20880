//! What compiling takes, an instruction: straight and branchy programs of up to a million instructions, and small ones.
//!
//! `cargo bench -p benches --bench compile [-- LIMIT] [NAME]`: programs of more than LIMIT instructions (100,000) are left out, and
//! those without NAME in theirs. Times are of the thread's processor time, the best of some; a program's verification is not
//! among them.

use benches::programs;
use rustix::time::{ClockId, clock_gettime};
use skep_abi::ProgramType;
use skep_isa::text::assemble;
use skep_jit::{Options, Report, compile};
use skep_maps::{Config, Heap, Map};
use skep_spec::{Environment, ProgramSpec};
use skep_verifier::verify;
use skep_vm::Program;

/// Writes an instruction of its kind, the one with that number.
type Write = fn(&mut Numbers, usize, &mut String);

/// Sizes of the generated programs, in instructions.
const SIZES: [usize; 5] = [100, 1_000, 15_000, 100_000, 1_000_000];

fn main() {
    let limit = std::env::args().skip(1).find_map(|a| a.parse().ok()).unwrap_or(100_000);
    let only = std::env::args().skip(1).find(|a| !a.starts_with('-') && a.parse::<usize>().is_err());
    let wanted = |name: &str| only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    println!(
        "{:<18} {:>8} {:>9} {:>8} {:>8} {:>8} {:>8} {:>8} {:>7}",
        "program", "insns", "us", "ns/insn", "build", "passes", "lower", "place", "B/insn"
    );
    for (name, spec) in programs("") {
        if !name.ends_with("_mem") && wanted(&name) {
            show(&name, spec);
        }
    }
    for size in SIZES.into_iter().filter(|size| *size <= limit) {
        // More branches in a row, and Linux refuses them.
        let pieces = if size > 40_000 { 1 } else { 2 };
        let kinds: [(_, Write); 2] = [("straight", straight), ("branchy", branchy)];
        for (name, piece) in kinds.into_iter().take(pieces).filter(|(name, _)| wanted(name)) {
            show(name, generated(size, piece));
        }
        if wanted("tree") {
            show("tree", tree(size));
        }
    }
}

/// Compiles a program some times, and prints the best.
fn show(name: &str, spec: ProgramSpec) {
    let env = Environment::default();
    let proof = match verify(&spec, &env, &skep_verifier::Options::default()) {
        Ok(proof) => proof,
        Err(refused) => return println!("{name:<18} refused: {}", refused.message()),
    };
    let maps =
        spec.maps.iter().map(|m| Map::create(m, &Config::new(1), &Heap).expect("it is small")).collect();
    let program = Program::new(&proof, &env, maps).expect("what was verified");
    let (insns, mut best) = (spec.insns.len(), None::<(f64, Report)>);
    for _ in 0..(200_000 / insns).clamp(1, 50) {
        let start = now();
        let report = match compile(&program, &Options::default()) {
            Ok((_, report)) => report,
            Err(why) => return println!("{name:<18} {why}"),
        };
        let took = now() - start;
        if best.as_ref().is_none_or(|(best, _)| took < *best) {
            best = Some((took, report));
        }
    }
    let Some((took, report)) = best else { return };
    let each = |ns: f64| ns / insns as f64;
    println!(
        "{name:<18} {insns:>8} {:>9.0} {:>8.0} {:>8.0} {:>8.0} {:>8.0} {:>8.0} {:>7.1}",
        took / 1e3,
        each(took),
        each(report.build_ns as f64),
        each(report.passes_ns as f64),
        each(report.lower_ns as f64),
        each(report.place_ns as f64),
        each(report.bytes as f64),
    );
}

/// Nanoseconds that the thread has run.
fn now() -> f64 {
    let t = clock_gettime(ClockId::ThreadCPUTime);
    t.tv_sec as f64 * 1e9 + t.tv_nsec as f64
}

/// Numbers that are the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// A program of a size, of the pieces that a function writes.
fn generated(size: usize, piece: fn(&mut Numbers, usize, &mut String)) -> ProgramSpec {
    let mut text = String::new();
    for r in 2..10 {
        text.push_str(&format!("r{r} = *(u32 *)(r1 + {})\n*(u64 *)(r10 - {}) = r{r}\n", 8 * (r - 2), 8 * r));
    }
    let (mut numbers, mut n) = (Numbers(88_172_645_463_325_252), 0);
    while n * 5 + 40 < size {
        piece(&mut numbers, n, &mut text);
        n += 1;
    }
    text.push_str("r0 = r2\n");
    for r in 3..10 {
        text.push_str(&format!("r0 ^= r{r}\n"));
    }
    text.push_str("exit\n");
    ProgramSpec::new(ProgramType::SOCKET_FILTER, assemble(&text).expect("assembles"))
}

/// A tree of comparisons with six instructions in each leaf, a fifth of which are branches: Linux follows no more than 8192
/// branches one behind the other.
fn tree(size: usize) -> ProgramSpec {
    let mut text = String::from("r2 = *(u32 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\nr0 = 0\n");
    let mut numbers = Numbers(88_172_645_463_325_252);
    branches(0, (size / 8) as u64, &mut numbers, &mut text);
    ProgramSpec::new(ProgramType::SOCKET_FILTER, assemble(&text).expect("assembles"))
}

/// The tree over the leaves from `low` up to `high`, by `r2`.
fn branches(low: u64, high: u64, numbers: &mut Numbers, text: &mut String) {
    if high - low < 2 {
        let mut number = || 1 + numbers.below(60_000);
        let (a, b, c) = (number(), number(), number());
        text.push_str(&format!(
            "r0 ^= {a}\nif r3 > {b} goto l{low}\nr0 += r3\nw0 *= {c}\nl{low}:\nr0 -= r2\nexit\n"
        ));
        return;
    }
    let middle = low + (high - low) / 2;
    text.push_str(&format!("if r2 < {middle} goto n{low}_{high}\ngotol m{low}_{high}\nn{low}_{high}:\n"));
    branches(low, middle, numbers, text);
    text.push_str(&format!("m{low}_{high}:\n"));
    branches(middle, high, numbers, text);
}

/// Five instructions: arithmetic of both widths, loads and stores of the stack.
fn straight(numbers: &mut Numbers, _: usize, text: &mut String) {
    for _ in 0..5 {
        let (a, b) = (2 + numbers.below(8), 2 + numbers.below(8));
        // Nothing that loses bits: programs would become constants.
        let op = ["+=", "-=", "^="][numbers.below(3) as usize];
        let slot = 8 * (2 + numbers.below(8));
        match numbers.below(8) {
            0 => text.push_str(&format!("r{a} = *(u64 *)(r10 - {slot})\n")),
            1 => text.push_str(&format!("*(u64 *)(r10 - {slot}) = r{a}\n")),
            2 => text.push_str(&format!("r{a} {op} {}\n", 1 + numbers.below(60_000))),
            3 => text.push_str(&format!("w{a} {op} w{b}\n")),
            4 => text.push_str(&format!("r{a} *= {}\n", 2 * numbers.below(30_000) + 3)),
            _ => text.push_str(&format!("r{a} {op} r{b}\n")),
        }
    }
}

/// Five instructions: one of them a branch over two others.
fn branchy(numbers: &mut Numbers, n: usize, text: &mut String) {
    let (a, b, c) = (2 + numbers.below(8), 2 + numbers.below(8), 2 + numbers.below(8));
    text.push_str(&format!("r{c} += r{a}\nr{a} ^= {}\n", 1 + numbers.below(60_000)));
    text.push_str(&format!("if r{a} > r{b} goto l{n}\nr{b} += r{c}\nw{c} ^= w{a}\nl{n}:\n"));
}
