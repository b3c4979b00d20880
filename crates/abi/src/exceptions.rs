//! Exceptions (`bpf_throw`).

use crate::ProgramType;

/// The types whose programs may throw (`generic_kfunc_set`, kernel/bpf/helpers.c, Linux 6.18).
const THROWING: &[ProgramType] = &[
    ProgramType::SCHED_CLS,
    ProgramType::TRACEPOINT,
    ProgramType::XDP,
    ProgramType::PERF_EVENT,
    ProgramType::CGROUP_SKB,
    ProgramType::CGROUP_SOCK,
    ProgramType::SOCK_OPS,
    ProgramType::CGROUP_DEVICE,
    ProgramType::CGROUP_SOCK_ADDR,
    ProgramType::CGROUP_SYSCTL,
    ProgramType::CGROUP_SOCKOPT,
    ProgramType::TRACING,
    ProgramType::STRUCT_OPS,
    ProgramType::LSM,
    ProgramType::SYSCALL,
];

/// Whether programs of a type may throw.
pub fn may_throw(prog_type: ProgramType) -> bool {
    THROWING.contains(&prog_type)
}
