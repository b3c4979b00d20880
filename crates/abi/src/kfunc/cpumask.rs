//! Sets of CPUs.

use super::{Kfunc, KfuncFlags as F, KfuncUsers as U, row};

pub(super) static ROWS: &[Kfunc] = &[
    row("bpf_cpumask_create", F::ACQUIRE.with(F::RET_NULL), U::CPUMASK, "A new set of CPUs, empty."),
    row("bpf_cpumask_release", F::RELEASE, U::CPUMASK, "Gives a set of CPUs back."),
    row("bpf_cpumask_acquire", F::ACQUIRE.with(F::TRUSTED_ARGS), U::CPUMASK, "A reference to a set of CPUs."),
    row("bpf_cpumask_first", F::RCU, U::CPUMASK, "The first CPU in a set."),
    row("bpf_cpumask_first_zero", F::RCU, U::CPUMASK, "The first CPU that is not in a set."),
    row("bpf_cpumask_first_and", F::RCU, U::CPUMASK, "The first CPU in both sets."),
    row("bpf_cpumask_set_cpu", F::RCU, U::CPUMASK, "Puts a CPU into a set."),
    row("bpf_cpumask_clear_cpu", F::RCU, U::CPUMASK, "Takes a CPU out of a set."),
    row("bpf_cpumask_test_cpu", F::RCU, U::CPUMASK, "Whether a CPU is in a set."),
    row("bpf_cpumask_test_and_set_cpu", F::RCU, U::CPUMASK, "Puts a CPU into a set; whether it was there."),
    row(
        "bpf_cpumask_test_and_clear_cpu",
        F::RCU,
        U::CPUMASK,
        "Takes a CPU out of a set; whether it was there.",
    ),
    row("bpf_cpumask_setall", F::RCU, U::CPUMASK, "Puts every CPU into a set."),
    row("bpf_cpumask_clear", F::RCU, U::CPUMASK, "Empties a set."),
    row("bpf_cpumask_and", F::RCU, U::CPUMASK, "The CPUs in both sets; whether there are any."),
    row("bpf_cpumask_or", F::RCU, U::CPUMASK, "The CPUs in either set."),
    row("bpf_cpumask_xor", F::RCU, U::CPUMASK, "The CPUs in one set and not in the other."),
    row("bpf_cpumask_equal", F::RCU, U::CPUMASK, "Whether two sets are the same."),
    row("bpf_cpumask_intersects", F::RCU, U::CPUMASK, "Whether two sets have a CPU in common."),
    row("bpf_cpumask_subset", F::RCU, U::CPUMASK, "Whether the second set has all CPUs of the first."),
    row("bpf_cpumask_empty", F::RCU, U::CPUMASK, "Whether a set is empty."),
    row("bpf_cpumask_full", F::RCU, U::CPUMASK, "Whether every CPU is in a set."),
    row("bpf_cpumask_copy", F::RCU, U::CPUMASK, "Copies a set."),
    row("bpf_cpumask_any_distribute", F::RCU, U::CPUMASK, "Some CPU of a set, another each time."),
    row(
        "bpf_cpumask_any_and_distribute",
        F::RCU,
        U::CPUMASK,
        "Some CPU that is in both sets, another each time.",
    ),
    row("bpf_cpumask_weight", F::RCU, U::CPUMASK, "How many CPUs are in a set."),
    row("bpf_cpumask_populate", F::RCU, U::CPUMASK, "Fills a set from memory."),
];
