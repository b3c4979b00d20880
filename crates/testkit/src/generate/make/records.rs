//! Ring buffer records.

use std::sync::Arc;

use skep_abi::MapType;
use skep_isa::{Operand, Size};
use skep_spec::MapDef;

use super::{FP, Gen, R0, R1, R2, R3, R4, VALUE, VALUE_BYTES};

impl Gen {
    pub(super) fn ring(&mut self) -> i32 {
        let at = self.maps.iter().position(|m| m.kind == MapType::RINGBUF).unwrap_or_else(|| {
            self.maps.push(Arc::new(MapDef::new(MapType::RINGBUF, 0, 0, 4096).named("ring")));
            self.maps.len() - 1
        });
        at as i32
    }

    pub(super) fn ring_buffer(&mut self) {
        match self.rng.below(5) {
            0 | 1 => self.output(),
            2 | 3 => self.reserve(),
            _ => {
                let what = self.rng.below(5) as i32;
                let ring = self.ring();
                self.map(R1, ring);
                self.mov(R2, what);
                self.call("bpf_ringbuf_query");
            }
        }
    }

    /// A record copied from the stack, of a length that may be known only at run time.
    fn output(&mut self) {
        self.on_stack(VALUE, VALUE_BYTES);
        let ring = self.ring();
        let mut skips = Vec::new();
        if self.rng.chance(40) {
            skips = self.bounded(R3, &[R3], 15);
        } else {
            let bytes = self.rng.below(VALUE_BYTES as usize + 1) as i32;
            self.mov(R3, bytes);
        }
        let before = self.known();
        self.map(R1, ring);
        self.stack_address(R2, VALUE);
        let flags = *self.rng.pick(&[0, 0, 1, 2]);
        self.mov(R4, flags);
        self.call("bpf_ringbuf_output");
        for at in &skips {
            self.land(*at);
        }
        self.frame.known.meet(before);
        self.clobber();
        if skips.is_empty() {
            self.set_known(R0, true);
        }
    }

    /// A record reserved, filled, perhaps changed, and submitted or dropped.
    fn reserve(&mut self) {
        self.on_stack(VALUE, VALUE_BYTES);
        let ring = self.ring();
        let bytes = 8 * (1 + self.rng.below(VALUE_BYTES as usize / 8) as i32);
        self.map(R1, ring);
        self.mov(R2, bytes);
        self.mov(R3, 0);
        self.call("bpf_ringbuf_reserve");
        self.set_known(R0, false);
        let full = self.unless_null(R0);
        let before = self.known();
        for off in (0..bytes as i16).step_by(8) {
            self.plain_load(Size::DW, R1, FP, VALUE + off);
            self.store(Size::DW, R0, off, Operand::Reg(R1));
        }
        if self.rng.chance(50) {
            let kept = self.kept_target();
            if let Some(kept) = kept {
                self.mov_reg(kept, R0);
                self.frame.held.push(kept.0);
                self.set_known(kept, false);
                self.use_memory(bytes as u32);
                self.mov_reg(R0, kept);
                self.frame.held.pop();
            }
        }
        self.mov_reg(R1, R0);
        let flags = *self.rng.pick(&[0, 0, 1, 2]);
        self.mov(R2, flags);
        let helper = if self.rng.chance(75) { "bpf_ringbuf_submit" } else { "bpf_ringbuf_discard" };
        self.call(helper);
        self.land(full);
        self.frame.known.meet(before);
        self.clobber();
        self.fresh(R0);
    }
}
