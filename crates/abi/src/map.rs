//! Map types (`enum bpf_map_type`), their creation flags and update flags.

mod kernel;
mod objects;

pub use kernel::KERNEL_MAP_TYPES;
use objects::{DEVICES, LOCAL_STORAGE_MAX, SOCKETS, STORAGE};

/// A map type; an open number, since kernels add to it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct MapType(pub u32);

macro_rules! map_types {
    ($($num:literal $id:ident $name:literal),* $(,)?) => {
        impl MapType {
            $(#[doc = concat!("`", $name, "`")] pub const $id: Self = Self($num);)*

            /// bpftool's name, as `percpu_array`; `None` for numbers that 6.18 does not know.
            pub fn name(self) -> Option<&'static str> {
                match self.0 { $($num => Some($name),)* _ => None }
            }

            /// The type with that name.
            pub fn by_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self($num)),)* _ => None }
            }
        }
    };
}

// Each row becomes a constant and an arm of `name` and of `by_name`.
map_types! {
    0 UNSPEC "unspec",
    1 HASH "hash",
    2 ARRAY "array",
    3 PROG_ARRAY "prog_array",
    4 PERF_EVENT_ARRAY "perf_event_array",
    5 PERCPU_HASH "percpu_hash",
    6 PERCPU_ARRAY "percpu_array",
    7 STACK_TRACE "stack_trace",
    8 CGROUP_ARRAY "cgroup_array",
    9 LRU_HASH "lru_hash",
    10 LRU_PERCPU_HASH "lru_percpu_hash",
    11 LPM_TRIE "lpm_trie",
    12 ARRAY_OF_MAPS "array_of_maps",
    13 HASH_OF_MAPS "hash_of_maps",
    14 DEVMAP "devmap",
    15 SOCKMAP "sockmap",
    16 CPUMAP "cpumap",
    17 XSKMAP "xskmap",
    18 SOCKHASH "sockhash",
    19 CGROUP_STORAGE "cgroup_storage",
    20 REUSEPORT_SOCKARRAY "reuseport_sockarray",
    21 PERCPU_CGROUP_STORAGE "percpu_cgroup_storage",
    22 QUEUE "queue",
    23 STACK "stack",
    24 SK_STORAGE "sk_storage",
    25 DEVMAP_HASH "devmap_hash",
    26 STRUCT_OPS "struct_ops",
    27 RINGBUF "ringbuf",
    28 INODE_STORAGE "inode_storage",
    29 TASK_STORAGE "task_storage",
    30 BLOOM_FILTER "bloom_filter",
    31 USER_RINGBUF "user_ringbuf",
    32 CGRP_STORAGE "cgrp_storage",
    33 ARENA "arena",
    34 INSN_ARRAY "insn_array",
}

impl MapType {
    /// Whether its elements are maps.
    pub const fn holds_maps(self) -> bool {
        matches!(self, Self::ARRAY_OF_MAPS | Self::HASH_OF_MAPS)
    }

    /// Whether its values are the kernel's sockets: programs get those themselves, and put them in.
    pub const fn holds_sockets(self) -> bool {
        matches!(self, Self::SOCKMAP | Self::SOCKHASH)
    }

    /// Whether it keeps a value with each task, socket, file or control group.
    pub const fn is_local_storage(self) -> bool {
        matches!(self, Self::TASK_STORAGE | Self::SK_STORAGE | Self::INODE_STORAGE | Self::CGRP_STORAGE)
    }

    /// Whether it keeps a value with each control group that a program is attached to (`bpf_map_is_cgroup_storage`).
    pub const fn is_cgroup_storage(self) -> bool {
        matches!(self, Self::CGROUP_STORAGE | Self::PERCPU_CGROUP_STORAGE)
    }

    /// Flags that its maps have, whether they were asked for or not.
    pub const fn implied_flags(self) -> u32 {
        match self {
            // A value is the kernel's own number of a device (`dev_map_alloc`).
            Self::DEVMAP | Self::DEVMAP_HASH => MapFlags::RDONLY_PROG,
            _ => 0,
        }
    }

    /// Whether sleepable programs may use it (`check_map_prog_compatibility`).
    pub const fn sleepable(self) -> bool {
        matches!(
            self,
            Self::HASH
                | Self::LRU_HASH
                | Self::ARRAY
                | Self::PERCPU_HASH
                | Self::PERCPU_ARRAY
                | Self::LRU_PERCPU_HASH
                | Self::ARRAY_OF_MAPS
                | Self::HASH_OF_MAPS
                | Self::RINGBUF
                | Self::USER_RINGBUF
                | Self::INODE_STORAGE
                | Self::SK_STORAGE
                | Self::TASK_STORAGE
                | Self::CGRP_STORAGE
                | Self::QUEUE
                | Self::STACK
                | Self::ARENA
                | Self::INSN_ARRAY
        )
    }
}

/// Creation flags (`BPF_F_*` of `BPF_MAP_CREATE`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct MapFlags(pub u32);

impl MapFlags {
    /// Elements are allocated when they are inserted.
    pub const NO_PREALLOC: u32 = 1 << 0;
    /// LRU lists per CPU.
    pub const NO_COMMON_LRU: u32 = 1 << 1;
    /// `numa_node` counts.
    pub const NUMA_NODE: u32 = 1 << 2;
    /// User space may only read.
    pub const RDONLY: u32 = 1 << 3;
    /// User space may only write.
    pub const WRONLY: u32 = 1 << 4;
    /// Store build ids instead of addresses.
    pub const STACK_BUILD_ID: u32 = 1 << 5;
    /// Hash seed 0.
    pub const ZERO_SEED: u32 = 1 << 6;
    /// Programs may only read.
    pub const RDONLY_PROG: u32 = 1 << 7;
    /// Programs may only write.
    pub const WRONLY_PROG: u32 = 1 << 8;
    /// Cloned to child sockets.
    pub const CLONE: u32 = 1 << 9;
    /// User space may map the values.
    pub const MMAPABLE: u32 = 1 << 10;
    /// Perf event arrays keep their events.
    pub const PRESERVE_ELEMS: u32 = 1 << 11;
    /// Inner maps may differ in size.
    pub const INNER_MAP: u32 = 1 << 12;
    /// A `struct_ops` map is attached by links.
    pub const LINK: u32 = 1 << 13;
    /// User space that touches a page that an arena does not have gets `SIGSEGV`.
    pub const SEGV_ON_FAULT: u32 = 1 << 17;
    /// Addresses in an arena are not turned into user space's.
    pub const NO_USER_CONV: u32 = 1 << 18;

    /// Whether all bits of `flag` are set.
    pub const fn has(self, flag: u32) -> bool {
        self.0 & flag == flag
    }
}

/// Flags of update and lookup operations.
pub struct UpdateFlags;

impl UpdateFlags {
    /// Create or replace.
    pub const ANY: u64 = 0;
    /// Create only (`EEXIST`).
    pub const NOEXIST: u64 = 1;
    /// Replace only (`ENOENT`).
    pub const EXIST: u64 = 2;
    /// Under the value's spin lock.
    pub const LOCK: u64 = 4;
}

/// A rule for a key or value size or for `max_entries`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// Must be 0.
    Zero,
    /// Any number from the first to the second, inclusive.
    Between(u32, u32),
    /// One of the two.
    Either(u32, u32),
    /// A power of two that is a multiple of the page size.
    PagePow2,
}

impl Rule {
    /// Whether `n` obeys the rule on a machine with 4096-byte pages.
    pub const fn allows(self, n: u32) -> bool {
        match self {
            Self::Zero => n == 0,
            Self::Between(lo, hi) => n >= lo && n <= hi,
            Self::Either(a, b) => n == a || n == b,
            Self::PagePow2 => n != 0 && n.is_power_of_two() && n.is_multiple_of(4096),
        }
    }
}

/// The shape of a map type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapTypeRow {
    /// The type.
    pub id: MapType,
    /// Rule for `key_size`, bytes.
    pub key: Rule,
    /// Rule for `value_size`, bytes.
    pub value: Rule,
    /// Rule for `max_entries`.
    pub entries: Rule,
    /// Creation flags that the kernel takes.
    pub flags: u32,
    /// Each CPU has its own value.
    pub per_cpu: bool,
    /// Programs get pointers to values by lookup.
    pub value_pointers: bool,
    /// Helpers that take the map as their map argument, by id.
    pub helpers: &'static [u32],
}

/// `KMALLOC_MAX_SIZE` on x86-64: 4 MiB.
const KMALLOC_MAX: u32 = 4 << 20;
/// `LPM_VAL_SIZE_MAX`: the largest data and `struct lpm_trie_node` beside it.
const LPM_VALUE_MAX: u32 = KMALLOC_MAX - 256 - 24;
const HASH_FLAGS: u32 = MapFlags::NO_PREALLOC
    | MapFlags::NUMA_NODE
    | MapFlags::RDONLY
    | MapFlags::WRONLY
    | MapFlags::RDONLY_PROG
    | MapFlags::WRONLY_PROG
    | MapFlags::ZERO_SEED;
const LRU_FLAGS: u32 = HASH_FLAGS & !MapFlags::NO_PREALLOC | MapFlags::NO_COMMON_LRU;
const ARRAY_FLAGS: u32 = MapFlags::NUMA_NODE
    | MapFlags::RDONLY
    | MapFlags::WRONLY
    | MapFlags::RDONLY_PROG
    | MapFlags::WRONLY_PROG
    | MapFlags::MMAPABLE
    | MapFlags::INNER_MAP;
const LOOKUP_UPDATE_DELETE: &[u32] = &[1, 2, 3, 164];
const LOOKUP_PERCPU: &[u32] = &[1, 2, 3, 164, 195];

/// Queues, stacks and bloom filters.
const NO_KEYS: MapTypeRow = MapTypeRow {
    id: MapType::QUEUE,
    key: Rule::Zero,
    value: Rule::Between(1, KMALLOC_MAX),
    entries: Rule::Between(1, u32::MAX),
    flags: MapFlags::NUMA_NODE
        | MapFlags::RDONLY
        | MapFlags::WRONLY
        | MapFlags::RDONLY_PROG
        | MapFlags::WRONLY_PROG,
    per_cpu: false,
    value_pointers: false,
    helpers: &[87, 88, 89],
};

/// The rows of all kinds that the user backend has.
///
/// `flags` says which flags exist for the kind, not which combinations are legal: `maps` refuses the
/// others as the kernel does.
pub static MAP_TYPES: &[MapTypeRow] = &[
    MapTypeRow {
        id: MapType::HASH,
        key: Rule::Between(1, KMALLOC_MAX),
        value: Rule::Between(1, KMALLOC_MAX),
        entries: Rule::Between(1, u32::MAX),
        flags: HASH_FLAGS,
        per_cpu: false,
        value_pointers: true,
        helpers: LOOKUP_UPDATE_DELETE,
    },
    MapTypeRow {
        id: MapType::ARRAY,
        key: Rule::Between(4, 4),
        value: Rule::Between(1, i32::MAX as u32),
        entries: Rule::Between(1, u32::MAX),
        flags: ARRAY_FLAGS,
        per_cpu: false,
        value_pointers: true,
        helpers: LOOKUP_UPDATE_DELETE,
    },
    MapTypeRow {
        id: MapType::PROG_ARRAY,
        key: Rule::Between(4, 4),
        value: Rule::Between(4, 4),
        entries: Rule::Between(1, u32::MAX),
        flags: MapFlags::NUMA_NODE | MapFlags::RDONLY | MapFlags::WRONLY,
        per_cpu: false,
        value_pointers: false,
        helpers: &[12],
    },
    MapTypeRow {
        id: MapType::ARRAY_OF_MAPS,
        key: Rule::Between(4, 4),
        value: Rule::Between(4, 4),
        entries: Rule::Between(1, u32::MAX),
        flags: MapFlags::NUMA_NODE | MapFlags::RDONLY | MapFlags::WRONLY,
        per_cpu: false,
        value_pointers: false,
        helpers: &[1],
    },
    MapTypeRow {
        id: MapType::HASH_OF_MAPS,
        key: Rule::Between(1, KMALLOC_MAX),
        value: Rule::Between(4, 4),
        entries: Rule::Between(1, u32::MAX),
        flags: HASH_FLAGS,
        per_cpu: false,
        value_pointers: false,
        helpers: &[1],
    },
    MapTypeRow {
        id: MapType::PERF_EVENT_ARRAY,
        key: Rule::Between(4, 4),
        value: Rule::Between(4, 4),
        entries: Rule::Between(1, u32::MAX),
        flags: MapFlags::NUMA_NODE | MapFlags::RDONLY | MapFlags::WRONLY | MapFlags::PRESERVE_ELEMS,
        per_cpu: false,
        value_pointers: false,
        helpers: &[22, 25, 55, 111, 121],
    },
    MapTypeRow {
        id: MapType::PERCPU_HASH,
        key: Rule::Between(1, KMALLOC_MAX),
        value: Rule::Between(1, 32768),
        entries: Rule::Between(1, u32::MAX),
        flags: HASH_FLAGS & !MapFlags::NUMA_NODE,
        per_cpu: true,
        value_pointers: true,
        helpers: LOOKUP_PERCPU,
    },
    MapTypeRow {
        id: MapType::PERCPU_ARRAY,
        key: Rule::Between(4, 4),
        value: Rule::Between(1, 32768),
        entries: Rule::Between(1, u32::MAX),
        flags: ARRAY_FLAGS & !(MapFlags::NUMA_NODE | MapFlags::MMAPABLE | MapFlags::INNER_MAP),
        per_cpu: true,
        value_pointers: true,
        helpers: LOOKUP_PERCPU,
    },
    MapTypeRow {
        id: MapType::LRU_HASH,
        key: Rule::Between(1, KMALLOC_MAX),
        value: Rule::Between(1, KMALLOC_MAX),
        entries: Rule::Between(1, u32::MAX),
        flags: LRU_FLAGS,
        per_cpu: false,
        value_pointers: true,
        helpers: LOOKUP_UPDATE_DELETE,
    },
    MapTypeRow {
        id: MapType::LRU_PERCPU_HASH,
        key: Rule::Between(1, KMALLOC_MAX),
        value: Rule::Between(1, 32768),
        entries: Rule::Between(1, u32::MAX),
        flags: LRU_FLAGS & !MapFlags::NUMA_NODE,
        per_cpu: true,
        value_pointers: true,
        helpers: LOOKUP_PERCPU,
    },
    MapTypeRow {
        id: MapType::LPM_TRIE,
        key: Rule::Between(5, 260),
        value: Rule::Between(1, LPM_VALUE_MAX),
        entries: Rule::Between(1, u32::MAX),
        flags: HASH_FLAGS & !MapFlags::ZERO_SEED,
        per_cpu: false,
        value_pointers: true,
        helpers: LOOKUP_UPDATE_DELETE,
    },
    MapTypeRow {
        id: MapType::STACK_TRACE,
        key: Rule::Between(4, 4),
        value: Rule::Between(8, 127 * 32),
        entries: Rule::Between(1, 1 << 31),
        flags: MapFlags::NUMA_NODE | MapFlags::RDONLY | MapFlags::WRONLY | MapFlags::STACK_BUILD_ID,
        per_cpu: false,
        value_pointers: false,
        helpers: &[27],
    },
    MapTypeRow {
        id: MapType::BLOOM_FILTER,
        flags: NO_KEYS.flags | MapFlags::ZERO_SEED,
        helpers: &[87, 89],
        ..NO_KEYS
    },
    MapTypeRow { id: MapType::QUEUE, ..NO_KEYS },
    MapTypeRow { id: MapType::STACK, ..NO_KEYS },
    MapTypeRow {
        id: MapType::RINGBUF,
        key: Rule::Zero,
        value: Rule::Zero,
        entries: Rule::PagePow2,
        flags: MapFlags::NUMA_NODE,
        per_cpu: false,
        value_pointers: false,
        helpers: &[130, 131, 132, 133, 134, 198, 199, 200],
    },
    MapTypeRow {
        id: MapType::USER_RINGBUF,
        key: Rule::Zero,
        value: Rule::Zero,
        entries: Rule::PagePow2,
        flags: MapFlags::NUMA_NODE,
        per_cpu: false,
        value_pointers: false,
        helpers: &[209],
    },
    MapTypeRow { id: MapType::SK_STORAGE, ..STORAGE },
    MapTypeRow { id: MapType::INODE_STORAGE, helpers: &[145, 146], ..STORAGE },
    MapTypeRow { id: MapType::TASK_STORAGE, helpers: &[156, 157], ..STORAGE },
    MapTypeRow { id: MapType::CGRP_STORAGE, helpers: &[210, 211], ..STORAGE },
    MapTypeRow { id: MapType::SOCKMAP, ..SOCKETS },
    MapTypeRow {
        id: MapType::SOCKHASH,
        // `MAX_BPF_STACK`.
        key: Rule::Between(1, 512),
        helpers: &[1, 2, 3, 70, 71, 72, 82],
        ..SOCKETS
    },
    MapTypeRow { id: MapType::DEVMAP, ..DEVICES },
    MapTypeRow { id: MapType::DEVMAP_HASH, entries: Rule::Between(1, 1 << 31), ..DEVICES },
    MapTypeRow {
        id: MapType::CPUMAP,
        flags: MapFlags::NUMA_NODE,
        value_pointers: false,
        helpers: &[51],
        ..DEVICES
    },
    // What the kernel calls. Programs are its members; none looks into it (`bpf_struct_ops_map_alloc_check`,
    // kernel/bpf/bpf_struct_ops.c). Before the structure stand 8 bytes of state.
    MapTypeRow {
        id: MapType::STRUCT_OPS,
        key: Rule::Between(4, 4),
        value: Rule::Between(8, u32::MAX),
        entries: Rule::Between(1, 1),
        flags: MapFlags::LINK,
        per_cpu: false,
        value_pointers: false,
        helpers: &[],
    },
    // Pages that programs and user space share, by addresses of 32 bits (`arena_map_alloc`, kernel/bpf/arena.c).
    MapTypeRow {
        id: MapType::ARENA,
        key: Rule::Zero,
        value: Rule::Zero,
        entries: Rule::Between(1, 1 << 20),
        flags: MapFlags::MMAPABLE | MapFlags::SEGV_ON_FAULT | MapFlags::NO_USER_CONV,
        per_cpu: false,
        value_pointers: false,
        helpers: &[],
    },
];
