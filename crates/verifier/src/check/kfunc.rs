//! Calls of the kernel's own functions, and the sections that some of them begin and end.

use alloc::format;

use skep_abi::{KfuncEffect, Undisturbed, kfunc};

use super::{Facts, lock};
use crate::Code;
use crate::program::Program;
use crate::state::State;
use crate::violation::{Check, Explain, refuse, unsupported};

/// What needs no state: the function is there and the program may call it (`fetch_kfunc_meta`, Linux 6.18).
pub(crate) fn known(p: &Program<'_>, btf_id: i32, module: i16) -> Check<()> {
    effect(p, btf_id, module).map(drop)
}

fn effect(p: &Program<'_>, btf_id: i32, module: i16) -> Check<(&'static str, KfuncEffect)> {
    if !p.env.privileged() {
        let words = "loading/calling other bpf or kernel functions are allowed for CAP_BPF and CAP_SYS_ADMIN";
        return refuse(Code::NotPermitted, words);
    }
    if !p.spec.gpl_compatible() {
        let words = "cannot call kernel function from non-GPL compatible program";
        return refuse(Code::GplOnly, words);
    }
    if module != 0 {
        return unsupported(format!("kernel function call of a module (BTF id {btf_id})"));
    }
    let types = match &p.kernel {
        Some(types) => types,
        None => {
            return unsupported(format!(
                "kernel function call (BTF id {btf_id}) without the kernel's types (--btf)"
            ));
        }
    };
    let Some(name) = types.function(btf_id as u32) else {
        return refuse(Code::BadInsn, format!("kernel btf_id {btf_id} is not a function"));
    };
    match kfunc(name) {
        Some(row) => Ok((row.name, row.effect)),
        None => unsupported(format!("kernel function {name} (BTF id {btf_id})")),
    }
}

/// A call.
pub(super) fn call(p: &Program<'_>, s: &State, btf_id: i32, module: i16) -> Check<Facts> {
    lock::no_calls(s, "function calls are not allowed while holding a lock")?;
    let (name, effect) = effect(p, btf_id, module)?;
    let (rcu, preempt) = (s.sections.rcu, s.sections.preempt);
    let words = match effect {
        KfuncEffect::Enters(Undisturbed::Rcu) if rcu => {
            format!("nested rcu read lock (kernel function {name})")
        }
        KfuncEffect::Leaves(Undisturbed::Rcu) if !rcu => {
            format!("unmatched rcu read unlock (kernel function {name})")
        }
        KfuncEffect::Leaves(Undisturbed::Preemption) if preempt == 0 => {
            format!("unmatched attempt to enable preemption (kernel function {name})")
        }
        KfuncEffect::Enters(_) | KfuncEffect::Leaves(_) => {
            return Ok(Facts { kfunc: Some(effect), ..Facts::default() });
        }
    };
    refuse(Code::Lock, words).explain(
        "sections that begin and end on every path",
        format!("{name} does not fit where the path stands"),
        "call lock and unlock in pairs",
    )
}

/// What may sleep is not called in a section.
pub(super) fn may_sleep(s: &State, what: &str) -> Check<()> {
    let section = match (s.sections.rcu, s.sections.preempt) {
        (false, 0) => return Ok(()),
        (true, _) => "rcu_read_lock region",
        (false, _) => "non-preemptible region",
    };
    refuse(Code::Lock, format!("sleepable {what} in {section}"))
}

/// Nobody leaves with a section begun.
pub(super) fn left(s: &State, what: &str) -> Check<()> {
    let section = match (s.sections.rcu, s.sections.preempt) {
        (false, 0) => return Ok(()),
        (true, _) => "bpf_rcu_read_lock",
        (false, _) => "bpf_preempt_disable",
    };
    refuse(Code::Lock, format!("{what} cannot be used inside {section}-ed region")).explain(
        "the section is ended first",
        format!("{section} was called"),
        "end it on this path as well",
    )
}

/// Global functions are verified on their own, as if no section had begun.
pub(super) fn before_global(p: &Program<'_>, s: &State) -> Check<()> {
    match s.sections == Default::default() || p.never_sleeps() {
        true => Ok(()),
        false => unsupported("global functions that may sleep, called in a section"),
    }
}
