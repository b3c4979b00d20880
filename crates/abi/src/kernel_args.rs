//! What the kernel's own types do not say of the arguments that tracing programs get. Found by asking Linux 6.18 for
//! each argument of each tracepoint and iterator that it has.

/// How an iterator's program gets an argument (`ctx_arg_info` of its `struct bpf_iter_reg`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IterArg {
    /// As its type says; a pointer is trusted.
    Typed,
    /// A trusted pointer.
    Trusted,
    /// A trusted pointer, or NULL at the end.
    TrustedOrNull,
    /// A pointer that helpers take for the sake of old programs, or NULL at the end.
    OldOrNull,
    /// Bytes that may be read, or NULL at the end.
    ReadBufferOrNull,
    /// Bytes that may be read and written, or NULL at the end.
    BufferOrNull,
}

/// Iterators by the function that stands for each in the kernel's types, with the way of each argument.
pub static ITERATORS: &[(&str, &[IterArg])] = &[
    ("bpf_iter_bpf_link", &[IterArg::Typed, IterArg::OldOrNull]),
    ("bpf_iter_bpf_map", &[IterArg::Typed, IterArg::TrustedOrNull]),
    (
        "bpf_iter_bpf_map_elem",
        &[IterArg::Typed, IterArg::Trusted, IterArg::ReadBufferOrNull, IterArg::BufferOrNull],
    ),
    ("bpf_iter_bpf_prog", &[IterArg::Typed, IterArg::OldOrNull]),
    (
        "bpf_iter_bpf_sk_storage_map",
        &[IterArg::Typed, IterArg::Trusted, IterArg::OldOrNull, IterArg::BufferOrNull],
    ),
    ("bpf_iter_cgroup", &[IterArg::Typed, IterArg::TrustedOrNull]),
    ("bpf_iter_dmabuf", &[IterArg::Typed, IterArg::OldOrNull]),
    ("bpf_iter_ipv6_route", &[IterArg::Typed, IterArg::OldOrNull]),
    ("bpf_iter_kmem_cache", &[IterArg::Typed, IterArg::TrustedOrNull]),
    ("bpf_iter_ksym", &[IterArg::Typed, IterArg::OldOrNull]),
    ("bpf_iter_netlink", &[IterArg::Typed, IterArg::OldOrNull]),
    ("bpf_iter_sockmap", &[IterArg::Typed, IterArg::Trusted, IterArg::ReadBufferOrNull, IterArg::OldOrNull]),
    ("bpf_iter_task", &[IterArg::Typed, IterArg::TrustedOrNull]),
    ("bpf_iter_task_file", &[IterArg::Typed, IterArg::OldOrNull, IterArg::Typed, IterArg::OldOrNull]),
    ("bpf_iter_task_vma", &[IterArg::Typed, IterArg::OldOrNull, IterArg::OldOrNull]),
    ("bpf_iter_tcp", &[IterArg::Typed, IterArg::TrustedOrNull, IterArg::Typed]),
    ("bpf_iter_udp", &[IterArg::Typed, IterArg::TrustedOrNull, IterArg::Typed, IterArg::Typed]),
    ("bpf_iter_unix", &[IterArg::Typed, IterArg::OldOrNull, IterArg::Typed]),
];

/// Tracepoints with arguments, by place from 0, that may be NULL though their type does not say so (`raw_tp_null_args`,
/// and names that end in `__nullable`, kernel/bpf/btf.c).
pub static NULLABLE_TRACEPOINT_ARGS: &[(&str, &[u8])] = &[
    ("break_lease_block", &[1]),
    ("break_lease_noblock", &[1]),
    ("break_lease_unblock", &[1]),
    ("ext4_mballoc_discard", &[1]),
    ("ext4_mballoc_free", &[1]),
    ("fcntl_setlk", &[1]),
    ("fib_table_lookup", &[2]),
    ("flock_lock_inode", &[1]),
    ("folio_wait_writeback", &[1]),
    ("generic_delete_lease", &[1]),
    ("hugetlbfs_alloc_inode", &[1]),
    ("kfree_skb", &[3]),
    ("locks_remove_posix", &[1]),
    ("mm_collapse_huge_page_isolate", &[0]),
    ("mm_khugepaged_collapse_file", &[1]),
    ("mm_khugepaged_scan_file", &[1]),
    ("mm_khugepaged_scan_pmd", &[1]),
    ("mm_page_alloc", &[0]),
    ("mm_page_alloc_zone_locked", &[0]),
    ("mm_page_pcpu_drain", &[0]),
    ("posix_lock_inode", &[1]),
    ("qdisc_dequeue", &[3]),
    ("sched_pi_setprio", &[1]),
    ("sched_stick_numa", &[2]),
    ("sched_swap_numa", &[2]),
    ("tcp_send_reset", &[0, 1]),
    ("tcp_sendmsg_locked", &[2]),
    ("time_out_leases", &[1]),
    ("tmigr_update_events", &[0]),
    ("writeback_dirty_folio", &[1]),
    ("xfs_blockgc_flush_all", &[0]),
    ("xfs_blockgc_free_space", &[1]),
    ("xfs_blockgc_start", &[0]),
    ("xfs_blockgc_stop", &[0]),
    ("xfs_blockgc_worker", &[0]),
    ("xfs_btree_overlapped_query_range", &[2]),
    ("xfs_btree_updkeys", &[2]),
    ("xfs_defer_add_item", &[0]),
    ("xfs_defer_cancel_item", &[0]),
    ("xfs_defer_cancel_list", &[0]),
    ("xfs_defer_create_intent", &[0]),
    ("xfs_defer_finish_item", &[0]),
    ("xfs_defer_isolate_paused", &[0]),
    ("xfs_defer_item_pause", &[0]),
    ("xfs_defer_item_unpause", &[0]),
    ("xfs_defer_pending_abort", &[0]),
    ("xfs_defer_pending_finish", &[0]),
    ("xfs_defer_relog_intent", &[0]),
    ("xfs_fs_sync_fs", &[0]),
    ("xfs_inodegc_flush", &[0]),
    ("xfs_inodegc_push", &[0]),
    ("xfs_inodegc_queue", &[0]),
    ("xfs_inodegc_start", &[0]),
    ("xfs_inodegc_stop", &[0]),
    ("xfs_inodegc_throttle", &[0]),
    ("xfs_ioc_free_eofblocks", &[1]),
    ("xfs_map_blocks_alloc", &[4]),
    ("xfs_map_blocks_found", &[4]),
];

/// The way of an iterator's arguments.
pub fn iterator(function: &str) -> Option<&'static [IterArg]> {
    ITERATORS.iter().find(|(name, _)| *name == function).map(|(_, args)| *args)
}

/// Iterators whose programs get and set options of sockets (`bpf_iter_get_func_proto`).
const OPTIONS: &[&str] = &["bpf_iter_tcp", "bpf_iter_unix"];

/// Functions whose programs ask for paths (`btf_allowlist_d_path`).
const PATHS: &[&str] = &[
    "dentry_open",
    "filp_close",
    "security_file_open",
    "security_file_permission",
    "security_inode_getattr",
    "security_path_truncate",
    "vfs_fallocate",
    "vfs_getattr",
    "vfs_truncate",
];

/// Whether a program has a helper because of the iterator or the function that it is for.
pub fn target_offers(function: &str, helper: u32) -> bool {
    match helper {
        49 | 57 => OPTIONS.contains(&function),
        147 => PATHS.contains(&function),
        _ => false,
    }
}

/// Whether an argument of a tracepoint may be NULL.
pub fn tracepoint_arg_nullable(tracepoint: &str, arg: u32) -> bool {
    let row = NULLABLE_TRACEPOINT_ARGS.iter().find(|(name, _)| *name == tracepoint);
    row.is_some_and(|(_, args)| args.iter().any(|a| u32::from(*a) == arg))
}
