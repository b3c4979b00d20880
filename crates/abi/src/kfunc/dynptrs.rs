//! Dynptrs, and what takes them.

use super::{Kfunc, KfuncFlags as F, KfuncUsers as U, row};

pub(super) static ROWS: &[Kfunc] = &[
    row("bpf_dynptr_from_skb", F::TRUSTED_ARGS, U::SKB, "A dynptr to a packet."),
    row("bpf_dynptr_from_skb_meta", F::TRUSTED_ARGS, U::TC_ACT, "A dynptr to the metadata of a packet."),
    row("bpf_dynptr_from_xdp", F::NONE, U::XDP, "A dynptr to a packet."),
    row("bpf_dynptr_slice", F::RET_NULL, U::COMMON, "Bytes of a dynptr, to be read."),
    row("bpf_dynptr_slice_rdwr", F::RET_NULL, U::COMMON, "Bytes of a dynptr, to be read and written."),
    row("bpf_dynptr_adjust", F::NONE, U::COMMON, "Narrows a dynptr."),
    row("bpf_dynptr_is_null", F::NONE, U::COMMON, "Whether a dynptr points to nothing."),
    row("bpf_dynptr_is_rdonly", F::NONE, U::COMMON, "Whether a dynptr is only read."),
    row("bpf_dynptr_size", F::NONE, U::COMMON, "How many bytes a dynptr has."),
    row("bpf_dynptr_clone", F::NONE, U::COMMON, "Another dynptr to the same."),
    row("bpf_dynptr_copy", F::NONE, U::COMMON, "Copies between dynptrs."),
    row("bpf_dynptr_memset", F::NONE, U::COMMON, "Fills a dynptr with a byte."),
    row("bpf_probe_read_user_dynptr", F::NONE, U::COMMON, "Reads the user's memory into a dynptr."),
    row("bpf_probe_read_kernel_dynptr", F::NONE, U::COMMON, "Reads the kernel's memory into a dynptr."),
    row("bpf_probe_read_user_str_dynptr", F::NONE, U::COMMON, "Reads a string of the user's into a dynptr."),
    row(
        "bpf_probe_read_kernel_str_dynptr",
        F::NONE,
        U::COMMON,
        "Reads a string of the kernel's into a dynptr.",
    ),
    row(
        "bpf_copy_from_user_dynptr",
        F::SLEEPABLE,
        U::COMMON,
        "Reads the user's memory into a dynptr; may wait for it.",
    ),
    row(
        "bpf_copy_from_user_str_dynptr",
        F::SLEEPABLE,
        U::COMMON,
        "Reads a string of the user's into a dynptr; may wait for it.",
    ),
    row(
        "bpf_copy_from_user_task_dynptr",
        F::SLEEPABLE.with(F::TRUSTED_ARGS),
        U::COMMON,
        "Reads a task's memory into a dynptr; may wait for it.",
    ),
    row(
        "bpf_copy_from_user_task_str_dynptr",
        F::SLEEPABLE.with(F::TRUSTED_ARGS),
        U::COMMON,
        "Reads a string of a task's into a dynptr; may wait for it.",
    ),
    row(
        "bpf_crypto_ctx_create",
        F::ACQUIRE.with(F::RET_NULL).with(F::SLEEPABLE),
        U::SYSCALL,
        "What is needed to encrypt and decrypt.",
    ),
    row(
        "bpf_crypto_ctx_acquire",
        F::ACQUIRE.with(F::RCU).with(F::RET_NULL),
        U::SYSCALL,
        "A reference to it.",
    ),
    row("bpf_crypto_ctx_release", F::RELEASE, U::SYSCALL, "Gives it back."),
    row("bpf_crypto_encrypt", F::RCU, U::TC_ACT_XDP, "Encrypts a dynptr."),
    row("bpf_crypto_decrypt", F::RCU, U::TC_ACT_XDP, "Decrypts a dynptr."),
];
