//! Functions of the kernel that programs call by their number in its types (kfuncs).
//!
//! What they take and give stands in the types; what the kernel notes beside that, and who may call them, stands in the
//! rows here (`BTF_ID_FLAGS` and `register_btf_kfunc_id_set`, Linux 6.18). A test asks the running kernel for each.

mod casts;
mod cpumask;
mod dynptrs;
mod fields;
mod files;
mod iterators;
mod net;
mod objects;
mod sections;
mod strings;

use crate::{AttachType, ProgramType};

/// A part of a program that something must not disturb.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Undisturbed {
    /// Nothing that is looked at goes away meanwhile (RCU).
    Rcu,
    /// The program stays on its CPU and no other runs there meanwhile.
    Preemption,
    /// Not even an interrupt runs on the CPU meanwhile. What was before is kept on the program's stack.
    Interrupts,
}

/// What a call does beside what its prototype and its flags say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KfuncEffect {
    /// Nothing.
    None,
    /// Begins a section.
    Enters(Undisturbed),
    /// Ends the section.
    Leaves(Undisturbed),
    /// Gives the kernel's own structure behind the program's context.
    CastsContext,
    /// Gives its first argument as a structure of the type that the second is the number of.
    CastsReadOnly,
    /// Gives 8 bytes that may be written.
    SessionCookie,
    /// Takes the lock that it is given, or fails; with flags, and turns interrupts off.
    TakesLock,
    /// Gives the lock back.
    GivesLock,
    /// Must never be reached.
    Traps,
    /// Leaves the program, however deep its calls are.
    Throws,
    /// Only for programs that are bound to a device.
    NeedsDevice,
}

/// What the kernel notes of a function (`KF_…`); a set of bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KfuncFlags(pub u32);

impl KfuncFlags {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Returns a reference.
    pub const ACQUIRE: Self = Self(1 << 0);
    /// Releases the reference that it is given.
    pub const RELEASE: Self = Self(1 << 1);
    /// What it returns may be NULL.
    pub const RET_NULL: Self = Self(1 << 2);
    /// Pointers must be trusted, and not NULL.
    pub const TRUSTED_ARGS: Self = Self(1 << 4);
    /// May sleep.
    pub const SLEEPABLE: Self = Self(1 << 5);
    /// May stop the machine.
    pub const DESTRUCTIVE: Self = Self(1 << 6);
    /// Pointers must be trusted, or to what stays as long as nothing goes away; and not NULL.
    pub const RCU: Self = Self(1 << 7);
    /// Begins an iterator.
    pub const ITER_NEW: Self = Self(1 << 8);
    /// Gives an iterator's next element.
    pub const ITER_NEXT: Self = Self(1 << 9);
    /// Ends an iterator.
    pub const ITER_DESTROY: Self = Self(1 << 10);
    /// Is only called where nothing goes away, and what it returns stays as long.
    pub const RCU_PROTECTED: Self = Self(1 << 11);
    /// Leaves `r1` to `r5` as they are.
    pub const FASTCALL: Self = Self(1 << 12);
    /// May be called while a lock is held (`kfunc_spin_allowed`).
    pub const UNDER_LOCK: Self = Self(1 << 16);
    /// Packet pointers are void afterwards (`bpf_is_kfunc_pkt_changing`).
    pub const CHANGES_PACKET: Self = Self(1 << 17);

    /// Whether all bits of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The bits of both.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Program types that may call a function; a set (`bpf_prog_type_to_kfunc_hook`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KfuncUsers(pub u32);

impl KfuncUsers {
    /// None: the function is there to be traced.
    pub const NONE: Self = Self(0);
    /// XDP.
    pub const XDP: Self = Self(1 << 0);
    /// Classifiers of traffic control.
    pub const TC: Self = Self(1 << 1);
    /// Actions of traffic control.
    pub const ACT: Self = Self(1 << 2);
    /// Programs in the place of the kernel's own operations.
    pub const STRUCT_OPS: Self = Self(1 << 3);
    /// Tracepoints, perf events, and programs for functions and hooks of the kernel.
    pub const TRACING: Self = Self(1 << 4);
    /// System calls.
    pub const SYSCALL: Self = Self(1 << 5);
    /// What hangs on control groups.
    pub const CGROUP: Self = Self(1 << 6);
    /// Parsers of socket maps.
    pub const SK_SKB: Self = Self(1 << 7);
    /// Socket filters.
    pub const SOCKET_FILTER: Self = Self(1 << 8);
    /// Light-weight tunnels.
    pub const LWT: Self = Self(1 << 9);
    /// Packet filters.
    pub const NETFILTER: Self = Self(1 << 10);
    /// Kprobes.
    pub const KPROBE: Self = Self(1 << 11);
    /// Every type, also those that are in no other set.
    pub const COMMON: Self = Self(u32::MAX);

    /// `generic_kfunc_set`.
    const GENERIC: Self = Self(
        Self::TC.0 | Self::XDP.0 | Self::TRACING.0 | Self::STRUCT_OPS.0 | Self::SYSCALL.0 | Self::CGROUP.0,
    );
    /// `cpumask_kfunc_set`.
    const CPUMASK: Self = Self(Self::TRACING.0 | Self::STRUCT_OPS.0 | Self::SYSCALL.0);
    /// `bpf_kfunc_set_skb`.
    const SKB: Self = Self(
        Self::TC.0
            | Self::ACT.0
            | Self::SK_SKB.0
            | Self::SOCKET_FILTER.0
            | Self::CGROUP.0
            | Self::LWT.0
            | Self::NETFILTER.0
            | Self::TRACING.0,
    );
    /// `bpf_kfunc_set_skb_meta`.
    const TC_ACT: Self = Self(Self::TC.0 | Self::ACT.0);
    /// `crypt_kfunc_set`.
    const TC_ACT_XDP: Self = Self(Self::TC.0 | Self::ACT.0 | Self::XDP.0);
    /// `nf_conntrack_kfunc_set`.
    const XDP_TC: Self = Self(Self::XDP.0 | Self::TC.0);
    /// `bpf_prog_test_kfunc_set`.
    const TESTS: Self = Self(Self::TC.0 | Self::TRACING.0 | Self::SYSCALL.0);

    /// The set that a program type is in; a type that is in none may call only what every type may.
    pub fn of(prog_type: ProgramType) -> Self {
        let found = HOOKS.iter().find(|(types, _)| types.contains(&prog_type));
        found.map_or(Self::NONE, |(_, set)| *set)
    }
}

/// Program types by the set that they are in.
static HOOKS: &[(&[ProgramType], KfuncUsers)] = &[
    (&[ProgramType::XDP], KfuncUsers::XDP),
    (&[ProgramType::SCHED_CLS], KfuncUsers::TC),
    (&[ProgramType::SCHED_ACT], KfuncUsers::ACT),
    (&[ProgramType::STRUCT_OPS], KfuncUsers::STRUCT_OPS),
    (
        &[ProgramType::TRACING, ProgramType::TRACEPOINT, ProgramType::PERF_EVENT, ProgramType::LSM],
        KfuncUsers::TRACING,
    ),
    (&[ProgramType::SYSCALL], KfuncUsers::SYSCALL),
    (
        &[
            ProgramType::CGROUP_SKB,
            ProgramType::CGROUP_SOCK,
            ProgramType::CGROUP_DEVICE,
            ProgramType::CGROUP_SOCK_ADDR,
            ProgramType::CGROUP_SOCKOPT,
            ProgramType::CGROUP_SYSCTL,
            ProgramType::SOCK_OPS,
        ],
        KfuncUsers::CGROUP,
    ),
    (&[ProgramType::SK_SKB], KfuncUsers::SK_SKB),
    (&[ProgramType::SOCKET_FILTER], KfuncUsers::SOCKET_FILTER),
    (
        &[ProgramType::LWT_IN, ProgramType::LWT_OUT, ProgramType::LWT_XMIT, ProgramType::LWT_SEG6LOCAL],
        KfuncUsers::LWT,
    ),
    (&[ProgramType::NETFILTER], KfuncUsers::NETFILTER),
    (&[ProgramType::KPROBE], KfuncUsers::KPROBE),
];

/// Which programs of those types only (the `filter` of a `struct btf_kfunc_id_set`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Only {
    /// All.
    Any,
    /// Those that an iterator runs.
    Iterators,
    /// Those of security hooks.
    Lsm,
    /// Those that run at the entry and at the return of a function.
    Sessions,
}

/// A function of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kfunc {
    /// Name in the kernel's types.
    pub name: &'static str,
    /// What the kernel notes of it.
    pub flags: KfuncFlags,
    /// Who may call it.
    pub users: KfuncUsers,
    /// And of those, which.
    pub only: Only,
    /// What a call does beside.
    pub effect: KfuncEffect,
    /// One line: what it is for.
    pub doc: &'static str,
}

impl Kfunc {
    /// Whether programs of the type, under an expected attach type, may call it (`btf_kfunc_id_set_contains`).
    pub fn may_be_called(&self, prog_type: ProgramType, attach: AttachType) -> bool {
        let common = self.users == KfuncUsers::COMMON;
        let only = match self.only {
            Only::Any => true,
            Only::Iterators => attach == AttachType::TRACE_ITER,
            Only::Lsm => prog_type == ProgramType::LSM,
            Only::Sessions => {
                attach == AttachType::TRACE_KPROBE_SESSION || attach == AttachType::TRACE_UPROBE_SESSION
            }
        };
        only && (common || self.users.0 & KfuncUsers::of(prog_type).0 != 0)
    }

    const fn only(mut self, only: Only) -> Self {
        self.only = only;
        self
    }

    const fn doing(mut self, effect: KfuncEffect) -> Self {
        self.effect = effect;
        self
    }
}

const fn row(name: &'static str, flags: KfuncFlags, users: KfuncUsers, doc: &'static str) -> Kfunc {
    Kfunc { name, flags, users, only: Only::Any, effect: KfuncEffect::None, doc }
}

/// The rows, by family.
static FAMILIES: &[&[Kfunc]] = &[
    objects::ROWS,
    cpumask::ROWS,
    sections::ROWS,
    casts::ROWS,
    iterators::ROWS,
    dynptrs::ROWS,
    fields::ROWS,
    strings::ROWS,
    files::ROWS,
    net::ROWS,
];

/// All functions.
pub fn kfuncs() -> impl Iterator<Item = &'static Kfunc> {
    FAMILIES.iter().copied().flatten()
}

/// The function of a name.
pub fn kfunc(name: &str) -> Option<&'static Kfunc> {
    kfuncs().find(|k| k.name == name)
}
