//! Iterators over numbers and over the bits that are set (kernel/bpf/bpf_iter.c and helpers.c, Linux 6.18).

use skep_spec::Errno;

use super::{Row, row};
use crate::helpers::{Args, Call, int};
use crate::trap::TrapKind;

pub(super) static ROWS: &[Row] = &[
    row("int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end)", num_new),
    row("int *bpf_iter_num_next(struct bpf_iter_num *it)", num_next),
    row("void bpf_iter_num_destroy(struct bpf_iter_num *it)", num_destroy),
];

/// Most numbers of an iterator (`BPF_MAX_LOOPS`).
const MAX_LOOPS: i64 = 8 << 20;

/// `struct bpf_iter_num_kern`: the number given last, and the first that is not given any more.
///
/// ```text
///  0    4    8
///  cur  end
/// ```
fn num(call: &mut Call<'_, '_, '_>, it: u64) -> Result<(i32, i32), TrapKind> {
    let word = call.load::<u64>(it)?.to_ne_bytes();
    let [a, b, c, d, e, f, g, h] = word;
    Ok((i32::from_ne_bytes([a, b, c, d]), i32::from_ne_bytes([e, f, g, h])))
}

fn set_num(call: &mut Call<'_, '_, '_>, it: u64, cur: i32, end: i32) -> Result<(), TrapKind> {
    let mut word = [0; 8];
    word[..4].copy_from_slice(&cur.to_ne_bytes());
    word[4..].copy_from_slice(&end.to_ne_bytes());
    call.store(it, &word)
}

/// 0; -EINVAL when the end is before the start, -E2BIG for too many numbers, and then it gives none.
fn num_new(call: &mut Call<'_, '_, '_>, [it, start, end, ..]: Args) -> Result<u64, TrapKind> {
    let (start, end) = (start as i32, end as i32);
    let result = match i64::from(end) - i64::from(start) {
        ..0 => Err(Errno::EINVAL),
        n if n > MAX_LOOPS => Err(Errno::E2BIG),
        _ => Ok(()),
    };
    match result {
        Ok(()) => set_num(call, it, start.wrapping_sub(1), end)?,
        Err(_) => set_num(call, it, 0, 0)?,
    }
    Ok(int(result))
}

/// Where the next number stands; NULL behind the last one.
fn num_next(call: &mut Call<'_, '_, '_>, [it, ..]: Args) -> Result<u64, TrapKind> {
    let (cur, end) = num(call, it)?;
    // Before the first of all numbers stands the last one.
    let next = cur.wrapping_add(1);
    if next >= end {
        set_num(call, it, 0, 0)?;
        return Ok(0);
    }
    set_num(call, it, next, end)?;
    Ok(it)
}

fn num_destroy(call: &mut Call<'_, '_, '_>, [it, ..]: Args) -> Result<u64, TrapKind> {
    set_num(call, it, 0, 0)?;
    Ok(0)
}
