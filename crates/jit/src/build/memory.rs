//! Loads, stores and atomic operations: of memory, of the context's fields, of the arena, and of what only the runtime
//! can reach.

use skep_abi::Native;
use skep_isa::{AtomicOp, Op as Insn, Operand, Reg, Size};
use skep_verifier::AccessBase;
use skep_vm::native::{CtxLoad, CtxStore, PacketCell};

use super::{Builder, Unsupported};
use crate::ir::{Bin, Cell, FrameUse, Op, Region, Service, Ty, Val};

/// A place in memory.
#[derive(Clone, Copy)]
struct Place {
    size: Size,
    base: Val,
    off: i32,
    region: Region,
}

/// How an access is done.
enum How {
    Plainly(Region),
    Ctx,
    Arena(u32),
    /// By the runtime, which knows how a fault is harmless.
    Elsewhere,
}

impl Builder<'_> {
    /// Asks the runtime for what touches nothing of the frame.
    pub(super) fn ask(&mut self, service: Service, args: &[Val]) -> Val {
        let frame = FrameUse::Bytes(Box::new([]));
        self.emit(Op::Service { service, args: args.into(), frame }, Ty::I64)
    }

    pub(super) fn memory(&mut self, insn: &Insn) -> Result<(), Unsupported> {
        let (base, off) = match *insn {
            Insn::Load { src, off, .. } | Insn::LoadAcquire { src, off, .. } => (src, off),
            Insn::Store { dst, off, .. }
            | Insn::StoreRelease { dst, off, .. }
            | Insn::Atomic { dst, off, .. } => (dst, off),
            _ => return self.unsupported("no access of memory"),
        };
        let region = match self.how(base) {
            How::Plainly(region) => region,
            How::Ctx => return self.context(insn, base, off),
            How::Arena(index) => {
                self.arena(insn, base, index);
                return Ok(());
            }
            How::Elsewhere => match *insn {
                Insn::Load { size, signed, dst, .. } => {
                    let v = self.load_elsewhere(size, base, off);
                    self.loaded(size, signed, dst, v);
                    return Ok(());
                }
                Insn::Store { size, src, .. } => {
                    let value = self.wide_operand(src);
                    self.store_elsewhere(size, base, off, value);
                    return Ok(());
                }
                _ => Region::Other,
            },
        };
        let at = |b: &mut Self, size| Place { size, base: b.wide(base), off: off.into(), region };
        match *insn {
            Insn::Load { size, signed, dst, .. } => {
                let at = at(self, size);
                self.load(at, signed, dst);
            }
            Insn::LoadAcquire { size, dst, .. } => {
                let at = at(self, size);
                let Place { size, base, off, region } = self.check(at, false);
                let v = self.emit(Op::LoadAcquire { size, base, off, region }, Ty::I64);
                self.regs.set(dst, v);
            }
            Insn::Store { size, src, .. } => {
                let at = at(self, size);
                let value = self.stored(size, src);
                self.store(at, value);
            }
            Insn::StoreRelease { size, src, .. } => {
                let at = at(self, size);
                let value = self.stored(size, Operand::Reg(src));
                let Place { size, base, off, region } = self.check(at, true);
                self.emit(Op::StoreRelease { size, base, off, region, value }, Ty::None);
            }
            Insn::Atomic { size, op, src, .. } => {
                let at = at(self, size);
                self.atomic(at, op, src);
            }
            _ => {}
        }
        Ok(())
    }

    /// How the instruction at hand accesses memory, by what the verifier says that its base register points to.
    fn how(&self, base: Reg) -> How {
        if let Some(index) = self.p.binding.arena_access(self.pc) {
            return How::Arena(index);
        }
        if base == Reg::FP {
            return How::Plainly(Region::Frame);
        }
        match self.facts().access {
            Some(AccessBase::Ctx) => How::Ctx,
            Some(AccessBase::Stack) => How::Plainly(Region::Frame),
            Some(AccessBase::MapValue) => How::Plainly(Region::Map),
            Some(AccessBase::MapKey) => How::Plainly(Region::Other),
            Some(AccessBase::Packet) => How::Plainly(Region::Packet),
            // A function of the kernel may give back a buffer in a frame, which then has escaped; other functions than the
            // main one may be given a part of their caller's as memory.
            Some(AccessBase::Mem) if self.part.start == 0 && self.part.escaped.is_empty() => {
                How::Plainly(Region::Other)
            }
            Some(AccessBase::Mem | AccessBase::Various) | None => How::Plainly(Region::Any),
            Some(
                AccessBase::Socket
                | AccessBase::SockCommon
                | AccessBase::TcpSock
                | AccessBase::XdpSock
                | AccessBase::Kernel
                | AccessBase::Arena,
            ) => How::Elsewhere,
        }
    }

    fn load(&mut self, at: Place, signed: bool, dst: Reg) {
        let Place { size, base, off, region } = self.check(at, false);
        let v = self.emit(Op::Load { size, base, off, region }, Ty::I64);
        self.loaded(size, signed, dst, v);
    }

    /// Puts what a load has given into its register.
    fn loaded(&mut self, size: Size, signed: bool, dst: Reg, v: Val) {
        let v = if signed && size != Size::DW { self.emit(Op::Sext(size, v), Ty::I64) } else { v };
        self.regs.set(dst, v);
    }

    /// A value whose low bytes are those that are to be stored.
    fn stored(&mut self, size: Size, src: Operand) -> Val {
        match src {
            Operand::Reg(reg) if size <= Size::W => match self.regs.any(reg) {
                Some(v) => v,
                None => self.wide(reg),
            },
            Operand::Imm(imm) if size <= Size::W => self.constant_low(imm as u32),
            Operand::Reg(_) | Operand::Imm(_) => self.wide_operand(src),
        }
    }

    fn store(&mut self, at: Place, value: Val) {
        let Place { size, base, off, region } = self.check(at, true);
        self.emit(Op::Store { size, base, off, region, value }, Ty::None);
    }

    fn atomic(&mut self, at: Place, op: AtomicOp, src: Reg) {
        let wide = at.size == Size::DW;
        let mut operand = |reg| if wide { self.wide(reg) } else { self.low(reg) };
        let value = operand(src);
        let expected = if op == AtomicOp::Cmpxchg { operand(Reg::R0) } else { value };
        let ty = match (op.fetches(), wide) {
            (false, _) => Ty::None,
            (true, true) => Ty::I64,
            (true, false) => Ty::I32,
        };
        let Place { size, base, off, region } = self.check(at, true);
        let old = self.emit(Op::Atomic { op, size, base, off, region, value, expected }, ty);
        let to = if op == AtomicOp::Cmpxchg { Reg::R0 } else { src };
        match ty {
            Ty::None => {}
            Ty::I64 => self.regs.set(to, old),
            Ty::I32 => self.regs.set_low(to, old),
        }
    }

    /// Before an access that is done plainly, asks for it if that is wanted.
    fn check(&mut self, at: Place, write: bool) -> Place {
        if self.p.options.check_accesses {
            let addr = self.address(at.base, at.off);
            self.ask(Service::Check { size: at.size, write }, &[addr]);
        }
        at
    }

    fn address(&mut self, base: Val, off: i32) -> Val {
        if off == 0 {
            return base;
        }
        let off = self.constant(i64::from(off) as u64);
        self.emit(Op::Bin(Bin::Add, base, off), Ty::I64)
    }

    fn load_elsewhere(&mut self, size: Size, base: Reg, off: i16) -> Val {
        let base = self.wide(base);
        let addr = self.address(base, off.into());
        self.service(Service::LoadElsewhere { size }, vec![addr])
    }

    fn store_elsewhere(&mut self, size: Size, base: Reg, off: i16, value: Val) {
        let base = self.wide(base);
        let addr = self.address(base, off.into());
        self.service(Service::StoreElsewhere { size }, vec![addr, value]);
    }

    /// An access of the context, whose register is as it was at entry: what the field is says how.
    fn context(&mut self, insn: &Insn, base: Reg, off: i16) -> Result<(), Unsupported> {
        let at = u64::try_from(off).unwrap_or(u64::MAX);
        match *insn {
            Insn::Load { size, signed, dst, .. } => match self.p.binding.ctx_load(at, size) {
                Some(CtxLoad::Image(at)) => {
                    let at = self.image(base, at, size);
                    self.load(at, signed, dst);
                }
                Some(CtxLoad::Packet(cell)) => {
                    let cell = match cell {
                        PacketCell::Data => Cell::PacketData,
                        PacketCell::End => Cell::PacketEnd,
                        PacketCell::Meta => Cell::PacketMeta,
                    };
                    let v = self.emit(Op::Cell(cell), Ty::I64);
                    self.regs.set(dst, v);
                }
                Some(CtxLoad::FlowKeys) => {
                    let v = self.emit(Op::Cell(Cell::FlowKeys), Ty::I64);
                    self.regs.set(dst, v);
                }
                Some(CtxLoad::Null) => {
                    let v = self.constant(0);
                    self.regs.set(dst, v);
                }
                Some(CtxLoad::Elsewhere) | None => {
                    let v = self.load_elsewhere(size, base, off);
                    self.loaded(size, signed, dst, v);
                }
            },
            Insn::Store { size, src, .. } => match self.p.binding.ctx_store(at, size) {
                Some(CtxStore::Image(native @ (Native::Same | Native::Byte | Native::Half))) => {
                    let at = self.image(base, at, size);
                    let mut value = self.stored(size, src);
                    let kept = match native {
                        Native::Byte => 0xff,
                        Native::Half => 0xffff,
                        Native::Same | Native::Queue => u64::MAX,
                    };
                    if kept != u64::MAX {
                        let ty = self.f.ty(value);
                        let mask = self.emit(Op::Const(kept), ty);
                        value = self.emit(Op::Bin(Bin::And, value, mask), ty);
                    }
                    self.store(at, value);
                }
                Some(CtxStore::Image(Native::Queue) | CtxStore::Elsewhere) | None => {
                    let value = self.wide_operand(src);
                    self.store_elsewhere(size, base, off, value);
                }
            },
            _ => return self.unsupported("an atomic access of the context"),
        }
        Ok(())
    }

    /// A place in the context's image.
    fn image(&mut self, base: Reg, at: u64, size: Size) -> Place {
        self.ctx_bytes = self.ctx_bytes.max(at as usize + size.bytes());
        Place { size, base: self.wide(base), off: at as i32, region: Region::Ctx }
    }

    /// An access of the arena: operands are the contents of its base and source registers and of `r0`, 0 where it reads none.
    fn arena(&mut self, insn: &Insn, base: Reg, index: u32) {
        let base = self.wide(base);
        let (src, r0, to) = match *insn {
            Insn::Load { dst, .. } | Insn::LoadAcquire { dst, .. } => (None, None, Some(dst)),
            Insn::Store { src: Operand::Reg(src), .. } | Insn::StoreRelease { src, .. } => {
                (Some(src), None, None)
            }
            Insn::Atomic { op: AtomicOp::Cmpxchg, src, .. } => (Some(src), Some(Reg::R0), Some(Reg::R0)),
            Insn::Atomic { op, src, .. } => (Some(src), None, op.fetches().then_some(src)),
            _ => (None, None, None),
        };
        let [src, r0] = [src, r0].map(|reg| match reg {
            Some(reg) => self.wide(reg),
            None => self.constant(0),
        });
        let v = self.ask(Service::Arena { index }, &[base, src, r0]);
        if let Some(to) = to {
            self.regs.set(to, v);
        }
    }
}
