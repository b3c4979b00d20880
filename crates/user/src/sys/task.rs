//! The calling thread: bare system calls, nothing allocated.

use skep_vm::{COMM_BYTES, Task};

/// Thread and process, as the process's own namespace numbers them.
pub(crate) fn task() -> Task {
    // SAFETY: neither takes a pointer nor can fail.
    let (pid, tgid) = unsafe { (libc::syscall(libc::SYS_gettid), libc::getpid()) };
    Task { pid: pid as u32, tgid: tgid as u32 }
}

/// Real user and group.
pub(crate) fn uid_gid() -> (u32, u32) {
    // SAFETY: neither takes a pointer nor can fail.
    unsafe { (libc::getuid(), libc::getgid()) }
}

/// The thread's name, ended by a NUL.
pub(crate) fn comm() -> [u8; COMM_BYTES] {
    let mut name = [0u8; COMM_BYTES];
    // SAFETY: PR_GET_NAME writes at most 16 bytes, which `name` has.
    unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    name
}
