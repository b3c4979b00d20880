//! Sections that must not be disturbed: functions of the kernel begin and end them.

use alloc::format;

use skep_abi::{KfuncEffect, Undisturbed};

use super::allocated;
use crate::Code;
use crate::program::Program;
use crate::state::State;
use crate::violation::{Check, Explain, refuse};

/// A function that begins or ends a section does so where it may.
pub(super) fn change(p: &Program<'_>, s: &State, name: &str, effect: KfuncEffect) -> Check<()> {
    let (rcu, preempt) = (s.sections.rcu, s.sections.preempt);
    let words = match effect {
        KfuncEffect::Enters(Undisturbed::Rcu) | KfuncEffect::Leaves(Undisturbed::Rcu)
            if rcu && allocated::is_sorting(p, s) =>
        {
            "Calling bpf_rcu_read_{lock,unlock} in unnecessary rbtree callback".into()
        }
        KfuncEffect::Enters(Undisturbed::Rcu) if rcu => {
            format!("nested rcu read lock (kernel function {name})")
        }
        KfuncEffect::Leaves(Undisturbed::Rcu) if !rcu => {
            format!("unmatched rcu read unlock (kernel function {name})")
        }
        KfuncEffect::Leaves(Undisturbed::Preemption) if preempt == 0 => {
            format!("unmatched attempt to enable preemption (kernel function {name})")
        }
        // Interrupts are kept in the program's stack.
        KfuncEffect::Enters(_)
        | KfuncEffect::Leaves(_)
        | KfuncEffect::None
        | KfuncEffect::CastsContext
        | KfuncEffect::CastsReadOnly
        | KfuncEffect::SessionCookie
        | KfuncEffect::TakesLock
        | KfuncEffect::GivesLock
        | KfuncEffect::Traps
        | KfuncEffect::Throws
        | KfuncEffect::NeedsDevice => return Ok(()),
    };
    refuse(Code::Lock, words).explain(
        "sections that begin and end on every path",
        format!("{name} does not fit where the path stands"),
        "call lock and unlock in pairs",
    )
}

/// What may sleep is not called in a section.
pub(super) fn may_not_sleep(s: &State, what: &str) -> Check<()> {
    let section = match (s.sections.rcu, s.sections.preempt) {
        (false, 0) if s.irqs.is_empty() => return Ok(()),
        (false, 0) => "IRQ-disabled region",
        (true, _) => "rcu_read_lock region",
        (false, _) => "non-preemptible region",
    };
    refuse(Code::Lock, format!("{what} {section}"))
}

/// Nobody leaves with a section begun.
pub(super) fn left(s: &State, what: &str) -> Check<()> {
    let section = match (s.sections.rcu, s.sections.preempt) {
        _ if !s.irqs.is_empty() => "bpf_local_irq_save",
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

/// Global functions are verified on their own, as if no section had begun: one that may sleep is not called in one
/// (`check_func_call`, Linux 6.18).
pub(super) fn before_global(p: &Program<'_>, s: &State, callee: usize) -> Check<()> {
    let begun = s.sections != Default::default() || !s.irqs.is_empty();
    if !p.subprogs[callee].might_sleep || (!begun && p.may_sleep(s)) {
        return Ok(());
    }
    let words = "global functions that may sleep are not allowed in non-sleepable context,\n\
                 i.e., in a RCU/IRQ/preempt-disabled section, or in\n\
                 a non-sleepable BPF program context";
    refuse(Code::Lock, words).explain(
        "a function that does not sleep, or a place where it may",
        "a section has begun, or the program was loaded as one that does not sleep",
        "end the section first, or declare the function static",
    )
}
