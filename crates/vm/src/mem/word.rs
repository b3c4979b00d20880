//! Words of guest memory, as machines without unaligned accesses would have them.

use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

use skep_isa::{AtomicOp, Size};

/// A word of guest memory.
///
/// # Safety
/// `BYTES` is the size that `load` and `store` access.
pub(crate) unsafe trait Word {
    const BYTES: u64;
    /// # Safety
    /// `p` is readable for `BYTES` bytes, which others access atomically or from outside Rust.
    unsafe fn load(p: *mut u8) -> u64;
    /// # Safety
    /// `p` is writable for `BYTES` bytes, which others access atomically or from outside Rust.
    unsafe fn store(p: *mut u8, v: u64);
}

// SAFETY: one byte.
unsafe impl Word for u8 {
    const BYTES: u64 = 1;
    #[inline(always)]
    unsafe fn load(p: *mut u8) -> u64 {
        // SAFETY: the caller's promise; bytes are always aligned.
        unsafe { AtomicU8::from_ptr(p) }.load(Ordering::Relaxed).into()
    }
    #[inline(always)]
    unsafe fn store(p: *mut u8, v: u64) {
        // SAFETY: the caller's promise; bytes are always aligned.
        unsafe { AtomicU8::from_ptr(p) }.store(v as u8, Ordering::Relaxed);
    }
}

macro_rules! word {
    ($t:ty, $half:ty, $atomic:ty) => {
        // SAFETY: an access of the atomic's size, or of two halves of it.
        unsafe impl Word for $t {
            const BYTES: u64 = size_of::<$t>() as u64;
            #[inline(always)]
            unsafe fn load(p: *mut u8) -> u64 {
                if p.addr().is_multiple_of(size_of::<$t>()) {
                    // SAFETY: the caller's promise, and aligned.
                    return unsafe { <$atomic>::from_ptr(p.cast()) }.load(Ordering::Relaxed).into();
                }
                // SAFETY: both halves lie inside what the caller promised.
                let (a, b) = unsafe { (<$half>::load(p), <$half>::load(p.add(size_of::<$half>()))) };
                let (low, high) = if cfg!(target_endian = "little") { (a, b) } else { (b, a) };
                low | high << (8 * size_of::<$half>())
            }
            #[inline(always)]
            unsafe fn store(p: *mut u8, v: u64) {
                if p.addr().is_multiple_of(size_of::<$t>()) {
                    // SAFETY: the caller's promise, and aligned.
                    return unsafe { <$atomic>::from_ptr(p.cast()) }.store(v as $t, Ordering::Relaxed);
                }
                let (low, high) = (v, v >> (8 * size_of::<$half>()));
                let (a, b) = if cfg!(target_endian = "little") { (low, high) } else { (high, low) };
                // SAFETY: both halves lie inside what the caller promised.
                unsafe {
                    <$half>::store(p, a);
                    <$half>::store(p.add(size_of::<$half>()), b);
                }
            }
        }
    };
}
// `word!(u16, u8, AtomicU16)` becomes `unsafe impl Word for u16`: one access when aligned, otherwise two of u8.
word!(u16, u8, AtomicU16);
word!(u32, u16, AtomicU32);
word!(u64, u32, AtomicU64);

/// An atomic read-modify-write of a word, sequentially consistent as the kernel's; gives the old content, zero-extended.
///
/// # Safety
/// `p` is aligned to the size, and readable and writable for as many bytes, which others access atomically or from outside
/// Rust.
#[inline(always)]
pub(crate) unsafe fn atomic_word(p: *mut u8, op: AtomicOp, size: Size, src: u64, r0: u64) -> u64 {
    macro_rules! apply {
        ($atomic:ty, $t:ty) => {{
            // SAFETY: the caller's promise.
            let cell = unsafe { <$atomic>::from_ptr(p.cast()) };
            let v = src as $t;
            u64::from(match op {
                AtomicOp::Add { .. } => cell.fetch_add(v, Ordering::SeqCst),
                AtomicOp::Or { .. } => cell.fetch_or(v, Ordering::SeqCst),
                AtomicOp::And { .. } => cell.fetch_and(v, Ordering::SeqCst),
                AtomicOp::Xor { .. } => cell.fetch_xor(v, Ordering::SeqCst),
                AtomicOp::Xchg => cell.swap(v, Ordering::SeqCst),
                AtomicOp::Cmpxchg => cell
                    .compare_exchange(r0 as $t, v, Ordering::SeqCst, Ordering::SeqCst)
                    .unwrap_or_else(|old| old),
            })
        }};
    }
    match size {
        Size::DW => apply!(AtomicU64, u64),
        Size::W => apply!(AtomicU32, u32),
        Size::H => apply!(AtomicU16, u16),
        Size::B => apply!(AtomicU8, u8),
    }
}

/// As [`atomic_word`] at any address, as x86-64 does it: Linux gives programs what the machine does. `None` on others, where
/// such an operation is a fault.
///
/// # Safety
/// As there, but for the alignment.
#[cold]
pub(crate) unsafe fn unaligned_atomic(
    p: *mut u8,
    (op, size): (AtomicOp, Size),
    src: u64,
    r0: u64,
) -> Option<u64> {
    loop {
        // SAFETY: the caller's promise. What is read in parts may belong together or not: the exchange says so.
        let old = unsafe {
            match size {
                Size::W => u32::load(p),
                Size::DW => u64::load(p),
                Size::B | Size::H => return None,
            }
        };
        let new = match op {
            AtomicOp::Add { .. } => old.wrapping_add(src),
            AtomicOp::Or { .. } => old | src,
            AtomicOp::And { .. } => old & src,
            AtomicOp::Xor { .. } => old ^ src,
            AtomicOp::Xchg => src,
            AtomicOp::Cmpxchg => {
                let expected = if size == Size::W { r0 & u64::from(u32::MAX) } else { r0 };
                // It writes what is there when that is something else.
                if old == expected { src } else { old }
            }
        };
        // SAFETY: the caller's promise.
        if unsafe { exchange(p, size, old, new) }? {
            return Some(old);
        }
    }
}

/// Compares and exchanges 4 or 8 bytes at any address; whether they were `old`.
///
/// # Safety
/// `p` is readable and writable for as many bytes, which others access atomically or from outside Rust.
#[cfg(all(target_arch = "x86_64", not(miri)))]
unsafe fn exchange(p: *mut u8, size: Size, old: u64, new: u64) -> Option<bool> {
    let mut found = old;
    // SAFETY: the bytes are the caller's; the instruction is atomic over cache lines, too (Intel SDM 3A 9.1.2.2), and
    // changes nothing but them, `rax` and the flags.
    unsafe {
        match size {
            Size::W => core::arch::asm!(
                "lock cmpxchg dword ptr [{p}], {new:e}",
                p = in(reg) p, new = in(reg) new, inout("rax") found, options(nostack),
            ),
            _ => core::arch::asm!(
                "lock cmpxchg qword ptr [{p}], {new}",
                p = in(reg) p, new = in(reg) new, inout("rax") found, options(nostack),
            ),
        }
    }
    Some(found == old)
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
unsafe fn exchange(_: *mut u8, _: Size, _: u64, _: u64) -> Option<bool> {
    None
}
