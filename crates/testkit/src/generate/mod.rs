//! Random programs that the oracles must agree on.
//!
//! [`program::generate`] makes a program and its inputs from a seed; [`compare`] asks the oracles; [`shrink`]
//! makes a disagreement small; [`coverage`] counts what the programs reached;
//! [`mutate`] changes programs of compiled objects instead; [`campaign`] does all of it many times, each program in a [`worker`], a process that Linux may kill. The same seed gives the same
//! program for ever, on every machine.

pub mod campaign;
pub mod cases;
pub mod coverage;
mod crew;
mod dead_path;
pub mod judge;
mod known;
mod make;
pub mod mutate;
pub mod packets;
pub mod program;
pub mod rng;
pub mod shrink;
pub mod worker;

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use skep_abi::Capability;
use skep_spec::Environment;
use skep_verifier::{Options, verify};

use crate::oracle::{self, Answer, Oracle, Privilege, Question, Verdict, interpreter};
use known::meant;
use program::Generated;

/// A program that oracles disagree on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Divergence {
    /// The seed that gives the program.
    pub seed: u64,
    /// What differs, in words.
    pub what: String,
}

/// Instructions after which a verification counts as too long, so that a campaign does not stand still: an
/// altered loop that does not end costs the kernel a million.
const MOST_INSNS: u32 = 50_000;

/// Time for making one program small: some take the kernel a second each time.
const SHRINKING: Duration = Duration::from_secs(20);

/// Whether no program reads memory that nobody wrote, or hands out addresses: what it does then depends on nothing
/// but its inputs. The rules for loaders without `CAP_PERFMON` say so. What stands in a ring buffer record that was
/// not filled is left out.
pub fn is_closed(generated: &Generated) -> bool {
    leftovers(generated).is_none()
}

/// Why a program's result may depend on more than its inputs, in words.
pub fn leftovers(generated: &Generated) -> Option<String> {
    let mut env = Environment::default();
    env.capability = Capability::Bpf;
    let options = Options { most_insns: MOST_INSNS, ..Options::default() };
    generated.programs().find_map(|spec| Some(verify(spec, &env, &options).err()?.to_string()))
}

/// Makes a program that shows a disagreement small. It goes on depending on its inputs alone, if it did.
pub fn smallest(generated: &Generated, what: &str, compare: &dyn Fn(&Generated) -> Comparison) -> Generated {
    let kind = |what: &str| what.split([':', ',', ' ']).next().unwrap_or("").to_string();
    let (closed, wanted) = (!generated.judged && is_closed(generated), kind(what));
    let until = Instant::now() + SHRINKING;
    shrink::shrink(generated, &mut |g| {
        if Instant::now() > until {
            return false;
        }
        let shows = |g: &Generated| {
            let compared = compare(g);
            compared.what.filter(|w| kind(w) == wanted).map(|_| compared.answers)
        };
        if closed && !is_closed(g) {
            return false;
        }
        // Twice the same: chance has no part in it.
        shows(g).is_some_and(|first| g.altered || shows(g) == Some(first))
    })
}

/// What the oracles say of a program.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// In the order of the oracles; the last may be missing.
    pub answers: Vec<Answer>,
    /// What they disagree on, in words. Deliberate differences are left out.
    pub what: Option<String>,
    /// They disagree, since Linux refuses a path that no run takes: such programs are counted.
    pub dead_path: bool,
    /// They disagree, since Linux knows less about a number: such programs are counted, too.
    pub known_better: bool,
}

/// Asks the oracles, in order, and compares neighbours.
pub fn compare(generated: &Generated, oracles: &[&dyn Oracle]) -> Comparison {
    // What an altered program reads may be left over from elsewhere: only its verdict is comparable.
    let inputs = if generated.altered { &[][..] } else { &generated.inputs };
    let question = Question {
        brief: true,
        insides: &generated.insides,
        tails: &generated.tails,
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
    let env = Environment::default();
    let named: Vec<_> = oracles.iter().map(|o| o.name()).zip(&answers).collect();
    let what = named
        .windows(2)
        .find_map(|two| oracle::disagreement(two[0], two[1]).filter(|w| !meant(w, generated, &env)));
    let dead_path = what.as_ref().is_some_and(|what| {
        what.starts_with("verdict: interpreter accepts, kernel: ")
            && dead_path::only_dead_paths(generated, &env)
    });
    // No other oracle is needed to know that this is wrong.
    let left = answers.iter().find_map(|answer| match answer {
        Err(Verdict::Rejected { log }) if log.starts_with(interpreter::LEFT) => Some(log.clone()),
        Ok(_) | Err(_) => None,
    });
    let what = left.or(what.filter(|_| !dead_path));
    Comparison { what, answers, dead_path, known_better: false }
}
