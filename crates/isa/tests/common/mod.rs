//! Shared by the tests.
#![allow(dead_code, reason = "each test binary uses a part")]

use skep_isa::{Insn, Op};

/// A reproducible source of random bits (xorshift64*).
pub fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut x = seed | 1;
    move || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// The one or two slots of an instruction.
pub fn slots(op: &Op) -> Vec<Insn> {
    let (a, b) = op.encode();
    std::iter::once(a).chain(b).collect()
}

/// How many random inputs to try: `SKEP_FUZZ_ROUNDS`, or what fits in an ordinary test run.
pub fn rounds(usual: u32) -> u32 {
    std::env::var("SKEP_FUZZ_ROUNDS").ok().and_then(|v| v.parse().ok()).unwrap_or(usual)
}
