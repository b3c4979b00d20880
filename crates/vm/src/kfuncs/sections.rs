//! Sections that nothing disturbs. A run has its virtual CPU for itself and what it found in maps stays while it lasts, so
//! that they hold by themselves: what is left is to keep and give back the state of interrupts, and locks that notice
//! deadlocks.

use super::{Row, row};
use crate::helpers::lock;
use crate::helpers::{Args, Call, int};
use crate::trap::TrapKind;

pub(super) static ROWS: &[Row] = &[
    row("void bpf_rcu_read_lock(void)", nothing),
    row("void bpf_rcu_read_unlock(void)", nothing),
    row("void bpf_preempt_disable(void)", nothing),
    row("void bpf_preempt_enable(void)", nothing),
    row("void bpf_local_irq_save(unsigned long *flags__irq_flag)", irq_save),
    row("void bpf_local_irq_restore(unsigned long *flags__irq_flag)", nothing),
    row("int bpf_res_spin_lock(struct bpf_res_spin_lock *lock)", res_lock),
    row("void bpf_res_spin_unlock(struct bpf_res_spin_lock *lock)", res_unlock),
    row(
        "int bpf_res_spin_lock_irqsave(struct bpf_res_spin_lock *lock, unsigned long *flags__irq_flag)",
        res_lock_irqsave,
    ),
    row(
        "void bpf_res_spin_unlock_irqrestore(struct bpf_res_spin_lock *lock, unsigned long *flags__irq_flag)",
        res_unlock,
    ),
];

fn nothing(_: &mut Call<'_, '_, '_>, _: Args) -> Result<u64, TrapKind> {
    Ok(0)
}

/// Keeps the state of interrupts in a stack slot that programs do not read: there are none.
fn irq_save(call: &mut Call<'_, '_, '_>, [flags, ..]: Args) -> Result<u64, TrapKind> {
    call.store(flags, &0u64.to_ne_bytes())?;
    Ok(0)
}

/// 0, -EDEADLK when this CPU holds it, -ETIMEDOUT.
fn res_lock(call: &mut Call<'_, '_, '_>, [lock, ..]: Args) -> Result<u64, TrapKind> {
    lock::res_lock(call, lock).map(int)
}

fn res_lock_irqsave(call: &mut Call<'_, '_, '_>, [lock, flags, ..]: Args) -> Result<u64, TrapKind> {
    let taken = lock::res_lock(call, lock)?;
    if taken.is_ok() {
        call.store(flags, &0u64.to_ne_bytes())?;
    }
    Ok(int(taken))
}

fn res_unlock(call: &mut Call<'_, '_, '_>, [lock, ..]: Args) -> Result<u64, TrapKind> {
    lock::res_unlock(call, lock).map(|()| 0)
}
