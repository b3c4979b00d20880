//! Holds the expectations of a file against the oracles.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use skep_spec::ProgramSpec;

use super::expect::{Expectations, Expected, show_map, show_run};
use super::source;
use crate::oracle::interpreter::Embedded;
use crate::oracle::jit::Jit;
use crate::oracle::{self, Element, Inside, Native, Oracle, Outcome, Question, Tail, Verdict};

/// What came of all files.
#[derive(Debug, Default)]
pub struct Report {
    /// Tests that were held against each oracle.
    pub counts: BTreeMap<String, usize>,
    /// Oracles that were missing, and why.
    pub skipped: BTreeMap<String, String>,
    /// Programs that an oracle refuses as it should, but because it does not know an instruction yet.
    pub notes: Vec<String>,
    /// What went wrong, with the file's name.
    pub failures: Vec<String>,
}

/// All files below `root` that are tests, in order of their names.
pub fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "s") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Checks all files below `root`, or with `bless` rewrites their expectations.
pub fn run(root: &Path, bless: bool) -> Report {
    let mut report = Report::default();
    for path in files(root) {
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        let result = if bless { bless_file(&path) } else { check_file(&path, &mut report) };
        if let Err(why) = result {
            report.failures.push(format!("{name}: {why}"));
        }
    }
    report
}

/// A file, ready.
struct Case {
    text: String,
    expect: Expectations,
    spec: ProgramSpec,
    tails: Vec<Tail>,
    insides: Vec<Inside>,
    elements: Vec<Element>,
    maps: Vec<String>,
    inputs: Vec<oracle::Input>,
}

fn read(path: &Path) -> Result<Case, String> {
    let text = fs::read_to_string(path).map_err(|e| e.to_string())?;
    let expect = Expectations::parse(&text)?;
    let specs = source::assemble(&text)?;
    let named = |name: &str| specs.iter().find(|s| s.name == *name).cloned();
    let tail = |(map, index, name): &(String, u32, String)| {
        let spec = named(name).ok_or(format!("no program `{name}`"))?;
        let map = spec.maps.iter().position(|m| m.name == *map).ok_or(format!("no map `{map}`"))?;
        Ok::<_, String>(Tail { map, index: *index, spec })
    };
    let tails = expect.tails.iter().map(tail).collect::<Result<_, _>>()?;
    let spec = match &expect.program {
        Some(name) => named(name).ok_or(format!("no program `{name}`"))?,
        None if specs.len() == 1 => specs.into_iter().next().ok_or("no program")?,
        None => return Err(format!("{} programs: a line `; program: NAME` must choose one", specs.len())),
    };
    let maps: Vec<String> = spec.maps.iter().map(|m| m.name.clone()).collect();
    let at = |name: &String| maps.iter().position(|m| m == name).ok_or(format!("no map `{name}`"));
    let inside = |(outer, key, map): &(String, Vec<u8>, String)| {
        Ok::<_, String>(Inside { outer: at(outer)?, key: key.clone(), map: at(map)? })
    };
    let insides = expect.insides.iter().map(inside).collect::<Result<_, _>>()?;
    let element = |(map, key, value): &(String, Vec<u8>, Vec<u8>)| {
        Ok::<_, String>(Element { map: at(map)?, key: key.clone(), value: value.clone() })
    };
    let elements = expect.elements.iter().map(element).collect::<Result<_, _>>()?;
    let inputs = expect.runs.iter().map(|r| r.input.clone()).collect();
    Ok(Case { text, expect, spec, tails, insides, elements, maps, inputs })
}

fn ask(case: &Case, oracle: &dyn Oracle) -> Result<Outcome, Verdict> {
    if case.inputs.is_empty() && case.expect.maps.is_empty() {
        match oracle.verdict(&case.spec, case.expect.privilege) {
            Verdict::Accepted => Ok(Outcome::default()),
            other => Err(other),
        }
    } else {
        let question = Question::new(&case.spec, case.expect.privilege, &case.inputs);
        let Case { tails, insides, elements, .. } = case;
        oracle.answer(&Question { tails, insides, elements, ..question })
    }
}

fn target(name: &str) -> Result<&'static dyn Oracle, String> {
    if name == Embedded.name() {
        return Ok(&Embedded);
    }
    oracle::all().into_iter().find(|o| o.name() == name).ok_or_else(|| format!("no oracle `{name}`"))
}

fn check_file(path: &Path, report: &mut Report) -> Result<(), String> {
    let case = read(path)?;
    let mut wrong = Vec::new();
    for name in &case.expect.targets {
        let oracle = target(name)?;
        if let Err(why) = oracle.available() {
            report.skipped.insert(name.clone(), why);
            continue;
        }
        *report.counts.entry(name.clone()).or_default() += 1;
        let answer = ask(&case, oracle);
        let refuses = matches!(case.expect.verdict, Some(Expected::Reject(_)));
        let unknown = match &answer {
            Ok(outcome) => outcome.unverified,
            Err(verdict) => matches!(verdict, Verdict::Unsupported(_)),
        };
        if oracle.name() == Embedded.name() && answer.is_ok() {
            wrong.extend(native(path, &case, report).err());
        }
        if refuses && unknown {
            // Linux refuses it for good, this oracle for now: the verdict is the same.
            report.notes.push(format!("{}: {name} refuses it as not supported yet", path.display()));
        } else if let Err(what) = compare(&case, answer) {
            wrong.push(format!("{name}: {what}"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n    ")) }
}

/// Where the interpreter runs a file's program, native code of it does the same.
fn native(path: &Path, case: &Case, report: &mut Report) -> Result<(), String> {
    let name = Jit.name().to_owned();
    if let Err(why) = Jit.available() {
        report.skipped.insert(name, why);
        return Ok(());
    }
    let answer = ask(case, &Jit);
    if let Ok(Outcome { native: Native::No(why), .. }) = &answer {
        report.notes.push(format!("{}: no native code: {why}", path.display()));
        return Ok(());
    }
    *report.counts.entry(name).or_default() += 1;
    compare(case, answer).map_err(|what| format!("{}: {what}", Jit.name()))
}

fn compare(case: &Case, answer: Result<Outcome, Verdict>) -> Result<(), String> {
    let expect = &case.expect;
    let outcome = match (&expect.verdict, answer) {
        (None, _) => return Err("says neither `accept` nor `reject`; BLESS=1 writes it".into()),
        (Some(Expected::Accept), Ok(outcome)) => outcome,
        (Some(Expected::Reject(_)), Ok(_)) => return Err("accepted, but `reject` is expected".into()),
        (Some(Expected::Reject(why)), Err(Verdict::Rejected { log })) => {
            if !log.contains(why.as_str()) {
                return Err(format!("refused, but not with `{why}`:\n{log}"));
            }
            return error_line(case, &log);
        }
        (Some(_), Err(verdict)) => return Err(format!("{verdict:?}")),
    };
    let mut wrong = Vec::new();
    for (i, (run, result)) in expect.runs.iter().zip(&outcome.runs).enumerate() {
        let got = show_run(&run.input, result);
        if got != run.expected {
            let fault = result.fault.as_deref().unwrap_or_default();
            wrong.push(format!("run {}: expected `{}`, got `{got}` {fault}", i + 1, run.expected));
        }
    }
    for (name, expected) in &expect.maps {
        let Some(i) = case.maps.iter().position(|m| m == name) else {
            wrong.push(format!("there is no map `{name}`"));
            continue;
        };
        let got = show_map(&outcome.maps[i]);
        if got != *expected {
            wrong.push(format!("map {name}: expected `{expected}`, got `{got}`"));
        }
    }
    if outcome.unverified {
        wrong.push(UNSUPPORTED.into());
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

/// A failure although all runs may agree: nothing in these files may be beyond the verifier.
const UNSUPPORTED: &str = "the verifier does not support the program yet";

/// The refused instruction is the last one that the log names: `12: (95) exit`.
fn error_line(case: &Case, log: &str) -> Result<(), String> {
    let Some(expected) = case.expect.error_line else { return Ok(()) };
    let pc = log.lines().rev().find_map(|l| {
        let (pc, rest) = l.split_once(": ")?;
        rest.starts_with('(').then(|| pc.parse::<u32>().ok()).flatten()
    });
    let pc = pc.ok_or_else(|| format!("the log names no instruction:\n{log}"))?;
    let line = case.spec.source_lines.iter().find(|(slot, _)| *slot == pc).map(|(_, l)| l.line);
    if line == Some(expected) {
        Ok(())
    } else {
        Err(format!("`; error` is on line {expected}, but insn {pc} on line {line:?} was refused:\n{log}"))
    }
}

/// Asks the kernel if it is a target and there, else the first target that is.
fn bless_file(path: &Path) -> Result<(), String> {
    let case = read(path)?;
    let mut targets = case.expect.targets.iter().map(|t| target(t)).collect::<Result<Vec<_>, _>>()?;
    targets.sort_by_key(|o| o.name() != "kernel");
    let oracle = targets.into_iter().find(|o| o.available().is_ok()).ok_or("no oracle to ask")?;
    let (verdict, outcome) = match ask(&case, oracle) {
        Ok(outcome) => (Expected::Accept, outcome),
        Err(Verdict::Rejected { log }) => (Expected::Reject(reason(&case, &log)), Outcome::default()),
        Err(other) => return Err(format!("{}: {other:?}", oracle.name())),
    };
    let blessed = case.expect.bless(&case.text, &verdict, &case.maps, &outcome);
    if blessed != case.text {
        fs::write(path, blessed).map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// The part of a log that a file keeps: what it kept before if that still holds, else the last line of text.
fn reason(case: &Case, log: &str) -> String {
    match &case.expect.verdict {
        Some(Expected::Reject(why)) if log.contains(why.as_str()) => why.clone(),
        _ => {
            let statistics = ["processed ", "verification time", "stack depth"];
            let plain = |l: &&str| !l.trim().is_empty() && !statistics.iter().any(|s| l.starts_with(s));
            // The last line of all is the oracle's own summary, which repeats the reason.
            let lines: Vec<&str> = log.lines().filter(plain).collect();
            lines.iter().rev().nth(1).or(lines.last()).map_or(String::new(), |l| l.trim().into())
        }
    }
}
