//! What an embedder adds, and how long things live.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use skep::abi::{ArgKind, MemAccess, ReturnRange};
use skep::verifier::{Options, verify};
use skep::{EMBEDDER_HELPERS, Error, Limits, Loaded, Program, Record, Vm};

skep::context! {
    /// A request.
    struct Request "request" { status: u32, latency_us: u64 }
}

const COUNTER: &str = ".license GPL
.map slow type=array key=4 value=8 max_entries=1
.section request
count:
    r1 = *(u64 *)(r1 + 8)
    call is_slow
    if r0 == 0 goto out
    r1 = 0
    *(u32 *)(r10 - 4) = r1
    r1 = map[slow] ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r1 = 1
    lock *(u64 *)(r0 + 0) += r1
out:
    r0 = 0
    exit
";

fn vm() -> Vm {
    Vm::builder()
        .helper("is_slow", &[ArgKind::Anything], |call| Ok((call.arg(0) > 1000).into()))
        .helper("sum", &[ArgKind::Mem(MemAccess::Read), ArgKind::Size], |call| {
            let mut bytes = [0; 16];
            let len = (call.arg(1) as usize).min(bytes.len());
            call.read(call.arg(0), &mut bytes[..len])?;
            Ok(bytes[..len].iter().map(|&b| u64::from(b)).sum())
        })
        .helper("fill", &[ArgKind::FixedMem(MemAccess::Write, 4)], |call| {
            call.write(call.arg(0), b"skep")?;
            Ok(0)
        })
        .program_type("rule", Request::CONTEXT, ReturnRange::Within(0, 1))
        .tracepoint::<Request>("request")
        .build()
        .expect("few helpers")
}

fn load(vm: &Vm, text: &str) -> Result<Loaded, Error> {
    vm.parse("test.s", text.as_bytes())?.load(vm.backend())
}

fn image(request: &Request) -> Vec<u8> {
    let mut image = vec![0; Request::CONTEXT.size as usize];
    request.write(&mut image);
    image
}

fn run(program: &Program, limits: Limits) -> Result<u64, Error> {
    program.run(&mut image(&Request { status: 200, latency_us: 5000 }), limits)
}

fn why(vm: &Vm, text: &str) -> String {
    let error = load(vm, text).expect_err("the verifier refuses it");
    assert!(error.is_rejected(), "{error}");
    error.to_string()
}

#[test]
fn helpers_read_and_write_the_memory_of_the_program() {
    let vm = vm();
    let text =
        ".section request\nmain: r1 = r10\nr1 += -4\ncall fill\nr1 = r10\nr1 += -4\nr2 = 4\ncall sum\nexit\n";
    let loaded = load(&vm, text).expect("accepted");
    let sum: u64 = b"skep".iter().map(|&b| u64::from(b)).sum();
    assert_eq!(run(&loaded.programs()[0], Limits::default()).expect("runs"), sum);
}

#[test]
fn misuse_is_refused_in_the_embedders_words() {
    let vm = vm();
    // No size, a number for memory, a helper that does not exist, a field that does not exist, a store.
    let text = ".section request\nmain: r2 = 8\nr1 = 7\ncall sum\nexit\n";
    assert!(why(&vm, text).contains("R1"), "{}", why(&vm, text));
    let unknown = format!(".section request\nmain: call {}\nexit\n", EMBEDDER_HELPERS + 60);
    assert!(why(&vm, &unknown).contains("invalid func unknown"), "{}", why(&vm, &unknown));
    assert!(why(&vm, ".section request\nmain: r0 = *(u64 *)(r1 + 16)\nexit\n").contains("off=16"));
    why(&vm, ".section request\nmain: r0 = 0\n*(u64 *)(r1 + 8) = r0\nexit\n");
    // Its program type says what it may return, and other types do not have its helpers.
    why(&vm, ".section rule\nmain: r0 = 2\nexit\n");
    let socket = why(&vm, ".section socket\nmain: r1 = 1\ncall is_slow\nexit\n");
    assert!(socket.contains("is_slow"), "{socket}");
}

#[test]
fn a_helper_that_the_host_lacks_is_no_program() {
    let other = Vm::builder().tracepoint::<Request>("request").build().expect("nothing special");
    let object = vm().parse("count.s", COUNTER.as_bytes()).expect("assembles");
    assert!(object.load(other.backend()).expect_err("no such helper").is_rejected());
}

#[test]
fn fuel_and_time_bound_a_run() {
    let vm = vm();
    let text = ".section request\nmain: r1 = 0\nloop: r1 += 1\nif r1 < 200000 goto loop\nr0 = 0\nexit\n";
    let loaded = load(&vm, text).expect("a bounded loop");
    let program = &loaded.programs()[0];
    assert_eq!(run(program, Limits::default()).expect("ends"), 0);
    let error = run(program, Limits { fuel: Some(1000), time: None }).expect_err("not enough");
    assert_eq!(error.errno(), Some(skep::spec::Errno::ETIMEDOUT), "{error}");
    let late = Limits { time: Some(Duration::ZERO), ..Limits::default() };
    assert!(run(program, late).expect_err("no time").to_string().contains("deadline"));
}

#[test]
fn tracepoints_run_what_is_attached_and_maps_are_read_meanwhile() {
    let vm = vm();
    let loaded = load(&vm, COUNTER).expect("accepted");
    let request = vm.tracepoint::<Request>("request").expect("told of");
    assert!(vm.tracepoint::<Request>("another").is_err());
    let rule = load(&vm, ".section rule\nmain: r0 = 1\nexit\n").expect("accepted");
    assert!(request.attach(&rule.programs()[0]).is_err(), "another type");
    let links = [(); 2].map(|()| request.attach(&loaded.programs()[0]).expect("its type"));
    assert_eq!(request.fire(&Request { status: 200, latency_us: 5000 }).runs, 2);
    assert_eq!(request.fire(&Request { status: 200, latency_us: 10 }).runs, 2);
    let map = loaded.map("slow").expect("the text has it").clone();
    assert_eq!(map.get::<u32, u64>(&0).expect("reads"), Some(2));
    // The links keep programs and maps; dropping the loader changes nothing.
    drop(loaded);
    assert_eq!(request.fire(&Request { status: 500, latency_us: 5000 }).runs, 2);
    drop(links);
    assert_eq!(request.fire(&Request { status: 500, latency_us: 5000 }).runs, 0);
    assert_eq!(map.get::<u32, u64>(&0).expect("reads"), Some(4));
}

/// A record of other fields would be read at the wrong places, a longer one is more than a fire has room for.
#[test]
fn a_tracepoint_is_of_one_record() {
    skep::context! { struct Other "request" { latency_us: u64, status: u32 } }
    let error = vm().tracepoint::<Other>("request").expect_err("other fields");
    assert!(error.to_string().contains("other fields"), "{error}");
    struct Long;
    impl Record for Long {
        const CONTEXT: skep::abi::Context = skep::abi::Context { size: 4096, ..<Request as Record>::CONTEXT };
        fn write(&self, _: &mut [u8]) {}
    }
    assert!(vm().tracepoint::<Long>("request").is_err());
    assert!(Vm::builder().tracepoint::<Long>("long").build().is_err());
}

#[test]
fn names_that_are_taken_are_refused() {
    let taken = |builder: skep::VmBuilder| builder.build().expect_err("taken").to_string();
    let helper = |name| Vm::builder().helper("mine", &[], |_| Ok(0)).helper(name, &[], |_| Ok(1));
    assert!(taken(helper("mine")).contains("mine"));
    assert!(taken(helper("bpf_map_lookup_elem")).contains("bpf_map_lookup_elem"));
    assert!(taken(Vm::builder().tracepoint::<Request>("a").tracepoint::<Request>("a")).contains("`a`"));
    assert!(taken(Vm::builder().tracepoint::<Request>("xdp")).contains("xdp"));
}

#[test]
fn a_nested_run_keeps_the_virtual_cpu() {
    let inner: Arc<OnceLock<Program>> = Arc::default();
    let seen = Arc::new(AtomicU64::new(u64::MAX));
    let (program, cpu) = (Arc::clone(&inner), Arc::clone(&seen));
    let vm = Vm::builder()
        .helper("nest", &[], move |call| {
            let mut image = [0; 16];
            let result = program.get().expect("set").run(&mut image, Limits::default()).expect("runs");
            cpu.store(u64::from(call.vcpu()), Ordering::SeqCst);
            Ok(result)
        })
        .tracepoint::<Request>("request")
        .cpus(1)
        .build()
        .expect("few helpers");
    let text = ".section request\nouter: call nest\nexit\n.section request\ninner: call bpf_get_smp_processor_id\nexit\n";
    let loaded = load(&vm, text).expect("accepted");
    inner.set(loaded.program("inner").expect("there").clone()).expect("once");
    // With one virtual CPU a nested run that wanted another would wait for ever.
    assert_eq!(run(loaded.program("outer").expect("there"), Limits::default()).expect("runs"), 0);
    assert_eq!(seen.load(Ordering::SeqCst), 0);
}

#[test]
fn a_nested_run_has_a_stack_of_its_own_and_a_later_one_finds_zeros() {
    let inner: Arc<OnceLock<Program>> = Arc::default();
    let program = Arc::clone(&inner);
    let vm = Vm::builder()
        .helper("nest", &[], move |_| {
            let mut image = [0; 16];
            Ok(program.get().expect("set").run(&mut image, Limits::default()).expect("runs"))
        })
        .tracepoint::<Request>("request")
        .build()
        .expect("few helpers");
    // Each gives what it finds on the stack, then leaves other bytes there.
    let text = ".section request
outer:
    r6 = *(u64 *)(r10 - 16)
    *(u64 *)(r10 - 8) = 7
    *(u64 *)(r10 - 16) = 8
    call nest
    r0 <<= 8
    r1 = *(u64 *)(r10 - 8)
    r0 += r1
    r0 += r6
    exit
.section request
inner:
    r0 = *(u64 *)(r10 - 8)
    r1 = *(u64 *)(r10 - 16)
    r0 += r1
    *(u64 *)(r10 - 8) = 9
    *(u64 *)(r10 - 16) = 9
    exit
";
    let loaded = load(&vm, text).expect("accepted");
    inner.set(loaded.program("inner").expect("there").clone()).expect("once");
    for _ in 0..3 {
        assert_eq!(run(loaded.program("outer").expect("there"), Limits::default()).expect("runs"), 7);
        assert_eq!(run(loaded.program("inner").expect("there"), Limits::default()).expect("runs"), 0);
    }
}

#[test]
fn more_threads_than_virtual_cpus_lose_no_count() {
    let vm = Vm::builder()
        .helper("is_slow", &[ArgKind::Anything], |_| Ok(1))
        .tracepoint::<Request>("request")
        .cpus(2)
        .build()
        .expect("few helpers");
    let loaded = load(&vm, COUNTER).expect("accepted");
    let request = vm.tracepoint::<Request>("request").expect("told of");
    let link = request.attach(&loaded.programs()[0]).expect("its type");
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    assert_eq!(request.fire(&Request { status: 1, latency_us: 1 }).runs, 1);
                }
            });
        }
    });
    drop(link);
    assert_eq!(loaded.map("slow").expect("there").get::<u32, u64>(&0).expect("reads"), Some(12_000));
}

/// Descriptors of this process that are map memory of a test's own name.
#[cfg(target_os = "linux")]
fn descriptors(name: &str) -> usize {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return 0 };
    let links = entries.flatten().filter_map(|e| std::fs::read_link(e.path()).ok());
    links.filter(|l| l.to_string_lossy().contains(name)).count()
}

#[cfg(target_os = "linux")]
#[test]
fn dropping_all_gives_the_memory_back() {
    let vm = vm();
    let text = COUNTER.replace("slow ", "leak_test ").replace("[slow]", "[leak_test]");
    let object = vm.parse("leak.s", text.as_bytes()).expect("assembles");
    let request = vm.tracepoint::<Request>("request").expect("told of");
    for round in 0..1000 {
        let loaded = object.load(vm.backend()).expect("accepted");
        let link = request.attach(&loaded.programs()[0]).expect("its type");
        if round == 0 {
            assert!(descriptors("leak_test") > 0, "the map's memory has its name");
        }
        drop(loaded);
        assert_eq!(request.fire(&Request { status: 1, latency_us: 5000 }).runs, 1);
        drop(link);
    }
    assert_eq!(descriptors("leak_test"), 0);
}

/// `SEC("rules/d")` of a compiled object: its section's name says the embedder's type, before and after the `/`.
#[test]
fn sections_of_compiled_objects_name_the_embedders_types() {
    let bytes = std::fs::read("../../examples/syscall/syscall.bpf.o").expect("the example");
    // What the compiler would have written for another SEC(): the name is as long.
    let (from, to) = (b"syscall\0", b"rules/d\0");
    let mut renamed = bytes.clone();
    let places: Vec<usize> = (0..bytes.len()).filter(|&i| bytes[i..].starts_with(from)).collect();
    assert!(!places.is_empty());
    places.into_iter().for_each(|i| renamed[i..i + to.len()].copy_from_slice(to));
    let ctx = skep::abi::Context {
        name: "division",
        size: 32,
        shape: skep::abi::CtxShape::Buffer { from: 0, writable: true },
    };
    let vm = Vm::builder().program_type("rules", ctx, ReturnRange::Any).build().expect("one type");
    let object = vm.parse("rules.bpf.o", &renamed).expect("good");
    let spec = object.only_program().expect("its type is known");
    assert_eq!((spec.section.as_str(), spec.attach_target.as_deref()), ("rules/d", Some("d")));
    let loaded = object.load(vm.backend()).expect("accepted");
    let mut args: Vec<u8> = [12u64, 18, 0, 0].iter().flat_map(|v| v.to_ne_bytes()).collect();
    assert_eq!(loaded.programs()[0].run(&mut args, Limits::default()).expect("runs"), 0);
    assert_eq!(args[16..24], 6u64.to_ne_bytes());
    // Without the embedder nobody knows the section; the rest of the file is fine.
    let plain = skep::Object::parse("rules.bpf.o", &renamed).expect("good");
    let error = plain.program("divide").expect_err("no such type").to_string();
    assert!(error.contains("rules/d"), "{error}");
    // A longer name is another one.
    let text = b".section rulesets\nmain: r0 = 0\nexit\n";
    assert!(vm.parse("a.s", text).expect("assembles").only_program().is_err());
    let text = b".section rules/x\nmain: r0 = 0\nexit\n";
    assert!(vm.parse("a.s", text).expect("assembles").only_program().is_ok());
}

#[test]
fn listings_and_refusals_have_the_embedders_names() {
    let vm = vm();
    let loaded = load(&vm, COUNTER).expect("accepted");
    let listing = loaded.programs()[0].listing();
    assert!(listing.contains(&format!("call is_slow#{EMBEDDER_HELPERS}\n")), "{listing}");
    assert!(listing.contains("call bpf_map_lookup_elem#1\n"), "{listing}");
    // The log of a refusal, instruction by instruction.
    let text = ".section request\nmain: r1 = 1\ncall is_slow\nr0 = *(u64 *)(r0 + 0)\nexit\n";
    let object = vm.parse("bad.s", text.as_bytes()).expect("assembles");
    let spec = object.only_program().expect("one");
    let options = Options { log_level: 2, ..Options::default() };
    let Err(rejection) = verify(spec, &vm.backend().environment(), &options) else {
        panic!("a number is no address")
    };
    assert!(rejection.log().contains(&format!("call is_slow#{EMBEDDER_HELPERS}")), "{}", rejection.log());
}

/// A machine whose helpers work on maps.
fn with_maps() -> Vm {
    use skep::abi::ArgKind::Map;
    Vm::builder()
        // The value of key 1, or 1000.
        .helper("peek", &[Map], |call| {
            let mut value = [0; 8];
            let found = call.map_lookup(0, &1u32.to_ne_bytes(), &mut value)?;
            Ok(if found { u64::from_ne_bytes(value) } else { 1000 })
        })
        .helper("poke", &[Map, ArgKind::Anything], |call| {
            let value = call.arg(1).to_ne_bytes();
            call.map_update(0, &1u32.to_ne_bytes(), &value, 0)
        })
        .helper("forget", &[Map], |call| call.map_delete(0, &1u32.to_ne_bytes()))
        .helper("tell", &[Map, ArgKind::Anything], |call| {
            let name = call.map_name(0).unwrap_or("?").to_owned();
            let record = format!("{name} {}", call.arg(1));
            call.ringbuf_output(0, record.as_bytes(), 0)
        })
        // Sizes that no map here has.
        .helper("misfit", &[Map], |call| {
            let short = call.map_update(0, &[1; 4], &[0; 4], 0)?;
            let found = call.map_lookup(0, &[1; 3], &mut [0; 8])?;
            Ok(u64::from(short as i64 == -22 && !found && call.map_delete(0, &[])? as i64 == -22))
        })
        .helper("too_long", &[Map], |call| {
            call.map_lookup(0, &1u32.to_ne_bytes(), &mut [0; 9]).map(u64::from)
        })
        .tracepoint::<Request>("request")
        .build()
        .expect("few helpers")
}

#[test]
fn helpers_work_on_the_maps_that_programs_give_them() {
    let vm = with_maps();
    for kind in ["array", "hash", "lru_hash", "percpu_array", "percpu_hash"] {
        let text = format!(
            ".license GPL\n.map values type={kind} key=4 value=8 max_entries=2\n.section request\nmain:\n\
             r1 = map[values] ll\nr2 = 7\ncall poke\nif r0 != 0 goto out\n\
             r1 = map[values] ll\ncall peek\nr6 = r0\nr1 = map[values] ll\ncall forget\n\
             r1 = map[values] ll\ncall peek\nr0 *= 10\nr0 += r6\nout: exit\n"
        );
        let loaded = load(&vm, &text).unwrap_or_else(|e| panic!("{kind}: {e}"));
        let sum = run(&loaded.programs()[0], Limits::default()).expect("runs");
        // Elements of arrays stay.
        let after = if kind.contains("array") { 7 } else { 1000 };
        assert_eq!(sum, after * 10 + 7, "{kind}");
    }
}

#[test]
fn helpers_write_to_ring_buffers() {
    let vm = with_maps();
    let text = ".license GPL\n.map ring type=ringbuf key=0 value=0 max_entries=4096\n.section request\nmain:\n\
        r1 = map[ring] ll\nr2 = 42\ncall tell\nexit\n";
    let loaded = load(&vm, text).expect("accepted");
    let mut reader = loaded.map("ring").expect("there").ring_buffer().expect("a ring buffer");
    assert_eq!(run(&loaded.programs()[0], Limits::default()).expect("runs"), 0);
    let mut records = Vec::new();
    reader.poll(|r| records.push(r.to_vec())).expect("good positions");
    assert_eq!(records, [b"ring 42".to_vec()]);
}

#[test]
fn maps_that_a_helper_cannot_use_are_refused() {
    let vm = with_maps();
    let program = |map: &str, helper: &str| {
        format!(
            ".license GPL\n.map m {map}\n.section request\nmain: r1 = map[m] ll\nr2 = 0\ncall {helper}\nexit\n"
        )
    };
    let hash = "type=hash key=4 value=8 max_entries=2";
    // A program array has neither values nor records; a number is no map.
    let text = why(&vm, &program("type=prog_array key=4 value=4 max_entries=1", "peek"));
    assert!(text.contains("peek"), "{text}");
    why(&vm, ".section request\nmain: r1 = 7\ncall peek\nexit\n");
    let one = |map: &str, helper: &str| {
        let loaded = load(&vm, &program(map, helper)).expect("accepted");
        run(&loaded.programs()[0], Limits::default())
    };
    assert_eq!(one(hash, "misfit").expect("runs"), 1);
    // What only the body knows ends the run, not the host.
    assert!(one(hash, "too_long").expect_err("longer than the value").to_string().contains('9'));
    assert!(one(hash, "tell").expect_err("no ring buffer").to_string().contains("hash"));
    assert!(one("type=ringbuf key=0 value=0 max_entries=4096", "peek").is_err());
    // A map that programs may only read is not written for them either, and the other way round.
    let read_only = format!("{hash} flags=BPF_F_RDONLY_PROG");
    assert_eq!(one(&read_only, "poke").expect("runs") as i64, -1);
    assert_eq!(one(&read_only, "forget").expect("runs") as i64, -1);
    assert_eq!(one(&format!("{hash} flags=BPF_F_WRONLY_PROG"), "peek").expect("runs"), 1000);
}

/// A body that panics ends the run and nothing else, in both engines, and lets go of what the program held.
#[test]
fn a_panic_in_a_helper_is_a_trap() {
    for engine in [skep::user::Engine::Interpreter, skep::user::Engine::Jit] {
        let vm = Vm::builder()
            .helper("fails", &[ArgKind::Anything], |call| match call.arg(0) {
                0 => Ok(5),
                _ => panic!("as the test wants it"),
            })
            .tracepoint::<Request>("request")
            .engine(engine)
            .build()
            .expect("one helper");
        let text = ".section request\nmain:\n    r1 = *(u64 *)(r1 + 8)\n    call fails\n    exit\n";
        let loaded = load(&vm, text).expect("accepted");
        let run = |latency_us| {
            let mut ctx = image(&Request { status: 1, latency_us });
            loaded.programs()[0].run(&mut ctx, Limits::default())
        };
        assert_eq!(run(0).expect("runs"), 5);
        let error = run(1).expect_err("it panics").to_string();
        assert!(error.contains(&format!("helper #{EMBEDDER_HELPERS} has panicked")), "{error}");
        assert_eq!(run(0).expect("runs again"), 5);
    }
}
