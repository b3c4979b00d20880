//! The log at level 2 beside the running kernel's, line by line and whole: which numbers a verdict rests on, and where
//! they come from (`mark_precise:`).
//!
//! Left out are the kernel's lines on its own working, loops (`SCC`) and the stack's liveness, and the table of live
//! registers; addresses of maps; and ids count only as far as they are the same number.
//!
//! Not compared, since skep marks more: what an atomic operation fetches comes from a slot, and what `bpf_loop` was given
//! is still there when it has called back, both of which Linux 6.18 forgets; and a verdict may rest on an argument's being
//! NULL.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::sync::Arc;

use skep_abi::{MapType, ProgramType};
use skep_isa::text::assemble;
use skep_linux::LinuxBackend;
use skep_spec::{Environment, LoadOptions, MapDef, ProgramSpec};
use skep_testkit::functions;
use skep_verifier::{Options, verify};

/// A value of 48 bytes in `r0`, the context in `r6`.
const VALUE: &str = "r6 = r1; *(u32 *)(r10 - 4) = 0; r1 = map[idx:0]; r2 = r10; r2 += -4; call 1
    if r0 == 0 goto out; ";
const OUT: &str = "; out: r0 = 0; exit";

/// Name and text; those with `!` in front begin with [`VALUE`] and end with [`OUT`].
const PROGRAMS: &[(&str, &str)] = &[
    (
        "size",
        "r6 = 4; r7 = r6; r1 = r10; r1 += -8; *(u64 *)(r10 - 8) = 0; r2 = r7; r3 = r1; r4 = 4; r5 = 0
        call 28; r0 = 0; exit",
    ),
    ("!offset", "r1 = *(u32 *)(r0 + 0); r1 &= 31; r2 = r1; r2 += 8; r0 += r2; r3 = *(u8 *)(r0 + 0)"),
    (
        "!offset through branches",
        "r1 = *(u32 *)(r0 + 0); r2 = *(u32 *)(r0 + 4); if r1 > 40 goto out
        if r2 == 7 goto over; r2 = 1; over: r3 = r1; r3 += 1; r0 += r3; r4 = *(u8 *)(r0 + 0)",
    ),
    (
        "!spill",
        "r1 = *(u32 *)(r0 + 0); r1 &= 7; *(u64 *)(r10 - 16) = r1; r2 = *(u32 *)(r0 + 4)
        if r2 > 5 goto over; r2 = 0; over: r3 = *(u64 *)(r10 - 16); r0 += r3; r4 = *(u8 *)(r0 + 0)",
    ),
    (
        "!spill of a constant",
        "*(u64 *)(r10 - 24) = 5; r1 = *(u64 *)(r10 - 24); r0 += r1; r4 = *(u8 *)(r0 + 0)",
    ),
    (
        "!two frames",
        "r7 = r0; r1 = *(u32 *)(r7 + 0); r1 &= 15; call f; r7 += r0; r2 = *(u8 *)(r7 + 0)
        f: r0 = r1; r0 += 2; exit",
    ),
    (
        "!a pointer into the caller's stack",
        "r1 = *(u32 *)(r0 + 0); r1 &= 15; *(u64 *)(r10 - 16) = r1; r7 = r0; r1 = r10
        r1 += -16; call f; r7 += r0; r2 = *(u8 *)(r7 + 0)
        f: r2 = *(u64 *)(r1 + 0); *(u64 *)(r10 - 8) = r2; r0 = *(u64 *)(r10 - 8); exit",
    ),
    (
        "!atomics",
        "r1 = *(u32 *)(r0 + 0); r1 &= 7; *(u64 *)(r10 - 16) = r1; r2 = 1
        lock *(u64 *)(r10 - 16) += r2; r3 = *(u64 *)(r10 - 16); r3 &= 7; r0 += r3; r4 = *(u8 *)(r0 + 0)",
    ),
    (
        "!linked registers",
        "r1 = *(u32 *)(r0 + 0); r2 = r1; r3 = r1; if r2 > 30 goto out; r0 += r3; r4 = *(u8 *)(r0 + 0)",
    ),
    (
        "!linked with a difference",
        "r1 = *(u32 *)(r0 + 0); r2 = r1; r2 += 4; if r2 > 30 goto out; if r2 < 4 goto out
        r0 += r1; r4 = *(u8 *)(r0 + 0)",
    ),
    (
        "!linked through a spill",
        "r1 = *(u32 *)(r0 + 0); *(u64 *)(r10 - 16) = r1; if r1 > 30 goto out
        r3 = *(u64 *)(r10 - 16); r0 += r3; r4 = *(u8 *)(r0 + 0)",
    ),
    (
        "!compared with each other",
        "r1 = *(u32 *)(r0 + 0); r2 = *(u32 *)(r0 + 4); if r2 > 20 goto out; if r1 > r2 goto out
        r0 += r1; r4 = *(u8 *)(r0 + 0)",
    ),
    (
        "decided branches",
        "r1 = 1; r2 = 2; if r1 > r2 goto over; r3 = 5; if r3 == 5 goto over; r0 = r10
        over: r0 = 0; exit",
    ),
    ("loop", "r6 = 0; r7 = 0; again: r7 += 3; r6 += 1; if r6 < 6 goto again; r0 = r7; r0 &= 1; exit"),
    (
        "callback",
        "r7 = r10; r7 += -8; *(u64 *)(r10 - 8) = 3; r1 = map[idx:0]; r2 = subprog[f] ll; r3 = r7; r4 = 0; call 164
        r1 = *(u64 *)(r10 - 8); r2 = r10; r2 += r1; *(u8 *)(r2 - 16) = 1; r0 = 0; exit
        f: *(u64 *)(r4 + 0) = 4; r0 = 0; exit",
    ),
    (
        "!callback with a number in its context",
        "r7 = r0; *(u64 *)(r10 - 16) = 0; r1 = map[idx:0]; r2 = subprog[f] ll; r3 = r10; r3 += -16; r4 = 0; call 164
        r1 = *(u64 *)(r10 - 16); r1 &= 7; r7 += r1; r2 = *(u8 *)(r7 + 0)
        f: r1 = *(u32 *)(r3 + 8); if r1 > 4 goto +2; r2 = 2; *(u64 *)(r4 + 0) = r2; r0 = 0; exit",
    ),
    (
        "!loop with a budget",
        "r7 = r0; r8 = 0; r9 = 0; again: may_goto over; r1 = *(u32 *)(r7 + 0); if r1 > 9 goto again; r8 = r1; r9 += 1
        goto again; over: r7 += r8; r2 = *(u8 *)(r7 + 0)",
    ),
    (
        "!pruned by what the first path needed",
        "r1 = *(u32 *)(r0 + 0); r2 = *(u32 *)(r0 + 4); r3 = 8
        if r1 == 5 goto over; r3 = 8; over: r0 += r3; r4 = *(u8 *)(r0 + 0)",
    ),
    (
        "!pruned in a function",
        "r7 = r0; r8 = *(u32 *)(r0 + 4); r9 = 2; if r8 == 5 goto over; r9 = 2
        over: r1 = r9; r2 = *(u32 *)(r7 + 0); call f; r7 += r0; r2 = *(u8 *)(r7 + 0)
        f: r0 = r1; if r2 > 7 goto +1; r0 += 1; exit",
    ),
    (
        "!zero to bytes",
        "r1 = 0; r2 = *(u32 *)(r0 + 0); if r2 == 3 goto over; r2 = 2; over: *(u8 *)(r10 - 12) = r1
        r3 = *(u8 *)(r10 - 12); r0 += r3; r4 = *(u8 *)(r0 + 0)",
    ),
    ("!refused", "r1 = *(u32 *)(r0 + 0); if r1 > 40 goto out; r0 += r1; r4 = r9"),
];

fn program(text: &str) -> ProgramSpec {
    let insns = assemble(text).unwrap_or_else(|e| panic!("{e}:\n{text}"));
    let maps = vec![Arc::new(MapDef::new(MapType::HASH, 4, 48, 16).named("values"))];
    let mut spec =
        ProgramSpec { name: "test".into(), maps, ..ProgramSpec::new(ProgramType::SCHED_CLS, insns) };
    functions::describe(&mut spec);
    spec
}

fn ours(spec: &ProgramSpec) -> String {
    let mut env = Environment::default();
    env.cpus = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
    match verify(spec, &env, &Options { log_level: 2, ..Options::default() }) {
        Ok(v) => v.log().to_owned(),
        Err(r) => r.log().to_owned(),
    }
}

fn kernels(spec: &ProgramSpec) -> String {
    let backend = LinuxBackend::new();
    let maps = spec.maps.iter().map(|m| backend.create(m)).collect::<Result<Vec<_>, _>>().expect("maps");
    let fds: Vec<_> = maps.iter().map(|m| m.as_fd()).collect();
    match backend.load_program(spec, &fds, LoadOptions { log_level: 2 }) {
        Ok(p) => p.log().to_owned(),
        Err(e) => e.log,
    }
}

/// A log without what may differ.
fn normal(log: &str) -> Vec<String> {
    let mut ids = BTreeMap::new();
    let mut out: Vec<String> = Vec::new();
    let mut broken = false;
    for line in log.lines().map(str::trim_end).filter(|l| !l.is_empty()) {
        let own = line.starts_with("SCC ") || is_liveness(line);
        broken |= own;
        if own {
            continue;
        }
        let line = renumbered(&without_address(line), &mut ids);
        // Behind a line that is left out, what is known stands on a line of its own.
        let state = line
            .split_once(": ")
            .filter(|(n, rest)| n.parse::<u32>().is_ok() && !rest.starts_with('(') && *rest != "safe");
        match (out.last_mut(), state) {
            (Some(last), Some((_, state))) if broken && last.contains(": (") && !last.contains(" ;") => {
                *last = format!("{last} ; {state}");
            }
            (_, _) => out.push(match line.split_once(" ;") {
                Some((insn, state)) => format!("{} ;{state}", insn.trim_end()),
                None => line,
            }),
        }
        broken = false;
    }
    out
}

/// Of the stack (`(0:5) live stack update …`) or of registers (`  5: 01........ (b7) …`).
fn is_liveness(line: &str) -> bool {
    let stack = line.starts_with('(') && (line.contains(" insn ") || line.contains("live stack"));
    let table = line.split_once(": ").is_some_and(|(n, rest)| {
        let number = |n: &str| n.trim().parse::<u32>().is_ok();
        let at = n.trim().rsplit(' ').next().unwrap_or("");
        number(at) && rest.len() > 10 && rest[..10].bytes().all(|b| b == b'.' || b.is_ascii_digit())
    });
    stack || table
}

fn without_address(line: &str) -> String {
    let Some(at) = line.find("(18) r").and_then(|i| line[i..].find(" = ").map(|n| i + n)) else {
        return line.to_owned();
    };
    let state = line.find(" ;").map_or("", |i| &line[i..]);
    format!("{} = …{state}", &line[..at])
}

/// With ids in the order in which they come.
fn renumbered(line: &str, ids: &mut BTreeMap<String, usize>) -> String {
    let (mut out, mut rest) = (String::new(), line);
    while let Some(at) = rest.find("id=") {
        let (before, after) = rest.split_at(at + 3);
        let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        let next = ids.len() + 1;
        out += before;
        out += &ids.entry(after[..end].to_owned()).or_insert(next).to_string();
        rest = &after[end..];
    }
    out + rest
}

#[test]
fn what_a_verdict_rests_on_is_told_as_the_kernel_tells_it() {
    let probe = LinuxBackend::probe();
    if !probe.is_yes() {
        println!("skipped: no kernel to compare with: {probe:?}");
        return;
    }
    let (mut wrong, mut told) = (Vec::new(), 0);
    for (name, text) in PROGRAMS {
        let whole = match name.starts_with('!') {
            true => {
                // Functions come last.
                let (main, functions) = text.split_once("f:").unwrap_or((text, ""));
                let functions = if functions.is_empty() { String::new() } else { format!("; f:{functions}") };
                format!("{VALUE}{}{OUT}{functions}", main.trim_end())
            }
            false => (*text).to_owned(),
        };
        let spec = program(&whole);
        let (kernel, ours) = (normal(&kernels(&spec)), normal(&ours(&spec)));
        assert!(kernel.iter().any(|l| l.starts_with("mark_precise: ")), "{name}: {}", kernel.join("\n"));
        told += ours.iter().filter(|l| l.starts_with("mark_precise: ")).count();
        if std::env::var_os("SKEP_LOGS").is_some_and(|n| n == **name) {
            println!("{}\n{}", kernels(&spec), self::ours(&spec));
        }
        if kernel != ours {
            let at =
                kernel.iter().zip(&ours).position(|(a, b)| a != b).unwrap_or(kernel.len().min(ours.len()));
            let part = |log: &[String]| log[at.saturating_sub(3)..log.len().min(at + 6)].join("\n    ");
            wrong.push(format!(
                "{name}, line {at}\n  kernel:\n    {}\n  skep:\n    {}",
                part(&kernel),
                part(&ours)
            ));
        }
    }
    println!("{told} lines on precision in {} logs", PROGRAMS.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
