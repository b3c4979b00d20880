//! Maps of maps, program arrays, arenas and `struct_ops`: what a target makes of them, and files and targets that lie.

mod common;

use common::{fixture_path, map, program, read};
use skep_abi::{AttachType, MapType};
use skep_btf::relo::TargetBtf;
use skep_btf::{Btf, Builder, IntEncoding, TypeId};
use skep_object::{Inputs, Object, Unlinked};

/// A kernel that has congestion control, laid out as no kernel is; `bpf_struct_ops_…` has this size.
fn kernel(value_size: u32) -> TargetBtf {
    let mut b = Builder::new();
    let int = b.int("unsigned int", 4, IntEncoding::Unsigned);
    let byte = b.int("char", 1, IntEncoding::Signed);
    let name = b.array(byte, int, 16);
    let proto = b.func_proto(TypeId::VOID, &[]);
    let function = b.ptr(proto);
    let members = [
        ("undo_cwnd", function, 0),
        ("name", name, 64),
        ("flags", int, 192),
        ("cong_avoid", function, 256),
        ("ssthresh", function, 320),
    ];
    let ops = b.structure("tcp_congestion_ops", 48, &members);
    b.structure("bpf_struct_ops_tcp_congestion_ops", value_size, &[("common", int, 0), ("data", ops, 512)]);
    TargetBtf::from(b.finish().expect("right"))
}

fn link(name: &str, bytes: &[u8], target: Option<&TargetBtf>) -> Result<Object, skep_object::Error> {
    Unlinked::parse_any_endian(name, bytes)?.link(&Inputs { target, ..Inputs::default() })
}

#[test]
fn sets_of_functions_are_laid_out_as_the_target_s() {
    let bytes = read(&fixture_path("maps/both.bpf.o"));
    let target = kernel(112);
    let o = link("both.o", &bytes, Some(&target)).expect("a committed object");
    let def = map(&o, "linked");
    assert_eq!((def.kind, def.key_size, def.value_size, def.max_entries), (MapType::STRUCT_OPS, 4, 112, 1));
    assert_eq!((def.flags.0, map(&o, "plain").flags.0), (1 << 13, 0));
    let value = def.initial.as_deref().expect("numbers and the name");
    assert_eq!(&value[64 + 8..64 + 24], b"skep_linked\0\0\0\0\0");
    assert_eq!(value[64 + 24], 1, "flags");
    assert_eq!(value.iter().filter(|b| **b != 0).count(), 12, "and nothing else");
    let ops = def.struct_ops.as_ref().expect("a set");
    assert!(ops.link && ops.name == "tcp_congestion_ops");
    let mut functions: Vec<_> = ops.functions.iter().map(|(off, name)| (*off, name.as_str())).collect();
    functions.sort_unstable();
    assert_eq!(functions, [(64, "undo_cwnd"), (64 + 32, "cong_avoid"), (64 + 40, "ssthresh")]);
    for (name, member) in [("undo_cwnd", 0), ("cong_avoid", 3), ("ssthresh", 4)] {
        let spec = program(&o, name).spec.as_ref().expect("it is a member");
        assert_eq!((spec.attach_type, spec.attach_btf_id), (AttachType(member), ops.type_id));
    }
}

#[test]
fn targets_that_lie_are_told() {
    let bytes = read(&fixture_path("maps/both.bpf.o"));
    for (target, want) in [
        (kernel(1 << 21), "the target's struct bpf_struct_ops_tcp_congestion_ops has 2097152 bytes"),
        (TargetBtf::from(Btf::default()), "the target has no struct bpf_struct_ops_tcp_congestion_ops"),
    ] {
        let o = link("both.o", &bytes, Some(&target)).expect("the file is right");
        let e = o.map("plain").expect("it is there").def.as_ref().expect_err(want);
        assert!(e.to_string().starts_with("both.o: map \"plain\": ") && e.to_string().contains(want), "{e}");
        assert!(o.programs.iter().any(|p| p.spec.is_err()), "what they are is not known");
    }
}

/// Every byte of every file, in three ways: an error or something that makes sense, and never a panic.
#[test]
fn any_byte_may_lie() {
    let target = kernel(112);
    let (mut refused, mut spoiled, mut taken) = (0, 0, 0);
    for name in ["arena", "both", "inner", "pinned", "progs"] {
        let whole = read(&fixture_path(&format!("maps/{name}.bpf.o")));
        for at in 0..whole.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= change;
                match link(name, &bytes, Some(&target)) {
                    Err(e) => {
                        assert!(!e.message().is_empty());
                        refused += 1;
                    }
                    Ok(o) => {
                        let bad = |m: &skep_object::Map| m.def.is_err();
                        let any = o.maps.iter().any(bad) || o.programs.iter().any(|p| p.spec.is_err());
                        *if any { &mut spoiled } else { &mut taken } += 1;
                        for def in o.maps.iter().filter_map(|m| m.def.as_ref().ok()) {
                            let Some(ops) = &def.struct_ops else { continue };
                            let room = def.initial.as_ref().map_or(0, Vec::len);
                            assert!(ops.functions.iter().all(|(off, _)| *off as usize + 8 <= room));
                        }
                    }
                }
            }
        }
    }
    println!("{refused} refused, {spoiled} with errors in them, {taken} taken");
    assert!(refused > 1000 && spoiled > 500 && taken > 1000);
}
