//! Functions of the kernel that programs call by their number in its types (kfuncs).

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

/// What a call does beside what its prototype says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KfuncEffect {
    /// Begins a section.
    Enters(Undisturbed),
    /// Ends the section.
    Leaves(Undisturbed),
}

/// A function of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kfunc {
    /// Name in the kernel's types.
    pub name: &'static str,
    /// What a call does.
    pub effect: KfuncEffect,
    /// One line: what it is for.
    pub doc: &'static str,
}

const fn row(name: &'static str, effect: KfuncEffect, doc: &'static str) -> Kfunc {
    Kfunc { name, effect, doc }
}

/// The functions whose calls are verified: those that every program type has (`common_kfunc_set`, kernel/bpf/helpers.c,
/// Linux 6.18), return nothing, and take nothing but a place on the stack.
pub static KFUNCS: &[Kfunc] = &[
    row("bpf_rcu_read_lock", KfuncEffect::Enters(Undisturbed::Rcu), "From here on, nothing goes away."),
    row(
        "bpf_rcu_read_unlock",
        KfuncEffect::Leaves(Undisturbed::Rcu),
        "What was seen since the lock may be gone.",
    ),
    row(
        "bpf_preempt_disable",
        KfuncEffect::Enters(Undisturbed::Preemption),
        "From here on, nothing else runs on the CPU.",
    ),
    row(
        "bpf_preempt_enable",
        KfuncEffect::Leaves(Undisturbed::Preemption),
        "Ends what bpf_preempt_disable began; they nest.",
    ),
    row(
        "bpf_local_irq_save",
        KfuncEffect::Enters(Undisturbed::Interrupts),
        "From here on, no interrupt runs on the CPU.",
    ),
    row(
        "bpf_local_irq_restore",
        KfuncEffect::Leaves(Undisturbed::Interrupts),
        "Ends what bpf_local_irq_save began; the last begun ends first.",
    ),
];

/// The function of a name.
pub fn kfunc(name: &str) -> Option<&'static Kfunc> {
    KFUNCS.iter().find(|k| k.name == name)
}
