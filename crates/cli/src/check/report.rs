//! What is found out about a program, as `--json` prints it (`docs/cli.md`).

use std::time::Duration;

use serde::Serialize;
use skep::verifier::{Rejection, Stats};

use super::cost::LineCost;
use super::linux::Answer;

/// One line of `--json`.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    pub file: &'a str,
    pub program: &'a str,
    pub section: &'a str,
    pub verdict: Verdict,
    pub error: Option<Reason>,
    pub insns_processed: u32,
    pub time_us: u64,
    pub stats: Counters,
    /// By source line, with `--stats`.
    pub costs: Option<Vec<LineCost>>,
    /// With `--log`.
    pub log: Option<String>,
    /// With `--linux`.
    pub linux: Option<Answer>,
    /// With `--linux`: whether both say the same.
    pub agreement: Option<Agreement>,
    #[serde(skip)]
    pub rejection: Option<Rejection>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Accepted,
    Rejected,
    Unsupported,
}

/// How far two verdicts agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Agreement {
    /// The same verdict, for the same reason.
    Same,
    /// Both refuse, in other words or at another instruction.
    Words,
    /// One accepts.
    Verdict,
    /// One of them cannot judge.
    Unknown,
}

impl Agreement {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Same => "the same",
            Self::Words => "the same verdict, in other words",
            Self::Verdict => "ANOTHER VERDICT",
            Self::Unknown => "cannot be compared",
        }
    }
}

/// Why a program was not accepted.
#[derive(Debug, Default, Serialize)]
pub struct Reason {
    /// A word that stays the same over releases.
    pub code: String,
    /// Slot of the instruction, if it is about one.
    pub insn: Option<usize>,
    /// Line of the source, if it is known.
    pub line: Option<u32>,
    pub message: String,
    /// What the instruction needs, what is known instead, what to write instead: empty where the message says it all.
    pub required: String,
    pub found: String,
    pub remedy: String,
    /// The text of the instruction.
    pub instruction: String,
    pub source: Option<Source>,
    /// Registers and stack there, in the spelling of the kernel's log.
    pub state: Vec<Known>,
    /// Conditional jumps on the way there.
    pub path: Vec<Jump>,
    /// What CO-RE did not find for the instruction.
    #[serde(skip)]
    pub poison: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct Source {
    pub file: String,
    pub line: u32,
    pub column: u32,
    pub text: String,
}

#[derive(Debug, Serialize)]
pub struct Known {
    pub name: String,
    pub value: String,
}

#[derive(Debug, Serialize)]
pub struct Jump {
    pub insn: usize,
    pub taken: bool,
}

/// The counters of the kernel's last line.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Counters {
    pub max_states_per_insn: u32,
    pub total_states: u32,
    pub peak_states: u32,
}

impl From<Stats> for Counters {
    fn from(s: Stats) -> Self {
        Self {
            max_states_per_insn: s.max_states_per_insn,
            total_states: s.total_states,
            peak_states: s.peak_states,
        }
    }
}

impl Reason {
    /// Of a program that nobody could look at.
    pub fn unusable(message: String) -> Self {
        Self { code: "unusable".to_owned(), message, ..Self::default() }
    }
}

impl From<&Rejection> for Reason {
    fn from(r: &Rejection) -> Self {
        let source = r.source_line();
        let known = |k: &skep::verifier::Known| Known { name: k.name.clone(), value: k.value.clone() };
        Self {
            code: r.code().as_str().to_owned(),
            insn: Some(r.pc()),
            line: source.map(|l| l.line),
            message: r.message().to_owned(),
            required: r.required().to_owned(),
            found: r.found().to_owned(),
            remedy: r.remedy().to_owned(),
            instruction: r.insn().to_owned(),
            source: source.map(|l| Source {
                file: l.file.clone(),
                line: l.line,
                column: l.column,
                text: l.text.clone(),
            }),
            state: r.state().iter().map(known).collect(),
            path: r.path().iter().map(|d| Jump { insn: d.pc, taken: d.taken }).collect(),
            poison: None,
        }
    }
}

impl Report<'_> {
    pub fn new(verdict: Verdict, error: Option<Reason>, stats: Stats, time: Duration) -> Self {
        Self {
            file: "",
            program: "",
            section: "",
            verdict,
            error,
            insns_processed: stats.insns_processed,
            time_us: micros(time),
            stats: stats.into(),
            costs: None,
            log: None,
            linux: None,
            agreement: None,
            rejection: None,
        }
    }

    /// Takes what Linux says.
    pub fn compare(&mut self, answer: Answer) {
        let ours = self.error.as_ref();
        let same = |e: &super::linux::Error| ours.is_some_and(|o| o.message == e.message && o.insn == e.insn);
        self.agreement = Some(match (self.verdict, answer.verdict) {
            (Verdict::Unsupported, _) | (_, Verdict::Unsupported) => Agreement::Unknown,
            (Verdict::Accepted, Verdict::Accepted) => Agreement::Same,
            (Verdict::Rejected, Verdict::Rejected) if answer.error.as_ref().is_some_and(same) => {
                Agreement::Same
            }
            (Verdict::Rejected, Verdict::Rejected) => Agreement::Words,
            (Verdict::Accepted, Verdict::Rejected) | (Verdict::Rejected, Verdict::Accepted) => {
                Agreement::Verdict
            }
        });
        self.linux = Some(answer);
    }
}

/// Whole microseconds.
pub fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
