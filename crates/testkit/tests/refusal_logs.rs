//! What the verifier's log says of a refusal, beside the running kernel's: the lines behind the last instruction, of every program of
//! `tests/verdicts` that both refuse. The numbers of ids count only as far as the log of states does (`logs.rs`).

#![cfg(target_os = "linux")]

use std::os::fd::AsFd;

use skep_linux::LinuxBackend;
use skep_spec::{Environment, LoadOptions, ProgramSpec};
use skep_testkit::verdicts::{Case, Verdict, cases, cpus, files, kernel_types};
use skep_verifier::{Options, verify};

/// Of all refusals, in percent, those that are told in the kernel's words at least. What is left are other words for the same
/// (`docs/parity.md`): mostly a line more of the kernel's, or another one of several things that are wrong.
const SAME: usize = 92;

/// The log of a refusal; `None` if the kernel accepts, or does not ask its verifier.
fn kernels(spec: &ProgramSpec) -> Option<String> {
    let backend = LinuxBackend::new();
    let maps = spec.maps.iter().map(|m| backend.create(m)).collect::<Result<Vec<_>, _>>().ok()?;
    let fds: Vec<_> = maps.iter().map(|m| m.as_fd()).collect();
    let refused = backend.load_program(spec, &fds, LoadOptions { log_level: 1 }).err()?;
    (!refused.log.is_empty()).then_some(refused.log)
}

fn ours(case: &Case, spec: &ProgramSpec) -> Option<String> {
    let mut env = Environment::default();
    env.cpus = cpus();
    if case.needs_kernel() {
        env.kernel_types = kernel_types().cloned();
        if spec.has_variables() {
            env.kernel_symbols = skep_testkit::selftests::ask::symbols();
        }
    }
    let options = Options { log_level: 1, test_state_freq: case.every_state, ..Options::default() };
    let refused = verify(spec, &env, &options).err()?;
    (!refused.is_unsupported()).then(|| refused.log().to_owned())
}

/// The lines behind the last instruction or state, without the summary and without the numbers of ids.
fn last_words(log: &str) -> Vec<String> {
    let lines: Vec<&str> = log.lines().map(str::trim_end).filter(|l| !l.is_empty()).collect();
    let numbered = |l: &str| {
        let Some((number, rest)) = l.split_once(": ") else { return false };
        number.parse::<u32>().is_ok() && rest.starts_with(['(', 'R', 'f'])
    };
    let from = lines.iter().rposition(|l| numbered(l)).map_or(0, |i| i + 1);
    let summary =
        |l: &str| ["processed ", "verification time", "stack depth"].iter().any(|w| l.starts_with(w));
    lines[from..].iter().filter(|l| !summary(l)).map(|l| without_ids(l)).collect()
}

fn without_ids(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = ["id=", "refs="].iter().filter_map(|w| rest.find(w).map(|i| i + w.len())).min() {
        out.push_str(&rest[..at]);
        rest = rest[at..].trim_start_matches(|c: char| c.is_ascii_digit());
    }
    out + rest
}

#[test]
fn refusals_are_told_in_the_kernels_words() {
    let probe = LinuxBackend::probe();
    if !probe.is_yes() {
        println!("skipped: no kernel to compare with: {probe:?}");
        return;
    }
    let (mut all, mut same) = (0, 0);
    for case in files().iter().flat_map(|file| cases(file)) {
        if case.unprivileged || matches!(case.expect, Some(Verdict::Accept) | None) {
            continue;
        }
        if case.needs_kernel() && kernel_types().is_none() {
            continue;
        }
        let Ok(spec) = case.spec() else { continue };
        let (Some(kernel), Some(ours)) = (kernels(&spec), ours(&case, &spec)) else { continue };
        let (kernel, ours) = (last_words(&kernel), last_words(&ours));
        all += 1;
        same += usize::from(kernel == ours);
        if kernel != ours && std::env::var_os("SKEP_LOGS").is_some() {
            println!("{}\n  kernel {}\n  skep   {}", case.name, kernel.join(" | "), ours.join(" | "));
        }
    }
    println!("{same} of {all} refusals are told in the same words");
    assert!(all > 1000 && same * 100 >= all * SAME, "{same} of {all}; SKEP_LOGS=1 shows the others");
}
