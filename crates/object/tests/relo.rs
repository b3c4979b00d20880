//! CO-RE: the corpus' programs on its targets, as libbpf 1.7 relocates them. `libbpf/core-1.7.txt` is its word, written
//! by the oracle in `tests/libbpf` (which compares the whole corpus, where libbpf can be built).

mod common;

use std::fmt::Write;

use common::{fixture, fixture_path, program, read};
use skep_btf::relo::{Module, TargetBtf};
use skep_btf::{Btf, Builder, IntEncoding, Type};
use skep_isa::Endian;
use skep_object::{Inputs, Object, Unlinked, btf_section};
use skep_spec::Poisoned;

const PROGRAMS: [&str; 9] =
    ["ambiguous_field", "bitfields", "enums", "far", "fields", "missing", "resize", "subprogs", "types"];

fn target(name: &str) -> TargetBtf {
    let bytes = read(&fixture_path(&format!("core/{name}.target.o")));
    let section = btf_section(name, &bytes).expect("an object").expect("with BTF");
    Btf::parse(section).expect("right").into()
}

fn relocated(name: &str, target: &TargetBtf) -> Object {
    let bytes = read(&fixture_path(&format!("core/{name}.bpf.o")));
    let unlinked = Unlinked::parse_any_endian(&format!("{name}.bpf.o"), &bytes).expect("an object");
    unlinked.link(&Inputs { target: Some(target), ..Inputs::default() }).expect("links")
}

/// FNV-1a over the instructions, with maps counted as 0.
fn hash(insns: &[skep_isa::Insn]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for insn in insns {
        let mut insn = *insn;
        if insn.is_wide() && matches!(insn.src.0, 5 | 6) {
            insn.src.0 -= 4;
            insn.imm = 0;
        }
        for b in insn.to_bytes(Endian::Little) {
            hash = (hash ^ u64::from(b)).wrapping_mul(0x100_0000_01b3);
        }
    }
    hash
}

#[test]
fn the_corpus_is_relocated_as_libbpf_does_it() {
    let want = String::from_utf8(read(&fixture_path("../libbpf/core-1.7.txt"))).expect("text");
    let mut got = String::new();
    for target_name in ["moved", "twins"] {
        let target = target(target_name);
        for name in PROGRAMS {
            let object = relocated(name, &target);
            let mut loaded = object.programs.iter().filter(|p| p.autoload);
            if loaded.any(|p| p.spec.is_err()) {
                // One that fails spoils the whole object there.
                writeln!(got, "{name} on {target_name}: refused").unwrap();
                continue;
            }
            for p in object.programs.iter().filter(|p| p.autoload) {
                let insns = &p.spec.as_ref().expect("looked at").insns;
                writeln!(
                    got,
                    "{name} on {target_name}: {} insns {} {:016x}",
                    p.name,
                    insns.len(),
                    hash(insns)
                )
                .unwrap();
            }
        }
    }
    assert!(want.lines().count() > 100, "libbpf's word is there");
    let differ: Vec<_> = want.lines().zip(got.lines()).filter(|(w, g)| w != g).collect();
    assert!(want == got, "libbpf's and ours: {differ:#?}");
}

#[test]
fn what_is_not_there_is_poisoned_by_name() {
    let object = relocated("missing", &target("moved"));
    let names = |program_name: &str| {
        let spec = program(&object, program_name).spec.as_ref().expect("poison is no error");
        let what = |p: &Poisoned| {
            let insn = &spec.insns[p.insn_off as usize];
            assert_eq!((insn.opcode, insn.src.0, insn.imm), (0x85, 0, 0x0bad_2310));
            p.what.clone()
        };
        spec.poisoned.iter().map(what).collect::<Vec<_>>()
    };
    assert_eq!(names("load"), ["byte_off of struct absent.x"]);
    assert_eq!(names("member"), ["byte_off of struct pair.never"]);
    // Both slots of an LDDW.
    assert_eq!(names("value"), ["enumval_value of enum color::ULTRAVIOLET"; 2]);
    assert_eq!(names("zero"), [] as [&str; 0]);
    assert!(names("shift").contains(&"rshift_u64 of struct absent.bits".into()));
}

/// Fails with the program, the instruction, the record and the type.
#[test]
fn what_does_not_fit_says_where() {
    let object = relocated("far", &target("moved"));
    let e = program(&object, "away").spec.as_ref().expect_err("40000 is no offset of a load");
    assert_eq!(
        e.to_string(),
        "far.bpf.o: function \"away\", instruction 0: CO-RE relocation 0 of section \"socket\" (byte_off of struct \
         far.away): 40000 is more than the offset of a load or store can hold (32767)"
    );
    let object = relocated("ambiguous_field", &target("twins"));
    let e = program(&object, "differs").spec.as_ref().expect_err("ambiguous").to_string();
    assert!(
        e.contains("(byte_off of struct twin.differs): BTF type [")
            && e.contains("\"twin\" that match, and the bit offset is 64 in "),
        "{e}"
    );
    assert!(
        relocated("ambiguous_field", &target("moved")).programs[0].spec.is_ok(),
        "there is only one there"
    );
}

#[test]
fn without_a_target_only_those_that_need_one_are_refused() {
    let o = fixture("core/subprogs.bpf.o");
    let e = program(&o, "two").spec.as_ref().expect_err("it reads struct task");
    assert!(e.is_unsupported() && e.to_string().contains("(CO-RE: byte_off of struct "), "{e}");
    let bytes = read(&fixture_path("linking.bpf.o"));
    assert!(!Unlinked::parse_any_endian("l.o", &bytes).expect("an object").needs_target());
    let bytes = read(&fixture_path("core/subprogs.bpf.o"));
    assert!(Unlinked::parse_any_endian("s.o", &bytes).expect("an object").needs_target());
}

/// What `main` has counts; modules are asked for the rest.
#[test]
fn types_of_modules() {
    // `absent` is missing in the kernel proper.
    let base = target("moved").main().clone();
    let mut b = Builder::split(base.clone());
    let int = b.int("int", 4, IntEncoding::Signed);
    let long = b.int("long long", 8, IntEncoding::Unsigned);
    let absent = b.structure("absent", 32, &[("pad", long, 0), ("x", int, 64), ("y", long, 192)]);
    // This one must not be seen: the kernel has one of that name.
    b.structure("pair", 4, &[("never", int, 0)]);
    let module = b.finish().expect("fits");
    assert!(absent.0 as usize >= base.len());
    let bytes = module.to_bytes(skep_btf::Endian::Little);
    let module = Btf::parse_split(bytes, base.clone()).expect("reads back");
    assert!(matches!(module.ty(absent), Some(Type::Struct { .. })) && module.name(absent) == Some("absent"));
    let module = std::sync::Arc::new(module);
    let module = Module { name: "some".into(), btf: module };
    let both = TargetBtf::from(base).with_modules(move |_| vec![module.clone()]);
    let object = relocated("missing", &both);
    let spec = program(&object, "load").spec.as_ref().expect("found in the module");
    assert!(spec.poisoned.is_empty());
    assert_eq!(spec.insns[0].off, 8);
    let zero = program(&object, "zero").spec.as_ref().expect("found in the module");
    assert!(zero.insns.iter().any(|i| i.imm == absent.0.cast_signed()), "the id is the module's");
    assert_eq!(program(&object, "member").spec.as_ref().expect("poisoned").poisoned.len(), 1);
}
