//! The stack, and whatever else numbers are kept in.

use std::sync::OnceLock;

use skep_isa::table::{self, Row};
use skep_isa::{AluOp, AtomicOp, Op, Operand, Reg, Size, Width};

use super::{FP, Gen, R0, R1, R2, R3, R5, SLOTS, VALUE_BYTES};

pub(super) const SIZES: [Size; 4] = [Size::B, Size::H, Size::W, Size::DW];

impl Gen {
    pub(super) fn size(&mut self) -> Size {
        *self.rng.pick(&SIZES)
    }

    /// Stores, loads and atomics in slots that hold numbers.
    pub(super) fn stack(&mut self) {
        let slot = self.rng.below(SLOTS);
        let off = -8 * (slot as i16 + 1);
        if !self.frame.known.slots[slot] {
            let src = self.number();
            self.store(Size::DW, FP, off, Operand::Reg(src));
            self.frame.known.slots[slot] = true;
        }
        if self.rng.chance(25) {
            return self.stack_at_a_number(off);
        }
        let size = self.size();
        let inner = off + (self.rng.below(8 / size.bytes()) * size.bytes()) as i16;
        match self.rng.below(7) {
            0 => {
                let imm = self.rng.immediate();
                self.store(size, FP, inner, Operand::Imm(imm));
            }
            1 => {
                let src = self.number();
                self.store(size, FP, inner, Operand::Reg(src));
            }
            2..=4 => self.atomic(FP, off, &[]),
            5 => {
                let src = self.number();
                self.op(Op::StoreRelease { size, dst: FP, off: inner, src });
                let dst = self.target();
                self.op(Op::LoadAcquire { size, dst, src: FP, off: inner });
                self.set_known(dst, true);
            }
            _ => {
                let dst = self.target();
                self.stack_load(size, dst, FP, inner);
                self.set_known(dst, true);
            }
        }
    }

    /// A byte of a slot, at an offset that only the run knows.
    fn stack_at_a_number(&mut self, off: i16) {
        let (at, by) = (R3, R5);
        self.set_known(at, false);
        let skips = self.bounded(by, &[at, by], 7);
        let before = self.known();
        self.mov_reg(at, FP);
        self.alu(Width::W64, AluOp::Add, at, Operand::Reg(by));
        if self.rng.chance(50) {
            let src = self.number_but(&[at, by]);
            self.store(Size::B, at, off, Operand::Reg(src));
        } else {
            self.stack_load(Size::B, R2, at, off);
        }
        for at in skips {
            self.land(at);
        }
        self.frame.known.meet(before);
        for r in [R2, at, by] {
            self.set_known(r, false);
        }
    }

    /// An atomic operation on the 8 bytes at `base + off`, which hold a number; not with the registers in `busy`.
    pub(super) fn atomic(&mut self, base: Reg, off: i16, busy: &[Reg]) {
        let row = *self.rng.pick(atomic_rows());
        let mut src = self.number_but(busy);
        if self.is_held(src) {
            src = R0;
        }
        for r in [src, R0] {
            if !self.knows(r) {
                self.fresh(r);
            }
        }
        let op = row.op(base, src, off, 0);
        let stack = base == FP || self.frame.lent == Some(base);
        if stack && op.defs().iter().next().is_some() {
            // Linux loses track of what comes from a spill (docs/parity.md): a byte makes it no spill.
            let byte = 1 + self.rng.below(126) as i32;
            let at = off + self.rng.below(8) as i16;
            self.store(Size::B, base, at, Operand::Imm(byte));
        }
        self.op(op);
        if matches!(op, Op::Atomic { op: AtomicOp::Cmpxchg, size: Size::W, .. }) {
            // Linux may leave the high half of r0 (docs/parity.md).
            self.alu(Width::W32, AluOp::Mov, R0, Operand::Reg(R0));
        }
    }

    /// Uses `bytes` bytes of numbers at an address in `r0`: afterwards `r0` to `r5` are unknown.
    pub(super) fn use_memory(&mut self, bytes: u32) {
        // Away from r0, which some forms need, to r3.
        let at = R3;
        self.mov_reg(at, R0);
        self.clobber();
        self.fresh(R0);
        self.use_address(at, bytes, false);
        self.clobber();
    }

    /// The same at an address in `at`, perhaps of a stack, which is not `r1`, `r2` or `r5`: those are gone afterwards.
    fn use_address(&mut self, at: Reg, bytes: u32, stack: bool) {
        let words = (bytes / 8) as usize;
        for _ in 0..1 + self.rng.below(3) {
            let size = self.size();
            let off = (self.rng.below(bytes as usize / size.bytes()) * size.bytes()) as i16;
            match self.rng.below(8) {
                0 => {
                    let imm = self.rng.immediate();
                    self.store(size, at, off, Operand::Imm(imm));
                }
                1 | 2 => {
                    let src = self.number_but(&[at]);
                    self.store(size, at, off, Operand::Reg(src));
                }
                3 => {
                    let off = 8 * self.rng.below(words) as i16;
                    self.atomic(at, off, &[at]);
                }
                4 => {
                    let src = self.number_but(&[at]);
                    self.op(Op::StoreRelease { size, dst: at, off, src });
                    self.op(Op::LoadAcquire { size, dst: R1, src: at, off });
                    self.set_known(R1, true);
                }
                5 | 6 => self.use_at_a_number(at, bytes, stack),
                _ => {
                    let dst = self.kept_target().unwrap_or(R1);
                    self.load_from(size, dst, at, off, stack);
                    self.set_known(dst, true);
                }
            }
        }
    }

    fn load_from(&mut self, size: Size, dst: Reg, base: Reg, off: i16, stack: bool) {
        match stack {
            true => self.stack_load(size, dst, base, off),
            false => self.load(size, dst, base, off),
        }
    }

    /// An access at an offset that only the run knows.
    fn use_at_a_number(&mut self, base: Reg, bytes: u32, stack: bool) {
        let (at, by) = (R2, R5);
        // On a stack only bytes are aligned everywhere.
        let size = if stack { Size::B } else { self.size() };
        // The largest mask that leaves room for the access.
        let room = bytes - size.bytes() as u32 + 1;
        let most = (1 << room.ilog2()) - 1;
        let skips = self.bounded(by, &[base, at, by], most);
        let before = self.known();
        self.mov_reg(at, base);
        self.alu(Width::W64, AluOp::Add, at, Operand::Reg(by));
        let off = self.rng.below((room as i32 - most) as usize) as i16;
        if self.rng.chance(50) {
            let src = self.number_but(&[base, at, by]);
            self.store(size, at, off, Operand::Reg(src));
        } else {
            let dst = self.kept_target().unwrap_or(R1);
            if !self.knows(dst) {
                // Both ways must know it.
                let zero = R1;
                self.load_from(size, zero, at, off, stack);
            } else {
                self.load_from(size, dst, at, off, stack);
            }
        }
        for at in skips {
            self.land(at);
        }
        self.frame.known.meet(before);
        for r in [R1, at, by] {
            self.set_known(r, false);
        }
    }

    /// What the caller has lent: part of its stack.
    pub(super) fn lent_memory(&mut self) {
        let Some(lent) = self.frame.lent else { return };
        self.clobber();
        self.fresh(R0);
        self.use_address(lent, VALUE_BYTES as u32, true);
        self.clobber();
    }
}

fn atomic_rows() -> &'static [&'static Row] {
    static ROWS: OnceLock<Vec<&'static Row>> = OnceLock::new();
    ROWS.get_or_init(|| {
        table::rows().iter().filter(|r| matches!(r.op(R1, R2, 0, 0), Op::Atomic { .. })).collect()
    })
}
