//! Generates programs, runs them on every oracle and reports where they disagree.
//!
//! ```text
//! differential [--count N] [--seed S] [--write]
//! ```
//!
//! Seeds S to S+N-1 are tried. A disagreement is shrunk and printed; with `--write` it becomes a file test
//! under `tests/cases/found`. Exit status 1 when there was one.

use std::path::Path;
use std::process::ExitCode;

use skep_testkit::generate::{self, coverage::Coverage, program, shrink};
use skep_testkit::oracle::{self, Oracle};
use skep_testkit::rowfiles;

fn main() -> ExitCode {
    let (mut count, mut seed, mut write) = (1000u64, 1u64, false);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = || args.next().and_then(|n| n.parse().ok());
        match arg.as_str() {
            "--count" => count = number().unwrap_or(count),
            "--seed" => seed = number().unwrap_or(seed),
            "--write" => write = true,
            _ => {
                eprintln!("usage: differential [--count N] [--seed S] [--write]");
                return ExitCode::from(2);
            }
        }
    }
    let mut oracles: Vec<&dyn Oracle> = Vec::new();
    for o in oracle::all() {
        match o.available() {
            Ok(()) => oracles.push(o),
            Err(why) => eprintln!("skipped: {}: {why}", o.name()),
        }
    }
    let (mut coverage, mut found) = (Coverage::default(), 0);
    for seed in seed..seed.saturating_add(count) {
        let generated = program::generate(seed);
        let (answers, what) = generate::compare(&generated, &oracles);
        coverage.add(&generated, &answers);
        let Some(what) = what else { continue };
        found += 1;
        // A smaller program counts if it differs in the same way: a verdict, or a result.
        let kind = what.split([':', ',']).next().unwrap_or("").to_string();
        let kind = kind.split(' ').next().unwrap_or("").to_string();
        let mut shows =
            |g: &program::Generated| generate::compare(g, &oracles).1.is_some_and(|w| w.starts_with(&kind));
        let small = shrink::shrink(&generated, &mut shows);
        let what = generate::compare(&small, &oracles).1.unwrap_or(what);
        println!("seed {seed}: {what}");
        let text = rowfiles::render(&format!("Seed {seed}: {what}"), &small.spec, &small.inputs);
        println!("{text}");
        if write {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/found");
            let path = folder.join(format!("seed-{seed}.s"));
            let written = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, text));
            if let Err(e) = written {
                eprintln!("{}: {e}", path.display());
            }
        }
    }
    println!("{coverage}");
    println!("disagreements {found}");
    if found == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
