//! Values of maps where they stand, on both backends: programs and the host see each other's writes.

use std::sync::Arc;

use skep::abi::{MapFlags, MapType};
use skep::btf::{Builder, IntEncoding};
use skep::spec::{BackendMap, Errno, MapDef};
use skep::{Backend, Map, Object};

fn linux() -> Option<Backend> {
    match Backend::linux() {
        Ok(backend) => Some(backend),
        Err(e) => {
            println!("skipped: {e}");
            None
        }
    }
}

fn array(flags: u32) -> MapDef {
    let mut def = MapDef::new(MapType::ARRAY, 4, 20, 3).named("values");
    def.flags = MapFlags(flags);
    def
}

/// What views of arrays do alike on both backends.
fn arrays(backend: &Backend) {
    let map = backend.create_map(array(MapFlags::MMAPABLE)).expect("a legal map");
    let view = map.view(&1u32).expect("an array's elements are there");
    assert_eq!((view.len(), view.is_current()), (20, true));

    view.set(8, 40u64).expect("inside");
    assert_eq!(view.fetch_add(8, 2u64).expect("inside"), 40);
    view.set(16, -2i16).expect("inside");
    view.set(18, 0xabu8).expect("inside");
    let mut bytes = [0; 20];
    bytes[8..16].copy_from_slice(&42u64.to_ne_bytes());
    bytes[16..18].copy_from_slice(&(-2i16).to_ne_bytes());
    bytes[18] = 0xab;
    assert_eq!(map.lookup(&1u32.to_ne_bytes()).expect("it is there").as_deref(), Some(&bytes[..]));
    assert_eq!(map.get::<u32, [u8; 20]>(&0).expect("it is there"), Some([0; 20]), "nothing beside it");
    assert_eq!(map.get::<u32, [u8; 20]>(&2).expect("it is there"), Some([0; 20]), "nothing beside it");
    assert_eq!(view.get::<i16>(16).expect("inside"), -2);
    assert_eq!(view.to_vec().expect("readable"), bytes);

    // What an update writes is seen; what is written in pieces too.
    let counted: [u8; 20] = std::array::from_fn(|i| i as u8);
    map.put(&1u32, &counted).expect("an array takes it");
    assert_eq!(view.to_vec().expect("readable"), counted);
    for (from, to) in [(0, 20), (3, 17), (5, 6), (7, 7), (1, 20)] {
        view.write(from, &[0xee; 20][from..to]).expect("inside");
        let mut expected = counted;
        expected[from..to].fill(0xee);
        assert_eq!(map.get::<u32, [u8; 20]>(&1).expect("there"), Some(expected), "{from}..{to}");
        let mut part = vec![0; to - from];
        view.read(from, &mut part).expect("inside");
        assert_eq!(part, vec![0xee; to - from]);
        view.write(0, &counted).expect("inside");
    }

    let number = || view.get::<u32>(4).expect("inside");
    view.set(4, 0b1100u32).expect("inside");
    assert_eq!((view.fetch_or(4, 0b11u32).expect("inside"), number()), (0b1100, 0b1111));
    assert_eq!((view.fetch_and(4, 0b101u32).expect("inside"), number()), (0b1111, 0b101));
    assert_eq!((view.swap(4, 7u32).expect("inside"), number()), (0b101, 7));
    assert_eq!((view.compare_swap(4, 8u32, 9).expect("inside"), number()), (7, 7));
    assert_eq!((view.compare_swap(4, 7u32, 9).expect("inside"), number()), (7, 9));
    assert_eq!((view.fetch_add(4, u32::MAX).expect("inside"), number()), (9, 8));

    let errno = |e: skep::Error| e.errno().expect("a number of Linux");
    for off in [4, 13, 20, 24, usize::MAX - 3] {
        assert_eq!(view.get::<u64>(off).map_err(errno), Err(Errno::EINVAL), "8 bytes at {off}");
        assert_eq!(view.set(off, 1u64).map_err(errno), Err(Errno::EINVAL), "8 bytes at {off}");
    }
    assert_eq!(view.get::<u8>(20).map_err(errno), Err(Errno::EINVAL));
    assert_eq!(view.read(19, &mut [0; 2]).map_err(errno), Err(Errno::EINVAL));
    assert_eq!(view.write(19, &[0; 2]).map_err(errno), Err(Errno::EINVAL));
    assert_eq!(map.view(&3u32).map(drop).map_err(errno), Err(Errno::ENOENT));
    assert_eq!(map.view(&3u16).map(drop).map_err(errno), Err(Errno::EINVAL));
    drop(map);
    assert_eq!(view.get::<u32>(4).expect("the view keeps the memory"), 8);
}

/// Maps that are not written in place.
fn read_only(backend: &Backend) {
    let mut def = array(MapFlags::MMAPABLE);
    def.frozen = true;
    def.initial = Some(7u64.to_ne_bytes().to_vec());
    let view = backend.create_map(def).expect("a legal map").view(&0u32).expect("it is read");
    assert_eq!(view.get::<u64>(0).expect("it is read"), 7);
    let errno = |e: skep::Error| e.errno().expect("a number of Linux");
    assert_eq!(view.set(0, 8u64).map_err(errno), Err(Errno::EPERM));
    assert_eq!(view.fetch_add(0, 8u64).map_err(errno), Err(Errno::EPERM));
    assert_eq!(view.write(0, &[1]).map_err(errno), Err(Errno::EPERM));
    let map = backend.create_map(array(MapFlags::MMAPABLE | MapFlags::RDONLY_PROG)).expect("a legal map");
    let view = map.view(&0u32).expect("it is read");
    assert_eq!(view.set(0, 8u64).map_err(errno), Err(Errno::EACCES));
    assert_eq!(view.get::<u64>(0).expect("it is read"), 0);
}

/// A program adds 1 to both counters of the map while the host adds to the second.
fn with_a_program(backend: &Backend) {
    let text = b".license GPL
.map values type=array key=4 value=20 max_entries=3 flags=1024
.section socket
count:
    *(u32 *)(r10 - 4) = 2
    r1 = map[values] ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r1 = 1
    lock *(u64 *)(r0 + 0) += r1
    lock *(u64 *)(r0 + 8) += r1
out:
    r0 = 0
    exit
";
    let loaded = Object::parse("count.s", text).expect("it parses").load(backend).expect("it loads");
    let map = loaded.map("values").expect("the text has it");
    let view = map.view(&2u32).expect("it is mapped");
    let program = loaded.program("count").expect("the text has it");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..10_000 {
                view.fetch_add(8, 1u64).expect("inside");
            }
        });
        for _ in 0..100 {
            let input = skep::spec::RunInput { data: &[0; 64], repeat: 10, ..Default::default() };
            program.test_run(input).expect("it runs");
        }
    });
    assert_eq!(view.get::<u64>(0).expect("inside"), 1000);
    assert_eq!(view.get::<u64>(8).expect("inside"), 11_000);
}

fn unsupported(map: &Map) -> bool {
    map.view(&0u32).is_err_and(|e| e.is_unsupported())
}

#[test]
fn user() {
    let backend = Backend::user();
    arrays(&backend);
    read_only(&backend);
    with_a_program(&backend);
}

#[test]
fn kernel() {
    let Some(backend) = linux() else { return };
    arrays(&backend);
    read_only(&backend);
    with_a_program(&backend);
    let hash = backend.create_map(MapDef::new(MapType::HASH, 4, 8, 1)).expect("a legal map");
    assert!(unsupported(&hash), "values of hashes are not mapped");
    assert!(unsupported(&backend.create_map(array(0)).expect("a legal map")), "no BPF_F_MMAPABLE");
    // The kernel does not freeze what somebody may write.
    let map = backend.create_map(array(MapFlags::MMAPABLE)).expect("a legal map");
    let view = map.view(&0u32).expect("it is mapped");
    let inner: &Arc<dyn BackendMap> = map.backend_map();
    assert_eq!(inner.freeze().map_err(|e| e.errno), Err(Errno::EBUSY));
    drop(view);
    assert_eq!(inner.freeze(), Ok(()));
}

#[test]
fn hashes() {
    let backend = Backend::user();
    for (kind, flags) in [(MapType::HASH, 0), (MapType::HASH, MapFlags::NO_PREALLOC), (MapType::LRU_HASH, 0)]
    {
        let mut def = MapDef::new(kind, 4, 8, 4).named("ages");
        def.flags = MapFlags(flags);
        let map = backend.create_map(def).expect("a legal map");
        assert!(map.view(&7u32).is_err_and(|e| e.errno() == Some(Errno::ENOENT)));
        map.put(&7u32, &42u64).expect("there is room");
        let view = map.view(&7u32).expect("it is there");
        assert_eq!(view.fetch_add(0, 1u64).expect("inside"), 42);
        assert_eq!(map.get::<u32, u64>(&7).expect("readable"), Some(43));
        map.put(&8u32, &1u64).expect("there is room");
        assert!(view.is_current(), "another element changes nothing");
        assert!(map.delete(&7u32).expect("it may be deleted"));
        assert!(!view.is_current(), "the element has gone");
        view.set(0, 5u64).expect("the memory has not");
        assert_eq!(map.get::<u32, u64>(&8).expect("readable"), Some(1));
    }
}

#[test]
fn each_cpu_has_its_own() {
    let backend = Backend::user();
    for kind in [MapType::PERCPU_ARRAY, MapType::PERCPU_HASH] {
        let map = backend.create_map(MapDef::new(kind, 4, 8, 2).named("each")).expect("a legal map");
        let cpus = map.split(&map.lookup(&1u32.to_ne_bytes()).expect("readable").unwrap_or_default()).count();
        let cpus = if cpus == 0 { backend_cpus(&map) } else { cpus };
        map.put(&1u32, &vec![0u8; 8 * cpus]).expect("there is room");
        assert!(map.view(&1u32).is_err_and(|e| e.errno() == Some(Errno::EINVAL)), "which CPU's?");
        for cpu in 0..cpus as u32 {
            map.view_on_cpu(&1u32, cpu).expect("it has one").set(0, u64::from(cpu) + 1).expect("inside");
        }
        let all = map.get_per_cpu::<u32, u64>(&1).expect("readable");
        assert_eq!(all, Some((1..=cpus as u64).collect()));
        let none = map.view_on_cpu(&1u32, cpus as u32);
        assert!(none.is_err_and(|e| e.errno() == Some(Errno::EINVAL)), "no such CPU");
    }
}

/// How many values a per-CPU hash wants, by asking.
fn backend_cpus(map: &Map) -> usize {
    let takes = |n: &usize| map.put(&1u32, &vec![0u8; 8 * n]).is_ok();
    (1..=4096).find(takes).expect("a number of CPUs")
}

#[test]
fn kinds_without_values_in_place() {
    let backend = Backend::user();
    let queue = backend.create_map(MapDef::new(MapType::QUEUE, 0, 4, 2)).expect("a legal map");
    assert!(queue.view(&[0u8; 0]).is_err_and(|e| e.is_unsupported()));
}

#[test]
fn fields_of_programs_are_left_alone() {
    let mut b = Builder::new();
    let int = b.int("int", 4, IntEncoding::Signed);
    let long = b.int("long", 8, IntEncoding::Signed);
    let lock = b.structure("bpf_spin_lock", 4, &[("val", int, 0)]);
    let timer = b.structure("bpf_timer", 16, &[("a", long, 0), ("b", long, 64)]);
    let members =
        [("lock", lock, 0), ("n", int, 32), ("timer", timer, 64), ("a", long, 192), ("b", long, 256)];
    let value = b.structure("value", 40, &members);
    let btf = Some(Arc::new(b.finish().expect("legal types")));
    let def = MapDef { btf, value_btf_id: value.0, ..MapDef::new(MapType::ARRAY, 4, 40, 2) };
    let map = Backend::user().create_map(def).expect("a legal map");
    let view = map.view(&1u32).expect("an array");
    assert_eq!(view.len(), 40);
    view.write(0, &[0xff; 40]).expect("all but the fields");
    let mut bytes = [0; 40];
    bytes[4..8].fill(0xff);
    bytes[24..].fill(0xff);
    assert_eq!(view.to_vec().expect("readable"), bytes);
    assert_eq!(map.lookup(&1u32.to_ne_bytes()).expect("readable").as_deref(), Some(&bytes[..]));
    // Not even what the fields hold was written: each piece ends where one begins.
    for (from, to) in [(0, 40), (2, 6), (3, 9), (5, 30), (10, 12), (24, 33)] {
        view.write(from, &[1; 40][from..to]).expect("inside");
        let mut part = vec![9; to - from];
        view.read(from, &mut part).expect("inside");
        let expected: Vec<u8> = (from..to).map(|at| u8::from(matches!(at, 4..8 | 24..40))).collect();
        assert_eq!(part, expected, "{from}..{to}");
    }
    for off in [0, 3, 8, 15, 16, 23] {
        let refused = |e: skep::Error| e.errno() == Some(Errno::EPERM);
        assert!(view.get::<u8>(off).is_err_and(refused), "byte {off}");
        assert!(view.set(off, 1u8).is_err_and(refused), "byte {off}");
        assert!(view.fetch_add(off / 8 * 8, 1u64).is_err_and(refused), "8 bytes at {off}");
    }
    // Updates take the lock, which is still free.
    map.update(&1u32.to_ne_bytes(), &[2; 40], skep::abi::UpdateFlags::LOCK).expect("nobody holds it");
    assert_eq!(
        (view.get::<u32>(4).expect("free"), view.get::<u64>(32).expect("free")),
        (0x0202_0202, 0x0202_0202_0202_0202)
    );
}
