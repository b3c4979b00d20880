//! Kinds of maps that hold what a process has as well as a kernel: interfaces, CPUs, sockets, and values with objects.

use super::{MapFlags, MapType, MapTypeRow, Rule};

const ACCESS: u32 = MapFlags::NUMA_NODE | MapFlags::RDONLY | MapFlags::WRONLY;

/// `BPF_LOCAL_STORAGE_MAX_VALUE_SIZE`.
pub(super) const LOCAL_STORAGE_MAX: u32 = 65407;

/// What a map keeps with objects of the kernel (`bpf_local_storage_map_alloc_check`, kernel/bpf/bpf_local_storage.c).
pub(super) const STORAGE: MapTypeRow = MapTypeRow {
    id: MapType::SK_STORAGE,
    key: Rule::Between(4, 4),
    value: Rule::Between(1, LOCAL_STORAGE_MAX),
    entries: Rule::Zero,
    flags: MapFlags::NO_PREALLOC | MapFlags::CLONE,
    per_cpu: false,
    value_pointers: false,
    helpers: &[107, 108],
};

/// Sockets by index; a value is seen from outside as a descriptor or a cookie (`sock_map_alloc`, net/core/sock_map.c).
pub(super) const SOCKETS: MapTypeRow = MapTypeRow {
    id: MapType::SOCKMAP,
    key: Rule::Between(4, 4),
    value: Rule::Either(4, 8),
    entries: Rule::Between(1, u32::MAX),
    flags: ACCESS,
    per_cpu: false,
    value_pointers: false,
    helpers: &[1, 2, 3, 52, 53, 60, 82],
};

/// Devices by index; a value is their number, and perhaps a program's descriptor (`dev_map_alloc_check`,
/// kernel/bpf/devmap.c).
pub(super) const DEVICES: MapTypeRow = MapTypeRow {
    id: MapType::DEVMAP,
    key: Rule::Between(4, 4),
    value: Rule::Either(4, 8),
    entries: Rule::Between(1, u32::MAX),
    flags: ACCESS,
    per_cpu: false,
    value_pointers: true,
    helpers: &[1, 51],
};
