//! Campaigns go on when a program kills who tries it, or never gives it back.
//!
//! The workers do that to themselves, and leave Linux out: no root is needed.

#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use skep_testkit::generate::campaign::{Campaign, Fall, News, Summary};
use skep_testkit::generate::worker::{Order, Plant, Source, serve};
use skep_testkit::generate::{coverage::Coverage, program};
use skep_testkit::oracle::{Oracle, interpreter::Interpreter};

const DIFFERENTIAL: &str = env!("CARGO_BIN_EXE_differential");

/// A campaign over seeds 0 to 199 with a bug planted; and the seeds at which it heard of a fall.
fn run(program: &Path, plant: &[&str], silence: u64) -> (Summary, Vec<u64>) {
    let args: Vec<String> = ["--no-kernel"].iter().chain(plant).map(|a| a.to_string()).collect();
    let mut heard = Vec::new();
    let silence = Duration::from_secs(silence);
    let campaign =
        Campaign { seeds: 0..200, jobs: 2, until: None, program, args: &args, silence, shrink: false };
    let summary = campaign.run(&mut |news| {
        if let News::Fell(fall) = news {
            heard.push(fall.seed);
        }
    });
    (summary, heard)
}

/// What all programs from 0 to 199 reach but one.
fn all_but(seed: u64) -> Coverage {
    let mut coverage = Coverage::default();
    for (from, to) in [(0, seed), (seed + 1, 200)] {
        let order = serde_json::to_string(&Order::Try { from, to }).expect("it is data");
        let mut reports = Vec::new();
        let oracles: [&dyn Oracle; 1] = [&Interpreter];
        serve(&oracles, Plant::default(), Source::Generated, order.as_bytes(), &mut reports)
            .expect("the order is one");
        let last = reports.split(|&b| b == b'\n').rfind(|line| !line.is_empty()).expect("it reports");
        let report: serde_json::Value = serde_json::from_slice(last).expect("it is JSON");
        coverage.merge(serde_json::from_value(report["Tried"]["coverage"].clone()).expect("it is coverage"));
    }
    coverage
}

#[test]
fn a_worker_that_dies_costs_one_program() {
    let (summary, heard) = run(Path::new(DIFFERENTIAL), &["--die-at", "70"], 60);
    let [Fall { seed: 70, shrinking: false, how }] = &summary.falls[..] else {
        panic!("{:?}", summary.falls)
    };
    assert!(how.starts_with("signal: 6"), "{how}");
    assert_eq!(heard, [70]);
    assert_eq!((summary.gave_up.as_deref(), summary.found.len()), (None, 0));
    // Nothing is counted twice, and nothing is missing.
    assert_eq!(summary.coverage, all_but(70));
    let words = summary.to_string();
    assert!(
        words.starts_with("tried 200 of 200, Linux fell over at 1\nLinux fell over at seed 70: "),
        "{words}"
    );
    assert!(words.contains("\nprograms 199, ") && words.ends_with("\ndisagreements 0"), "{words}");
}

#[test]
fn a_worker_that_hangs_costs_one_program() {
    let before = Instant::now();
    let (summary, heard) = run(Path::new(DIFFERENTIAL), &["--hang-at", "199"], 8);
    // The worker's child lives on with the pipes: nobody waited for it.
    assert!(before.elapsed() < Duration::from_secs(40), "{:?}", before.elapsed());
    let [Fall { seed: 199, shrinking: false, how }] = &summary.falls[..] else {
        panic!("{:?}", summary.falls)
    };
    assert!(how.starts_with("no answer for 8 s"), "{how}");
    assert_eq!(heard, [199]);
    assert_eq!(summary.coverage, all_but(199));
}

#[test]
fn workers_that_never_begin_end_the_campaign() {
    let (summary, _) = run(Path::new("/bin/false"), &[], 60);
    assert!(summary.gave_up.is_some_and(|why| why.starts_with("5 workers in a row ended")));
    assert_eq!((summary.coverage.programs, summary.falls.len()), (0, 0));
    let (summary, _) = run(Path::new("no/such/program"), &[], 60);
    assert!(summary.gave_up.is_some_and(|why| why.starts_with("no/such/program: ")));
}

/// The words that a person gets, and the exit status.
#[test]
fn the_program_says_where_linux_fell_over() {
    let run = |args: &[&str]| {
        let args = ["--no-kernel", "--count", "100", "--seed", "0"].iter().chain(args);
        let out = Command::new(DIFFERENTIAL).args(args).output().expect("it is there");
        (out.status.code(), String::from_utf8_lossy(&out.stdout).into_owned())
    };
    let (status, out) = run(&["--die-at", "7"]);
    assert_eq!(status, Some(0), "{out}");
    assert!(out.starts_with("Linux fell over at seed 7: signal: 6"), "{out}");
    assert!(out.contains("\ntried 100 of 100, Linux fell over at 1\n"), "{out}");
    assert!(out.contains("\ndisagreements 0\n"), "{out}");
    let (status, out) = run(&[]);
    assert_eq!(status, Some(0), "{out}");
    assert!(out.starts_with("tried 100 of 100, Linux fell over at 0\nprograms 100, "), "{out}");
    assert_eq!(run(&["--seed"]).0, Some(2));
    // A worker gives nobody an order that is none.
    assert_eq!(run(&["--worker"]).0, Some(0));
}

/// `may_goto` in a function that `bpf_loop` calls, in a program with several such: Linux 6.18.44 fell over at one.
#[test]
fn no_program_has_what_linux_fell_over_at() {
    use skep_isa::{CallTarget, Imm64, Op, decode_all};
    let (mut several, mut one) = (0, 0);
    for g in (0..3000).map(program::generate).filter(|g| !g.altered) {
        for spec in g.programs() {
            let ops: Vec<_> = decode_all(&spec.insns).map_while(Result::ok).collect();
            let bpf_loop =
                CallTarget::Helper(skep_abi::helper_by_name("bpf_loop").expect("it is a helper").id);
            let loops = ops.iter().filter(|(_, op)| *op == Op::Call(bpf_loop)).count();
            // Where their functions start: the address that stands before each call.
            let starts: Vec<usize> = ops
                .iter()
                .enumerate()
                .filter(|(_, (_, op))| *op == Op::Call(bpf_loop))
                .filter_map(|(n, _)| {
                    ops[..n].iter().rev().find_map(|(pc, op)| match op {
                        Op::LoadImm64 { value: Imm64::Code(off), .. } => {
                            Some((*pc as i64 + 1 + i64::from(*off)) as usize)
                        }
                        _ => None,
                    })
                })
                .collect();
            let end = |start: usize| {
                let later = spec.func_info.iter().map(|f| f.insn_off as usize).filter(|&at| at > start);
                later.min().unwrap_or(spec.insns.len())
            };
            let inside = |pc: usize| starts.iter().any(|&s| (s..end(s)).contains(&pc));
            let found = ops.iter().any(|(pc, op)| matches!(op, Op::MayGoto { .. }) && inside(*pc));
            several += usize::from(found && loops > 1);
            one += usize::from(found && loops == 1);
        }
    }
    assert_eq!(several, 0);
    // It is no more than that which is left out.
    assert!(one > 2, "{one}");
}
