//! The verifier's log beside the running kernel's, line by line, at each level.
//!
//! Left out, since they tell of Linux's own working: lines on precision (`mark_precise:`), loops (`SCC`) and the stack's
//! liveness, which break the line of a state in two; the mark `P` of numbers that a verdict rests on; live
//! registers. Numbers of `id=` and `refs=` count only as far as they are the same number.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use skep_linux::LinuxBackend;
use skep_object::Object;
use skep_spec::{Environment, LoadOptions, ProgramSpec};
use skep_testkit::generate::program;
use skep_verifier::{Options, verify};

/// Generated programs that are compared.
const PROGRAMS: u64 = 150;

fn ours(spec: &ProgramSpec, level: u32) -> (bool, String) {
    let options = Options { log_level: level, ..Options::default() };
    let mut env = Environment::default();
    env.cpus = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
    match verify(spec, &env, &options) {
        Ok(v) => (true, v.log().to_owned()),
        Err(r) => (false, r.log().to_owned()),
    }
}

fn kernels(spec: &ProgramSpec, level: u32) -> Option<(bool, String)> {
    let backend = LinuxBackend::new();
    let maps = spec.maps.iter().map(|m| backend.create(m)).collect::<Result<Vec<_>, _>>().ok()?;
    let fds: Vec<_> = maps.iter().map(|m| m.as_fd()).collect();
    match backend.load_program(spec, &fds, LoadOptions { log_level: level }) {
        Ok(p) => Some((true, p.log().to_owned())),
        Err(e) => Some((false, e.log)),
    }
}

/// A log without what may differ.
fn normal(log: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut ids = BTreeMap::new();
    let own_working = |l: &str| {
        ["mark_precise:", "SCC ", "verification time ", "arg#0 reference type", "frame 0: propagating"]
            .iter()
            .any(|w| l.starts_with(w))
            || (l.starts_with('(') && (l.contains(" insn ") || l.contains("live stack")))
    };
    for line in log.lines().map(str::trim_end).filter(|l| !l.is_empty() && !own_working(l)) {
        let line = renumbered(&line.replace("=P", "="), &mut ids);
        let line = without_address(&line);
        let line = line.trim_end_matches(';').trim_end().to_owned();
        // `12: R3=4` on a line of its own belongs to the instruction before.
        let alone = line.split_once(": ").filter(|(n, rest)| {
            n.parse::<u32>().is_ok() && !rest.starts_with('(') && !rest.starts_with("safe")
        });
        if let Some((_, state)) = alone
            && let Some(last) = out.last_mut().filter(|l| is_insn(l) && !l.contains(" ;"))
        {
            *last = format!("{last} ; {state}");
            continue;
        }
        if let Some((insn, state)) = line.split_once(" ; ").filter(|(n, _)| is_insn(n)) {
            out.push(format!("{} ; {state}", insn.trim_end()));
        } else if !(line.starts_with("  ") && line.contains(": ")) {
            // Not one of the lines on live registers: skep knows more of what calls read.
            out.push(line);
        }
    }
    out
}

fn is_insn(line: &str) -> bool {
    line.split_once(": (").is_some_and(|(n, _)| n.trim().parse::<u32>().is_ok())
}

/// Of an `LDDW`, the register alone: the kernel prints an address, skep the map or function.
fn without_address(line: &str) -> String {
    let Some((insn, rest)) =
        line.split_once(" = ").filter(|(insn, _)| insn.contains(": (18) r") || insn.contains(" (18) r"))
    else {
        return line.to_owned();
    };
    let state = rest.split_once(" ;").map_or(String::new(), |(_, state)| format!(" ;{state}"));
    format!("{insn} = …{state}")
}

/// With ids in the order in which they come.
fn renumbered(line: &str, ids: &mut BTreeMap<String, usize>) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = ["id=", "refs="].iter().filter_map(|w| rest.find(w).map(|i| i + w.len())).min() {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        loop {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let next = ids.len() + 1;
            out += &ids.entry(rest[..end].to_owned()).or_insert(next).to_string();
            rest = &rest[end..];
            match rest.strip_prefix(',').filter(|r| r.starts_with(|c: char| c.is_ascii_digit())) {
                Some(more) => (out, rest) = (out + ",", more),
                None => break,
            }
        }
    }
    out + rest
}

fn examples() -> Vec<(String, ProgramSpec)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let folders = std::fs::read_dir(folder).expect("examples").flatten().map(|e| e.path());
    let files = folders.filter_map(|f| std::fs::read_dir(f).ok()).flat_map(|f| f.flatten().map(|e| e.path()));
    let mut files: Vec<PathBuf> = files.filter(|p| p.extension().is_some_and(|e| e == "o")).collect();
    files.sort();
    let mut all = Vec::new();
    for file in files {
        let bytes = std::fs::read(&file).expect("a readable file");
        let Ok(object) = Object::parse(&file.display().to_string(), &bytes) else { continue };
        let name = |p: &str| format!("{}: {p}", file.file_name().unwrap_or_default().display());
        all.extend(object.programs.into_iter().filter_map(|p| Some((name(&p.name), p.spec.ok()?))));
    }
    all
}

#[test]
fn logs_are_the_kernel_s() {
    let probe = LinuxBackend::probe();
    if !probe.is_yes() {
        println!("skipped: no kernel to compare with: {probe:?}");
        return;
    }
    let generated = (0..PROGRAMS).map(|seed| (format!("seed {seed}"), program::generate(seed).spec));
    let mut count = Count::default();
    for (name, spec) in examples().into_iter().chain(generated) {
        for level in [1, 2, 4, 5, 6] {
            let (Some(kernel), ours) = (kernels(&spec, level), ours(&spec, level)) else { continue };
            if kernel.0 == ours.0 {
                count.compare(&format!("{name}, level {level}"), &normal(&kernel.1), &normal(&ours.1));
            }
        }
    }
    let Count { logs, same_way, other_way, insns, states, same, wrong } = count;
    println!(
        "{same_way} of {logs} logs tell of the same way; {same} of {states} states on it are the same, {insns} insns"
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(other_way * 50 <= same_way, "{other_way} of {same_way}");
    assert!(same_way * 2 > logs, "most programs cost what they cost the kernel");
    assert!(same * 100 >= states * 98, "states are written as the kernel writes them");
}

/// What comparisons of logs gave.
#[derive(Default)]
struct Count {
    logs: usize,
    /// Logs with the same counters and the same instructions.
    same_way: usize,
    /// Those with the same counters only.
    other_way: usize,
    /// Instructions in those, and states behind them.
    insns: usize,
    states: usize,
    same: usize,
    wrong: Vec<String>,
}

impl Count {
    fn compare(&mut self, name: &str, kernel: &[String], ours: &[String]) {
        self.logs += 1;
        let one = |log: &[String], word: &str| log.iter().find(|l| l.starts_with(word)).cloned();
        let mut differs = |what: &str, (a, b): (String, String)| {
            self.wrong.push(format!("{name}: {what}:\n  kernel {a}\n  skep   {b}"));
        };
        // `stack depth 16+0`, where there is one.
        let depth = (one(kernel, "stack depth"), one(ours, "stack depth"));
        if let (Some(a), Some(b)) = depth
            && a != b
        {
            differs("stack", (a, b));
        }
        let counters = (one(kernel, "processed "), one(ours, "processed "));
        if counters.0.is_none() || counters.0 != counters.1 {
            return;
        }
        let split = |l: &String| {
            let (insn, state) = l.split_once(" ;").unwrap_or((l, ""));
            (insn.to_owned(), state.to_owned())
        };
        let insns = |log: &[String]| -> Vec<_> { log.iter().filter(|l| is_insn(l)).map(split).collect() };
        let (kernel, ours) = (insns(kernel), insns(ours));
        let at = kernel.iter().zip(&ours).position(|(a, b)| a.0 != b.0);
        if at.is_some() || kernel.len() != ours.len() {
            let at = at.unwrap_or(kernel.len().min(ours.len()));
            let line = |log: &[(String, String)]| log.get(at).map_or(String::new(), |l| l.0.clone());
            println!("{name}: another way at the same cost: kernel {}, skep {}", line(&kernel), line(&ours));
            self.other_way += 1;
            return;
        }
        self.same_way += 1;
        self.insns += ours.len();
        for (a, b) in kernel.iter().zip(&ours).filter(|(a, _)| !a.1.is_empty()) {
            self.states += 1;
            self.same += usize::from(a.1 == b.1);
            if a.1 != b.1 && std::env::var_os("SKEP_LOGS").is_some() {
                println!("{name}: {}\n  kernel {}\n  skep   {}", a.0, a.1, b.1);
            }
        }
    }
}
