//! Soundness and precision of the domain: each file tests one thing.
//!
//! `small` exhausts narrow words, `property` draws wide ones with their edges, `regression` names bugs that
//! verifiers had, `spelling` is the kernel log's text.

mod property;
mod regression;
mod small;
mod spelling;

use super::{BinOp, Bits};

/// What `op` gives for two numbers in the low `width` bits, worked out with wide integers and nothing of the
/// domain's own.
fn concrete(op: BinOp, width: u32, x: u64, y: u64) -> u64 {
    let modulus = 1i128 << width;
    let unsigned = |x: u64| i128::from(x) & (modulus - 1);
    let signed = |x: u64| if unsigned(x) >= modulus / 2 { unsigned(x) - modulus } else { unsigned(x) };
    let amount = (unsigned(y) % i128::from(width)) as u32;
    let wide = match op {
        BinOp::Add => unsigned(x) + unsigned(y),
        BinOp::Sub => unsigned(x) - unsigned(y),
        BinOp::Mul => unsigned(x).wrapping_mul(unsigned(y)),
        BinOp::Div => unsigned(x).checked_div(unsigned(y)).unwrap_or(0),
        BinOp::Mod => unsigned(x).checked_rem(unsigned(y)).unwrap_or(unsigned(x)),
        BinOp::Sdiv => signed(x).checked_div(signed(y)).unwrap_or(0),
        BinOp::Smod => signed(x).checked_rem(signed(y)).unwrap_or(signed(x)),
        BinOp::Or => unsigned(x) | unsigned(y),
        BinOp::And => unsigned(x) & unsigned(y),
        BinOp::Xor => unsigned(x) ^ unsigned(y),
        BinOp::Lsh => unsigned(x) << amount,
        BinOp::Rsh => unsigned(x) >> amount,
        BinOp::Arsh => signed(x) >> amount,
    };
    (wide & (modulus - 1)) as u64
}

fn width_of(bits: Bits) -> u32 {
    match bits {
        Bits::B32 => 32,
        Bits::B64 => 64,
    }
}
