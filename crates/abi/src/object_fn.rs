//! What functions of the kernel do with objects that programs allocate, with lists and trees of them, and with work
//! that is done later (kfuncs of kernel/bpf/helpers.c, Linux 6.18). Who may call them stands in their rows.

/// What such a function does. Its arguments are named by their place, `r1` the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectFn {
    /// Allocates an object of the type whose number in the program's own types is `r1`, or gives NULL.
    New,
    /// The same for each CPU.
    NewPerCpu,
    /// Drops the object `r1`.
    Drop,
    /// Drops one that each CPU has.
    DropPerCpu,
    /// Becomes one more owner of `r1`, if it is still there.
    Acquire,
    /// Puts the node `r2` of an object into the list `r1`.
    ListPush,
    /// Takes an object out of the list `r1`, or gives NULL.
    ListPop,
    /// Looks at an object in the list `r1`, which it stays in.
    ListPeek,
    /// Puts the node `r2` into the tree `r1`, sorted by the function `r3`.
    TreeAdd,
    /// Takes the node `r2` out of the tree `r1`, or gives NULL if it is not in there.
    TreeRemove,
    /// Looks at a node of the tree `r1`.
    TreePeek,
    /// Looks at a node of the tree `r1` below `r2`.
    TreeStep,
    /// Prepares the work queue `r1` in a value of the map `r2`.
    WorkInit,
    /// Says that the work queue `r1` calls the function `r2`.
    WorkSet,
    /// Starts the work of `r1`.
    WorkStart,
    /// Lets the task `r1` do the work `r2`, which lies in a value of the map `r3`: call the function `r4`.
    TaskWork,
}

/// The functions by their names in the kernel's types.
pub static OBJECT_FNS: &[(&str, ObjectFn)] = &[
    ("bpf_obj_new_impl", ObjectFn::New),
    ("bpf_percpu_obj_new_impl", ObjectFn::NewPerCpu),
    ("bpf_obj_drop_impl", ObjectFn::Drop),
    ("bpf_percpu_obj_drop_impl", ObjectFn::DropPerCpu),
    ("bpf_refcount_acquire_impl", ObjectFn::Acquire),
    ("bpf_list_push_front_impl", ObjectFn::ListPush),
    ("bpf_list_push_back_impl", ObjectFn::ListPush),
    ("bpf_list_pop_front", ObjectFn::ListPop),
    ("bpf_list_pop_back", ObjectFn::ListPop),
    ("bpf_list_front", ObjectFn::ListPeek),
    ("bpf_list_back", ObjectFn::ListPeek),
    ("bpf_rbtree_add_impl", ObjectFn::TreeAdd),
    ("bpf_rbtree_remove", ObjectFn::TreeRemove),
    ("bpf_rbtree_first", ObjectFn::TreePeek),
    ("bpf_rbtree_root", ObjectFn::TreePeek),
    ("bpf_rbtree_left", ObjectFn::TreeStep),
    ("bpf_rbtree_right", ObjectFn::TreeStep),
    ("bpf_wq_init", ObjectFn::WorkInit),
    ("bpf_wq_set_callback_impl", ObjectFn::WorkSet),
    ("bpf_wq_start", ObjectFn::WorkStart),
    ("bpf_task_work_schedule_signal_impl", ObjectFn::TaskWork),
    ("bpf_task_work_schedule_resume_impl", ObjectFn::TaskWork),
];

/// The function of a name, with the name that stays.
pub fn object_fn(name: &str) -> Option<(&'static str, ObjectFn)> {
    OBJECT_FNS.iter().find(|(n, _)| *n == name).copied()
}
