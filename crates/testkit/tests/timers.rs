//! Timers and work of values on both backends: the same calls, the same results, and the functions run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use skep_linux::LinuxBackend;
use skep_spec::{Backend, BackendMap, BackendProgram, LoadOptions, RunInput};
use skep_testkit::case::source;
use skep_user::UserBackend;

/// `ctx`: operation, key, two arguments; the result goes to the last word. The function adds 1 to the value's number. At 100 it
/// cancels its own timer and keeps what came of it, at 200 it starts the timer again.
const PROGRAM: &str = "
.map works type=KIND key=4 value=40 max_entries=4 FLAGS fields=works
.section syscall
main:
    r6 = r1
    r7 = *(u64 *)(r6 + 0)
    r1 = *(u64 *)(r6 + 8)
    *(u32 *)(r10 - 4) = r1
    r1 = map[works] ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto none
    r8 = r0
    if r7 == 0 goto init
    if r7 == 1 goto set
    if r7 == 2 goto start
    if r7 == 3 goto cancel
    if r7 == 4 goto work_init
    if r7 == 5 goto work_set
    if r7 == 6 goto work_start
    if r7 == 7 goto number
none:
    r0 = 0
    exit
init:
    r1 = r8
    r1 += 8
    r2 = map[works] ll
    r3 = *(u64 *)(r6 + 16)
    call bpf_timer_init
    goto done
set:
    r1 = r8
    r1 += 8
    r2 = subprog[run]
    call bpf_timer_set_callback
    goto done
start:
    r1 = r8
    r1 += 8
    r2 = *(u64 *)(r6 + 16)
    r3 = *(u64 *)(r6 + 24)
    call bpf_timer_start
    goto done
cancel:
    r1 = r8
    r1 += 8
    call bpf_timer_cancel
    goto done
work_init:
    r1 = r8
    r1 += 24
    r2 = map[works] ll
    r3 = *(u64 *)(r6 + 16)
    call bpf_wq_init
    goto done
work_set:
    r1 = r8
    r1 += 24
    r2 = subprog[work]
    r3 = *(u64 *)(r6 + 16)
    r4 = 0
    call bpf_wq_set_callback_impl
    goto done
work_start:
    r1 = r8
    r1 += 24
    r2 = *(u64 *)(r6 + 16)
    call bpf_wq_start
    goto done
number:
    r1 = *(u64 *)(r6 + 16)
    *(u64 *)(r8 + 0) = r1
    r0 = 0
done:
    *(u64 *)(r6 + 32) = r0
    r0 = 1
    exit
run:
    r6 = r3
    r7 = *(u64 *)(r6 + 0)
    r1 = r7
    r1 += 1
    *(u64 *)(r6 + 0) = r1
    if r7 == 100 goto own
    if r7 == 200 goto again
    r0 = 0
    exit
own:
    r1 = r6
    r1 += 8
    call bpf_timer_cancel
    *(u64 *)(r6 + 0) = r0
    r0 = 0
    exit
again:
    r1 = r6
    r1 += 8
    r2 = 1000
    r3 = 0
    call bpf_timer_start
    r0 = 0
    exit
work:
    r1 = *(u32 *)(r2 + 0)
    r1 += 1000
    *(u64 *)(r3 + 0) = r1
    r0 = 0
    exit
";

struct Side {
    program: Arc<dyn BackendProgram>,
    map: Arc<dyn BackendMap>,
}

impl Side {
    fn new(backend: &dyn Backend, kind: &str, flags: &str) -> Self {
        let text = PROGRAM.replace("KIND", kind).replace("FLAGS", flags);
        let spec = source::assemble(&text).expect("it assembles").remove(0);
        let map = backend.create_map(&spec.maps[0]).expect("a legal map");
        let program = backend.load(&spec, std::slice::from_ref(&map), LoadOptions::default());
        let program = program.unwrap_or_else(|e| panic!("{}: {e}\n{}", backend.name(), e.log));
        Self { program, map }
    }

    /// Both results of a call.
    fn call(&self, words: [u64; 4]) -> (u32, i64) {
        let ctx: Vec<u8> = words.into_iter().chain([0]).flat_map(u64::to_ne_bytes).collect();
        let out = self.program.test_run(RunInput { ctx: &ctx, ..RunInput::default() }).expect("it runs");
        (out.retval, i64::from_ne_bytes(out.ctx[32..].try_into().expect("a word")))
    }

    fn number(&self, key: u32) -> i64 {
        let value = self.map.lookup(&key.to_ne_bytes(), 0).expect("the key is there");
        i64::from_ne_bytes(value[..8].try_into().expect("a word"))
    }

    /// Waits until a value's number is one.
    fn wait(&self, key: u32, number: i64) {
        let start = Instant::now();
        while self.number(key) != number {
            assert!(start.elapsed() < Duration::from_secs(20), "{} is not {number}", self.number(key));
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

const MS: u64 = 1_000_000;
const HOUR: u64 = 3600 * 1000 * MS;

fn sides(kind: &str, flags: &str) -> Vec<Side> {
    let mut sides = vec![Side::new(&UserBackend::new(), kind, flags)];
    let probe = LinuxBackend::probe();
    match probe.is_yes() {
        true => sides.push(Side::new(&LinuxBackend::new(), kind, flags)),
        false => println!("skipped: no kernel to ask: {probe:?}"),
    }
    sides
}

fn on_each(kind: &str, flags: &str, check: impl Fn(&Side)) {
    for side in sides(kind, flags) {
        if kind != "array" {
            for key in 0..3u32 {
                side.map.update(&key.to_ne_bytes(), &[0; 40], 0).expect("room");
            }
        }
        check(&side);
    }
}

#[test]
fn timers_take_and_refuse_the_same() {
    for (kind, flags) in [("array", ""), ("hash", ""), ("hash", "flags=BPF_F_NO_PREALLOC"), ("lru_hash", "")]
    {
        on_each(kind, flags, |side| {
            assert_eq!(side.call([1, 0, 0, 0]), (1, -22), "no function before the init");
            assert_eq!(side.call([2, 0, 0, 0]), (1, -22), "no start before the init");
            assert_eq!(side.call([3, 0, 0, 0]), (1, -22), "no end before the init");
            for clock in [2, 3, 8, 16, 17, 1 << 32] {
                assert_eq!(side.call([0, 0, clock, 0]), (1, -22), "clock {clock}");
            }
            assert_eq!(side.call([0, 0, 1, 0]), (1, 0));
            assert_eq!(side.call([0, 0, 1, 0]), (1, -16), "a second init");
            assert_eq!(side.call([2, 0, 0, 0]), (1, -22), "no start without a function");
            assert_eq!(side.call([3, 0, 0, 0]), (1, 0), "it was not started");
            assert_eq!(side.call([1, 0, 0, 0]), (1, 0));
            assert_eq!(side.call([1, 0, 0, 0]), (1, 0), "another function");
            for flags in [4, 8, 1 << 32] {
                assert_eq!(side.call([2, 0, 0, flags]), (1, -22), "flags {flags}");
            }
            assert_eq!(side.call([2, 0, HOUR, 0]), (1, 0));
            assert_eq!(side.call([2, 0, HOUR, 2]), (1, 0), "started anew");
            assert_eq!(side.call([3, 0, 0, 0]), (1, 1), "it was started");
            assert_eq!(side.call([2, 0, 0, 0]), (1, -22), "its function went with it");
            assert_eq!(side.number(0), 0, "and it has not run");
        });
    }
}

#[test]
fn functions_of_timers_run() {
    for (kind, flags) in [("array", ""), ("hash", ""), ("hash", "flags=BPF_F_NO_PREALLOC")] {
        on_each(kind, flags, |side| {
            for (key, clock) in [(0, 1), (1, 0), (2, 7)] {
                assert_eq!(side.call([0, key, clock, 0]), (1, 0), "clock {clock}");
                assert_eq!(side.call([1, key, 0, 0]), (1, 0));
                assert_eq!(side.call([2, key, MS, 0]), (1, 0));
                side.wait(key as u32, 1);
                assert_eq!(side.call([2, key, 0, 1]), (1, 0), "a time that is over");
                side.wait(key as u32, 2);
                assert_eq!(side.call([2, key, 0, 2]), (1, 0), "on this CPU");
                side.wait(key as u32, 3);
            }
            side.call([7, 0, 100, 0]);
            assert_eq!(side.call([2, 0, 0, 0]), (1, 0));
            side.wait(0, -35);
            side.call([7, 0, 200, 0]);
            assert_eq!(side.call([2, 0, 0, 0]), (1, 0));
            side.wait(0, 202);
            assert_eq!(side.call([3, 0, 0, 0]), (1, 0), "it is over");
        });
    }
}

/// What an update, a deletion or an update in place does to a timer that was started.
#[test]
fn timers_end_with_their_elements() {
    for (kind, flags) in [("array", ""), ("hash", ""), ("hash", "flags=BPF_F_NO_PREALLOC"), ("lru_hash", "")]
    {
        on_each(kind, flags, |side| {
            for key in [0u32, 1] {
                assert_eq!(side.call([0, key.into(), 1, 0]), (1, 0));
                assert_eq!(side.call([1, key.into(), 0, 0]), (1, 0));
                assert_eq!(side.call([2, key.into(), 20 * MS, 0]), (1, 0));
            }
            side.map.update(&0u32.to_ne_bytes(), &[0; 40], 0).expect("the key is there");
            if kind != "array" {
                side.map.delete(&1u32.to_ne_bytes()).expect("the key is there");
                side.map.update(&1u32.to_ne_bytes(), &[0; 40], 0).expect("room");
                assert_eq!(side.call([0, 1, 1, 0]), (1, 0), "the new element has none");
            }
            std::thread::sleep(Duration::from_millis(60));
            assert_eq!(side.number(0), 0);
            assert_eq!(side.call([0, 0, 1, 0]), (1, 0), "it can be prepared again");
            assert_eq!(side.number(1), i64::from(kind == "array"));
        });
    }
}

#[test]
fn work_runs() {
    for (kind, flags) in [("array", ""), ("hash", "")] {
        on_each(kind, flags, |side| {
            let error = |e: i64| e & 0xffff_ffff;
            assert_eq!(side.call([5, 2, 0, 0]), (1, error(-22)), "no function before the init");
            assert_eq!(side.call([6, 2, 0, 0]), (1, error(-22)), "no start before the init");
            assert_eq!(side.call([4, 2, 1, 0]), (1, error(-22)), "flags");
            assert_eq!(side.call([4, 2, 0, 0]), (1, 0));
            assert_eq!(side.call([4, 2, 0, 0]), (1, error(-16)), "a second init");
            assert_eq!(side.call([6, 2, 0, 0]), (1, error(-22)), "no start without a function");
            assert_eq!(side.call([5, 2, 1, 0]), (1, error(-22)), "flags");
            assert_eq!(side.call([5, 2, 0, 0]), (1, 0));
            assert_eq!(side.call([6, 2, 1, 0]), (1, error(-22)), "flags");
            assert_eq!(side.call([6, 2, 0, 0]), (1, 0));
            side.wait(2, 1002);
            side.call([7, 2, 5, 0]);
            assert_eq!(side.call([6, 2, 0, 0]), (1, 0), "it runs as often as it is started");
            side.wait(2, 1002);
        });
    }
}

/// Without a handle on the map no timer begins.
#[test]
fn a_map_that_only_programs_have_takes_no_timers() {
    for Side { program, map } in sides("array", "") {
        drop(map);
        let call = |words: [u64; 4]| {
            let ctx: Vec<u8> = words.into_iter().chain([0]).flat_map(u64::to_ne_bytes).collect();
            let out = program.test_run(RunInput { ctx: &ctx, ..RunInput::default() }).expect("it runs");
            i64::from_ne_bytes(out.ctx[32..].try_into().expect("a word"))
        };
        assert_eq!(call([0, 0, 1, 0]), -1);
        assert_eq!(call([1, 0, 0, 0]), -22);
    }
}
