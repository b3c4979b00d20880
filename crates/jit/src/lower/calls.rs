//! Calls: of functions of the module, of services, of other programs.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self as clif, AbiParam, InstBuilder, types};
use cranelift_codegen::isa::CallConv;
use skep_isa::Size;
use skep_vm::native::{WRITE, at};

use super::body::{ALIGNED, Body, FRAME_BYTES, import, signature_of};

use crate::ir::{Func, Service, Val};

impl Body<'_> {
    /// Calls a function of the module, at the instruction in a slot.
    pub(super) fn call(&mut self, func: Func, args: &[Val; 5], pc: u32) -> clif::Value {
        if self.own.tells_calls {
            self.ask(self.seam.calls, &[Given::Number(pc.into()), Given::Frame]);
        }
        let index = func.0 as usize;
        let callee = &self.signatures[index];
        let known = self.callees[index].unwrap_or_else(|| {
            let signature = self.cur.func.import_signature(signature_of(callee, self.convention));
            import(self.cur.func, signature, func.0)
        });
        self.callees[index] = Some(known);
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
            Service::Tick => self.ask(seam.tick, &[Given::Number(pc.into())]),
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

    /// The operands; 0 for those that are missing.
    fn given<const N: usize>(&mut self, args: &[Val]) -> [Given; N] {
        core::array::from_fn(|n| match args.get(n) {
            Some(arg) => Given::Value(self.wide(*arg)),
            None => Given::Number(0),
        })
    }

    /// Calls the function for a map; it never stops the run.
    fn find(&mut self, function: u64, map: u64, key: Given) -> clif::Value {
        let signature = self.find.unwrap_or_else(|| {
            let mut signature = clif::Signature::new(self.convention.system);
            signature.params.extend((0..3).map(|_| AbiParam::new(types::I64)));
            signature.returns.push(AbiParam::new(types::I64));
            self.cur.func.import_signature(signature)
        });
        self.find = Some(signature);
        let (map, key) = (self.number(map), self.taken(key));
        let rt = self.rt();
        let vcpu = self.cur.ins().load(types::I64, ALIGNED, rt, self.seam.vcpu);
        let function = self.number(function);
        let call = self.cur.ins().call_indirect(signature, function, &[map, key, vcpu]);
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

    /// Goes on in another program, or goes on here.
    ///
    /// The main function jumps. Another one, which only is told to if it is entered from outside, calls and returns.
    pub(super) fn tail_call(&mut self, args: &[Val; 3], pc: u32) -> clif::Value {
        let [ctx, map, index] = args.map(|v| self.wide(v));
        let frame = self.frame();
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
        let mut signature = clif::Signature::new(CallConv::Tail);
        signature.params.extend((0..3).map(|_| AbiParam::new(types::I64)));
        signature.returns.extend((0..2).map(|_| AbiParam::new(types::I64)));
        let signature = self.cur.func.import_signature(signature);
        let given = [self.rt(), frame, ctx];
        if self.own.tail {
            self.cur.ins().return_call_indirect(signature, target, &given);
        } else {
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
