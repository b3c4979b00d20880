//! Dynptrs: of an array's value, and of a ring buffer's record.
//!
//! One lies in the place of a value on the stack, which is zeros again afterwards.

use skep_abi::helper_by_name;
use skep_isa::{Imm64, Op, Operand, Reg, Size};

use super::{FP, Gen, KEY, KEY_BYTES, R0, R1, R2, R3, R4, R5, VALUE, VALUE_BYTES};

/// Places in what a dynptr leads to, and outside.
const PLACES: &[i32] = &[0, 0, 1, 7, 8, 16, 17, 23, 24, 25, -1];
const LENGTHS: &[i32] = &[0, 1, 7, 8, 8, 15, 16];

impl Gen {
    pub(super) fn may_have_dynptrs(&self) -> bool {
        helper_by_name("bpf_dynptr_from_mem").is_some_and(|h| self.kind.has(h.id))
    }

    pub(super) fn dynptr(&mut self) {
        self.on_stack(KEY, KEY_BYTES);
        if self.rng.chance(60) {
            self.value_by_dynptr();
        } else {
            self.record_by_dynptr();
        }
        for off in (VALUE..VALUE + VALUE_BYTES).step_by(8) {
            self.store(Size::DW, FP, off, Operand::Imm(0));
        }
    }

    fn value_by_dynptr(&mut self) {
        let index = self.plain_value();
        self.op(Op::LoadImm64 { dst: R1, value: Imm64::MapValueIdx { idx: index, off_bytes: 0 } });
        let size = *self.rng.pick(&[8, 16, VALUE_BYTES.into()]);
        self.mov(R2, size);
        let flags = *self.rng.pick(&[0, 0, 0, 0, 1]);
        self.mov(R3, flags);
        self.stack_address(R4, VALUE);
        self.call("bpf_dynptr_from_mem");
        for _ in 0..1 + self.rng.below(3) {
            match self.rng.below(3) {
                0 => self.read_dynptr(),
                1 => self.write_dynptr(),
                _ => self.dynptr_data(),
            }
        }
    }

    /// A record of 16 bytes, written whole: what is left in the ring buffer is nobody's to compare.
    fn record_by_dynptr(&mut self) {
        let ring = self.ring();
        self.map(R1, ring);
        self.mov(R2, KEY_BYTES.into());
        self.mov(R3, 0);
        self.stack_address(R4, VALUE);
        self.call("bpf_ringbuf_reserve_dynptr");
        self.write_at(0, KEY_BYTES.into());
        if self.rng.chance(50) {
            self.write_dynptr();
        }
        if self.rng.chance(30) {
            self.dynptr_data();
        }
        self.stack_address(R1, VALUE);
        let flags = *self.rng.pick(&[0, 0, 1, 2]);
        self.mov(R2, flags);
        let submit = self.rng.chance(75);
        self.call(if submit { "bpf_ringbuf_submit_dynptr" } else { "bpf_ringbuf_discard_dynptr" });
        // They give nothing.
        self.set_known(R0, false);
        self.fresh(R0);
    }

    fn read_dynptr(&mut self) {
        self.stack_address(R1, KEY);
        let len = *self.rng.pick(LENGTHS);
        self.mov(R2, len);
        self.stack_address(R3, VALUE);
        self.place(R4);
        self.mov(R5, 0);
        self.call("bpf_dynptr_read");
        let dst = self.kept_target().unwrap_or(R1);
        self.plain_load(Size::DW, dst, FP, KEY);
        self.set_known(dst, true);
    }

    fn write_dynptr(&mut self) {
        let (place, len) = (*self.rng.pick(PLACES), *self.rng.pick(LENGTHS));
        self.write_at(place, len);
    }

    fn write_at(&mut self, place: i32, len: i32) {
        self.stack_address(R1, VALUE);
        self.mov(R2, place);
        self.stack_address(R3, KEY);
        self.mov(R4, len);
        self.mov(R5, 0);
        self.call("bpf_dynptr_write");
    }

    fn dynptr_data(&mut self) {
        let len = *self.rng.pick(&[8, 16]);
        self.stack_address(R1, VALUE);
        // An address between would do for Linux on x86-64; here atomics want theirs to be multiples of their size.
        let place = *self.rng.pick(&[0, 0, 8, 16, 24, -8]);
        self.mov(R2, place);
        self.mov(R3, len);
        self.call("bpf_dynptr_data");
        self.set_known(R0, false);
        let outside = self.unless_null(R0);
        let before = self.known();
        self.use_memory(len as u32);
        self.land(outside);
        self.frame.known.meet(before);
        self.set_known(R0, false);
        self.fresh(R0);
    }

    fn place(&mut self, dst: Reg) {
        let place = *self.rng.pick(PLACES);
        self.mov(dst, place);
    }
}
