//! Native code by hand: Rust functions with the calling convention of compiled programs, on the services that those have.
//!
//! What runs natively gives another result than the program's instructions would, so that a test sees who ran.

#[path = "common/by_hand.rs"]
mod by_hand;
mod common;

use std::cell::Cell;
use std::sync::Arc;

use by_hand::{NUMBER, SKB, args, native, of, run, run_on, s, set_args, verified, with_code};
use skep_abi::{MapType, ProgramType};
use skep_isa::text::assemble;
use skep_maps::Map;
use skep_spec::MapDef;
use skep_vm::native::{Called, Code, Entry, LINKS, Link, Native, Pair, Rt, WRITE, at};
use skep_vm::{
    CALL_FRAMES, FRAME_BYTES, FRAMES, Layout, MAX_TAIL_CALLS, NullHost, Observer, Program, Programs, Run,
    Stack, Step, Trap, TrapKind,
};

const ZERO: &str = "r0 = 0\nexit";

unsafe extern "C" fn seven(_: *mut Rt, _: u64, _: u64, _: u64, _: u64, _: u64, _: u64) -> Pair {
    of(7)
}

#[test]
fn who_runs_natively() {
    struct Nobody;
    impl Observer for Nobody {
        fn step(&self, _: &Step<'_>) {}
    }
    let program = native(ZERO, seven);
    assert_eq!(program.native().map(|n| (n.bytes(), n.compile_ns())), Some((100, 5)));
    let (mut stack, mut ctx) = (Stack::new(), [0; SKB]);
    let mut with = |change: fn(Run<'_>) -> Run<'_>| {
        let mut run = change(Run::new(&mut stack, &NullHost).with_ctx(&mut ctx));
        (run_on(&program, &mut run), program.run(&mut run).map(|o| o.fuel).ok())
    };
    assert_eq!(with(|run| run), (Ok(7), Some(skep_vm::DEFAULT_FUEL)));
    assert_eq!(with(|run| run.with_fuel(u64::MAX)), (Ok(7), Some(u64::MAX)));
    assert_eq!(with(|run| run.with_deadline(1)).0, Ok(7));
    assert_eq!(with(|run| run.with_fuel(100)).0, Ok(0), "metered");
    assert_eq!(with(|run| run.with_observer(&Nobody)).0, Ok(0), "watched");
    assert_eq!(with(|run| run.with_arg(1, 0)).0, Ok(0), "r1 is not the context");
    let mut short = [0; SKB - 1];
    let trap = run_on(&program, &mut Run::new(&mut Stack::new(), &NullHost).with_ctx(&mut short));
    assert_eq!(trap.unwrap_err().kind, TrapKind::ContextTooShort { need: SKB, have: SKB - 1 });
}

/// A program that writes its packet gets one that it may write, or the interpreter refuses the store.
#[test]
fn what_the_proof_takes_for_granted_is_lent() {
    let text = "r2 = *(u32 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\nr4 = r2\nr4 += 1\nif r4 > r3 goto out\n\
                *(u8 *)(r2 + 0) = 1\nout:\nr0 = 2\nexit";
    let program = with_code(verified(ProgramType::XDP, text, &[]), seven, vec![]);
    let mut stack = Stack::new();
    let (mut ctx, mut packet) = ([0; 24], [0; 64]);
    let layout = Layout::frame(64);
    let mut run = Run::new(&mut stack, &NullHost).with_ctx(&mut ctx).with_packet(&mut packet, layout);
    assert_eq!(run_on(&program, &mut run), Ok(7));
    let mut run = Run::new(&mut stack, &NullHost).with_ctx(&mut ctx).with_packet_read_only(&packet, layout);
    assert!(matches!(run_on(&program, &mut run).unwrap_err().kind, TrapKind::Memory(_)));
    let mut run = Run::new(&mut stack, &NullHost).with_ctx(&mut ctx);
    assert_eq!(run_on(&program, &mut run).unwrap_err().kind, TrapKind::NoPacket);
}

#[test]
fn code_stays_with_its_program() {
    let (one, other) = (native(ZERO, seven), verified(ProgramType::SOCKET_FILTER, ZERO, &[]));
    let code = |program: &Program| {
        let keep = Arc::new(());
        let code =
            Code { keep, entry: seven, jump: 0, functions: vec![], ctx_bytes: 0, bytes: 0, compile_ns: 0 };
        // SAFETY: nothing that it does depends on the program.
        unsafe { Native::new(&program.binding().expect("verified"), code) }
    };
    assert!(other.set_native(code(&one)).is_err(), "of another");
    assert!(one.set_native(code(&one)).is_err(), "a second");
    assert!(other.set_native(code(&other)).is_ok());
    assert_eq!((run(&one), run(&other)), (Ok(7), Ok(7)));
    let unverified = common::typed(ProgramType::SOCKET_FILTER, assemble(ZERO).expect("assembles"));
    assert!(unverified.binding().is_none());
}

unsafe extern "C" fn first_frame(
    _: *mut Rt,
    frame: u64,
    ctx: u64,
    r2: u64,
    r3: u64,
    r4: u64,
    r5: u64,
) -> Pair {
    assert_eq!([r2, r3, r4, r5], [0; 4]);
    let at = std::ptr::with_exposed_provenance_mut::<u64>(frame as usize - 8);
    // SAFETY: the last word of the first frame, and the first one of the context.
    unsafe {
        at.write(5);
        of(at.read() + std::ptr::with_exposed_provenance::<u64>(ctx as usize).read())
    }
}

#[test]
fn frame_and_context() {
    let (mut stack, mut ctx) = (Stack::new(), [0; SKB]);
    ctx[0] = 6;
    let program = native(ZERO, first_frame);
    assert_eq!(run_on(&program, &mut Run::new(&mut stack, &NullHost).with_ctx(&mut ctx)), Ok(11));
}

/// `bpf_map_update_elem` and `bpf_map_lookup_elem` of what a frame far below holds: helpers are granted all of the stack.
unsafe extern "C" fn helpers(rt: *mut Rt, frame: u64, _: u64, _: u64, _: u64, _: u64, _: u64) -> Pair {
    let deep = frame - (CALL_FRAMES as u64 - 1) * FRAME_BYTES as u64;
    let map = NUMBER.get() >> 32;
    let word = std::ptr::with_exposed_provenance_mut::<u64>(deep as usize - 8);
    // SAFETY: words of the eighth frame.
    unsafe {
        word.write(1);
        word.sub(1).write(99);
    }
    let map = 0xffff_9000_0000_0000 | map;
    set_args(rt, [map, deep - 8, deep - 16, 0, 0]);
    assert_eq!(ask!((s().helper)(rt, NUMBER.get() as u32 as u64)), 0);
    let value = ask!((s().lookup)(rt, map, deep - 8, 9));
    if value == 0 {
        return of(0);
    }
    // SAFETY: a value of the map.
    let found = unsafe { std::ptr::with_exposed_provenance::<u64>(value as usize).read() };
    // A key that is not granted.
    let bad = ask!((s().lookup)(rt, map, 8, 9));
    of(found + bad)
}

#[test]
fn helpers_and_lookups() {
    let text = "*(u32 *)(r10 - 4) = 0\n*(u64 *)(r10 - 16) = 1\nr1 = map[idx:0] ll\nr2 = r10\nr2 += -4\n\
                r3 = r10\nr3 += -16\nr4 = 0\ncall 2\nr0 = 0\nexit";
    for kind in [MapType::ARRAY, MapType::HASH] {
        let map = common::map(&MapDef::new(kind, 4, 8, 4));
        let program = verified(ProgramType::SOCKET_FILTER, text, &[Arc::clone(&map)]);
        let binding = program.binding().expect("verified");
        let call = (0..binding.insns().len()).find(|&pc| binding.called(pc).is_some()).expect("a call");
        let Some(Called::Helper(index)) = binding.called(call) else { panic!("a helper of the table") };
        let load = (0..call).find_map(|pc| binding.map_of(binding.constant(pc)?)).expect("a map");
        assert_eq!((load, binding.map_content(0)), (0, 0xffff_9000_0000_0000));
        NUMBER.set(at(call as u32, index));
        let program = with_code(program, helpers, vec![]);
        let trap = run(&program).expect_err("the last lookup");
        assert!(matches!(trap.kind, TrapKind::Memory(fault) if fault.addr == 8), "{trap}");
        assert_eq!(trap.pc, 9);
        let value = map.lookup_copy(&1u32.to_ne_bytes(), 0).expect("it is there");
        assert_eq!(value, 99u64.to_ne_bytes());
    }
}

/// Calls the helper with what is no map.
unsafe extern "C" fn no_map(rt: *mut Rt, frame: u64, _: u64, _: u64, _: u64, _: u64, _: u64) -> Pair {
    set_args(rt, [5, frame - 8, frame - 16, 0, 0]);
    ask!((s().helper)(rt, NUMBER.get()));
    panic!("it trapped")
}

#[test]
fn traps_end_runs_and_name_their_instruction() {
    let map = common::map(&MapDef::new(MapType::HASH, 4, 8, 4));
    let program = verified(ProgramType::SOCKET_FILTER, "r1 = map[idx:0] ll\nr0 = 0\nexit", &[map]);
    // `bpf_map_update_elem` stands first in the table.
    NUMBER.set(at(77_777, 0));
    let program = with_code(program, no_map, vec![]).with_id(3);
    assert_eq!(run(&program), Err(Trap { prog_id: 3, pc: 77_777, kind: TrapKind::NotAMap(5) }));
    assert_eq!(run(&native(ZERO, seven)), Ok(7), "and the next run knows nothing of it");
}

/// Programs by id: what a slot of a program array holds.
struct Table(Vec<Arc<Program>>);

impl Programs for Table {
    fn program(&self, id: u32) -> Option<Arc<Program>> {
        self.0.iter().find(|p| p.id() == id).cloned()
    }
}

/// Tail-calls slot `index` of map 0 at `depth` frames down, as compiled code does: a jump is a call here.
unsafe fn tail(rt: *mut Rt, frame: u64, ctx: u64, index: u64) -> Pair {
    let to = ask!((s().tail_call)(rt, ctx, 0xffff_9000_0000_0000, index, frame, 0));
    match to {
        0 => of(args(rt)[0] + 1000),
        1 => of(args(rt)[0]),
        // SAFETY: `jump` of this file's programs is their entry.
        to => unsafe {
            let entry: Entry = std::mem::transmute::<usize, Entry>(to as usize);
            entry(rt, frame, ctx, 0, 0, 0, 0)
        },
    }
}

/// Slot 1, and adds nothing.
unsafe extern "C" fn calls_1(rt: *mut Rt, frame: u64, ctx: u64, _: u64, _: u64, _: u64, _: u64) -> Pair {
    NUMBER.set(NUMBER.get() + 1);
    // SAFETY: as native code.
    unsafe { tail(rt, frame, ctx, 1) }
}

/// Slot 2, from a function: the caller adds 100.
unsafe extern "C" fn calls_2_deeper(
    rt: *mut Rt,
    frame: u64,
    ctx: u64,
    _: u64,
    _: u64,
    _: u64,
    _: u64,
) -> Pair {
    // SAFETY: as native code.
    let value = ask!(tail(rt, frame - FRAME_BYTES as u64, ctx, 2));
    // Its own frames are granted again, all of them.
    ask!((s().check)(rt, frame - (FRAMES * FRAME_BYTES) as u64, at(0, 8 | WRITE)));
    of(value + 100)
}

fn table(codes: &[Option<Entry>], texts: &[&str]) -> (Arc<Map>, Table) {
    let map = common::map(&MapDef::new(MapType::PROG_ARRAY, 4, 4, 40));
    let programs = codes.iter().zip(texts).zip(1..).map(|((code, text), id)| {
        let maps = [Arc::clone(&map)];
        let program = match *text {
            // The verifier would ask for types; whoever runs it knows nothing of it.
            DEEPER_2 => {
                common::with_maps(ProgramType::SOCKET_FILTER, assemble(text).expect("assembles"), &maps)
            }
            text => verified(ProgramType::SOCKET_FILTER, text, &maps),
        };
        let program = match code {
            Some(entry) => with_code(program, *entry, vec![]),
            None => program,
        };
        Arc::new(program.with_id(id))
    });
    let programs: Vec<_> = programs.collect();
    for program in &programs {
        map.set_program(program.id(), program.id()).expect("a slot");
    }
    (map, Table(programs))
}

fn run_first(table: &Table) -> Result<u64, Trap> {
    let (mut stack, mut ctx) = (Stack::new(), [0; SKB]);
    let mut run = Run::new(&mut stack, &NullHost).with_ctx(&mut ctx).with_programs(table);
    run_on(&table.0[0], &mut run)
}

#[test]
fn tail_calls_are_counted_over_all() {
    let (_map, table) = table(&[Some(calls_1)], &[TAIL_9]);
    NUMBER.set(0);
    assert_eq!(run_first(&table), Ok(1000), "the last one falls through");
    assert_eq!(NUMBER.get(), u64::from(MAX_TAIL_CALLS) + 1);
    assert_eq!(run_first(&table), Ok(1000), "and each run counts for itself");
}

/// Falls through: nothing is in the slot.
const TAIL_9: &str = "r2 = map[idx:0] ll\nr3 = 9\ncall 12\nr0 = 500\nexit";
/// To the third program.
const TAIL_3: &str = "r2 = map[idx:0] ll\nr3 = 3\ncall 12\nr0 = 600\nexit";
/// From a function, to the second program.
const DEEPER_2: &str =
    "call deeper\nr0 += 200\nexit\ndeeper:\nr2 = map[idx:0] ll\nr3 = 2\ncall 12\nr0 = 700\nexit";

/// Slot 2, as a jump.
unsafe extern "C" fn calls_2(rt: *mut Rt, frame: u64, ctx: u64, _: u64, _: u64, _: u64, _: u64) -> Pair {
    // SAFETY: as native code.
    unsafe { tail(rt, frame, ctx, 2) }
}

/// Slot 9, where nothing is.
unsafe extern "C" fn calls_9(rt: *mut Rt, frame: u64, ctx: u64, _: u64, _: u64, _: u64, _: u64) -> Pair {
    // SAFETY: as native code.
    unsafe { tail(rt, frame, ctx, 9) }
}

#[test]
fn tail_calls_between_engines() {
    type Case<'a> = (&'a [Option<Entry>], &'a [&'a str], u64);
    let cases: &[Case<'_>] = &[
        (&[Some(calls_9)], &[TAIL_9], 1000),
        (&[Some(calls_2), Some(seven)], &[TAIL_9; 2], 7),
        (&[Some(calls_2), None], &[TAIL_9; 2], 500),
        (&[Some(calls_2), None, Some(seven)], &[TAIL_9, TAIL_3, TAIL_9], 7),
        (&[None, None, Some(seven)], &[TAIL_3, TAIL_9, TAIL_9], 7),
        (&[None, None, Some(calls_2)], &[TAIL_3, TAIL_9, TAIL_9], 500),
        (&[Some(calls_2_deeper), Some(seven)], &[TAIL_9; 2], 107),
        (&[Some(calls_2_deeper), None], &[TAIL_9; 2], 600),
        (&[Some(calls_2_deeper), None, Some(calls_9)], &[TAIL_9, TAIL_3, TAIL_9], 1100),
        (&[None, Some(seven)], &[DEEPER_2, TAIL_9], 207),
        (&[None, Some(calls_9)], &[DEEPER_2, TAIL_9], 1200),
    ];
    for (i, (codes, texts, result)) in cases.iter().enumerate() {
        let (_map, table) = table(codes, texts);
        assert_eq!(run_first(&table), Ok(*result), "case {i}");
    }
}

/// Traps.
unsafe extern "C" fn traps(rt: *mut Rt, _: u64, _: u64, _: u64, _: u64, _: u64, _: u64) -> Pair {
    ask!((s().load_elsewhere)(rt, 64, at(4, 8)));
    of(1)
}

#[test]
fn a_trap_behind_a_tail_call_ends_all() {
    for first in [calls_2 as Entry, calls_2_deeper] {
        let (_map, table) = table(&[Some(first), Some(traps)], &[TAIL_9; 2]);
        let trap = run_first(&table).expect_err("the second program traps");
        assert_eq!((trap.prog_id, trap.pc), (2, 4));
        assert!(matches!(trap.kind, TrapKind::Memory(fault) if (fault.addr, fault.size) == (64, 8)));
    }
}

/// Slot 1 from the eighth frame: the caller adds 100.
unsafe extern "C" fn calls_1_deepest(
    rt: *mut Rt,
    frame: u64,
    ctx: u64,
    _: u64,
    _: u64,
    _: u64,
    _: u64,
) -> Pair {
    let deep = frame - ((CALL_FRAMES - 1) * FRAME_BYTES) as u64;
    // SAFETY: as native code.
    of(ask!(tail(rt, deep, ctx, 1)) + 100)
}

/// Programs wait in frames that nobody counts in native code: where eight may be too many, the interpreter does.
#[test]
fn no_frame_is_below_the_stack() {
    let (_map, table) = table(&[Some(calls_1_deepest)], &[TAIL_9]);
    let native = (FRAMES - CALL_FRAMES) / (CALL_FRAMES - 1) + 1;
    assert_eq!(run_first(&table), Ok(500 + 100 * native as u64));
}

/// A program whose code is gone when nobody keeps it.
struct Fresh {
    map: Arc<Map>,
    codes: std::cell::RefCell<Vec<std::sync::Weak<()>>>,
}

thread_local! {
    /// Whether the code of each program that runs is there, the newest last.
    static CODES: Cell<Option<std::sync::Weak<()>>> = const { Cell::new(None) };
}

impl Programs for Fresh {
    fn program(&self, _: u32) -> Option<Arc<Program>> {
        let keep = Arc::new(());
        let weak = Arc::downgrade(&keep);
        let program = verified(ProgramType::SOCKET_FILTER, TAIL_9, &[Arc::clone(&self.map)]);
        let code = Code {
            keep,
            entry: still_there,
            jump: still_there as *const () as usize,
            functions: vec![],
            ctx_bytes: 0,
            bytes: 0,
            compile_ns: 0,
        };
        // SAFETY: as in `with_code`.
        let native = unsafe { Native::new(&program.binding().expect("verified"), code) };
        program.set_native(native).expect("the first code");
        CODES.set(Some(weak.clone()));
        self.codes.borrow_mut().push(weak);
        Some(Arc::new(program))
    }
}

unsafe extern "C" fn still_there(rt: *mut Rt, frame: u64, ctx: u64, _: u64, _: u64, _: u64, _: u64) -> Pair {
    let own = CODES.take().expect("set where the program was made");
    assert!(own.strong_count() > 0, "before");
    let to = ask!((s().tail_call)(rt, ctx, 0xffff_9000_0000_0000, 0, frame, 0));
    assert!(own.strong_count() > 0, "what this function is of runs until it has jumped");
    match to {
        0 => of(1),
        // SAFETY: as in `tail`; nothing of this program is used behind the jump.
        to => unsafe {
            let entry: Entry = std::mem::transmute::<usize, Entry>(to as usize);
            entry(rt, frame, ctx, 0, 0, 0, 0)
        },
    }
}

#[test]
fn code_is_there_while_it_runs_and_no_longer() {
    let map = common::map(&MapDef::new(MapType::PROG_ARRAY, 4, 4, 1));
    map.set_program(0, 1).expect("a slot");
    let fresh = Fresh { map, codes: Default::default() };
    let first = fresh.program(1).expect("made anew");
    let (mut stack, mut ctx) = (Stack::new(), [0; SKB]);
    let mut run = Run::new(&mut stack, &NullHost).with_ctx(&mut ctx).with_programs(&fresh);
    assert_eq!(run_on(&first, &mut run), Ok(1));
    drop(first);
    let codes = fresh.codes.borrow();
    assert_eq!(codes.len(), MAX_TAIL_CALLS as usize + 1);
    assert!(codes.iter().all(|code| code.strong_count() == 0));
}

/// Programs by id that stay what they are, and how often they were asked for.
struct Steady {
    table: Table,
    version: Cell<u64>,
    asked: Cell<u32>,
}

impl Programs for Steady {
    fn program(&self, id: u32) -> Option<Arc<Program>> {
        self.asked.set(self.asked.get() + 1);
        self.table.program(id)
    }
    fn version(&self) -> Option<u64> {
        Some(self.version.get())
    }
}

/// Tail-calls slot `NUMBER` as compiled code does: by a link where there is one.
unsafe extern "C" fn by_link(rt: *mut Rt, frame: u64, ctx: u64, _: u64, _: u64, _: u64, _: u64) -> Pair {
    let slot = NUMBER.get();
    let word = |addr: u64| std::ptr::with_exposed_provenance_mut::<u32>(addr as usize);
    // SAFETY: the structure that native code is given, whose links are there while the run lasts.
    unsafe {
        let links = std::ptr::with_exposed_provenance::<Link>((*rt).links as usize);
        let link = &*links.add(slot as usize % LINKS);
        let calls = word((*rt).tail_calls);
        if link.id == slot && *calls < MAX_TAIL_CALLS {
            *calls += 1;
            let (program, jump) = (link.program, link.jump);
            (*rt).program = std::ptr::with_exposed_provenance(program as usize);
            let entry: Entry = std::mem::transmute::<usize, Entry>(jump as usize);
            return entry(rt, frame, ctx, 0, 0, 0, 0);
        }
        tail(rt, frame, ctx, slot)
    }
}

/// Looks key 0 of its map 1 up, by what it is granted, and traps if that is another program's.
unsafe extern "C" fn own_map(rt: *mut Rt, frame: u64, _: u64, _: u64, _: u64, _: u64, _: u64) -> Pair {
    let key = std::ptr::with_exposed_provenance_mut::<u64>(frame as usize - 8);
    // SAFETY: the last word of the first frame.
    unsafe { key.write(0) };
    let value = ask!((s().lookup)(rt, 0xffff_9000_0000_0001, frame - 8, 3));
    ask!((s().check)(rt, value, at(4, 8)));
    // SAFETY: a value of the map.
    of(unsafe { std::ptr::with_exposed_provenance::<u64>(value as usize).read() })
}

const OWN_MAP: &str = "r2 = map[idx:0] ll\nr2 = map[idx:1] ll\nr0 = 500\nexit";

fn steady() -> (Arc<Map>, Steady) {
    let map = common::map(&MapDef::new(MapType::PROG_ARRAY, 4, 4, 100));
    let values = common::map(&MapDef::new(MapType::ARRAY, 4, 8, 1));
    values.update_from_host(&[0; 4], &77u64.to_ne_bytes(), 0).expect("there is room");
    let first = verified(ProgramType::SOCKET_FILTER, TAIL_9, &[Arc::clone(&map)]);
    let second = verified(ProgramType::SOCKET_FILTER, OWN_MAP, &[Arc::clone(&map), values]);
    let programs = vec![
        Arc::new(with_code(first, by_link, vec![]).with_id(1)),
        Arc::new(with_code(second, own_map, vec![]).with_id(2)),
    ];
    for id in [1, 2] {
        map.set_program(id, id).expect("a slot");
    }
    let steady =
        Steady { table: Table(programs), version: Cell::new(skep_vm::fresh_version()), asked: Cell::new(0) };
    (map, steady)
}

/// A program that was jumped to without a service has its own maps when it asks for one, and its own name in traps.
#[test]
fn linked_programs_are_granted_their_own() {
    let (_map, programs) = steady();
    NUMBER.set(2);
    let (mut stack, mut ctx) = (Stack::new(), [0; SKB]);
    for round in 0..3 {
        let mut run = Run::new(&mut stack, &NullHost).with_ctx(&mut ctx).with_programs(&programs);
        assert_eq!(run_on(&programs.table.0[0], &mut run), Ok(77));
        assert_eq!(programs.asked.get(), 1, "asked once, in round {round}");
    }
    // Another stack knows nothing of it.
    let (mut other, mut ctx2) = (Stack::new(), [0; SKB]);
    let mut run = Run::new(&mut other, &NullHost).with_ctx(&mut ctx2).with_programs(&programs);
    assert_eq!((run_on(&programs.table.0[0], &mut run), programs.asked.get()), (Ok(77), 2));
}

#[test]
fn links_are_counted_and_are_let_go() {
    let (_map, programs) = steady();
    let first = &programs.table.0[0];
    let kept = Arc::strong_count(first);
    let (mut stack, mut ctx) = (Stack::new(), [0; SKB]);
    let mut round = |asked: u32, change: fn(Run<'_>) -> Run<'_>| {
        NUMBER.set(1);
        programs.asked.set(0);
        let mut run = change(Run::new(&mut stack, &NullHost).with_ctx(&mut ctx).with_programs(&programs));
        let result = run_on(first, &mut run);
        assert_eq!((result, programs.asked.get()), (Ok(1000), asked));
    };
    // The 34th falls through; only the first one asks.
    round(1, |run| run);
    round(0, |run| run);
    // Another CPU, another version: nothing is known.
    round(1, |run| run.with_vcpu(1));
    programs.version.set(skep_vm::fresh_version());
    round(1, |run| run.with_vcpu(1));
    round(0, |run| run.with_vcpu(1));
    assert_eq!(Arc::strong_count(first), kept + 1, "the stack keeps it");
    stack.forget_programs();
    assert_eq!(Arc::strong_count(first), kept);
}

/// A table that says nothing of itself is asked each time.
#[test]
fn without_a_version_nothing_is_linked() {
    let (_map, Steady { table, .. }) = steady();
    NUMBER.set(1);
    let kept = Arc::strong_count(&table.0[0]);
    let (mut stack, mut ctx) = (Stack::new(), [0; SKB]);
    let mut run = Run::new(&mut stack, &NullHost).with_ctx(&mut ctx).with_programs(&table);
    assert_eq!(run_on(&table.0[0], &mut run), Ok(1000));
    assert_eq!(Arc::strong_count(&table.0[0]), kept);
}
