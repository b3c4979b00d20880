//! Text and bytecode.

mod common;
use common::{Scratch, code, line, run, stderr, stdout};

const PROGRAM: &str =
    ".section socket\nmain:\nr0 = *(u32 *)(r1 + 0)\nif r0 > 7 goto out\nr0 = 7\nout:\nexit\n";

#[test]
fn assembling_gives_the_bytes_of_rfc_9669() {
    let scratch = Scratch::new();
    let (source, out) = (scratch.file("a.s", PROGRAM), scratch.path("a.bin"));
    for (endian, expect) in [
        ("little", [0x61, 0x10, 0, 0, 0, 0, 0, 0, 0x25, 0, 1, 0, 7, 0, 0, 0]),
        ("big", [0x61, 0x01, 0, 0, 0, 0, 0, 0, 0x25, 0, 0, 1, 0, 0, 0, 7]),
    ] {
        let output = run(["asm", &source, "-o", out.to_str().expect("text"), "--endian", endian]);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let bytes = std::fs::read(&out).expect("written");
        assert_eq!((&bytes[..16], bytes.len()), (&expect[..], 32), "{endian}");
    }
}

#[test]
fn text_to_bytes_to_text_is_the_identity() {
    let scratch = Scratch::new();
    let (source, bin) = (scratch.file("a.s", PROGRAM), scratch.path("a.bin"));
    let bin = bin.to_str().expect("text");
    for dialect in ["kernel", "clang"] {
        assert_eq!(code(&run(["asm", &source, "-o", bin])), 0);
        let first = run(["disasm", bin, "--dialect", dialect]);
        let listing = scratch.file("b.s", &first.stdout);
        let output = run(["asm", &listing, "-o", bin]);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        assert_eq!(run(["disasm", bin, "--dialect", dialect]).stdout, first.stdout, "{dialect}");
    }
}

#[test]
fn objects_and_assembly_list_alike() {
    let object = stdout(&line("disasm examples/protocols/protocols.bpf.o count_protocols"));
    let text = stdout(&line("disasm examples/protocols/protocols.s count_protocols"));
    assert_eq!(object.lines().count(), text.lines().count());
    assert!(object.contains("call bpf_map_lookup_elem#1"), "{object}");
    let clang = stdout(&line("disasm examples/protocols/protocols.bpf.o --dialect clang"));
    assert!(clang.starts_with("count_protocols (socket):\n"), "{clang}");
}

#[test]
fn bytes_that_are_no_program_are_refused() {
    let scratch = Scratch::new();
    let output = run(["disasm", &scratch.file("a.bin", [0; 13])]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("13 bytes"), "{}", stderr(&output));
    assert_eq!(code(&run(["disasm", &scratch.file("b.bin", "")])), 2);
    // Slots that are no instructions are listed as such.
    let output = run(["disasm", &scratch.file("c.bin", [0xff; 8])]);
    assert_eq!(code(&output), 0);
    assert!(stdout(&output).contains("???"), "{}", stdout(&output));
}

#[test]
fn helpers_are_known_by_name() {
    let scratch = Scratch::new();
    let out = scratch.path("a.bin");
    let output = run([
        "asm",
        &scratch.file("a.s", "call bpf_ktime_get_ns\nexit\n"),
        "-o",
        out.to_str().expect("text"),
    ]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(std::fs::read(out).expect("written")[..8], [0x85, 0, 0, 0, 5, 0, 0, 0]);
}

#[test]
fn an_object_is_written_for_a_name_that_ends_in_o() {
    let scratch = Scratch::new();
    let (out, raw) = (scratch.path("a.o"), scratch.path("b.o"));
    let (out, raw) = (out.to_str().expect("text"), raw.to_str().expect("text"));
    let text = "examples/protocols/protocols.s";
    for endian in ["little", "big"] {
        let output = run(["asm", text, "-o", out, "--endian", endian]);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        assert_eq!(std::fs::read(out).expect("written")[..4], *b"\x7fELF");
    }
    assert_eq!(code(&run(["asm", text, "-o", out])), 0);
    if cfg!(target_endian = "little") {
        assert_eq!(run(["disasm", out]).stdout, run(["disasm", text]).stdout);
        assert_eq!(code(&run(["check", out])), 0);
    }
    // Either by its word, whatever the name.
    assert_eq!(code(&run(["asm", text, "-o", raw, "--format", "raw"])), 0);
    assert_eq!(std::fs::read(raw).expect("written").len() % 8, 0);
    let output = run(["asm", text, "-o", "-", "--format", "elf"]);
    assert!(output.stdout.starts_with(b"\x7fELF"));
    let output = run(["asm", text, "count_protocols", "-o", out]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("an object holds all programs of the text"), "{}", stderr(&output));
}
