//! Calls: of functions of the module, of services, of other programs.

use core::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self as clif, AbiParam, BlockArg, InstBuilder, types};
use cranelift_codegen::isa::CallConv;
use skep_isa::Size;
use skep_vm::MAX_TAIL_CALLS;
use skep_vm::native::{LINKS, Link, UNKNOWN, WRITE, at};

use super::body::{ALIGNED, Body, FRAME_BYTES, MEMORY, import, signature_of};

use crate::ir::{Func, Service, Val};

impl Body<'_> {
    /// Calls a function of the module, at the instruction in a slot.
    pub(super) fn call(&mut self, func: Func, args: &[Val; 5], pc: u32) -> clif::Value {
        if self.own.tells_calls {
            self.ask(self.seam.calls, &[Given::Number(pc.into()), Given::Frame]);
        }
        let known = self.callee(func);
        let callee = &self.signatures[func.0 as usize];
        let mut given = Vec::with_capacity(7);
        if callee.rt {
            given.push(self.rt());
        }
        if callee.frame {
            let own = self.frame();
            let below = self.cur.ins().iconst(types::I64, -FRAME_BYTES);
            given.push(self.cur.ins().iadd(own, below));
        }
        for (arg, used) in args.iter().zip(callee.args) {
            if used {
                let arg = self.wide(*arg);
                given.push(arg);
            }
        }
        let call = self.cur.ins().call(known, &given);
        let results = self.cur.func.dfg.inst_results(call);
        let value = results[0];
        if let Some(stop) = results.get(1).copied() {
            self.unless_stopped(value, stop);
        }
        value
    }

    /// A function of the module, made known.
    fn callee(&mut self, func: Func) -> clif::FuncRef {
        let index = func.0 as usize;
        let known = self.callees[index].unwrap_or_else(|| {
            let signature = signature_of(&self.signatures[index], self.convention);
            let signature = self.cur.func.import_signature(signature);
            import(self.cur.func, signature, func.0)
        });
        self.callees[index] = Some(known);
        known
    }

    /// Goes on in a piece of the function. The convention of tail jumps jumps there; any other calls, and returns what it gives.
    pub(super) fn leave(&mut self, to: Func, kept: &[(u8, Val)]) {
        let rt = self.rt();
        for (n, v) in kept {
            let value = self.wide(*v);
            self.cur.ins().store(ALIGNED, value, rt, self.seam.kept + 8 * i32::from(*n));
        }
        let (piece, given) = (self.callee(to), [rt, self.frame()]);
        if self.own.tail {
            self.cur.ins().return_call(piece, &given);
        } else {
            let call = self.cur.ins().call(piece, &given);
            let results = self.cur.func.dfg.inst_results(call).to_vec();
            self.cur.ins().return_(&results);
        }
    }

    /// One of the numbers that a piece is handed.
    pub(super) fn handed(&mut self, n: u8) -> clif::Value {
        let (rt, off) = (self.rt(), self.seam.kept + 8 * i32::from(n));
        self.cur.ins().load(types::I64, ALIGNED, rt, off)
    }

    /// One of the five numbers that helpers take and services leave.
    pub(super) fn arg(&mut self, n: u8) -> clif::Value {
        let (rt, off) = (self.rt(), self.seam.args + 8 * i32::from(n));
        self.cur.ins().load(types::I64, ALIGNED, rt, off)
    }

    /// Puts operands where helpers take them from.
    fn put_args(&mut self, args: &[Val]) {
        let rt = self.rt();
        for (n, arg) in args.iter().enumerate() {
            let value = self.wide(*arg);
            self.cur.ins().store(ALIGNED, value, rt, self.seam.args + 8 * n as i32);
        }
    }

    fn number(&mut self, n: u64) -> clif::Value {
        self.cur.ins().iconst(types::I64, n as i64)
    }

    /// Asks the runtime, for the instruction in a slot.
    pub(super) fn service(&mut self, service: Service, args: &[Val], pc: u32) -> clif::Value {
        let seam = self.seam;
        let bytes = |size: Size| at(pc, size.bytes() as u16);
        match service {
            Service::Helper { index } => {
                self.put_args(args);
                self.ask(seam.helper, &[Given::Number(at(pc, index))])
            }
            Service::Lookup => {
                let [map, key] = self.given(args);
                self.ask(seam.lookup, &[map, key, Given::Number(pc.into())])
            }
            Service::Find { function, map } => {
                let [key] = self.given(args);
                self.find(function, map, key)
            }
            Service::Quick { function, kept: 0 } => {
                let rt = self.rt();
                self.direct(function, &[rt])
            }
            Service::Quick { function, kept } => self.kept(function, kept),
            Service::Stack { buffer } => {
                self.put_args(args);
                self.ask(seam.stack, &[Given::Number(at(pc, buffer.into())), Given::Frame])
            }
            Service::CallBackBegin { kind } => {
                self.put_args(args);
                self.ask(seam.call_back_begin, &[Given::Number(at(pc, kind.into())), Given::Frame])
            }
            Service::CallBackNext => {
                let [returned] = self.given(args);
                self.ask(seam.call_back_next, &[returned, Given::Frame])
            }
            Service::PacketLoad { size } => {
                let [off] = self.given(args);
                self.ask(seam.packet_load, &[Given::Number(bytes(size)), off])
            }
            Service::LoadElsewhere { size } => {
                let [addr] = self.given(args);
                self.ask(seam.load_elsewhere, &[addr, Given::Number(bytes(size))])
            }
            Service::StoreElsewhere { size } => {
                let [addr, number] = self.given(args);
                self.ask(seam.store_elsewhere, &[addr, Given::Number(bytes(size)), number])
            }
            Service::Arena { index } => {
                let [base, src, r0] = self.given(args);
                self.ask(seam.arena, &[Given::Number(index.into()), base, src, r0])
            }
            Service::Tick => {
                self.step(pc);
                self.number(0)
            }
            Service::Check { size, write } => {
                let [addr] = self.given(args);
                let number = size.bytes() as u16 | if write { WRITE } else { 0 };
                self.ask(seam.check, &[addr, Given::Number(at(pc, number))])
            }
            Service::Throw => {
                let [cookie] = self.given(args);
                self.ask(seam.throw, &[cookie])
            }
        }
    }

    /// Takes one of the steps until the deadline is looked at, or looks.
    pub(super) fn step(&mut self, pc: u32) {
        let rt = self.rt();
        let left = self.cur.ins().load(types::I64, ALIGNED, rt, self.seam.steps);
        let [go_on, look, next] = [0; 3].map(|_| self.new_block());
        self.cur.ins().brif(left, go_on, &[], look, &[]);
        self.begin(look);
        self.cur.func.layout.set_cold(look);
        self.ask(self.seam.tick, &[Given::Number(pc.into())]);
        self.cur.ins().jump(next, &[]);
        self.begin(go_on);
        let left = self.cur.ins().iadd_imm_s(left, -1);
        self.cur.ins().store(ALIGNED, left, rt, self.seam.steps);
        self.cur.ins().jump(next, &[]);
        self.begin(next);
    }

    /// The operands; 0 for those that are missing.
    fn given<const N: usize>(&mut self, args: &[Val]) -> [Given; N] {
        core::array::from_fn(|n| match args.get(n) {
            Some(arg) => Given::Value(self.wide(*arg)),
            None => Given::Number(0),
        })
    }

    /// Calls the function for a map; it never stops the run.
    fn find(&mut self, function: u64, map: u64, key: Given) -> clif::Value {
        let (map, key) = (self.number(map), self.taken(key));
        let rt = self.rt();
        let vcpu = self.cur.ins().load(types::I64, ALIGNED, rt, self.seam.vcpu);
        self.direct(function, &[map, key, vcpu])
    }

    /// What the runtime keeps, or has to be asked for.
    fn kept(&mut self, function: u64, kept: u16) -> clif::Value {
        let rt = self.rt();
        let known = self.cur.ins().load(types::I64, ALIGNED, rt, i32::from(kept));
        let (ask, done) = (self.new_block(), self.new_block());
        let result = self.cur.func.dfg.append_block_param(done, types::I64);
        let unknown = self.number(UNKNOWN);
        let missing = self.cur.ins().icmp(IntCC::Equal, known, unknown);
        self.cur.ins().brif(missing, ask, &[], done, &[BlockArg::Value(known)]);
        self.begin(ask);
        self.cur.func.layout.set_cold(ask);
        let asked = self.direct(function, &[rt]);
        self.cur.ins().jump(done, &[BlockArg::Value(asked)]);
        self.begin(done);
        result
    }

    /// Calls a function of the runtime that gives a number and never stops the run.
    fn direct(&mut self, function: u64, args: &[clif::Value]) -> clif::Value {
        let signature = self.direct[args.len()].unwrap_or_else(|| {
            let mut signature = clif::Signature::new(self.convention.system);
            signature.params.extend(args.iter().map(|_| AbiParam::new(types::I64)));
            signature.returns.push(AbiParam::new(types::I64));
            self.cur.func.import_signature(signature)
        });
        self.direct[args.len()] = Some(signature);
        let function = self.number(function);
        let call = self.cur.ins().call_indirect(signature, function, args);
        self.cur.func.dfg.inst_results(call)[0]
    }

    fn taken(&mut self, given: Given) -> clif::Value {
        match given {
            Given::Value(value) => value,
            Given::Number(n) => self.number(n),
            Given::Frame => self.frame(),
        }
    }

    /// Calls a service; returns from the function if it stops the run.
    fn ask(&mut self, address: u64, args: &[Given]) -> clif::Value {
        let mut given = Vec::with_capacity(1 + args.len());
        given.push(self.rt());
        for arg in args {
            let arg = self.taken(*arg);
            given.push(arg);
        }
        let signature = self.services[given.len()].unwrap_or_else(|| {
            let mut signature = clif::Signature::new(self.convention.system);
            signature.params.extend((0..given.len()).map(|_| AbiParam::new(types::I64)));
            signature.returns.extend((0..2).map(|_| AbiParam::new(types::I64)));
            self.cur.func.import_signature(signature)
        });
        self.services[given.len()] = Some(signature);
        let address = self.number(address);
        let call = self.cur.ins().call_indirect(signature, address, &given);
        let results = self.cur.func.dfg.inst_results(call);
        let (value, stop) = (results[0], results[1]);
        self.unless_stopped(value, stop);
        value
    }

    /// Jumps to a program that is linked, if the array's slot names one; else goes on in a new block.
    fn go_by_link(&mut self, (map, index): (Val, clif::Value), ctx: clif::Value) {
        let content = self.function.constant(map);
        let Some(slots) = self.seam.program_slots.iter().find(|s| Some(s.content) == content).copied() else {
            return;
        };
        let (rt, frame) = (self.rt(), self.frame());
        let [inside, linked, jump, long] = [0; 4].map(|_| self.new_block());
        let index = self.cur.ins().ireduce(types::I32, index);
        let held = self.cur.ins().icmp_imm_u(IntCC::UnsignedLessThan, index, i64::from(slots.count));
        self.cur.ins().brif(held, inside, &[], long, &[]);

        self.begin(inside);
        let address = self.number(slots.address);
        let index = self.cur.ins().uextend(types::I64, index);
        let off = self.cur.ins().ishl_imm_u(index, 2);
        let slot = self.cur.ins().iadd(address, off);
        let id = self.cur.ins().uload32(MEMORY, slot, 0);
        let links = self.cur.ins().load(types::I64, ALIGNED, rt, self.seam.links);
        let place = self.cur.ins().band_imm_u(id, LINKS as i64 - 1);
        let off = self.cur.ins().ishl_imm_u(place, i64::from(size_of::<Link>().ilog2()));
        let link = self.cur.ins().iadd(links, off);
        let field = |body: &mut Self, at: usize| body.cur.ins().load(types::I64, ALIGNED, link, at as i32);
        let its_id = field(self, offset_of!(Link, id));
        let held = self.cur.ins().icmp(IntCC::Equal, its_id, id);
        self.cur.ins().brif(held, linked, &[], long, &[]);

        self.begin(linked);
        let calls = self.cur.ins().load(types::I64, ALIGNED, rt, self.seam.tail_calls);
        let made = self.cur.ins().load(types::I32, ALIGNED, calls, 0);
        let held = self.cur.ins().icmp_imm_u(IntCC::UnsignedLessThan, made, i64::from(MAX_TAIL_CALLS));
        self.cur.ins().brif(held, jump, &[], long, &[]);

        self.begin(jump);
        let made = self.cur.ins().iadd_imm_u(made, 1);
        self.cur.ins().store(ALIGNED, made, calls, 0);
        let program = field(self, offset_of!(Link, program));
        self.cur.ins().store(ALIGNED, program, rt, self.seam.program);
        let target = field(self, offset_of!(Link, jump));
        self.jump_on(target, &[rt, frame, ctx]);

        self.begin(long);
    }

    /// Leaves the function for the code of another program.
    fn jump_on(&mut self, target: clif::Value, given: &[clif::Value; 3]) {
        let mut signature = clif::Signature::new(CallConv::Tail);
        signature.params.extend((0..3).map(|_| AbiParam::new(types::I64)));
        signature.returns.extend((0..2).map(|_| AbiParam::new(types::I64)));
        let signature = self.cur.func.import_signature(signature);
        self.cur.ins().return_call_indirect(signature, target, given);
    }

    /// Goes on in another program, or goes on here.
    ///
    /// The main function jumps. Another one, which only is told to if it is entered from outside, calls and returns.
    pub(super) fn tail_call(&mut self, args: &[Val; 3], pc: u32) -> clif::Value {
        let [ctx, map, index] = args.map(|v| self.wide(v));
        let frame = self.frame();
        if self.own.tail {
            self.go_by_link((args[1], index), ctx);
        }
        let asked = [ctx, map, index, frame].map(Given::Value);
        let [a, b, c, d] = asked;
        let target = self.ask(self.seam.tail_call, &[a, b, c, d, Given::Number(pc.into())]);
        let (left, leave, end, next) =
            (self.new_block(), self.new_block(), self.new_block(), self.new_block());
        self.cur.ins().brif(target, left, &[], next, &[]);
        self.begin(left);
        let one = self.number(1);
        let is_end = self.cur.ins().icmp(IntCC::Equal, target, one);
        self.cur.ins().brif(is_end, end, &[], leave, &[]);
        self.begin(leave);
        let given = [self.rt(), frame, ctx];
        if self.own.tail {
            self.jump_on(target, &given);
        } else {
            let mut signature = clif::Signature::new(CallConv::Tail);
            signature.params.extend((0..3).map(|_| AbiParam::new(types::I64)));
            signature.returns.extend((0..2).map(|_| AbiParam::new(types::I64)));
            let signature = self.cur.func.import_signature(signature);
            let call = self.cur.ins().call_indirect(signature, target, &given);
            let results = self.cur.func.dfg.inst_results(call).to_vec();
            self.cur.ins().return_(&results);
        }
        self.begin(end);
        let result = self.arg(0);
        self.give(result);
        self.begin(next);
        self.arg(0)
    }
}

/// What a service is given.
#[derive(Clone, Copy)]
enum Given {
    Value(clif::Value),
    Number(u64),
    /// The end of the function's frame.
    Frame,
}
