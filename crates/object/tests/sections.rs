//! Section names as libbpf 1.7 reads them: `libbpf/sections-1.7.txt` is its word on every name of its table, alone,
//! with targets, with endings, and with the `?` of programs that are not loaded by default.

mod common;
#[path = "common/program_elf.rs"]
mod program_elf;

use common::read;
use skep_object::Object;
use skep_spec::ProgramSpec;

/// What we make of a section's name, as the file says it.
fn describe(section: &str) -> String {
    let object = Object::parse_any_endian("one.o", &program_elf::program_in(section))
        .unwrap_or_else(|e| panic!("{e}"));
    let [program] = &object.programs[..] else { panic!("{section}: one program") };
    assert_eq!(program.autoload, !section.starts_with('?'), "{section}");
    match &program.spec {
        Err(e) => {
            assert!(e.is_unsupported() && e.to_string().contains("the name says no program type"), "{e}");
            "unknown".into()
        }
        Ok(s) => line(s),
    }
}

fn line(s: &ProgramSpec) -> String {
    format!("type {} attach {} flags {:#x}", s.prog_type.0, s.attach_type.0, s.flags)
}

#[test]
fn every_name_says_what_it_says_to_libbpf() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/libbpf/sections-1.7.txt");
    let text = String::from_utf8(read(&path)).expect("text");
    let (mut names, mut known, mut wrong) = (0, 0, Vec::new());
    for want in text.lines() {
        let (section, want) = want.split_once(": ").expect("name: meaning");
        let (want, target) = want.split_once(" target ").unwrap_or((want, ""));
        names += 1;
        known += usize::from(want != "unknown");
        let got = describe(section);
        // Before libbpf says flags of freplace and struct_ops it wants a program and a map to be there.
        let same = match want.strip_suffix(" unasked") {
            Some(want) => got.starts_with(want),
            None => got == want,
        };
        if !same {
            wrong.push(format!("{section}: libbpf {want}, skep {got}"));
        }
        // libbpf looks for the kernel's name, as `bpf_lsm_file_open`; the object only has its end.
        if !target.is_empty() {
            let object =
                Object::parse_any_endian("one.o", &program_elf::program_in(section)).expect("as above");
            let spec = object.programs[0].spec.as_ref().expect("as above");
            let ours = spec.attach_target.as_deref().expect("a target");
            assert!(target.ends_with(ours) && !ours.is_empty(), "{section}: {target} and {ours}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(names > 800 && known > 350 && known < names, "{known} of {names}");
    // Each of our rows is in libbpf's table too.
    for row in skep_abi::SECTIONS {
        assert!(text.lines().any(|l| l.starts_with(&format!("{}: type ", row.name))), "{}", row.name);
    }
}
