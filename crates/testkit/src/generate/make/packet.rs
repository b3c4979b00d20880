//! What only the event has: packet bytes, or fields of the context.

use skep_isa::{AluOp, JumpOp, Op, Operand, PacketMode, Reg, Size, Width};

use super::kinds::Packet;
use super::{Gen, R0, R1, R2, R3, R4, R5};

impl Gen {
    pub(super) fn event_data(&mut self) {
        let Some(ctx) = self.frame.ctx else { return self.arithmetic() };
        let legacy = self.legacy_loads && self.frame.level == 0;
        match self.kind.packet {
            _ if !self.kind.stores.is_empty() && self.rng.chance(25) => self.context_store(ctx),
            Packet::Helpers | Packet::Direct { .. } if legacy && self.rng.chance(50) => self.legacy_load(),
            Packet::Direct { data, end, stores } => self.direct_access(ctx, data, end, stores),
            Packet::Helpers | Packet::None => {
                let (size, off) = *self.rng.pick(&self.kind.numbers);
                let dst = self.target();
                self.plain_load(size, dst, ctx, off);
                self.set_known(dst, true);
            }
        }
    }

    fn context_store(&mut self, ctx: Reg) {
        let (size, off) = *self.rng.pick(&self.kind.stores);
        let src = self.number();
        self.store(size, ctx, off, Operand::Reg(src));
    }

    fn legacy_load(&mut self) {
        let size = *self.rng.pick(&[Size::B, Size::H, Size::W]);
        // Mostly inside: a load from outside ends the program.
        let reach = if self.rng.chance(80) { 14 } else { 80 };
        let imm = self.rng.below(reach) as i32;
        let index = Reg::R7;
        let indirect = self.rng.chance(30) && (self.knows(index) || !self.is_held(index));
        let mode = if indirect {
            if !self.is_held(index) {
                let small = self.rng.below(4) as i32;
                self.mov(index, small);
                self.set_known(index, true);
            }
            PacketMode::Ind(index)
        } else {
            PacketMode::Abs
        };
        self.op(Op::LoadPacket { size, mode, imm });
        self.clobber();
        self.set_known(R0, true);
    }

    /// Loads and stores at packet addresses, once they are known to lie inside.
    fn direct_access(&mut self, ctx: Reg, data: i16, end: i16, stores: bool) {
        let (at, last, limit, by) = (R2, R1, R3, R5);
        let size = self.size();
        let off = self.rng.below(40) as i16;
        self.frame.known.regs[..5].fill(false);
        let mut skips = Vec::new();
        let variable = self.rng.chance(40);
        if variable {
            let most = *self.rng.pick(&[3, 15, 63]);
            skips = self.bounded(by, &[at, last, limit, by], most);
        }
        let before = self.known();
        self.plain_load(Size::W, at, ctx, data);
        if variable {
            self.alu(Width::W64, AluOp::Add, at, Operand::Reg(by));
        }
        self.plain_load(Size::W, limit, ctx, end);
        self.mov_reg(last, at);
        self.add(last, i32::from(off) + size.bytes() as i32);
        // The four ways to say that all of it lies before the end.
        match self.rng.below(4) {
            0 => skips.push(self.jump_if(JumpOp::Gt, last, Operand::Reg(limit))),
            1 => skips.push(self.jump_if(JumpOp::Lt, limit, Operand::Reg(last))),
            2 => {
                let inside = self.jump_if(JumpOp::Le, last, Operand::Reg(limit));
                skips.push(self.goto());
                self.land(inside);
            }
            _ => {
                let inside = self.jump_if(JumpOp::Ge, limit, Operand::Reg(last));
                skips.push(self.goto());
                self.land(inside);
            }
        }
        let kept = self.kept_target().filter(|r| self.knows(*r));
        for _ in 0..1 + self.rng.below(2) {
            if stores && self.rng.chance(40) {
                let src = if self.rng.chance(50) {
                    Operand::Imm(self.rng.immediate())
                } else {
                    Operand::Reg(self.number_but(&[at, last, limit, by]))
                };
                self.store(size, at, off, src);
            } else {
                self.load(size, kept.unwrap_or(R4), at, off);
            }
        }
        for at in skips {
            self.land(at);
        }
        self.frame.known.meet(before);
        self.clobber();
        self.fresh(R0);
    }
}
