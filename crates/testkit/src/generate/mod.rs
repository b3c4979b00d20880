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

use crate::oracle::{self, Answer, Oracle, Privilege};
use program::Generated;

/// A program that oracles disagree on.
#[derive(Clone, Debug)]
pub struct Divergence {
    /// The seed that gives the program.
    pub seed: u64,
    /// What differs, in words.
    pub what: String,
}

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
    let ask = |o: &&dyn Oracle| {
        if generated.altered {
            // What an altered program reads may be left over from elsewhere: only its verdict is comparable.
            o.run(&generated.spec, Privilege::Privileged, &[])
        } else {
            o.run(&generated.spec, Privilege::Privileged, &generated.inputs)
        }
    };
    let answers: Vec<Answer> = oracles.iter().map(ask).collect();
    let named: Vec<_> = oracles.iter().map(|o| o.name()).zip(&answers).collect();
    let what =
        named.windows(2).find_map(|two| oracle::disagreement(two[0], two[1]).filter(|w| !deliberate(w)));
    (answers, what)
}
