//! Random programs that the oracles must agree on.
//!
//! [`program::generate`] makes a program and its inputs from a seed; [`compare`] asks the oracles; [`shrink`]
//! makes a disagreement small; [`coverage`] counts what the programs reached;
//! [`campaign`] does all of it many times. The same seed gives the same
//! program for ever, on every machine.

pub mod campaign;
pub mod coverage;
pub mod program;
pub mod rng;
pub mod shrink;

use crate::oracle::{self, Answer, Oracle, Privilege, Question, Verdict};
use program::Generated;

/// A program that oracles disagree on.
#[derive(Clone, Debug)]
pub struct Divergence {
    /// The seed that gives the program.
    pub seed: u64,
    /// What differs, in words.
    pub what: String,
}

/// Instructions after which a verification counts as too long, so that a campaign does not stand still: an
/// altered loop that does not end costs the kernel a million.
const MOST_INSNS: u32 = 50_000;

/// Whether a disagreement is one that skep means: it checks the reserved fields of every instruction, the
/// kernel only of those that a path reaches (`docs/parity.md`); and a descriptor in an altered program may happen
/// to be one of ours to the kernel, while to skep it names nothing.
fn deliberate(what: &str) -> bool {
    let reserved = what.contains(": opcode 0x") && what.contains("must be");
    what.starts_with("verdict: kernel accepts")
        && (reserved || what.contains("is not pointing to valid bpf_map"))
}

/// Asks the oracles, in order, and compares neighbours. Deliberate differences are left out.
pub fn compare(generated: &Generated, oracles: &[&dyn Oracle]) -> (Vec<Answer>, Option<String>) {
    // What an altered program reads may be left over from elsewhere: only its verdict is comparable.
    let inputs = if generated.altered { &[][..] } else { &generated.inputs };
    let question = Question {
        brief: true,
        most_insns: Some(MOST_INSNS),
        ..Question::new(&generated.spec, Privilege::Privileged, inputs)
    };
    let mut answers: Vec<Answer> = Vec::new();
    for oracle in oracles {
        let answer = oracle.answer(&question);
        let ends = matches!(answer, Err(Verdict::Skipped(_)));
        answers.push(answer);
        if ends {
            break;
        }
    }
    let named: Vec<_> = oracles.iter().map(|o| o.name()).zip(&answers).collect();
    let what =
        named.windows(2).find_map(|two| oracle::disagreement(two[0], two[1]).filter(|w| !deliberate(w)));
    (answers, what)
}
