//! Mappings of files that other processes can cut short: what is gone reads as zeros, instead of ending the process.
//!
//! An access behind the end of a file is answered with SIGBUS. A handler puts private pages of zeros over the rest of the
//! mapping that the address lies in, and the access is done again. The map has lost its contents there, and what others
//! write they see alone.

use std::ptr::{self, NonNull};
use std::sync::Once;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use super::fd::check;

/// Mappings that are watched at a time.
const MAPPINGS: usize = 4096;

/// Start and length; a start of 0 is free. The handler reads them without a lock.
struct Watched(AtomicUsize, AtomicUsize);

static WATCHED: [Watched; MAPPINGS] = [const { Watched(AtomicUsize::new(0), AtomicUsize::new(0)) }; MAPPINGS];
/// What handled SIGBUS before.
static BEFORE: AtomicPtr<libc::sigaction> = AtomicPtr::new(ptr::null_mut());

/// Watches a mapping of a file that can be cut; `false` when as many are as there is room for.
pub(super) fn watch(base: NonNull<u8>, len: usize) -> bool {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(install);
    let base = base.as_ptr().addr();
    for w in &WATCHED {
        if w.0.load(Ordering::Relaxed) == 0
            && w.0.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok()
        {
            w.1.store(len, Ordering::Relaxed);
            w.0.store(base, Ordering::Release);
            return true;
        }
    }
    false
}

/// Before the mapping goes.
pub(super) fn forget(base: NonNull<u8>) {
    let base = base.as_ptr().addr();
    if let Some(w) = WATCHED.iter().find(|w| w.0.load(Ordering::Relaxed) == base) {
        w.0.store(0, Ordering::Release);
    }
}

fn install() {
    // SAFETY: all-zero sigactions are valid values; `on_bus` has the signature that SA_SIGINFO asks for, and is
    // async-signal-safe. The old action is kept for the rest of the process.
    unsafe {
        let before: &'static mut libc::sigaction = Box::leak(Box::new(std::mem::zeroed()));
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_bus as extern "C" fn(_, _, _) as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        if libc::sigaction(libc::SIGBUS, ptr::null(), before) == 0 {
            BEFORE.store(before, Ordering::Release);
            libc::sigaction(libc::SIGBUS, &raw const action, ptr::null_mut());
        }
    }
}

extern "C" fn on_bus(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel gives a valid siginfo; for SIGBUS from an access it holds the address. errno is put back.
    unsafe {
        let errno = *libc::__errno_location();
        let addr = (*info).si_addr().addr();
        let mended = mend(addr);
        *libc::__errno_location() = errno;
        if !mended {
            pass_on(signal, info, context);
        }
    }
}

/// Puts zeros over a watched mapping from an address on; `false` when it is in none.
fn mend(addr: usize) -> bool {
    let inside = |w: &&Watched| {
        let (base, len) = (w.0.load(Ordering::Acquire), w.1.load(Ordering::Relaxed));
        base > 1 && addr.wrapping_sub(base) < len
    };
    let Some(w) = WATCHED.iter().find(inside) else { return false };
    let end = w.0.load(Ordering::Acquire) + w.1.load(Ordering::Relaxed);
    // SAFETY: no pointers.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
    let from = addr & !(page - 1);
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED | libc::MAP_NORESERVE;
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: replaces pages of a mapping of ours, which is in use, by pages that can be read and written as well; all
    // accesses to it are atomic or from outside Rust.
    let done = unsafe { libc::mmap(ptr::without_provenance_mut(from), end - from, prot, flags, -1, 0) };
    done != libc::MAP_FAILED
}

/// What would have happened without this handler.
///
/// # Safety
/// In a handler of the signal, with what the kernel gave.
unsafe fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: written once, never freed.
    let before = unsafe { BEFORE.load(Ordering::Acquire).as_ref() };
    match before {
        // SAFETY: a handler that was installed with this flag has this signature.
        Some(b) if b.sa_sigaction > libc::SIG_IGN && b.sa_flags & libc::SA_SIGINFO != 0 => unsafe {
            type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
            std::mem::transmute::<usize, Handler>(b.sa_sigaction)(signal, info, context);
        },
        // SAFETY: as above, without the flag.
        Some(b) if b.sa_sigaction > libc::SIG_IGN => unsafe {
            std::mem::transmute::<usize, extern "C" fn(libc::c_int)>(b.sa_sigaction)(signal);
        },
        // The access is done again, and ends the process.
        // SAFETY: an all-zero action is the default one.
        _ => unsafe {
            let action: libc::sigaction = std::mem::zeroed();
            let _ = check(libc::sigaction(signal, &raw const action, ptr::null_mut()));
        },
    }
}
