//! Which functions of the kernel programs may be attached to (`bpf_check_attach_target` and `check_attach_btf_id` in
//! kernel/bpf/verifier.c, `btf_distill_func_proto` in kernel/bpf/btf.c, Linux 6.18).
//!
//! What types do not say, the kernel finds out when it loads the program: that the function has an address, and for
//! programs that sleep or change the result, that the function is listed for that.

use alloc::format;
use alloc::string::String;

use skep_abi::AttachType;
use skep_btf::{Btf, Param, Type, TypeId};
use skep_spec::ProgramSpec;

use crate::Code;
use crate::violation::{Check, Explain, refuse, unsupported};

/// Arguments that a trampoline saves (`MAX_BPF_FUNC_ARGS`).
const MOST: usize = 12;

/// Functions that the trampoline itself needs (`btf_id_deny`).
const NEVER: &[&str] = &[
    "migrate_disable",
    "migrate_enable",
    "rcu_read_unlock_strict",
    "preempt_count_add",
    "preempt_count_sub",
    "__rcu_read_lock",
    "__rcu_read_unlock",
];

/// Functions that do not return (`noreturn_deny`).
const NO_RETURN: &[&str] = &[
    "__ia32_sys_exit",
    "__ia32_sys_exit_group",
    "__x64_sys_exit",
    "__x64_sys_exit_group",
    "do_exit",
    "do_group_exit",
    "kthread_complete_and_exit",
    "make_task_dead",
];

/// Bytes of the longest argument (`btf_distill_func_proto`).
const LONGEST: u32 = 16;

/// Name of the parameter of system calls that the kernel was built without (`COND_SYSCALL`): they are in no list.
const MISSING: &str = "__unused";

/// Whether programs of the attach type may be on the function.
pub(super) fn may_be_traced(spec: &ProgramSpec, name: &str) -> Check<()> {
    if NEVER.contains(&name) {
        return refuse_function(
            format!("Attaching tracing programs to function '{name}' is rejected."),
            name,
        );
    }
    if spec.attach_type != AttachType::TRACE_FENTRY && NO_RETURN.contains(&name) {
        let words = format!("Attaching fexit/fmod_ret to __noreturn function '{name}' is rejected.");
        return refuse_function(words, name);
    }
    if name.starts_with("bpf_sk_storage") {
        return unsupported(format!("programs for function {name}, which helpers call"));
    }
    Ok(())
}

/// Whether the function is in the list that such programs need.
pub(super) fn is_listed(spec: &ProgramSpec, btf: &Btf, name: &str, params: &[Param]) -> Check<()> {
    let there = !params.iter().any(|param| btf.str(param.name) == MISSING);
    if spec.flags & ProgramSpec::SLEEPABLE != 0 {
        return match there && skep_abi::function_sleeps(name) {
            true => Ok(()),
            false => unsupported(format!(
                "programs that sleep for function {name}: its list is not in the kernel's types"
            )),
        };
    }
    if spec.attach_type != AttachType::MODIFY_RETURN || there && skep_abi::function_is_modifiable(name) {
        return Ok(());
    }
    unsupported(format!(
        "programs that change what function {name} returns: the list of those is not in the kernel's types"
    ))
}

/// Whether a trampoline can call the function.
pub(super) fn may_be_called(btf: &Btf, name: &str, ret: TypeId, params: &[Param]) -> Check<()> {
    if params.len() > MOST {
        return refuse_function(
            format!("The function {name} has {} arguments. Too many.", params.len()),
            name,
        );
    }
    match btf.resolved(ret) {
        Type::Void | Type::Int { .. } | Type::Ptr { .. } | Type::Enum { .. } | Type::Enum64 { .. } => {}
        other => {
            let kind = other.kind().name();
            return refuse_function(format!("The function {name} return type {kind} is unsupported."), name);
        }
    }
    for (n, param) in params.iter().enumerate() {
        match btf.resolved(param.ty) {
            Type::Void => return refuse_function(format!("The function {name} has variable args."), name),
            Type::Int { size, .. } | Type::Struct { size, .. } | Type::Union { size, .. }
                if *size <= LONGEST => {}
            Type::Ptr { .. } | Type::Enum { .. } | Type::Enum64 { .. } => {}
            other => {
                let kind = other.kind().name();
                let words = format!("The function {name} arg{n} type {kind} is unsupported.");
                return refuse_function(words, name);
            }
        }
    }
    Ok(())
}

fn refuse_function<T>(words: String, name: &str) -> Check<T> {
    refuse(Code::BadAttachType, words).explain(
        "a function that the kernel can run a program for",
        format!("{name} is none"),
        "attach to a function that calls it, or to a tracepoint",
    )
}
