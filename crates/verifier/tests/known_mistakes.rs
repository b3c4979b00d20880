//! What other verifiers got wrong. Each mistake has a program that falls to it and its harmless twin.

mod common;

use common::{START, accept, accept_as, reject, reject_as, with_value};
use skep_abi::ProgramType;
use skep_verifier::Code;

#[test]
fn a_32_bit_comparison_says_nothing_about_the_upper_half() {
    let index =
        |test: &str| with_value(&format!("r0 = 0; {test} exit\n r7 += r8; r0 = *(u8 *)(r7 + 0); exit"));
    accept(&index("if r8 < 40 goto +1;"));
    reject(&index("if w8 < 40 goto +1;"), START + 3, Code::BadPointerArithmetic);
}

#[test]
fn a_32_bit_comparison_counts_after_the_upper_half_is_cleared() {
    accept(&with_value("w8 = w8; r0 = 0; if w8 < 40 goto +1; exit; r7 += r8; r0 = *(u8 *)(r7 + 0); exit"));
}

#[test]
fn a_dead_32_bit_branch_is_dead_and_its_twin_alive() {
    let program =
        |value: &str| format!("r1 = {value} ll; r0 = 0; if w1 == 0 goto +1; r0 = *(u64 *)(r0 + 0); exit");
    accept(&program("0x100000000"));
    reject(&program("0x100000001"), 4, Code::NotAPointer);
}

#[test]
fn context_pointers_stay_context_pointers_through_arithmetic() {
    accept("r0 = *(u32 *)(r1 + 4); exit");
    reject("r1 += 4; r0 = *(u32 *)(r1 + 0); exit", 1, Code::BadContextAccess);
    reject("r1 += 4; r1 += -8; r0 = *(u32 *)(r1 + 8); exit", 2, Code::BadContextAccess);
    reject(
        "r2 = *(u32 *)(r1 + 0); r2 &= 7; r1 += r2; r1 -= r2; r0 = *(u32 *)(r1 + 0); exit",
        4,
        Code::BadContextAccess,
    );
}

#[test]
fn a_partly_overwritten_spill_is_no_pointer_any_more() {
    let program = |over: &str| {
        with_value(&format!(
            "*(u64 *)(r10 - 16) = r7; {over} r1 = *(u64 *)(r10 - 16); r0 = *(u64 *)(r1 + 0); exit"
        ))
    };
    accept(&program("*(u64 *)(r10 - 24) = 0;"));
    reject(&program("*(u8 *)(r10 - 12) = 0;"), START + 3, Code::NotAPointer);
}

#[test]
fn a_partly_overwritten_number_is_unknown() {
    let program = |over: &str| {
        with_value(&format!(
            "*(u64 *)(r10 - 16) = 8; {over} r1 = *(u64 *)(r10 - 16); r7 += r1; r0 = *(u64 *)(r7 + 0); exit"
        ))
    };
    accept(&program("*(u8 *)(r10 - 17) = r8;"));
    reject(&program("*(u8 *)(r10 - 9) = r8;"), START + 3, Code::BadPointerArithmetic);
}

#[test]
fn a_variable_store_may_have_hit_the_spill() {
    let program = |off: i32| {
        with_value(&format!(
            "*(u64 *)(r10 - 16) = r7; r8 &= 7; r1 = r10; r1 += r8; *(u8 *)(r1 {off}) = 0
             r1 = *(u64 *)(r10 - 16); r0 = *(u64 *)(r1 + 0); exit"
        ))
    };
    accept(&program(-32));
    reject(&program(-20), START + 6, Code::NotAPointer);
}

#[test]
fn a_contradiction_ends_the_path_and_nothing_else() {
    // r8 < 3 and r8 > 5 cannot both hold; the read behind it never runs.
    accept(&with_value("r0 = 0; if r8 >= 3 goto +2; if r8 <= 5 goto +1; r0 = *(u64 *)(r0 + 0); exit"));
    // The other side of the second test is alive, and reads out of bounds.
    reject(
        &with_value("r0 = 0; if r8 >= 3 goto +3; if r8 <= 5 goto +1; exit; r0 = *(u64 *)(r7 + 48); exit"),
        START + 4,
        Code::OutOfBounds,
    );
}

#[test]
fn loops_in_a_callee_are_walked() {
    let program = |limit: i32| {
        with_value(&format!(
            "r1 = r7; call sum; exit
             sum: r2 = 0; r0 = 0
             again: r3 = *(u8 *)(r1 + 0); r0 += r3; r1 += 1; r2 += 1; if r2 < {limit} goto again; exit"
        ))
    };
    accept(&program(48));
    reject(&program(49), START + 5, Code::OutOfBounds);
}

#[test]
fn a_helper_that_writes_memory_makes_it_unknown() {
    let program = |at: i32| {
        with_value(&format!(
            "*(u64 *)(r10 - 16) = 8; r1 = r6; r2 = 0; r3 = r10; r3 += {at}; r4 = 8; call 26
             r1 = *(u64 *)(r10 - 16); r7 += r1; r0 = *(u64 *)(r7 + 0); exit"
        ))
    };
    accept(&program(-24));
    reject(&program(-16), START + 8, Code::BadPointerArithmetic);
}

#[test]
fn packet_pointers_are_void_after_the_packet_moved() {
    let program = |call: &str| {
        format!(
            "r6 = r1; r7 = *(u32 *)(r6 + 0); r8 = *(u32 *)(r6 + 4); r1 = r7; r1 += 8; r0 = 1
             if r1 > r8 goto +4; r1 = r6; r2 = 0; {call}; r0 = *(u8 *)(r7 + 0); exit"
        )
    };
    accept_as(ProgramType::XDP, &program("r0 = 0"));
    reject_as(ProgramType::XDP, &program("call 44"), 10, Code::NotAPointer);
}

#[test]
fn the_packets_start_cannot_be_overwritten_and_trusted() {
    reject_as(ProgramType::XDP, "r2 = 0; *(u32 *)(r1 + 0) = r2; r0 = 1; exit", 1, Code::BadContextAccess);
}

#[test]
fn a_range_ends_where_the_check_was_made() {
    let program = |off: i32| {
        format!(
            "r7 = *(u32 *)(r1 + 0); r8 = *(u32 *)(r1 + 4); r2 = r7; r2 += 14; r0 = 1
             if r2 > r8 goto +1; r0 = *(u8 *)(r7 + {off}); exit"
        )
    };
    accept_as(ProgramType::XDP, &program(13));
    reject_as(ProgramType::XDP, &program(14), 6, Code::OutOfBounds);
}

#[test]
fn ranges_wrap_around_at_31_bits() {
    // 0x7fffffff + 1 is not above it as a signed 32-bit number.
    let program = |test: &str| {
        with_value(&format!(
            "r0 = 0; if r8 > 0x7fffffff goto +6; w8 += 1; {test} goto +4; r0 = 0; exit
             r7 += r8; r0 = *(u8 *)(r7 + 0); exit"
        ))
    };
    let r = common::check(ProgramType::SOCKET_FILTER, &program("if w8 s< 40"));
    assert!(r.is_err(), "a negative w8 is a large r8");
    accept(&with_value(
        "r0 = 0; if r8 > 0x7fffffff goto +4; w8 += 1; if w8 > 40 goto +2; r7 += r8; r0 = *(u8 *)(r7 + 0); exit",
    ));
}

#[test]
fn ranges_wrap_around_at_63_bits() {
    // r8 + 1 may be the least signed number although r8 was not negative.
    reject(
        &with_value(
            "r0 = 0; if r8 s< 0 goto +4; r8 += 1; if r8 s> 40 goto +2; r7 += r8; r0 = *(u8 *)(r7 + 0); exit",
        ),
        START + 4,
        Code::BadPointerArithmetic,
    );
    accept(&with_value(
        "r0 = 0; if r8 s< 0 goto +5; r8 += 1; if r8 s> 40 goto +3; if r8 s< 0 goto +2; r7 += r8
         r0 = *(u8 *)(r7 + 0); exit",
    ));
}

#[test]
fn precision_follows_copies_that_were_compared_together() {
    // Both ways into the meeting point leave r8 unknown and r9 a copy of it or not: only the copy is bounded by
    // a test of r8. Whoever forgets that they are linked prunes the second way.
    let program = |other: &str| {
        with_value(&format!(
            "r1 = *(u64 *)(r7 + 16); r0 = 0; if r1 == 0 goto other; r9 = r8; goto meet
             other: r9 = {other}; goto meet
             meet: r2 = 0; r3 = 0; r2 += 1; r3 += 1; if r8 > 40 goto +2; r7 += r9; r0 = *(u8 *)(r7 + 0); exit"
        ))
    };
    accept(&program("r8"));
    let r = common::check(ProgramType::SOCKET_FILTER, &program("r1")).map(|v| v.stats());
    // On the other way r1 is 0, which is in bounds as well.
    assert!(r.is_ok(), "{r:?}");
    let unlinked = with_value(
        "r1 = *(u64 *)(r7 + 16); r0 = 0; if r1 == 0 goto other; r9 = r8; goto meet
         other: r9 = *(u64 *)(r7 + 24); goto meet
         meet: r2 = 0; r3 = 0; r2 += 1; r3 += 1; if r8 > 40 goto +2; r7 += r9; r0 = *(u8 *)(r7 + 0); exit",
    );
    let r = common::check(ProgramType::SOCKET_FILTER, &unlinked).expect_err("r9 has no bound on that way");
    assert_eq!(r.code(), Code::BadPointerArithmetic, "{}", r.explain());
}

#[test]
fn precision_survives_spills() {
    // The size that matters is spilled before paths meet.
    let program = |size: i32| {
        with_value(&format!(
            "r1 = *(u64 *)(r7 + 16); r0 = 0; r2 = 8; if r1 == 0 goto +1; r2 = {size}
             *(u64 *)(r10 - 16) = r2; r3 = 0; r4 = 0; if r1 == 1 goto +1; r3 += 1
             r2 = *(u64 *)(r10 - 16); r7 += r2; r0 = *(u64 *)(r7 + 0); exit"
        ))
    };
    accept(&program(40));
    let r = common::check(ProgramType::SOCKET_FILTER, &program(41)).expect_err("41 + 8 is past the end");
    assert_eq!(r.code(), Code::OutOfBounds, "{}", r.explain());
}

#[test]
fn a_null_check_of_one_copy_is_one_of_all_and_of_no_other() {
    let program = |test: &str| {
        format!(
            "*(u32 *)(r10 - 4) = 0; r1 = map[idx:1]; r2 = r10; r2 += -4; call 1; r6 = r0; r7 = r0
             *(u32 *)(r10 - 4) = 1; r1 = map[idx:1]; r2 = r10; r2 += -4; call 1; r8 = r0
             r0 = 0; if {test} == 0 goto +1; r0 = *(u64 *)(r6 + 0); exit"
        )
    };
    accept(&program("r7"));
    let r = common::check(ProgramType::SOCKET_FILTER, &program("r8")).expect_err("another lookup");
    assert_eq!(r.code(), Code::NullPointer);
}

#[test]
fn a_released_record_is_gone_in_every_copy() {
    let program = |then: &str| {
        format!(
            "r1 = map[idx:2]; r2 = 16; r3 = 0; call 131; if r0 == 0 goto +9; r6 = r0; *(u64 *)(r10 - 8) = r0
             r1 = r0; r2 = 0; call 132; r1 = *(u64 *)(r10 - 8); {then}; r0 = 0; exit; r0 = 0; exit"
        )
    };
    accept(&program("r2 = 0"));
    let r =
        common::check(ProgramType::SOCKET_FILTER, &program("*(u64 *)(r6 + 0) = 1")).expect_err("used after");
    assert_eq!(r.code(), Code::NotAPointer, "{}", r.explain());
    let r =
        common::check(ProgramType::SOCKET_FILTER, &program("*(u64 *)(r1 + 0) = 1")).expect_err("used after");
    assert_eq!(r.code(), Code::NotAPointer, "{}", r.explain());
}
