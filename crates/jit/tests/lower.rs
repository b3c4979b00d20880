//! Machine code of modules made by hand, run against a runtime made by hand.

mod common;

use common::{Build, Machine, Rt, fake};
use skep_isa::{AluOp, AtomicOp, JumpOp, Size, Width, eval};
use skep_jit::ir::{Bin, Cond, Edge, Op, Region, Service, Term, Ty, Val};
use skep_jit::lower::Slots;
use skep_vm::native::LINKS;

/// Operands that find edges.
const EDGES: [u64; 12] = [
    0,
    1,
    2,
    31,
    63,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    u64::MAX,
];

const BINS: [(Bin, AluOp); 13] = [
    (Bin::Add, AluOp::Add),
    (Bin::Sub, AluOp::Sub),
    (Bin::Mul, AluOp::Mul),
    (Bin::And, AluOp::And),
    (Bin::Or, AluOp::Or),
    (Bin::Xor, AluOp::Xor),
    (Bin::Shl, AluOp::Lsh),
    (Bin::Shr, AluOp::Rsh),
    (Bin::Sar, AluOp::Arsh),
    (Bin::Udiv, AluOp::Div),
    (Bin::Urem, AluOp::Mod),
    (Bin::Sdiv, AluOp::Sdiv),
    (Bin::Srem, AluOp::Smod),
];

/// Pairs of operands: all edges with each other, and numbers in between.
fn pairs() -> impl Iterator<Item = (u64, u64)> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state >> (state % 60)
    };
    let random: Vec<_> = (0..200).map(|_| (next(), next())).collect();
    EDGES.into_iter().flat_map(|a| EDGES.map(|b| (a, b))).chain(random)
}

/// A value of a type from a parameter.
fn typed(b: &mut Build, v: Val, ty: Ty) -> Val {
    if ty == Ty::I32 { b.op(Op::Trunc(v), Ty::I32) } else { v }
}

fn wide(b: &mut Build, v: Val) -> Val {
    if b.function.ty(v) == Ty::I32 { b.op(Op::Zext(v), Ty::I64) } else { v }
}

#[test]
fn arithmetic_is_that_of_the_instruction_set() {
    for (bin, alu) in BINS {
        for (ty, width) in [(Ty::I32, Width::W32), (Ty::I64, Width::W64)] {
            let mut b = Build::new();
            let (x, y) = (typed(&mut b, Val(0), ty), typed(&mut b, Val(1), ty));
            let r = b.op(Op::Bin(bin, x, y), ty);
            let r = wide(&mut b, r);
            let machine = b.finish(Term::Return(r));
            for (x, y) in pairs() {
                assert_eq!(machine.run([x, y]), eval::alu(alu, width, x, y), "{bin:?} {ty:?} {x:#x} {y:#x}");
            }
        }
    }
}

#[test]
fn arithmetic_with_constants_is_the_same() {
    for (bin, alu) in BINS {
        for (ty, width) in [(Ty::I32, Width::W32), (Ty::I64, Width::W64)] {
            for c in EDGES.into_iter().chain([3, 7, 10, 1_000_000, -7_i64 as u64]) {
                let c = if ty == Ty::I32 { u64::from(c as u32) } else { c };
                let mut b = Build::new();
                let (x, y) = (typed(&mut b, Val(0), ty), b.op(Op::Const(c), ty));
                let r = b.op(Op::Bin(bin, x, y), ty);
                let r = wide(&mut b, r);
                let machine = b.finish(Term::Return(r));
                for x in EDGES {
                    assert_eq!(
                        machine.run([x, 0]),
                        eval::alu(alu, width, x, c),
                        "{bin:?} {ty:?} {x:#x} {c:#x}"
                    );
                }
            }
        }
    }
}

#[test]
fn comparisons_are_those_of_the_instruction_set() {
    let conds = [
        (Cond::Eq, JumpOp::Eq),
        (Cond::Ne, JumpOp::Ne),
        (Cond::Ult, JumpOp::Lt),
        (Cond::Ule, JumpOp::Le),
        (Cond::Ugt, JumpOp::Gt),
        (Cond::Uge, JumpOp::Ge),
        (Cond::Slt, JumpOp::Slt),
        (Cond::Sle, JumpOp::Sle),
        (Cond::Sgt, JumpOp::Sgt),
        (Cond::Sge, JumpOp::Sge),
        (Cond::Set, JumpOp::Set),
    ];
    for (cond, jump, clear) in
        conds.iter().map(|(c, j)| (*c, *j, false)).chain([(Cond::Clear, JumpOp::Set, true)])
    {
        for (ty, width) in [(Ty::I32, Width::W32), (Ty::I64, Width::W64)] {
            // As a number, as a choice and as a branch: 100 * number + 10 * choice + branch.
            let mut b = Build::new();
            let (x, y) = (typed(&mut b, Val(0), ty), typed(&mut b, Val(1), ty));
            let number = b.op(Op::Cmp(cond, x, y), Ty::I64);
            let (hundred, ten) = (b.number(100), b.number(10));
            let number = b.op(Op::Bin(Bin::Mul, number, hundred), Ty::I64);
            let zero = b.number(0);
            let choice = b.op(Op::Select(cond, x, y, ten, zero), Ty::I64);
            let sum = b.op(Op::Bin(Bin::Add, number, choice), Ty::I64);
            let (then, other) = (b.block(&[]), b.block(&[]));
            b.end(Term::Branch {
                cond,
                a: x,
                b: y,
                then: Edge { to: then, args: vec![] },
                other: Edge { to: other, args: vec![] },
            });
            b.at(then);
            let one = b.number(1);
            let more = b.op(Op::Bin(Bin::Add, sum, one), Ty::I64);
            b.end(Term::Return(more));
            b.at(other);
            let machine = b.finish(Term::Return(sum));
            for (x, y) in pairs() {
                let want = if eval::jump(jump, width, x, y) != clear { 111 } else { 0 };
                assert_eq!(machine.run([x, y]), want, "{cond:?} {ty:?} {x:#x} {y:#x}");
            }
        }
    }
}

#[test]
fn extensions_and_swaps() {
    for size in [Size::B, Size::H, Size::W, Size::DW] {
        for (from, to) in [(Ty::I64, Ty::I64), (Ty::I32, Ty::I32), (Ty::I32, Ty::I64)] {
            if size == Size::DW && from == Ty::I32 {
                continue;
            }
            let mut b = Build::new();
            let x = typed(&mut b, Val(0), from);
            let r = b.op(Op::Sext(size, x), to);
            let r = wide(&mut b, r);
            let extend = b.finish(Term::Return(r));
            let mut b = Build::new();
            let x = typed(&mut b, Val(0), from);
            let r = b.op(Op::Swap(size, x), from);
            let r = wide(&mut b, r);
            let swap = b.finish(Term::Return(r));
            for x in EDGES.into_iter().chain([0x1234_5678_9abc_def0, 0x80, 0x7f, 0x8000]) {
                let width = if to == Ty::I32 { Width::W32 } else { Width::W64 };
                let given = if from == Ty::I32 { u64::from(x as u32) } else { x };
                let want = if size == Size::DW { given } else { eval::movsx(width, size, given) };
                assert_eq!(extend.run([x, 0]), want, "sext {size:?} {from:?} {to:?} {x:#x}");
                let low = eval::zero_extend(size, x);
                let want = low.swap_bytes() >> (64 - size.bits());
                assert_eq!(swap.run([x, 0]), want, "swap {size:?} {from:?} {x:#x}");
            }
        }
    }
}

#[test]
fn memory_is_read_and_written_in_each_size() {
    let mut bytes = [0_u8; 32];
    for size in [Size::B, Size::H, Size::W, Size::DW] {
        for ty in [Ty::I32, Ty::I64] {
            if size == Size::DW && ty == Ty::I32 {
                continue;
            }
            for ordered in [false, true] {
                let (base, region, off) = (Val(0), Region::Other, if ordered { 8 } else { 3 });
                let mut b = Build::new();
                let load = match ordered {
                    false => Op::Load { size, base, off, region },
                    true => Op::LoadAcquire { size, base, off, region },
                };
                let old = b.op(load, ty);
                let value = typed(&mut b, Val(1), ty);
                b.op(
                    match ordered {
                        false => Op::Store { size, base, off: off + 8, region, value },
                        true => Op::StoreRelease { size, base, off: off + 8, region, value },
                    },
                    Ty::None,
                );
                let old = wide(&mut b, old);
                let machine = b.finish(Term::Return(old));
                for value in EDGES {
                    bytes.iter_mut().enumerate().for_each(|(i, b)| *b = 0x80 + i as u8);
                    let before = bytes;
                    let mut held = common::Aligned(before);
                    let at = off as usize;
                    let mut low = [0; 8];
                    low[..size.bytes()].copy_from_slice(&before[at..at + size.bytes()]);
                    let got = machine.run([held.0.as_mut_ptr().expose_provenance() as u64, value]);
                    assert_eq!(got, u64::from_le_bytes(low), "{size:?} {ty:?}");
                    let mut want = before;
                    want[at + 8..at + 8 + size.bytes()].copy_from_slice(&value.to_le_bytes()[..size.bytes()]);
                    assert_eq!(held.0, want, "{size:?} {ty:?} {value:#x}");
                }
            }
        }
    }
}

#[test]
fn atomics_do_what_they_do_one_by_one() {
    let ops = [false, true]
        .into_iter()
        .flat_map(|fetch| {
            [
                AtomicOp::Add { fetch },
                AtomicOp::Or { fetch },
                AtomicOp::And { fetch },
                AtomicOp::Xor { fetch },
            ]
        })
        .chain([AtomicOp::Xchg, AtomicOp::Cmpxchg]);
    for op in ops {
        let fetches = match op {
            AtomicOp::Add { fetch }
            | AtomicOp::Or { fetch }
            | AtomicOp::And { fetch }
            | AtomicOp::Xor { fetch } => fetch,
            AtomicOp::Xchg | AtomicOp::Cmpxchg => true,
        };
        for size in [Size::W, Size::DW] {
            for ty in [Ty::I32, Ty::I64] {
                if size == Size::DW && ty == Ty::I32 {
                    continue;
                }
                let mut b = Build::new();
                let (value, expected) = (typed(&mut b, Val(1), ty), typed(&mut b, Val(2), ty));
                let given = if fetches { ty } else { Ty::None };
                let atomic =
                    Op::Atomic { op, size, base: Val(0), off: 8, region: Region::Map, value, expected };
                let old = b.op(atomic, given);
                let old = if fetches { wide(&mut b, old) } else { b.number(0) };
                let machine = b.finish(Term::Return(old));
                for (memory, value) in pairs().take(144) {
                    for expected in [memory, 5] {
                        let mut words = [0_u64, memory, 0];
                        let got = machine.run5([
                            words.as_mut_ptr().expose_provenance() as u64,
                            value,
                            expected,
                            0,
                            0,
                        ]);
                        let held = eval::zero_extend(size, memory);
                        let want = eval::atomic(op, size, held, value, expected);
                        let stored = if size == Size::W { memory >> 32 << 32 | want.new } else { want.new };
                        assert_eq!(
                            words,
                            [0, stored, 0],
                            "{op:?} {size:?} {memory:#x} {value:#x} {expected:#x}"
                        );
                        assert_eq!(got, want.returned.unwrap_or(0), "{op:?} {size:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_frame_is_zeroed_where_it_must_be() {
    for zeroed in [8_u16, 24, 40, 512] {
        let mut b = Build::new();
        b.function.zeroed = zeroed;
        let frame = b.op(Op::Frame, Ty::I64);
        let machine = b.finish(Term::Return(frame));
        let mut rt = Rt::default();
        let mut memory = [0xff_u8; 1024];
        let end = memory.as_mut_ptr_range().end.expose_provenance() as u64;
        assert_eq!(machine.enter(&mut rt, end, [0; 5]), (end, 0));
        let from = 1024 - usize::from(zeroed);
        assert!(
            memory[..from].iter().all(|b| *b == 0xff) && memory[from..].iter().all(|b| *b == 0),
            "{zeroed}"
        );
    }
}

#[test]
fn functions_call_each_other_with_what_they_use() {
    // f1(r1, _, r3) = r1 - r3 + the distance of the frames; f2 stops through a service.
    let mut main = Build::new();
    let (a, c) = (main.number(50), main.number(8));
    let args = [Val(0), a, c, a, a];
    let r = main.call(1, args);
    let r = main.call(2, [r, r, r, r, r]);
    let ten = main.number(10);
    let r = main.op(Op::Bin(Bin::Mul, r, ten), Ty::I64);
    main.end(Term::Return(r));
    let mut f1 = Build::new();
    let r = f1.op(Op::Bin(Bin::Sub, Val(0), Val(2)), Ty::I64);
    f1.end(Term::Return(r));
    let mut f2 = Build::new();
    let frame = f2.op(Op::Frame, Ty::I64);
    f2.op(Op::Store { size: Size::DW, base: frame, off: -8, region: Region::Frame, value: Val(3) }, Ty::None);
    let r = f2.service(Service::Helper { index: 7 }, &[Val(1), frame]);
    f2.end(Term::Return(r));
    let machine = Machine::of(vec![main, f1, f2]);
    let mut rt = Rt::default();
    let mut memory = [0_u64; 256];
    let end = memory.as_mut_ptr_range().end.expose_provenance() as u64;
    // The helper made by hand gives the sum of its arguments and its index.
    let got = machine.enter(&mut rt, end, [100, 0, 0, 0, 0]);
    assert_eq!(got, ((92 + end - 512 + 7).wrapping_mul(10), 0));
    assert_eq!(memory[256 - 64 - 1], 92, "the callee's frame lies below");
    rt.stop = 9;
    let got = machine.enter(&mut rt, end, [100, 0, 0, 0, 0]);
    assert_eq!(got.1, 9, "a stop goes through all callers");
}

#[test]
fn services_get_what_they_ask_for() {
    // The instruction's slot is 3: `3 << 16` in what names it with a small number.
    const AT: u64 = 3 << 16;
    let cases: [(Service, usize, &[u64]); 12] = [
        (Service::Helper { index: 700 }, 3, &[AT | 700]),
        (Service::Lookup, 2, &[11, 12, 3]),
        (Service::Stack { buffer: true }, 4, &[AT | 1, FRAME]),
        (Service::CallBackBegin { kind: 3 }, 5, &[AT | 3, FRAME]),
        (Service::CallBackNext, 1, &[11, FRAME]),
        (Service::PacketLoad { size: Size::H }, 1, &[AT | 2, 11]),
        (Service::LoadElsewhere { size: Size::W }, 1, &[11, AT | 4]),
        (Service::StoreElsewhere { size: Size::DW }, 2, &[11, AT | 8, 12]),
        (Service::Arena { index: 5 }, 2, &[5, 11, 12, 0]),
        (Service::Tick, 0, &[3]),
        (Service::Check { size: Size::H, write: true }, 1, &[11, AT | 0x8002]),
        (Service::Throw, 1, &[11]),
    ];
    const FRAME: u64 = 0xf000;
    for (service, operands, want) in cases {
        let mut b = Build::new();
        b.pc = 3;
        let args: Vec<_> = (0..operands as u32).map(Val).collect();
        let r = b.service(service, &args);
        let arg = b.op(Op::Arg(4), Ty::I64);
        let sum = b.op(Op::Bin(Bin::Add, r, arg), Ty::I64);
        let machine = b.finish(Term::Return(sum));
        let mut rt = Rt::default();
        rt.args[4] = 1000;
        let (value, stop) = machine.enter(&mut rt, FRAME, [11, 12, 13, 14, 15]);
        let left = if operands == 5 { 15 } else { 1000 };
        let answer = match service {
            Service::Helper { .. } => 11 + 12 + 700,
            Service::Tick => 0,
            _ => fake::ANSWER,
        };
        assert_eq!((value, stop), (answer + left, 0), "{service:?}");
        assert_eq!(&rt.seen[1..], want, "{service:?}");
        if operands >= 4 {
            assert_eq!(rt.args[..4], [11, 12, 13, 14], "{service:?}");
        }
        rt.stop = 5;
        assert_eq!(machine.enter(&mut rt, FRAME, [11, 12, 13, 14, 15]).1, 5, "{service:?}");
    }
}

/// What a lookup function is given comes back: the map's address, the key's, the virtual CPU.
unsafe extern "C" fn find(map: u64, key: u64, vcpu: u64) -> u64 {
    map << 32 | key << 16 | vcpu
}

#[test]
fn maps_are_asked_by_their_own_functions() {
    let function = (find as *const ()).expose_provenance() as u64;
    let mut b = Build::new();
    let r = b.service(Service::Find { function, map: 3 }, &[Val(1)]);
    let sum = b.op(Op::Bin(Bin::Add, r, Val(2)), Ty::I64);
    let machine = b.finish(Term::Return(sum));
    let mut rt = Rt { stop: 5, ..Rt::default() };
    rt.cells[4] = 9;
    let got = machine.enter(&mut rt, 0xf000, [0, 7, 100, 0, 0]);
    assert_eq!(got, ((3 << 32 | 7 << 16 | 9) + 100, 0), "such a function stops no run");
}

unsafe extern "C" fn counts(rt: *mut Rt) -> u64 {
    // SAFETY: native code calls with the structure that it was given.
    let rt = unsafe { &mut *rt };
    rt.jumps += 1;
    rt.cells[0] = 4 + rt.jumps;
    rt.cells[0]
}

#[test]
fn what_stays_the_same_is_asked_for_once() {
    let function = (counts as *const ()).expose_provenance() as u64;
    let word = core::mem::offset_of!(Rt, cells) as u16;
    for (kept, asked, want) in [(0, 2, 5 + 6), (word, 1, 5 + 5)] {
        let mut b = Build::new();
        let one = b.service(Service::Quick { function, kept }, &[]);
        let other = b.service(Service::Quick { function, kept }, &[]);
        let sum = b.op(Op::Bin(Bin::Add, one, other), Ty::I64);
        let machine = b.finish(Term::Return(sum));
        let mut rt = Rt::default();
        rt.cells[0] = u64::MAX;
        assert_eq!(machine.enter(&mut rt, 0xf000, [0; 5]), (want, 0));
        assert_eq!(rt.jumps, asked);
        if kept != 0 {
            rt.cells[0] = 30;
            assert_eq!(machine.enter(&mut rt, 0xf000, [0; 5]), (60, 0), "known from before");
        }
    }
}

#[test]
fn tail_calls_jump() {
    // Goes to itself `rt.jumps` times, each with its own context plus 1; a stack of calls would need 100 MB.
    let mut b = Build::new();
    let one = b.number(1);
    let next = b.op(Op::Bin(Bin::Add, Val(0), one), Ty::I64);
    let r = b.tail_call([next, one, one]);
    let two = b.number(2);
    let r = b.op(Op::Bin(Bin::Mul, r, two), Ty::I64);
    let machine = b.finish(Term::Return(r));
    let mut rt = Rt { jumps: 1_000_000, tail: machine.tail_entry(), ..Rt::default() };
    // In the end the service says: go on with 21.
    rt.args[0] = 21;
    assert_eq!(machine.enter(&mut rt, 0, [5, 0, 0, 0, 0]), (42, 0));
    assert_eq!(rt.seen[1], 5 + 1_000_001, "the context that was handed on");
    let mut rt = Rt { last: 1, ..Rt::default() };
    rt.args[0] = 21;
    assert_eq!(machine.enter(&mut rt, 0, [5, 0, 0, 0, 0]), (21, 0), "1: returned as it is");
    let mut rt = Rt { stop: 3, ..Rt::default() };
    assert_eq!(machine.enter(&mut rt, 0, [5, 0, 0, 0, 0]).1, 3);
    // A program without tail calls can be jumped to.
    let mut b = Build::new();
    let three = b.number(3);
    let r = b.op(Op::Bin(Bin::Mul, Val(0), three), Ty::I64);
    let last = b.finish(Term::Return(r));
    let mut rt = Rt { jumps: 1, tail: last.tail_entry(), ..Rt::default() };
    assert_eq!(machine.enter(&mut rt, 0, [5, 0, 0, 0, 0]), (18, 0));
}

#[test]
fn other_functions_than_the_main_one_call_instead() {
    let mut main = Build::new();
    let r = main.call(1, [Val(0); 5]);
    let one = main.number(1);
    let r = main.op(Op::Bin(Bin::Add, r, one), Ty::I64);
    main.end(Term::Return(r));
    let mut sub = Build::new();
    let r = sub.tail_call([Val(0), Val(1), Val(4)]);
    sub.end(Term::Return(r));
    let machine = Machine::of(vec![main, sub]);
    let mut b = Build::new();
    let three = b.number(3);
    let r = b.op(Op::Bin(Bin::Mul, Val(0), three), Ty::I64);
    let last = b.finish(Term::Return(r));
    let mut rt = Rt { jumps: 1, tail: last.tail_entry(), ..Rt::default() };
    assert_eq!(machine.enter(&mut rt, 4096, [5, 0, 0, 0, 0]), (16, 0), "returns to the subprogram's caller");
    assert_eq!(rt.seen[1..], [5, 5, 5, 4096 - 512, 0]);
    let mut rt = Rt { last: 1, ..Rt::default() };
    rt.args[0] = 21;
    assert_eq!(machine.enter(&mut rt, 4096, [5, 0, 0, 0, 0]), (22, 0));
}

#[test]
fn the_runtime_is_told_of_calls_where_it_walks_over_them() {
    for walks in [false, true] {
        let mut main = Build::new();
        main.pc = 6;
        let r = main.call(1, [Val(0); 5]);
        main.end(Term::Return(r));
        let mut sub = Build::new();
        let r = if walks { sub.service(Service::Stack { buffer: true }, &[Val(0)]) } else { Val(0) };
        sub.end(Term::Return(r));
        let machine = Machine::of(vec![main, sub]);
        let mut rt = Rt::default();
        let value = if walks { fake::ANSWER } else { 5 };
        assert_eq!(machine.enter(&mut rt, 4096, [5, 0, 0, 0, 0]), (value, 0));
        assert_eq!(rt.called, if walks { vec![(6, 4096)] } else { vec![] });
    }
}

#[test]
fn may_goto_jumps_when_its_budget_is_spent() {
    let mut b = Build::new();
    let zero = b.number(0);
    let (head, body, out) = (b.block(&[Ty::I64]), b.block(&[]), b.block(&[]));
    b.end(Term::Jump(Edge { to: head, args: vec![zero] }));
    b.at(head);
    let count = b.params(head)[0];
    b.end(Term::MayGoto { spent: Edge { to: out, args: vec![] }, other: Edge { to: body, args: vec![] } });
    b.at(body);
    let one = b.number(1);
    let next = b.op(Op::Bin(Bin::Add, count, one), Ty::I64);
    b.end(Term::Jump(Edge { to: head, args: vec![next] }));
    b.at(out);
    let machine = b.finish(Term::Return(count));
    assert_eq!(machine.run([0, 0]), u64::from(fake::MAY_GOTO_LIMIT));
    // The deadline is looked at when the steps are used up: then, and never before.
    let mut rt = Rt { steps: 300, stop: 7, ..Rt::default() };
    assert_eq!(machine.enter(&mut rt, 0, [0; 5]).1, 7);
    assert_eq!(rt.steps, 0);
    let mut rt = Rt { steps: u64::from(fake::MAY_GOTO_LIMIT), stop: 7, ..Rt::default() };
    assert_eq!(machine.enter(&mut rt, 0, [0; 5]), (fake::MAY_GOTO_LIMIT.into(), 0));
}

#[test]
fn positions_name_the_slots() {
    let mut b = Build::new();
    b.pc = 3;
    let r = b.service(Service::Tick, &[]);
    b.pc = 9;
    let r = b.service(Service::Throw, &[r]);
    let machine = b.finish(Term::Return(r));
    let slots: Vec<_> = machine.machine.positions.iter().filter_map(|p| p.slot).collect();
    assert!(slots.contains(&3) && slots.contains(&9), "{slots:?}");
    assert!(machine.machine.positions.is_sorted_by_key(|p| p.offset));
}

#[test]
fn unwinders_walk_through_native_code() {
    let mut main = Build::new();
    let r = main.call(1, [Val(0); 5]);
    main.end(Term::Return(r));
    let mut sub = Build::new();
    let r = sub.service(Service::Tick, &[]);
    sub.end(Term::Return(r));
    let machine = Machine::of(vec![main, sub]);
    let mut rt = Rt { look: true, ..Rt::default() };
    let (value, stop) = machine.enter(&mut rt, 0, [0; 5]);
    assert_eq!((value, stop), (0, 0));
    // Behind the two native frames the test is found again.
    let callers: Vec<_> = rt.trace.split("ask1").skip(1).flat_map(str::lines).skip(1).take(3).collect();
    assert!(callers[..2].iter().all(|line| line.contains("<unknown>")), "{}", rt.trace);
    assert!(rt.trace.contains("test::run_test"), "{}", rt.trace);
}

/// A link as the runtime has it.
#[repr(C)]
#[derive(Clone, Copy)]
struct FakeLink {
    id: u64,
    jump: u64,
    program: u64,
    keep: u64,
}

/// To the program whose id the slot of the index holds: by its link if there is one, the index is inside, and the run has tail
/// calls left; else by the service.
#[test]
fn tail_calls_go_by_links() {
    let slots: [u32; 4] = [0, 5, 5 + LINKS as u32, u32::MAX];
    let nothing = FakeLink { id: u64::MAX, jump: 0, program: 0, keep: 0 };
    let mut links = [nothing; LINKS];
    let address = |p: *const ()| p.expose_provenance() as u64;
    // The program that is jumped to.
    let mut b = Build::new();
    let three = b.number(3);
    let r = b.op(Op::Bin(Bin::Mul, Val(0), three), Ty::I64);
    let target = b.finish(Term::Return(r));
    links[5] = FakeLink { id: 5, jump: target.tail_entry(), program: 1234, keep: 0 };
    let mut b = Build::new();
    let map = b.number(0xffff_9000_0000_0000);
    // The index comes in the context: a program with tail calls takes nothing else.
    let r = b.tail_call([Val(0), map, Val(0)]);
    b.end(Term::Return(r));
    let at = Slots { content: 0xffff_9000_0000_0000, address: address(slots.as_ptr().cast()), count: 4 };
    let machine = Machine::with(vec![b], vec![at]);
    let enter = |ctx: u64, made: u32| {
        let made = core::cell::UnsafeCell::new(made);
        let mut rt = Rt {
            links: address(links.as_ptr().cast()),
            tail_calls: address(made.get().cast_const().cast()),
            ..Rt::default()
        };
        rt.args[0] = 21;
        let value = machine.enter(&mut rt, 0, [ctx, 0, 0, 0, 0]);
        assert_eq!(value.1, 0);
        (value.0, rt.program, made.into_inner(), rt.seen.len())
    };
    let service = |made| (21, 0, made, 6);
    assert_eq!(enter(1, 0), (3, 1234, 1, 0), "linked");
    assert_eq!(
        enter(1 | 1 << 32, 32),
        (3 * (1 | 1 << 32), 1234, 33, 0),
        "of the index the lower half counts"
    );
    assert_eq!(enter(1, 33), service(33), "no more tail calls");
    assert_eq!(enter(0, 0), service(0), "an empty slot");
    assert_eq!(enter(2, 0), service(0), "another program in that place");
    assert_eq!(enter(3, 0), service(0), "what is no program");
    assert_eq!(enter(4, 0), service(0), "outside");
    assert_eq!(enter(u32::MAX.into(), 0), service(0), "far outside");
}
