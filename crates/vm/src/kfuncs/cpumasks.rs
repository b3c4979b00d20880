//! Sets of CPUs (kernel/bpf/cpumask.c, Linux 6.18): objects of which programs see no more than their address.
//!
//! CPU `n` is bit `n % 64` of the 64-bit word `n / 64`. What several change at a time they change word by word, as Linux does;
//! there are as many CPUs as the program's environment has, but no more than fit into a set: it has the size that verified
//! programs give it in memory of their own.

use core::sync::atomic::{AtomicU32, Ordering};

use skep_spec::Errno;

use super::{Row, row};
use crate::helpers::kept::refused;
use crate::helpers::{Args, Call, int};
use crate::trap::TrapKind;

pub(super) static ROWS: &[Row] = &[
    row("struct bpf_cpumask *bpf_cpumask_create(void)", create),
    row("void bpf_cpumask_release(struct bpf_cpumask *cpumask)", release),
    row("struct bpf_cpumask *bpf_cpumask_acquire(struct bpf_cpumask *cpumask)", acquire),
    row("u32 bpf_cpumask_first(const struct cpumask *cpumask)", first),
    row("u32 bpf_cpumask_first_zero(const struct cpumask *cpumask)", first_zero),
    row("u32 bpf_cpumask_first_and(const struct cpumask *src1, const struct cpumask *src2)", first_and),
    row("void bpf_cpumask_set_cpu(u32 cpu, struct bpf_cpumask *cpumask)", set_cpu),
    row("void bpf_cpumask_clear_cpu(u32 cpu, struct bpf_cpumask *cpumask)", clear_cpu),
    row("bool bpf_cpumask_test_cpu(u32 cpu, const struct cpumask *cpumask)", test_cpu),
    row("bool bpf_cpumask_test_and_set_cpu(u32 cpu, struct bpf_cpumask *cpumask)", test_and_set),
    row("bool bpf_cpumask_test_and_clear_cpu(u32 cpu, struct bpf_cpumask *cpumask)", test_and_clear),
    row("void bpf_cpumask_setall(struct bpf_cpumask *cpumask)", set_all),
    row("void bpf_cpumask_clear(struct bpf_cpumask *cpumask)", clear),
    row(
        "bool bpf_cpumask_and(struct bpf_cpumask *dst, const struct cpumask *src1, const struct cpumask *src2)",
        and,
    ),
    row(
        "void bpf_cpumask_or(struct bpf_cpumask *dst, const struct cpumask *src1, const struct cpumask *src2)",
        or,
    ),
    row(
        "void bpf_cpumask_xor(struct bpf_cpumask *dst, const struct cpumask *src1, const struct cpumask *src2)",
        xor,
    ),
    row("bool bpf_cpumask_equal(const struct cpumask *src1, const struct cpumask *src2)", equal),
    row("bool bpf_cpumask_intersects(const struct cpumask *src1, const struct cpumask *src2)", intersects),
    row("bool bpf_cpumask_subset(const struct cpumask *src1, const struct cpumask *src2)", subset),
    row("bool bpf_cpumask_empty(const struct cpumask *cpumask)", empty),
    row("bool bpf_cpumask_full(const struct cpumask *cpumask)", full),
    row("void bpf_cpumask_copy(struct bpf_cpumask *dst, const struct cpumask *src)", copy),
    row("u32 bpf_cpumask_any_distribute(const struct cpumask *cpumask)", any),
    row(
        "u32 bpf_cpumask_any_and_distribute(const struct cpumask *src1, const struct cpumask *src2)",
        any_and,
    ),
    row("u32 bpf_cpumask_weight(const struct cpumask *cpumask)", weight),
    row("int bpf_cpumask_populate(struct cpumask *cpumask, void *src, size_t src__sz)", populate),
];

/// Bytes of a set: those of a kernel for 256 CPUs (`struct cpumask` of the types that programs are verified by).
const BYTES: u32 = 32;

/// The address of the half that has the CPUs from `32 * i` on.
fn half(set: u64, i: u32) -> u64 {
    let i = if cfg!(target_endian = "big") { i ^ 1 } else { i };
    set.wrapping_add(u64::from(4 * i))
}

impl Call<'_, '_, '_> {
    fn half(&mut self, set: u64, i: u32) -> Result<u32, TrapKind> {
        let at = half(set, i);
        if let Some(half) = self.program.keeper().and_then(|k| k.half(at)) {
            return Ok(half.get());
        }
        // Programs may have sets in memory of their own.
        let mut bytes = [0; 4];
        self.mem.read(at, &mut bytes).ok_or_else(|| self.fault(at, 4, false))?;
        Ok(u32::from_ne_bytes(bytes))
    }

    /// Changes a half; gives what stood there.
    fn change(&mut self, set: u64, i: u32, change: impl Fn(u32) -> u32) -> Result<u32, TrapKind> {
        let at = half(set, i);
        if let Some(half) = self.program.keeper().and_then(|k| k.half(at)) {
            return Ok(half.update(change));
        }
        let old = self.half(set, i)?;
        self.store(at, &change(old).to_ne_bytes())?;
        Ok(old)
    }

    /// How many CPUs a set may have.
    fn set_cpus(&self) -> u32 {
        self.program.cpus().min(8 * BYTES)
    }

    /// How many halves have CPUs.
    fn halves(&self) -> u32 {
        self.set_cpus().div_ceil(32)
    }

    /// The bits of a half that are CPUs.
    fn valid(&self, i: u32) -> u32 {
        match self.set_cpus() - 32 * i {
            left @ 1..32 => (1 << left) - 1,
            _ => u32::MAX,
        }
    }

    /// The first CPU from `from` on that is in what comes of two sets, or the number of CPUs.
    fn find(&mut self, from: u32, [a, b]: [u64; 2], of: impl Fn(u32, u32) -> u32) -> Result<u32, TrapKind> {
        for i in from / 32..self.halves() {
            let skipped = if i == from / 32 { u32::MAX << (from % 32) } else { u32::MAX };
            let found = of(self.half(a, i)?, self.half(b, i)?) & self.valid(i) & skipped;
            if found != 0 {
                return Ok(32 * i + found.trailing_zeros());
            }
        }
        Ok(self.set_cpus())
    }

    /// Whether there are no CPUs in what comes of two sets.
    fn none(&mut self, sets: [u64; 2], of: impl Fn(u32, u32) -> u32) -> Result<u64, TrapKind> {
        Ok(u64::from(self.find(0, sets, of)? == self.set_cpus()))
    }

    /// A CPU in both sets, another one each time; all programs take turns.
    fn next(&mut self, sets: [u64; 2]) -> Result<u64, TrapKind> {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let both = |a, b| a & b;
        let cpus = self.set_cpus();
        let from = LAST.load(Ordering::Relaxed).saturating_add(1);
        let mut found = if from < cpus { self.find(from, sets, both)? } else { cpus };
        if found == cpus {
            found = self.find(0, sets, both)?;
        }
        if found < cpus {
            LAST.store(found, Ordering::Relaxed);
        }
        Ok(found.into())
    }

    /// Writes into a set what comes of two; whether there are CPUs.
    fn combine(&mut self, [dst, a, b, ..]: Args, of: impl Fn(u32, u32) -> u32) -> Result<u64, TrapKind> {
        let mut any = 0;
        // Also the bits behind the last CPU, up to the end of its word.
        for i in 0..self.halves().next_multiple_of(2) {
            let new = of(self.half(a, i)?, self.half(b, i)?);
            self.change(dst, i, |_| new)?;
            any |= if i < self.halves() { new & self.valid(i) } else { 0 };
        }
        Ok(u64::from(any != 0))
    }
}

fn create(call: &mut Call<'_, '_, '_>, _: Args) -> Result<u64, TrapKind> {
    let set = call.keeper()?.allocate_bytes(BYTES).unwrap_or(0);
    call.state.own(set);
    Ok(set)
}

fn release(call: &mut Call<'_, '_, '_>, [set, ..]: Args) -> Result<u64, TrapKind> {
    call.keeper()?.drop_object(set).map_err(|e| refused(e, set))?;
    call.state.disown(set);
    Ok(0)
}

fn acquire(call: &mut Call<'_, '_, '_>, [set, ..]: Args) -> Result<u64, TrapKind> {
    let set = call.keeper()?.acquire(set).map_err(|e| refused(e, set))?;
    call.state.own(set);
    Ok(set)
}

fn first(call: &mut Call<'_, '_, '_>, [set, ..]: Args) -> Result<u64, TrapKind> {
    call.find(0, [set, set], |a, _| a).map(u64::from)
}

fn first_zero(call: &mut Call<'_, '_, '_>, [set, ..]: Args) -> Result<u64, TrapKind> {
    call.find(0, [set, set], |a, _| !a).map(u64::from)
}

fn first_and(call: &mut Call<'_, '_, '_>, [a, b, ..]: Args) -> Result<u64, TrapKind> {
    call.find(0, [a, b], |a, b| a & b).map(u64::from)
}

/// Changes the bit of a CPU; whether it was set. Nothing for a CPU that is not there.
fn bit(call: &mut Call<'_, '_, '_>, cpu: u64, set: u64, on: bool) -> Result<u64, TrapKind> {
    let cpu = cpu as u32;
    if cpu >= call.set_cpus() {
        return Ok(0);
    }
    let bit = 1 << (cpu % 32);
    let old = call.change(set, cpu / 32, |old| if on { old | bit } else { old & !bit })?;
    Ok(u64::from(old & bit != 0))
}

fn set_cpu(call: &mut Call<'_, '_, '_>, [cpu, set, ..]: Args) -> Result<u64, TrapKind> {
    bit(call, cpu, set, true).map(|_| 0)
}

fn clear_cpu(call: &mut Call<'_, '_, '_>, [cpu, set, ..]: Args) -> Result<u64, TrapKind> {
    bit(call, cpu, set, false).map(|_| 0)
}

fn test_and_set(call: &mut Call<'_, '_, '_>, [cpu, set, ..]: Args) -> Result<u64, TrapKind> {
    bit(call, cpu, set, true)
}

fn test_and_clear(call: &mut Call<'_, '_, '_>, [cpu, set, ..]: Args) -> Result<u64, TrapKind> {
    bit(call, cpu, set, false)
}

fn test_cpu(call: &mut Call<'_, '_, '_>, [cpu, set, ..]: Args) -> Result<u64, TrapKind> {
    let cpu = cpu as u32;
    if cpu >= call.set_cpus() {
        return Ok(0);
    }
    Ok(u64::from(call.half(set, cpu / 32)? >> (cpu % 32) & 1))
}

fn set_all(call: &mut Call<'_, '_, '_>, [set, ..]: Args) -> Result<u64, TrapKind> {
    call.combine([set, set, set, 0, 0], |_, _| u32::MAX).map(|_| 0)
}

fn clear(call: &mut Call<'_, '_, '_>, [set, ..]: Args) -> Result<u64, TrapKind> {
    call.combine([set, set, set, 0, 0], |_, _| 0)
}

fn and(call: &mut Call<'_, '_, '_>, args: Args) -> Result<u64, TrapKind> {
    call.combine(args, |a, b| a & b)
}

fn or(call: &mut Call<'_, '_, '_>, args: Args) -> Result<u64, TrapKind> {
    call.combine(args, |a, b| a | b).map(|_| 0)
}

fn xor(call: &mut Call<'_, '_, '_>, args: Args) -> Result<u64, TrapKind> {
    call.combine(args, |a, b| a ^ b).map(|_| 0)
}

fn copy(call: &mut Call<'_, '_, '_>, [dst, src, ..]: Args) -> Result<u64, TrapKind> {
    call.combine([dst, src, src, 0, 0], |a, _| a).map(|_| 0)
}

fn equal(call: &mut Call<'_, '_, '_>, [a, b, ..]: Args) -> Result<u64, TrapKind> {
    call.none([a, b], |a, b| a ^ b)
}

fn intersects(call: &mut Call<'_, '_, '_>, [a, b, ..]: Args) -> Result<u64, TrapKind> {
    Ok(1 - call.none([a, b], |a, b| a & b)?)
}

/// Whether all of the first are in the second.
fn subset(call: &mut Call<'_, '_, '_>, [a, b, ..]: Args) -> Result<u64, TrapKind> {
    call.none([a, b], |a, b| a & !b)
}

fn empty(call: &mut Call<'_, '_, '_>, [set, ..]: Args) -> Result<u64, TrapKind> {
    call.none([set, set], |a, _| a)
}

fn full(call: &mut Call<'_, '_, '_>, [set, ..]: Args) -> Result<u64, TrapKind> {
    call.none([set, set], |a, _| !a)
}

fn any(call: &mut Call<'_, '_, '_>, [set, ..]: Args) -> Result<u64, TrapKind> {
    call.next([set, set])
}

fn any_and(call: &mut Call<'_, '_, '_>, [a, b, ..]: Args) -> Result<u64, TrapKind> {
    call.next([a, b])
}

fn weight(call: &mut Call<'_, '_, '_>, [set, ..]: Args) -> Result<u64, TrapKind> {
    let mut count = 0;
    for i in 0..call.halves() {
        count += (call.half(set, i)? & call.valid(i)).count_ones();
    }
    Ok(count.into())
}

/// From memory with a bit for each CPU; -EACCES where that is too little.
fn populate(call: &mut Call<'_, '_, '_>, [set, from, len, ..]: Args) -> Result<u64, TrapKind> {
    let words = call.set_cpus().div_ceil(64);
    if len < u64::from(words) * 8 {
        return Ok(int(Err(Errno::EACCES)));
    }
    for i in 0..2 * words {
        let half = call.half(from, i)?;
        call.change(set, i, |_| half)?;
    }
    Ok(0)
}
