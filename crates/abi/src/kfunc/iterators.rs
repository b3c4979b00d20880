//! Open-coded iterators.

use super::{Kfunc, KfuncFlags as F, KfuncUsers as U, row};

pub(super) static ROWS: &[Kfunc] = &[
    row("bpf_iter_num_new", F::ITER_NEW.with(F::UNDER_LOCK), U::COMMON, "Begins to walk numbers."),
    row(
        "bpf_iter_num_next",
        F::ITER_NEXT.with(F::RET_NULL).with(F::UNDER_LOCK),
        U::COMMON,
        "The next of numbers.",
    ),
    row(
        "bpf_iter_num_destroy",
        F::ITER_DESTROY.with(F::UNDER_LOCK),
        U::COMMON,
        "Ends the walk over numbers.",
    ),
    row("bpf_iter_bits_new", F::ITER_NEW, U::COMMON, "Begins to walk the bits that are set."),
    row(
        "bpf_iter_bits_next",
        F::ITER_NEXT.with(F::RET_NULL),
        U::COMMON,
        "The next of the bits that are set.",
    ),
    row("bpf_iter_bits_destroy", F::ITER_DESTROY, U::COMMON, "Ends the walk over the bits that are set."),
    row(
        "bpf_iter_task_new",
        F::ITER_NEW.with(F::TRUSTED_ARGS).with(F::RCU_PROTECTED),
        U::COMMON,
        "Begins to walk tasks.",
    ),
    row("bpf_iter_task_next", F::ITER_NEXT.with(F::RET_NULL), U::COMMON, "The next of tasks."),
    row("bpf_iter_task_destroy", F::ITER_DESTROY, U::COMMON, "Ends the walk over tasks."),
    row(
        "bpf_iter_task_vma_new",
        F::ITER_NEW.with(F::RCU),
        U::COMMON,
        "Begins to walk a task's areas of memory.",
    ),
    row(
        "bpf_iter_task_vma_next",
        F::ITER_NEXT.with(F::RET_NULL),
        U::COMMON,
        "The next of a task's areas of memory.",
    ),
    row(
        "bpf_iter_task_vma_destroy",
        F::ITER_DESTROY,
        U::COMMON,
        "Ends the walk over a task's areas of memory.",
    ),
    row(
        "bpf_iter_css_new",
        F::ITER_NEW.with(F::TRUSTED_ARGS).with(F::RCU_PROTECTED),
        U::COMMON,
        "Begins to walk control groups below one.",
    ),
    row(
        "bpf_iter_css_next",
        F::ITER_NEXT.with(F::RET_NULL),
        U::COMMON,
        "The next of control groups below one.",
    ),
    row("bpf_iter_css_destroy", F::ITER_DESTROY, U::COMMON, "Ends the walk over control groups below one."),
    row(
        "bpf_iter_css_task_new",
        F::ITER_NEW.with(F::TRUSTED_ARGS),
        U::COMMON,
        "Begins to walk tasks of a control group.",
    ),
    row(
        "bpf_iter_css_task_next",
        F::ITER_NEXT.with(F::RET_NULL),
        U::COMMON,
        "The next of tasks of a control group.",
    ),
    row(
        "bpf_iter_css_task_destroy",
        F::ITER_DESTROY,
        U::COMMON,
        "Ends the walk over tasks of a control group.",
    ),
    row(
        "bpf_iter_kmem_cache_new",
        F::ITER_NEW.with(F::SLEEPABLE),
        U::COMMON,
        "Begins to walk caches of memory.",
    ),
    row(
        "bpf_iter_kmem_cache_next",
        F::ITER_NEXT.with(F::RET_NULL).with(F::SLEEPABLE),
        U::COMMON,
        "The next of caches of memory.",
    ),
    row(
        "bpf_iter_kmem_cache_destroy",
        F::ITER_DESTROY.with(F::SLEEPABLE),
        U::COMMON,
        "Ends the walk over caches of memory.",
    ),
    row(
        "bpf_iter_dmabuf_new",
        F::ITER_NEW.with(F::SLEEPABLE),
        U::COMMON,
        "Begins to walk buffers shared between devices.",
    ),
    row(
        "bpf_iter_dmabuf_next",
        F::ITER_NEXT.with(F::RET_NULL).with(F::SLEEPABLE),
        U::COMMON,
        "The next of buffers shared between devices.",
    ),
    row(
        "bpf_iter_dmabuf_destroy",
        F::ITER_DESTROY.with(F::SLEEPABLE),
        U::COMMON,
        "Ends the walk over buffers shared between devices.",
    ),
];
