//! Calls of the kernel's own functions, and the sections that some of them begin and end.

use alloc::format;
use alloc::rc::Rc;

use skep_abi::{KfuncEffect, ObjectFn, Undisturbed, kfunc};

use super::{Facts, allocated, irq, iter, lock, throw};
use crate::Code;
use crate::kernel::{IterFunction, IterStep};
use crate::program::Program;
use crate::state::{Marks, State};
use crate::violation::{Check, Explain, refuse, unsupported};
use skep_isa::{CallTarget, Op, Reg};

/// Who may call any function of the kernel.
fn permitted(p: &Program<'_>) -> Check<()> {
    if !p.env.privileged() {
        let words = "loading/calling other bpf or kernel functions are allowed for CAP_BPF and CAP_SYS_ADMIN";
        return refuse(Code::NotPermitted, words);
    }
    if !p.spec.gpl_compatible() {
        let words = "cannot call kernel function from non-GPL compatible program";
        return refuse(Code::GplOnly, words);
    }
    Ok(())
}

fn throws(p: &Program<'_>, btf_id: i32, module: i16) -> bool {
    p.throws(Op::Call(CallTarget::Kfunc { btf_id, btf_idx: module }))
}

/// What needs no state: the function is there and the program may call it (`fetch_kfunc_meta`, Linux 6.18).
pub(crate) fn known(p: &Program<'_>, btf_id: i32, module: i16) -> Check<()> {
    permitted(p)?;
    if throws(p, btf_id, module) {
        return match skep_abi::may_throw(p.spec.prog_type) {
            true => Ok(()),
            false => refuse(Code::BadInsn, "calling kernel function bpf_throw is not allowed"),
        };
    }
    if iter_function(p, btf_id, module).is_some() || object_fn(p, btf_id, module).is_some() {
        return Ok(());
    }
    effect(p, btf_id, module).map(drop)
}

fn effect(p: &Program<'_>, btf_id: i32, module: i16) -> Check<(&'static str, KfuncEffect)> {
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

/// The iterator's function that is called, if it is one.
fn iter_function(p: &Program<'_>, btf_id: i32, module: i16) -> Option<Rc<IterFunction>> {
    if module != 0 {
        return None;
    }
    let function = p.kernel.as_ref().and_then(|types| types.iter_function(btf_id as u32));
    function.filter(|f| matches!(&*f.name, "num" | "bits"))
}

fn object_fn(p: &Program<'_>, btf_id: i32, module: i16) -> Option<(&'static str, ObjectFn)> {
    allocated::function(p, Op::Call(CallTarget::Kfunc { btf_id, btf_idx: module }))
}

fn begin_use_end(p: &Program<'_>, s: &State, function: &Rc<IterFunction>) -> Check<Facts> {
    let call = iter::argument(p, s, Reg(1), function, Marks::NONE)?;
    let end = -8 * (call.first as i32 + 1);
    let touched = alloc::vec![(call.frame, end)];
    if function.step == IterStep::New {
        for reg in [Reg(2), Reg(3)] {
            super::readable(s, reg)?;
            let anything = &*function.name == "bits" && reg == Reg(2);
            if !s.reg(reg).is_scalar() && !anything {
                return refuse(Code::BadArgument, format!("R{} is not a scalar", reg.0));
            }
        }
    }
    Ok(Facts { iter: Some(call), touched, ..Facts::default() })
}

/// A call.
pub(super) fn call(p: &Program<'_>, s: &State, btf_id: i32, module: i16) -> Check<Facts> {
    let iterator = iter_function(p, btf_id, module);
    // `kfunc_spin_allowed`
    let object = object_fn(p, btf_id, module);
    let for_locked = object.is_some_and(|(_, what)| what.is_for_locked());
    if iterator.as_ref().is_none_or(|f| &*f.name != "num") && !for_locked {
        lock::no_calls(s, "function calls are not allowed while holding a lock")?;
    }
    if throws(p, btf_id, module) {
        return throw::call(p, s);
    }
    if let Some(function) = iterator {
        return begin_use_end(p, s, &function);
    }
    if let Some((name, what)) = object {
        return allocated::call(p, s, name, what);
    }
    let (name, effect) = effect(p, btf_id, module)?;
    let (rcu, preempt) = (s.sections.rcu, s.sections.preempt);
    if let KfuncEffect::Enters(Undisturbed::Interrupts) | KfuncEffect::Leaves(Undisturbed::Interrupts) =
        effect
    {
        let begins = matches!(effect, KfuncEffect::Enters(_));
        let irq = irq::argument(s, Reg(1), begins, false)?;
        let touched = alloc::vec![(irq.frame, irq.off())];
        return Ok(Facts { irq: Some(irq), touched, ..Facts::default() });
    }
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
        (false, 0) if s.irqs.is_empty() => return Ok(()),
        (false, 0) => "IRQ-disabled region",
        (true, _) => "rcu_read_lock region",
        (false, _) => "non-preemptible region",
    };
    refuse(Code::Lock, format!("sleepable {what} in {section}"))
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

/// Global functions are verified on their own, as if no section had begun.
pub(super) fn before_global(p: &Program<'_>, s: &State) -> Check<()> {
    let begun = s.sections != Default::default() || !s.irqs.is_empty();
    match !begun || p.never_sleeps() {
        true => Ok(()),
        false => unsupported("global functions that may sleep, called in a section"),
    }
}
