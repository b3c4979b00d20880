//! What an error number of `bpf(2)` means and what to do about it.

use skep_spec::{Errno, Error};

/// The error of a failed operation: `what` names the operation and its object.
#[cold]
pub(crate) fn error(errno: Errno, what: &str) -> Error {
    Error::new(errno, format!("{what}: {}{}", errno.text(), hint(errno)))
}

fn hint(errno: Errno) -> String {
    match errno {
        Errno::EPERM => permission(),
        Errno::ENOSYS => "; this kernel has no bpf(2) (CONFIG_BPF_SYSCALL), use the user backend".into(),
        Errno::ENOMEM => "; the map or program is larger than what the kernel can allocate now".into(),
        Errno::ENOTSUPP => "; this kernel does not support the combination".into(),
        _ => String::new(),
    }
}

/// Why `EPERM`, as far as the system tells.
fn permission() -> String {
    let disabled = std::fs::read_to_string("/proc/sys/kernel/unprivileged_bpf_disabled").unwrap_or_default();
    let setting = match disabled.trim() {
        "0" => "",
        "1" | "2" => " (kernel.unprivileged_bpf_disabled is set)",
        _ => " (a container or security module may also forbid it)",
    };
    format!(
        "; this needs CAP_BPF, with CAP_PERFMON or CAP_NET_ADMIN for most program types{setting}: run as root, or use the user backend"
    )
}
