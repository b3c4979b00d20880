//! Fuzzes one of the parsers without libFuzzer.
//!
//! ```text
//! fuzz TARGET [--seconds N | --inputs N] [--seed S] [FILE…]
//! ```
//!
//! TARGET is elf, btf, insns or pcap. Files are run once each, instead of a campaign, to look at a crash
//! again. An input that makes the target panic is written to `crash-TARGET`; exit status 1.

use std::process::ExitCode;
use std::time::Duration;

use skep_testkit::fuzz::campaign::{self, Until};
use skep_testkit::fuzz::{TARGETS, seeds};

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_default();
    let Some((name, target)) = TARGETS.iter().find(|(n, _)| *n == name) else {
        eprintln!("usage: fuzz elf|btf|insns|pcap [--seconds N | --inputs N] [--seed S] [FILE…]");
        return ExitCode::from(2);
    };
    let (mut until, mut seed, mut files) = (Until::Elapsed(Duration::from_secs(600)), 1, Vec::new());
    while let Some(arg) = args.next() {
        let mut number = || args.next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(1);
        match arg.as_str() {
            "--seconds" => until = Until::Elapsed(Duration::from_secs(number())),
            "--inputs" => until = Until::Inputs(number()),
            "--seed" => seed = number(),
            _ => files.push(arg),
        }
    }
    for file in &files {
        match std::fs::read(file) {
            Ok(bytes) => target(&bytes),
            Err(e) => eprintln!("{file}: {e}"),
        }
    }
    if !files.is_empty() {
        return ExitCode::SUCCESS;
    }
    let done = campaign::run(*target, &seeds::of(name), seed, until);
    println!("{name}: {} inputs, slowest {:?}", done.inputs, done.slowest);
    if done.slowest > Duration::from_secs(2) {
        let _ = std::fs::write(format!("slow-{name}"), &done.slowest_input);
    }
    match done.crash {
        None => ExitCode::SUCCESS,
        Some(input) => {
            let path = format!("crash-{name}");
            match std::fs::write(&path, &input) {
                Ok(()) => println!("{name}: crashed on {path} ({} bytes)", input.len()),
                Err(e) => eprintln!("{path}: {e}"),
            }
            ExitCode::FAILURE
        }
    }
}
