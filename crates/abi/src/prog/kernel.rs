//! Program types that only a kernel runs, since their context is the kernel's own.

use super::{
    AttachRules, AttachType, PLAIN, ProgramType, ProgramTypeRow, ReturnRange, Sleep, THAT_TRACES, ids, own,
    under,
};
use crate::context::TRACED_ARGUMENTS;

/// The rows of types that only a kernel runs, since their context is the kernel's own.
pub static KERNEL_PROGRAM_TYPES: &[ProgramTypeRow] = &[
    ProgramTypeRow {
        id: ProgramType::TRACING,
        ctx: TRACED_ARGUMENTS,
        attach_rules: &[
            AttachRules {
                helpers: &[ids::TRACING_COOKIE, ids::SOCKET_STORAGE],
                ..under(&[AttachType::TRACE_RAW_TP])
            },
            AttachRules {
                returns: Some(ReturnRange::Within(0, 0)),
                sleep: Some(Sleep::IfLoadedSo),
                helpers: &[
                    ids::TRACING_COOKIE,
                    ids::FUNCTION_ARGUMENTS,
                    ids::FUNCTION_RESULT,
                    ids::SOCKET_STORAGE,
                ],
                ..under(&[AttachType::TRACE_FENTRY, AttachType::TRACE_FEXIT])
            },
            AttachRules {
                sleep: Some(Sleep::IfLoadedSo),
                helpers: &[ids::TRACING_COOKIE, ids::FUNCTION_ARGUMENTS, ids::FUNCTION_RESULT],
                ..under(&[AttachType::MODIFY_RETURN])
            },
            AttachRules {
                returns: Some(ReturnRange::Within(0, 1)),
                sleep: Some(Sleep::IfLoadedSo),
                helpers: &[ids::ITERATORS, ids::SOCKET_STORAGE],
                ..under(&[AttachType::TRACE_ITER])
            },
        ],
        attach_types: &[
            AttachType::TRACE_RAW_TP,
            AttachType::TRACE_FENTRY,
            AttachType::TRACE_FEXIT,
            AttachType::MODIFY_RETURN,
            AttachType::TRACE_ITER,
        ],
        private_stack: true,
        helpers: base_and!(TRACING, KERNEL_SOCKETS, TYPED_TRACING),
        own_helpers: own::TRACING,
        ..THAT_TRACES
    },
    ProgramTypeRow {
        id: ProgramType::LSM,
        ctx: TRACED_ARGUMENTS,
        // Of a hook that returns nothing, and outside control groups, the hook says what is legal.
        returns: ReturnRange::Within(0, 1),
        attach_rules: &[
            AttachRules {
                helpers: &[ids::TRACING_COOKIE, ids::FUNCTION_ARGUMENTS, ids::FUNCTION_RESULT],
                ..under(&[AttachType::LSM_MAC])
            },
            AttachRules {
                helpers: &[ids::CGROUP_STORAGE, ids::CGROUP_RETVAL],
                ..under(&[AttachType::LSM_CGROUP])
            },
        ],
        attach_types: &[AttachType::LSM_MAC, AttachType::LSM_CGROUP],
        sleep: Sleep::IfLoadedSo,
        helpers: base_and!(TRACING, KERNEL_SOCKETS, TYPED_TRACING, SOCKET_STORAGE, LSM),
        own_helpers: own::LSM,
        ..THAT_TRACES
    },
    ProgramTypeRow {
        id: ProgramType::STRUCT_OPS,
        ctx: TRACED_ARGUMENTS,
        needs: crate::Capability::Perfmon,
        sleep: Sleep::IfLoadedSo,
        own_helpers: own::STRUCT_OPS,
        ..PLAIN
    },
];
