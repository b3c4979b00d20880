//! Maps as specifications.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use skep_abi::{MapFlags, MapType};
use skep_btf::Btf;

/// Whether a map is found again by name (libbpf's `pinning` attribute).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Pinning {
    /// Not pinned.
    #[default]
    None,
    /// Pinned under its name.
    ByName,
}

/// A map as a file or a caller describes it. Nothing here has been checked against a backend's limits.
#[derive(Clone, Debug, Default)]
pub struct MapDef {
    /// Name; the kernel keeps its first 15 bytes.
    pub name: String,
    /// Type.
    pub kind: MapType,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value.
    pub value_size: u32,
    /// Elements; bytes for ring buffers, pages for arenas. 0 in a perf event array is one for each CPU.
    pub max_entries: u32,
    /// Creation flags.
    pub flags: MapFlags,
    /// NUMA node, if the flags say so.
    pub numa_node: u32,
    /// Type-dependent number (`map_extra`).
    pub map_extra: u64,
    /// Pinning.
    pub pinning: Pinning,
    /// Types that `key_btf_id` and `value_btf_id` are numbers of.
    pub btf: Option<Arc<Btf>>,
    /// BTF type of the key; 0 when unknown.
    pub key_btf_id: u32,
    /// BTF type of the value; 0 when unknown.
    pub value_btf_id: u32,
    /// Contents of element 0, for global data; first bytes of an arena; the kernel's value of a `struct_ops` map; all
    /// elements of an `insn_array` (a jump table).
    pub initial: Option<Vec<u8>>,
    /// The contents are frozen before programs load: loads from it fold to constants (`.rodata`).
    pub frozen: bool,
    /// The map that elements of a map-in-map look like.
    pub inner: Option<Box<MapDef>>,
    /// What a `struct_ops` map is for.
    pub struct_ops: Option<Box<StructOps>>,
    /// Not created unless somebody asks for it: its section's name has a `?`.
    pub optional: bool,
}

/// A set of functions that the kernel calls, as a map of type `struct_ops` holds it. Numbers are of the target's types.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StructOps {
    /// Name of the kernel's structure: `tcp_congestion_ops`.
    pub name: String,
    /// The module whose types have it; `None` for the kernel itself.
    pub module: Option<String>,
    /// Its type.
    pub type_id: u32,
    /// `struct bpf_struct_ops_NAME`, which the map's value is.
    pub value_type_id: u32,
    /// The types, where they are the kernel's own and not a module's.
    pub types: Option<Arc<Btf>>,
    /// Attached by a link that can be detached and replaced (`.struct_ops.link`); others by the value's update.
    pub link: bool,
    /// Pointers to functions: byte in the value, and the program that it points to.
    pub functions: Vec<(u32, String)>,
}

impl MapDef {
    /// A map of the given type and geometry, without a name.
    pub fn new(kind: MapType, key_size: u32, value_size: u32, max_entries: u32) -> Self {
        Self { kind, key_size, value_size, max_entries, ..Self::default() }
    }

    /// Whether it is a ring buffer, in either direction.
    pub fn is_ring(&self) -> bool {
        matches!(self.kind, MapType::RINGBUF | MapType::USER_RINGBUF)
    }

    /// Elements on a machine with `cpus` CPUs: a perf event array that says 0 has one for each.
    pub fn entries_on(&self, cpus: u32) -> u32 {
        match (self.kind, self.max_entries) {
            (MapType::PERF_EVENT_ARRAY, 0) => cpus,
            (_, n) => n,
        }
    }

    /// Says how many elements it has. The bytes of a ring buffer become the next power of two of pages (libbpf's
    /// `adjust_ringbuf_sz`); 0, and what cannot be rounded, stay for the backend to refuse.
    pub fn set_max_entries(&mut self, max_entries: u32, page: u32) {
        self.max_entries = if self.is_ring() { ring_size(max_entries, page) } else { max_entries };
    }

    /// The same under a name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }
}

fn ring_size(bytes: u32, page: u32) -> u32 {
    if bytes == 0 || page == 0 || bytes.is_multiple_of(page) && (bytes / page).is_power_of_two() {
        return bytes;
    }
    bytes.div_ceil(page).checked_next_power_of_two().and_then(|n| n.checked_mul(page)).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_are_rounded_up_to_pages() {
        let size = |n, page| {
            let mut def = MapDef { kind: MapType::USER_RINGBUF, ..MapDef::default() };
            def.set_max_entries(n, page);
            def.max_entries
        };
        for (n, want) in [(0, 0), (1, 4096), (4096, 4096), (4097, 8192), (12288, 16384), (1 << 31, 1 << 31)] {
            assert_eq!(size(n, 4096), want, "{n}");
        }
        assert_eq!(size(4096, 65536), 65536);
        assert_eq!(size((1 << 31) + 1, 4096), (1 << 31) + 1, "no power of two above fits");
        let mut hash = MapDef { kind: MapType::HASH, ..MapDef::default() };
        hash.set_max_entries(5, 4096);
        assert_eq!(hash.max_entries, 5);
    }
}
