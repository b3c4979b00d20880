//! Arenas: pages that programs and user space share, by addresses of 32 bits (kernel/bpf/arena.c, Linux 6.18).
//!
//! Every address is one: what lies outside, or has no page, is skipped when the program runs. So nothing is asked of
//! them, and nothing is known of what is loaded.

use alloc::format;

use skep_isa::{AtomicOp, Reg, Size};

use crate::Code;
use crate::program::Program;
use crate::violation::{Check, Explain, refuse};

/// A cast between the addresses of an arena (1) and those of the kernel (0).
pub(crate) fn cast(p: &Program<'_>, dst_as: u16, src_as: u16) -> Check<()> {
    if !matches!((dst_as, src_as), (0, 1) | (1, 0)) {
        let words = "addr_space_cast insn can only convert between address space 1 and 0";
        return refuse(Code::BadInsn, words);
    }
    if !p.arena {
        let words = "addr_space_cast insn can only be used in a program that has an associated arena";
        return refuse(Code::ForbiddenAccess, words).explain(
            "a map of type arena that the program names",
            "it names none",
            "define one, and use it in the program",
        );
    }
    Ok(())
}

/// Linux makes these of a loop of compare and exchange, which may not fault on the way (`bpf_jit_supports_insn`,
/// arch/x86/net/bpf_jit_comp.c).
pub(crate) fn takes_atomic(base: Reg, op: AtomicOp, size: Size) -> Check<()> {
    let fetches = matches!(
        op,
        AtomicOp::And { fetch: true } | AtomicOp::Or { fetch: true } | AtomicOp::Xor { fetch: true }
    );
    if !fetches || !matches!(size, Size::W | Size::DW) {
        return Ok(());
    }
    refuse(Code::ForbiddenAccess, format!("BPF_ATOMIC stores into R{} arena is not allowed", base.0)).explain(
        "an atomic operation that is one instruction of the processor",
        "it gives the old value, and is one of and, or, xor",
        "use compare and exchange, or do without the old value",
    )
}
