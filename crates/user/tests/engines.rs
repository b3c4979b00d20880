//! Which engine runs a program, and when.

use std::sync::Arc;

use skep_abi::{MapType, ProgramType};
use skep_isa::text::assemble;
use skep_isa::{Insn, Reg};
use skep_spec::{Backend, BackendProgram, Errno, LoadOptions, MapDef, ProgramSpec, RunInput};
use skep_user::{Engine, UserBackend, UserOptions, UserProgram};

/// Whether there is a compiler.
const JIT: bool = cfg!(all(feature = "jit", any(target_arch = "x86_64", target_arch = "aarch64")));

fn load(engine: Option<Engine>, beside: bool, text: &str) -> Result<Arc<UserProgram>, skep_spec::LoadError> {
    let backend =
        UserBackend::with_options(UserOptions { cpus: Some(2), engine, beside, ..UserOptions::default() });
    let spec = ProgramSpec::new(ProgramType::SOCKET_FILTER, assemble(text).expect("it is well formed"));
    backend.load_program(&spec, &[], LoadOptions::default())
}

fn run(program: &UserProgram) -> u32 {
    let input = RunInput { data: &[1; 64], ..RunInput::default() };
    program.test_run(input).expect("it runs").retval
}

/// `r0` becomes the sum of the numbers below 1000, in a loop.
const SUM: &str = "r0 = 0; r1 = 0\nagain: r0 += r1; r1 += 1; if r1 < 1000 goto again\nexit";

#[test]
fn an_engine_that_is_asked_for_runs_from_the_first_run_on() {
    let program = load(Some(Engine::Interpreter), true, SUM).expect("it is accepted");
    program.wait_native();
    let info = program.info();
    assert!(info.native.is_none() && program.program().native().is_none());
    assert!(info.interpreted.expect("a reason").contains("asked for"));
    assert_eq!(run(&program), 499_500);

    match load(Some(Engine::Jit), true, SUM) {
        Ok(program) => {
            assert!(JIT && program.program().native().is_some());
            let info = program.info();
            assert!(info.interpreted.is_none() && info.native.expect("compiled").bytes > 0);
            assert_eq!(run(&program), 499_500);
        }
        Err(e) => assert!(!JIT && e.error.errno == Errno::ENOTSUPP, "{}", e.error),
    }
}

#[test]
fn native_code_comes_beside_the_first_runs() {
    let programs: Vec<_> = (0..20).map(|_| load(None, true, SUM).expect("it is accepted")).collect();
    for program in &programs {
        assert_eq!(run(program), 499_500);
        let info = program.info();
        assert_eq!(info.native.is_none(), info.interpreted.is_some());
    }
    for program in &programs {
        program.wait_native();
        let info = program.info();
        assert_eq!(info.native.is_some(), JIT);
        assert_eq!(program.program().native().is_some(), JIT);
        assert_eq!(info.interpreted.is_none(), JIT);
        assert_eq!(run(program), 499_500);
    }
}

#[test]
fn unless_it_is_wanted_beside_native_code_is_there_at_once() {
    let program = load(None, false, SUM).expect("it is accepted");
    assert_eq!((program.info().native.is_some(), program.program().native().is_some()), (JIT, JIT));
}

/// The thread that compiles holds the program by itself, and lets go of it before whoever drops it goes on.
#[test]
fn a_program_may_go_while_it_is_compiled() {
    let mut text = String::from("r0 = 0\n");
    for i in 0..3000 {
        text.push_str(&format!("r0 += {i}; r0 ^= {}\n", i * 3));
    }
    text.push_str("exit");
    let want = {
        let program = load(Some(Engine::Interpreter), false, &text).expect("it is accepted");
        run(&program)
    };
    for _ in 0..5 {
        let program = load(None, true, &text).expect("it is accepted");
        assert_eq!(run(&program), want);
        let held = Arc::downgrade(program.program());
        drop(program);
        assert!(held.upgrade().is_none());
    }
}

/// Runs of several threads meet the switch anywhere.
#[test]
fn runs_of_several_threads_agree_while_code_comes() {
    let backend =
        UserBackend::with_options(UserOptions { cpus: Some(4), beside: true, ..UserOptions::default() });
    let def = MapDef::new(MapType::ARRAY, 4, 8, 1).named("sum");
    let map = backend.create_map(&def).expect("legal");
    let part = |text: &str| assemble(text).expect("it is well formed");
    let mut insns = part("*(u32 *)(r10 - 4) = 0; r2 = r10; r2 += -4");
    // r1 = the first map; call bpf_map_lookup_elem
    insns.extend(
        [(0x18, 1, 5, 0), (0, 0, 0, 0), (0x85, 0, 0, 1)]
            .map(|(code, dst, src, imm)| Insn::new(code, Reg(dst), Reg(src), 0, imm)),
    );
    insns.extend(part("if r0 == 0 goto out; r1 = 1; lock *(u64 *)(r0 + 0) += r1; out: r0 = 7; exit"));
    let spec =
        ProgramSpec { maps: vec![Arc::new(def)], ..ProgramSpec::new(ProgramType::SOCKET_FILTER, insns) };
    let program = backend.load_program(&spec, &[Arc::clone(&map)], LoadOptions::default()).expect("accepted");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..2000).for_each(|_| assert_eq!(run(&program), 7)));
        }
    });
    let sum = map.lookup(&[0; 4], 0).expect("an array has every key");
    assert_eq!(sum, 8000u64.to_ne_bytes());
}
