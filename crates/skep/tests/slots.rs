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
    for backend in [Some(Backend::user()), linux()].into_iter().flatten() {
        let who = backend.name();
        let loaded = object("inner").load(&backend).expect("loads");
        let map = |name: &str| loaded.map(name).expect("the object has it");
        let held = |outer: &str| {
            let id = |i: u32| map(outer).get::<u32, u32>(&i).expect("a map of maps");
            (0..4).map(id).collect::<Vec<_>>()
        };
        let (first, second) = (Some(map("first").info().id), Some(map("second").info().id));
        assert_eq!(held("outer"), [None, first, None, second], "{who}");
        assert_eq!(held("filled"), [second, first, None, None], "{who}");
        let maps = object("inner").create_maps(&backend).expect("maps");
        let outer = maps.map("outer").expect("there").entries().expect("a map of maps");
        let second = maps.map("second").expect("there").info().id.to_ne_bytes();
        assert_eq!(outer.len(), 2, "maps alone are filled, too: {who}");
        assert_eq!(outer[1], (3u32.to_ne_bytes().to_vec(), second.to_vec()), "{who}");
        assert_eq!(run(&loaded, "look"), 0, "{who}");
        map("first").put(&1u32, &77u64).expect("an array");
        assert_eq!(run(&loaded, "look"), 77, "{who}");
        // Another map in its place, then none.
        map("outer").set_map(&1u32.to_ne_bytes(), map("second")).expect("it looks like the inner map");
        assert_eq!(run(&loaded, "look"), 0, "{who}");
        assert!(map("outer").delete(&1u32).expect("there is one"), "{who}");
        assert_eq!(run(&loaded, "look"), -1, "{who}");
        let e = map("outer").set_map(&0u32.to_ne_bytes(), map("hash")).expect_err("another type");
        assert!(e.to_string().contains("refuses map `hash`: it must agree"), "{e}");
        let e = map("outer").set_map(&9u32.to_ne_bytes(), map("first")).expect_err("outside");
        assert!(e.to_string().contains("no room for map `first`, it has 4 elements"), "{e}");
        let e = map("first").set_map(&0u32.to_ne_bytes(), map("second")).expect_err("a plain array");
        assert!(e.to_string().contains("no map of maps"), "{e}");
        let stranger =
            Backend::user().create_map(skep::spec::MapDef::clone(map("first").def())).expect("legal");
        let e = map("outer").set_map(&0u32.to_ne_bytes(), &stranger).expect_err("another backend");
        assert!(e.to_string().contains("belongs to another backend"), "{e}");
        let e = map("outer").put(&0u32, &u32::MAX).expect_err("a number is no map");
        assert!(
            matches!(e.errno(), Some(skep::spec::Errno::EBADF | skep::spec::Errno::EINVAL)),
            "{who}: {e}"
        );
    }
}

/// The same answers from an object of the corpus that is compared with libbpf, as its maps fill.
#[test]
fn maps_of_maps_by_index_and_by_key() {
    if cfg!(target_endian = "big") {
        return;
    }
    for backend in [Some(Backend::user()), linux()].into_iter().flatten() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../object/tests/fixtures/corpus/inner_maps.bpf.o");
        let loaded = Object::open(path).expect("a committed object").load(&backend).expect("loads");
        let map = |name: &str| loaded.map(name).expect("the object has it");
        assert_eq!(run(&loaded, "use"), 1, "{}", backend.name());
        map("by_index").set_map(&0u32.to_ne_bytes(), map("two")).expect("it fits");
        map("two").put(&0u32, &9u64).expect("an array");
        assert_eq!(run(&loaded, "use"), 9, "{}", backend.name());
        assert!(map("by_index").delete(&0u32).expect("there is one"));
        let def = map("by_key").def().inner.as_deref().expect("it says so").clone();
        let inner = backend.create_map(def.named("inner")).expect("legal");
        map("by_key").set_map(&0u64.to_ne_bytes(), &inner).expect("it fits");
        assert_eq!(run(&loaded, "use"), 1, "an empty hash: {}", backend.name());
        let bytes = vec![0; inner.info().value_size as usize];
        inner.update(&0u32.to_ne_bytes(), &bytes, 0).expect("room");
        assert_eq!(run(&loaded, "use"), 0, "{}", backend.name());
    }
}

/// A map that nobody else holds lives in its slot, also when the handle on the map of maps is gone.
#[test]
fn a_slot_keeps_its_map() {
    if cfg!(target_endian = "big") {
        return;
    }
    let backend = Backend::user();
    let loaded = object("inner").load(&backend).expect("loads");
    let def = skep::spec::MapDef::clone(loaded.map("first").expect("there").def());
    let program = {
        let own = backend.create_map(def).expect("legal");
        own.put(&1u32, &5u64).expect("an array");
        loaded.map("outer").expect("there").set_map(&1u32.to_ne_bytes(), &own).expect("it fits");
        loaded.program("look").expect("there").clone()
    };
    let run = || program.test_run(RunInput { data: &[0; 64], ..RunInput::default() }).expect("runs").retval;
    assert_eq!(run(), 5);
    drop(loaded);
    assert_eq!(run(), 5);
}

#[test]
fn an_arena_has_its_variables() {
    if cfg!(target_endian = "big") {
        return;
    }
    arena_of(&Backend::user());
    let Some(linux) = linux() else { return };
    arena_of(&linux);
}

fn arena_of(backend: &Backend) {
    let loaded = object("arena").load(backend).expect("loads");
    let arena = loaded.map("arena").expect("the object has it");
    if let Some(kernel) = arena.backend_map().as_any().downcast_ref::<skep::linux::LinuxMap>() {
        assert_eq!(kernel.arena_address(), Some(1 << 44));
    }
    let btf = arena.def().btf.as_ref().expect("types");
    let skep::btf::Type::Datasec { entries, .. } = btf
        .find_by_name(Some(skep::btf::Kind::Datasec), ".addr_space.1")
        .and_then(|id| btf.ty(id))
        .expect("variables")
    else {
        unreachable!("found as one")
    };
    let at = |name: &str| {
        let named = |e: &&skep::btf::DatasecEntry| btf.name(e.ty) == Some(name);
        u64::from(entries.iter().find(named).expect("a variable").off_bytes)
    };
    let read = |off| arena.read_arena(off, 8).expect("memory");
    assert_eq!(read(at("counter")), 40u64.to_ne_bytes());
    let run = |loaded: &Loaded| {
        let program = loaded.program("count").expect("the object has it");
        program.test_run(RunInput::default()).expect("runs").retval
    };
    assert_eq!(run(&loaded), 42);
    assert_eq!(read(at("counter")), 42u64.to_ne_bytes());
    assert_eq!(read(at("numbers"))[4..], 7u32.to_ne_bytes());
    arena.write_arena(at("counter"), &100u64.to_ne_bytes()).expect("memory");
    arena.write_arena(at("numbers") + 4 * 1499, &1000u32.to_ne_bytes()).expect("memory");
    assert_eq!(run(&loaded), 1102);
    assert_eq!(arena.read_arena(400_000, 9600).expect("a page that nobody has touched"), vec![0; 9600]);
    // Refused before the kernel is asked, which knows of other memory behind it.
    for (off, len) in [(400_000, 9601), (u64::MAX, 1), (409_600, 1), (u64::MAX - 3, 8)] {
        let e = arena.read_arena(off, len).expect_err("409,600 bytes are 100 pages");
        assert_eq!(e.errno(), Some(skep::spec::Errno::EINVAL), "{e}");
        let e = arena.write_arena(off, &vec![1; len]).expect_err("nor written");
        assert_eq!(e.errno(), Some(skep::spec::Errno::EINVAL), "{e}");
    }
    if backend.name() != "linux" {
        return;
    }
    let linux = backend;
    // The place is taken while this one lives.
    let e = object("arena").load(linux).expect_err("the same address");
    assert!(e.to_string().contains("there is other memory at 0x100000000000+0x64000"), "{e}");
    drop(loaded);
    object("arena").load(linux).expect("free again");
    // Memory that does not come by itself is not written, and nobody dies of it.
    let def = skep::spec::MapDef {
        flags: skep::abi::MapFlags(1 << 10 | 1 << 17),
        initial: Some(vec![1]),
        ..skep::spec::MapDef::new(skep::abi::MapType::ARENA, 0, 0, 1).named("bare")
    };
    let e = linux.create_map(def).expect_err("no memory");
    assert_eq!(e.errno(), Some(skep::spec::Errno::EFAULT), "{e}");
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
