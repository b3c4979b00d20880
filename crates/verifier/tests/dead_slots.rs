//! Stack that nobody reads any more keeps no path alive. That stack which somebody reads does stands in
//! `tests/verdicts/dead_slots.txt`.

mod common;

use common::{WITH_VALUE, accept};

/// Steps for ten branches, each of which leaves a pointer or a number in a slot of its own. `uses` is what happens to
/// it behind each, and `late` behind all, where fp-8 stands for the slot.
fn steps(uses: &str, late: &str, functions: &str) -> u32 {
    let at =
        |text: &str, slot: u32| text.replace("- 8", &format!("- {slot}")).replace("-8", &format!("-{slot}"));
    let slots = || (1..=10).map(|i| 8 * i);
    let mut text = format!("{WITH_VALUE}\n");
    for slot in slots() {
        let branch = "*(u64 *)(r10 - 8) = r7\ncall 7\nif r0 == 0 goto past\n*(u64 *)(r10 - 8) = 2\npast:\n";
        text += &at(&(branch.replace("past", &format!("past{slot}")) + uses), slot);
        text += "\n";
    }
    for slot in slots() {
        text += &at(late, slot);
        text += "\n";
    }
    text += "r0 = 0\nexit\n";
    accept(&(text + functions)).stats().insns_processed
}

#[test]
fn what_was_read_for_the_last_time_is_forgotten() {
    let n = steps("r2 = *(u64 *)(r10 - 8)\nr2 = 0", "", "");
    assert!(n < 300, "{n}");
}

#[test]
fn what_a_function_read_for_the_last_time_is_forgotten() {
    let n = steps("r1 = r10\nr1 += -8\ncall f", "", "f:\nr0 = *(u64 *)(r1 + 0)\nr0 = 0\nexit");
    assert!(n < 600, "{n}");
}

#[test]
fn what_is_overwritten_before_it_is_read_is_forgotten() {
    let n = steps("", "*(u64 *)(r10 - 8) = 0\nr2 = *(u64 *)(r10 - 8)\nr2 = 0", "");
    assert!(n < 300, "{n}");
}

#[test]
fn what_is_read_later_is_not() {
    let n = steps("", "r2 = *(u64 *)(r10 - 8)\nr2 = 0", "");
    assert!(n > 2_000, "{n}");
}
