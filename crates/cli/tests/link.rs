//! `skep link`.

mod common;
use common::{Scratch, code, run, stderr, stdout};

const FOLDER: &str = "crates/object/tests/fixtures/link";

#[test]
fn two_halves_become_a_program_that_runs() {
    let scratch = Scratch::new();
    let linked = scratch.path("linked.o");
    let linked = linked.to_str().expect("text");
    let halves = [format!("{FOLDER}/main.bpf.o"), format!("{FOLDER}/lib.bpf.o")];
    let output = run(["link", &halves[0], &halves[1], "-o", linked]);
    assert_eq!((code(&output), stdout(&output)), (0, String::new()), "{}", stderr(&output));
    let output = run(["check", linked]);
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    // A socket filter sees 86 of 100 bytes; scaled by 2 they are of class 172 >> 6 = 2: verdict 27.
    let packet = scratch.file("packet", [0; 100]);
    let output = run(["prog", "run", linked, "filter", "--data-in", &packet, "--json"]);
    assert!(stdout(&output).contains("\"retval\":27"), "{}{}", stdout(&output), stderr(&output));
}

#[test]
fn nothing_is_written_unless_files_fit() {
    let scratch = Scratch::new();
    let linked = scratch.path("linked.o");
    let half = format!("{FOLDER}/lib.bpf.o");
    for (files, want) in [
        ([half.as_str(), half.as_str()], "is defined in"),
        ([half.as_str(), "no/such/file.o"], "cannot read `no/such/file.o`"),
        ([half.as_str(), "README.md"], "README.md: not an ELF file"),
    ] {
        let output = run(["link", files[0], files[1], "-o", linked.to_str().expect("text")]);
        assert_eq!(code(&output), 2, "{}", stderr(&output));
        assert!(stderr(&output).contains(want), "{}", stderr(&output));
        assert!(!linked.exists());
    }
}
