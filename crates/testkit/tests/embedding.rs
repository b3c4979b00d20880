//! The interpreter's check of the verifier, on generated programs. File tests have it on always.

use std::cell::RefCell;
use std::sync::Arc;

use skep_abi::{MapType, ProgramType};
use skep_isa::text::assemble;
use skep_spec::{Environment, MapDef, ProgramSpec};
use skep_testkit::generate::program::generate;
use skep_testkit::oracle::embedding::Embedding;
use skep_testkit::oracle::facts::{Facts, Seen};
use skep_testkit::oracle::interpreter::{Embedded, LEFT};
use skep_testkit::oracle::{Input, Privilege, Question, Verdict};
use skep_testkit::sketch;
use skep_verifier::{Options, Verified, verify};
use skep_vm::{NullHost, Observer, Program, Run, Stack, Step};

/// Programs that take more to verify are left out: their states would be too many.
const MOST_INSNS: u32 = 20_000;

#[test]
fn runs_stay_inside_what_was_known() {
    let (mut runs, mut steps, mut wrong, mut seen) = (0, 0, Vec::new(), Seen::default());
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
            Ok((_, n, facts)) => {
                (runs, steps) = (runs + 1, steps + n);
                seen.add(facts);
            }
            Err(Verdict::Rejected { log }) if log.starts_with(LEFT) => {
                wrong.push(format!("seed {seed}: {log}"))
            }
            Err(_) => {}
        }
    }
    println!("{runs} programs, {steps} instructions, {seen:?}");
    let Seen { one_way, through_pointers, calls, changing, maps, .. } = seen;
    assert!([one_way, through_pointers, calls, changing, maps].iter().all(|n| *n > 20), "{seen:?}");
    assert_eq!(wrong, [""; 0]);
    assert!(runs > 500 && steps > 50 * runs, "{runs} programs, {steps} instructions");
}

/// A pointer, a packet's end, a slot of the stack that is not what was known: each is found.
#[test]
fn a_place_that_was_not_known_is_found() {
    let spec = |text: &str| {
        let maps = vec![Arc::new(MapDef::new(MapType::ARRAY, 4, 16, 2).named("values"))];
        ProgramSpec { maps, ..ProgramSpec::new(ProgramType::XDP, assemble(text).expect("well formed")) }
    };
    let env = Environment::default();
    let proof = |text: &str| {
        let options = Options { record_states: true, ..Options::default() };
        verify(&spec(text), &env, &options).unwrap_or_else(|e| panic!("{text}: {}", e.explain()))
    };
    let found = |run: &str, known: &str| {
        let question = spec(run);
        let proofs = [proof(run), proof(known)];
        let inputs = [Input { data: vec![1; 64], ..Input::default() }];
        let [own, other] = proofs
            .map(|proof| Embedded::against(&Question::new(&question, Privilege::Privileged, &inputs), proof));
        assert_eq!(own.expect("it runs"), None, "{run}");
        other.expect("it runs").is_some()
    };
    let value = "*(u32 *)(r10 - 4) = 0; r1 = map[idx:0]; r2 = r10; r2 += -4; call 1; if r0 != 0 goto +2; r0 = 2; exit; ";
    let packet = "r2 = *(u32 *)(r1 + 4); r1 = *(u32 *)(r1 + 0); r3 = r1; ";
    for (run, known) in [
        // Elsewhere on the stack.
        (
            "r1 = r10; r1 += -16; r0 = 2; r2 = r1; r1 = r2; exit",
            "r1 = r10; r1 += -8; r0 = 2; r2 = r1; r1 = r2; exit",
        ),
        // What was saved is another number, or zero is not.
        ("*(u64 *)(r10 - 8) = 5; r0 = 2; exit", "*(u64 *)(r10 - 8) = 6; r0 = 2; exit"),
        ("*(u8 *)(r10 - 3) = 5; r0 = 2; exit", "*(u8 *)(r10 - 3) = 0; r0 = 2; exit"),
        // A saved address.
        ("r2 = r10; *(u64 *)(r10 - 8) = r2; r0 = 2; exit", "r2 = r1; *(u64 *)(r10 - 8) = r2; r0 = 2; exit"),
    ] {
        assert!(found(run, known), "{run}\n{known}");
    }
    // In a value, and in the packet.
    let tail = "r6 = r0; r0 = 2; r0 = *(u8 *)(r6 + 0); r0 = 2; exit";
    assert!(found(&format!("{value}r0 += 4; {tail}"), &format!("{value}r0 += 8; {tail}")));
    let tail = "if r3 > r2 goto +1; r0 = *(u8 *)(r1 + 0); r0 = 2; exit";
    assert!(found(
        &format!("{packet}r3 += 14; r1 += 1; {tail}"),
        &format!("{packet}r3 += 14; r1 += 2; {tail}")
    ));
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
        embedding.add(&program, proof(known), proof(known));
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

/// Holds a run against the facts of a proof alone.
struct Against {
    proof: Verified,
    facts: RefCell<Facts>,
    wrong: RefCell<String>,
}

impl Observer for Against {
    fn step(&self, step: &Step<'_>) {
        let mut wrong = self.wrong.borrow_mut();
        if wrong.is_empty() {
            *wrong = self.facts.borrow_mut().step(1, &self.proof, step).err().unwrap_or_default();
        }
    }
}

/// The check of facts finds those that are of another program.
#[test]
fn a_fact_that_does_not_hold_is_found() {
    let spec =
        |text: &str| ProgramSpec::new(ProgramType::SOCKET_FILTER, assemble(text).expect("well formed"));
    let env = Environment::default();
    let check = |run: &str, known: &str| {
        let proof = |text| verify(&spec(text), &env, &Options::default()).expect("legal");
        let program = Program::new(&proof(run), &env, Vec::new()).expect("it fits");
        let against = Against { proof: proof(known), facts: RefCell::default(), wrong: RefCell::default() };
        let (mut stack, mut ctx) = (Stack::new(), [0; 256]);
        let mut run = Run::new(&mut stack, &NullHost).with_ctx(&mut ctx).with_observer(&against);
        program.run(&mut run).expect("it ends");
        against.wrong.into_inner()
    };
    let ok = |text: &str| assert_eq!(check(text, text), "");
    let finds = |run: &str, known: &str, word: &str| {
        ok(run);
        let found = check(run, known);
        assert!(found.contains(word), "{run}, with the facts of {known}: {found:?}");
    };
    finds(
        "r0 = 2; if r0 == 1 goto +1; r0 = 3; exit",
        "r0 = 1; if r0 == 1 goto +1; r0 = 3; exit",
        "another way",
    );
    // Through a pointer, to the frame itself and to a caller's.
    let own = |off: i32| format!("r1 = r10; r1 += {off}; *(u64 *)(r1 + 0) = 1; r0 = 0; exit");
    finds(&own(-8), &own(-16), "touches");
    let given = |off: i32| {
        format!(
            "*(u64 *)(r10 - 8) = 1; *(u64 *)(r10 - 16) = 1; r1 = r10; r1 += {off}; call f; r0 = 0; exit
                 f: r2 = 7; *(u64 *)(r1 + 0) = r2; r0 = 0; exit"
        )
    };
    finds(&given(-8), &given(-16), "touches");
    // By the call of a helper: `bpf_get_current_comm`.
    let called = |off: i32| {
        format!(
            "*(u64 *)(r10 - 8) = 1; *(u64 *)(r10 - 16) = 1; *(u64 *)(r10 - 24) = 1
                 r1 = r10; r1 += {off}; r2 = 8; call 16; r0 = 0; exit"
        )
    };
    finds(&called(-8), &called(-16), "changed");
    finds(
        "*(u64 *)(r10 - 8) = 1; r0 = *(u64 *)(r10 - 8); r0 = *(u64 *)(r10 - 16); exit",
        "*(u64 *)(r10 - 8) = 1; r0 = *(u64 *)(r10 - 8); r0 = *(u64 *)(r10 - 8); exit",
        "unwritten",
    );
}
