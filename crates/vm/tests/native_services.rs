//! Services of native code that do not leave the program: calls back, packets, contexts, call chains, exceptions.

#[path = "common/by_hand.rs"]
mod by_hand;
mod common;

use std::ptr::{with_exposed_provenance, with_exposed_provenance_mut};
use std::sync::Arc;

use by_hand::{NUMBER, SKB, args, native, of, run, run_on, s, set_args, verified, with_code, with_functions};
use skep_abi::{MapType, ProgramType};
use skep_isa::Size;
use skep_spec::MapDef;
use skep_vm::native::{Called, CtxLoad, CtxStore, PacketCell, Pair, Rt, WRITE, at};
use skep_vm::{
    CodeAddr, FRAME_BYTES, Host, Layout, NullHost, Program, Run, Stack, Trap, TrapKind, XDP_HEADROOM,
};

const ZERO: &str = "r0 = 0\nexit";

/// The slot of the first call, and what it calls.
fn first_call(program: &Program) -> (u32, Called) {
    let binding = program.binding().expect("verified");
    let mut calls = (0..).zip(binding.insns()).filter_map(|(pc, _)| Some((pc, binding.called(pc as usize)?)));
    calls.next().expect("a call")
}

const LOOP: &str = "r1 = 10\nr2 = subprog[cb]\nr3 = 0\nr4 = 0\ncall 181\nexit\ncb:\nr0 = 0\nexit";

/// Calls back as compiled code does: the sum of the first arguments; the function asks for no more at `NUMBER`'s lower half.
unsafe extern "C" fn loops(rt: *mut Rt, frame: u64, _: u64, _: u64, _: u64, _: u64, _: u64) -> Pair {
    let (most, stop) = (NUMBER.get() >> 32, NUMBER.get() & 0xffff_ffff);
    // Slots of an `LDDW` are two: the function stands in slot 7.
    set_args(rt, [most, 0xffff_a000_0000_0000 | 7, 77, 0, 0]);
    let (mut goes_on, mut sum) = (ask!((s().call_back_begin)(rt, at(5, Called::WIDE_LOOP.into()), frame)), 0);
    while goes_on == 1 {
        let [i, ctx, ..] = args(rt);
        assert_eq!(ctx, 77);
        sum += i;
        goes_on = ask!((s().call_back_next)(rt, (i == stop).into(), frame));
    }
    of(args(rt)[0] << 32 | sum)
}

#[test]
fn loops_call_back() {
    let program = with_functions(ProgramType::SOCKET_FILTER, LOOP, &[], (&[7], &[]));
    assert_eq!(first_call(&program), (5, Called::CallBack(Called::WIDE_LOOP)));
    let binding = program.binding().expect("verified");
    let function = (0..).find_map(|pc| binding.function_of(binding.constant(pc)?));
    assert_eq!((function, binding.entered()), (Some(7), vec![7]));
    let program = with_code(program, loops, vec![]);
    for (most, stop, result) in [(0, 99, 0), (1, 99, 1 << 32), (10, 99, 10 << 32 | 45), (10, 4, 5 << 32 | 10)]
    {
        NUMBER.set(most << 32 | stop);
        assert_eq!(run(&program), Ok(result));
    }
    NUMBER.set(0x80_0001 << 32);
    assert_eq!(run(&program), Ok(u64::from(-7i32 as u32) << 32), "E2BIG");
}

/// Goes on by one at each look.
struct Clock(std::cell::Cell<u64>);
impl Host for Clock {
    fn ktime_ns(&self) -> u64 {
        self.0.set(self.0.get() + 1);
        self.0.get()
    }
    fn boot_ns(&self) -> u64 {
        0
    }
    fn prandom_u32(&self) -> u32 {
        0
    }
    fn processor_id(&self, vcpu: u32) -> u32 {
        vcpu
    }
    fn printk(&self, _: &[u8]) {}
}

#[test]
fn a_deadline_ends_calls_back() {
    let program =
        with_code(with_functions(ProgramType::SOCKET_FILTER, LOOP, &[], (&[7], &[])), loops, vec![]);
    let run = |looks, most: u64| {
        NUMBER.set(most << 32 | 0xffff_ffff);
        let (mut stack, mut ctx, clock) = (Stack::new(), [0; SKB], Clock(Default::default()));
        let mut run = Run::new(&mut stack, &clock).with_ctx(&mut ctx).with_deadline(looks);
        run_on(&program, &mut run)
    };
    // Looked at when the run begins, before the first step and after each 65,536.
    assert!(run(5, 3 * 65_536 - 1).is_ok());
    let trap = run(5, 3 * 65_536).expect_err("the fifth look");
    assert_eq!((trap.pc, trap.kind), (5, TrapKind::Deadline));
}

unsafe extern "C" fn ticks(rt: *mut Rt, _: u64, _: u64, _: u64, _: u64, _: u64, _: u64) -> Pair {
    ask!((s().tick)(rt, 3));
    of(1)
}

#[test]
fn ticks_look_at_the_deadline() {
    let program = native(ZERO, ticks);
    let run = |deadline| {
        let (mut stack, mut ctx, clock) = (Stack::new(), [0; SKB], Clock(Default::default()));
        run_on(&program, &mut Run::new(&mut stack, &clock).with_ctx(&mut ctx).with_deadline(deadline))
    };
    assert_eq!(run(3), Ok(1));
    assert_eq!(run(2), Err(Trap { prog_id: 0, pc: 3, kind: TrapKind::Deadline }));
    assert_eq!(run(1), Err(Trap { prog_id: 0, pc: 0, kind: TrapKind::Deadline }), "it has not begun");
}

/// The sum of keys and values of map 0; keys may be read, and not written.
unsafe extern "C" fn each(rt: *mut Rt, frame: u64, _: u64, _: u64, _: u64, _: u64, _: u64) -> Pair {
    set_args(rt, [0xffff_9000_0000_0000, NUMBER.get(), 77, 0, 0]);
    let (mut goes_on, mut sum) = (ask!((s().call_back_begin)(rt, at(1, Called::FOR_EACH.into()), frame)), 0);
    while goes_on == 1 {
        let [map, key, value, ctx, _] = args(rt);
        assert_eq!((map, ctx), (0xffff_9000_0000_0000, 77));
        ask!((s().check)(rt, key, at(2, 4)));
        ask!((s().check)(rt, value, at(3, 8 | WRITE)));
        // SAFETY: as just checked.
        unsafe {
            sum += u64::from(with_exposed_provenance::<u32>(key as usize).read());
            sum += with_exposed_provenance::<u64>(value as usize).read();
        }
        if sum == 1000 {
            ask!((s().check)(rt, key, at(4, 4 | WRITE)));
        }
        goes_on = ask!((s().call_back_next)(rt, 0, frame));
    }
    of(args(rt)[0] << 32 | sum)
}

#[test]
fn elements_and_checks() {
    let text = "r1 = map[idx:0] ll\nr2 = subprog[cb]\nr3 = 0\nr4 = 0\ncall 164\nexit\ncb:\nr0 = 0\nexit";
    for kind in [MapType::ARRAY, MapType::HASH] {
        let map = common::map(&MapDef::new(kind, 4, 8, 3));
        for i in 0..3u32 {
            map.update_from_host(&i.to_ne_bytes(), &(u64::from(i) * 10 + 7).to_ne_bytes(), 0).expect("room");
        }
        let program = with_functions(ProgramType::SOCKET_FILTER, text, &[Arc::clone(&map)], (&[8], &[]));
        let binding = program.binding().expect("verified");
        NUMBER.set(
            (0..)
                .find_map(|pc| binding.constant(pc).filter(|c| binding.function_of(*c).is_some()))
                .expect("one"),
        );
        let program = with_code(program, each, vec![]);
        assert_eq!(run(&program), Ok(3 << 32 | (3 + 30 + 21)));
        map.update_from_host(&0u32.to_ne_bytes(), &1000u64.to_ne_bytes(), 0).expect("room");
        if kind == MapType::ARRAY {
            let trap = run(&program).expect_err("a key that is written");
            assert!(matches!(trap.kind, TrapKind::Memory(fault) if fault.write), "{trap}");
            assert_eq!(trap.pc, 4);
        }
    }
}

const ADJUST: &str = "r2 = 4\ncall 44\nr0 = 0\nexit";

/// Where the packet lies, before and after `bpf_xdp_adjust_head(ctx, 4)`.
unsafe extern "C" fn moves_head(rt: *mut Rt, _: u64, ctx: u64, _: u64, _: u64, _: u64, _: u64) -> Pair {
    // SAFETY: native code reads its `rt` while no service runs.
    let cells = || unsafe { [(*rt).packet_meta, (*rt).packet_data, (*rt).packet_end] };
    let before = cells();
    set_args(rt, [ctx, 4, 0, 0, 0]);
    assert_eq!(ask!((s().helper)(rt, NUMBER.get())), 0);
    let after = cells();
    assert_eq!(after, [before[0] + 4, before[1] + 4, before[2]]);
    // SAFETY: inside of the packet.
    of(unsafe { with_exposed_provenance::<u8>(after[1] as usize).read() }.into())
}

#[test]
fn packets_move() {
    let program = verified(ProgramType::XDP, ADJUST, &[]);
    let (pc, Called::Helper(index)) = first_call(&program) else { panic!("a helper of the table") };
    NUMBER.set(at(pc, index));
    let binding = program.binding().expect("verified");
    assert_eq!(binding.ctx_load(0, Size::W), Some(CtxLoad::Packet(PacketCell::Data)));
    assert_eq!(binding.ctx_load(4, Size::W), Some(CtxLoad::Packet(PacketCell::End)));
    assert_eq!(binding.ctx_load(8, Size::W), Some(CtxLoad::Packet(PacketCell::Meta)));
    assert_eq!(binding.ctx_load(12, Size::W), Some(CtxLoad::Image(12)));
    assert_eq!((binding.ctx_load(0, Size::DW), binding.ctx_store(0, Size::W)), (None, None));
    let program = with_code(program, moves_head, vec![]);
    let (mut stack, mut ctx, mut buffer) = (Stack::new(), [0; 24], [0; XDP_HEADROOM + 64]);
    buffer[XDP_HEADROOM + 4] = 9;
    let run = Run::new(&mut stack, &NullHost).with_ctx(&mut ctx);
    let mut run = run.with_packet(&mut buffer, Layout::xdp(64));
    assert_eq!(run_on(&program, &mut run), Ok(9));
    assert_eq!(run.packet().map(|l| l.data), Some(XDP_HEADROOM + 4));
}

/// Legacy loads: two bytes at offset 2, one behind the end, one relative to the network header.
unsafe extern "C" fn loads_packet(rt: *mut Rt, _: u64, _: u64, _: u64, _: u64, _: u64, _: u64) -> Pair {
    assert_eq!(ask!((s().packet_load)(rt, at(0, 2), 2)), 1);
    assert_eq!(args(rt)[0], 0x0203);
    assert_eq!(ask!((s().packet_load)(rt, at(0, 1), 64)), 0);
    assert_eq!(ask!((s().packet_load)(rt, at(0, 1), -0x10_0000i64 as u64)), 1);
    of(args(rt)[0])
}

#[test]
fn legacy_loads() {
    let program = native("r6 = r1\nr0 = *(u8 *)skb[0]\nr0 = 0\nexit", loads_packet);
    let (mut stack, mut ctx) = (Stack::new(), [0; SKB]);
    let mut packet: [u8; 64] = std::array::from_fn(|i| i as u8);
    let run = Run::new(&mut stack, &NullHost).with_ctx(&mut ctx);
    assert_eq!(run_on(&program, &mut run.with_packet(&mut packet, Layout::frame(64))), Ok(14));
    let mut run = Run::new(&mut stack, &NullHost).with_ctx(&mut ctx);
    assert_eq!(run_on(&program, &mut run).expect_err("no packet").kind, TrapKind::NoPacket);
}

/// `mark` and `queue_mapping` of a socket buffer, by services.
unsafe extern "C" fn asks_for_fields(rt: *mut Rt, _: u64, ctx: u64, _: u64, _: u64, _: u64, _: u64) -> Pair {
    ask!((s().store_elsewhere)(rt, ctx + 8, at(0, 4), 0x1_0000_0005));
    ask!((s().store_elsewhere)(rt, ctx + 12, at(0, 4), 3));
    // More than a queue's number: nothing.
    ask!((s().store_elsewhere)(rt, ctx + 12, at(0, 4), 65535));
    let mark = ask!((s().load_elsewhere)(rt, ctx + 8, at(0, 4)));
    let queue = ask!((s().load_elsewhere)(rt, ctx + 12, at(0, 4)));
    ask!((s().store_elsewhere)(rt, ctx, at(6, 4), 1));
    of(mark << 32 | queue)
}

#[test]
fn context_fields() {
    let program = verified(ProgramType::SCHED_CLS, ZERO, &[]);
    let binding = program.binding().expect("verified");
    assert_eq!(binding.ctx_store(8, Size::W), Some(CtxStore::Image(skep_abi::Native::Same)));
    assert_eq!(binding.ctx_store(12, Size::W), Some(CtxStore::Image(skep_abi::Native::Queue)));
    assert_eq!((binding.ctx_bytes(), binding.ctx_is_bytes()), (SKB, false));
    let program = with_code(program, asks_for_fields, vec![]);
    let (mut stack, mut ctx, mut packet) = (Stack::new(), [0; SKB], [0; 64]);
    let run = Run::new(&mut stack, &NullHost).with_ctx(&mut ctx);
    let trap = run_on(&program, &mut run.with_packet(&mut packet, Layout::frame(64)))
        .expect_err("len is not written");
    assert!(matches!(trap.kind, TrapKind::Context { off: 0, size: 4, write: true, .. }), "{trap}");
    assert_eq!((trap.pc, ctx[8], ctx[12]), (6, 5, 3));
}

/// The chain of a function that another calls.
unsafe extern "C" fn looks_back(rt: *mut Rt, frame: u64, ctx: u64, _: u64, _: u64, _: u64, _: u64) -> Pair {
    ask!((s().calls)(rt, 3, frame));
    let inner = frame - FRAME_BYTES as u64;
    set_args(rt, [ctx, inner - 24, 24, 0, 0]);
    assert_eq!(ask!((s().stack)(rt, at(5, 1), inner)), 16);
    // SAFETY: words of the second frame.
    let words = unsafe { with_exposed_provenance_mut::<[u64; 3]>(inner as usize - 24).read() };
    let address = |pc| u64::from(CodeAddr { prog_id: 8, pc });
    assert_eq!(words, [address(5), address(3), 0]);
    of(1)
}

#[test]
fn call_chains() {
    let program = verified(ProgramType::KPROBE, ZERO, &[]).with_id(8);
    let program = with_code(program, looks_back, vec![]);
    assert_eq!(run(&program), Ok(1));
}

/// Throws, from a function.
unsafe extern "C" fn throws(rt: *mut Rt, _: u64, _: u64, _: u64, _: u64, _: u64, _: u64) -> Pair {
    ask!((s().throw)(rt, 41));
    panic!("the run has left the function")
}

#[test]
fn what_is_thrown_is_the_result() {
    assert_eq!(run(&native(ZERO, throws)), Ok(41));
}

/// What the program has for exceptions: a result of its own.
unsafe extern "C" fn catches(_: *mut Rt, frame: u64, cookie: u64, _: u64, _: u64, _: u64, _: u64) -> Pair {
    of(cookie + u64::from(NUMBER.get() == frame))
}

/// As [`throws`], and notes its frame.
unsafe extern "C" fn throws_from(rt: *mut Rt, frame: u64, _: u64, _: u64, _: u64, _: u64, _: u64) -> Pair {
    NUMBER.set(frame);
    ask!((s().throw)(rt, 41));
    panic!("the run has left the function")
}

#[test]
fn what_is_thrown_is_caught() {
    let text = "r0 = 0\nexit\ncatch:\nw0 = w1\nexit";
    let program =
        || with_functions(ProgramType::SOCKET_FILTER, text, &[], (&[2], &["exception_callback:f2"]));
    let binding = program();
    let binding = binding.binding().expect("verified");
    assert_eq!((binding.thrown_to(), binding.entered()), (Some(2), vec![2]));
    // Natively, in the main function's frame, and interpreted where the code has no such function.
    assert_eq!(run(&with_code(program(), throws_from, vec![(2, catches)])), Ok(42));
    assert_eq!(run(&with_code(program(), throws_from, vec![])), Ok(41));
}

/// Asks a helper `NUMBER` times.
unsafe extern "C" fn asks_often(rt: *mut Rt, _: u64, _: u64, _: u64, _: u64, _: u64, _: u64) -> Pair {
    let (times, number) = (NUMBER.get() >> 32, NUMBER.get() & 0xffff_ffff);
    for _ in 0..times {
        ask!((s().helper)(rt, number));
    }
    of(times)
}

/// Loops over iterators ask helpers, and nothing else: the deadline is looked at before each 1,025th.
#[test]
fn a_deadline_ends_helpers() {
    let program = native("call 42\nr0 = 0\nexit", asks_often);
    let (pc, Called::Helper(index)) = first_call(&program) else { panic!("a helper of the table") };
    let run = |times: u64, deadline| {
        NUMBER.set(times << 32 | at(pc, index));
        let (mut stack, mut ctx, clock) = (Stack::new(), [0; SKB], Clock(Default::default()));
        run_on(&program, &mut Run::new(&mut stack, &clock).with_ctx(&mut ctx).with_deadline(deadline))
    };
    assert_eq!(run(1024, 2), Ok(1024));
    assert_eq!(run(1025, 2), Err(Trap { prog_id: 0, pc: 0, kind: TrapKind::Deadline }));
    assert_eq!(run(2 * 1024, 3), Ok(2048));
}
