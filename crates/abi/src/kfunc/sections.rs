//! Sections, locks, and ways out.

use super::{Kfunc, KfuncEffect, KfuncFlags as F, KfuncUsers as U, Undisturbed, row};

pub(super) static ROWS: &[Kfunc] = &[
    row("bpf_rcu_read_lock", F::NONE, U::COMMON, "From here on, nothing goes away.")
        .doing(KfuncEffect::Enters(Undisturbed::Rcu)),
    row("bpf_rcu_read_unlock", F::NONE, U::COMMON, "What was seen since the lock may be gone.")
        .doing(KfuncEffect::Leaves(Undisturbed::Rcu)),
    row("bpf_preempt_disable", F::NONE, U::COMMON, "From here on, nothing else runs on the CPU.")
        .doing(KfuncEffect::Enters(Undisturbed::Preemption)),
    row("bpf_preempt_enable", F::NONE, U::COMMON, "Ends what bpf_preempt_disable began; they nest.")
        .doing(KfuncEffect::Leaves(Undisturbed::Preemption)),
    row(
        "bpf_local_irq_save",
        F::NONE,
        U::COMMON,
        "From here on, no interrupt comes; the state before is saved.",
    )
    .doing(KfuncEffect::Enters(Undisturbed::Interrupts)),
    row(
        "bpf_local_irq_restore",
        F::NONE,
        U::COMMON,
        "Ends what bpf_local_irq_save began; the last begun ends first.",
    )
    .doing(KfuncEffect::Leaves(Undisturbed::Interrupts)),
    row(
        "bpf_res_spin_lock",
        F::RET_NULL.with(F::UNDER_LOCK),
        U::COMMON,
        "Takes a lock, or says that it would not end.",
    )
    .doing(KfuncEffect::TakesLock),
    row("bpf_res_spin_unlock", F::UNDER_LOCK, U::COMMON, "Gives a lock back.").doing(KfuncEffect::GivesLock),
    row(
        "bpf_res_spin_lock_irqsave",
        F::RET_NULL.with(F::UNDER_LOCK),
        U::COMMON,
        "Takes a lock without interrupts, or says that it would not end.",
    )
    .doing(KfuncEffect::TakesLock),
    row("bpf_res_spin_unlock_irqrestore", F::UNDER_LOCK, U::COMMON, "Gives a lock back, and interrupts.")
        .doing(KfuncEffect::GivesLock),
    row("bpf_throw", F::NONE, U::GENERIC, "Leaves the program at once.").doing(KfuncEffect::Throws),
    row("__bpf_trap", F::NONE, U::COMMON, "What compilers put where a program's meaning ends.")
        .doing(KfuncEffect::Traps),
];
