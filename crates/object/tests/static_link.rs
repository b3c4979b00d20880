//! Linking files: two that need each other, as libbpf 1.7 links them (`fixtures/link/libbpf.o` is what it makes), and
//! what does not fit. `tests/libbpf` has many more pairs.

mod common;

use common::{fixture_path, program, read, spec};
use skep_btf::{Btf, Builder, TypeId};
use skep_isa::Endian;
use skep_object::{Object, static_link};
use skep_spec::ProgramSpec;

fn file(name: &str) -> Vec<u8> {
    read(&fixture_path(name))
}

fn link(names: &[&str]) -> Result<Vec<u8>, String> {
    let files: Vec<_> = names.iter().map(|n| (*n, file(n))).collect();
    let inputs: Vec<(&str, &[u8])> = files.iter().map(|(n, b)| (*n, &**b)).collect();
    static_link(&inputs).map_err(|e| e.to_string())
}

fn parse(bytes: &[u8]) -> Object {
    Object::parse_any_endian("linked.o", bytes).unwrap_or_else(|e| panic!("{e}"))
}

/// Types with names by their first use, so that equal types are equal.
fn canonical(btf: &Btf) -> Btf {
    let mut b = Builder::new();
    for (_, t) in btf.iter() {
        let mut t = t.clone();
        t.each_name_mut(|n| *n = b.name(btf.str(*n)));
        b.add(t);
    }
    b.finish().expect("it was right before")
}

/// Functions by name, and lines as text, with their instructions.
#[allow(clippy::type_complexity, reason = "functions and lines")]
fn debug_information(s: &ProgramSpec) -> (Vec<(u32, String)>, Vec<(u32, String, u32)>) {
    let btf = s.btf.as_ref().expect("there are types");
    let text = |off| btf.str(btf.name_at(off).expect("a string")).to_owned();
    let functions =
        s.func_info.iter().map(|f| (f.insn_off, btf.name(TypeId(f.type_id)).expect("named").to_owned()));
    let lines = s.line_info.iter().map(|l| (l.insn_off, text(l.line_off), l.line_col >> 10));
    (functions.collect(), lines.collect())
}

#[test]
fn linked_as_libbpf_does_it() {
    let (ours, theirs) =
        (link(&["link/main.bpf.o", "link/lib.bpf.o"]).expect("they fit"), file("link/libbpf.o"));
    let (a, b) = (parse(&ours), parse(&theirs));
    let names: Vec<_> = a.programs.iter().map(|p| &*p.name).collect();
    assert_eq!(names, ["filter", "total"]);
    for name in names {
        let (s, t) = (spec(&a, name), spec(&b, name));
        assert_eq!(s.insns, t.insns, "{name}");
        assert_eq!(debug_information(s), debug_information(t), "{name}");
    }
    assert_eq!(canonical(a.btf.as_ref().expect("types")), canonical(b.btf.as_ref().expect("types")));
    let maps = |o: &Object| {
        let of = |m: &skep_object::Map| {
            let d = m.def.as_ref().expect("right");
            (
                d.name.clone(),
                d.kind,
                d.key_size,
                d.value_size,
                d.max_entries,
                d.flags,
                d.initial.clone(),
                d.value_btf_id,
            )
        };
        o.maps.iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(maps(&a), maps(&b));
    // The other file's verdict, not the weak one; each file's own scale.
    let functions: Vec<_> = debug_information(spec(&a, "filter")).0.into_iter().map(|(_, n)| n).collect();
    assert_eq!(functions, ["filter", "scale", "class_of", "scale", "account", "verdict"]);
    let lines = debug_information(spec(&a, "filter")).1;
    assert!(lines.iter().any(|(_, text, _)| text.contains("class * 10 + 7")));
    assert!(!lines.iter().any(|(_, text, _)| text.contains("class & 0")));
}

#[test]
fn the_order_of_files_changes_places_only() {
    let object = parse(&link(&["link/lib.bpf.o", "link/main.bpf.o"]).expect("they fit"));
    let functions: Vec<_> =
        debug_information(spec(&object, "filter")).0.into_iter().map(|(_, n)| n).collect();
    assert_eq!(functions, ["filter", "scale", "class_of", "scale", "account", "verdict"]);
}

/// A half can be opened, and its programs say what they lack.
#[test]
fn a_half_says_what_it_lacks() {
    let object = parse(&file("link/main.bpf.o"));
    let e = program(&object, "filter").spec.as_ref().expect_err("it needs the other file");
    assert!(e.to_string().contains("link it with the one that has it (`skep link`)"), "{e}");
    // Linked alone it stays a half: a later link may complete it.
    let half = link(&["link/main.bpf.o"]).expect("nothing is wrong");
    let lib = file("link/lib.bpf.o");
    let whole = static_link(&[("half.o", &half), ("lib.o", &lib)]).expect("they fit");
    let (a, b) = (parse(&whole), parse(&link(&["link/main.bpf.o", "link/lib.bpf.o"]).expect("they fit")));
    for name in ["filter", "total"] {
        assert_eq!(spec(&a, name).insns, spec(&b, name).insns);
        assert_eq!(debug_information(spec(&a, name)), debug_information(spec(&b, name)));
    }
}

#[test]
fn what_does_not_fit_is_named() {
    for (names, want) in [
        (&[][..], "there is no file to link"),
        (
            &["link/lib.bpf.o", "link/lib.bpf.o"],
            "link/lib.bpf.o: symbol \"class_of\": it is defined in \"link/lib.bpf.o\" too, and neither is weak",
        ),
        (
            &["linking.bpf.o", "bigendian.bpf.o"],
            "bigendian.bpf.o: it is for big-endian machines, and \"linking.bpf.o\" for little-endian ones",
        ),
        (
            &["link/main.bpf.o", "nobtf.bpf.o"],
            "there is no BTF to tell what it is, which linking needs: compile with -g",
        ),
        (&["host.o"], "host.o: machine code for ELF machine"),
        (&["link/main.bpf.c"], "link/main.bpf.c: not an ELF file"),
        (&["sections.bpf.o", "link/lib.bpf.o"], "version"),
    ] {
        match link(names) {
            Err(e) => assert!(e.contains(want), "{names:?}: {e}"),
            Ok(_) => assert_eq!(want, "version", "{names:?}"),
        }
    }
}

/// Immediates that count from a section's start are read and written in the file's order.
#[test]
fn the_other_byte_order() {
    let bytes = file("bigendian.bpf.o");
    let one = parse(&bytes);
    let linked = static_link(&[("bigendian.bpf.o", &bytes)]).expect("it fits itself");
    let two = parse(&linked);
    assert_eq!(two.endian, Endian::Big);
    for p in &one.programs {
        assert_eq!(spec(&one, &p.name).insns, spec(&two, &p.name).insns, "{}", p.name);
        assert_eq!(spec(&one, &p.name).func_info.len(), spec(&two, &p.name).func_info.len());
    }
}
