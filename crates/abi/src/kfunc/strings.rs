//! Strings.

use super::{Kfunc, KfuncFlags as F, KfuncUsers as U, row};

pub(super) static ROWS: &[Kfunc] = &[
    row("bpf_strcmp", F::NONE, U::COMMON, "Compares two strings."),
    row("bpf_strcasecmp", F::NONE, U::COMMON, "Compares two strings, upper and lower case alike."),
    row("bpf_strchr", F::NONE, U::COMMON, "Where a character first is."),
    row("bpf_strchrnul", F::NONE, U::COMMON, "Where a character first is, or the end."),
    row("bpf_strnchr", F::NONE, U::COMMON, "Where a character first is, within so many bytes."),
    row("bpf_strrchr", F::NONE, U::COMMON, "Where a character last is."),
    row("bpf_strlen", F::NONE, U::COMMON, "How long a string is."),
    row("bpf_strnlen", F::NONE, U::COMMON, "How long a string is, at most so long."),
    row("bpf_strspn", F::NONE, U::COMMON, "How many characters at the beginning are of a set."),
    row("bpf_strcspn", F::NONE, U::COMMON, "How many characters at the beginning are not of a set."),
    row("bpf_strstr", F::NONE, U::COMMON, "Where a string is in another."),
    row("bpf_strnstr", F::NONE, U::COMMON, "Where a string is in the beginning of another."),
    row("bpf_copy_from_user_str", F::SLEEPABLE, U::COMMON, "Reads a string of the user's; may wait for it."),
    row(
        "bpf_copy_from_user_task_str",
        F::SLEEPABLE,
        U::COMMON,
        "Reads a string of a task's; may wait for it.",
    ),
    row(
        "bpf_stream_vprintk_impl",
        F::TRUSTED_ARGS.with(F::UNDER_LOCK),
        U::COMMON,
        "Prints to a program's stream.",
    ),
];
