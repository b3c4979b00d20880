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
    /// Elements; bytes for ring buffers.
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
    /// Contents of element 0, for global data.
    pub initial: Option<Vec<u8>>,
    /// The contents are frozen before programs load: loads from it fold to constants (`.rodata`).
    pub frozen: bool,
    /// The map that elements of a map-in-map look like.
    pub inner: Option<Box<MapDef>>,
}

impl MapDef {
    /// A map of the given type and geometry, without a name.
    pub fn new(kind: MapType, key_size: u32, value_size: u32, max_entries: u32) -> Self {
        Self { kind, key_size, value_size, max_entries, ..Self::default() }
    }

    /// The same under a name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }
}
