//! Concrete runs stay inside what the verifier knew: property test of transfers, refinement and linked numbers.
//!
//! Random programs compute on two unknown numbers and on constants, with branches, functions, spills and short
//! loops. Each runs on several inputs, by the plain meaning of the instructions; before each instruction some
//! state that the verifier saw there must have every register's value as a member. The path of a run is never
//! one that no run takes.

mod common;

use common::{START, WITH_VALUE, maps};
use skep_abi::ProgramType;
use skep_isa::text::assemble;
use skep_isa::{AluOp, CallTarget, JumpOp, Op, Operand, Reg, Size, Width, decode, eval};
use skep_spec::{Environment, ProgramSpec};
use skep_verifier::{Followed, Options, Verified, follow, verify};

struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 11) % n
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    /// Numbers at the ends of ranges more often than others.
    fn number(&mut self) -> u64 {
        let edge = 1u64.wrapping_shl(self.below(65) as u32).wrapping_sub(self.below(3));
        match self.below(4) {
            0 => self.below(80),
            1 => edge,
            2 => edge.wrapping_neg(),
            _ => self.next(),
        }
    }
}

const ALU: &[AluOp] = &[
    AluOp::Add,
    AluOp::Add,
    AluOp::Sub,
    AluOp::Mul,
    AluOp::Div,
    AluOp::Sdiv,
    AluOp::Or,
    AluOp::And,
    AluOp::Lsh,
    AluOp::Rsh,
    AluOp::Arsh,
    AluOp::Mod,
    AluOp::Smod,
    AluOp::Xor,
    AluOp::Mov,
    AluOp::Mov,
    AluOp::Mov,
];
const JUMPS: &[JumpOp] = &[
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
const REGS: &[u8] = &[0, 1, 2, 3, 8, 9];

fn random_op(rng: &mut Rng) -> Op {
    let (dst, src) = (Reg(rng.pick(REGS)), Reg(rng.pick(REGS)));
    let width = rng.pick(&[Width::W32, Width::W64]);
    let operand = match rng.below(2) {
        0 => Operand::Reg(src),
        _ => Operand::Imm(rng.number() as i32),
    };
    let size = rng.pick(&[Size::B, Size::H, Size::W, Size::DW]);
    let part = rng.below(8 / size.bytes() as u64) as i16 * size.bytes() as i16;
    let off = -24 + 8 * rng.below(2) as i16 + if rng.below(3) == 0 { part } else { 0 };
    match rng.below(12) {
        0..=4 => {
            let op = rng.pick(ALU);
            let shift = matches!(op, AluOp::Lsh | AluOp::Rsh | AluOp::Arsh);
            let src = match operand {
                Operand::Imm(i) if shift => Operand::Imm(i & if width == Width::W32 { 31 } else { 63 }),
                Operand::Imm(0) if !matches!(op, AluOp::Add | AluOp::Mov) => Operand::Imm(5),
                other => other,
            };
            Op::Alu { width, op, dst, src }
        }
        5..=7 => Op::JumpIf { width, op: rng.pick(JUMPS), dst, src: operand, off: rng.below(5) as i16 },
        8 => match width {
            Width::W32 => Op::MovSx { width, from: rng.pick(&[Size::B, Size::H]), dst, src },
            Width::W64 => Op::MovSx { width, from: rng.pick(&[Size::B, Size::H, Size::W]), dst, src },
        },
        9 => Op::Neg { width, dst },
        10 => Op::Store { size, dst: Reg(10), off, src: operand },
        _ => Op::Load { size, signed: size != Size::DW && rng.below(2) == 0, dst, src: Reg(10), off },
    }
}

fn random_program(rng: &mut Rng) -> ProgramSpec {
    let mut insns = assemble(&format!("{WITH_VALUE} r0 = 0; exit")).expect("the prologue is fine");
    insns.truncate(START);
    let fixed = "r0 = 1; r1 = r8; r2 = r9; r3 = 3; *(u64 *)(r10 - 16) = 0; *(u64 *)(r10 - 24) = r8; exit";
    let mut setup = assemble(fixed).expect("the setup is fine");
    setup.pop();
    insns.extend(setup);
    for _ in 0..4 + rng.below(20) {
        let (first, _) = random_op(rng).try_encode().expect("generated instructions exist");
        insns.push(first);
    }
    // A loop of known length, a call, and room for the last jumps.
    let tail = "r6 = 0; again: r8 += r6; r9 ^= 3; r6 += 1; if r6 < 4 goto again
         r1 = r8; r2 = r9; call f; r1 = r0; r0 = 0; r2 = 0; r3 = 0; r0 = 0; exit
         f: r0 = r1; if w1 > w2 goto +1; r0 += 7; r0 &= 255; exit";
    insns.extend(assemble(tail).expect("the tail is fine"));
    ProgramSpec { maps: maps(), ..ProgramSpec::new(ProgramType::SOCKET_FILTER, insns) }
}

/// The path through [`WITH_VALUE`] to [`START`].
const PROLOGUE: &[usize] = &[0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11];

/// Runs from [`START`] on and checks each step; gives the path.
fn run(spec: &ProgramSpec, proof: &Verified, r8: u64, r9: u64) -> Result<Vec<usize>, String> {
    let mut regs = [0u64; 11];
    (regs[8], regs[9]) = (r8, r9);
    let mut stack = [0u8; 32];
    let mut calls: Vec<(usize, [u64; 4])> = Vec::new();
    let mut pc = START;
    let mut path = PROLOGUE.to_vec();
    for _ in 0..2000 {
        path.push(pc);
        let seen = proof.states_at(pc);
        let fits = |s: &skep_verifier::Observed| {
            s.frames == calls.len() + 1
                && s.numbers.iter().zip(&regs).all(|(set, x)| set.is_none_or(|set| set.has(*x)))
        };
        if !seen.iter().any(fits) {
            let states: Vec<_> = seen.iter().map(|s| s.text.as_str()).collect();
            return Err(format!("at {pc}: {regs:x?} is in none of\n{}", states.join("\n")));
        }
        let op = decode(&spec.insns, pc).expect("it was verified");
        let value = |o: Operand| match o {
            Operand::Reg(r) => regs[r.index()],
            Operand::Imm(i) => i64::from(i) as u64,
        };
        let at = |off: i16| (32 + off) as usize;
        let mut next = pc + op.slots();
        let far = |off: i32| (pc as i64 + 1 + i64::from(off)) as usize;
        match op {
            Op::Alu { width, op, dst, src } => {
                regs[dst.index()] = eval::alu(op, width, regs[dst.index()], value(src));
            }
            Op::Neg { width, dst } => regs[dst.index()] = eval::neg(width, regs[dst.index()]),
            Op::MovSx { width, from, dst, src } => {
                regs[dst.index()] = eval::movsx(width, from, regs[src.index()])
            }
            Op::JumpIf { width, op, dst, src, off } => {
                if eval::jump(op, width, regs[dst.index()], value(src)) {
                    next = far(off.into());
                }
            }
            Op::Jump { off, .. } => next = far(off),
            Op::Store { size, off, src, .. } => {
                stack[at(off)..][..size.bytes()].copy_from_slice(&value(src).to_ne_bytes()[..size.bytes()]);
            }
            Op::Load { size, signed, dst, off, .. } => {
                let mut bytes = [0; 8];
                bytes[..size.bytes()].copy_from_slice(&stack[at(off)..][..size.bytes()]);
                let x = u64::from_ne_bytes(bytes);
                regs[dst.index()] = if signed { eval::sign_extend(size, x) } else { x };
            }
            Op::Call(CallTarget::Subprog(off)) => {
                calls.push((next, [regs[6], regs[7], regs[8], regs[9]]));
                next = far(off);
            }
            Op::Exit => match calls.pop() {
                Some((back, saved)) => {
                    regs[6..10].copy_from_slice(&saved);
                    next = back;
                }
                None => return Ok(path),
            },
            other => return Err(format!("at {pc}: the generator does not make {other}")),
        }
        pc = next;
    }
    Err("the run does not end".into())
}

/// Whether some branch of a run's path is known not to go the other way.
fn a_way_out_is_dead(spec: &ProgramSpec, path: &[usize]) -> bool {
    path.windows(2).enumerate().any(|(at, two)| {
        let Ok(Op::JumpIf { off, .. }) = decode(&spec.insns, two[0]) else { return false };
        let (next, far) = (two[0] + 1, (two[0] as i64 + 1 + i64::from(off)) as usize);
        let mut other = path[..=at].to_vec();
        other.push(if two[1] == next { far } else { next });
        follow(spec, &Environment::default(), &other).is_ok_and(|f| f == Followed::Dead { at })
    })
}

#[test]
fn concrete_runs_stay_inside_what_was_known() {
    let count = std::env::var("SKEP_FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(600);
    let options = Options { record_states: true, ..Options::default() };
    let (mut accepted, mut steps, mut dead) = (0, 0, 0);
    for seed in 1..=count {
        let mut rng = Rng(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let spec = random_program(&mut rng);
        // Refusals are for other tests: here all programs only compute.
        let Ok(proof) = verify(&spec, &Environment::default(), &options) else { continue };
        accepted += 1;
        for _ in 0..24 {
            let (r8, r9) = (rng.number(), u64::from(rng.number() as u32));
            let fail = |why: String| -> ! {
                let ops = skep_isa::decode_all(&spec.insns).flatten();
                let text: Vec<_> = ops.map(|(pc, op)| format!("{pc}: {op}")).collect();
                panic!("seed {seed}, r8 {r8:#x}, r9 {r9:#x}: {why}\n{}", text.join("\n"))
            };
            let path = run(&spec, &proof, r8, r9).unwrap_or_else(|why| fail(why));
            let followed = follow(&spec, &Environment::default(), &path);
            if !matches!(followed, Ok(Followed::Open)) {
                fail(format!("{followed:?} is said of the run's own path {path:?}"));
            }
            steps += path.len();
            dead += usize::from(a_way_out_is_dead(&spec, &path));
        }
    }
    println!("{accepted} of {count} programs, {steps} steps, {dead} dead paths");
    assert!(dead > 0, "no path was found dead: the test says nothing about them");
    assert!(accepted * 2 > count, "{accepted} of {count} programs were accepted");
}
