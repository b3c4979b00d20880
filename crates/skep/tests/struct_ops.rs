//! Sets of functions for the kernel: congestion controls that nobody uses, under names of their own.

use std::sync::{Mutex, MutexGuard, PoisonError};

use skep::spec::Errno;
use skep::{Backend, ErrorKind, Loaded, Object, Target};

const OBJECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../object/tests/fixtures/maps/both.bpf.o");

/// One test at a time gives the kernel functions under these names.
static NAMES: Mutex<()> = Mutex::new(());

fn names() -> MutexGuard<'static, ()> {
    NAMES.lock().unwrap_or_else(PoisonError::into_inner)
}

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
    let _names = names();
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
    let _names = names();
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

/// What a map of such functions answers before its value comes and after.
fn as_data(loaded: &Loaded, linked: bool, attach: impl FnOnce()) {
    let map = loaded.map(if linked { "linked" } else { "plain" }).expect("the object has it");
    let inner = map.backend_map();
    let size = map.def().value_size as usize;
    let (key, other) = (0u32.to_ne_bytes(), 1u32.to_ne_bytes());
    let errno = |e: skep::spec::Error| e.errno;
    assert_eq!(inner.lookup(&key, 0).map_err(errno), Ok(vec![0; size]), "no value yet");
    assert_eq!(inner.lookup(&other, 0).map_err(errno), Err(Errno::ENOENT));
    assert_eq!(inner.next_key(None).map_err(errno), Ok(key.to_vec()));
    assert_eq!(inner.next_key(Some(&other)).map_err(errno), Ok(key.to_vec()));
    assert_eq!(inner.next_key(Some(&key)).map_err(errno), Err(Errno::ENOENT));
    assert_eq!(inner.freeze().map_err(errno), Err(Errno::ENOTSUPP));
    let value = map.def().initial.clone().expect("numbers and the name");
    let update = |key, value: &[u8], flags| inner.update(key, value, flags).map_err(errno);
    assert_eq!(update(&key, &value, 1), Err(Errno::EINVAL), "flags");
    assert_eq!(update(&other, &value, 0), Err(Errno::E2BIG));
    for byte in [0, 4] {
        let mut value = value.clone();
        value[byte] = 1;
        assert_eq!(update(&key, &value, 0), Err(Errno::EINVAL), "a count or state of its own");
    }
    let deleted = inner.delete(&key).map_err(errno);
    assert_eq!(deleted, Err(if linked { Errno::EOPNOTSUPP } else { Errno::ENOENT }));
    attach();
    let now = inner.lookup(&key, 0).expect("readable");
    assert_eq!(now.len(), size);
    let state = u32::from_ne_bytes(now[4..8].try_into().expect("four bytes"));
    // Without a link the kernel has been given it: in use.
    assert_eq!(state, if linked || loaded.backend().name() == "user" { 3 } else { 1 });
    // Linux gives the programs' numbers where they stand.
    let functions = &map.def().struct_ops.as_ref().expect("a set").functions;
    for at in
        (8..size).filter(|at| !functions.iter().any(|(off, _)| (*off as usize..).take(8).any(|b| b == *at)))
    {
        assert_eq!(now[at], value[at], "byte {at}");
    }
    assert_eq!(update(&key, &value, 0), Err(Errno::EBUSY), "it never changes");
    if !linked {
        assert_eq!(inner.delete(&key).map_err(errno), Ok(()));
        assert_eq!(inner.delete(&key).map_err(errno), Err(Errno::EINPROGRESS));
        assert_eq!(update(&key, &value, 0), Err(Errno::EBUSY), "it stays deleted");
    }
}

#[test]
fn data_without_a_kernel() {
    if cfg!(target_endian = "big") {
        return;
    }
    let object = Object::open_for(OBJECT, &Target::running_kernel()).expect("a committed object");
    if let Some(e) = object.problems().first() {
        return println!("skipped: {e}");
    }
    // Without the kernel's types the maps are there, and what else the object has; its members are not verified.
    object.create_maps(&Backend::user()).expect("maps as data");
    let e = object.load(&Backend::user()).expect_err("it needs types");
    assert!(e.is_unsupported() && e.to_string().contains("without the kernel's types"), "{e}");
    let mut options = skep::user::UserOptions::default();
    options.environment.kernel_types = Target::running_kernel().kernel_types();
    let loaded = object.load(&Backend::user_with(options)).expect("maps as data, programs verified");
    let member = loaded.program("ssthresh").expect("it is there");
    let e = member.test_run(Default::default()).expect_err("nobody calls it here");
    assert!(e.is_unsupported(), "{e}");
    for (name, linked) in [("plain", false), ("linked", true)] {
        let e = loaded.attach_struct_ops(name).expect_err("there is no kernel in it");
        assert_eq!(e.kind(), ErrorKind::Unsupported);
        assert!(e.to_string().contains("there is no kernel here that its functions could serve"), "{e}");
        let map = loaded.map(name).expect("the object has it");
        let types =
            map.def().struct_ops.as_ref().and_then(|ops| ops.types.clone().map(|t| (t, ops.value_type_id)));
        as_data(&loaded, linked, || {
            let value = map.def().initial.clone().expect("numbers and the name");
            map.update(&0u32.to_ne_bytes(), &value, 0).expect("its first value");
        });
        let (btf, id) = types.expect("the kernel's own types");
        let entries = map.entries().expect("its only element");
        let text = skep::btf::print::tree(&btf, skep::btf::TypeId(id), &entries[0].1, &Default::default());
        let text = text.expect("a whole value").to_string();
        assert!(text.contains(&format!("skep_{name}")) && text.contains("STATE_"), "{text}");
    }
    let Ok(linux) = Backend::linux() else { return println!("skipped: no kernel to ask") };
    let _names = names();
    let loaded = object.load(&linux).expect("the kernel takes the programs");
    for (name, linked) in [("plain", false), ("linked", true)] {
        let mut link = None;
        as_data(&loaded, linked, || link = Some(loaded.attach_struct_ops(name).expect("a new name")));
    }
}
