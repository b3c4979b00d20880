//! Sets of functions for the kernel: congestion controls that nobody uses, under names of their own.

use skep::{Backend, ErrorKind, Object, Target};

const OBJECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../object/tests/fixtures/maps/both.bpf.o");

fn available(name: &str) -> bool {
    let known = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control")
        .expect("Linux with TCP");
    known.split_whitespace().any(|n| n == name)
}

#[test]
fn the_kernel_has_them_while_the_links_live() {
    if cfg!(target_endian = "big") {
        return;
    }
    let object = Object::open_for(OBJECT, &Target::running_kernel()).expect("a committed object");
    // Without the kernel's types nobody knows what to make of it.
    let blind = Object::open(OBJECT).expect("a committed object");
    assert_eq!(blind.problems().len(), 2);
    let e = blind.program("ssthresh").expect_err("it needs types");
    assert!(e.is_unsupported() && e.to_string().contains("the target's types are not given"), "{e}");
    let linux = match Backend::linux() {
        Ok(linux) => linux,
        Err(e) => return println!("skipped: {e}"),
    };
    if let Some(e) = object.problems().first() {
        return println!("skipped: {e}");
    }
    let e = object.load(&Backend::user()).expect_err("there is no kernel in it");
    assert_eq!(e.kind(), ErrorKind::Unsupported);
    assert!(
        e.to_string().contains("struct_ops maps are not supported yet here: use the linux backend"),
        "{e}"
    );

    let loaded = object.load(&linux).expect("the kernel takes the programs");
    assert!(
        !available("skep_plain") && !available("skep_linked"),
        "left by a run that was ended: `bpftool struct_ops unregister name plain`"
    );
    let plain = loaded.attach_struct_ops("plain").expect("a new name");
    let linked = loaded.attach_struct_ops("linked").expect("a new name");
    assert!(available("skep_plain") && available("skep_linked"));
    // Another object of the same names has to wait.
    let other = object.load(&linux).expect("maps and programs are its own");
    for map in ["plain", "linked"] {
        let e = other.attach_struct_ops(map).expect_err("taken");
        assert!(e.to_string().contains("the kernel has functions of this name already"), "{e}");
    }
    drop(plain);
    drop(linked);
    assert!(!available("skep_plain") && !available("skep_linked"));
    // With a link the same map may be attached again.
    let again = loaded.attach_struct_ops("linked").expect("free again");
    assert!(available("skep_linked"));
    // The kernel keeps the programs, and the link the set.
    drop((loaded, other));
    assert!(available("skep_linked"));
    drop(again);
    assert!(!available("skep_linked"));
}

#[test]
fn what_the_kernel_refuses_says_why() {
    if cfg!(target_endian = "big") {
        return;
    }
    let linux = match Backend::linux() {
        Ok(linux) => linux,
        Err(e) => return println!("skipped: {e}"),
    };
    let object = Object::open_for(OBJECT, &Target::running_kernel()).expect("a committed object");
    if let Some(e) = object.problems().first() {
        return println!("skipped: {e}");
    }
    let mut loaded = object.create_maps(&linux).expect("maps alone");
    let e = loaded.attach_struct_ops("plain").expect_err("without programs");
    assert_eq!(e.kind(), ErrorKind::NotFound);
    assert!(e.to_string().contains("map `plain` wants program `"), "{e}");
    let e = loaded.attach_struct_ops("nothing").expect_err("no such map");
    assert_eq!(e.kind(), ErrorKind::NotFound);
    for name in ["ssthresh", "undo_cwnd", "cong_avoid"] {
        loaded.load(object.program(name).expect("it is there")).expect("the kernel takes it");
    }
    // Without a function that every congestion control has.
    let map = loaded.map("plain").expect("the object has it");
    let value = map.def().initial.as_deref().expect("numbers and the name");
    let e = linux.attach_struct_ops(map, value, &[]).expect_err("incomplete");
    assert!(e.to_string().contains("the kernel refuses the values"), "{e}");
    // A program that is a member of nothing.
    let mut stray = skep::spec::ProgramSpec::clone(object.program("ssthresh").expect("it is there"));
    stray.attach_btf_id = 0;
    let e = linux.load(stray).expect_err("nobody knows what it is");
    assert!(e.to_string().contains("program `ssthresh`: no variable in SEC(\".struct_ops\")"), "{e}");
    assert_eq!(e.to_string().matches("ssthresh").count(), 1, "{e}");
    // A program where another belongs.
    let off = map.def().struct_ops.as_ref().expect("a set").functions[0].0;
    let wrong = loaded.program("cong_avoid").expect("loaded").clone();
    let e = linux.attach_struct_ops(map, value, &[(off, wrong.clone())]).expect_err("another member's");
    assert!(e.to_string().contains("map `plain`"), "{e}");
    let e = linux.attach_struct_ops(map, value, &[(1 << 20, wrong)]).expect_err("outside");
    assert!(e.to_string().contains("program `cong_avoid` at byte 1048576 of"), "{e}");
}
