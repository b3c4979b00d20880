//! Programs that Linux refuses on a path that no run takes.
//!
//! Linux says which instructions lead to the one that it refuses. The verifier follows just these, with no help from
//! anything else that it has seen; if it comes to a branch that is known to go the other way, what Linux refuses never
//! happens. That rests on what is known about numbers alone, whose rules are proved (`smt_domain`) and tested
//! (`embedding.rs`): not on pruning, and not on what an instruction needs. So a check that is missing, or a state that
//! is thought superfluous and is not, stays a disagreement.

use skep_spec::{Environment, ProgramSpec};
use skep_verifier::{Followed, follow, safe_at_end};

use super::program::Generated;
use crate::oracle::interpreter::Interpreter;
use crate::oracle::kernel::Kernel;
use crate::oracle::{Oracle, Privilege, Question, Verdict};

/// Whether each of the programs that Linux refuses is refused on a path that no run takes, and the interpreter, which
/// checks every access, runs them all without a fault.
pub fn only_dead_paths(generated: &Generated, env: &Environment) -> bool {
    let refused = |spec: &ProgramSpec| match Kernel.verdict(spec, Privilege::Privileged) {
        Verdict::Rejected { log } => Some(log),
        Verdict::Accepted | Verdict::Unsupported(_) | Verdict::Skipped(_) => None,
    };
    let mut dead = 0;
    for spec in generated.programs() {
        match refused(spec) {
            None => {}
            Some(log) if is_dead(spec, env, &path(&log)) => dead += 1,
            Some(_) => return false,
        }
    }
    dead > 0 && (generated.judged || runs(generated))
}

/// Whether Linux refuses the program for a number of which more is known here: it says so of a register, and on its very
/// path, followed with no help from anything else, the register is known better and the instruction safe.
pub fn number_known_better(generated: &Generated, env: &Environment) -> bool {
    let Verdict::Rejected { log } = Kernel.verdict(&generated.spec, Privilege::Privileged) else {
        return false;
    };
    is_known_better(&generated.spec, env, &log)
}

/// What Linux says of numbers that it does not know well enough.
const BOUNDS: &[&str] = &[
    " min value is negative",
    " min value is outside of the allowed memory range",
    " max value is outside of the allowed memory range",
    " unbounded memory access",
    " unbounded min value is not allowed",
    " invalid zero-sized read",
    "invalid unbounded variable-offset",
    "invalid variable-offset",
];

fn is_known_better(spec: &ProgramSpec, env: &Environment, log: &str) -> bool {
    let words = log.lines().rev().find(|l| BOUNDS.iter().any(|w| l.contains(w)));
    let register = words.and_then(|l| {
        let at = l.find('R').filter(|at| l[at + 1..].starts_with(|c: char| c.is_ascii_digit()))?;
        Some(&l[at..at + 2])
    });
    let (Some(register), Some(known)) = (register, safe_at_end(spec, env, &path(log))) else { return false };
    let ours = known.iter().find(|k| k.name == register).map(|k| without_id(&k.value));
    let name = format!(" {register}=");
    let theirs = log.rfind(&name).map(|at| &log[at + name.len()..]);
    let theirs = theirs.map(|text| without_id(first_value(text)));
    theirs.is_some() && ours.is_some() && ours != theirs
}

/// The value that a text begins with: `(0x0; 0xf)` has a blank inside its brackets.
fn first_value(text: &str) -> &str {
    let mut depth = 0;
    let end = text.find(|c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c.is_whitespace() && depth == 0
    });
    &text[..end.unwrap_or(text.len())]
}

/// A register's words without the mark for precision and the number that tells it apart.
fn without_id(value: &str) -> String {
    let value = value.trim_start_matches('P');
    match value.split_once("(id=") {
        None => value.to_owned(),
        Some((kind, rest)) => {
            let end = rest.find([',', ')']).unwrap_or(rest.len());
            format!("{kind}({}", rest[end..].trim_start_matches(','))
        }
    }
}

/// The instructions that lead to a refusal, with the refused one: lines of the log such as `12: (95) exit`.
fn path(log: &str) -> Vec<usize> {
    let pc = |line: &str| {
        let (pc, rest) = line.split_once(": ")?;
        rest.starts_with('(').then(|| pc.parse().ok()).flatten()
    };
    log.lines().filter_map(pc).collect()
}

fn is_dead(spec: &ProgramSpec, env: &Environment, path: &[usize]) -> bool {
    matches!(follow(spec, env, path), Ok(Followed::Dead { .. }))
}

fn runs(generated: &Generated) -> bool {
    let question = Question {
        insides: &generated.insides,
        tails: &generated.tails,
        ..Question::new(&generated.spec, Privilege::Privileged, &generated.inputs)
    };
    Interpreter.answer(&question).is_ok_and(|outcome| outcome.runs.iter().all(|run| run.fault.is_none()))
}

#[cfg(test)]
mod tests {
    use super::*;

    use skep_abi::ProgramType;
    use skep_isa::text::assemble;

    use crate::functions;
    use crate::generate::program::generate;

    fn spec(text: &str) -> ProgramSpec {
        ProgramSpec::new(ProgramType::SOCKET_FILTER, assemble(text).expect("it is text"))
    }

    /// Whether a program is refused by Linux on dead paths only; `None` where there is no Linux to ask.
    fn asked(spec: ProgramSpec) -> Option<bool> {
        let generated =
            Generated { spec, tails: Vec::new(), insides: Vec::new(), inputs: Vec::new(), ..generate(0) };
        Kernel.available().map_err(|why| println!("skipped: dead paths: {why}")).ok()?;
        Some(only_dead_paths(&generated, &Environment::default()))
    }

    #[test]
    fn a_log_says_the_path() {
        let log = "0: R1=ctx() R10=fp0\n0: (b7) r0 = 1   ; R0=1\n1: (55) if r0 != 0x0 goto pc+1\n\n\
                   from 1 to 3: R0=1 R10=fp0\n3: R0=1 R10=fp0\n3: (bf) r0 = r2\nR2 !read_ok\n\
                   processed 3 insns (limit 1000000)";
        assert_eq!(path(log), [0, 1, 3]);
    }

    #[test]
    fn what_never_happens_is_told_from_what_may() {
        // Bit 0 is set: the number is not 0, whatever is and-ed with itself.
        let text = |bits: u32| {
            format!("r2 = *(u32 *)(r1 + 0); r2 |= {bits}; r0 = 0; if r2 & r2 goto +1; r0 = r9; exit")
        };
        assert_ne!(asked(spec(&text(1))), Some(false));
        assert_ne!(asked(spec(&text(0))), Some(true));
        // Both accept: there is nothing to be explained.
        assert_ne!(asked(spec("r0 = 0; exit")), Some(true));
        // A check that skep might lack is no dead path.
        assert_ne!(
            asked(spec(
                "r1 = r10; *(u64 *)(r10 - 8) = 1; r1 = atomic_fetch_add((u64 *)(r1 - 8), r1); r0 = 0; exit"
            )),
            Some(true)
        );
    }

    #[test]
    fn numbers_that_are_known_better_are_told_from_checks_that_are_missing() {
        let spec = spec("r0 = *(u32 *)(r1 + 0); r0 &= 7; r2 = r10; r2 += r0; r0 = *(u8 *)(r2 - 8); exit");
        let log = |value: &str| {
            format!(
                "0: (61) r0 = *(u32 *)(r1 +0)\n1: (57) r0 &= 7\n2: (bf) r2 = r10\n3: (0f) r2 += r0 ; R2={value}\n\
                 4: (71) r0 = *(u8 *)(r2 -8)\ninvalid variable-offset read from stack R2 var_off=(0x0; 0xf)"
            )
        };
        let env = Environment::default();
        let same = "fp(id=3,smin=smin32=0,smax=umax=smax32=umax32=7,var_off=(0x0; 0x7))";
        let ours = safe_at_end(&spec, &env, &[0, 1, 2, 3, 4]).expect("it is safe");
        let ours = ours.iter().find(|k| k.name == "R2").expect("it is set");
        assert_eq!(without_id(&ours.value), without_id(same));
        assert!(!is_known_better(&spec, &env, &log(same)));
        let vaguer = "fp(smin=smin32=0,smax=umax=smax32=umax32=15,var_off=(0x0; 0xf)) R10=fp0";
        assert!(is_known_better(&spec, &env, &log(vaguer)));
        assert!(!is_known_better(
            &spec,
            &env,
            &log(vaguer).replace("invalid variable-offset", "another thing")
        ));
    }

    #[test]
    fn callbacks_are_part_of_a_path() {
        let mut spec = spec(
            "r1 = 2; r2 = subprog[+7] ll; r3 = 0; r4 = 0; call 181; if r0 == 9 goto +0; r0 = 0; exit
             r0 = 0; if r0 == 1 goto +1; exit; exit",
        );
        functions::describe(&mut spec);
        let is_dead = |spec: &ProgramSpec, path: &[usize]| is_dead(spec, &Environment::default(), path);
        let entry = [0, 1, 3, 4, 5];
        let (round, other) = ([9, 10, 11, 5], [9, 10, 12]);
        assert!(!is_dead(&spec, &[&entry[..], &round, &round, &[6, 7, 8]].concat()));
        assert!(is_dead(&spec, &[&entry[..], &round, &other].concat()));
    }
}
