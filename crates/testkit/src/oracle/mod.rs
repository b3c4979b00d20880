//! Oracles: who can say whether a program is legal and what it does.
//!
//! An [`Oracle`] stands over a [`Backend`](skep_spec::Backend); one file each says what is particular to it.
//! `drive` does the work that is the same for all: create the maps, load, run, read everything back.

pub(crate) mod drive;
pub mod embedding;
pub mod facts;
pub mod interpreter;
pub mod jit;
pub mod kernel;

use std::fmt;

use skep_spec::ProgramSpec;

/// Whom a program is loaded by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Privilege {
    /// Root.
    #[default]
    Privileged,
    /// A user without capabilities, where the kernel admits those.
    Unprivileged,
}

/// Whether a program is legal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It loads.
    Accepted,
    /// The verifier refuses it.
    Rejected {
        /// The verifier's log, or the error where there is none.
        log: String,
    },
    /// The oracle does not know what the program needs.
    Unsupported(String),
    /// The oracle cannot be asked here, and why.
    Skipped(String),
}

impl Verdict {
    /// The verdict in one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected { .. } => "rejected",
            Self::Unsupported(_) => "unsupported",
            Self::Skipped(_) => "skipped",
        }
    }

    /// The verdict with its reason, in one line.
    pub fn last_words(&self) -> String {
        let reason = match self {
            Self::Accepted => "",
            Self::Rejected { log } | Self::Unsupported(log) | Self::Skipped(log) => {
                log.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("")
            }
        };
        format!("{} ({reason})", self.word())
    }
}

/// What a run is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// Packet bytes.
    pub data: Vec<u8>,
    /// Context bytes.
    pub ctx: Vec<u8>,
}

/// What a run gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunResult {
    /// Low 32 bits of `r0`.
    pub retval: u32,
    /// The packet afterwards.
    pub data: Vec<u8>,
    /// The context afterwards.
    pub ctx: Vec<u8>,
    /// Words of the error that ended the run, where it did not return.
    pub fault: Option<String>,
}

/// Another program over the same maps, in a slot of a program array: where tail calls lead.
#[derive(Clone, Debug)]
pub struct Tail {
    /// The program array's index in [`ProgramSpec::maps`].
    pub map: usize,
    /// The slot.
    pub index: u32,
    /// The program; its maps are those of the program that is run.
    pub spec: ProgramSpec,
}

/// A map in a slot of a map of maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inside {
    /// The map of maps, by its index in [`ProgramSpec::maps`].
    pub outer: usize,
    /// The key.
    pub key: Vec<u8>,
    /// The map, by its index.
    pub map: usize,
}

/// An element that a map has before the first run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// The map, by its index in [`ProgramSpec::maps`].
    pub map: usize,
    /// The key.
    pub key: Vec<u8>,
    /// The value, as the host writes it.
    pub value: Vec<u8>,
}

/// What an oracle is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The program.
    pub spec: &'a ProgramSpec,
    /// Those that it may tail-call.
    pub tails: &'a [Tail],
    /// Where its maps are in its maps of maps.
    pub insides: &'a [Inside],
    /// What its maps hold beside that.
    pub elements: &'a [Element],
    /// Who loads it.
    pub privilege: Privilege,
    /// Runs, in order.
    pub inputs: &'a [Input],
    /// A refusal is only asked for its reason, not for the whole log.
    pub brief: bool,
    /// Instructions after which a verification that can be bounded ends as [`Verdict::Skipped`].
    pub most_insns: Option<u32>,
}

impl<'a> Question<'a> {
    /// A single program, and all that an oracle says about it.
    pub fn new(spec: &'a ProgramSpec, privilege: Privilege, inputs: &'a [Input]) -> Self {
        let (tails, insides, elements) = (&[], &[], &[]);
        Self { spec, tails, insides, elements, privilege, inputs, brief: false, most_insns: None }
    }
}

/// The contents of a map after all runs: keys in ascending order with their values. A ring buffer has its
/// records as values instead, in order, under empty keys.
pub type MapContents = Vec<(Vec<u8>, Vec<u8>)>;

/// One value out of those of all CPUs. Test runs stay on one CPU, so all others' are zero.
fn fold_cpus(value: Vec<u8>, size: usize) -> Vec<u8> {
    if value.len() == size {
        return value;
    }
    let mut folded = vec![0; size];
    for one in value.chunks(size.next_multiple_of(8)) {
        for (f, b) in folded.iter_mut().zip(one) {
            *f ^= b;
        }
    }
    folded
}

/// What came of a program that was loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// One for each input.
    pub runs: Vec<RunResult>,
    /// One for each map of the program.
    pub maps: Vec<MapContents>,
    /// Lines of `bpf_trace_printk`, where the oracle catches them.
    pub printk: Vec<String>,
    /// The oracle's verifier did not know what the program needs, and it ran under checks instead: the
    /// outcome says nothing about the verdict.
    pub unverified: bool,
    /// Whether native code ran.
    pub native: Native,
}

/// Whether native code ran.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Native {
    /// Nobody asked for it.
    #[default]
    NotAsked,
    /// It did, of all programs.
    Ran,
    /// A program could not be compiled, for this reason, and was interpreted.
    No(String),
}

/// Somebody who can be asked.
pub trait Oracle: Sync {
    /// Name, as `targets:` lines have it.
    fn name(&self) -> &'static str;
    /// `Err` with the reason where this machine does not have it.
    fn available(&self) -> Result<(), String>;
    /// Whether `spec` loads.
    fn verdict(&self, spec: &ProgramSpec, privilege: Privilege) -> Verdict;
    /// Loads the programs with fresh maps and runs the first on each input in turn. `Err` when one does not load.
    fn answer(&self, question: &Question<'_>) -> Answer;

    /// The answer for a single program.
    fn run(&self, spec: &ProgramSpec, privilege: Privilege, inputs: &[Input]) -> Answer {
        self.answer(&Question::new(spec, privilege, inputs))
    }
}

/// All oracles.
pub fn all() -> [&'static dyn Oracle; 2] {
    [&interpreter::Interpreter, &kernel::Kernel]
}

/// What an oracle answers: an outcome, or why there is none.
pub type Answer = Result<Outcome, Verdict>;

/// The first difference between two answers, in words that name the oracles. An oracle whose verifier does
/// not know what the program needs has no verdict to compare.
pub fn disagreement(a: (&str, &Answer), b: (&str, &Answer)) -> Option<String> {
    let unknown = |answer: &Answer| match answer {
        Ok(outcome) => outcome.unverified,
        Err(verdict) => matches!(verdict, Verdict::Unsupported(_) | Verdict::Skipped(_)),
    };
    match (a.1, b.1) {
        (Ok(x), Ok(y)) => difference((a.0, x), (b.0, y)),
        (Err(_), Err(_)) => None,
        _ if unknown(a.1) || unknown(b.1) => None,
        (Ok(_), Err(why)) => Some(format!("verdict: {} accepts, {}: {}", a.0, b.0, why.last_words())),
        (Err(why), Ok(_)) => Some(format!("verdict: {} accepts, {}: {}", b.0, a.0, why.last_words())),
    }
}

/// The first difference between two outcomes, in words that name the oracles `a` and `b`.
pub fn difference(a: (&str, &Outcome), b: (&str, &Outcome)) -> Option<String> {
    let ((a_name, a), (b_name, b)) = (a, b);
    let differ = |what: &dyn fmt::Display, x: &dyn fmt::Debug, y: &dyn fmt::Debug| {
        Some(format!("{what}: {a_name} {x:x?}, {b_name} {y:x?}"))
    };
    for (i, (x, y)) in a.runs.iter().zip(&b.runs).enumerate() {
        if x.fault.is_some() != y.fault.is_some() {
            return differ(&format_args!("run {i}, fault"), &x.fault, &y.fault);
        }
        if x.fault.is_some() {
            continue;
        }
        if x.retval != y.retval {
            return differ(&format_args!("run {i}, retval"), &x.retval, &y.retval);
        }
        if x.ctx != y.ctx {
            return differ(&format_args!("run {i}, context"), &x.ctx, &y.ctx);
        }
        if x.data != y.data {
            return differ(&format_args!("run {i}, packet"), &x.data, &y.data);
        }
    }
    for (i, (x, y)) in a.maps.iter().zip(&b.maps).enumerate() {
        if let Some((n, x, y)) = first_difference(x, y) {
            return differ(&format_args!("map {i}, element {n}"), &x, &y);
        }
    }
    None
}

/// The first element that two maps do not share, with its number; of values, eight bytes and their offset.
fn first_difference(x: &MapContents, y: &MapContents) -> Option<(String, Vec<u8>, Vec<u8>)> {
    let n = (0..x.len().max(y.len())).find(|&n| x.get(n) != y.get(n))?;
    let (Some((x_key, x)), Some((y_key, y))) = (x.get(n), y.get(n)) else {
        let all = |m: &MapContents| m.get(n).map_or_else(Vec::new, |(k, v)| [&k[..], &v[..]].concat());
        return Some((format!("{n}, of {} and {}", x.len(), y.len()), all(x), all(y)));
    };
    if x_key != y_key || x.len() != y.len() {
        return Some((format!("{n}, key or length"), [&x_key[..], x].concat(), [&y_key[..], y].concat()));
    }
    let at = x.iter().zip(y).position(|(a, b)| a != b)? & !7;
    let eight = |v: &[u8]| v[at..v.len().min(at + 8)].to_vec();
    Some((format!("{n}, byte {at}"), eight(x), eight(y)))
}
