//! Where code stands.

/// Makes the function that this is compiled into begin at a cache line (64 bytes), wherever it is linked: a part of
/// its code is aligned so, and a function's code stays together. For code that is never reached: what is emitted here
/// is padding.
///
/// The interpreter's speed depends on whether the few instructions that go from one operation to the next share a
/// line. That is then a matter of the function alone, and not of all that stands before it in a program.
#[inline(always)]
pub(crate) fn begin_at_line() {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: emits instructions that do nothing, at most 63 bytes of them.
    unsafe {
        core::arch::asm!(".p2align 6", options(nomem, nostack, preserves_flags));
    }
}

/// Moves what follows in this function 16 bytes on: there, the way from one operation to the next lies in one line.
/// Where it lies shows in `objdump -dC`; docs/performance.md says how to look. Runs once, and does nothing.
#[inline(always)]
pub(crate) fn move_on() {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: emits instructions that do nothing, 16 bytes of them.
    unsafe {
        core::arch::asm!(".nops 16", options(nomem, nostack, preserves_flags));
    }
}
