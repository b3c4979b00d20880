//! Sequences that the interpreter does in one go compute what their instructions compute one by one.
//!
//! Each sequence runs twice: as it is, and with a jump to the next instruction behind each of its instructions,
//! which nothing is fused with. Registers, and the slot and kind of a trap, must agree. Generated programs, with jumps
//! to anywhere, run as they are and watched: a watched run does one instruction after the other.

use skep_isa::{Insn, Reg};
use skep_spec::{Environment, ProgramSpec};
use skep_vm::{NullHost, Observer, Outcome, Program, Run, Stack, Step, Trap, TrapKind};

/// Registers that sequences use; `r9` keeps the memory.
const REGS: u8 = 6;
/// Bytes of memory behind `r1`, `r9`; the registers go to its start in the end.
const MEMORY: usize = 256;

const VALUES: [[u64; 6]; 4] = [
    [1, 2, 3, 4, 5, 6],
    [u64::MAX, 0x8000_0000_0000_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0],
    [0x0123_4567_89ab_cdef, 31, 63, 0xfedc_ba98_7654_3210, 32, 64],
    [0, 0xffff_ffff_8000_0000, 7, 0x1_0000_0001, 0xff, 0x1_0000_0000],
];

fn insn(opcode: u8, dst: u8, src: u8, off: i16, imm: i32) -> Insn {
    Insn::new(opcode, Reg(dst), Reg(src), off, imm)
}

fn lddw(dst: u8, value: u64) -> [Insn; 2] {
    [insn(0x18, dst, 0, 0, value as i32), insn(0, 0, 0, 0, (value >> 32) as i32)]
}

/// Opcodes and `off` of all two-operand ALU instructions, for a register (`true`) and a constant.
fn alu() -> Vec<(u8, i16, bool)> {
    let ops = [0x0, 0x1, 0x2, 0x3, 0x4, 0x5, 0x6, 0x7, 0x9, 0xa, 0xb, 0xc].map(|op| (op, 0)).into_iter();
    let signed = [(0x3, 1), (0x9, 1)];
    let all = ops.chain(signed).flat_map(|(op, off)| [(op << 4 | 4, off), (op << 4 | 7, off)]);
    all.flat_map(|(code, off)| [(code, off, false), (code | 8, off, true)]).collect()
}

/// Opcodes of all conditional jumps, for a register (`true`) and a constant.
fn jumps() -> Vec<(u8, bool)> {
    let ops = [0x1, 0x2, 0x3, 0x4, 0x5, 0x6, 0x7, 0xa, 0xb, 0xc, 0xd].into_iter();
    ops.flat_map(|op| [op << 4 | 5, op << 4 | 6]).flat_map(|code| [(code, false), (code | 8, true)]).collect()
}

fn alu_insn((code, off, by_register): (u8, i16, bool), dst: u8, src: u8, imm: i32) -> Insn {
    // A constant shift has to stay below the width.
    let imm = if matches!(code >> 4, 0x6 | 0x7 | 0xc) { imm & 31 } else { imm };
    let (src, imm) = if by_register { (src, 0) } else { (0, imm) };
    insn(code, dst, src, off, imm)
}

/// What a run shows: the registers, or the instruction of the sequence that trapped.
type Shown = Result<[u64; REGS as usize], (usize, TrapKind)>;

/// What runs are lent, at one address for all that are compared.
struct Lent {
    stack: Stack,
    memory: [u8; MEMORY],
}

impl Lent {
    fn new() -> Self {
        Self { stack: Stack::new(), memory: [0; MEMORY] }
    }

    /// Runs `body`, in which jumps name a number of instructions.
    fn run(&mut self, values: [u64; 6], body: &[Insn], apart: bool) -> Shown {
        let mut insns = vec![insn(0xbf, 9, 1, 0, 0)];
        for (dst, value) in values.into_iter().enumerate().filter(|(dst, _)| *dst != 1) {
            insns.extend(lddw(dst as u8, value));
        }
        let start = insns.len();
        for i in body {
            if apart {
                // A jump over n instructions comes to the `goto +0` behind the n-th.
                let jump = matches!(i.opcode & 7, 5 | 6);
                insns.push(Insn { off: if jump { i.off * 2 } else { i.off }, ..*i });
                insns.push(insn(0x05, 0, 0, 0, 0));
            } else {
                insns.push(*i);
            }
        }
        insns.extend((0..REGS).map(|r| insn(0x7b, 9, r, i16::from(r) * 8, 0)));
        insns.push(insn(0x95, 0, 0, 0, 0));
        let spec = ProgramSpec { insns, ..ProgramSpec::default() };
        let program = Program::unverified(&spec, &Environment::default(), vec![]).expect("no maps");
        self.memory = std::array::from_fn(|i| (i * 37 + 5) as u8);
        match program.run(&mut Run::new(&mut self.stack, &NullHost).with_ctx(&mut self.memory)) {
            Ok(_) => Ok(std::array::from_fn(|i| {
                u64::from_ne_bytes(self.memory[i * 8..][..8].try_into().expect("eight bytes"))
            })),
            Err(trap) => Err(((trap.pc - start) / if apart { 2 } else { 1 }, trap.kind)),
        }
    }
}

fn same(values: [u64; 6], body: &[Insn]) {
    let mut lent = Lent::new();
    let (fused, apart) = (lent.run(values, body, false), lent.run(values, body, true));
    assert_eq!(fused, apart, "{body:?} with {values:x?}");
}

/// Destinations and sources of two instructions: apart, chained, the same.
const PLACES: [[u8; 4]; 5] = [[2, 3, 4, 5], [2, 3, 2, 4], [2, 3, 4, 2], [2, 2, 2, 2], [2, 3, 3, 2]];
const CONSTANTS: [[i32; 2]; 4] = [[1, 2], [-1, 7], [0x1234_5678, -0x8000_0000], [40000, 0]];

#[test]
fn two_operations() {
    let third = insn(0xb7, 5, 0, 0, 77);
    for a in alu() {
        for b in alu() {
            for (i, [d, s, d2, s2]) in PLACES.into_iter().enumerate() {
                let [x, y] = CONSTANTS[i % 4];
                let body = [alu_insn(a, d, s, x), alu_insn(b, d2, s2, y), third];
                same(VALUES[(i + usize::from(a.0)) % 4], &body);
            }
        }
    }
}

#[test]
fn an_operation_and_a_branch() {
    let skipped = insn(0xb7, 5, 0, 0, 77);
    for a in alu() {
        for (code, by_register) in jumps() {
            for (i, [d, s, d2, s2]) in PLACES.into_iter().enumerate() {
                for [x, y] in CONSTANTS {
                    let (s2, y) = if by_register { (s2, 0) } else { (0, y) };
                    let body = [alu_insn(a, d, s, x), insn(code, d2, s2, 1, y), skipped];
                    same(VALUES[(i + usize::from(code)) % 4], &body);
                }
            }
        }
    }
}

#[test]
fn a_load_and_an_operation() {
    for load in [0x61, 0x69, 0x71, 0x79] {
        for b in alu() {
            for (d2, s2) in [(2, 3), (3, 2), (2, 2), (1, 2)] {
                for off in [0, 8, 250, -1] {
                    let body = [insn(load, 2, 1, off, 0), alu_insn(b, d2, s2, 9), insn(0xb7, 5, 0, 0, 77)];
                    same(VALUES[0], &body);
                }
            }
        }
    }
}

#[test]
fn an_indexed_load() {
    for load in [0x61, 0x69, 0x71, 0x79] {
        for index in [0, 1, 8, 200, 255, 256, u64::MAX, 1 << 63] {
            for off in [0, 3, -1, 100] {
                for [sum, s, s2, d] in [[2, 1, 3, 4], [2, 3, 1, 2], [3, 1, 3, 4], [2, 1, 3, 3], [1, 1, 3, 2]]
                {
                    let body = [
                        insn(0xbf, sum, s, 0, 0),
                        insn(0x0f, sum, s2, 0, 0),
                        insn(load, d, sum, off, 0),
                        insn(0x07, 5, 0, 0, 1),
                    ];
                    same([0, 0, 0, index, 0, 0], &body);
                }
            }
        }
    }
}

/// What looks like an indexed load but takes the sum, or the address, from elsewhere.
#[test]
fn nearly_an_indexed_load() {
    for load in [0x61, 0x69, 0x71, 0x79] {
        for [to, from, sum, index, base] in
            [[2, 1, 2, 3, 1], [2, 1, 2, 3, 9], [2, 1, 3, 1, 3], [2, 1, 3, 1, 2], [2, 1, 3, 4, 2]]
        {
            let body = [
                insn(0xbf, to, from, 0, 0),
                insn(0x0f, sum, index, 0, 0),
                insn(load, 5, base, 3, 0),
                insn(0x07, 4, 0, 0, 1),
            ];
            same([0, 0, 0, 16, 8, 0], &body);
        }
    }
}

#[test]
fn a_jump_into_a_sequence() {
    // mov, add, load: the first is jumped over, then the first two.
    let rest = [insn(0xbf, 2, 1, 0, 0), insn(0x0f, 2, 3, 0, 0), insn(0x71, 4, 2, 0, 0)];
    for skip in 1..=2 {
        let body = [&[insn(0xbf, 2, 9, 0, 0), insn(0x05, 0, 0, skip, 0)], rest.as_slice()].concat();
        same([0, 0, 0, 16, 0, 0], &body);
        let expected = if skip == 1 { 16 * 37 + 5 } else { 5 };
        let shown = Lent::new().run([0, 0, 0, 16, 0, 0], &body, false).expect("in bounds");
        assert_eq!(shown[4], u64::from(expected as u8));
    }
}

#[test]
fn a_fused_loop_ends_with_its_fuel() {
    // r2 += 1; if r2 != 0 goto -2: fused, and without end for a long time.
    let insns =
        vec![insn(0xb7, 2, 0, 0, 1), insn(0x07, 2, 0, 0, 1), insn(0x55, 2, 0, -2, 0), insn(0x95, 0, 0, 0, 0)];
    let spec = ProgramSpec { insns, ..ProgramSpec::default() };
    let program = Program::unverified(&spec, &Environment::default(), vec![]).expect("no maps");
    let trap = program.run(&mut Run::new(&mut Stack::new(), &NullHost).with_fuel(1000)).expect_err("no end");
    assert_eq!((trap.pc, trap.kind), (2, TrapKind::Fuel));
}

/// Numbers that look random.
struct Dice(u64);

impl Dice {
    /// Below `n`.
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// A few instructions that go together; registers are few, so that results are used at once, twice, or never.
fn generated(dice: &mut Dice, alu: &[(u8, i16, bool)], jumps: &[(u8, bool)]) -> Vec<Insn> {
    const FEW: [u8; 4] = [0, 2, 3, 4];
    let (d, s, d2) = (dice.of(&FEW), dice.of(&FEW), dice.of(&FEW));
    let imm = dice.of(&[0, 1, -1, 3, 8, 31, 255, 0x1234_5678, i32::MIN]);
    match dice.below(16) {
        0 => lddw(d, dice.0).to_vec(),
        1 => vec![insn(dice.of(&[0x84, 0x87]), d, 0, 0, 0)],
        2 => vec![insn(dice.of(&[0xbc, 0xbf]), d, s, dice.of(&[8, 16]), 0)],
        3 => vec![insn(dice.of(&[0xd4, 0xdc, 0xd7]), d, 0, 0, dice.of(&[16, 32, 64]))],
        4 => {
            vec![insn(dice.of(&[0x61, 0x69, 0x71, 0x79, 0x81, 0x89, 0x91]), d, 9, dice.below(260) as i16, 0)]
        }
        5 => vec![insn(dice.of(&[0x63, 0x6b, 0x73, 0x7b]), 9, s, dice.below(248) as i16, 0)],
        // Where `d` is small: mov, add, load.
        6 => vec![
            insn(0x57, d, 0, 0, 127),
            insn(0xbf, d2, 9, 0, 0),
            insn(0x0f, d2, d, 0, 0),
            insn(dice.of(&[0x61, 0x69, 0x71, 0x79]), s, d2, dice.of(&[0, 0, 5, -3]), 0),
        ],
        7 => vec![insn(0x7b, 10, s, -8, 0), insn(0x79, d, 10, -8, 0)],
        8 => vec![insn(dice.of(&[0xc3, 0xdb]), 9, s, 8, dice.of(&[0, 1, 0x40, 0x50, 0xe1]))],
        9 | 10 => {
            let (code, by_register) = dice.of(jumps);
            let off = dice.below(12) as i16 - 5;
            vec![insn(code, d, if by_register { s } else { 0 }, off, if by_register { 0 } else { imm })]
        }
        // The commonest pairs, on one register.
        11 => vec![insn(dice.of(&[0xbf, 0xbc]), d, s, 0, 0), alu_insn(dice.of(alu), d, d2, imm)],
        _ => vec![alu_insn(dice.of(alu), d, s, imm)],
    }
}

struct Unimpressed;

impl Observer for Unimpressed {
    fn step(&self, _step: &Step<'_>) {}
}

#[test]
fn generated_programs() {
    let (alu, jumps) = (alu(), jumps());
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let (mut ended, mut trapped) = (0, 0);
    for case in 0..4000 {
        let mut insns = vec![insn(0xbf, 9, 1, 0, 0)];
        for (i, dst) in [0u8, 2, 3, 4].into_iter().enumerate() {
            insns.extend(lddw(dst, VALUES[case % 4][i]));
        }
        let start = insns.len();
        while insns.len() < start + 30 {
            insns.extend(generated(&mut dice, &alu, &jumps));
        }
        // A function that is called from the middle, and changes what is its caller's own.
        let call = start + dice.below(30);
        let at_lddw = insns[call].opcode == 0x18 || insns[call].opcode == 0;
        let behind = insns.len() + 7;
        if !at_lddw {
            insns[call] = insn(0x85, 0, 1, 0, (behind - call - 1) as i32);
        }
        insns.extend([0, 2, 3, 4].map(|r| insn(0x7b, 9, r, i16::from(r) * 8, 0)));
        insns.extend([insn(0x0f, 0, 2, 0, 0), insn(0x0f, 0, 3, 0, 0), insn(0x95, 0, 0, 0, 0)]);
        insns.extend([insn(0xbf, 2, 4, 0, 0), insn(0x47, 2, 0, 0, 1), insn(0x0f, 3, 2, 0, 0)]);
        insns.push(insn(0x95, 0, 0, 0, 0));
        let spec = ProgramSpec { insns, ..ProgramSpec::default() };
        let program = Program::unverified(&spec, &Environment::default(), vec![]).expect("no maps");
        let mut stack = Stack::new();
        let mut memory = [0u8; MEMORY];
        let mut run = |watched: bool| -> (Result<Outcome, Trap>, [u8; MEMORY]) {
            memory = std::array::from_fn(|i| (i * 37 + 5) as u8);
            let run = Run::new(&mut stack, &NullHost).with_ctx(&mut memory).with_fuel(2000);
            let result = program.run(&mut if watched { run.with_observer(&Unimpressed) } else { run });
            (result, memory)
        };
        let (as_it_is, watched) = (run(false), run(true));
        assert_eq!(as_it_is, watched, "case {case}: {:#?}", program.insns());
        *if watched.0.is_ok() { &mut ended } else { &mut trapped } += 1;
    }
    assert!(ended > 400 && trapped > 400, "{ended} ended, {trapped} trapped: too few of either");
}
