//! The interpreter's check of the verifier, on generated programs. File tests have it on always.

use skep_abi::ProgramType;
use skep_isa::text::assemble;
use skep_spec::{Environment, ProgramSpec};
use skep_testkit::generate::program::generate;
use skep_testkit::oracle::embedding::Embedding;
use skep_testkit::oracle::interpreter::{Embedded, LEFT};
use skep_testkit::oracle::{Privilege, Question, Verdict};
use skep_testkit::sketch;
use skep_verifier::{Options, verify};
use skep_vm::{NullHost, Program, Run, Stack};

/// Programs that take more to verify are left out: their states would be too many.
const MOST_INSNS: u32 = 20_000;

#[test]
fn runs_stay_inside_what_was_known() {
    let (mut runs, mut steps, mut wrong) = (0, 0, Vec::new());
    for seed in sketch::seeds(1500) {
        let generated = generate(seed);
        if generated.altered || generated.judged {
            continue;
        }
        let question = Question {
            brief: true,
            insides: &generated.insides,
            tails: &generated.tails,
            most_insns: Some(MOST_INSNS),
            ..Question::new(&generated.spec, Privilege::Privileged, &generated.inputs)
        };
        match Embedded::steps(&question) {
            Ok((_, n)) => (runs, steps) = (runs + 1, steps + n),
            Err(Verdict::Rejected { log }) if log.starts_with(LEFT) => {
                wrong.push(format!("seed {seed}: {log}"))
            }
            Err(_) => {}
        }
    }
    println!("{runs} programs, {steps} instructions");
    assert_eq!(wrong, [""; 0]);
    assert!(runs > 500 && steps > 50 * runs, "{runs} programs, {steps} instructions");
}

/// The check finds a proof that is of another program.
#[test]
fn a_number_that_was_not_known_is_found() {
    let spec =
        |text: &str| ProgramSpec::new(ProgramType::SOCKET_FILTER, assemble(text).expect("well formed"));
    let env = Environment::default();
    let proof = |text: &str| {
        let options = Options { record_states: true, ..Options::default() };
        verify(&spec(text), &env, &options).expect("legal")
    };
    let check = |run: &str, known: &str| {
        let program = Program::new(&proof(run), &env, Vec::new()).expect("it fits");
        let mut embedding = Embedding::default();
        embedding.add(&program, proof(known));
        let (mut stack, mut ctx) = (Stack::new(), [0; 256]);
        let mut run = Run::new(&mut stack, &NullHost).with_ctx(&mut ctx).with_observer(&embedding);
        program.run(&mut run).expect("it ends");
        (embedding.steps(), embedding.wrong().is_some())
    };
    assert_eq!(check("r0 = 2; exit", "r0 = 2; exit"), (2, false));
    assert_eq!(check("r0 = 2; exit", "r0 = 1; exit"), (2, true));
    let masked = "call 7; r0 &= 7; exit";
    assert_eq!(check("call 7; r0 = 7; exit", masked), (3, false));
    assert_eq!(check("call 7; r0 = 8; exit", masked), (3, true));
}
