//! `--stats`: what a verification cost, by source line.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use skep::spec::ProgramSpec;
use skep::verifier::InsnCost;

use crate::out;

/// Lines that are shown to people.
const SHOWN: usize = 20;
/// Differences that are shown of each.
const DIFFERENCES: usize = 3;

/// What a source line cost; without line information an instruction.
#[derive(Debug, Default, Serialize)]
pub struct LineCost {
    pub file: Option<String>,
    pub line: Option<u32>,
    pub text: String,
    /// Slot of its first instruction.
    pub insn: usize,
    pub steps: u32,
    pub states: u32,
    pub pruned: u32,
    pub missed: u32,
    pub differences: Vec<Difference>,
}

/// What kept a state from covering a path.
#[derive(Debug, Serialize)]
pub struct Difference {
    pub insn: usize,
    pub at: String,
    pub old: String,
    pub new: String,
    pub times: u32,
}

/// By line, the dearest first.
pub fn by_line(spec: &ProgramSpec, costs: &[InsnCost]) -> Vec<LineCost> {
    let mut lines: BTreeMap<(Option<String>, u32, usize), LineCost> = BTreeMap::new();
    for (insn, cost) in costs.iter().enumerate().filter(|(_, c)| c.steps > 0) {
        let source = spec.source_line(insn);
        let key = match &source {
            Some(line) => (Some(line.file.clone()), line.line, 0),
            None => (None, 0, insn),
        };
        let line = lines.entry(key).or_insert_with(|| LineCost {
            file: source.as_ref().map(|l| l.file.clone()),
            line: source.as_ref().map(|l| l.line),
            text: match &source {
                Some(line) => line.text.clone(),
                None => {
                    skep_isa::decode(&spec.insns, insn).map_or_else(|_| String::new(), |op| op.to_string())
                }
            },
            insn,
            ..LineCost::default()
        });
        line.steps += cost.steps;
        line.states += cost.states;
        line.pruned += cost.pruned;
        line.missed += cost.missed;
        line.differences.extend(cost.differences.iter().map(|d| Difference {
            insn,
            at: d.at.clone(),
            old: d.old.clone(),
            new: d.new.clone(),
            times: d.times,
        }));
    }
    let mut lines: Vec<_> = lines.into_values().collect();
    lines.sort_by_key(|l| std::cmp::Reverse(l.steps));
    lines.iter_mut().for_each(|l| l.differences.sort_by_key(|d| std::cmp::Reverse(d.times)));
    lines
}

/// A table for people.
pub fn table(lines: &[LineCost]) -> String {
    let all: u64 = lines.iter().map(|l| u64::from(l.steps)).sum();
    let mut text =
        format!("{:>9} {:>4} {:>7} {:>7} {:>7}  line\n", "steps", "%", "states", "pruned", "missed");
    for line in &lines[..lines.len().min(SHOWN)] {
        let place = match (&line.file, line.line) {
            (Some(file), Some(n)) => format!("{}:{n}", file.rsplit('/').next().unwrap_or(file)),
            _ => format!("insn {}", line.insn),
        };
        let _ = writeln!(
            text,
            "{:>9} {:>4} {:>7} {:>7} {:>7}  {place}: {}",
            out::thousands(line.steps.into()),
            u64::from(line.steps) * 100 / all.max(1),
            line.states,
            line.pruned,
            line.missed,
            line.text
        );
        for d in line.differences.iter().take(DIFFERENCES) {
            let _ = writeln!(text, "{:>39}missed {} × at insn {}: {}", "", d.times, d.insn, words(d));
        }
    }
    if lines.len() > SHOWN {
        let rest: u64 = lines[SHOWN..].iter().map(|l| u64::from(l.steps)).sum();
        let _ = writeln!(
            text,
            "{:>9} {:>4}  {} more lines",
            out::thousands(rest),
            rest * 100 / all.max(1),
            lines.len() - SHOWN
        );
    }
    text
}

fn words(d: &Difference) -> String {
    match d.at.as_str() {
        "several" => "several registers or slots differ".to_owned(),
        "callers" => "what the calling functions keep differs".to_owned(),
        "references" => "other references are held, or other calls lead here".to_owned(),
        at if d.old == d.new => format!("{at} is {}, but related to others in another way", d.new),
        at => {
            let absent = |v: &str| if v.is_empty() { "not set".to_owned() } else { v.to_owned() };
            format!("{at} was {}, is {}", absent(&d.old), absent(&d.new))
        }
    }
}
