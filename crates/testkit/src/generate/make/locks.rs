//! Values with a `bpf_spin_lock`, and what a program does while it holds one.
//!
//! ```text
//! struct value { u64 first; struct bpf_spin_lock lock; u32 unused; u64 second; };
//! ```

use std::sync::{Arc, OnceLock};

use skep_abi::{MapFlags, MapType, ProgramType};
use skep_btf::{Btf, Builder, IntEncoding, TypeId};
use skep_isa::Reg;
use skep_spec::MapDef;

use super::maps::Chosen;
use super::{Gen, R0, R1, VALUE_BYTES};

/// Offsets of the lock, and of the 8 bytes before and behind it that programs use.
const LOCK: i32 = 8;
const PARTS: [i32; 2] = [0, 16];
/// Flags of updates: `BPF_F_LOCK` is 4, 8 is none of a program's.
const FLAGS: [i32; 9] = [0, 0, 1, 2, 4, 4, 5, 6, 8];

struct Types {
    btf: Arc<Btf>,
    key: TypeId,
    value: TypeId,
}

/// Types of the maps, by which Linux finds the lock.
fn types() -> &'static Types {
    static TYPES: OnceLock<Types> = OnceLock::new();
    TYPES.get_or_init(|| {
        let mut b = Builder::new();
        let int = b.int("unsigned int", 4, IntEncoding::Unsigned);
        let long = b.int("unsigned long", 8, IntEncoding::Unsigned);
        let lock = b.structure("bpf_spin_lock", 4, &[("val", int, 0)]);
        let members =
            [("first", long, 0), ("lock", lock, 8 * LOCK as u32), ("unused", int, 96), ("second", long, 128)];
        let value = b.structure("value", VALUE_BYTES as u32, &members);
        let btf = b.finish().expect("these types are few and have names");
        Types { btf: Arc::new(btf), key: int, value }
    })
}

impl Gen {
    /// Where Linux lets programs take locks (`check_map_prog_compatibility`).
    pub(super) fn may_lock(&self) -> bool {
        !matches!(self.kind.row.id, ProgramType::SOCKET_FILTER | ProgramType::RAW_TRACEPOINT)
    }

    fn locked_map(&mut self) -> Chosen {
        let (kind, name) =
            *self.rng.pick(&[(MapType::ARRAY, "locked_array"), (MapType::HASH, "locked_hash")]);
        let index = self.maps.iter().position(|m| m.name == name).unwrap_or_else(|| {
            let mut def = MapDef::new(kind, 4, VALUE_BYTES as u32, 1 + self.rng.below(4) as u32).named(name);
            if kind == MapType::HASH {
                def.flags.0 = *self.rng.pick(&[0, MapFlags::NO_PREALLOC]);
            }
            let types = types();
            def.btf = Some(Arc::clone(&types.btf));
            (def.key_btf_id, def.value_btf_id) = (types.key.0, types.value.0);
            self.maps.push(Arc::new(def));
            self.maps.len() - 1
        });
        Chosen { index: index as i32, def: Arc::clone(&self.maps[index]) }
    }

    /// Looks up a value, perhaps just written, and uses it with its lock and without.
    pub(super) fn locked_value(&mut self) {
        let Some(kept) = self.kept_target() else { return self.arithmetic() };
        let map = self.locked_map();
        self.key(&map.def);
        if self.rng.chance(60) {
            let flags = *self.rng.pick(&FLAGS);
            self.update(&map, flags);
        }
        self.map_and_key(&map);
        self.call("bpf_map_lookup_elem");
        self.set_known(R0, false);
        let missing = self.unless_null(R0);
        let before = self.known();
        self.mov_reg(kept, R0);
        self.set_known(kept, false);
        self.frame.held.push(kept.0);
        for _ in 0..1 + self.rng.below(2) {
            self.lock_call(kept, "bpf_spin_lock");
            self.use_part(kept);
            self.lock_call(kept, "bpf_spin_unlock");
            if self.rng.chance(50) {
                self.use_part(kept);
            }
        }
        self.frame.held.pop();
        self.set_known(kept, false);
        self.land(missing);
        self.frame.known.meet(before);
        self.set_known(R0, false);
        self.fresh(kept);
        self.fresh(R0);
    }

    fn lock_call(&mut self, value: Reg, helper: &str) {
        self.mov_reg(R1, value);
        self.add(R1, LOCK);
        self.call(helper);
        // It gives nothing.
        self.set_known(R0, false);
    }

    fn use_part(&mut self, value: Reg) {
        let part = *self.rng.pick(&PARTS);
        self.mov_reg(R0, value);
        self.add(R0, part);
        self.use_memory(8);
    }
}
