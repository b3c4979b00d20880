//! skep's verifier beside the kernel's, on the same programs: time of the verifier alone.
//!
//! `cargo bench -p benches --bench verifier`. The kernel's time is the one that it reports at log level 4.

use std::os::fd::AsFd;
use std::time::Instant;

use benches::{ROUNDS, geometric_mean, programs};
use skep_linux::LinuxBackend;
use skep_spec::{Environment, LoadOptions, ProgramSpec};
use skep_verifier::{Options, verify};

/// Microseconds that the kernel's verifier says it took, and the instructions that it processed.
fn kernel(backend: &LinuxBackend, spec: &ProgramSpec) -> Option<(f64, u64)> {
    let maps: Vec<_> = spec.maps.iter().map(|m| backend.create(m)).collect::<Result<_, _>>().ok()?;
    let fds: Vec<_> = maps.iter().map(|m| m.as_fd()).collect();
    let program = backend.load_program(spec, &fds, LoadOptions { log_level: 4 }).ok()?;
    let number = |after: &str| {
        let rest = program.log().split_once(after)?.1.trim_start();
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
    };
    Some((number("verification time")? as f64, number("processed")?))
}

fn main() {
    let backend = LinuxBackend::probe().is_yes().then(LinuxBackend::new);
    println!(
        "{:<10} {:>10} {:>10} {:>11} {:>11} {:>7}",
        "program", "skep us", "kernel us", "skep insns", "kern insns", "ratio"
    );
    let mut ratios = Vec::new();
    for (name, spec) in programs("") {
        if name.ends_with("_mem") {
            continue;
        }
        let (mut ours, mut theirs, mut insns, mut kernel_insns) = (Vec::new(), Vec::new(), 0, 0);
        for _ in 0..ROUNDS {
            let start = Instant::now();
            match verify(&spec, &Environment::default(), &Options::default()) {
                Ok(v) => insns = v.stats().insns_processed,
                Err(r) => println!("{name}: refused: {}", r.message()),
            }
            ours.push(start.elapsed().as_secs_f64() * 1e6);
            if let Some((us, n)) = backend.as_ref().and_then(|b| kernel(b, &spec)) {
                theirs.push(us);
                kernel_insns = n;
            }
        }
        let median = |v: &mut Vec<f64>| {
            v.sort_by(f64::total_cmp);
            v.get(v.len() / 2).copied().unwrap_or(f64::NAN)
        };
        let (a, b) = (median(&mut ours), median(&mut theirs));
        println!("{name:<10} {a:>10.0} {b:>10.0} {insns:>11} {kernel_insns:>11} {:>7.2}", a / b);
        ratios.push(a / b);
    }
    println!("geometric mean of skep / kernel: {:.2}", geometric_mean(&ratios));
}
