//! Files.

use super::{Kfunc, KfuncFlags as F, KfuncUsers as U, Only, row};

pub(super) static ROWS: &[Kfunc] = &[
    row(
        "bpf_get_task_exe_file",
        F::ACQUIRE.with(F::TRUSTED_ARGS).with(F::RET_NULL),
        U::TRACING,
        "The file that a task runs.",
    )
    .only(Only::Lsm),
    row("bpf_put_file", F::RELEASE, U::TRACING, "Gives a file back.").only(Only::Lsm),
    row("bpf_path_d_path", F::TRUSTED_ARGS, U::TRACING, "The name of a path.").only(Only::Lsm),
    row(
        "bpf_get_dentry_xattr",
        F::SLEEPABLE.with(F::TRUSTED_ARGS),
        U::TRACING,
        "Reads an extended attribute of a directory's entry.",
    )
    .only(Only::Lsm),
    row(
        "bpf_get_file_xattr",
        F::SLEEPABLE.with(F::TRUSTED_ARGS),
        U::TRACING,
        "Reads an extended attribute of a file.",
    )
    .only(Only::Lsm),
    row(
        "bpf_set_dentry_xattr",
        F::SLEEPABLE.with(F::TRUSTED_ARGS),
        U::TRACING,
        "Sets an extended attribute of a directory's entry.",
    )
    .only(Only::Lsm),
    row(
        "bpf_remove_dentry_xattr",
        F::SLEEPABLE.with(F::TRUSTED_ARGS),
        U::TRACING,
        "Removes an extended attribute of a directory's entry.",
    )
    .only(Only::Lsm),
    row(
        "bpf_get_fsverity_digest",
        F::SLEEPABLE.with(F::TRUSTED_ARGS),
        U::TRACING,
        "The digest that a file is sealed with.",
    )
    .only(Only::Lsm),
];
