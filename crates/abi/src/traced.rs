//! Functions of the kernel whose programs may sleep, or change what they return: lists that the kernel's types do not
//! have (`check_attach_modify_return`, `within_error_injection_list`, `btf_kfunc_is_modify_return`, Linux 6.18). The machines
//! that this was written on load no programs for functions: nothing here was asked of a kernel, and of error injection
//! only what is listed on every kernel that has it stands here.

/// Begins of the names of system calls, each of which is listed for error injection where it is implemented.
const SYSTEM_CALLS: &[&str] = &["__x64_sys_", "__ia32_sys_", "__arm64_sys_", "__riscv_sys_", "__s390x_sys_"];

/// Begin of the names of the functions that ask security modules.
const SECURITY: &str = "security_";

/// Functions listed by themselves (`register_btf_fmodret_id_set`), and whether their programs may sleep.
const LISTED: &[(&str, bool)] = &[
    ("bpf_fentry_test1", true),
    ("bpf_modify_return_test", false),
    ("bpf_modify_return_test2", false),
    ("bpf_modify_return_test_tp", false),
    ("update_socket_protocol", false),
];

fn is_system_call(function: &str) -> bool {
    SYSTEM_CALLS.iter().any(|start| function.starts_with(start))
}

/// Whether programs for a function are known to be allowed to sleep.
pub fn function_sleeps(function: &str) -> bool {
    is_system_call(function) || LISTED.contains(&(function, true))
}

/// Whether programs for a function are known to be allowed to change what it returns.
pub fn function_is_modifiable(function: &str) -> bool {
    let listed = LISTED.iter().any(|(name, _)| *name == function);
    function.starts_with(SECURITY) || is_system_call(function) || listed
}
