//! Functions of the kernel for objects that programs allocate, lists and trees of them, and work that is done later
//! (kfuncs of kernel/bpf/helpers.c, Linux 6.18).

use crate::ProgramType;

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
}

impl ObjectFn {
    /// It may be called while a lock is held (`is_bpf_graph_api_kfunc`).
    pub const fn is_for_locked(self) -> bool {
        match self {
            Self::Acquire
            | Self::ListPush
            | Self::ListPop
            | Self::ListPeek
            | Self::TreeAdd
            | Self::TreeRemove
            | Self::TreePeek
            | Self::TreeStep => true,
            Self::New
            | Self::NewPerCpu
            | Self::Drop
            | Self::DropPerCpu
            | Self::WorkInit
            | Self::WorkSet
            | Self::WorkStart => false,
        }
    }

    /// Whether programs of the type have it (`generic_kfunc_set`, `common_kfunc_set`).
    pub fn is_for(self, kind: ProgramType) -> bool {
        matches!(self, Self::WorkInit | Self::WorkSet | Self::WorkStart) || TYPES.contains(&kind)
    }
}

/// Program types with the hooks that the set is registered for (`bpf_prog_type_to_kfunc_hook`).
const TYPES: &[ProgramType] = &[
    ProgramType::SCHED_CLS,
    ProgramType::XDP,
    ProgramType::SYSCALL,
    ProgramType::STRUCT_OPS,
    ProgramType::TRACING,
    ProgramType::TRACEPOINT,
    ProgramType::PERF_EVENT,
    ProgramType::LSM,
    ProgramType::CGROUP_SKB,
    ProgramType::CGROUP_SOCK,
    ProgramType::CGROUP_DEVICE,
    ProgramType::CGROUP_SOCK_ADDR,
    ProgramType::CGROUP_SOCKOPT,
    ProgramType::CGROUP_SYSCTL,
    ProgramType::SOCK_OPS,
];

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
];

/// The function of a name, with the name that stays.
pub fn object_fn(name: &str) -> Option<(&'static str, ObjectFn)> {
    OBJECT_FNS.iter().find(|(n, _)| *n == name).copied()
}
