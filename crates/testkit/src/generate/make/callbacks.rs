//! Functions that helpers call back: rounds of `bpf_loop`, elements of `bpf_for_each_map_elem`.

use std::ops::Range;

use skep_abi::MapType;
use skep_isa::{AluOp, AtomicOp, Imm64, Op, Operand, Size, Width, decode};

use super::calls::{Caller, Function};
use super::{FP, Gen, R0, R1, R2, R3, R4, R5, R6, R7, VALUE, VALUE_BYTES};

/// Most rounds that are asked for, and more than Linux allows (`BPF_MAX_LOOPS`).
const ROUNDS: usize = 7;
const TOO_MANY: i32 = (8 << 20) + 1;

impl Gen {
    /// Room for another function, which calls no more than one level below it.
    pub(super) fn may_call_back(&self, depth: usize) -> bool {
        self.grows(depth) && self.frame.level < 2 && self.has_room_for_functions()
    }

    pub(super) fn call_back(&mut self) {
        self.on_stack(VALUE, VALUE_BYTES);
        if self.rng.chance(60) {
            self.rounds()
        } else {
            self.elements()
        }
        self.clobber();
        self.set_known(R0, true);
        // What the function left there.
        let off = VALUE + 8 * self.rng.below(VALUE_BYTES as usize / 8) as i16;
        self.load(Size::DW, R1, FP, off);
        self.set_known(R1, true);
    }

    fn rounds(&mut self) {
        // Not 0: Linux 6.18 takes away a function that is never called, and then calls it (docs/parity.md).
        let n = if self.rng.chance(2) { TOO_MANY } else { 1 + self.rng.below(ROUNDS) as i32 };
        if self.rng.chance(50) {
            self.mov(R1, n);
        } else {
            let src = self.number();
            self.mov_reg(R1, src);
            self.alu(Width::W64, AluOp::And, R1, Operand::Imm(3));
            self.alu(Width::W64, AluOp::Or, R1, Operand::Imm(1));
        }
        self.function_address(R2, Caller::Loop);
        self.stack_address(R3, VALUE);
        let flags = i32::from(self.rng.chance(2));
        self.mov(R4, flags);
        self.call("bpf_loop");
    }

    fn elements(&mut self) {
        let walked = [
            MapType::ARRAY,
            MapType::HASH,
            MapType::PERCPU_ARRAY,
            MapType::PERCPU_HASH,
            MapType::LRU_HASH,
            MapType::LRU_PERCPU_HASH,
        ];
        let map = self.keyed_map_of(&|kind| walked.contains(&kind));
        // Arrays have an order; of the others only what needs none can be compared.
        let ordered = matches!(map.def.kind, MapType::ARRAY | MapType::PERCPU_ARRAY);
        self.map(R1, map.index);
        self.function_address(R2, Caller::ForEach { ordered, value: map.def.value_size });
        self.stack_address(R3, VALUE);
        self.mov(R4, 0);
        self.call("bpf_for_each_map_elem");
    }

    /// The address of a function that is written later.
    fn function_address(&mut self, dst: skep_isa::Reg, caller: Caller) {
        let at = self.op(Op::LoadImm64 { dst, value: Imm64::Code(0) });
        let level = self.frame.level + 1;
        self.functions.push(Function { level, lent: true, ctx: false, caller, calls: vec![at] });
    }

    /// What a round begins with: its number in `r1`, what is lent in `r2`.
    pub(super) fn begin_round(&mut self) {
        self.mov_reg(R6, R2);
        self.frame.held.push(R6.0);
        self.frame.lent = Some(R6);
        self.set_known(R1, true);
    }

    /// Takes `may_goto` out of the functions that `bpf_loop` calls, where the program has several: Linux 6.18.44 fell
    /// over at one such program, in `__mark_chain_precision` (docs/parity.md). Nearly all others it takes, so that
    /// more is taken out than must be; what exactly it needs is not known.
    pub(super) fn spare_linux(&mut self) {
        let rounds = std::mem::take(&mut self.rounds);
        for at in rounds.iter().filter(|_| rounds.len() > 1).flat_map(Range::clone) {
            if matches!(decode(&self.code, at), Ok(Op::MayGoto { .. })) {
                self.code[at] = Op::Jump { off: 0, long: false }.encode().0;
            }
        }
    }

    /// What a call for an element begins with: the value in `r3`, what is lent in `r4`.
    pub(super) fn begin_element(&mut self, ordered: bool, value: u32) {
        self.mov_reg(R6, R4);
        self.frame.held.push(R6.0);
        self.frame.lent = Some(R6);
        if ordered {
            self.mov_reg(R7, R3);
            self.frame.held.push(R7.0);
            self.fresh(R0);
            self.mov_reg(R0, R7);
            self.use_memory(value);
            return;
        }
        let add =
            |dst, src| Op::Atomic { size: Size::DW, op: AtomicOp::Add { fetch: false }, dst, src, off: 0 };
        self.plain_load(Size::DW, R5, R3, 0);
        self.op(add(R6, R5));
        self.mov(R5, 3);
        self.op(add(R3, R5));
    }
}
