//! Sections that nothing disturbs. A run has its virtual CPU for itself and what it found in maps stays while it lasts, so
//! that they hold by themselves: what is left is to keep and give back the state of interrupts.

use super::{Row, row};
use crate::helpers::{Args, Call};
use crate::trap::TrapKind;

pub(super) static ROWS: &[Row] = &[
    row("void bpf_rcu_read_lock(void)", nothing),
    row("void bpf_rcu_read_unlock(void)", nothing),
    row("void bpf_preempt_disable(void)", nothing),
    row("void bpf_preempt_enable(void)", nothing),
    row("void bpf_local_irq_save(unsigned long *flags__irq_flag)", irq_save),
    row("void bpf_local_irq_restore(unsigned long *flags__irq_flag)", nothing),
];

fn nothing(_: &mut Call<'_, '_, '_>, _: Args) -> Result<u64, TrapKind> {
    Ok(0)
}

/// Keeps the state of interrupts in a stack slot that programs do not read: there are none.
fn irq_save(call: &mut Call<'_, '_, '_>, [flags, ..]: Args) -> Result<u64, TrapKind> {
    call.store(flags, &0u64.to_ne_bytes())?;
    Ok(0)
}
