//! What an embedder adds, and how long things live.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use skep::abi::{ArgKind, MemAccess, ReturnRange};
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
    let error = run(program, Limits { fuel: 1000, time: None }).expect_err("not enough");
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
