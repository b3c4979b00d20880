//! What callers get: statistics, logs, explanations, digests.

mod common;

use common::{START, accept, program, reject, with_value};
use std::sync::Arc;

use skep_abi::{MapType, ProgramType};
use skep_spec::{Environment, MapDef, ProgramSpec, SourceLine};
use skep_verifier::{Code, Digest, Options, verify};

#[test]
fn the_log_ends_with_the_kernels_summary() {
    let spec = program(ProgramType::SOCKET_FILTER, "r0 = 0; exit");
    for log_level in [1, 2, 4] {
        let options = Options { log_level, ..Options::default() };
        let verified = verify(&spec, &Environment::default(), &options).expect("accepted");
        let last = "processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0";
        assert_eq!(verified.log().lines().last(), Some(last));
        assert_eq!(verified.log().contains("0: (b7) r0 = 0"), log_level == 2, "{}", verified.log());
    }
    assert_eq!(accept("r0 = 0; exit").log(), "");
}

#[test]
fn the_log_of_a_refusal_holds_the_failing_path() {
    let text = with_value("r0 = *(u64 *)(r7 + 41); exit");
    let spec = program(ProgramType::SOCKET_FILTER, &text);
    let options = Options { log_level: 1, ..Options::default() };
    let r = verify(&spec, &Environment::default(), &options).expect_err("out of bounds");
    assert_eq!(r.message(), "invalid access to map value, value_size=48 off=41 size=8");
    let log = r.log();
    assert!(log.contains("14: (79) r0 = *(u64 *)(r7 +41)"), "{log}");
    assert!(log.contains("\ninvalid access to map value, value_size=48 off=41 size=8\n"), "{log}");
    assert!(log.lines().last().is_some_and(|l| l.starts_with("processed ")), "{log}");
    assert!(log.contains("R7=map_value(map=values,ks=4,vs=48)"), "{log}");
}

#[test]
fn an_explanation_names_line_obligation_and_way_out() {
    let text = with_value("r7 += r8; r0 = *(u64 *)(r7 + 0); exit");
    let mut spec = program(ProgramType::SOCKET_FILTER, &text);
    let line =
        SourceLine { file: "a.c".into(), line: 7, column: 3, indent: 2, text: "return v->data[i];".into() };
    spec.source_lines = vec![(START as u32, line.clone())];
    let r = verify(&spec, &Environment::default(), &Options::default()).expect_err("unbounded");
    assert_eq!((r.code(), r.pc()), (Code::BadPointerArithmetic, START));
    assert_eq!(r.source_line(), Some(&line));
    let words = r.explain();
    for part in ["a.c:7:3", "return v->data[i];", "required:", "known:", "instead:", "R8=", "r7 += r8"] {
        assert!(
            words.contains(part) || words.contains(&part.replace('=', " =")),
            "{part} is missing:\n{words}"
        );
    }
    assert_eq!(r.path().len(), 1, "{:?}", r.path());
    assert!(r.state().iter().any(|k| k.name == "R8"));
}

#[test]
fn what_is_not_known_says_so() {
    let r = reject("r0 = 0; call kernel-function#7; exit", 1, Code::Unsupported);
    assert!(r.is_unsupported());
    assert_eq!(
        r.message(),
        "not supported yet: kernel function call (BTF id 7) without the kernel's types (--btf)"
    );
}

#[test]
fn subprograms_and_their_stacks_are_told() {
    let v = accept("*(u64 *)(r10 - 40) = 1; call f; exit; f: *(u32 *)(r10 - 4) = 1; r0 = 0; exit");
    let stacks: Vec<_> = v.subprogs().iter().map(|s| (s.start, s.end, s.stack_depth)).collect();
    assert_eq!(stacks, [(0, 3, 40), (3, 6, 8)]);
    assert!(v.insns().iter().all(|i| i.reached));
}

#[test]
fn digests_tell_environments_and_maps_apart() {
    let spec = program(ProgramType::SOCKET_FILTER, "r0 = 0; exit");
    let root = Environment::default();
    let user = Environment::unprivileged();
    let verified = verify(&spec, &root, &Options::default()).expect("accepted");
    assert_eq!(verified.digest(), Digest::of(&spec, &root));
    assert_ne!(verified.digest(), Digest::of(&spec, &user));
    let mut other = spec.clone();
    let mut map = (*other.maps[0]).clone();
    map.value_size += 8;
    other.maps[0] = map.into();
    assert_ne!(verified.digest(), Digest::of(&other, &root));
    let mut helper = root.clone();
    helper.add_helper(*root.helper(1).expect("Linux has it"));
    assert_ne!(verified.digest(), Digest::of(&spec, &helper));
    let mut more = helper.clone();
    more.add_helper(skep_abi::HelperProto {
        args: Default::default(),
        ..*root.helper(1).expect("as before")
    });
    assert_ne!(Digest::of(&spec, &more), Digest::of(&spec, &helper));
    let mut row = root.clone();
    row.add_program_type(*root.program_type(spec.prog_type).expect("Linux has it"));
    assert_ne!(verified.digest(), Digest::of(&spec, &row));
    let mut other = spec.clone();
    other.prog_type = ProgramType::XDP;
    assert_ne!(verified.digest(), Digest::of(&other, &root));
}

#[test]
fn states_are_recorded_when_asked_for() {
    let spec = program(ProgramType::SOCKET_FILTER, "r0 = 7; exit");
    let options = Options { record_states: true, ..Options::default() };
    let v = verify(&spec, &Environment::default(), &options).expect("accepted");
    let seen: Vec<_> = v.states_at(1).iter().map(|s| s.text.as_str()).collect();
    assert_eq!(seen, ["R0=7 R1=ctx() R10=fp0"]);
}

#[test]
fn a_million_instructions_are_enough() {
    let r = reject("r0 = 0; r1 = 0; r1 += 1; if r1 < 2000000 goto -2; exit", 2, Code::TooComplex);
    assert_eq!(r.message(), "BPF program is too large. Processed 1000001 insn");
}

#[test]
fn a_caller_may_have_less_patience() {
    let spec = program(ProgramType::SOCKET_FILTER, "r0 = 0; r1 = 0; r1 += 1; if r1 < 90 goto -2; exit");
    let within = |most_insns| {
        let options = Options { most_insns, ..Options::default() };
        verify(&spec, &Environment::default(), &options).map_err(|r| r.code()).map(|_| ())
    };
    assert_eq!(within(183), Ok(()));
    assert_eq!(within(182), Err(Code::TooComplex));
}

#[test]
fn a_loop_without_progress_is_told_from_a_long_one() {
    let r = reject("r0 = 0; r1 = 0; goto -1; exit", 3, Code::Unreachable);
    assert_eq!(r.message(), "unreachable insn 3");
    let r = common::check(
        ProgramType::SOCKET_FILTER,
        "r0 = *(u32 *)(r1 + 0); if r0 == 7 goto -1; r0 = 0; goto -1; exit",
    );
    assert!(r.is_err());
}

/// Only maps that an instruction names are looked at: an object's programs share its maps.
#[test]
fn maps_that_a_program_does_not_name_do_not_count() {
    let storage = || Arc::new(MapDef::new(MapType::CGROUP_STORAGE, 16, 8, 0).named("storage"));
    let unknown = || Arc::new(MapDef::new(MapType::INSN_ARRAY, 4, 8, 1).named("jumps"));
    let asleep = |text: &str, maps: Vec<Arc<MapDef>>| {
        let spec = ProgramSpec { maps, ..program(ProgramType::SYSCALL, text) };
        verify(&spec, &Environment::default(), &Options::default())
            .map(drop)
            .map_err(|r| r.message().to_owned())
    };
    let nothing = "r0 = 0; exit";
    assert_eq!(asleep(nothing, vec![storage(), storage(), unknown()]), Ok(()));
    let named = asleep("r1 = map[idx:0]; r0 = 0; exit", vec![storage()]).expect_err("it may sleep");
    assert!(named.contains("Sleepable programs"), "{named}");
}
