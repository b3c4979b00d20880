//! Maps themselves, as the kernel's objects: they may be read by the kernel's types (`check_ptr_to_map_access`,
//! kernel/bpf/verifier.c, Linux 6.18).

use alloc::format;

use skep_abi::MapType;
use skep_isa::Reg;

use super::{Intent, Target, not_memory};
use crate::Code;
use crate::kernel;
use crate::program::Program;
use crate::state::{Kind, Marks, State};
use crate::violation::{Check, Explain, refuse, unsupported};

/// The structures that stand for maps (`map_btf_id`); of other types, `bpf_array`.
const STRUCTURES: &[(&[MapType], &str)] = &[
    (
        &[
            MapType::HASH,
            MapType::PERCPU_HASH,
            MapType::LRU_HASH,
            MapType::LRU_PERCPU_HASH,
            MapType::HASH_OF_MAPS,
        ],
        "bpf_htab",
    ),
    (
        &[
            MapType::ARRAY,
            MapType::PERCPU_ARRAY,
            MapType::PROG_ARRAY,
            MapType::PERF_EVENT_ARRAY,
            MapType::CGROUP_ARRAY,
            MapType::ARRAY_OF_MAPS,
        ],
        "bpf_array",
    ),
    (&[MapType::LPM_TRIE], "lpm_trie"),
    (&[MapType::QUEUE, MapType::STACK], "bpf_queue_stack"),
    (&[MapType::RINGBUF, MapType::USER_RINGBUF], "bpf_ringbuf_map"),
    (&[MapType::STACK_TRACE], "bpf_stack_map"),
    (&[MapType::BLOOM_FILTER], "bpf_bloom_filter"),
    (&[MapType::SOCKMAP], "bpf_stab"),
    (&[MapType::SOCKHASH], "bpf_shtab"),
    (&[MapType::DEVMAP, MapType::DEVMAP_HASH], "bpf_dtab"),
    (&[MapType::CPUMAP], "bpf_cpu_map"),
    (&[MapType::XSKMAP], "xsk_map"),
    (&[MapType::REUSEPORT_SOCKARRAY], "reuseport_array"),
    (&[MapType::CGROUP_STORAGE, MapType::PERCPU_CGROUP_STORAGE], "bpf_cgroup_storage_map"),
    (
        &[MapType::SK_STORAGE, MapType::INODE_STORAGE, MapType::TASK_STORAGE, MapType::CGRP_STORAGE],
        "bpf_local_storage_map",
    ),
    (&[MapType::STRUCT_OPS], "bpf_struct_ops_map"),
    (&[MapType::ARENA], "bpf_arena"),
];

/// An access to the map that a register points to. `off` is the instruction's.
pub(super) fn access(
    p: &Program<'_>,
    s: &State,
    base: Reg,
    off: i32,
    size: usize,
    intent: Intent,
) -> Check<Target> {
    let Kind::Map(map) = s.reg(base).kind else { return not_memory(p, s, base) };
    let kind = p.map(map).kind;
    let Some(&(_, name)) = STRUCTURES.iter().find(|(kinds, _)| kinds.contains(&kind)) else {
        return unsupported(format!("accesses to the map itself, of type {}", kind.0));
    };
    let off = off.wrapping_add(s.reg(base).off);
    if !p.may_leak() {
        let words = format!("'struct {name}' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN");
        return refuse(Code::PointerLeak, words);
    }
    let Ok(at) = u32::try_from(off) else {
        let words = format!("R{} is {name} invalid negative access: off={off}", base.0);
        return refuse(Code::OutOfBounds, words);
    };
    if intent.writes() || matches!(intent, Intent::AtomicRead) {
        return refuse(Code::ForbiddenAccess, format!("only read from {name} is supported")).explain(
            "a pointer to a value of the map",
            format!("r{} is the map itself", base.0),
            "look a key up in the map, and store to the value",
        );
    }
    let types = kernel::of(p)?;
    match types.load(types.structure(name)?, Marks::NONE, at, size as u32, p.in_rcu(s)) {
        Ok(loaded) => Ok(Target::Kernel(loaded)),
        Err(words) => refuse(Code::OutOfBounds, words).explain(
            format!("a load of a member of struct {name}, at its size"),
            format!("{size} bytes at {off} are none"),
            "load the member by its name; use CO-RE (preserve_access_index) for another kernel's layout",
        ),
    }
}
