//! Generates programs, runs them on every oracle and reports where they disagree.
//!
//! ```text
//! differential [--count N] [--seed S] [--jobs J] [--seconds T] [--write] [--record]
//! differential --show S
//! ```
//!
//! Seeds S to S+N-1 are tried on J threads (2), for at most T seconds. A disagreement is shrunk and printed; with
//! `--write` it becomes a file test under `tests/cases/found`. `--record` writes the figures to `tests/campaign.txt`,
//! from where `docs/parity.md` has them. Exit status 1 when there was one.

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use skep_testkit::generate::{self, Divergence, campaign::Campaign, program};
use skep_testkit::oracle::{self, Oracle};
use skep_testkit::rowfiles;

fn main() -> ExitCode {
    let (mut count, mut seed, mut write, mut record) = (1000u64, 1u64, false, false);
    let (mut jobs, mut seconds) = (2u64, None);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = || args.next().and_then(|n| n.parse().ok());
        match arg.as_str() {
            "--count" => count = number().unwrap_or(count),
            "--seed" => seed = number().unwrap_or(seed),
            "--jobs" => jobs = number().unwrap_or(jobs),
            "--seconds" => seconds = number(),
            "--write" => write = true,
            "--record" => record = true,
            "--show" => {
                let Some(seed) = number() else { continue };
                let g = program::generate(seed);
                println!("{}", rowfiles::render_all(&format!("Seed {seed}."), &g.spec, &g.tails, &g.inputs));
                return ExitCode::SUCCESS;
            }
            _ => {
                eprintln!(
                    "usage: differential [--count N] [--seed S] [--jobs J] [--seconds T] [--write] [--record]"
                );
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
    let start = Instant::now();
    let campaign = Campaign {
        seeds: seed..seed.saturating_add(count),
        jobs: jobs as usize,
        until: seconds.map(|s| start + Duration::from_secs(s)),
        oracles: &oracles,
    };
    let terminal = std::io::stderr().is_terminal();
    let (coverage, found) = campaign.run(&|done| {
        if terminal && done % 1000 == 0 {
            eprint!("\r{done} of {count}");
        }
    });
    let elapsed = start.elapsed().as_secs_f64();
    for Divergence { seed, what } in &found {
        let generated = program::generate(*seed);
        let open = generate::leftovers(&generated);
        // What depends on leftovers would become something else on its way.
        let small = match open {
            None => generate::smallest(&generated, what, &oracles),
            Some(_) => generated,
        };
        let what = generate::compare(&small, &oracles).what.unwrap_or_else(|| what.clone());
        let open = open.map_or(String::new(), |why| format!(" (may depend on leftovers: {why})"));
        println!("seed {seed}: {what}{open}");
        let text =
            rowfiles::render_all(&format!("Seed {seed}: {what}"), &small.spec, &small.tails, &small.inputs);
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
    println!("disagreements {}; {:.0} programs/s", found.len(), coverage.programs as f64 / elapsed);
    if record {
        // A campaign that its time limit ended has fewer programs than it was asked for.
        let limit = seconds.map_or_else(String::new, |s| format!(" --seconds {s}"));
        let text = format!(
            "cargo xtask differential {count} {seed}{limit} --record\n{coverage}\ndisagreements {}\n",
            found.len()
        );
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/campaign.txt");
        if let Err(e) = std::fs::write(&path, text) {
            eprintln!("{}: {e}", path.display());
            return ExitCode::from(2);
        }
    }
    if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
