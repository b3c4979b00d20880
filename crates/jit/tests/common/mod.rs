//! A builder of functions, and a runtime made by hand.
#![allow(dead_code, unsafe_code, reason = "each test file uses a part; native code is called")]

use skep_jit::code::Code;
use skep_jit::ir::{
    Block, BlockData, Edge, FrameUse, Func, Function, Module, Node, Op, Service, Term, Ty, Val,
};
use skep_jit::lower::{self, Cranelift, Lowering, Seam, Slots, Wanted};

/// Bytes that lie as words do.
#[repr(align(16))]
pub struct Aligned(pub [u8; 32]);

/// The runtime's structure.
#[repr(C)]
#[derive(Default)]
pub struct Rt {
    pub args: [u64; 5],
    pub kept: [u64; 11],
    pub cells: [u64; 5],
    pub steps: u64,
    pub links: u64,
    pub tail_calls: u64,
    pub program: u64,
    /// The stop that services give.
    pub stop: u64,
    /// How often `tail_call` jumps to `tail`.
    pub jumps: u64,
    pub tail: u64,
    /// What it says after.
    pub last: u64,
    /// What the last service was given.
    pub seen: Vec<u64>,
    /// Calls that it was told of, with the caller's frame.
    pub called: Vec<(u64, u64)>,
    /// Whether `tick` looks at who called it.
    pub look: bool,
    pub trace: String,
}

#[repr(C)]
pub struct Pair {
    value: u64,
    stop: u64,
}

pub mod fake {
    use super::{Pair, Rt};

    /// What services answer.
    pub const ANSWER: u64 = 77;
    pub const MAY_GOTO_LIMIT: u32 = 1000;

    fn answer(rt: &mut Rt, seen: &[u64], value: u64) -> Pair {
        rt.seen.clear();
        rt.seen.push(0);
        rt.seen.extend_from_slice(seen);
        Pair { value, stop: rt.stop }
    }

    pub unsafe extern "C" fn helper(rt: &mut Rt, index: u64) -> Pair {
        let sum = rt.args[0].wrapping_add(rt.args[1]).wrapping_add(index & 0xffff);
        answer(rt, &[index], sum)
    }
    pub unsafe extern "C" fn ask1(rt: &mut Rt, a: u64) -> Pair {
        if rt.look {
            rt.trace = std::backtrace::Backtrace::force_capture().to_string();
        }
        answer(rt, &[a], ANSWER)
    }
    pub unsafe extern "C" fn calls(rt: &mut Rt, pc: u64, frame: u64) -> Pair {
        rt.called.push((pc, frame));
        Pair { value: 0, stop: 0 }
    }
    pub unsafe extern "C" fn ask2(rt: &mut Rt, a: u64, b: u64) -> Pair {
        answer(rt, &[a, b], ANSWER)
    }
    pub unsafe extern "C" fn ask3(rt: &mut Rt, a: u64, b: u64, c: u64) -> Pair {
        answer(rt, &[a, b, c], ANSWER)
    }
    pub unsafe extern "C" fn ask4(rt: &mut Rt, a: u64, b: u64, c: u64, d: u64) -> Pair {
        answer(rt, &[a, b, c, d], ANSWER)
    }
    pub unsafe extern "C" fn tail_call(
        rt: &mut Rt,
        ctx: u64,
        map: u64,
        index: u64,
        frame: u64,
        pc: u64,
    ) -> Pair {
        let to = if rt.jumps == 0 { rt.last } else { rt.tail };
        rt.jumps = rt.jumps.saturating_sub(1);
        answer(rt, &[ctx, map, index, frame, pc], to)
    }
}

/// Where the code finds it.
pub fn seam() -> Seam {
    use core::mem::offset_of;
    let cells = offset_of!(Rt, cells) as i32;
    let address = |f: *const ()| f.expose_provenance() as u64;
    Seam {
        args: offset_of!(Rt, args) as i32,
        kept: offset_of!(Rt, kept) as i32,
        packet_data: cells,
        packet_end: cells + 8,
        packet_meta: cells + 16,
        flow_keys: cells + 24,
        vcpu: cells + 32,
        helper: address(fake::helper as *const ()),
        lookup: address(fake::ask3 as *const ()),
        stack: address(fake::ask2 as *const ()),
        calls: address(fake::calls as *const ()),
        call_back_begin: address(fake::ask2 as *const ()),
        call_back_next: address(fake::ask2 as *const ()),
        packet_load: address(fake::ask2 as *const ()),
        load_elsewhere: address(fake::ask2 as *const ()),
        store_elsewhere: address(fake::ask3 as *const ()),
        arena: address(fake::ask4 as *const ()),
        tail_call: address(fake::tail_call as *const ()),
        tick: address(fake::ask1 as *const ()),
        throw: address(fake::ask1 as *const ()),
        check: address(fake::ask2 as *const ()),
        steps: offset_of!(Rt, steps) as i32,
        links: offset_of!(Rt, links) as i32,
        tail_calls: offset_of!(Rt, tail_calls) as i32,
        program: offset_of!(Rt, program) as i32,
        program_slots: vec![],
        may_goto_limit: fake::MAY_GOTO_LIMIT,
    }
}

/// A function as it grows.
pub struct Build {
    pub function: Function,
    pub pc: u32,
    at: Block,
}

impl Build {
    /// A function with the entry block, whose parameters are `Val(0)` to `Val(4)`.
    pub fn new() -> Self {
        let nodes = vec![Node::new(Op::Param, Ty::I64, 0); 5];
        let params = (0..5).map(Val).collect();
        let entry = BlockData { params, insts: vec![], term: Term::Unreachable, term_pc: 0 };
        let function =
            Function { name: "main".into(), slot: 0, piece: false, zeroed: 0, nodes, blocks: vec![entry] };
        Self { function, pc: 0, at: Block(0) }
    }

    /// Adds an instruction.
    pub fn op(&mut self, op: Op, ty: Ty) -> Val {
        let v = self.function.add(op, ty, self.pc);
        self.function.blocks[self.at.0 as usize].insts.push(v);
        v
    }

    pub fn number(&mut self, n: u64) -> Val {
        self.op(Op::Const(n), Ty::I64)
    }

    pub fn call(&mut self, func: u32, args: [Val; 5]) -> Val {
        self.op(Op::Call { func: Func(func), args: Box::new(args), frame: FrameUse::All }, Ty::I64)
    }

    pub fn service(&mut self, service: Service, args: &[Val]) -> Val {
        self.op(Op::Service { service, args: args.into(), frame: FrameUse::All }, Ty::I64)
    }

    pub fn tail_call(&mut self, args: [Val; 3]) -> Val {
        self.op(Op::TailCall { args: Box::new(args) }, Ty::I64)
    }

    /// Adds a block.
    pub fn block(&mut self, params: &[Ty]) -> Block {
        let params = params.iter().map(|ty| self.function.add(Op::Param, *ty, self.pc)).collect();
        self.function.blocks.push(BlockData {
            params,
            insts: vec![],
            term: Term::Unreachable,
            term_pc: self.pc,
        });
        Block(self.function.blocks.len() as u32 - 1)
    }

    pub fn params(&self, block: Block) -> &[Val] {
        &self.function.block(block).params
    }

    /// Goes on in a block.
    pub fn at(&mut self, block: Block) {
        self.at = block;
    }

    /// Ends the block.
    pub fn end(&mut self, term: Term) {
        let data = &mut self.function.blocks[self.at.0 as usize];
        (data.term, data.term_pc) = (term, self.pc);
    }

    /// An edge without parameters.
    pub fn to(block: Block) -> Edge {
        Edge { to: block, args: vec![] }
    }

    /// Ends the block and makes the program.
    pub fn finish(mut self, term: Term) -> Machine {
        self.end(term);
        Machine::of(vec![self])
    }
}

/// A program in memory.
pub struct Machine {
    pub machine: lower::Machine,
    pub code: Code,
}

impl Machine {
    pub fn of(functions: Vec<Build>) -> Self {
        Self::with(functions, vec![])
    }

    /// Of a program with arrays of programs.
    pub fn with(functions: Vec<Build>, program_slots: Vec<Slots>) -> Self {
        let functions = functions.into_iter().map(|b| b.function).collect();
        let module = Module { functions, ..Module::default() };
        let seam = Seam { program_slots, ..seam() };
        let machine = Cranelift.lower(&module, &[true], &seam, &Wanted::default()).expect("code");
        let code = Code::place(&machine).expect("memory");
        Self { machine, code }
    }

    pub fn tail_entry(&self) -> u64 {
        self.code.address(self.machine.tail_entry)
    }

    /// Runs it.
    pub fn enter(&self, rt: &mut Rt, frame: u64, r: [u64; 5]) -> (u64, u64) {
        type Entry = unsafe extern "C" fn(*mut Rt, u64, u64, u64, u64, u64, u64) -> Pair;
        let at = self.code.address(self.machine.entries[0].expect("the main function has an entry"));
        // SAFETY: an entry that was generated for this signature and these services; the memory lives as long as `self`.
        let pair = unsafe {
            let entry: Entry = core::mem::transmute(core::ptr::with_exposed_provenance::<()>(at as usize));
            entry(rt, frame, r[0], r[1], r[2], r[3], r[4])
        };
        (pair.value, pair.stop)
    }

    pub fn run5(&self, r: [u64; 5]) -> u64 {
        let (value, stop) = self.enter(&mut Rt::default(), 0, r);
        assert_eq!(stop, 0);
        value
    }

    pub fn run(&self, [a, b]: [u64; 2]) -> u64 {
        self.run5([a, b, 0, 0, 0])
    }
}
