//! A path is followed, and nothing else: whether a run can take it.

mod common;

use common::program;
use skep_abi::ProgramType;
use skep_spec::Environment;
use skep_verifier::{Code, Followed, follow};

fn followed(text: &str, path: &[usize]) -> Result<Followed, Code> {
    let spec = program(ProgramType::SOCKET_FILTER, text);
    follow(&spec, &Environment::default(), path).map_err(|r| r.code())
}

#[test]
fn a_branch_is_dead_or_open() {
    let text = "r0 = *(u32 *)(r1 + 0); r0 &= 3; if r0 > 5 goto +1; exit; r0 = 1; exit";
    assert_eq!(followed(text, &[0, 1, 2, 3]), Ok(Followed::Open));
    assert_eq!(followed(text, &[0, 1, 2, 4]), Ok(Followed::Dead { at: 2 }));
    assert_eq!(followed(text, &[0, 1, 2, 4, 5]), Ok(Followed::Dead { at: 2 }));
    let text = text.replace("> 5", "> 2");
    assert_eq!(followed(&text, &[0, 1, 2, 4, 5]), Ok(Followed::Open));
}

#[test]
fn what_was_learned_at_one_branch_counts_at_the_next() {
    let text = "r0 = *(u32 *)(r1 + 0); if r0 > 5 goto +2; if r0 == 6 goto +1; exit; r0 = 1; exit";
    assert_eq!(followed(text, &[0, 1, 2, 3]), Ok(Followed::Open));
    assert_eq!(followed(text, &[0, 1, 2, 4]), Ok(Followed::Dead { at: 2 }));
    assert_eq!(followed(text, &[0, 1, 4]), Ok(Followed::Open));
}

#[test]
fn rounds_of_a_loop_are_counted() {
    let text = "r0 = 0; r0 += 1; if r0 < 3 goto -2; exit";
    assert_eq!(followed(text, &[0, 1, 2, 1, 2, 1, 2, 3]), Ok(Followed::Open));
    assert_eq!(followed(text, &[0, 1, 2, 1, 2, 3]), Ok(Followed::Dead { at: 4 }));
    assert_eq!(followed(text, &[0, 1, 2, 1, 2, 1, 2, 1]), Ok(Followed::Dead { at: 6 }));
}

#[test]
fn a_loop_that_a_budget_ends_forgets_nothing() {
    let text = "r0 = 0; may_goto +2; r0 += 1; goto -3; if r0 == 3 goto +0; if r0 == 2 goto +1; exit; exit";
    assert_eq!(followed(text, &[0, 1, 2, 3, 1, 2, 3, 1, 4, 5, 7]), Ok(Followed::Open));
    assert_eq!(followed(text, &[0, 1, 2, 3, 1, 2, 3, 1, 4, 5, 6]), Ok(Followed::Dead { at: 9 }));
    assert_eq!(followed(text, &[0, 1, 2, 3, 1, 4, 5, 7]), Ok(Followed::Dead { at: 6 }));
}

#[test]
fn both_sides_may_lead_to_the_same_place() {
    let text = "r0 = *(u32 *)(r1 + 0); if r0 > 5 goto +0; if r0 == 9 goto +1; exit; r0 = 1; exit";
    assert_eq!(followed(text, &[0, 1, 2, 4]), Ok(Followed::Open));
    assert_eq!(followed(text, &[0, 1, 2, 3]), Ok(Followed::Open));
}

#[test]
fn functions_are_entered_and_left() {
    let text = "r1 = 2; call f; if r0 == 3 goto +1; exit; exit; f: r0 = r1; r0 += 1; exit";
    assert_eq!(followed(text, &[0, 1, 5, 6, 7, 2, 4]), Ok(Followed::Open));
    assert_eq!(followed(text, &[0, 1, 5, 6, 7, 2, 3]), Ok(Followed::Dead { at: 5 }));
    assert_eq!(followed(text, &[0, 1, 2]), Ok(Followed::Astray { at: 1 }));
}

#[test]
fn what_is_no_path_is_told_from_a_dead_one() {
    let text = "r0 = *(u32 *)(r1 + 0); if r0 > 5 goto +1; exit; r0 = 1; exit";
    assert_eq!(followed(text, &[]), Ok(Followed::Astray { at: 0 }));
    assert_eq!(followed(text, &[1, 2]), Ok(Followed::Astray { at: 0 }));
    assert_eq!(followed(text, &[0, 2]), Ok(Followed::Astray { at: 0 }));
    assert_eq!(followed(text, &[0, 1, 4]), Ok(Followed::Astray { at: 1 }));
    assert_eq!(followed(text, &[0, 1, 2, 3]), Ok(Followed::Astray { at: 2 }));
    assert_eq!(followed(text, &[0, 1, 77, 3]), Ok(Followed::Astray { at: 1 }));
}

#[test]
fn a_refusal_on_the_way_is_one() {
    let text = "r0 = *(u64 *)(r1 + 0); if r2 > 5 goto +1; exit; r0 = 1; exit";
    assert!(followed(text, &[0, 1, 2]).is_err());
    assert_eq!(followed("r0 = r2; exit", &[0, 1]), Err(Code::Uninitialized));
    assert_eq!(followed("r0 = r2; exit", &[0]), Ok(Followed::Open));
}
