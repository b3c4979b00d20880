//! Wrong usage and bad files: the exit status, and words that name the file and the way out.

mod common;
use common::{Scratch, capture, code, ipv4, line, mixed, run, stderr, stdout};

#[test]
fn wrong_usage_exits_2() {
    for args in [
        "",
        "fly",
        "run",
        "run examples/protocols/protocols.s",
        "run examples/protocols/protocols.s --on lo --for never",
        "run examples/protocols/protocols.s --on lo --count 0",
        "run examples/protocols/protocols.s --on eth0 -- true",
        "run examples/protocols/protocols.s --on x.pcap -- true",
        "run examples/protocols/protocols.s --on lo --linux -- true",
        "check",
        "check --log=9 examples/protocols/protocols.s",
        "asm examples/protocols/protocols.s",
        "prog run examples/protocols/protocols.s --repeat 0",
        "map dump examples/protocols/protocols.s --program x",
        "map dump examples/protocols/protocols.s --max-entries 5",
        "map dump examples/protocols/protocols.s --max-entries packets=-1",
        "map dump examples/protocols/protocols.s --max-entries packet=5",
    ] {
        let output = line(args);
        assert_eq!(code(&output), 2, "skep {args}: {}", stderr(&output));
        assert!(output.stdout.is_empty(), "skep {args}: data on stdout");
        assert!(!output.stderr.is_empty(), "skep {args}: no words");
    }
}

#[test]
fn help_and_version_exit_0() {
    for args in ["--help", "--version", "help run", "run --help", "prog run --help", "completions bash"] {
        let output = line(args);
        assert_eq!(code(&output), 0, "skep {args}");
        assert!(!output.stdout.is_empty(), "skep {args}");
    }
    assert!(stdout(&line("completions bash")).contains("complete"));
}

#[test]
fn a_missing_file_is_named() {
    for args in [
        "check nosuch.o",
        "run nosuch.o --on lo",
        "disasm nosuch.o",
        "asm nosuch.s -o /dev/null",
        "prog run nosuch.o",
        "map dump nosuch.o",
    ] {
        let output = line(args);
        assert_eq!(code(&output), 2, "skep {args}");
        assert!(stderr(&output).contains("nosuch."), "skep {args}: {}", stderr(&output));
    }
}

#[test]
fn what_is_no_object_is_refused() {
    let scratch = Scratch::new();
    for (name, bytes) in [
        ("empty.o", &b""[..]),
        ("text.o", b"hello"),
        ("magic.o", b"\x7fELF"),
        ("junk.s", b"r0 = banana\n"),
        ("binary.s", b"\xff\xfe\x00"),
    ] {
        let file = scratch.file(name, bytes);
        for args in [&["check", &file][..], &["run", &file, "--on", "lo"]] {
            let output = run(args);
            assert_eq!(code(&output), 2, "{args:?}: {}", stderr(&output));
            assert!(stderr(&output).contains(name), "{args:?}: {}", stderr(&output));
        }
    }
    let output = run(["check", &scratch.file("bad.s", "r0 = 0\nr0 = banana\nexit\n")]);
    assert!(stderr(&output).contains("bad.s:2:"), "the line is named: {}", stderr(&output));
}

/// An object cut anywhere is damaged or, where only trailing tables go missing, still fine: never a panic.
#[test]
fn cut_objects_are_told_apart_from_programs_that_fail() {
    let whole =
        std::fs::read(common::root().join("examples/protocols/protocols.bpf.o")).expect("the example");
    let scratch = Scratch::new();
    for part in [1, 4, 20, 63, 64, 65, 500, whole.len() / 2, whole.len() - 1] {
        let output = run(["check", &scratch.file("cut.o", &whole[..part])]);
        assert_eq!(code(&output), 2, "{part} bytes: {}", stderr(&output));
        assert!(stderr(&output).contains("cut.o"), "{part} bytes: {}", stderr(&output));
    }
}

#[test]
fn programs_are_named_when_there_are_several_or_none_of_that_name() {
    let output = line("run examples/events/events.bpf.o --on x.pcap");
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("watch, watch_other"), "{}", stderr(&output));
    let output = line("run examples/events/events.bpf.o nosuch --on x.pcap");
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("`nosuch`") && stderr(&output).contains("watch_other"));
    let output = line("map dump examples/protocols/protocols.bpf.o nosuch");
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("packets"), "{}", stderr(&output));
}

#[test]
fn an_unknown_interface_is_named_with_those_there_are() {
    let output = line("run examples/protocols/protocols.s --on nosuch0 --for 1s");
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    let words = stderr(&output);
    assert!(words.contains("`nosuch0`") && words.contains("lo"), "{words}");
}

#[test]
fn bad_captures_are_told() {
    let scratch = Scratch::new();
    let on = |file: &str| run(["run", "examples/protocols/protocols.s", "--on", file]);
    let output = on(&scratch.file("not.pcap", "hello, world"));
    assert_eq!(code(&output), 2);
    assert!(
        stderr(&output).contains("not.pcap") && stderr(&output).contains("pcapng"),
        "{}",
        stderr(&output)
    );
    let output = on(&scratch.path("missing.pcap").display().to_string());
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("missing.pcap"));
    let mut wifi = capture(&[ipv4(6, 60)]);
    wifi[20..24].copy_from_slice(&105u32.to_le_bytes());
    let output = on(&scratch.file("wifi.pcap", wifi));
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("105 (IEEE 802.11)"), "{}", stderr(&output));
    let mut whole = capture(&mixed());
    whole.truncate(whole.len() - 5);
    let output = on(&scratch.file("cut.pcap", whole));
    assert_eq!(code(&output), 2);
    assert!(stdout(&output).contains("19 packets"), "whole packets count: {}", stdout(&output));
    assert!(stderr(&output).contains("cut"), "{}", stderr(&output));
}
