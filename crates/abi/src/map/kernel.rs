//! Kinds of maps that only a kernel has, since what they hold is the kernel's: sockets, devices, control groups, tasks.
//! Programs on them are verified, and run in Linux only.

use super::objects::SOCKETS;
use super::{LOCAL_STORAGE_MAX, MapFlags, MapType, MapTypeRow, Rule};

const ACCESS: u32 = MapFlags::NUMA_NODE | MapFlags::RDONLY | MapFlags::WRONLY;
const ACCESS_OF_BOTH: u32 = ACCESS | MapFlags::RDONLY_PROG | MapFlags::WRONLY_PROG;

/// `PCPU_MIN_UNIT_SIZE`.
const PER_CPU_MAX: u32 = 32768;

/// What a program keeps with each control group that it is attached to (`cgroup_storage_map_alloc`,
/// kernel/bpf/local_storage.c). A key is a `struct bpf_cgroup_storage_key`, or its first half.
const CGROUP_STORAGE: MapTypeRow = MapTypeRow {
    id: MapType::CGROUP_STORAGE,
    key: Rule::Either(8, 16),
    value: Rule::Between(1, LOCAL_STORAGE_MAX),
    entries: Rule::Zero,
    flags: ACCESS_OF_BOTH,
    per_cpu: false,
    value_pointers: false,
    helpers: &[81],
};

/// The rows of kinds that only a kernel has, whose programs can be verified.
pub static KERNEL_MAP_TYPES: &[MapTypeRow] = &[
    MapTypeRow { id: MapType::CGROUP_STORAGE, ..CGROUP_STORAGE },
    MapTypeRow {
        id: MapType::PERCPU_CGROUP_STORAGE,
        value: Rule::Between(1, PER_CPU_MAX),
        per_cpu: true,
        ..CGROUP_STORAGE
    },
    MapTypeRow { id: MapType::REUSEPORT_SOCKARRAY, flags: ACCESS_OF_BOTH, helpers: &[82], ..SOCKETS },
    MapTypeRow { id: MapType::XSKMAP, value: Rule::Between(4, 4), helpers: &[1, 51], ..SOCKETS },
    MapTypeRow {
        id: MapType::CGROUP_ARRAY,
        key: Rule::Between(4, 4),
        value: Rule::Between(4, 4),
        entries: Rule::Between(1, u32::MAX),
        flags: ACCESS,
        per_cpu: false,
        value_pointers: false,
        helpers: &[33, 37],
    },
];
