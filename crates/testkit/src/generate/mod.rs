//! Random programs that the oracles must agree on.
//!
//! [`program::generate`] makes a program and its inputs from a seed; [`compare`] asks the oracles; [`shrink`]
//! makes a disagreement small; [`coverage`] counts what the programs reached;
//! [`mutate`] changes programs of compiled objects instead; [`campaign`] does all of it many times, each program in a [`worker`], a process that Linux may kill. The same seed gives the same
//! program for ever, on every machine.

pub mod campaign;
pub mod coverage;
mod crew;
mod dead_path;
mod make;
pub mod mutate;
pub mod packets;
pub mod program;
pub mod rng;
pub mod shrink;
pub mod worker;

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use skep_abi::{Capability, ProgramType};
use skep_isa::{JumpOp, Op, Width, decode};
use skep_spec::{Environment, ProgramSpec};
use skep_verifier::{Options, verify};

use crate::oracle::{self, Answer, Oracle, Privilege, Question, Verdict};
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

/// Whether a disagreement is one that skep means (`docs/parity.md`):
///
/// - it checks the reserved fields of every instruction, the kernel only of those that a path reaches;
/// - a descriptor in an altered program may happen to be one of ours to the kernel, while to skep it names nothing;
/// - the kernel lets memory be NULL though its size is not 0, and then reads from NULL (`csum_diff` and others);
/// - the kernel gives up on a program that has too many paths, where skep sees sooner that they are alike;
/// - the kernel refuses what it calls a bug of its own.
fn deliberate(what: &str) -> bool {
    let reserved = what.contains(": opcode 0x") && what.contains("must be");
    let gives_up = ["jumps is too complex", "BPF program is too large", "verifier bug: "]
        .iter()
        .any(|w| what.contains(w));
    what.starts_with("verdict: kernel accepts")
        && (reserved
            || what.contains("is not pointing to valid bpf_map")
            || what.contains("may be NULL, the size is not 0"))
        || what.starts_with("verdict: interpreter accepts") && gives_up
}

/// Whether Linux lets a load-acquire from the context pass because it replaces the context's address: Linux looks at
/// the register after the load, and reads its own structure. skep refuses it (`tests/verdicts/atomics.txt`).
fn over_its_address(what: &str, generated: &Generated) -> bool {
    let at = |what: &str| {
        let (_, at) = what.strip_prefix("verdict: kernel accepts")?.split_once("(insn ")?;
        let (pc, words) = at.split_once(": ")?;
        let forbidden = words.starts_with("BPF_ATOMIC loads from R") && words.contains(" ctx is not allowed");
        forbidden.then(|| pc.parse::<usize>().ok()).flatten()
    };
    let own = |op: Op| matches!(op, Op::LoadAcquire { dst, src, .. } if dst == src);
    at(what).is_some_and(|pc| {
        generated.programs().any(|p| pc < p.insns.len() && decode(&p.insns, pc).is_ok_and(own))
    })
}

/// Whether Linux lets a tracepoint's program load what lies before its record: it compares the offset without its sign
/// (`tp_prog_is_valid_access`, kernel/trace/bpf_trace.c, 6.18). skep refuses it (`tests/verdicts/tracing.txt`).
fn before_the_record(what: &str, generated: &Generated) -> bool {
    what.starts_with("verdict: kernel accepts")
        && what.contains("invalid bpf_context access off=-")
        && generated.programs().any(|p| p.prog_type == ProgramType::TRACEPOINT)
}

/// Whether Linux lets the end of a frame pass as the place of an iterator, or of interrupts' flags, in its last slot:
/// `__get_spi` (kernel/bpf/verifier.c, 6.18) divides -1 by 8, which is 0. The function then gets memory that is no stack.
/// skep refuses it (`tests/verdicts/iterators.txt`, `interrupts.txt`).
fn behind_the_frame(what: &str) -> bool {
    what.starts_with("verdict: kernel accepts")
        && ["iter", "irq_flag"].iter().any(|w| what.contains(&format!("cannot pass in {w} at an offset=0)")))
}

/// Whether Linux takes a 32-bit comparison of an address with 0 for decided (`is_branch_taken` asks for no width): the
/// low half of an address may be 0, so skep follows both sides. With one such comparison 64 bits wide it accepts too.
fn low_half_of_an_address(what: &str, generated: &Generated, env: &Environment) -> bool {
    let accepts = |spec: &ProgramSpec| {
        let options = Options { most_insns: MOST_INSNS, ..Options::default() };
        verify(spec, env, &options).is_ok()
    };
    let wide = |spec: &ProgramSpec, pc: usize| {
        let narrow = decode(&spec.insns, pc).ok()?;
        let Op::JumpIf { width: Width::W32, op: op @ (JumpOp::Eq | JumpOp::Ne), dst, src, off } = narrow
        else {
            return None;
        };
        let mut wide = spec.clone();
        wide.insns[pc] = Op::JumpIf { width: Width::W64, op, dst, src, off }.encode().0;
        Some(wide)
    };
    let refused: Vec<_> = generated.programs().filter(|spec| !accepts(spec)).collect();
    what.starts_with("verdict: kernel accepts")
        && !refused.is_empty()
        && refused.iter().all(|spec| {
            (0..spec.insns.len()).filter_map(|pc| wide(spec, pc)).any(|changed| accepts(&changed))
        })
}

/// Whether a disagreement is none that anybody need look at.
fn meant(what: &str, generated: &Generated, env: &Environment) -> bool {
    deliberate(what)
        || behind_the_frame(what)
        || over_its_address(what, generated)
        || before_the_record(what, generated)
        || low_half_of_an_address(what, generated, env)
}

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
    let (closed, wanted) = (is_closed(generated), kind(what));
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
    Comparison { what: what.filter(|_| !dead_path), answers, dead_path, known_better: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    use skep_abi::{MapType, ProgramType};
    use skep_isa::text::assemble;
    use skep_spec::MapDef;

    #[test]
    fn the_end_of_a_frame_is_told_from_other_places() {
        let meant = |kind: &str, off: i32| {
            behind_the_frame(&format!(
                "verdict: kernel accepts, interpreter: rejected (insn 7: cannot pass in {kind} at an offset={off})"
            ))
        };
        assert!(meant("iter", 0) && meant("irq_flag", 0));
        assert!(!meant("iter", -12) && !meant("irq_flag", 8) && !meant("dynptr", 0));
        assert!(!behind_the_frame(
            "verdict: interpreter accepts, kernel: rejected (insn 7: cannot pass in iter at an offset=0)"
        ));
    }

    #[test]
    fn a_comparison_of_half_an_address_is_told_from_others() {
        let meant = |branch: &str| {
            let text = format!("r1 = map[idx:0][0]+0 ll; r0 = 0; {branch}; r0 = r9; exit");
            let insns = assemble(&text).expect("it is text");
            let mut spec = ProgramSpec::new(ProgramType::SOCKET_FILTER, insns);
            spec.maps = vec![MapDef::new(MapType::ARRAY, 4, 8, 1).into()];
            let generated =
                Generated { spec, tails: Vec::new(), insides: Vec::new(), ..program::generate(0) };
            let what = "verdict: kernel accepts, interpreter: rejected";
            low_half_of_an_address(what, &generated, &Environment::default())
        };
        assert!(meant("if w1 != 0 goto +1"));
        // Accepted as it is; refused whatever the width; refused for another reason.
        assert!(!meant("if r1 != 0 goto +1"));
        assert!(!meant("if w1 == 0 goto +1"));
        assert!(!meant("if w1 != 1 goto +1"));
    }
}
