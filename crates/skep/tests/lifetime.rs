//! How long things live, and what happens while others change them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use skep::abi::ArgKind;
use skep::spec::RunInput;
use skep::{Backend, Limits, Loaded, Map, Object, Program, TracepointLink, Vm};

skep::context! {
    /// A request.
    struct Request "request" { status: u32, latency_us: u64 }
}

const REQUEST: Request = Request { status: 200, latency_us: 5000 };

/// Counts its runs in an array.
const COUNTER: &str = ".license GPL
.map NAME type=array key=4 value=8 max_entries=1
.map NAME_seen type=hash key=4 value=8 max_entries=8
.map NAME_ring type=ringbuf key=0 value=0 max_entries=4096
.section raw_tp
count:
    r6 = 0
    *(u32 *)(r10 - 4) = r6
    r1 = map[NAME] ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r1 = 1
    lock *(u64 *)(r0 + 0) += r1
    r1 = map[NAME_seen] ll
    r2 = r10
    r2 += -4
    r3 = r0
    r4 = 0
    call bpf_map_update_elem
    r1 = map[NAME_ring] ll
    r2 = r10
    r2 += -4
    r3 = 4
    r4 = 0
    call bpf_ringbuf_output
out:
    r0 = 7
    exit
";

fn counter(name: &str) -> Object {
    Object::parse("counter.s", COUNTER.replace("NAME", name).as_bytes()).expect("assembles")
}

fn run(program: &Program) -> u32 {
    program.test_run(RunInput { ctx: &[0; 8], ..RunInput::default() }).expect("runs").retval
}

fn count(map: &Map) -> Option<u64> {
    map.get::<u32, u64>(&0).expect("reads")
}

/// Descriptors and mappings of this process that are memory of maps whose names begin so.
#[cfg(target_os = "linux")]
fn held(name: &str) -> (usize, usize) {
    let wanted = format!("skep:{name}");
    let fds = std::fs::read_dir("/proc/self/fd").expect("Linux").flatten();
    let fds = fds.filter_map(|e| std::fs::read_link(e.path()).ok());
    let maps = std::fs::read_to_string("/proc/self/maps").expect("Linux");
    let mappings = maps.lines().filter(|l| l.contains(&wanted)).count();
    (fds.filter(|l| l.to_string_lossy().contains(&wanted)).count(), mappings)
}

#[test]
fn a_program_outlives_its_loader() {
    let loaded = counter("loader").load(&Backend::user()).expect("accepted");
    let program = loaded.programs()[0].clone();
    let map = loaded.map("loader").expect("there").clone();
    drop(loaded);
    assert_eq!((run(&program), run(&program), count(&map)), (7, 7, Some(2)));
}

#[test]
fn maps_and_links_outlive_the_program() {
    let loaded = counter("handle").load(&Backend::user()).expect("accepted");
    let map = loaded.map("handle").expect("there").clone();
    run(&loaded.programs()[0]);
    drop(loaded);
    assert_eq!(count(&map), Some(1), "the map is there without programs");
    let vm = Vm::builder().tracepoint::<Request>("request").build().expect("small");
    let place = vm.tracepoint::<Request>("request").expect("told of");
    let text = b".section request\nmain: r0 = *(u64 *)(r1 + 8)\nexit\n";
    let loaded = vm.parse("main.s", text).expect("assembles").load(vm.backend()).expect("accepted");
    let link = place.attach(&loaded.programs()[0]).expect("its type");
    drop((loaded, vm));
    assert_eq!(place.fire(&REQUEST).runs, 1, "the link keeps the program and its machine");
    drop(link);
    assert_eq!(place.fire(&REQUEST).runs, 0);
}

#[cfg(target_os = "linux")]
#[test]
fn what_nobody_holds_is_given_back() {
    let (backend, object) = (Backend::user(), counter("flat"));
    let mut most = (0, 0);
    for round in 0..10_000 {
        let loaded = object.load(&backend).expect("accepted");
        let program = loaded.programs()[0].clone();
        assert_eq!(run(&program), 7);
        let map = loaded.map("flat").expect("there").clone();
        let reader = (round % 16 == 0).then(|| loaded.map("flat_ring").expect("there").ring_buffer());
        // In turn, each of them is the last to go.
        match round % 3 {
            0 => drop((loaded, program, map, reader)),
            1 => drop((map, reader, program, loaded)),
            _ => drop((program, loaded, reader, map)),
        }
        if round % 100 == 0 {
            let now = held("flat");
            most = (most.0.max(now.0), most.1.max(now.1));
        }
    }
    assert_eq!((most, held("flat")), ((0, 0), (0, 0)));
    let loaded = object.load(&backend).expect("accepted");
    let (fds, mappings) = held("flat");
    assert!(fds >= 3 && mappings >= 3, "the count sees what is alive: {fds} {mappings}");
    drop(loaded);
}

/// A program array keeps its programs; array and programs do not keep each other when both are dropped.
#[cfg(target_os = "linux")]
#[test]
fn program_arrays_are_no_knot() {
    let text = ".license GPL
.map knot type=prog_array key=4 value=4 max_entries=2
.section raw_tp
jump:
    r2 = map[knot] ll
    r3 = 0
    call bpf_tail_call
    r0 = 1
    exit
.section raw_tp
next:
    r0 = 2
    exit
";
    let (backend, object) = (Backend::user(), Object::parse("knot.s", text.as_bytes()).expect("assembles"));
    for round in 0..200 {
        let loaded = object.load(&backend).expect("accepted");
        let (jump, array) =
            (loaded.program("jump").expect("there").clone(), loaded.map("knot").expect("there").clone());
        assert_eq!(run(&jump), 1, "an empty slot falls through");
        array.set_program(0, loaded.program("next").expect("there")).expect("its type");
        // The array holds itself by the program in its other slot.
        array.set_program(1, &jump).expect("its type");
        drop(loaded);
        assert_eq!(run(&jump), 2, "the array keeps the program");
        if round % 2 == 0 {
            drop(array);
            assert_eq!(run(&jump), 1, "without the array's handle its slots are empty, as in Linux");
        } else {
            drop(jump);
            drop(array);
        }
    }
    assert_eq!(held("knot"), (0, 0));
}

/// Three programs take turns in a slot while others jump through it: each run sees one of them or an empty slot.
#[test]
fn a_program_array_changes_while_others_jump_through_it() {
    let mut text =
        ".license GPL\n.map table type=prog_array key=4 value=4 max_entries=1\n.section raw_tp\njump:\n\
        r2 = map[table] ll\nr3 = 0\ncall bpf_tail_call\nr0 = 100\nexit\n"
            .to_owned();
    for n in 0..3 {
        text.push_str(&format!(".section raw_tp\nnext{n}:\nr0 = {n}\nexit\n"));
    }
    let backend = Backend::user();
    let object = Object::parse("table.s", text.as_bytes()).expect("assembles");
    let loaded = object.load(&backend).expect("accepted");
    let (jump, table) = (loaded.program("jump").expect("there"), loaded.map("table").expect("there"));
    let stop = AtomicBool::new(false);
    let seen = [const { AtomicU64::new(0) }; 4];
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let at = match run(jump) {
                        100 => 3,
                        n @ 0..3 => n as usize,
                        other => panic!("{other}"),
                    };
                    seen[at].fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for round in 0..3000u32 {
            match round % 4 {
                3 => drop(table.delete(&0u32).expect("a slot")),
                n => {
                    // Loaded anew, and after the next change held by nobody: it may go while it runs.
                    let again = object.load_program(&backend, &format!("next{n}")).expect("accepted");
                    table.set_program(0, &again.programs()[0]).expect("its type");
                }
            }
        }
        // Slow machines: until each has been met.
        while seen.iter().any(|n| n.load(Ordering::Relaxed) == 0) {
            for n in 0..3 {
                table.set_program(0, loaded.program(&format!("next{n}")).expect("there")).expect("its type");
                std::thread::sleep(Duration::from_millis(1));
            }
            table.delete(&0u32).expect("a slot");
            std::thread::sleep(Duration::from_millis(1));
        }
        stop.store(true, Ordering::Relaxed);
    });
}

/// A body that runs another program, which calls a body again: all on the virtual CPU of the first, and none is lost
/// while more threads than virtual CPUs do the same.
#[test]
fn nested_runs_keep_their_virtual_cpu_among_many_threads() {
    static INNER: OnceLock<Program> = OnceLock::new();
    let vm = Vm::builder()
        .helper("nest", &[], |call| {
            let outer = call.vcpu();
            let cpu = INNER.get().expect("set").run(&mut [0; 16], Limits::default()).expect("runs");
            Ok(u64::from(cpu != u64::from(outer)))
        })
        .helper("leaf", &[], |call| Ok(call.vcpu().into()))
        .tracepoint::<Request>("request")
        .cpus(2)
        .build()
        .expect("few helpers");
    let text = ".section request\nouter: call nest\nexit\n.section request\ninner: call leaf\nexit\n";
    let loaded =
        vm.parse("nest.s", text.as_bytes()).expect("assembles").load(vm.backend()).expect("accepted");
    INNER.set(loaded.program("inner").expect("there").clone()).expect("once");
    let outer = loaded.program("outer").expect("there");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..500 {
                    let moved = outer.run(&mut [0; 16], Limits::default()).expect("runs");
                    assert_eq!(moved, 0, "the inner run had another virtual CPU");
                }
            });
        }
    });
}

/// Per-CPU values are of the virtual CPU alone: without any lock no increment is lost.
#[test]
fn per_cpu_counts_add_up() {
    let text = ".license GPL
.map counts type=percpu_array key=4 value=8 max_entries=1
.section request
count:
    r6 = 0
    *(u32 *)(r10 - 4) = r6
    r1 = map[counts] ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r1 = *(u64 *)(r0 + 0)
    r1 += 1
    *(u64 *)(r0 + 0) = r1
out:
    r0 = 0
    exit
";
    let vm = Vm::builder().tracepoint::<Request>("request").cpus(3).build().expect("small");
    let loaded =
        vm.parse("counts.s", text.as_bytes()).expect("assembles").load(vm.backend()).expect("accepted");
    let program = &loaded.programs()[0];
    std::thread::scope(|scope| {
        for _ in 0..7 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    program.run(&mut [0; 16], Limits::default()).expect("runs");
                }
            });
        }
    });
    let map = loaded.map("counts").expect("there");
    let values = map.get_per_cpu::<u32, u64>(&0).expect("reads").expect("an element");
    assert_eq!((values.iter().sum::<u64>(), values.len()), (14_000, 3));
}

/// Programs come and go at a tracepoint that fires on other threads, and one detaches itself while it runs.
#[test]
fn tracepoints_change_while_they_fire() {
    static OWN: std::sync::Mutex<Option<TracepointLink>> = std::sync::Mutex::new(None);
    let hits = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&hits);
    let vm = Vm::builder()
        .helper("hit", &[ArgKind::Anything], move |call| Ok(count.fetch_add(call.arg(0), Ordering::Relaxed)))
        .helper("detach", &[], |_| {
            drop(OWN.lock().expect("no panic").take());
            Ok(0)
        })
        .tracepoint::<Request>("request")
        .build()
        .expect("few helpers");
    let text = ".section request\nmain: r1 = 1\ncall hit\nexit\n.section request\nonce: call detach\nexit\n";
    let loaded: Loaded =
        vm.parse("main.s", text.as_bytes()).expect("assembles").load(vm.backend()).expect("accepted");
    let place = vm.tracepoint::<Request>("request").expect("told of");
    let main = loaded.program("main").expect("there");
    *OWN.lock().expect("no panic") =
        Some(place.attach(loaded.program("once").expect("there")).expect("its type"));
    assert_eq!((place.fire(&REQUEST).runs, place.fire(&REQUEST).runs), (1, 0));
    let stop = AtomicBool::new(false);
    let ran = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let fired = place.fire(&REQUEST);
                    assert!(fired.runs <= 4 && fired.faults == 0);
                    ran.fetch_add(fired.runs.into(), Ordering::Relaxed);
                }
            });
        }
        for _ in 0..200 {
            let links = [(); 4].map(|()| place.attach(main).expect("its type"));
            std::thread::yield_now();
            drop(links);
        }
        let link = place.attach(main).expect("its type");
        while ran.load(Ordering::Relaxed) == 0 {
            std::thread::yield_now();
        }
        drop(link);
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(place.fire(&REQUEST).runs, 0);
    assert_eq!(hits.load(Ordering::Relaxed), ran.load(Ordering::Relaxed));
}
