//! Tasks, control groups, keys and other objects of the kernel.

use super::{Kfunc, KfuncFlags as F, KfuncUsers as U, row};

pub(super) static ROWS: &[Kfunc] = &[
    row("bpf_task_acquire", F::ACQUIRE.with(F::RCU).with(F::RET_NULL), U::GENERIC, "A reference to a task."),
    row("bpf_task_release", F::RELEASE, U::GENERIC, "Gives a task back."),
    row(
        "bpf_task_from_pid",
        F::ACQUIRE.with(F::RET_NULL),
        U::GENERIC,
        "The task of a number, as the first namespace counts.",
    ),
    row(
        "bpf_task_from_vpid",
        F::ACQUIRE.with(F::RET_NULL),
        U::GENERIC,
        "The task of a number, as the namespace of the running task counts.",
    ),
    row(
        "bpf_task_get_cgroup1",
        F::ACQUIRE.with(F::RCU).with(F::RET_NULL),
        U::GENERIC,
        "A task's control group in a hierarchy of version 1.",
    ),
    row(
        "bpf_task_under_cgroup",
        F::RCU,
        U::GENERIC,
        "Whether a task is in a control group, or in one below it.",
    ),
    row("bpf_send_signal_task", F::TRUSTED_ARGS, U::GENERIC, "Sends a signal to a task."),
    row(
        "bpf_cgroup_acquire",
        F::ACQUIRE.with(F::RCU).with(F::RET_NULL),
        U::GENERIC,
        "A reference to a control group.",
    ),
    row("bpf_cgroup_release", F::RELEASE, U::GENERIC, "Gives a control group back."),
    row(
        "bpf_cgroup_ancestor",
        F::ACQUIRE.with(F::RCU).with(F::RET_NULL),
        U::GENERIC,
        "The control group that many levels below the root, above this one.",
    ),
    row("bpf_cgroup_from_id", F::ACQUIRE.with(F::RET_NULL), U::GENERIC, "The control group of a number."),
    row(
        "bpf_lookup_user_key",
        F::ACQUIRE.with(F::RET_NULL).with(F::SLEEPABLE),
        U::GENERIC,
        "A key of the running task.",
    ),
    row("bpf_lookup_system_key", F::ACQUIRE.with(F::RET_NULL), U::GENERIC, "A key ring of the system."),
    row("bpf_key_put", F::RELEASE, U::GENERIC, "Gives a key back."),
    row("bpf_cgroup_read_xattr", F::RCU, U::COMMON, "Reads an extended attribute of a control group."),
    row("bpf_verify_pkcs7_signature", F::SLEEPABLE, U::TRACING, "Whether a signature is good."),
    row(
        "css_rstat_updated",
        F::NONE,
        U::TRACING,
        "Notes that statistics of a control group changed on a CPU.",
    ),
    row("css_rstat_flush", F::SLEEPABLE, U::TRACING, "Sums the statistics of a control group up."),
    row("bpf_get_kmem_cache", F::RET_NULL, U::COMMON, "The cache that an address was allocated from."),
    row("crash_kexec", F::DESTRUCTIVE, U::GENERIC, "Boots the crash kernel."),
];
