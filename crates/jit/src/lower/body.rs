//! A function's body in the generator's form.

use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::{
    self as clif, AbiParam, BlockArg, ExtFuncData, ExternalName, InstBuilder, MemFlagsData, SourceLoc,
    StackSlotData, StackSlotKind, UserExternalName, types,
};
use cranelift_codegen::isa::{CallConv, TargetIsa};
use skep_isa::{AtomicOp, Size};

use super::seam::Seam;
use super::signature::Signature;
use crate::ir::{Block, Cell, Cond, Edge, Function, Module, Node, Op, Term, Ty, Val};

/// Calling conventions and what else of the target shows in a body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Convention {
    /// The C convention.
    pub(super) system: CallConv,
    /// Whether plain stores are in order (x86).
    pub(super) ordered_stores: bool,
    /// Whether a store of 16 bytes is cheap.
    pub(super) wide_stores: bool,
}

impl Convention {
    pub(super) fn of(isa: &dyn TargetIsa) -> Self {
        let x86 = isa.name() == "x64";
        // On x86-64 the runtime's services have the System V convention on every system: two numbers come in registers.
        let system = if x86 { CallConv::SystemV } else { isa.default_call_conv() };
        Self { system, ordered_stores: x86, wide_stores: x86 || isa.name() == "aarch64" }
    }
}

/// What a signature is to the generator.
pub(super) fn signature_of(own: &Signature, convention: Convention) -> clif::Signature {
    let mut out = clif::Signature::new(if own.tail { CallConv::Tail } else { convention.system });
    let args = own.args.iter().filter(|used| **used).count();
    for _ in 0..usize::from(own.rt) + usize::from(own.frame) + args {
        out.params.push(AbiParam::new(types::I64));
    }
    for _ in 0..1 + usize::from(own.stops) {
        out.returns.push(AbiParam::new(types::I64));
    }
    out
}

/// A function on its way to the generator.
pub(super) struct Body<'a> {
    pub(super) cur: FuncCursor<'a>,
    pub(super) function: &'a Function,
    pub(super) signatures: &'a [Signature],
    pub(super) own: &'a Signature,
    pub(super) seam: &'a Seam,
    pub(super) convention: Convention,
    /// The generator's values, by value; of those not yet seen a reserved one.
    values: Vec<clif::Value>,
    blocks: Vec<clif::Block>,
    pub(super) rt: Option<clif::Value>,
    pub(super) frame: Option<clif::Value>,
    /// Where a stop is handed on: parameters are the value and the stop.
    stopped: Option<clif::Block>,
    /// Signatures of services, by the number of their parameters.
    pub(super) services: [Option<clif::SigRef>; 8],
    /// Signatures of functions that stop no run, by the number of their parameters.
    pub(super) direct: [Option<clif::SigRef>; 4],
    /// Functions that are called, by index.
    pub(super) callees: Vec<Option<clif::FuncRef>>,
    /// Counts the passes of `may_goto` down.
    passes: Option<clif::StackSlot>,
}

/// Fills an empty function of the generator.
pub(super) fn fill(
    out: &mut clif::Function,
    module: &Module,
    function: &Function,
    signatures: &[Signature],
    at: usize,
    seam: &Seam,
    convention: Convention,
) {
    let own = &signatures[at];
    out.signature = signature_of(own, convention);
    out.name = clif::UserFuncName::user(0, at as u32);
    out.dfg.blocks.reserve(function.blocks.len());
    let mut body = Body {
        cur: FuncCursor::new(out),
        function,
        signatures,
        own,
        seam,
        convention,
        values: vec![clif::Value::from_u32(u32::MAX - 1); function.nodes.len()],
        blocks: Vec::new(),
        rt: None,
        frame: None,
        stopped: None,
        services: [None; 8],
        direct: [None; 4],
        callees: vec![None; module.functions.len()],
        passes: None,
    };
    body.run();
}

/// Fills a function that only calls another one, of the other convention.
pub(super) fn fill_entry(
    out: &mut clif::Function,
    from: CallConv,
    signatures: &[Signature],
    at: usize,
    convention: Convention,
) {
    let callee = signature_of(&signatures[at], convention);
    // Who is jumped to gets the structure, the frame and the context; who is called, as many as the callee takes.
    let params = if from == CallConv::Tail { 3 } else { callee.params.len() };
    let mut own = clif::Signature::new(from);
    own.params.extend((0..params).map(|_| AbiParam::new(types::I64)));
    own.returns.extend((0..2).map(|_| AbiParam::new(types::I64)));
    out.signature = own;
    let takes = callee.params.len();
    let signature = out.import_signature(callee);
    let func = import(out, signature, at as u32);
    let block = out.dfg.make_block();
    let mut given: Vec<_> = (0..params).map(|_| out.dfg.append_block_param(block, types::I64)).collect();
    let mut cur = FuncCursor::new(out);
    cur.insert_block(block);
    while given.len() < takes {
        given.push(cur.ins().iconst(types::I64, 0));
    }
    let call = cur.ins().call(func, &given[..takes]);
    let results = cur.func.dfg.inst_results(call).to_vec();
    cur.ins().return_(&results);
}

/// Makes a function of the module known to another one.
pub(super) fn import(out: &mut clif::Function, signature: clif::SigRef, index: u32) -> clif::FuncRef {
    let name = out.declare_imported_user_function(UserExternalName { namespace: 0, index });
    out.import_function(ExtFuncData {
        name: ExternalName::user(name),
        signature,
        colocated: true,
        patchable: false,
    })
}

/// Guest memory: never traps, and is not known to be aligned.
pub(super) const MEMORY: MemFlagsData = MemFlagsData::new().with_notrap();
/// Memory of the runtime and aligned words.
pub(super) const ALIGNED: MemFlagsData = MemFlagsData::trusted();

/// Bytes of a stack frame.
pub(super) const FRAME_BYTES: i64 = 512;

impl Body<'_> {
    fn run(&mut self) {
        let order = self.function.order();
        // Blocks first: edges lead forward.
        self.blocks = vec![clif::Block::from_u32(u32::MAX - 1); self.function.blocks.len()];
        for block in &order {
            let new = self.cur.func.dfg.make_block();
            self.cur.func.layout.append_block(new);
            self.blocks[block.0 as usize] = new;
        }
        for block in &order {
            let new = self.blocks[block.0 as usize];
            self.cur.goto_bottom(new);
            if block.0 == 0 {
                self.entry(new);
            } else {
                for param in &self.function.block(*block).params {
                    let value = self.cur.func.dfg.append_block_param(new, type_of(self.function.ty(*param)));
                    self.set(*param, value);
                }
            }
            self.block(*block);
        }
        if let Some(block) = self.stopped {
            let params = self.cur.func.dfg.block_params(block).to_vec();
            self.cur.func.layout.append_block(block);
            self.cur.goto_bottom(block);
            self.cur.set_srcloc(SourceLoc::default());
            self.cur.ins().return_(&params);
        }
    }

    /// What the function takes, and what it does first.
    fn entry(&mut self, block: clif::Block) {
        self.at(self.function.slot);
        let param = |body: &mut Self| body.cur.func.dfg.append_block_param(block, types::I64);
        if self.own.rt {
            self.rt = Some(param(self));
        }
        if self.own.frame {
            self.frame = Some(param(self));
        }
        let args = self.own.args.map(|used| used.then(|| param(self)));
        let params = &self.function.block(Block(0)).params;
        for (v, arg) in params.iter().zip(args) {
            let value = arg.unwrap_or_else(|| self.cur.ins().iconst(types::I64, 0));
            self.set(*v, value);
        }
        self.zero();
        if self.own.may_goto {
            let slot = StackSlotData::new(StackSlotKind::ExplicitSlot, 4, 2);
            let slot = self.cur.func.create_sized_stack_slot(slot);
            let limit = self.cur.ins().iconst(types::I32, i64::from(self.seam.may_goto_limit));
            self.cur.ins().stack_store(types::I64, limit, slot, 0);
            self.passes = Some(slot);
        }
    }

    /// Zeroes what may be read before it is written.
    fn zero(&mut self) {
        let Some(frame) = self.frame.filter(|_| self.function.zeroed > 0) else { return };
        let mut from = -i32::from(self.function.zeroed);
        if self.convention.wide_stores && from <= -32 {
            let zeros = self.cur.func.dfg.constants.insert(vec![0; 16].into());
            let zeros = self.cur.ins().vconst(types::I8X16, zeros);
            while from <= -16 {
                self.cur.ins().store(MEMORY, zeros, frame, from);
                from += 16;
            }
        }
        if from < 0 {
            let zero = self.cur.ins().iconst(types::I64, 0);
            while from < 0 {
                self.cur.ins().store(MEMORY, zero, frame, from);
                from += 8;
            }
        }
    }

    fn at(&mut self, slot: u32) {
        self.cur.set_srcloc(SourceLoc::new(slot));
    }

    fn block(&mut self, block: Block) {
        let function = self.function;
        let data = function.block(block);
        for v in &data.insts {
            let node = function.node(*v);
            self.at(node.pc);
            if let Some(value) = self.op(node) {
                self.set(*v, value);
            }
        }
        self.at(data.term_pc);
        self.term(&data.term, data.term_pc);
    }

    fn set(&mut self, v: Val, value: clif::Value) {
        self.values[v.0 as usize] = value;
    }

    /// The generator's value.
    pub(super) fn value(&self, v: Val) -> clif::Value {
        self.values[v.0 as usize]
    }

    /// A value as 64 bits, zeros above.
    pub(super) fn wide(&mut self, v: Val) -> clif::Value {
        let value = self.value(v);
        match self.function.ty(v) {
            Ty::I32 => self.cur.ins().uextend(types::I64, value),
            Ty::I64 | Ty::None => value,
        }
    }

    /// The low half of a value.
    pub(super) fn low(&mut self, v: Val) -> clif::Value {
        let value = self.value(v);
        match self.function.ty(v) {
            Ty::I64 => self.cur.ins().ireduce(types::I32, value),
            Ty::I32 | Ty::None => value,
        }
    }

    /// A number of up to 32 bits as the type that is wanted.
    pub(super) fn widen(&mut self, value: clif::Value, ty: Ty) -> clif::Value {
        let have = self.cur.func.dfg.value_type(value);
        if have == type_of(ty) { value } else { self.cur.ins().uextend(type_of(ty), value) }
    }

    /// The end of the frame.
    pub(super) fn frame(&self) -> clif::Value {
        self.frame.expect("the signature says that the function takes its frame")
    }

    /// The runtime's structure.
    pub(super) fn rt(&self) -> clif::Value {
        self.rt.expect("the signature says that the function takes the runtime")
    }

    fn op(&mut self, node: &Node) -> Option<clif::Value> {
        let Node { op, ty, pc, .. } = node;
        let (ty, pc) = (*ty, *pc);
        let value = match op {
            Op::Param => unreachable!("parameters stand in no block"),
            Op::Const(c) => self.cur.ins().iconst(type_of(ty), *c as i64),
            Op::Bin(bin, a, b) => self.bin(*bin, (*a, *b), ty, node.proved),
            Op::Trunc(a) => self.low(*a),
            Op::Zext(a) => self.wide(*a),
            Op::Sext(size, a) => self.sext(*size, *a, ty),
            Op::Swap(size, a) => self.swap(*size, *a, ty),
            Op::Cmp(cond, a, b) => {
                let held = self.held(*cond, *a, *b);
                self.cur.ins().uextend(type_of(ty), held)
            }
            Op::Select(cond, a, b, x, y) => {
                let held = self.held(*cond, *a, *b);
                let (x, y) = (self.value(*x), self.value(*y));
                self.cur.ins().select(held, x, y)
            }
            Op::Frame => self.frame(),
            Op::Cell(cell) => {
                let off = match cell {
                    Cell::PacketData => self.seam.packet_data,
                    Cell::PacketEnd => self.seam.packet_end,
                    Cell::PacketMeta => self.seam.packet_meta,
                    Cell::FlowKeys => self.seam.flow_keys,
                    Cell::Vcpu => self.seam.vcpu,
                };
                let rt = self.rt();
                self.cur.ins().load(types::I64, ALIGNED, rt, off)
            }
            Op::Arg(n) => self.arg(*n),
            Op::Kept(n) => self.handed(*n),
            Op::Load { size, base, off, region: _ } => {
                let base = self.value(*base);
                let ins = self.cur.ins();
                match (size, type_of(ty)) {
                    (Size::B, ty) => ins.uload8(ty, MEMORY, base, *off),
                    (Size::H, ty) => ins.uload16(ty, MEMORY, base, *off),
                    (Size::W, types::I64) => ins.uload32(MEMORY, base, *off),
                    (Size::W | Size::DW, ty) => ins.load(ty, MEMORY, base, *off),
                }
            }
            Op::Store { size, base, off, region: _, value } => {
                self.store(*size, *base, *off, *value);
                return None;
            }
            Op::Atomic { op, size, base, off, region: _, value, expected } => {
                return self.atomic(*op, *size, (*base, *off), *value, *expected, ty);
            }
            Op::LoadAcquire { size, base, off, region: _ } => {
                let addr = self.address(*base, *off);
                let loaded = self.cur.ins().atomic_load(int_of(*size), ALIGNED, addr);
                self.widen(loaded, ty)
            }
            Op::StoreRelease { size, base, off, region: _, value } => {
                if self.convention.ordered_stores {
                    self.store(*size, *base, *off, *value);
                } else {
                    let addr = self.address(*base, *off);
                    let value = self.narrowed(*value, *size);
                    self.cur.ins().atomic_store(ALIGNED, value, addr);
                }
                return None;
            }
            Op::Call { func, args, frame: _ } => self.call(*func, args, pc),
            Op::Service { service, args, frame: _ } => self.service(*service, args, pc),
            Op::TailCall { args } => self.tail_call(args, pc),
        };
        Some(value)
    }

    fn store(&mut self, size: Size, base: Val, off: i32, value: Val) {
        let base = self.value(base);
        let wide = self.function.ty(value) == Ty::I64;
        let stored = if size == Size::DW { self.wide(value) } else { self.value(value) };
        let ins = self.cur.ins();
        match size {
            Size::B => ins.istore8(MEMORY, stored, base, off),
            Size::H => ins.istore16(MEMORY, stored, base, off),
            Size::W if wide => ins.istore32(MEMORY, stored, base, off),
            Size::W | Size::DW => ins.store(MEMORY, stored, base, off),
        };
    }

    fn address(&mut self, base: Val, off: i32) -> clif::Value {
        let base = self.value(base);
        if off == 0 {
            return base;
        }
        let off = self.cur.ins().iconst(types::I64, i64::from(off));
        self.cur.ins().iadd(base, off)
    }

    /// The low bytes of a value.
    fn narrowed(&mut self, v: Val, size: Size) -> clif::Value {
        let (value, to) = (self.value(v), int_of(size));
        let have = self.cur.func.dfg.value_type(value);
        match have.bits().cmp(&to.bits()) {
            core::cmp::Ordering::Less => self.cur.ins().uextend(to, value),
            core::cmp::Ordering::Equal => value,
            core::cmp::Ordering::Greater => self.cur.ins().ireduce(to, value),
        }
    }

    fn atomic(
        &mut self,
        op: AtomicOp,
        size: Size,
        (base, off): (Val, i32),
        value: Val,
        expected: Val,
        ty: Ty,
    ) -> Option<clif::Value> {
        use clif::AtomicRmwOp as Rmw;
        let addr = self.address(base, off);
        let operand = self.narrowed(value, size);
        let (rmw, fetch) = match op {
            AtomicOp::Add { fetch } => (Rmw::Add, fetch),
            AtomicOp::Or { fetch } => (Rmw::Or, fetch),
            AtomicOp::And { fetch } => (Rmw::And, fetch),
            AtomicOp::Xor { fetch } => (Rmw::Xor, fetch),
            AtomicOp::Xchg => (Rmw::Xchg, true),
            AtomicOp::Cmpxchg => {
                let expected = self.narrowed(expected, size);
                let old = self.cur.ins().atomic_cas(ALIGNED, addr, expected, operand);
                return (ty != Ty::None).then(|| self.widen(old, ty));
            }
        };
        let old = self.cur.ins().atomic_rmw(int_of(size), ALIGNED, rmw, addr, operand);
        (fetch && ty != Ty::None).then(|| self.widen(old, ty))
    }

    /// Goes on in another block; `stop` is handed on if it is not 0.
    pub(super) fn unless_stopped(&mut self, value: clif::Value, stop: clif::Value) {
        let stopped = *self.stopped.get_or_insert_with(|| {
            let block = self.cur.func.dfg.make_block();
            self.cur.func.dfg.append_block_param(block, types::I64);
            self.cur.func.dfg.append_block_param(block, types::I64);
            self.cur.func.layout.set_cold(block);
            block
        });
        let next = self.new_block();
        self.cur.ins().brif(stop, stopped, &[BlockArg::Value(value), BlockArg::Value(stop)], next, &[]);
        self.begin(next);
    }

    /// A block that is not yet begun.
    pub(super) fn new_block(&mut self) -> clif::Block {
        self.cur.func.dfg.make_block()
    }

    /// Begins a block: what follows stands there.
    pub(super) fn begin(&mut self, block: clif::Block) {
        let after = self.cur.current_block().expect("code stands in a block");
        self.cur.func.layout.insert_block_after(block, after);
        self.cur.goto_bottom(block);
    }

    /// Returns a value.
    pub(super) fn give(&mut self, value: clif::Value) {
        if self.own.stops {
            let none = self.cur.ins().iconst(types::I64, 0);
            self.cur.ins().return_(&[value, none]);
        } else {
            self.cur.ins().return_(&[value]);
        }
    }

    fn edge(&self, edge: &Edge) -> (clif::Block, Vec<BlockArg>) {
        (self.blocks[edge.to.0 as usize], edge.args.iter().map(|v| BlockArg::Value(self.value(*v))).collect())
    }

    fn term(&mut self, term: &Term, pc: u32) {
        match term {
            Term::Jump(edge) => {
                let (to, args) = self.edge(edge);
                self.cur.ins().jump(to, &args);
            }
            Term::Branch { cond, a, b, then, other } => {
                let (mut then, mut other) = (self.edge(then), self.edge(other));
                let held = match cond {
                    Cond::Set | Cond::Clear => {
                        if *cond == Cond::Clear {
                            core::mem::swap(&mut then, &mut other);
                        }
                        let (a, b) = (self.value(*a), self.value(*b));
                        self.cur.ins().band(a, b)
                    }
                    Cond::Eq
                    | Cond::Ne
                    | Cond::Ult
                    | Cond::Ule
                    | Cond::Ugt
                    | Cond::Uge
                    | Cond::Slt
                    | Cond::Sle
                    | Cond::Sgt
                    | Cond::Sge => self.held(*cond, *a, *b),
                };
                self.cur.ins().brif(held, then.0, &then.1, other.0, &other.1);
            }
            Term::MayGoto { spent, other } => {
                let ((spent, spent_args), (other, other_args)) = (self.edge(spent), self.edge(other));
                let slot = self.passes.expect("the signature says that the function has may_goto");
                let left = self.cur.ins().stack_load(types::I64, types::I32, slot, 0);
                let pass = self.new_block();
                self.cur.ins().brif(left, pass, &[], spent, &spent_args);
                self.begin(pass);
                self.step(pc);
                let one = self.cur.ins().iconst(types::I32, 1);
                let left = self.cur.ins().isub(left, one);
                self.cur.ins().stack_store(types::I64, left, slot, 0);
                self.cur.ins().jump(other, &other_args);
            }
            Term::Leave { to, kept } => self.leave(*to, kept),
            Term::Return(v) => {
                let value = self.wide(*v);
                self.give(value);
            }
            Term::Unreachable => {
                self.cur.ins().trap(clif::TrapCode::unwrap_user(1));
            }
        }
    }
}

/// The generator's type.
pub(super) fn type_of(ty: Ty) -> clif::Type {
    match ty {
        Ty::I32 => types::I32,
        Ty::I64 | Ty::None => types::I64,
    }
}

/// The integer of a size.
pub(super) fn int_of(size: Size) -> clif::Type {
    match size {
        Size::B => types::I8,
        Size::H => types::I16,
        Size::W => types::I32,
        Size::DW => types::I64,
    }
}
