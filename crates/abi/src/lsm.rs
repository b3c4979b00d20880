//! What the kernel's own types do not say of the hooks of security modules (`bpf_lsm_NAME`, kernel/bpf/bpf_lsm.c, Linux
//! 6.18). The machines that this was written on load no programs for hooks: nothing here was asked of a kernel. What
//! later versions took back as unsafe is left out, or refused, here as well.

use crate::ReturnRange;

/// Begin of the names of the functions that stand for hooks.
pub const HOOK: &str = "bpf_lsm_";

/// The union with a member for each hook.
pub const HOOKS: &str = "security_list_options";

/// `MAX_ERRNO`.
const MAX_ERRNO: i32 = 4095;

/// Hooks whose programs may sleep (`sleepable_lsm_hooks`).
const SLEEPABLE: &[&str] = &[
    "bpf",
    "bpf_map",
    "bpf_map_create",
    "bpf_map_free",
    "bpf_prog",
    "bpf_prog_load",
    "bpf_token_capable",
    "bpf_token_cmd",
    "bpf_token_create",
    "bpf_token_free",
    "bprm_check_security",
    "bprm_committed_creds",
    "bprm_committing_creds",
    "bprm_creds_for_exec",
    "bprm_creds_from_file",
    "capget",
    "capset",
    "cred_prepare",
    "file_ioctl",
    "file_lock",
    "file_open",
    "file_post_open",
    "file_receive",
    "inode_create",
    "inode_free_security",
    "inode_getattr",
    "inode_getxattr",
    "inode_mknod",
    "inode_need_killpriv",
    "inode_post_setxattr",
    "inode_readlink",
    "inode_rename",
    "inode_rmdir",
    "inode_setattr",
    "inode_setxattr",
    "inode_symlink",
    "inode_unlink",
    "kernel_module_request",
    "kernel_read_file",
    "kernfs_init_security",
    "mmap_file",
    "netlink_send",
    "path_chmod",
    "path_chown",
    "path_link",
    "path_mkdir",
    "path_notify",
    "path_rename",
    "path_rmdir",
    "path_symlink",
    "path_truncate",
    "path_unlink",
    "release_secctx",
    "sb_alloc_security",
    "sb_eat_lsm_opts",
    "sb_kern_mount",
    "sb_mount",
    "sb_remount",
    "sb_set_mnt_opts",
    "sb_show_options",
    "sb_statfs",
    "sb_umount",
    "settime",
    "socket_accept",
    "socket_bind",
    "socket_connect",
    "socket_create",
    "socket_getpeername",
    "socket_getpeersec_dgram",
    "socket_getsockname",
    "socket_getsockopt",
    "socket_listen",
    "socket_post_create",
    "socket_recvmsg",
    "socket_sendmsg",
    "socket_shutdown",
    "socket_socketpair",
    "syslog",
    "task_alloc",
    "task_prctl",
    "task_setscheduler",
    "userns_create",
];

/// Hooks that programs cannot answer for (`bpf_lsm_disabled_hooks`).
const DISABLED: &[&str] = &[
    "audit_rule_match",
    "getprocattr",
    "getselfattr",
    "inode_copy_up_xattr",
    "inode_getsecurity",
    "inode_listsecurity",
    "inode_need_killpriv",
    "ismaclabel",
    "key_getsecurity",
    "setprocattr",
    "vm_enough_memory",
    // Since a later version.
    "xfrm_decode_session",
];

/// Hooks whose arguments are not yet, or no longer, what they point to (`untrusted_lsm_hooks`).
const UNTRUSTED: &[&str] = &[
    "bdev_alloc_security",
    "bdev_free_security",
    "bpf_map_free",
    "bpf_prog_free",
    "file_alloc_security",
    "file_free_security",
    "sk_alloc_security",
    "sk_free_security",
    "task_free",
];

/// Arguments of hooks, by place, that may be NULL: later versions say so in their types (of a mapping without a file).
const NULLABLE: &[(&str, u32)] = &[("mmap_file", 0)];

/// Hooks that are answered with 0 or 1 (`bool_lsm_hooks`).
const YES_OR_NO: &[&str] = &["audit_rule_known", "inode_xattr_skipcap", "xfrm_state_pol_flow_match"];

/// Hooks whose programs in control groups get and set the socket's options (`bpf_lsm_locked_sockopt_hooks`,
/// `bpf_lsm_unlocked_sockopt_hooks`).
const OPTIONS: &[&str] =
    &["inet_conn_established", "inet_csk_clone", "sock_graft", "socket_post_create", "socket_socketpair"];

/// Whether the hook's programs may sleep.
pub fn hook_sleeps(hook: &str) -> bool {
    SLEEPABLE.contains(&hook)
}

/// Whether no program may answer for the hook.
pub fn hook_is_disabled(hook: &str) -> bool {
    DISABLED.contains(&hook)
}

/// Whether what the hook's arguments point to is there while the program runs.
pub fn hook_is_trusted(hook: &str) -> bool {
    !UNTRUSTED.contains(&hook)
}

/// Whether an argument of a hook may be NULL.
pub fn hook_arg_nullable(hook: &str, arg: u32) -> bool {
    NULLABLE.contains(&(hook, arg))
}

/// What a hook that returns something may return (`bpf_lsm_get_retval_range`).
pub fn hook_returns(hook: &str) -> ReturnRange {
    match YES_OR_NO.contains(&hook) {
        true => ReturnRange::LowWithin(0, 1),
        false => ReturnRange::LowWithin(-MAX_ERRNO, 0),
    }
}

/// Whether the hook's programs have a helper because of the hook; `cgroup`: they belong to a control group.
pub fn hook_offers(hook: &str, cgroup: bool, helper: u32) -> bool {
    match helper {
        // bpf_setsockopt, bpf_getsockopt
        49 | 57 => cgroup && OPTIONS.contains(&hook),
        // bpf_d_path, bpf_ima_inode_hash, bpf_ima_file_hash
        147 | 161 | 193 => hook_sleeps(hook),
        _ => false,
    }
}
