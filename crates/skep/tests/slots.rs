//! Elements that the source fills: programs in program arrays, maps in maps of maps; and numbers of elements that
//! somebody else says.

use skep::spec::RunInput;
use skep::{Backend, ErrorKind, Loaded, Object};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../object/tests/fixtures/maps");

fn object(name: &str) -> Object {
    Object::open(format!("{FIXTURES}/{name}.bpf.o")).expect("a committed object")
}

fn linux() -> Option<Backend> {
    Backend::linux().map_err(|e| println!("skipped: {e}")).ok()
}

#[track_caller]
fn run(loaded: &Loaded, program: &str) -> i32 {
    let input = RunInput { data: &[0; 64], ..RunInput::default() };
    let program = loaded.program(program).expect("the object has it");
    program.test_run(input).expect("runs").retval as i32
}

#[test]
fn tail_calls_go_where_the_source_says() {
    if cfg!(target_endian = "big") {
        return;
    }
    for backend in [Some(Backend::user()), linux()].into_iter().flatten() {
        let loaded = object("progs").load(&backend).expect("loads");
        assert_eq!(run(&loaded, "entry"), 3, "{}", backend.name());
        let jumps = loaded.map("jumps").expect("the object has it");
        jumps.set_program(3, loaded.program("even").expect("the object has it")).expect("a slot");
        assert_eq!(run(&loaded, "entry"), 2, "{}", backend.name());
        assert!(jumps.delete(&3u32).expect("there is one"));
        assert_eq!(run(&loaded, "entry"), 1, "{}", backend.name());
        // The program alone brings those that its array names.
        let loaded = object("progs").load_program(&backend, "entry").expect("loads");
        assert_eq!(run(&loaded, "entry"), 3, "{}", backend.name());
    }
}

#[test]
fn inner_maps_are_where_the_source_says() {
    if cfg!(target_endian = "big") {
        return;
    }
    let Some(linux) = linux() else { return };
    let loaded = object("inner").load(&linux).expect("loads");
    let map = |name: &str| loaded.map(name).expect("the object has it");
    let held = |outer: &str| {
        let id = |i: u32| map(outer).get::<u32, u32>(&i).expect("a map of maps");
        (0..4).map(id).collect::<Vec<_>>()
    };
    let (first, second) = (Some(map("first").info().id), Some(map("second").info().id));
    assert_eq!(held("outer"), [None, first, None, second]);
    assert_eq!(held("filled"), [second, first, None, None]);
    assert_eq!(run(&loaded, "look"), 0);
    map("first").put(&1u32, &77u64).expect("an array");
    assert_eq!(run(&loaded, "look"), 77);
    // Another map in its place, then none.
    map("outer").set_map(&1u32.to_ne_bytes(), map("second")).expect("it looks like the inner map");
    assert_eq!(run(&loaded, "look"), 0);
    assert!(map("outer").delete(&1u32).expect("there is one"));
    assert_eq!(run(&loaded, "look"), -1);
    let e = map("outer").set_map(&0u32.to_ne_bytes(), map("hash")).expect_err("another type");
    assert!(e.to_string().contains("refuses map `hash`: it must agree"), "{e}");
    let e = map("outer").set_map(&9u32.to_ne_bytes(), map("first")).expect_err("outside");
    assert!(e.to_string().contains("no room for map `first`, it has 4 elements"), "{e}");
    let e = map("first").set_map(&0u32.to_ne_bytes(), map("second")).expect_err("a plain array");
    assert!(e.to_string().contains("`first` is no map of maps"), "{e}");
    let stranger = Backend::user().create_map(skep::spec::MapDef::clone(map("first").def())).expect("legal");
    let e = map("outer").set_map(&0u32.to_ne_bytes(), &stranger).expect_err("another backend");
    assert!(e.to_string().contains("belongs to another backend"), "{e}");
}

#[test]
fn max_entries_can_be_said_before_maps_are_made() {
    if cfg!(target_endian = "big") {
        return;
    }
    let mut object = object("progs");
    object.set_max_entries("jumps", 2).expect("the object has it");
    for backend in [Some(Backend::user()), linux()].into_iter().flatten() {
        // The source fills slot 3.
        let e = object.load(&backend).expect_err("no such slot");
        assert!(e.to_string().contains("jumps"), "{e}");
        object.set_max_entries("jumps", 9).expect("the object has it");
        let loaded = object.load(&backend).expect("loads");
        assert_eq!(loaded.map("jumps").expect("the object has it").info().max_entries, 9);
        assert_eq!(run(&loaded, "entry"), 3, "programs use the same map");
        object.set_max_entries("jumps", 2).expect("the object has it");
    }
    let e = object.set_max_entries("jump", 2).expect_err("no such map");
    assert_eq!(e.kind(), ErrorKind::NotFound);
    assert!(e.to_string().contains("no map `jump`; it has jumps, empty"), "{e}");
}
