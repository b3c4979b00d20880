//! Objects that programs make, and fields of map values: lists, trees, work queues, arenas.

use super::{Kfunc, KfuncFlags as F, KfuncUsers as U, row};

pub(super) static ROWS: &[Kfunc] = &[
    row(
        "bpf_obj_new_impl",
        F::ACQUIRE.with(F::RET_NULL),
        U::GENERIC,
        "A new object of one of the program's types.",
    ),
    row("bpf_obj_drop_impl", F::RELEASE, U::GENERIC, "Gives an object back."),
    row("bpf_percpu_obj_new_impl", F::ACQUIRE.with(F::RET_NULL), U::GENERIC, "A new object for each CPU."),
    row("bpf_percpu_obj_drop_impl", F::RELEASE, U::GENERIC, "Gives the objects of all CPUs back."),
    row(
        "bpf_refcount_acquire_impl",
        F::ACQUIRE.with(F::RET_NULL).with(F::RCU).with(F::UNDER_LOCK),
        U::GENERIC,
        "A further reference to an object.",
    ),
    row("bpf_list_push_front_impl", F::UNDER_LOCK, U::GENERIC, "Puts an object first into a list."),
    row("bpf_list_push_back_impl", F::UNDER_LOCK, U::GENERIC, "Puts an object last into a list."),
    row(
        "bpf_list_pop_front",
        F::ACQUIRE.with(F::RET_NULL).with(F::UNDER_LOCK),
        U::GENERIC,
        "Takes the first object out of a list.",
    ),
    row(
        "bpf_list_pop_back",
        F::ACQUIRE.with(F::RET_NULL).with(F::UNDER_LOCK),
        U::GENERIC,
        "Takes the last object out of a list.",
    ),
    row("bpf_list_front", F::RET_NULL.with(F::UNDER_LOCK), U::GENERIC, "The first object of a list."),
    row("bpf_list_back", F::RET_NULL.with(F::UNDER_LOCK), U::GENERIC, "The last object of a list."),
    row("bpf_rbtree_add_impl", F::UNDER_LOCK, U::GENERIC, "Puts an object into a tree."),
    row(
        "bpf_rbtree_remove",
        F::ACQUIRE.with(F::RET_NULL).with(F::UNDER_LOCK),
        U::GENERIC,
        "Takes an object out of a tree.",
    ),
    row("bpf_rbtree_first", F::RET_NULL.with(F::UNDER_LOCK), U::GENERIC, "The first object of a tree."),
    row("bpf_rbtree_root", F::RET_NULL.with(F::UNDER_LOCK), U::GENERIC, "The root of a tree."),
    row("bpf_rbtree_left", F::RET_NULL.with(F::UNDER_LOCK), U::GENERIC, "The left child of a node."),
    row("bpf_rbtree_right", F::RET_NULL.with(F::UNDER_LOCK), U::GENERIC, "The right child of a node."),
    row("bpf_wq_init", F::NONE, U::COMMON, "Prepares a work queue in a map value."),
    row("bpf_wq_set_callback_impl", F::NONE, U::COMMON, "Says what a work queue runs."),
    row("bpf_wq_start", F::NONE, U::COMMON, "Lets a work queue run."),
    row("bpf_task_work_schedule_signal_impl", F::TRUSTED_ARGS, U::COMMON, "Lets a task run a function soon."),
    row(
        "bpf_task_work_schedule_resume_impl",
        F::TRUSTED_ARGS,
        U::COMMON,
        "Lets a task run a function before it goes on in user space.",
    ),
    row("bpf_arena_alloc_pages", F::TRUSTED_ARGS.with(F::SLEEPABLE), U::COMMON, "Pages of an arena."),
    row(
        "bpf_arena_free_pages",
        F::TRUSTED_ARGS.with(F::SLEEPABLE),
        U::COMMON,
        "Gives pages of an arena back.",
    ),
    row(
        "bpf_arena_reserve_pages",
        F::TRUSTED_ARGS.with(F::SLEEPABLE),
        U::COMMON,
        "Keeps pages of an arena from being used.",
    ),
];
