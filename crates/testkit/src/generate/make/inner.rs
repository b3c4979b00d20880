//! Maps of maps: a map is looked up in one, and an element in that.
//!
//! Only one element of the map of maps leads anywhere, so that programs see both.

use std::sync::Arc;

use skep_abi::MapType;
use skep_isa::{Operand, Size};
use skep_spec::MapDef;

use super::{FP, Gen, KEY, R0, R1, R2, R3, R4, VALUE, VALUE_BYTES};
use crate::oracle::Inside;

/// The map that is inside, by its name among the program's.
const INSIDE: &str = "inside";

impl Gen {
    /// Indices of a map of maps and of what is in it.
    fn map_of_maps(&mut self) -> (i32, i32) {
        if let Some(outer) = self.maps.iter().position(|m| m.inner.is_some()) {
            return (outer as i32, outer as i32 - 1);
        }
        let kind = *self.rng.pick(&[MapType::ARRAY, MapType::HASH]);
        let inside = MapDef::new(kind, 4, VALUE_BYTES as u32, 1 + self.rng.below(4) as u32);
        let outer = *self.rng.pick(&[MapType::ARRAY_OF_MAPS, MapType::HASH_OF_MAPS]);
        let outer = MapDef { inner: Some(Box::new(inside.clone())), ..MapDef::new(outer, 4, 4, 3) };
        self.maps.push(Arc::new(inside.named(INSIDE)));
        self.maps.push(Arc::new(outer.named("maps")));
        (self.maps.len() as i32 - 1, self.maps.len() as i32 - 2)
    }

    /// Looks for a map, then looks up, changes or deletes an element of it; sometimes of the same map by its own name.
    pub(super) fn map_in_map(&mut self) {
        let (outer, inside) = self.map_of_maps();
        let (slot, key) = (*self.rng.pick(&[0, 0, 0, 0, 1, 2, 3]), self.rng.below(5) as i32);
        self.store(Size::W, FP, KEY, Operand::Imm(slot));
        self.store(Size::W, FP, KEY + 8, Operand::Imm(key));
        self.on_stack(VALUE, VALUE_BYTES);
        self.map(R1, outer);
        self.stack_address(R2, KEY);
        self.call("bpf_map_lookup_elem");
        self.set_known(R0, false);
        let missing = self.unless_null(R0);
        let before = self.known();
        if self.rng.chance(15) {
            self.map(R1, inside);
        } else {
            self.mov_reg(R1, R0);
        }
        self.stack_address(R2, KEY + 8);
        match self.rng.below(5) {
            0 | 1 => {
                self.stack_address(R3, VALUE);
                let flags = *self.rng.pick(&[0, 0, 1, 2]);
                self.mov(R4, flags);
                self.call("bpf_map_update_elem");
            }
            2 => self.call("bpf_map_delete_elem"),
            _ => {
                self.call("bpf_map_lookup_elem");
                self.set_known(R0, false);
                let missing = self.unless_null(R0);
                let before = self.known();
                self.use_memory(VALUE_BYTES as u32);
                self.land(missing);
                self.frame.known.meet(before);
            }
        }
        self.land(missing);
        self.frame.known.meet(before);
        self.set_known(R0, false);
        self.fresh(R0);
    }
}

/// What is in a program's map of maps before its first run.
pub(super) fn insides(maps: &[Arc<MapDef>]) -> Vec<Inside> {
    let outer = maps.iter().position(|m| m.inner.is_some());
    let map = maps.iter().position(|m| m.name == INSIDE);
    let inside = outer.zip(map).map(|(outer, map)| Inside { outer, key: vec![0; 4], map });
    inside.into_iter().collect()
}
