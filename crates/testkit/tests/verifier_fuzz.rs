//! Random programs, verified by skep and by the running kernel: the verdicts must be the same.
//!
//! A program sets up registers of every kind (context, map value, packet, bounded and unknown numbers, spills),
//! then does mostly sensible, sometimes senseless things with them. `SKEP_FUZZ=N` runs N programs instead of a
//! few hundred, `SKEP_SEED=N` begins elsewhere, `SKEP_MAY_GOTO=1` adds loops that `may_goto` ends,
//! `SKEP_UNPRIVILEGED=1` drops all capabilities (the sysctl
//! `kernel.unprivileged_bpf_disabled` must be 0 then). A difference is shrunk by replacing instructions with
//! `goto +0`, and printed as text.
//!
//! Long runs find two kinds of difference that stay (about one program in 4000): skep sees that a branch is
//! dead, or a bound, where Linux 6.18 does not (`w9 &= -8; if r9 > 47` leaves at most 40; with `may_goto`, seed 628: bits
//! that a sign extension keeps, seed 2852: `r8 = -r8` of a 32-bit number, then `if r8 > 40`, leaves 0); and unprivileged
//! additions that Linux lets pass because speculation through them is fenced, where skep demands one masking.

use std::os::fd::AsFd;
use std::sync::Arc;

use skep_abi::{MapType, ProgramType};
use skep_isa::text::Dialect;
use skep_isa::{AluOp, AtomicOp, CallTarget, Imm64, Insn, JumpOp, Op, Operand, Reg, Size, Width, decode_all};
use skep_linux::{LinuxBackend, LinuxMap};
use skep_spec::{Environment, LoadOptions, MapDef, ProgramSpec};
use skep_verifier::{Code, Options, verify};

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
}

const ALU: &[AluOp] = &[
    AluOp::Add,
    AluOp::Sub,
    AluOp::Mul,
    AluOp::Div,
    AluOp::Or,
    AluOp::And,
    AluOp::And,
    AluOp::Lsh,
    AluOp::Rsh,
    AluOp::Mod,
    AluOp::Xor,
    AluOp::Mov,
    AluOp::Mov,
    AluOp::Arsh,
    AluOp::Sdiv,
    AluOp::Smod,
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
const SIZES: &[Size] = &[Size::B, Size::H, Size::W, Size::DW];
const IMMS: &[i32] = &[
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    15,
    16,
    31,
    32,
    40,
    47,
    48,
    63,
    64,
    255,
    256,
    0xffff,
    0x7fff_ffff,
    -1,
    -2,
    -8,
    i32::MIN,
];

/// Numbers live in r0 to r5 (lost at calls) and r8, r9; the context in r6, a map value or the packet in r7.
struct Generator {
    rng: Rng,
    ops: Vec<Op>,
    xdp: bool,
    /// Calls of the function behind the program, by position in `ops`.
    calls: Vec<usize>,
    may_goto: bool,
}

impl Generator {
    fn width(&mut self) -> Width {
        self.rng.pick(&[Width::W32, Width::W64])
    }

    fn number(&mut self) -> Reg {
        Reg(self.rng.pick(&[0, 1, 2, 3, 8, 9, 8, 9]))
    }

    fn operand(&mut self) -> Operand {
        match self.rng.below(2) {
            0 => Operand::Reg(self.number()),
            _ => Operand::Imm(self.rng.pick(IMMS)),
        }
    }

    fn mov(&mut self, dst: u8, src: Operand) {
        self.ops.push(Op::Alu { width: Width::W64, op: AluOp::Mov, dst: Reg(dst), src });
    }

    fn add(&mut self, dst: u8, src: Operand) {
        self.ops.push(Op::Alu { width: Width::W64, op: AluOp::Add, dst: Reg(dst), src });
    }

    fn load(&mut self, size: Size, dst: u8, src: u8, off: i16) {
        self.ops.push(Op::Load { size, signed: false, dst: Reg(dst), src: Reg(src), off });
    }

    fn exit_if(&mut self, op: JumpOp, dst: u8, src: Operand) {
        // Over the exit if the comparison fails: `if … goto +1; goto +2; r0 = 0; exit`.
        self.ops.push(Op::JumpIf { width: Width::W64, op, dst: Reg(dst), src, off: 1 });
        self.ops.push(Op::Jump { off: 2, long: false });
        self.mov(0, Operand::Imm(0));
        self.ops.push(Op::Exit);
    }

    fn prologue(&mut self) {
        self.mov(6, Operand::Reg(Reg(1)));
        if self.xdp {
            self.load(Size::W, 7, 6, 0);
            self.load(Size::W, 3, 6, 4);
            self.mov(2, Operand::Reg(Reg(7)));
            self.add(2, Operand::Imm(48));
            self.exit_if(JumpOp::Gt, 2, Operand::Reg(Reg(3)));
            self.load(Size::W, 8, 6, 12);
            self.load(Size::B, 9, 7, 3);
        } else {
            self.ops.push(Op::Store { size: Size::W, dst: Reg(10), off: -4, src: Operand::Imm(0) });
            let dst = Reg(1);
            self.ops.push(Op::LoadImm64 { dst, value: Imm64::MapIdx(0) });
            self.mov(2, Operand::Reg(Reg(10)));
            self.add(2, Operand::Imm(-4));
            self.ops.push(Op::Call(CallTarget::Helper(1)));
            self.exit_if(JumpOp::Eq, 0, Operand::Imm(0));
            self.mov(7, Operand::Reg(Reg(0)));
            self.load(Size::DW, 8, 7, 8);
            self.load(Size::W, 9, 6, 0);
        }
        for r in 0..=3 {
            match self.rng.below(4) {
                0 => self.mov(r, Operand::Reg(Reg(8))),
                1 => self.mov(r, Operand::Reg(Reg(9))),
                _ => {
                    let imm = self.rng.pick(IMMS);
                    self.mov(r, Operand::Imm(imm));
                }
            }
        }
    }

    fn step(&mut self) {
        match self.rng.below(25) {
            0..=5 => {
                let (width, op, dst) = (self.width(), self.rng.pick(ALU), self.number());
                let mut src = self.operand();
                if let (AluOp::Lsh | AluOp::Rsh | AluOp::Arsh, Operand::Imm(_)) = (op, src) {
                    src = Operand::Imm(self.rng.below(if width == Width::W32 { 32 } else { 64 }) as i32);
                }
                if let (AluOp::Div | AluOp::Mod | AluOp::Sdiv | AluOp::Smod, Operand::Imm(0)) = (op, src) {
                    src = Operand::Imm(3);
                }
                self.ops.push(Op::Alu { width, op, dst, src });
            }
            6..=8 => {
                let (width, op, dst, src) =
                    (self.width(), self.rng.pick(JUMPS), self.number(), self.operand());
                let off = self.rng.below(6) as i16;
                self.ops.push(Op::JumpIf { width, op, dst, src, off });
            }
            9 => {
                let (width, dst) = (self.width(), self.number());
                let from = match width {
                    Width::W32 => self.rng.pick(&[Size::B, Size::H]),
                    Width::W64 => self.rng.pick(&[Size::B, Size::H, Size::W]),
                };
                let src = self.number();
                self.ops.push(Op::MovSx { width, from, dst, src });
            }
            10 => {
                let (width, dst) = (self.width(), self.number());
                self.ops.push(Op::Neg { width, dst });
            }
            11 | 12 => {
                // Spill and fill, of all sizes and alignments that are legal.
                let size = self.rng.pick(SIZES);
                let slot = self.rng.below(3) as i16 * 8;
                let part = self.rng.below(8 / size.bytes() as u64) as i16 * size.bytes() as i16;
                let off = -8 - slot + if self.rng.below(3) == 0 { part } else { 0 };
                let dst = Reg(10);
                match self.rng.below(5) {
                    0 | 1 => {
                        let src = Operand::Reg(self.number());
                        self.ops.push(Op::Store { size, dst, off, src });
                    }
                    2 => {
                        let src = Operand::Imm(self.rng.pick(IMMS));
                        self.ops.push(Op::Store { size, dst, off, src });
                    }
                    _ => {
                        let dst = self.number();
                        let signed = size != Size::DW && self.rng.below(3) == 0;
                        self.ops.push(Op::Load { size, signed, dst, src: Reg(10), off });
                    }
                }
            }
            13..=15 => self.bounded_access(),
            16 => {
                // A variable stack access.
                let r = self.number();
                self.bound(r, 15);
                self.mov(5, Operand::Reg(Reg(10)));
                self.add(5, Operand::Reg(r));
                let (size, dst) = (Size::B, self.number());
                let off = self.rng.pick(&[-24, -16, -32, -40]);
                match self.rng.below(2) {
                    0 => self.ops.push(Op::Load { size, signed: false, dst, src: Reg(5), off }),
                    _ => self.ops.push(Op::Store { size, dst: Reg(5), off, src: Operand::Reg(dst) }),
                }
            }
            17 => {
                let size = self.rng.pick(&[Size::W, Size::DW]);
                let op = self.rng.pick(&[
                    AtomicOp::Add { fetch: false },
                    AtomicOp::Add { fetch: true },
                    AtomicOp::Xchg,
                    AtomicOp::Cmpxchg,
                    AtomicOp::And { fetch: true },
                ]);
                let src = self.number();
                let (dst, off) = match self.rng.below(2) {
                    0 => (Reg(10), -8 - 8 * self.rng.below(3) as i16),
                    _ => (Reg(7), self.rng.pick(&[0, 8, 40, 44, 48])),
                };
                self.ops.push(Op::Atomic { size, op, dst, src, off });
            }
            20 => self.helper_memory(),
            21 => self.packet_or_record(),
            22 => self.map_call(),
            23 => self.spilled_pointer(),
            19 => {
                for r in 1..=2 {
                    let from = self.rng.pick(&[0, 8, 9]);
                    self.mov(r, Operand::Reg(Reg(from)));
                }
                self.mov(3, Operand::Reg(Reg(10)));
                self.calls.push(self.ops.len());
                self.ops.push(Op::Call(CallTarget::Subprog(0)));
                for r in 1..=3 {
                    let from = self.rng.pick(&[0, 8, 9]);
                    self.mov(r, Operand::Reg(Reg(from)));
                }
            }
            18 => {
                self.ops.push(Op::Call(CallTarget::Helper(self.rng.pick(&[5, 7]))));
                for r in 1..=3 {
                    let from = self.rng.pick(&[0, 8, 9]);
                    self.mov(r, Operand::Reg(Reg(from)));
                }
            }
            _ if self.may_goto && self.rng.below(2) == 0 => self.may_goto_loop(),
            _ => {
                // A short loop: back by a few instructions while a counter is small.
                let r = self.rng.pick(&[8, 9]);
                // Mostly from a known start: a loop without end costs a million instructions to refuse.
                let limit = self.rng.below(6) as i32;
                if self.rng.below(400) != 0 {
                    self.mov(r, Operand::Imm(0));
                }
                let body = self.rng.below(3);
                for _ in 0..body {
                    let (width, op) = (self.width(), self.rng.pick(&[AluOp::Add, AluOp::Xor, AluOp::Mov]));
                    let (dst, src) = (Reg(self.rng.pick(&[0, 1, 2, 3])), self.operand());
                    self.ops.push(Op::Alu { width, op, dst, src });
                }
                self.add(r, Operand::Imm(1));
                let off = -2 - body as i16;
                let op = self.rng.pick(&[JumpOp::Lt, JumpOp::Slt, JumpOp::Le]);
                let width = self.width();
                self.ops.push(Op::JumpIf { width, op, dst: Reg(r), src: Operand::Imm(limit), off });
            }
        }
    }

    /// A loop that only a `may_goto` ends, around an access at a number that the loop changes.
    fn may_goto_loop(&mut self) {
        let r = self.rng.pick(&[8, 9]);
        let mut body = Vec::new();
        let bounded = self.rng.below(3) != 0;
        let add = |dst: u8, src| Op::Alu { width: Width::W64, op: AluOp::Add, dst: Reg(dst), src };
        body.push(Op::Alu { width: Width::W64, op: AluOp::Mov, dst: Reg(2), src: Operand::Reg(Reg::FP) });
        body.push(add(2, Operand::Imm(-48)));
        body.push(add(2, Operand::Reg(Reg(r))));
        body.push(Op::Store { size: Size::B, dst: Reg(2), off: 0, src: Operand::Imm(1) });
        for _ in 0..self.rng.below(4) {
            let op = self.rng.pick(&[AluOp::Add, AluOp::Mov, AluOp::Mov, AluOp::And, AluOp::Rsh]);
            let (width, dst) = (self.width(), Reg(self.rng.pick(&[8, 9, 9, 0])));
            let src = match self.rng.below(2) {
                0 => Operand::Imm(self.rng.below(20) as i32),
                _ if op == AluOp::Rsh => Operand::Imm(1),
                _ => Operand::Reg(Reg(self.rng.pick(&[8, 9]))),
            };
            body.push(Op::Alu { width, op, dst, src });
        }
        if self.rng.below(4) != 0 {
            let start = self.rng.below(8) as i32;
            self.mov(r, Operand::Imm(start));
        }
        let len = body.len() as i16;
        self.ops.push(Op::MayGoto { off: len + 1 + i16::from(bounded) });
        if bounded {
            let most = self.rng.pick(&[7, 39, 47, 48]);
            let src = Operand::Imm(most);
            self.ops.push(Op::JumpIf { width: Width::W64, op: JumpOp::Gt, dst: Reg(r), src, off: len + 1 });
        }
        self.ops.extend(body);
        self.ops.push(Op::Jump { off: -i32::from(len) - 2 - i32::from(bounded), long: false });
    }

    /// Bounds a number in one of the usual ways, or not at all.
    fn bound(&mut self, r: Reg, most: i32) {
        let mask = Op::Alu { width: self.width(), op: AluOp::And, dst: r, src: Operand::Imm(most) };
        match self.rng.below(6) {
            0 | 1 => self.ops.push(mask),
            2 => self.exit_if(JumpOp::Gt, r.0, Operand::Imm(most)),
            3 => {
                self.exit_if(JumpOp::Sgt, r.0, Operand::Imm(most));
                self.exit_if(JumpOp::Slt, r.0, Operand::Imm(0));
            }
            4 => {
                self.ops.push(Op::Alu { width: Width::W32, op: AluOp::Mov, dst: r, src: Operand::Reg(r) });
                let (width, op) = (Width::W32, JumpOp::Le);
                self.ops.push(Op::JumpIf { width, op, dst: r, src: Operand::Imm(most), off: 2 });
                self.mov(0, Operand::Imm(0));
                self.ops.push(Op::Exit);
            }
            _ => {}
        }
    }

    fn bounded_access(&mut self) {
        let r = self.number();
        let most = self.rng.pick(&[7, 15, 31, 39, 40, 47]);
        self.bound(r, most);
        self.mov(5, Operand::Reg(Reg(7)));
        let op = if self.rng.below(8) == 0 { AluOp::Sub } else { AluOp::Add };
        self.ops.push(Op::Alu { width: Width::W64, op, dst: Reg(5), src: Operand::Reg(r) });
        let (size, dst) = (self.rng.pick(SIZES), self.number());
        let off = self.rng.pick(&[0, 0, 0, 1, 8, -1, -8]);
        match self.rng.below(3) {
            0 => self.ops.push(Op::Store { size, dst: Reg(5), off, src: Operand::Reg(dst) }),
            _ => self.ops.push(Op::Load { size, signed: false, dst, src: Reg(5), off }),
        }
    }

    /// Numbers again in the registers that a call lost.
    fn refill(&mut self) {
        for r in 1..=3 {
            let from = self.rng.pick(&[0, 8, 9]);
            self.mov(r, Operand::Reg(Reg(from)));
        }
    }

    fn load_map(&mut self, idx: i32) {
        self.ops.push(Op::LoadImm64 { dst: Reg(1), value: Imm64::MapIdx(idx) });
    }

    /// Memory and its size for a helper: `bpf_skb_load_bytes`, or `bpf_ringbuf_output` in XDP.
    fn helper_memory(&mut self) {
        let size = self.number();
        let known = self.rng.below(2) == 0;
        if !known {
            let most = self.rng.pick(&[7, 15, 16, 31]);
            self.bound(size, most);
        }
        let base = self.rng.pick(&[10, 10, 7]);
        let off = if base == 10 { self.rng.pick(&[-8, -16, -24, -32]) } else { self.rng.pick(&[0, 32, 40]) };
        let imm = Operand::Imm(self.rng.pick(&[0, 1, 8, 9, 16, 24, 32]));
        let (memory, len) = if self.xdp { (2, 3) } else { (3, 4) };
        self.mov(4, if known { imm } else { Operand::Reg(size) });
        self.mov(5, Operand::Reg(Reg(base)));
        self.add(5, Operand::Imm(off));
        self.mov(memory, Operand::Reg(Reg(5)));
        self.mov(len, Operand::Reg(Reg(4)));
        if self.xdp {
            self.load_map(0);
            self.mov(4, Operand::Imm(0));
            self.ops.push(Op::Call(CallTarget::Helper(130)));
        } else {
            self.mov(1, Operand::Reg(Reg(6)));
            self.mov(2, Operand::Imm(0));
            self.ops.push(Op::Call(CallTarget::Helper(26)));
        }
        self.refill();
    }

    /// A ring buffer record, or a packet pointer that is moved and checked again.
    fn packet_or_record(&mut self) {
        if !self.xdp {
            let size = self.rng.pick(&[8, 16, 24]);
            self.load_map(1);
            self.mov(2, Operand::Imm(size));
            self.mov(3, Operand::Imm(0));
            self.ops.push(Op::Call(CallTarget::Helper(131)));
            let null = self.rng.pick(&[JumpOp::Eq, JumpOp::Eq, JumpOp::Eq, JumpOp::Ne]);
            let off = self.rng.pick(&[4, 4, 4, 4, 3, 5]);
            self.ops.push(Op::JumpIf { width: Width::W64, op: null, dst: Reg(0), src: Operand::Imm(0), off });
            let (size, off) = (self.rng.pick(SIZES), self.rng.pick(&[0, 8, 15, 16]));
            let src = Operand::Reg(self.rng.pick(&[Reg(8), Reg(9)]));
            self.ops.push(Op::Store { size, dst: Reg(0), off, src });
            self.mov(1, Operand::Reg(Reg(0)));
            self.mov(2, Operand::Imm(0));
            self.ops.push(Op::Call(CallTarget::Helper(self.rng.pick(&[132, 133]))));
            self.mov(0, Operand::Imm(1));
            return self.refill();
        }
        let by = self.number();
        let most = self.rng.pick(&[15, 255, 0x7fff, 0xffff]);
        self.bound(by, most);
        self.mov(5, Operand::Reg(Reg(7)));
        self.add(5, Operand::Reg(by));
        self.mov(4, Operand::Reg(Reg(5)));
        let room = self.rng.pick(&[0, 1, 8, 16]);
        self.add(4, Operand::Imm(room));
        let end = self.rng.pick(&[1, 2, 3]);
        self.load(Size::W, end, 6, 4);
        let op = self.rng.pick(&[JumpOp::Gt, JumpOp::Gt, JumpOp::Ge, JumpOp::Lt]);
        match self.rng.below(3) {
            0 => {
                self.mov(0, Operand::Reg(Reg(4)));
                self.exit_if(op, end, Operand::Reg(Reg(0)));
            }
            _ => self.exit_if(op, 4, Operand::Reg(Reg(end))),
        }
        let (size, off) = (self.rng.pick(SIZES), self.rng.pick(&[0, 0, 1, 7, 8, 15, -1]));
        self.load(size, 0, 5, off);
        self.refill();
    }

    /// Lookup or update with a key and a value from the stack or elsewhere.
    fn map_call(&mut self) {
        if self.xdp {
            self.ops.push(Op::Call(CallTarget::Helper(7)));
            return self.refill();
        }
        self.load_map(0);
        self.mov(2, Operand::Reg(Reg(10)));
        let key = self.rng.pick(&[-4, -4, -8, -16, -3, -2]);
        self.add(2, Operand::Imm(key));
        if self.rng.below(2) == 0 {
            self.ops.push(Op::Call(CallTarget::Helper(1)));
            let op = self.rng.pick(&[JumpOp::Eq, JumpOp::Eq, JumpOp::Ne]);
            self.ops.push(Op::JumpIf { width: Width::W64, op, dst: Reg(0), src: Operand::Imm(0), off: 1 });
            let (size, off) = (self.rng.pick(SIZES), self.rng.pick(&[0, 40, 41, 47]));
            self.load(size, 0, 0, off);
        } else {
            let base = self.rng.pick(&[7, 7, 10]);
            self.mov(3, Operand::Reg(Reg(base)));
            let off = self.rng.pick(&[0, -48, -40]);
            self.add(3, Operand::Imm(off));
            self.mov(4, Operand::Imm(0));
            self.ops.push(Op::Call(CallTarget::Helper(2)));
        }
        self.mov(0, Operand::Imm(2));
        self.refill();
    }

    /// A pointer that goes over the stack, perhaps damaged on its way.
    fn spilled_pointer(&mut self) {
        let src = Operand::Reg(Reg(self.rng.pick(&[7, 7, 6, 10])));
        self.ops.push(Op::Store { size: Size::DW, dst: Reg(10), off: -32, src });
        if self.rng.below(3) == 0 {
            self.step();
        }
        if self.rng.below(4) == 0 {
            let (size, off) = (self.rng.pick(SIZES), self.rng.pick(&[-32, -24, -40]));
            self.ops.push(Op::Store { size, dst: Reg(10), off, src: Operand::Imm(0) });
        }
        self.load(Size::DW, 5, 10, -32);
        let (size, off) = (self.rng.pick(SIZES), self.rng.pick(&[0, 0, 4, 8, -8]));
        self.load(size, 0, 5, off);
    }

    /// A function of two numbers and the caller's frame pointer.
    fn function(&mut self) {
        let start: usize = self.ops.iter().map(Op::slots).sum();
        self.mov(0, Operand::Reg(Reg(1)));
        for _ in 0..1 + self.rng.below(4) {
            match self.rng.below(4) {
                0 => {
                    let (size, dst) = (self.rng.pick(SIZES), Reg(self.rng.pick(&[0, 1, 2])));
                    self.ops.push(Op::Load { size, signed: false, dst, src: Reg(3), off: -8 });
                }
                1 => {
                    let (size, src) = (self.rng.pick(SIZES), Operand::Reg(Reg(self.rng.pick(&[0, 1, 2]))));
                    self.ops.push(Op::Store { size, dst: Reg(3), off: -16, src });
                }
                2 => {
                    let (width, op, dst) =
                        (self.width(), self.rng.pick(JUMPS), Reg(self.rng.pick(&[0, 1, 2])));
                    let src = Operand::Imm(self.rng.pick(IMMS));
                    self.ops.push(Op::JumpIf { width, op, dst, src, off: 1 });
                    self.mov(0, Operand::Reg(Reg(2)));
                }
                _ => {
                    let (width, dst) = (self.width(), Reg(self.rng.pick(&[0, 1, 2])));
                    let (op, src) = (
                        self.rng.pick(&[AluOp::Add, AluOp::And, AluOp::Mov]),
                        Reg(self.rng.pick(&[0, 1, 2])),
                    );
                    self.ops.push(Op::Alu { width, op, dst, src: Operand::Reg(src) });
                }
            }
        }
        self.ops.push(Op::Exit);
        for &i in &self.calls {
            let at: usize = self.ops[..i].iter().map(Op::slots).sum();
            self.ops[i] = Op::Call(CallTarget::Subprog((start - at - 1) as i32));
        }
    }

    fn program(mut self, steps: u64) -> ProgramSpec {
        self.prologue();
        for _ in 0..steps {
            self.step();
        }
        // Jumps reach at most five instructions past the end.
        for _ in 0..6 {
            self.mov(0, Operand::Imm(0));
        }
        self.ops.push(Op::Exit);
        if !self.calls.is_empty() {
            self.function();
        }
        let mut insns: Vec<Insn> = Vec::new();
        for op in &self.ops {
            let (first, second) = op.try_encode().expect("generated instructions exist");
            insns.push(first);
            insns.extend(second);
        }
        let kind = if self.xdp { ProgramType::XDP } else { ProgramType::SOCKET_FILTER };
        let maps = if self.xdp { vec![Arc::new(ring())] } else { vec![Arc::new(map()), Arc::new(ring())] };
        ProgramSpec { name: "fuzz".into(), maps, ..ProgramSpec::new(kind, insns) }
    }
}

fn map() -> MapDef {
    MapDef::new(MapType::HASH, 4, 48, 1).named("values")
}

fn ring() -> MapDef {
    MapDef::new(MapType::RINGBUF, 0, 0, 4096).named("ring")
}

struct Kernel {
    backend: LinuxBackend,
    map: LinuxMap,
    ring: LinuxMap,
    unprivileged: bool,
}

impl Kernel {
    fn verdict(&self, spec: &ProgramSpec) -> (bool, String) {
        let fds = [self.map.as_fd(), self.ring.as_fd()];
        let fds = if spec.maps.len() == 1 { &fds[1..] } else { &fds[..] };
        let load = || self.backend.load_program(spec, fds, LoadOptions { log_level: 4 }).map(drop);
        let result = match self.unprivileged {
            true => skep_linux::unprivileged(load).expect("capabilities can be dropped"),
            false => load(),
        };
        match result {
            Ok(_) => (true, String::new()),
            Err(e) => {
                let line = e.log.lines().rev().find(|l| !l.starts_with("processed ") && !l.is_empty());
                (false, line.unwrap_or_default().to_owned())
            }
        }
    }
}

impl Kernel {
    fn environment(&self) -> Environment {
        if self.unprivileged { Environment::unprivileged() } else { Environment::default() }
    }

    /// Pruning at every point gives the same verdict as pruning now and then: if it accepted more, a number that
    /// matters would not be marked.
    fn pruning_changes_nothing(&self, spec: &ProgramSpec) -> bool {
        let often = Options { test_state_freq: true, ..Options::default() };
        let code =
            |options| verify(spec, &self.environment(), &options).map_or_else(|r| Some(r.code()), |_| None);
        let (a, b) = (code(Options::default()), code(often));
        a.is_some() == b.is_some() || a == Some(Code::TooComplex) || b == Some(Code::TooComplex)
    }

    fn accepts(&self, spec: &ProgramSpec) -> bool {
        verify(spec, &self.environment(), &Options::default()).is_ok()
    }
}

fn differ(kernel: &Kernel, spec: &ProgramSpec) -> Option<String> {
    let ours = verify(spec, &kernel.environment(), &Options::default());
    let (accepts, words) = kernel.verdict(spec);
    if accepts == ours.is_ok() {
        return None;
    }
    let ours = match ours {
        Ok(_) => "accept".to_owned(),
        Err(r) => format!("insn {}: {}", r.pc(), r.message()),
    };
    let kernel = if accepts { "accept".to_owned() } else { words };
    Some(format!("skep: {ours}\nkernel: {kernel}"))
}

fn shrink(kernel: &Kernel, spec: &ProgramSpec) -> ProgramSpec {
    let mut best = spec.clone();
    let (nop, _) = Op::Jump { off: 0, long: false }.encode();
    let want = kernel.accepts(spec);
    for _ in 0..3 {
        let before = best.insns.clone();
        for pc in 0..best.insns.len() {
            let wide = best.insns[pc].is_wide();
            let second = pc > 0 && best.insns[pc - 1].is_wide();
            if best.insns[pc] == nop || second {
                continue;
            }
            let mut smaller = best.clone();
            smaller.insns[pc] = nop;
            if wide {
                smaller.insns[pc + 1] = nop;
            }
            if differ(kernel, &smaller).is_some() && kernel.accepts(&smaller) == want {
                best = smaller;
            }
        }
        if best.insns == before {
            break;
        }
    }
    best
}

fn text(spec: &ProgramSpec) -> String {
    let line = |r: Result<(usize, Op), _>| match r {
        Ok((_, Op::Jump { off: 0, .. })) => None,
        Ok((pc, op)) => Some(format!("{pc}: {}", op.text(Dialect::Kernel))),
        Err::<_, skep_isa::DecodeError>(e) => Some(e.to_string()),
    };
    decode_all(&spec.insns).filter_map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn random_programs_get_the_kernels_verdict() {
    let probe = LinuxBackend::probe();
    if !probe.is_yes() {
        println!("skipped: no kernel to compare with: {probe:?}");
        return;
    }
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    let (count, seed) = (number("SKEP_FUZZ").unwrap_or(120), number("SKEP_SEED").unwrap_or(1));
    let backend = LinuxBackend::new();
    let map = backend.create(&map()).expect("a hash map");
    let ring = backend.create(&ring()).expect("a ring buffer");
    let kernel = Kernel { backend, map, ring, unprivileged: number("SKEP_UNPRIVILEGED").is_some() };
    let may_goto = number("SKEP_MAY_GOTO").is_some();
    let (mut accepted, mut found) = (0, Vec::new());
    for i in 0..count {
        let mut rng = Rng((seed + i).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let (xdp, steps) = (rng.below(2) == 0 && !kernel.unprivileged, 2 + rng.below(24));
        let spec = Generator { rng, may_goto, ops: Vec::new(), xdp, calls: Vec::new() }.program(steps);
        assert!(kernel.pruning_changes_nothing(&spec), "seed {}:\n{}", seed + i, text(&spec));
        match differ(&kernel, &spec) {
            None => accepted += u64::from(kernel.accepts(&spec)),
            Some(_) => {
                let small = shrink(&kernel, &spec);
                let words = differ(&kernel, &small).unwrap_or_default();
                found.push(format!("seed {}:\n{}\n{words}\n", seed + i, text(&small)));
                if found.len() >= 8 {
                    break;
                }
            }
        }
    }
    println!("{count} programs, {accepted} accepted by both, {} differ", found.len());
    assert!(found.is_empty(), "verdicts differ:\n{}", found.join("\n"));
    assert!(accepted * 20 > count, "too few programs are accepted for the comparison to mean much");
}
