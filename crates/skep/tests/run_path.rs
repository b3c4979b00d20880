//! The run path allocates nothing: programs run inside other processes' hooks.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use skep::abi::ArgKind;
use skep::{Limits, Program, Vm};

/// The system's allocator, which counts what this thread asks of it.
struct Counting;

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: hands everything to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.set(ASKED.get() + 1);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        ASKED.set(ASKED.get() + 1);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

skep::context! {
    /// A request.
    struct Request "request" { status: u32, latency_us: u64 }
}

const TEXT: &str = ".license GPL
.map counts type=hash key=4 value=8 max_entries=64
.map jumps type=prog_array key=4 value=4 max_entries=1
.map ring type=ringbuf key=0 value=0 max_entries=4096
.section request
count:
    r6 = r1
    r1 = *(u32 *)(r6 + 0)
    *(u32 *)(r10 - 4) = r1
    call is_slow
    *(u64 *)(r10 - 16) = r0
    r1 = map[counts] ll
    r2 = r10
    r2 += -4
    r3 = r10
    r3 += -16
    r4 = 0
    call bpf_map_update_elem
    r1 = map[ring] ll
    r2 = r10
    r2 += -4
    r3 = 4
    r4 = 0
    call bpf_ringbuf_output
    r1 = r6
    r2 = map[jumps] ll
    r3 = 0
    call bpf_tail_call
    r0 = 0
    exit
.section request
next:
    r0 = 1
    exit
.section request
endless:
    r0 = 0
again:
    r0 += 1
    if r0 < 100000 goto again
    exit
";

#[test]
fn firing_and_running_allocate_nothing() {
    let vm = Vm::builder()
        .helper("is_slow", &[ArgKind::Anything], |call| Ok((call.arg(0) > 1000).into()))
        .tracepoint::<Request>("request")
        .build()
        .expect("one helper");
    let loaded =
        vm.parse("path.s", TEXT.as_bytes()).expect("assembles").load(vm.backend()).expect("accepted");
    let program = |name: &str| -> &Program { loaded.program(name).expect("there") };
    loaded.map("jumps").expect("there").set_program(0, program("next")).expect("its type");
    let place = vm.tracepoint::<Request>("request").expect("told of");
    let little = Limits { fuel: Some(1000), time: None };
    let links = [
        place.attach(program("count")).expect("its type"),
        place.attach(program("count")).expect("its type"),
        place.attach_with(program("endless"), little).expect("its type"),
    ];
    let mut image = [0; 16];
    let mut round = |status: u32| {
        let fired = place.fire(&Request { status, latency_us: 5000 });
        assert_eq!((fired.runs, fired.faults), (2, 1));
        assert_eq!(program("count").run(&mut image, Limits::default()).expect("runs"), 1);
    };
    round(0);
    let before = ASKED.get();
    assert!(before > 0, "the count counts");
    (0..100).for_each(&mut round);
    assert_eq!(ASKED.get(), before);
    drop(links);
}
