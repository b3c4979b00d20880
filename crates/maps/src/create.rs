//! What `BPF_MAP_CREATE` checks: geometry and flags, in the kernel's order
//! (Linux 6.18: `map_create`, `array_map_alloc_check`, `htab_map_alloc_check`, `ringbuf_map_alloc`).

use alloc::format;

use skep_abi::{MapFlags, MapType};
use skep_spec::{Errno, Error, FieldKind, MapDef, Misplaced};

use crate::fields::Places;
use crate::geometry::Geometry;
use crate::map::Config;
use crate::mem::Memory;
use crate::stack_trace::BUILD_ID;
use crate::sync::CPUS;

/// `KMALLOC_MAX_SIZE` on x86-64.
const KMALLOC_MAX: u64 = 4 << 20;
/// Bytes of `struct htab_elem` before the key.
const HTAB_ELEM: u64 = 48;
/// Bytes of `struct lpm_trie_node` with the largest data.
const LPM_NODE: u64 = 256 + 24;
/// `PCPU_MIN_UNIT_SIZE`.
const PERCPU_MAX: u64 = 32 << 10;
/// The kernel's table of buckets may not reach 4 GiB, with 16 bytes a bucket.
const BUCKETS_MAX: u64 = u32::MAX as u64 / 16;

/// `NUMA_NO_NODE`.
const NO_NODE: u32 = u32::MAX;

/// Flags that say who may do what.
const ACCESS: u32 = MapFlags::RDONLY | MapFlags::WRONLY | MapFlags::RDONLY_PROG | MapFlags::WRONLY_PROG;

mod targets;

struct Check<'a>(&'a MapDef);

impl Check<'_> {
    /// Fails with `errno` unless `holds`.
    fn that(&self, holds: bool, errno: Errno, field: &str, value: u64, what: &str) -> Result<(), Error> {
        if holds { Ok(()) } else { Err(self.fail(errno, field, value, what)) }
    }

    #[cold]
    fn fail(&self, errno: Errno, field: &str, value: u64, what: &str) -> Error {
        let kind = self.0.kind.name().unwrap_or("unknown");
        let value = if field == "flags" { format!("{value:#x}") } else { format!("{value}") };
        Error::new(errno, format!("{kind} map `{}`: {field} {value}: {what}", self.0.name))
    }
}

/// Checks a definition and gives its geometry.
pub(crate) fn check(def: &MapDef, config: &Config, memory: &dyn Memory) -> Result<Geometry, Error> {
    let check = Check(def);
    let flags = def.flags;
    if config.cpus == 0 || config.cpus > CPUS {
        return Err(Error::new(
            Errno::EINVAL,
            format!("map `{}`: a domain of {} CPUs, from 1 to {CPUS} are possible", def.name, config.cpus),
        ));
    }
    check.that(
        !flags.has(MapFlags::RDONLY | MapFlags::WRONLY),
        Errno::EINVAL,
        "flags",
        flags.0.into(),
        "BPF_F_RDONLY and BPF_F_WRONLY exclude each other",
    )?;
    let extra = def.map_extra;
    let bloom = def.kind == MapType::BLOOM_FILTER;
    check.that(
        extra == 0 || bloom || def.kind == MapType::ARENA,
        Errno::EINVAL,
        "map_extra",
        extra,
        "the kind has none, set 0",
    )?;
    check.that(
        !flags.has(MapFlags::NUMA_NODE) || def.numa_node == 0 || def.numa_node == NO_NODE,
        Errno::EINVAL,
        "numa_node",
        def.numa_node.into(),
        "there is only node 0",
    )?;
    match def.kind {
        MapType::ARRAY | MapType::PERCPU_ARRAY | MapType::PROG_ARRAY | MapType::PERF_EVENT_ARRAY => {
            array(&check)?;
        }
        MapType::HASH | MapType::PERCPU_HASH | MapType::LRU_HASH | MapType::LRU_PERCPU_HASH => {
            hash(&check)?;
        }
        MapType::LPM_TRIE => lpm_trie(&check)?,
        MapType::ARRAY_OF_MAPS => array(&check)?,
        MapType::HASH_OF_MAPS => hash(&check)?,
        MapType::QUEUE | MapType::STACK => queue(&check)?,
        MapType::STACK_TRACE => stack_trace(&check)?,
        MapType::RINGBUF | MapType::USER_RINGBUF => ringbuf(&check, memory.page_size())?,
        MapType::BLOOM_FILTER => bloom_filter(&check)?,
        MapType::DEVMAP | MapType::DEVMAP_HASH | MapType::CPUMAP => targets::devices(&check)?,
        MapType::SOCKMAP | MapType::SOCKHASH => targets::sockets(&check)?,
        MapType::STRUCT_OPS => targets::struct_ops(&check)?,
        MapType::ARENA => arena(&check, memory.page_size())?,
        kind if kind.is_local_storage() => targets::storage(&check)?,
        kind => return Err(check.fail(Errno::EINVAL, "type", kind.0.into(), "not supported yet here")),
    }
    let hashed = is_hash(def.kind) || bloom || def.kind.is_local_storage();
    let flags = MapFlags(flags.0 | def.kind.implied_flags());
    let max_entries = match flags.has(MapFlags::NO_COMMON_LRU) {
        true => per_cpu_lists(def.max_entries, config.cpus),
        false => def.max_entries,
    };
    // Rounding cannot overflow on 64 bits; on 32 an absurd value_size gives ENOMEM.
    let stride = (def.value_size as usize).checked_next_multiple_of(8);
    let places = places(&check)?;
    if let Some(place) = places.keeping().next().filter(|_| def.kind.is_local_storage()) {
        let field = format!("{} of a value at", place.kind.name());
        let what = "values with objects keep nothing else yet here: use a hash";
        return Err(check.fail(Errno::EOPNOTSUPP, &field, place.off as u64, what));
    }
    Ok(Geometry {
        kind: def.kind,
        key_size: def.key_size as usize,
        value_size: def.value_size as usize,
        stride: stride
            .ok_or_else(|| check.fail(Errno::ENOMEM, "value_size", def.value_size.into(), "too large"))?,
        max_entries,
        map_extra: extra,
        flags,
        cpus: config.cpus,
        domain: config.domain,
        page: memory.page_size(),
        seed: if !hashed || flags.has(MapFlags::ZERO_SEED) { 0 } else { config.seed },
        spin_lock: places.all().iter().find(|p| p.kind == FieldKind::SpinLock).map(|p| p.off),
        places,
        wait: config.waiting(),
    })
}

/// What the elements of a map of maps look like (`bpf_map_meta_alloc`); `None` for other kinds.
pub(crate) fn inner(def: &MapDef, config: &Config, memory: &dyn Memory) -> Result<Option<Geometry>, Error> {
    if !def.kind.holds_maps() {
        return Ok(None);
    }
    let refuse = |errno, what: &str| {
        let kind = def.kind.name().unwrap_or("unknown");
        Err(Error::new(errno, format!("{kind} map `{}`: {what}", def.name)))
    };
    let Some(inner) = def.inner.as_deref() else {
        return refuse(
            Errno::EINVAL,
            "it does not say what its maps look like: write __array(values, struct INNER)",
        );
    };
    match inner.kind {
        MapType::ARRAY_OF_MAPS | MapType::HASH_OF_MAPS => {
            return refuse(Errno::EINVAL, "maps of maps of maps are not possible");
        }
        MapType::PROG_ARRAY => return refuse(Errno::ENOTSUPP, "its maps cannot be program arrays"),
        _ => {}
    }
    let max_entries = inner.entries_on(config.cpus);
    check(&MapDef { max_entries, ..inner.clone() }, config, memory).map(Some)
}

/// The fields of a value.
fn places(check: &Check<'_>) -> Result<Places, Error> {
    match check.0.misplaced() {
        None => Ok(Places::of(check.0)),
        Some(Misplaced { field, errno, required }) => {
            let what = format!("{} of a value at", field.kind.name());
            Err(check.fail(errno, &what, field.off_bytes.into(), required))
        }
    }
}

/// The kinds that are hash tables.
pub(crate) fn is_hash(kind: MapType) -> bool {
    matches!(
        kind,
        MapType::HASH
            | MapType::PERCPU_HASH
            | MapType::LRU_HASH
            | MapType::LRU_PERCPU_HASH
            | MapType::HASH_OF_MAPS
    )
}

/// With a list for each CPU the kernel gives each the same number of elements: up to a multiple, or down
/// where the number above cannot be counted.
fn per_cpu_lists(max_entries: u32, cpus: u32) -> u32 {
    max_entries.checked_next_multiple_of(cpus).unwrap_or(max_entries - max_entries % cpus)
}

fn known_flags(check: &Check<'_>, known: u32) -> Result<(), Error> {
    let flags = check.0.flags;
    check.that(
        flags.0 & !known == 0,
        Errno::EINVAL,
        "flags",
        flags.0.into(),
        &format!("{:#x} are not flags of this kind", flags.0 & !known),
    )?;
    check.that(
        !flags.has(MapFlags::RDONLY_PROG | MapFlags::WRONLY_PROG),
        Errno::EINVAL,
        "flags",
        flags.0.into(),
        "BPF_F_RDONLY_PROG and BPF_F_WRONLY_PROG exclude each other",
    )
}

fn percpu(check: &Check<'_>) -> Result<(), Error> {
    let def = check.0;
    let what = "per-CPU maps and lists have no BPF_F_NUMA_NODE";
    let asked = def.flags.has(MapFlags::NUMA_NODE) && def.numa_node != NO_NODE;
    check.that(!asked, Errno::EINVAL, "flags", def.flags.0.into(), what)
}

fn percpu_value(check: &Check<'_>) -> Result<(), Error> {
    let size = u64::from(check.0.value_size);
    let what = "a per-CPU value has at most 32768 bytes";
    check.that(size.next_multiple_of(8) <= PERCPU_MAX, Errno::E2BIG, "value_size", size, what)
}

fn array(check: &Check<'_>) -> Result<(), Error> {
    let def = check.0;
    check.that(def.max_entries != 0, Errno::EINVAL, "max_entries", 0, "must be at least 1")?;
    check.that(def.key_size == 4, Errno::EINVAL, "key_size", def.key_size.into(), "must be 4, an index")?;
    check.that(def.value_size != 0, Errno::EINVAL, "value_size", 0, "must be at least 1")?;
    let known = match def.kind {
        MapType::ARRAY => ACCESS | MapFlags::NUMA_NODE | MapFlags::MMAPABLE | MapFlags::INNER_MAP,
        MapType::PERCPU_ARRAY => ACCESS | MapFlags::NUMA_NODE,
        MapType::PERF_EVENT_ARRAY => {
            MapFlags::RDONLY | MapFlags::WRONLY | MapFlags::NUMA_NODE | MapFlags::PRESERVE_ELEMS
        }
        _ => MapFlags::RDONLY | MapFlags::WRONLY | MapFlags::NUMA_NODE,
    };
    known_flags(check, known)?;
    if matches!(def.kind, MapType::PROG_ARRAY | MapType::PERF_EVENT_ARRAY | MapType::ARRAY_OF_MAPS) {
        let what = "must be 4, a descriptor";
        return check.that(def.value_size == 4, Errno::EINVAL, "value_size", def.value_size.into(), what);
    }
    if def.kind == MapType::PERCPU_ARRAY {
        percpu(check)?;
    }
    let what = "a value has at most 2147483647 bytes";
    check.that(def.value_size <= i32::MAX as u32, Errno::E2BIG, "value_size", def.value_size.into(), what)?;
    if def.kind == MapType::PERCPU_ARRAY {
        percpu_value(check)?;
    }
    Ok(())
}

fn hash(check: &Check<'_>) -> Result<(), Error> {
    let def = check.0;
    if def.kind == MapType::HASH_OF_MAPS {
        let what = "must be 4, a descriptor";
        check.that(def.value_size == 4, Errno::EINVAL, "value_size", def.value_size.into(), what)?;
    }
    let lru = matches!(def.kind, MapType::LRU_HASH | MapType::LRU_PERCPU_HASH);
    let is_percpu = matches!(def.kind, MapType::PERCPU_HASH | MapType::LRU_PERCPU_HASH);
    let lists = if lru { MapFlags::NO_COMMON_LRU } else { 0 };
    known_flags(check, ACCESS | MapFlags::NO_PREALLOC | MapFlags::NUMA_NODE | MapFlags::ZERO_SEED | lists)?;
    check.that(
        !lru || !def.flags.has(MapFlags::NO_PREALLOC),
        Errno::ENOTSUPP,
        "flags",
        def.flags.0.into(),
        "an LRU hash is always preallocated, drop BPF_F_NO_PREALLOC",
    )?;
    if is_percpu || def.flags.has(MapFlags::NO_COMMON_LRU) {
        percpu(check)?;
    }
    check.that(def.max_entries != 0, Errno::EINVAL, "max_entries", 0, "must be at least 1")?;
    check.that(def.key_size != 0, Errno::EINVAL, "key_size", 0, "must be at least 1")?;
    check.that(def.value_size != 0, Errno::EINVAL, "value_size", 0, "must be at least 1")?;
    let both = u64::from(def.key_size) + u64::from(def.value_size);
    check.that(
        both < KMALLOC_MAX - HTAB_ELEM,
        Errno::E2BIG,
        "key_size + value_size",
        both,
        "an element has at most 4194255 bytes",
    )?;
    if is_percpu {
        percpu_value(check)?;
    }
    check.that(
        u64::from(def.max_entries).next_power_of_two() <= BUCKETS_MAX,
        Errno::E2BIG,
        "max_entries",
        def.max_entries.into(),
        "at most 134217728",
    )
}

fn lpm_trie(check: &Check<'_>) -> Result<(), Error> {
    let def = check.0;
    check.that(def.max_entries != 0, Errno::EINVAL, "max_entries", 0, "must be at least 1")?;
    let what = "an LPM trie is never preallocated, set BPF_F_NO_PREALLOC";
    check.that(def.flags.has(MapFlags::NO_PREALLOC), Errno::EINVAL, "flags", def.flags.0.into(), what)?;
    known_flags(check, ACCESS | MapFlags::NO_PREALLOC | MapFlags::NUMA_NODE)?;
    let what = "from 5 to 260: u32 prefixlen and 1 to 256 bytes";
    let fits = (5..=260).contains(&def.key_size);
    check.that(fits, Errno::EINVAL, "key_size", def.key_size.into(), what)?;
    let fits = def.value_size != 0 && u64::from(def.value_size) <= KMALLOC_MAX - LPM_NODE;
    check.that(fits, Errno::EINVAL, "value_size", def.value_size.into(), "must be from 1 to 4194024")
}

/// `sysctl_perf_event_max_stack`, unless it was changed.
const STACK_DEPTH: usize = 127;

fn stack_trace(check: &Check<'_>) -> Result<(), Error> {
    let def = check.0;
    let access = MapFlags::RDONLY | MapFlags::WRONLY;
    known_flags(check, access | MapFlags::NUMA_NODE | MapFlags::STACK_BUILD_ID)?;
    check.that(def.max_entries != 0, Errno::EINVAL, "max_entries", 0, "must be at least 1")?;
    let what = "must be 4, a stack's number";
    check.that(def.key_size == 4, Errno::EINVAL, "key_size", def.key_size.into(), what)?;
    let size = def.value_size as usize;
    let element = if def.flags.has(MapFlags::STACK_BUILD_ID) { BUILD_ID } else { 8 };
    let fits = size != 0 && size.is_multiple_of(element) && size / element <= STACK_DEPTH;
    let what = &format!("must be a multiple of {element}, for 1 to 127 addresses");
    check.that(fits, Errno::EINVAL, "value_size", def.value_size.into(), what)?;
    let what = "at most 2147483648";
    check.that(def.max_entries <= 1 << 31, Errno::E2BIG, "max_entries", def.max_entries.into(), what)
}

fn queue(check: &Check<'_>) -> Result<(), Error> {
    let def = check.0;
    check.that(def.max_entries != 0, Errno::EINVAL, "max_entries", 0, "must be at least 1")?;
    let what = "queues and stacks have no keys, set 0";
    check.that(def.key_size == 0, Errno::EINVAL, "key_size", def.key_size.into(), what)?;
    check.that(def.value_size != 0, Errno::EINVAL, "value_size", 0, "must be at least 1")?;
    known_flags(check, ACCESS | MapFlags::NUMA_NODE)?;
    let size = u64::from(def.value_size);
    check.that(size <= KMALLOC_MAX, Errno::E2BIG, "value_size", size, "a value has at most 4194304 bytes")
}

fn bloom_filter(check: &Check<'_>) -> Result<(), Error> {
    let def = check.0;
    let size = u64::from(def.value_size);
    check.that(size <= KMALLOC_MAX, Errno::E2BIG, "value_size", size, "a value has at most 4194304 bytes")?;
    let what = "a bloom filter has no keys, set 0";
    check.that(def.key_size == 0, Errno::EINVAL, "key_size", def.key_size.into(), what)?;
    check.that(def.value_size != 0, Errno::EINVAL, "value_size", 0, "must be at least 1")?;
    check.that(def.max_entries != 0, Errno::EINVAL, "max_entries", 0, "must be at least 1")?;
    known_flags(check, ACCESS | MapFlags::NUMA_NODE | MapFlags::ZERO_SEED)?;
    let what = "the number of hashes is from 1 to 15, or 0 for 5";
    check.that(def.map_extra <= 15, Errno::EINVAL, "map_extra", def.map_extra, what)
}

fn arena(check: &Check<'_>, page: usize) -> Result<(), Error> {
    let def = check.0;
    let (known, page) = (MapFlags::MMAPABLE | MapFlags::SEGV_ON_FAULT | MapFlags::NO_USER_CONV, page as u64);
    known_flags(check, known)?;
    let what = "an arena is mapped by the host, set BPF_F_MMAPABLE";
    check.that(def.flags.has(MapFlags::MMAPABLE), Errno::EINVAL, "flags", def.flags.0.into(), what)?;
    let what = "an arena has no keys, set 0";
    check.that(def.key_size == 0, Errno::EINVAL, "key_size", def.key_size.into(), what)?;
    let what = "an arena has no values, set 0";
    check.that(def.value_size == 0, Errno::EINVAL, "value_size", def.value_size.into(), what)?;
    check.that(def.max_entries != 0, Errno::EINVAL, "max_entries", 0, "must be at least 1, a page")?;
    let (at, len) = (def.map_extra, u64::from(def.max_entries) * page);
    let what = "the address of the arena must be a multiple of the page size";
    check.that(at.is_multiple_of(page), Errno::EINVAL, "map_extra", at, what)?;
    let what = "pages of an arena have 4 GiB together at most";
    check.that(len <= 1 << 32, Errno::E2BIG, "max_entries", def.max_entries.into(), what)?;
    let what = "the upper halves of the arena's addresses must be the same";
    check.that(at >> 32 == at.wrapping_add(len - 1) >> 32, Errno::ERANGE, "map_extra", at, what)
}

fn ringbuf(check: &Check<'_>, page: usize) -> Result<(), Error> {
    let def = check.0;
    known_flags(check, MapFlags::NUMA_NODE)?;
    check.that(
        def.key_size == 0,
        Errno::EINVAL,
        "key_size",
        def.key_size.into(),
        "a ring buffer has no keys, set 0",
    )?;
    let what = "a ring buffer has no values, set 0";
    check.that(def.value_size == 0, Errno::EINVAL, "value_size", def.value_size.into(), what)?;
    check.that(
        def.max_entries.is_power_of_two() && (def.max_entries as usize).is_multiple_of(page),
        Errno::EINVAL,
        "max_entries",
        def.max_entries.into(),
        &format!("bytes of the ring must be a power of two and a multiple of the page size, {page}"),
    )
}
