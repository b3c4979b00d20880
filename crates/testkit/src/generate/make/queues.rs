//! Maps without keys: queues and stacks.

use std::sync::Arc;

use skep_abi::MapType;
use skep_isa::Size;
use skep_spec::MapDef;

use super::{FP, Gen, R1, R2, R3, VALUE, VALUE_BYTES};

impl Gen {
    pub(super) fn queue(&mut self) {
        let kind = *self.rng.pick(&[MapType::QUEUE, MapType::STACK]);
        let index = self.maps.iter().position(|m| m.kind == kind).unwrap_or_else(|| {
            let (value, entries) = (*self.rng.pick(&[8, 16, VALUE_BYTES as u32]), *self.rng.pick(&[1, 3]));
            let name = kind.name().unwrap_or("queue");
            self.maps.push(Arc::new(MapDef::new(kind, 0, value, entries).named(name)));
            self.maps.len() - 1
        });
        self.on_stack(VALUE, VALUE_BYTES);
        self.map(R1, index as i32);
        self.stack_address(R2, VALUE);
        match self.rng.below(4) {
            0 | 1 => {
                let flags = *self.rng.pick(&[0, 0, 2, 2, 1]);
                self.mov(R3, flags);
                self.call("bpf_map_push_elem");
            }
            2 => self.call("bpf_map_pop_elem"),
            _ => self.call("bpf_map_peek_elem"),
        }
        // What came out, or what was there.
        let dst = self.kept_target().unwrap_or(R1);
        self.plain_load(Size::DW, dst, FP, VALUE);
        self.set_known(dst, true);
    }
}
