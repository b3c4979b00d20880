//! Maps of keys and values.
//!
//! A program may go on holding the pointer to an element that is deleted or replaced meanwhile. What it reads and writes
//! there is compared, since Linux says which element's memory it is: that of a trie waits for the end of the run; that
//! of a hash goes to the next insert on this CPU (test runs stay on one), or, replaced in a preallocated hash, to
//! the next replacement. Only per-CPU hashes with `BPF_F_NO_PREALLOC` are left out (`outlives`): their values come from a
//! cache of `bpf_mem_alloc` that keeps three and gives others to RCU, the last freed first, apart from the elements.

use std::sync::Arc;

use skep_abi::{MapFlags, MapType};
use skep_isa::{Imm64, JumpOp, Op, Operand, Reg, Size};
use skep_spec::MapDef;

use super::{FP, Gen, KEY, KEY_BYTES, OUT, R0, R1, R2, R3, R4, VALUE, VALUE_BYTES};

/// Elements that keys mostly name: few, so that they meet again.
const FEW: usize = 6;
/// Maps of a program beside `out`, the program array and the ring buffer.
const MOST: usize = 5;

/// A kind of map as the generator makes it.
struct Shape {
    kind: MapType,
    weight: usize,
    keys: &'static [u32],
    entries: &'static [u32],
    /// One of these.
    flags: &'static [u32],
    /// Programs that sleep may use it.
    sleepable: bool,
}

const NO_PREALLOC: u32 = MapFlags::NO_PREALLOC;

/// LRU maps are never full: which element goes depends on what other CPUs hold.
const SHAPES: &[Shape] = &[
    Shape {
        kind: MapType::ARRAY,
        weight: 3,
        keys: &[4],
        entries: &[1, 4, 5],
        flags: &[0, 0, MapFlags::MMAPABLE],
        sleepable: true,
    },
    Shape {
        kind: MapType::HASH,
        weight: 3,
        keys: &[4, 8, 16],
        entries: &[2, 4, 5],
        flags: &[0, NO_PREALLOC],
        sleepable: true,
    },
    Shape {
        kind: MapType::PERCPU_ARRAY,
        weight: 2,
        keys: &[4],
        entries: &[1, 4],
        flags: &[0],
        sleepable: true,
    },
    Shape {
        kind: MapType::PERCPU_HASH,
        weight: 2,
        keys: &[4, 8],
        entries: &[2, 4],
        flags: &[0, NO_PREALLOC],
        sleepable: true,
    },
    Shape {
        kind: MapType::LRU_HASH,
        weight: 1,
        keys: &[4, 8],
        entries: &[512],
        flags: &[0],
        sleepable: true,
    },
    Shape {
        kind: MapType::LRU_PERCPU_HASH,
        weight: 1,
        keys: &[8],
        entries: &[512],
        flags: &[0],
        sleepable: true,
    },
    Shape {
        kind: MapType::LPM_TRIE,
        weight: 2,
        keys: &[8],
        entries: &[3, 8],
        flags: &[NO_PREALLOC],
        sleepable: false,
    },
];

/// The map of results: an element for each program.
pub(super) fn out(programs: u32) -> MapDef {
    MapDef::new(MapType::ARRAY, 4, OUT as u32, programs).named("out")
}

/// Whether it is known what the pointer to an element leads to once the element is gone.
fn outlives(def: &MapDef) -> bool {
    def.kind != MapType::PERCPU_HASH || !def.flags.has(MapFlags::NO_PREALLOC)
}

/// A map that was chosen, and its index.
pub(super) struct Chosen {
    pub index: i32,
    pub def: Arc<MapDef>,
}

impl Gen {
    fn keyed_maps(&self) -> Vec<usize> {
        let keyed = |m: &MapDef| SHAPES.iter().any(|s| s.kind == m.kind) && m.name.starts_with("map");
        (0..self.maps.len()).filter(|&i| keyed(&self.maps[i])).collect()
    }

    /// One of the maps with keys, perhaps a new one.
    fn keyed_map(&mut self) -> Chosen {
        self.keyed_map_of(&|_| true)
    }

    /// The same of some kinds only.
    pub(super) fn keyed_map_of(&mut self, wanted: &dyn Fn(MapType) -> bool) -> Chosen {
        let mut there = self.keyed_maps();
        there.retain(|&i| wanted(self.maps[i].kind));
        let index = if there.is_empty() || there.len() < MOST && self.rng.chance(40) {
            let usable = |s: &&Shape| wanted(s.kind) && (s.sleepable || !self.kind.sleeps());
            let shapes: Vec<&Shape> = SHAPES.iter().filter(usable).collect();
            let shape = *self.rng.weighted(&shapes, |s| s.weight);
            let value = *self.rng.pick(&[8, 16, VALUE_BYTES as u32]);
            let (key, entries) = (*self.rng.pick(shape.keys), *self.rng.pick(shape.entries));
            let mut def = MapDef::new(shape.kind, key, value, entries);
            def.flags.0 = *self.rng.pick(shape.flags);
            self.maps.push(Arc::new(def.named(&format!("map{}", self.maps.len()))));
            self.maps.len() - 1
        } else {
            *self.rng.pick(&there)
        };
        Chosen { index: index as i32, def: Arc::clone(&self.maps[index]) }
    }

    /// Writes a key for the map to the stack.
    pub(super) fn key(&mut self, def: &MapDef) {
        let few = self.rng.chance(85);
        match def.kind {
            MapType::LPM_TRIE => {
                let bits = *self.rng.pick(&[0, 1, 8, 16, 24, 31, 32, 32, 32, 33]);
                self.store(Size::W, FP, KEY, Operand::Imm(bits));
                let prefix = if few { 0x0a0a * self.rng.below(FEW) as i32 } else { self.rng.immediate() };
                self.store(Size::W, FP, KEY + 4, Operand::Imm(prefix));
            }
            _ if few => {
                let key = self.rng.below(FEW) as i32;
                self.store(Size::DW, FP, KEY, Operand::Imm(key));
                if def.key_size > 8 {
                    self.store(Size::DW, FP, KEY + 8, Operand::Imm(key & 1));
                }
            }
            _ => self.on_stack(KEY, KEY_BYTES),
        }
    }

    pub(super) fn map_and_key(&mut self, map: &Chosen) {
        self.map(R1, map.index);
        self.stack_address(R2, KEY);
    }

    /// Updates with the key that is there.
    pub(super) fn update(&mut self, map: &Chosen, flags: i32) {
        self.on_stack(VALUE, VALUE_BYTES);
        self.map_and_key(map);
        self.stack_address(R3, VALUE);
        self.mov(R4, flags);
        self.call("bpf_map_update_elem");
    }

    /// Looks up a value, perhaps just written, and uses it where it is there.
    pub(super) fn map_lookup(&mut self, depth: usize) {
        let map = self.keyed_map();
        self.key(&map.def);
        if self.rng.chance(60) {
            self.update(&map, 0);
        }
        self.map_and_key(&map);
        self.call("bpf_map_lookup_elem");
        self.set_known(R0, false);
        let missing = self.unless_null(R0);
        let before = self.known();
        let kept = self.kept_target().filter(|_| depth < 2 && self.rng.chance(30) && outlives(&map.def));
        match kept {
            Some(kept) => self.keep_pointer(kept, &map.def, depth),
            None => self.use_memory(map.def.value_size),
        }
        self.land(missing);
        self.frame.known.meet(before);
        self.set_known(R0, false);
        if let Some(kept) = kept {
            self.fresh(kept);
        }
        self.fresh(R0);
    }

    /// Goes on where a pointer is not NULL: the jump to land where it is.
    pub(super) fn unless_null(&mut self, r: Reg) -> usize {
        if self.rng.chance(70) {
            return self.jump_if(JumpOp::Eq, r, Operand::Imm(0));
        }
        let there = self.jump_if(JumpOp::Ne, r, Operand::Imm(0));
        let missing = self.goto();
        self.land(there);
        missing
    }

    /// The running CPU's value of a per-CPU map, asked for by the CPU's number; or that of a CPU that there is not.
    pub(super) fn this_cpu_value(&mut self) {
        let per_cpu = [MapType::PERCPU_ARRAY, MapType::PERCPU_HASH, MapType::LRU_PERCPU_HASH];
        let map = self.keyed_map_of(&|kind| per_cpu.contains(&kind));
        self.key(&map.def);
        if self.rng.chance(60) {
            self.update(&map, 0);
        }
        if self.rng.chance(80) {
            self.call("bpf_get_smp_processor_id");
            self.mov_reg(R3, R0);
        } else {
            self.mov(R3, 1 << 20);
        }
        self.set_known(R0, false);
        self.map_and_key(&map);
        self.call("bpf_map_lookup_percpu_elem");
        self.set_known(R0, false);
        let missing = self.unless_null(R0);
        let before = self.known();
        self.use_memory(map.def.value_size);
        self.land(missing);
        self.frame.known.meet(before);
        self.set_known(R0, false);
        self.fresh(R0);
    }

    /// Uses a value, does other things, and uses it again; perhaps the pointer goes over the stack meanwhile.
    fn keep_pointer(&mut self, kept: Reg, def: &MapDef, depth: usize) {
        self.mov_reg(kept, R0);
        self.set_known(kept, false);
        self.frame.held.push(kept.0);
        self.use_memory(def.value_size);
        if self.rng.chance(50) {
            self.store(Size::DW, FP, VALUE, Operand::Reg(kept));
            self.mov(kept, 0);
            self.fresh(R0);
            self.plain_load(Size::DW, kept, FP, VALUE);
        }
        self.blocks(depth + 1);
        self.mov_reg(R0, kept);
        self.use_memory(def.value_size);
        self.frame.held.pop();
        self.set_known(kept, false);
    }

    pub(super) fn map_change(&mut self) {
        let map = self.keyed_map();
        self.key(&map.def);
        if self.rng.chance(70) {
            let flags = *self.rng.pick(&[0, 0, 0, 1, 2, 3]);
            self.update(&map, flags);
        } else {
            self.map_and_key(&map);
            self.call("bpf_map_delete_elem");
        }
    }

    /// The array with one element of `VALUE_BYTES`.
    pub(super) fn plain_value(&mut self) -> i32 {
        let name = "value";
        let index = self.maps.iter().position(|m| m.name == name).unwrap_or_else(|| {
            self.maps.push(Arc::new(MapDef::new(MapType::ARRAY, 4, VALUE_BYTES as u32, 1).named(name)));
            self.maps.len() - 1
        });
        index as i32
    }

    /// The value of an array with one element, by its address.
    pub(super) fn map_value(&mut self) {
        let index = self.plain_value();
        let off = 8 * self.rng.below(VALUE_BYTES as usize / 8) as u32;
        let value = Imm64::MapValueIdx { idx: index, off_bytes: off };
        self.op(Op::LoadImm64 { dst: R0, value });
        self.use_memory(VALUE_BYTES as u32 - off);
    }
}
