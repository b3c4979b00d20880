//! Arithmetic, jumps, stack, calls, limits.

mod common;

use std::sync::Arc;

use common::{program, r, r0, run, slots};
use skep_abi::{MapType, ProgramType};
use skep_isa::{AluOp, AtomicOp, CallTarget, Imm64, JumpOp, Op, Operand, Size, SwapKind, Width, eval, table};
use skep_maps::{Config, Heap, Map};
use skep_spec::{Environment, MapDef, ProgramSpec};
use skep_vm::{NullHost, Program, Programs, Run, Stack, TrapKind};

fn mov(dst: u8, imm: i32) -> Op {
    Op::Alu { width: Width::W64, op: AluOp::Mov, dst: r(dst), src: Operand::Imm(imm) }
}

fn lddw(dst: u8, value: u64) -> Op {
    Op::LoadImm64 { dst: r(dst), value: Imm64::Const(value) }
}

fn add(dst: u8, src: u8) -> Op {
    Op::Alu { width: Width::W64, op: AluOp::Add, dst: r(dst), src: Operand::Reg(r(src)) }
}

const EDGES: [u64; 14] = [
    0,
    1,
    2,
    7,
    31,
    63,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    i64::MAX as u64,
    i64::MIN as u64,
    u64::MAX - 1,
    u64::MAX,
];

/// Each row of the table that computes on registers alone gives what `eval` says, on edge operands.
#[test]
fn every_scalar_row_agrees_with_eval() {
    let mut rows = 0;
    for row in table::rows() {
        let mut seed = 1u64;
        let mut random = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            seed >> 11
        };
        let op = row.sample(&mut random);
        let expect: Box<dyn Fn(u64, u64) -> u64> = match op {
            Op::Alu { width, op, .. } => Box::new(move |a, b| eval::alu(op, width, a, b)),
            Op::Neg { width, .. } => Box::new(move |a, _| eval::neg(width, a)),
            Op::MovSx { width, from, .. } => Box::new(move |_, b| eval::movsx(width, from, b)),
            Op::Swap { kind, size, .. } => {
                Box::new(move |a, _| eval::swap(kind, size, skep_isa::Endian::NATIVE, a))
            }
            Op::JumpIf { width, op, .. } => Box::new(move |a, b| u64::from(eval::jump(op, width, a, b))),
            _ => continue,
        };
        rows += 1;
        for a in EDGES {
            for b in EDGES {
                let imm = b as u32 as i32;
                let (op, b) = match op {
                    Op::Alu { width, op, src: Operand::Reg(_), .. } => {
                        (Op::Alu { width, op, dst: r(6), src: Operand::Reg(r(7)) }, b)
                    }
                    Op::Alu { width, op, src: Operand::Imm(_), .. } => {
                        (Op::Alu { width, op, dst: r(6), src: Operand::Imm(imm) }, imm as u64)
                    }
                    Op::JumpIf { width, op, src: Operand::Reg(_), .. } => {
                        (Op::JumpIf { width, op, dst: r(6), src: Operand::Reg(r(7)), off: 1 }, b)
                    }
                    Op::JumpIf { width, op, src: Operand::Imm(_), .. } => {
                        (Op::JumpIf { width, op, dst: r(6), src: Operand::Imm(imm), off: 1 }, imm as u64)
                    }
                    Op::Neg { width, .. } => (Op::Neg { width, dst: r(6) }, b),
                    Op::MovSx { width, from, .. } => (Op::MovSx { width, from, dst: r(6), src: r(7) }, b),
                    Op::Swap { kind, size, .. } => (Op::Swap { kind, size, dst: r(6) }, b),
                    other => (other, b),
                };
                let got = if let Op::JumpIf { .. } = op {
                    r0(&[lddw(6, a), lddw(7, b), mov(0, 1), op, mov(0, 0), Op::Exit])
                } else {
                    let out =
                        Op::Alu { width: Width::W64, op: AluOp::Mov, dst: r(0), src: Operand::Reg(r(6)) };
                    r0(&[lddw(6, a), lddw(7, b), op, out, Op::Exit])
                };
                assert_eq!(got, expect(a, b), "{op:?} on {a:#x}, {b:#x}");
            }
        }
    }
    assert!(rows >= 100, "{rows} rows of arithmetic and jumps");
}

#[test]
fn stack_stores_and_loads_of_every_size() {
    for (size, mask) in [(Size::B, 0xffu64), (Size::H, 0xffff), (Size::W, 0xffff_ffff), (Size::DW, u64::MAX)]
    {
        for off in [-8i16, -11, -512, -9 + size.bytes() as i16 - 8] {
            let v = 0x8182_8384_8586_8788;
            let ops = [
                lddw(1, v),
                Op::Store { size, dst: r(10), off, src: Operand::Reg(r(1)) },
                Op::Load { size, signed: false, dst: r(0), src: r(10), off },
                Op::Exit,
            ];
            assert_eq!(r0(&ops), v & mask, "{size:?} at {off}");
            if size != Size::DW {
                let mut signed = ops;
                signed[2] = Op::Load { size, signed: true, dst: r(0), src: r(10), off };
                assert_eq!(r0(&signed), eval::sign_extend(size, v), "signed {size:?} at {off}");
            }
        }
    }
}

#[test]
fn stores_of_constants_are_sign_extended() {
    let ops = [
        Op::Store { size: Size::DW, dst: r(10), off: -8, src: Operand::Imm(-2) },
        Op::Load { size: Size::DW, signed: false, dst: r(0), src: r(10), off: -8 },
        Op::Exit,
    ];
    assert_eq!(r0(&ops), -2i64 as u64);
}

#[test]
fn outside_the_stack_is_a_trap_that_says_so() {
    for (off, size) in [(-513i16, 1u64), (0, 1), (-4, 8), (-520, 8), (-516, 8)] {
        let size_of = if size == 8 { Size::DW } else { Size::B };
        let ops = [Op::Load { size: size_of, signed: false, dst: r(0), src: r(10), off }, Op::Exit];
        let trap = run(&program(slots(&ops)), &mut []).expect_err("outside");
        assert_eq!(trap.pc, 0);
        let TrapKind::Memory(fault) = trap.kind else { panic!("{trap}") };
        assert_eq!((fault.size, fault.write), (size, false));
        assert!(fault.near.is_some_and(|r| r.name == "stack" && r.len == 512), "{fault}");
    }
}

#[test]
fn addresses_do_not_wrap_around() {
    for base in [u64::MAX, u64::MAX - 6, 0, 1, i64::MAX as u64, 0x8000_0000_0000_0000] {
        for op in [
            Op::Load { size: Size::DW, signed: false, dst: r(0), src: r(3), off: 4 },
            Op::Store { size: Size::DW, dst: r(3), off: -4, src: Operand::Imm(1) },
        ] {
            let trap =
                run(&program(slots(&[lddw(3, base), op, Op::Exit])), &mut [0; 64]).expect_err("no memory");
            assert!(matches!(trap.kind, TrapKind::Memory(_)), "{trap}");
        }
    }
}

#[test]
fn memory_behind_r1_is_bounded() {
    let load = |off| {
        let p =
            program(slots(&[Op::Load { size: Size::W, signed: false, dst: r(0), src: r(1), off }, Op::Exit]));
        run(&p, &mut [1, 0, 0, 0, 2, 0, 0, 0])
    };
    assert_eq!(load(0).expect("inside").r0, u64::from(1u32.to_le()));
    assert_eq!(load(4).expect("inside").r0, u64::from(2u32.to_le()));
    assert!(load(5).is_err() && load(-1).is_err());
}

#[test]
fn atomics_agree_with_eval() {
    use AtomicOp::{Add, And, Cmpxchg, Or, Xchg, Xor};
    let ops = [true, false]
        .into_iter()
        .flat_map(|fetch| [Add { fetch }, Or { fetch }, And { fetch }, Xor { fetch }]);
    for op in ops.chain([Xchg, Cmpxchg]) {
        for size in [Size::W, Size::DW] {
            for (old, src, acc) in
                [(5u64, 3u64, 5u64), (u64::MAX, 1, 0), (0x1_0000_0001, u64::MAX, 0x2_0000_0001)]
            {
                let ops = [
                    lddw(6, old),
                    lddw(7, src),
                    lddw(0, acc),
                    Op::Store { size: Size::DW, dst: r(10), off: -8, src: Operand::Reg(r(6)) },
                    Op::Atomic { size, op, dst: r(10), src: r(7), off: -8 },
                    Op::Store { size: Size::DW, dst: r(1), off: 0, src: Operand::Reg(r(0)) },
                    Op::Store { size: Size::DW, dst: r(1), off: 8, src: Operand::Reg(r(7)) },
                    Op::Load { size: Size::DW, signed: false, dst: r(0), src: r(10), off: -8 },
                    Op::Exit,
                ];
                let mut out = [0; 16];
                let memory = run(&program(slots(&ops)), &mut out).expect("no trap").r0;
                let word = |i: usize| u64::from_ne_bytes(out[i..i + 8].try_into().expect("8 bytes"));
                let want = eval::atomic(op, size, old, src, acc);
                let content = if size == Size::W && cfg!(target_endian = "little") {
                    old & !0xffff_ffff | want.new
                } else {
                    want.new
                };
                assert_eq!(memory, content, "{op:?} {size:?} {old:#x} {src:#x}");
                let (r0, r7) = match (op, want.returned) {
                    (Cmpxchg, Some(v)) => (v, src),
                    (_, Some(v)) => (acc, v),
                    (_, None) => (acc, src),
                };
                assert_eq!((word(0), word(8)), (r0, r7), "{op:?} {size:?} {old:#x} {src:#x}");
            }
        }
    }
}

#[test]
fn acquire_and_release_of_every_size() {
    for size in [Size::B, Size::H, Size::W, Size::DW] {
        let v = 0x8182_8384_8586_8788;
        let ops = [
            lddw(1, v),
            Op::StoreRelease { size, dst: r(10), src: r(1), off: -8 },
            Op::LoadAcquire { size, dst: r(0), src: r(10), off: -8 },
            Op::Exit,
        ];
        assert_eq!(r0(&ops), eval::zero_extend(size, v));
    }
}

#[test]
fn unaligned_atomics_trap() {
    for op in [
        Op::Atomic { size: Size::DW, op: AtomicOp::Xchg, dst: r(10), src: r(1), off: -12 },
        Op::Atomic { size: Size::W, op: AtomicOp::Xchg, dst: r(10), src: r(1), off: -5 },
        Op::LoadAcquire { size: Size::H, dst: r(0), src: r(10), off: -3 },
        Op::StoreRelease { size: Size::DW, dst: r(10), src: r(1), off: -12 },
    ] {
        let trap = run(&program(slots(&[op, Op::Exit])), &mut []).expect_err("unaligned");
        assert!(matches!(trap.kind, TrapKind::Misaligned { .. }), "{trap}");
    }
}

#[test]
fn swaps() {
    let ops = |kind, size| [lddw(0, 0x1122_3344_5566_7788), Op::Swap { kind, size, dst: r(0) }, Op::Exit];
    assert_eq!(r0(&ops(SwapKind::Bswap, Size::DW)), 0x8877_6655_4433_2211);
    assert_eq!(r0(&ops(SwapKind::Bswap, Size::H)), 0x8877);
}

#[test]
fn loops_end_by_fuel() {
    for ops in [
        vec![Op::Jump { off: -1, long: false }],
        vec![mov(0, 0), Op::Jump { off: -2, long: true }],
        // A loop made of calls only.
        vec![Op::Call(CallTarget::Subprog(1)), Op::Jump { off: -2, long: false }, mov(0, 0), Op::Exit],
    ] {
        let trap = run(&program(slots(&ops)), &mut []).expect_err("endless");
        assert_eq!(trap.kind, TrapKind::Fuel);
        assert!(trap.kind.is_limit());
    }
}

#[test]
fn fuel_pays_for_loops_and_the_rest_is_left() {
    // r1 = 10; do { r1 -= 1 } while r1 != 0: nine jumps back over one slot, each two slots of fuel.
    let dec = Op::Alu { width: Width::W64, op: AluOp::Sub, dst: r(1), src: Operand::Imm(1) };
    let back = Op::JumpIf { width: Width::W64, op: JumpOp::Ne, dst: r(1), src: Operand::Imm(0), off: -2 };
    let p = program(slots(&[mov(1, 10), mov(0, 0), dec, back, Op::Exit]));
    let outcome = run(&p, &mut []).expect("it ends");
    assert_eq!(outcome.fuel, 100_000 - 18);
}

#[test]
fn calls_have_frames_of_their_own() {
    let ops = [
        Op::Store { size: Size::DW, dst: r(10), off: -8, src: Operand::Imm(7) },
        mov(6, 1),
        mov(1, 20),
        Op::Call(CallTarget::Subprog(4)),
        Op::Load { size: Size::DW, signed: false, dst: r(1), src: r(10), off: -8 },
        add(0, 1),
        add(0, 6),
        Op::Exit,
        // The callee: its slot is zero, its r6 its own.
        Op::Load { size: Size::DW, signed: false, dst: r(0), src: r(10), off: -8 },
        add(0, 1),
        Op::Store { size: Size::DW, dst: r(10), off: -8, src: Operand::Imm(1000) },
        mov(6, 500),
        Op::Exit,
    ];
    assert_eq!(r0(&ops), 20 + 7 + 1);
}

#[test]
fn a_callee_reaches_its_callers_frame_by_pointer() {
    let ops = [
        Op::Alu { width: Width::W64, op: AluOp::Mov, dst: r(1), src: Operand::Reg(r(10)) },
        Op::Call(CallTarget::Subprog(2)),
        Op::Load { size: Size::B, signed: false, dst: r(0), src: r(10), off: -1 },
        Op::Exit,
        Op::Store { size: Size::B, dst: r(1), off: -1, src: Operand::Imm(9) },
        Op::Exit,
    ];
    assert_eq!(r0(&ops), 9);
}

#[test]
fn a_frame_is_gone_after_return() {
    let ops = [
        Op::Call(CallTarget::Subprog(2)),
        Op::Load { size: Size::B, signed: false, dst: r(0), src: r(0), off: -1 },
        Op::Exit,
        Op::Store { size: Size::B, dst: r(10), off: -1, src: Operand::Imm(9) },
        Op::Alu { width: Width::W64, op: AluOp::Mov, dst: r(0), src: Operand::Reg(r(10)) },
        Op::Exit,
    ];
    let trap = run(&program(slots(&ops)), &mut []).expect_err("dangling");
    assert_eq!(trap.pc, 1);
}

#[test]
fn eight_frames_and_no_more() {
    // f(r1): if r1 == 0 return r10 is fine; r1 -= 1; return f(r1) + 1
    let f = |depth: i32| {
        let sub = Op::Alu { width: Width::W64, op: AluOp::Sub, dst: r(1), src: Operand::Imm(1) };
        let one = Op::Alu { width: Width::W64, op: AluOp::Add, dst: r(0), src: Operand::Imm(1) };
        let ops = [
            mov(1, depth),
            Op::Call(CallTarget::Subprog(1)),
            Op::Exit,
            mov(0, 0),
            Op::JumpIf { width: Width::W64, op: JumpOp::Eq, dst: r(1), src: Operand::Imm(0), off: 3 },
            sub,
            Op::Call(CallTarget::Subprog(-4)),
            one,
            Op::Exit,
        ];
        run(&program(slots(&ops)), &mut [])
    };
    assert_eq!(f(6).expect("eight frames").r0, 6);
    assert_eq!(f(7).expect_err("nine frames").kind, TrapKind::CallDepth);
}

/// Generated programs found this: each tail call out of a function leaves its caller waiting, and Linux allows 33.
#[test]
fn tail_calls_out_of_functions_nest_to_their_limit() {
    struct Again(std::sync::OnceLock<Arc<Program>>);
    impl Programs for Again {
        fn program(&self, _: u32) -> Option<Arc<Program>> {
            self.0.get().cloned()
        }
    }
    let def = Arc::new(MapDef::new(MapType::PROG_ARRAY, 4, 4, 1).named("jumps"));
    let map = Map::create(&def, &Config::new(1), &Heap).expect("small");
    map.set_program(0, 1).expect("a slot");
    let add = Op::Alu { width: Width::W64, op: AluOp::Add, dst: r(0), src: Operand::Imm(1) };
    // The main function adds one to what its function returns; that starts it again, as long as that is allowed.
    let ops = [
        Op::Call(CallTarget::Subprog(2)),
        add,
        Op::Exit,
        Op::LoadImm64 { dst: r(2), value: Imm64::MapIdx(0) },
        mov(3, 0),
        Op::Call(CallTarget::Helper(12)),
        mov(0, 0),
        Op::Exit,
    ];
    let spec = ProgramSpec { maps: vec![def], ..ProgramSpec::new(ProgramType::UNSPEC, slots(&ops)) };
    let program = Program::unverified(&spec, &Environment::default(), vec![map]).expect("its map");
    let (again, mut stack) = (Again(std::sync::OnceLock::new()), Stack::new());
    let _ = again.0.set(Arc::new(program));
    let first = again.program(1).expect("set");
    let mut run = Run::new(&mut stack, &NullHost).with_programs(&again);
    assert_eq!(first.run(&mut run).expect("33 tail calls").r0, u64::from(skep_vm::MAX_TAIL_CALLS) + 1);
}

#[test]
fn what_cannot_run_traps_where_it_stands() {
    let trap = |ops: &[Op]| run(&program(slots(ops)), &mut []).expect_err("trap");
    assert_eq!(trap(&[mov(0, 0)]).kind, TrapKind::OutsideProgram);
    assert_eq!(trap(&[Op::Jump { off: 5, long: false }]).kind, TrapKind::OutsideProgram);
    assert_eq!(trap(&[Op::Jump { off: -5, long: false }]).kind, TrapKind::OutsideProgram);
    assert_eq!(trap(&[mov(10, 0), Op::Exit]).kind, TrapKind::FramePointer);
    assert_eq!(trap(&[Op::Call(CallTarget::Helper(9999))]).kind, TrapKind::UnknownHelper(9999));
    assert_eq!(trap(&[Op::Call(CallTarget::Kfunc { btf_id: 5, btf_idx: 0 })]).kind, TrapKind::Kfunc(5));
    assert_eq!(trap(&[Op::CallIndirect { reg: r(1) }]).kind, TrapKind::CallIndirect);
    assert_eq!(trap(&[Op::JumpIndirect { reg: r(1) }]).kind, TrapKind::JumpIndirect);
    assert_eq!(trap(&[Op::LoadImm64 { dst: r(1), value: Imm64::MapFd(3) }]).kind, TrapKind::UnboundMap(3));
    assert_eq!(trap(&[Op::Jump { off: 1, long: false }, lddw(0, 0)]).kind, TrapKind::SecondSlot);
    assert_eq!(
        trap(&[Op::AddrSpaceCast { dst: r(0), src: r(1), dst_as: 0, src_as: 1 }]).kind,
        TrapKind::NoArena
    );
    let empty = run(&program(vec![]), &mut []).expect_err("no instruction");
    assert_eq!(empty.kind, TrapKind::OutsideProgram);
    let bad =
        run(&program(vec![skep_isa::Insn::new(0xff, r(0), r(0), 0, 0)]), &mut []).expect_err("no opcode");
    assert!(matches!(bad.kind, TrapKind::BadInstruction(_)));
}

#[test]
fn may_goto_leaves_an_endless_loop() {
    let ops = [
        mov(0, 0),
        Op::MayGoto { off: 2 },
        Op::Alu { width: Width::W64, op: AluOp::Add, dst: r(0), src: Operand::Imm(1) },
        Op::Jump { off: -3, long: false },
        Op::Exit,
    ];
    let mut stack = skep_vm::Stack::new();
    let mut run = skep_vm::Run::new(&mut stack, &skep_vm::NullHost).with_fuel(u64::MAX);
    let outcome = program(slots(&ops)).run(&mut run).expect("it ends");
    assert_eq!(outcome.r0, u64::from(skep_vm::MAY_GOTO_LIMIT));
}

#[test]
fn a_deadline_ends_a_run() {
    struct Clock(std::cell::Cell<u64>);
    impl skep_vm::Host for Clock {
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
    let clock = Clock(std::cell::Cell::new(0));
    let mut stack = skep_vm::Stack::new();
    let mut run = skep_vm::Run::new(&mut stack, &clock).with_deadline(5);
    let trap = program(slots(&[Op::Jump { off: -1, long: false }])).run(&mut run).expect_err("endless");
    assert_eq!(trap.kind, TrapKind::Deadline);
    assert_eq!(clock.0.get(), 5);
}
