//! Fuzzes one of the parsers without libFuzzer.
//!
//! ```text
//! fuzz TARGET [--seconds N | --inputs N] [--seed S] [FILE…]
//! ```
//!
//! TARGET is elf, btf, core, insns or pcap. Files are run once each, instead of a campaign, to look at a crash
//! again. The most memory that the campaign took is printed; more than 256 MiB is a failure. An input that makes the target panic is written to `crash-TARGET`; exit status 1.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use skep_testkit::fuzz::campaign::{self, Until};
use skep_testkit::fuzz::{TARGETS, seeds};

/// What no input may make the process need, seeds and all.
const MOST_MIB: u64 = 256;

/// The most memory that this process has had, where Linux tells.
fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib / 1024)
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_default();
    let Some((name, target)) = TARGETS.iter().find(|(n, _)| *n == name) else {
        eprintln!("usage: fuzz elf|btf|core|insns|pcap [--seconds N | --inputs N] [--seed S] [FILE…]");
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
    let start = Instant::now();
    let done = campaign::run(*target, &seeds::of(name), seed, until);
    let rate = done.inputs as f64 / start.elapsed().as_secs_f64().max(1e-9);
    println!("{name}: {} inputs, {rate:.0} a second, slowest {:?}", done.inputs, done.slowest);
    match peak_mib() {
        Some(peak) => println!("{name}: {peak} MiB of memory at most"),
        None => println!("skipped: memory is not measured here"),
    }
    if peak_mib().is_some_and(|peak| peak > MOST_MIB) {
        eprintln!("{name}: more than {MOST_MIB} MiB");
        return ExitCode::FAILURE;
    }
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
