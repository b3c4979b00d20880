//! Random programs of arithmetic, jumps, loops, the stack and calls: what is built of them means what they do in the
//! interpreter.

use skep_abi::ProgramType;
use skep_isa::{AluOp, AtomicOp, CallTarget, Imm64, Insn, JumpOp, Op, Operand, Reg, Size, SwapKind, Width};
use skep_jit::build::{Options, build};
use skep_jit::ir::eval::{Plain, run};
use skep_jit::ir::{Func, Service};
use skep_spec::{Environment, ProgramSpec};
use skep_vm::{NullHost, Program, Run, Stack};

const ALU: [AluOp; 14] = [
    AluOp::Add,
    AluOp::Sub,
    AluOp::Mul,
    AluOp::Div,
    AluOp::Sdiv,
    AluOp::Or,
    AluOp::And,
    AluOp::Lsh,
    AluOp::Rsh,
    AluOp::Mod,
    AluOp::Smod,
    AluOp::Xor,
    AluOp::Mov,
    AluOp::Arsh,
];
const JUMPS: [JumpOp; 11] = [
    JumpOp::Eq,
    JumpOp::Ne,
    JumpOp::Set,
    JumpOp::Gt,
    JumpOp::Ge,
    JumpOp::Lt,
    JumpOp::Le,
    JumpOp::Sgt,
    JumpOp::Sge,
    JumpOp::Slt,
    JumpOp::Sle,
];
const SIZES: [Size; 4] = [Size::B, Size::H, Size::W, Size::DW];
const ATOMICS: [AtomicOp; 10] = [
    AtomicOp::Add { fetch: false },
    AtomicOp::Or { fetch: false },
    AtomicOp::And { fetch: false },
    AtomicOp::Xor { fetch: false },
    AtomicOp::Add { fetch: true },
    AtomicOp::Or { fetch: true },
    AtomicOp::And { fetch: true },
    AtomicOp::Xor { fetch: true },
    AtomicOp::Xchg,
    AtomicOp::Cmpxchg,
];
const FP: Reg = Reg::FP;

struct Gen {
    seed: u64,
    ops: Vec<Op>,
    /// Calls to be given their target: place in `ops`, function.
    calls: Vec<(usize, usize)>,
}

impl Gen {
    fn below(&mut self, n: u64) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        (self.seed >> 11) % n
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }

    fn number(&mut self) -> i32 {
        match self.below(4) {
            0 => self.below(20) as i32 - 10,
            1 => self.of(&[i32::MIN, i32::MAX, -1, 0x8000, 0xffff, 0x7f, 0x80, 1 << 20]),
            2 => self.below(1 << 16) as i32,
            _ => self.below(1 << 32) as u32 as i32,
        }
    }

    fn width(&mut self) -> Width {
        self.of(&[Width::W32, Width::W64])
    }

    /// A register that holds a number: `r9` counts loops.
    fn reg(&mut self) -> Reg {
        Reg(self.below(9) as u8)
    }

    fn constant(&mut self, dst: Reg) {
        let value = (self.number() as u64) << 32 | u64::from(self.number() as u32);
        let op = if self.below(2) == 0 {
            Op::LoadImm64 { dst, value: Imm64::Const(value) }
        } else {
            Op::Alu { width: Width::W64, op: AluOp::Mov, dst, src: Operand::Imm(value as i32) }
        };
        self.ops.push(op);
    }

    /// A slot of the stack for a size, by its distance from the end.
    fn slot(&mut self, size: Size) -> i16 {
        let n = size.bytes() as i16;
        -(self.below(64 / n as u64) as i16 + 1) * n
    }

    fn operand(&mut self) -> Operand {
        if self.below(2) == 0 { Operand::Reg(self.reg()) } else { Operand::Imm(self.number()) }
    }

    /// The place of a slot: by `r10`, or by a copy of it in `r9`.
    fn plain(&mut self, base: Reg) {
        let dst = self.reg();
        let op = match self.below(11) {
            0..=3 => {
                let (op, width, mut src) = (self.of(&ALU), self.width(), self.operand());
                let shifts = matches!(op, AluOp::Lsh | AluOp::Rsh | AluOp::Arsh);
                let divides = matches!(op, AluOp::Div | AluOp::Sdiv | AluOp::Mod | AluOp::Smod);
                if let Operand::Imm(imm) = &mut src {
                    if shifts {
                        *imm &= 31;
                    } else if divides && *imm == 0 {
                        *imm = 3;
                    }
                }
                Op::Alu { width, op, dst, src }
            }
            4 => Op::Neg { width: self.width(), dst },
            5 => match self.width() {
                Width::W64 => {
                    let from = self.of(&SIZES[..3]);
                    Op::MovSx { width: Width::W64, from, dst, src: self.reg() }
                }
                width => Op::MovSx { width, from: self.of(&SIZES[..2]), dst, src: self.reg() },
            },
            6 => {
                let kind = self.of(&[SwapKind::Le, SwapKind::Be, SwapKind::Bswap]);
                Op::Swap { kind, size: self.of(&SIZES[1..]), dst }
            }
            7 | 8 => {
                let size = self.of(&SIZES);
                let off = self.slot(size);
                let signed = size != Size::DW && self.below(3) == 0;
                match self.below(4) {
                    0 => Op::LoadAcquire { size, dst, src: base, off },
                    _ => Op::Load { size, signed, dst, src: base, off },
                }
            }
            9 => {
                let size = self.of(&SIZES);
                let off = self.slot(size);
                match self.below(4) {
                    0 => Op::StoreRelease { size, dst: base, src: dst, off },
                    _ => Op::Store { size, dst: base, off, src: self.operand() },
                }
            }
            _ => {
                let (size, op) = (self.of(&SIZES[2..]), self.of(&ATOMICS));
                Op::Atomic { size, op, dst: base, src: dst, off: self.slot(size) }
            }
        };
        self.ops.push(op);
    }

    fn slots(&self, from: usize) -> i16 {
        self.ops[from..].iter().map(Op::slots).sum::<usize>() as i16
    }

    /// Some instructions that a jump may go round.
    fn piece(&mut self, depth: u32, functions: usize) {
        match self.below(8) {
            0 | 1 if depth < 2 => {
                let (width, op, dst, src) = (self.width(), self.of(&JUMPS), self.reg(), self.operand());
                let at = self.ops.len();
                self.ops.push(Op::JumpIf { width, op, dst, src, off: 0 });
                for _ in 0..1 + self.below(3) {
                    self.piece(depth + 1, functions);
                }
                let off = self.slots(at + 1);
                self.ops[at] = Op::JumpIf { width, op, dst, src, off };
            }
            2 if depth < 1 => {
                let n = 1 + self.below(5) as i32;
                let set = Op::Alu { width: Width::W64, op: AluOp::Mov, dst: Reg(9), src: Operand::Imm(n) };
                self.ops.push(set);
                let at = self.ops.len();
                for _ in 0..1 + self.below(4) {
                    self.plain(FP);
                }
                let width = self.width();
                self.ops.push(Op::Alu { width, op: AluOp::Add, dst: Reg(9), src: Operand::Imm(-1) });
                let off = -self.slots(at) - 1;
                self.ops.push(Op::JumpIf { width, op: JumpOp::Ne, dst: Reg(9), src: Operand::Imm(0), off });
            }
            3 if functions > 0 => {
                // Every other function takes a pointer.
                let to = self.below(functions as u64) as usize;
                if to.is_multiple_of(2) {
                    self.pointer(Reg::R1);
                } else {
                    self.constant(Reg::R1);
                }
                self.calls.push((self.ops.len(), to));
                self.ops.push(Op::Call(CallTarget::Subprog(0)));
                (1..6).for_each(|n| self.constant(Reg(n)));
            }
            4 => {
                // A pointer in `r9` stays there until the next number of passes does.
                self.pointer(Reg(9));
                for _ in 0..1 + self.below(3) {
                    self.plain(Reg(9));
                }
            }
            5 if self.below(4) == 0 => {
                let long = self.below(2) == 0;
                self.ops.push(Op::Jump { off: 0, long });
            }
            _ => self.plain(FP),
        }
    }

    fn pointer(&mut self, dst: Reg) {
        self.ops.push(Op::Alu { width: Width::W64, op: AluOp::Mov, dst, src: Operand::Reg(FP) });
    }

    /// A function, main or called by a number, that calls those behind it.
    fn function(&mut self, number: Option<usize>, functions: usize) {
        let pointer = number.is_some_and(|n| n.is_multiple_of(2));
        if pointer {
            self.ops.push(Op::Alu {
                width: Width::W64,
                op: AluOp::Mov,
                dst: Reg(9),
                src: Operand::Reg(Reg::R1),
            });
            self.constant(Reg::R1);
        }
        let numbers = if number.is_none() { 1..10 } else { 6..if pointer { 9 } else { 10 } };
        for n in [0].into_iter().chain(numbers) {
            self.constant(Reg(n));
        }
        for _ in 0..if pointer { 1 + self.below(4) } else { 0 } {
            self.plain(Reg(9));
        }
        for _ in 0..3 + self.below(9) {
            self.piece(0, functions);
        }
        if self.below(2) == 0 {
            let src = Operand::Reg(self.reg());
            self.ops.push(Op::Alu { width: Width::W64, op: AluOp::Xor, dst: Reg::R0, src });
        }
        self.ops.push(Op::Exit);
    }

    fn program(seed: u64) -> Vec<Insn> {
        let mut g =
            Self { seed: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, ops: Vec::new(), calls: Vec::new() };
        let functions = g.below(3) as usize;
        let mut starts = Vec::new();
        for n in 0..=functions {
            starts.push(g.slots(0));
            let from = g.calls.len();
            // Numbers count from the last function.
            g.function(n.checked_sub(1).map(|n| functions - 1 - n), functions - n);
            g.calls[from..].iter_mut().for_each(|(_, to)| *to = functions - *to);
        }
        for (at, to) in core::mem::take(&mut g.calls) {
            let here = g.ops[..at].iter().map(Op::slots).sum::<usize>() as i32;
            g.ops[at] = Op::Call(CallTarget::Subprog(i32::from(starts[to]) - here - 1));
        }
        g.ops
            .iter()
            .flat_map(|op| {
                let (first, second) = op.encode();
                [Some(first), second].into_iter().flatten()
            })
            .collect()
    }
}

/// What a service of plain memory does: only checks are asked for.
fn checked(
    world: &mut Plain,
    service: Service,
    args: &[u64],
    _: &mut [u64; 5],
) -> Result<u64, skep_jit::ir::eval::Stop> {
    use skep_jit::ir::eval::World;
    match service {
        Service::Check { size, .. } => world.load(args[0], size).map(|_| 0),
        _ => Err(skep_jit::ir::eval::Stop::Service(service.to_string())),
    }
}

#[test]
fn built_programs_mean_what_they_do() {
    let env = Environment::default();
    let mut accepted = 0;
    for seed in 0..600 {
        let insns = Gen::program(seed);
        let spec = ProgramSpec { prog_type: ProgramType::SOCKET_FILTER, insns, ..ProgramSpec::default() };
        let verified = match skep_verifier::verify(&spec, &env, &Default::default()) {
            Ok(verified) => verified,
            Err(e) => {
                if std::env::var_os("WHY").is_some() {
                    eprintln!("seed {seed}: {e}");
                }
                continue;
            }
        };
        accepted += 1;
        let program = Program::new(&verified, &env, vec![]).expect("it names no maps");
        let (mut stack, mut ctx) = (Stack::new(), [0; 192]);
        let outcome = program.run(&mut Run::new(&mut stack, &NullHost).with_ctx(&mut ctx)).expect("no trap");
        let binding = program.binding().expect("verified");
        for check_accesses in [false, true] {
            let options = Options { check_accesses, ..Options::default() };
            let module = build(&binding, &options).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            module.check().unwrap_or_else(|e| panic!("seed {seed}: {e}\n{module}"));
            let mut world = Plain { services: checked, ..Plain::new(1 << 40) };
            let r0 = run(&module, &mut world, Func(0), [0; 5], 1 << 20);
            assert_eq!(r0, Ok(outcome.r0), "seed {seed}\n{module}");
        }
    }
    assert!(accepted > 300, "only {accepted} of 600 programs were accepted");
}
