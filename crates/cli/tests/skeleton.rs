//! `skep gen skeleton`. That what it prints compiles and works is for `examples/skeleton` to show.

mod common;
use common::{Scratch, code, line, run, stderr, stdout};

#[test]
fn names_and_types_are_the_object_s() {
    let output = line("gen skeleton crates/object/tests/fixtures/variables.bpf.o");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let text = stdout(&output);
    for part in [
        "pub mod variables {",
        "pub struct Variables {",
        "pub fn data_own(&self) -> DataOwn<'_>",
        "pub fn set_which(&mut self, value: u32)",
        "pub tally: ::skep::Program,",
        "/// `enum mode`",
        "pub const MODE_DROP: Self = Self(2147483648);",
        "/// `__s32`, 12 bits\n    pub high: i32,",
        "pub address: types::ConfigAddress,",
        "pub limits: [types::Limits; 2],",
    ] {
        assert!(text.contains(part), "{part}");
    }
    // A constant has no setter once it is loaded.
    assert!(!text.contains("pub fn set_which(&self"));
    let output = line("gen skeleton examples/flows/flows.bpf.o");
    assert!(stdout(&output).contains("skeleton::TypedMap<types::"), "{}", stderr(&output));
}

#[test]
fn records_have_types_where_somebody_says_them() {
    let kinds = "gen skeleton crates/object/tests/fixtures/kinds.bpf.o";
    let output = line(kinds);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let text = stdout(&output);
    for part in [
        "pub tagged: skeleton::Records<types::Event>,",
        "pub told: ::skep::Map,",
        "pub bare: ::skep::Map,",
        "pub r#impl: skeleton::TypedMap<types::Word, types::Event>,",
        "pub fn kconfig(&self) -> Kconfig<'_>",
        "pub fn set_point(&mut self, value: types::Point)",
    ] {
        assert!(text.contains(part), "{part}");
    }
    let text = stdout(&line(&format!("{kinds} --record told=other --record bare=scalars_t")));
    assert!(text.contains("pub told: skeleton::Records<types::Other>,"));
    assert!(text.contains("pub bare: skeleton::Records<types::ScalarsT>,"));
    for (said, words) in [
        ("told=others", "map `told`: there is no type `others`"),
        ("impl=other", "there is no ring buffer or perf event array `impl`"),
        ("told", "MAP=TYPE is wanted"),
    ] {
        let output = line(&format!("{kinds} --record {said}"));
        assert_eq!(code(&output), 2);
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
}

#[test]
fn what_is_no_object_is_refused() {
    let scratch = Scratch::new();
    let output = run(["gen", "skeleton", &scratch.file("a.o", "no object")]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("not an ELF file"), "{}", stderr(&output));
}
