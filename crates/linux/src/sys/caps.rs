//! A thread without capabilities.

use skep_spec::{Errno, Error};

/// Runs `f` in a thread of its own that has given up all capabilities, and returns what it returns.
///
/// Capabilities belong to threads (capabilities(7)), so the caller keeps its own. For the kernel, `f` is an
/// ordinary user as far as `bpf(2)` goes: programs load only while `kernel.unprivileged_bpf_disabled` is 0.
///
/// # Errors
/// When the thread cannot be started or the kernel refuses to take the capabilities away.
///
/// # Panics
/// When `f` does.
pub fn unprivileged<T: Send>(f: impl FnOnce() -> T + Send) -> Result<T, Error> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("unprivileged".into())
            .spawn_scoped(scope, || drop_all().map(|()| f()))
            .map_err(|e| {
                Error::new(
                    Errno(e.raw_os_error().unwrap_or(libc::EAGAIN)),
                    format!("no thread for an unprivileged load: {e}"),
                )
            })?;
        match thread.join() {
            Ok(result) => {
                result.map_err(|e| Error::new(e, "the kernel does not let this thread drop capabilities"))
            }
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Clears the effective, permitted and inheritable sets of the calling thread.
fn drop_all() -> Result<(), Errno> {
    /// `struct __user_cap_header_struct`.
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    /// `_LINUX_CAPABILITY_VERSION_3`: two sets of 3 × 32 bits follow.
    const VERSION_3: u32 = 0x2008_0522;
    let mut header = Header { version: VERSION_3, pid: 0 };
    let none = [0u32; 6];
    // SAFETY: both structures are live and of the size that version 3 has; pid 0 is the calling thread.
    let r = unsafe { libc::syscall(libc::SYS_capset, std::ptr::from_mut(&mut header), none.as_ptr()) };
    if r == 0 { Ok(()) } else { Err(super::last_errno()) }
}
