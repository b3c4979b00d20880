//! What engines may rely on: the facts of instructions and of functions' stack frames, each beside one that must not be.

mod common;

use common::{START, accept, accept_as, program, with_value};
use skep_abi::ProgramType;
use skep_spec::Environment;
use skep_verifier::{FrameBytes, Options, Verified, verify};

fn ways(v: &Verified, pc: usize) -> (bool, bool) {
    (v.insns()[pc].taken, v.insns()[pc].falls)
}

fn ranges(bytes: FrameBytes) -> Vec<(i16, i16)> {
    bytes.ranges().collect()
}

#[test]
fn jumps_that_come_out_in_one_way_say_so() {
    let v = accept("r0 = 1; if r0 == 1 goto +1; r0 = 2; if r0 == 2 goto +0; r0 = 0; exit");
    assert_eq!((ways(&v, 1), ways(&v, 3)), ((true, false), (false, true)));
    assert!(!v.insns()[2].reached);
    let v = accept(&with_value("if r8 == 1 goto +1; r8 = 7; r0 = 0; if r8 > 7 goto +0; exit"));
    assert_eq!((ways(&v, START), ways(&v, START + 3)), ((true, true), (false, true)));
    // Nothing rests on r8 until it is compared: the second path ends where the first is found to cover it, or not.
    let v = accept(&with_value(
        "r1 = 1; if r8 == 0 goto +1; r1 = 2; r9 = 0; r9 = 0; r9 = 0; r9 = 0; if r9 == 9 goto +0
         if r1 == 1 goto +0; r0 = 0; exit",
    ));
    assert_eq!(ways(&v, START + 8), (true, true));
}

#[test]
fn calls_say_their_map_key_and_callback() {
    let lookup = |map: &str, key: &str| {
        let text = format!(
            "r6 = *(u32 *)(r1 + 0); {key}; r2 = r10; r2 += -8; r1 = map[idx:0]; {map}; call 1; r0 = 0; exit"
        );
        let v = accept(&text);
        let call = v.insns().iter().rposition(|i| i.map.is_some() || i.key.is_some());
        call.map(|pc| (v.insns()[pc].map, v.insns()[pc].key))
    };
    let (same, other) = ("r1 = r1", "if r6 == 3 goto +2; r1 = map[idx:1]");
    assert_eq!(lookup(same, "*(u32 *)(r10 - 8) = 7"), Some((Some(0), Some(7))));
    assert_eq!(lookup(same, "*(u32 *)(r10 - 8) = r6"), Some((Some(0), None)));
    assert_eq!(
        lookup(same, "*(u32 *)(r10 - 8) = 7; if r6 == 3 goto +1; *(u32 *)(r10 - 8) = 8"),
        Some((Some(0), None))
    );
    assert_eq!(lookup(other, "*(u32 *)(r10 - 8) = 7"), None);
}

#[test]
fn frames_say_what_is_touched_behind_their_back() {
    // A key, and what only r10 touches.
    let v = accept(
        "*(u64 *)(r10 - 16) = 1; *(u32 *)(r10 - 4) = 0; r2 = r10; r2 += -4; r1 = map[idx:0]; call 1
         r0 = *(u64 *)(r10 - 16); exit",
    );
    assert_eq!(ranges(v.touches(6)), [(-4, 0)]);
    assert_eq!(ranges(v.subprogs()[0].shared), [(-4, 0)]);
    assert_eq!((v.subprogs()[0].escaped, v.subprogs()[0].unwritten), (FrameBytes::NONE, 0));
    assert!(v.subprogs()[0].calls_out);

    // A function that is given a pointer: the call touches, and so does nothing of the function's own frame.
    let v = accept(
        "*(u64 *)(r10 - 24) = 1; r1 = r10; r1 += -24; call f; r0 = *(u64 *)(r10 - 24); exit
         f: *(u64 *)(r10 - 8) = 3; r0 = *(u64 *)(r10 - 8); *(u16 *)(r1 + 2) = r0; r0 = 0; exit",
    );
    assert_eq!(ranges(v.touches(3)), [(-22, -20)]);
    assert_eq!(ranges(v.subprogs()[0].shared), [(-22, -20)]);
    assert_eq!((v.subprogs()[1].shared, v.touches(8)), (FrameBytes::NONE, FrameBytes::NONE));
    assert!(!v.subprogs()[0].calls_out);

    // An index that is not known, on two paths.
    let v = accept(&with_value(
        "*(u64 *)(r10 - 16) = 0; *(u64 *)(r10 - 24) = 0; r8 &= 7; r1 = r10; r1 += -16
         if r9 == 0 goto +1; r1 += -8; r1 += r8; r0 = *(u8 *)(r1 + 0); r0 = 0; exit",
    ));
    assert_eq!(ranges(v.touches(START + 8)), [(-24, -8)]);
}

#[test]
fn addresses_that_get_away_take_the_frame_along() {
    let escaped = |text: &str| accept(&with_value(text)).subprogs()[0].escaped;
    assert_eq!(escaped("r1 = r10; r1 += -8; *(u64 *)(r10 - 16) = r1; r0 = 0; exit"), FrameBytes::NONE);
    assert_eq!(escaped("r1 = r10; *(u64 *)(r7 + 0) = r1; r0 = 0; exit"), FrameBytes::ALL);
    assert_eq!(escaped("r1 = r10; w1 = w1; r0 = 0; exit"), FrameBytes::ALL);
    assert_eq!(escaped("r1 = r10; r1 += -8; r1 -= r10; r0 = 0; exit"), FrameBytes::NONE);
    // It is given away as a part of data.
    let given = |off: i32| {
        format!(
            "r1 = r10; *(u64 *)(r10 - 16) = r1; *(u64 *)(r10 - 24) = 0; *(u32 *)(r10 - 4) = 0
             r1 = map[idx:0]; r2 = r10; r2 += -4; r3 = r10; r3 += {off}; r4 = 0; call 2; r0 = 0; exit"
        )
    };
    assert_eq!(escaped(&given(-24)), FrameBytes::NONE);
    assert_eq!(escaped(&given(-16)), FrameBytes::ALL);
    // As a number: `bpf_trace_printk(fmt, size, fp)`, `bpf_probe_read_kernel(fp - 8, 8, fp - 16)`.
    let printed = "*(u64 *)(r10 - 8) = 0; r1 = r10; r1 += -8; r2 = 8; r3 = r10; call 6; r0 = 0; exit";
    assert_eq!(accept_as(ProgramType::KPROBE, printed).touches(5), FrameBytes::ALL);
    let read = |from: &str| {
        let text = format!("{from}; r1 = r10; r1 += -8; r2 = 8; call 113; r0 = 0; exit");
        let v = accept_as(ProgramType::KPROBE, &text);
        v.touches(v.insns().len() - 3)
    };
    assert_eq!(read("r3 = r10; r3 += -16"), FrameBytes::ALL);
    assert_eq!(ranges(read("r3 = 77; r4 = 0")), [(-8, 0)]);
}

#[test]
fn bytes_that_are_read_before_they_are_written() {
    let unwritten = |text: &str| accept(&with_value(text)).subprogs()[0].unwritten;
    assert_eq!(unwritten("*(u64 *)(r10 - 16) = 1; r0 = *(u64 *)(r10 - 16); r0 = 0; exit"), 0);
    assert_eq!(unwritten("r0 = *(u64 *)(r10 - 16); r0 = 0; exit"), 16);
    assert_eq!(unwritten("*(u32 *)(r10 - 16) = 1; r0 = *(u64 *)(r10 - 16); r0 = 0; exit"), 16);
    // On one path of two; in a loop that writes at its end.
    let one = "if r8 == 0 goto +1; *(u64 *)(r10 - 24) = 1; r0 = *(u64 *)(r10 - 24); r0 = 0; exit";
    assert_eq!(unwritten(one), 24);
    let both = "if r8 == 0 goto +2; *(u64 *)(r10 - 24) = 1; goto +1; *(u64 *)(r10 - 24) = r9
                r0 = *(u64 *)(r10 - 24); r0 = 0; exit";
    assert_eq!(unwritten(both), 0);
    let around =
        "r1 = 0; r2 = *(u64 *)(r10 - 32); *(u64 *)(r10 - 32) = r1; r1 += 1; if r1 < 4 goto -4; r0 = 0; exit";
    assert_eq!(unwritten(around), 32);
    let first =
        "*(u64 *)(r10 - 32) = r9; r1 = 0; r2 = *(u64 *)(r10 - 32); r1 += 1; if r1 < 4 goto -3; r0 = 0; exit";
    assert_eq!(unwritten(first), 0);
    // Not read on a way that no path takes.
    assert_eq!(unwritten("r1 = 0; if r1 == 0 goto +1; r0 = *(u64 *)(r10 - 16); r0 = 0; exit"), 0);
    // By a function.
    let given = "r1 = r10; r1 += -40; call f; r0 = 0; exit
                 f: r0 = *(u32 *)(r1 + 4); r0 = 0; exit";
    assert_eq!(unwritten(given), 40);

    let who = |env: &Environment| {
        let spec = program(
            ProgramType::SOCKET_FILTER,
            "*(u64 *)(r10 - 8) = 0; r0 = *(u64 *)(r10 - 8); r0 = 0; exit",
        );
        verify(&spec, env, &Options::default()).expect("legal").subprogs()[0].unwritten
    };
    assert_eq!(who(&Environment::unprivileged()), 0);
}
