//! What the user backend has of each kind of map: from the host's side and from programs'.

use skep_abi::MapType;
use skep_spec::FieldKind;

/// What a run keeps of tries in maps of maps: `skep_vm`'s `mem/inner.rs`.
const OF_MAPS: &str =
    "all; of more than sixteen tries that a run finds the others' elements may be used anew while it lasts";

/// The kinds in the order of their numbers: what the host does with it, and what programs do.
pub(crate) const STATES: &[(MapType, &str, &str)] = &[
    (MapType::HASH, "all", "all"),
    (MapType::ARRAY, "all, mapped as in Linux", "all"),
    (MapType::PROG_ARRAY, "programs by handle (`set_program`), not by descriptor", "tail calls"),
    (
        MapType::PERF_EVENT_ARRAY,
        "one reader of all CPUs; counters of the machine: no",
        "`bpf_perf_event_output`",
    ),
    (MapType::PERCPU_HASH, "all", "all"),
    (MapType::PERCPU_ARRAY, "all", "all"),
    (MapType::STACK_TRACE, "all", "`bpf_get_stackid`: the program's own frames"),
    (MapType::CGROUP_ARRAY, "no: EOPNOTSUPP, with words", "no"),
    (MapType::LRU_HASH, "all; which element goes differs", "all"),
    (MapType::LRU_PERCPU_HASH, "all; which element goes differs", "all"),
    (MapType::LPM_TRIE, "all", "all"),
    (MapType::ARRAY_OF_MAPS, "maps by handle or descriptor; not shared: maps are the process's", OF_MAPS),
    (MapType::HASH_OF_MAPS, "maps by handle or descriptor; not shared: maps are the process's", OF_MAPS),
    (
        MapType::DEVMAP,
        "all, by the interfaces of the process's namespace; programs by handle (`set_target`), not by descriptor",
        "lookup, `bpf_redirect_map`; on an interface packets are sent if asked (`skep run --send`, `Runner::with_transmit`), \
         also to all with and without the one that they came by (not the bridge or bond of it), through elements' programs",
    ),
    (
        MapType::SOCKMAP,
        "all; a socket that closes stays until it is deleted",
        "no: programs on sockets' streams (sk_skb, sk_msg, sock_ops) do not run here, so none redirects",
    ),
    (
        MapType::CPUMAP,
        "all, by virtual CPUs, of which 8192 at most; programs by handle (`set_target`), not by descriptor",
        "`bpf_redirect_map`; if asked the element's program runs, at once and on that virtual CPU, and may redirect further, \
         64 times at most; what passes goes on to the host, which has it anyway",
    ),
    (MapType::XSKMAP, "no: EOPNOTSUPP, with words", "no"),
    (
        MapType::SOCKHASH,
        "all; a socket that closes stays until it is deleted",
        "no: programs on sockets' streams (sk_skb, sk_msg, sock_ops) do not run here, so none redirects",
    ),
    (MapType::CGROUP_STORAGE, "no (deprecated): EOPNOTSUPP, with words", "no"),
    (MapType::REUSEPORT_SOCKARRAY, "no: EOPNOTSUPP, with words", "no"),
    (MapType::PERCPU_CGROUP_STORAGE, "no (deprecated): EOPNOTSUPP, with words", "no"),
    (MapType::QUEUE, "all", "all"),
    (MapType::STACK, "all", "all"),
    (
        MapType::SK_STORAGE,
        "all; keyed by the socket's cookie, so it outlives the socket",
        "a program's sockets are NULL",
    ),
    (
        MapType::DEVMAP_HASH,
        "all, by the interfaces of the process's namespace; programs by handle (`set_target`), not by descriptor",
        "lookup, `bpf_redirect_map`; on an interface packets are sent if asked (`skep run --send`, `Runner::with_transmit`), \
         also to all with and without the one that they came by (not the bridge or bond of it), through elements' programs",
    ),
    (
        MapType::STRUCT_OPS,
        "as data, written once as in Linux; nobody is given it: registration is refused with words",
        "verified as its members, not run",
    ),
    (MapType::RINGBUF, "one reader in a process, mapped as in Linux", "all"),
    (
        MapType::INODE_STORAGE,
        "all; keyed by device and inode, so it outlives the file",
        "no program has a file",
    ),
    (
        MapType::TASK_STORAGE,
        "all; keyed by the thread that a pidfd names and when it began; Linux frees it with the thread, here it stays \
         until room is needed",
        "that of the thread that runs the program (`bpf_get_current_task_btf`); its fields: no",
    ),
    (MapType::BLOOM_FILTER, "all", "all"),
    (MapType::USER_RINGBUF, "one producer in a process, mapped as in Linux", "all"),
    (
        MapType::CGRP_STORAGE,
        "all; keyed by the group's folder, so it outlives the group",
        "no program has a control group",
    ),
    (
        MapType::ARENA,
        "all, mapped as in Linux; freed pages go back to the system",
        "pages, casts, loads, stores and atomic operations; unaligned ones on x86-64",
    ),
    (
        MapType::INSN_ARRAY,
        "no: unknown to Linux 6.18",
        "jump tables of objects run as comparisons (`crates/skep/tests/jump_tables.rs`)",
    ),
];

/// What the user backend has of each kind of field that values and objects keep.
pub(crate) const FIELDS: &[(FieldKind, &str)] = &[
    (FieldKind::SpinLock, "yes, in values and objects"),
    (
        FieldKind::ResSpinLock,
        "yes, in values and objects; -EDEADLK for what the same CPU holds; when several CPUs wait for each other, which Linux \
         finds out (-EDEADLK), the first gives up after a quarter of a second (-ETIMEDOUT)",
    ),
    (FieldKind::Timer, "yes"),
    (FieldKind::Workqueue, "yes"),
    (
        FieldKind::TaskWork,
        "verified; a program that schedules some is refused when it is loaded, by name: nobody here knows when a thread \
         returns to its own code",
    ),
    (FieldKind::ListHead, "yes"),
    (FieldKind::ListNode, "yes"),
    (FieldKind::RbRoot, "yes"),
    (FieldKind::RbNode, "yes"),
    (FieldKind::Refcount, "yes"),
    (
        FieldKind::KptrUntrusted,
        "verified; a program that reaches one is refused when it is loaded: there are no such objects here",
    ),
    (
        FieldKind::Kptr,
        "yes, to objects that programs allocate and sets of CPUs; nothing gives programs other objects of the kernel",
    ),
    (FieldKind::PercpuKptr, "yes, objects of up to 128 KiB for all CPUs together"),
    (
        FieldKind::Uptr,
        "verified; a program that reaches one is refused when it is loaded: Linux has the pages of a process there",
    ),
];
