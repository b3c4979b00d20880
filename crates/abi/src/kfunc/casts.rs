//! Pointers seen as others, and what is for tests.

use super::{Kfunc, KfuncEffect, KfuncFlags as F, KfuncUsers as U, Only, row};

pub(super) static ROWS: &[Kfunc] = &[
    row("bpf_cast_to_kern_ctx", F::FASTCALL, U::COMMON, "The kernel's own structure behind the context.")
        .doing(KfuncEffect::CastsContext),
    row("bpf_rdonly_cast", F::FASTCALL, U::COMMON, "Any address as a structure of the kernel, to be read.")
        .doing(KfuncEffect::CastsReadOnly),
    row(
        "bpf_session_is_return",
        F::NONE,
        U::KPROBE,
        "Whether the program runs at the return of the function.",
    )
    .only(Only::Sessions),
    row(
        "bpf_session_cookie",
        F::NONE,
        U::KPROBE,
        "A number that the program at the entry leaves for the one at the return.",
    )
    .only(Only::Sessions)
    .doing(KfuncEffect::SessionCookie),
    row("bpf_map_sum_elem_count", F::TRUSTED_ARGS, U::COMMON, "How many elements a map has."),
    row("bpf_modify_return_test_tp", F::NONE, U::COMMON, "Runs a tracepoint of the kernel's own tests."),
    row("bpf_kfunc_call_test_release", F::RELEASE, U::TESTS, "For the kernel's own tests."),
    row("bpf_kfunc_call_memb_release", F::RELEASE, U::TESTS, "For the kernel's own tests."),
    row("bpf_fentry_test1", F::NONE, U::NONE, "To be traced; programs do not call it."),
    row("bpf_modify_return_test", F::NONE, U::NONE, "To be traced; programs do not call it."),
    row("bpf_modify_return_test2", F::NONE, U::NONE, "To be traced; programs do not call it."),
];
