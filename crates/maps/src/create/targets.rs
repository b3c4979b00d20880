//! Maps that hold interfaces, CPUs and sockets, those that keep values with objects, and sets of the kernel's functions
//! (`dev_map_alloc_check`, `cpu_map_alloc`, `sock_map_alloc`, `sock_hash_alloc`, `bpf_local_storage_map_alloc_check`,
//! `bpf_struct_ops_map_alloc_check`, Linux 6.18).

use skep_abi::{MapFlags, MapType};
use skep_btf::{IntEncoding, Type, TypeId};
use skep_spec::{Errno, Error};

use super::{Check, known_flags};
use crate::struct_ops::COMMON;

const ACCESS: u32 = MapFlags::NUMA_NODE | MapFlags::RDONLY | MapFlags::WRONLY;
/// `NR_CPUS` where a distribution allows the most.
const CPUS: u32 = 8192;
/// `MAX_BPF_STACK`.
const KEY_MAX: u32 = 512;
/// `BPF_LOCAL_STORAGE_MAX_VALUE_SIZE`.
const STORAGE_MAX: u32 = 65407;

pub(super) fn devices(check: &Check<'_>) -> Result<(), Error> {
    let def = check.0;
    check.that(def.max_entries != 0, Errno::EINVAL, "max_entries", 0, "must be at least 1")?;
    check.that(def.key_size == 4, Errno::EINVAL, "key_size", def.key_size.into(), "must be 4, an index")?;
    let what = "must be 4, or 8 with a program's descriptor";
    let fits = matches!(def.value_size, 4 | 8);
    check.that(fits, Errno::EINVAL, "value_size", def.value_size.into(), what)?;
    let most = u64::from(def.max_entries);
    if def.kind == MapType::CPUMAP {
        known_flags(check, MapFlags::NUMA_NODE)?;
        return check.that(def.max_entries <= CPUS, Errno::E2BIG, "max_entries", most, "at most 8192");
    }
    known_flags(check, ACCESS)?;
    let fits = def.kind == MapType::DEVMAP || def.max_entries <= 1 << 31;
    check.that(fits, Errno::EINVAL, "max_entries", most, "at most 2147483648")
}

pub(super) fn sockets(check: &Check<'_>) -> Result<(), Error> {
    let def = check.0;
    check.that(def.max_entries != 0, Errno::EINVAL, "max_entries", 0, "must be at least 1")?;
    let array = def.kind == MapType::SOCKMAP;
    let what = if array { "must be 4, an index" } else { "must be at least 1" };
    let fits = if array { def.key_size == 4 } else { def.key_size != 0 };
    check.that(fits, Errno::EINVAL, "key_size", def.key_size.into(), what)?;
    let what = "must be 4, a descriptor, or 8, a cookie";
    let fits = matches!(def.value_size, 4 | 8);
    check.that(fits, Errno::EINVAL, "value_size", def.value_size.into(), what)?;
    known_flags(check, ACCESS)?;
    check.that(def.key_size <= KEY_MAX, Errno::E2BIG, "key_size", def.key_size.into(), "at most 512")?;
    // The kernel's table of buckets may not reach 4 GiB, with 16 bytes a bucket.
    let buckets = u64::from(def.max_entries).next_power_of_two();
    let fits = array || buckets <= u64::from(u32::MAX) / 16;
    check.that(fits, Errno::EINVAL, "max_entries", def.max_entries.into(), "at most 134217728")
}

pub(super) fn storage(check: &Check<'_>) -> Result<(), Error> {
    let def = check.0;
    let what = "local storage is never preallocated, set BPF_F_NO_PREALLOC";
    check.that(def.flags.has(MapFlags::NO_PREALLOC), Errno::EINVAL, "flags", def.flags.0.into(), what)?;
    known_flags(check, MapFlags::NO_PREALLOC | MapFlags::CLONE)?;
    let what = "must be 0: objects bring their values along";
    check.that(def.max_entries == 0, Errno::EINVAL, "max_entries", def.max_entries.into(), what)?;
    let what = "must be 4, a descriptor";
    check.that(def.key_size == 4, Errno::EINVAL, "key_size", def.key_size.into(), what)?;
    check.that(def.value_size != 0, Errno::EINVAL, "value_size", 0, "must be at least 1")?;
    let types = def.btf.as_ref().filter(|_| def.key_btf_id != 0 && def.value_btf_id != 0);
    let what = "local storage needs the types of its keys and values (BTF)";
    let btf = types.ok_or_else(|| check.fail(Errno::EINVAL, "value type", def.value_btf_id.into(), what))?;
    let size = u64::from(def.value_size);
    check.that(def.value_size <= STORAGE_MAX, Errno::E2BIG, "value_size", size, "at most 65407")?;
    let key = btf.ty(btf.resolve(TypeId(def.key_btf_id)));
    let number = matches!(key, Some(Type::Int { size: 4, encoding, .. }) if *encoding != IntEncoding::Bool);
    let what = "the key must be a number of 4 bytes, a descriptor";
    check.that(number, Errno::EINVAL, "key type", def.key_btf_id.into(), what)
}

pub(super) fn struct_ops(check: &Check<'_>) -> Result<(), Error> {
    let def = check.0;
    check.that(def.key_size == 4, Errno::EINVAL, "key_size", def.key_size.into(), "must be 4, an index")?;
    check.that(def.max_entries == 1, Errno::EINVAL, "max_entries", def.max_entries.into(), "must be 1")?;
    known_flags(check, MapFlags::LINK)?;
    let what = "it must be the kernel's structure with 8 bytes of state before it";
    let size = def.value_size;
    check.that(size as usize >= COMMON, Errno::EINVAL, "value_size", size.into(), what)?;
    let what = "it needs the kernel's type of its value: load it from an object, for a target with types";
    check.that(def.struct_ops.is_some(), Errno::EINVAL, "value type", 0, what)
}
