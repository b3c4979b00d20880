//! The limits of Linux 6.18.

/// Longest program of an unprivileged loader, in slots (`BPF_MAXINSNS`).
pub const UNPRIVILEGED_INSNS: usize = 4096;
/// Longest program, in slots.
pub const PRIVILEGED_INSNS: usize = 1_000_000;
/// Instructions that a verification may process (`BPF_COMPLEXITY_LIMIT_INSNS`).
pub const PROCESSED_INSNS: u32 = 1_000_000;
/// Branches that may wait (`BPF_COMPLEXITY_LIMIT_JMP_SEQ`).
pub const PENDING_JUMPS: usize = 8192;
/// States per instruction that an unprivileged verification keeps (`BPF_COMPLEXITY_LIMIT_STATES`).
pub const UNPRIVILEGED_STATES: usize = 64;
/// Functions in a program (`BPF_MAX_SUBPROGS`).
pub const SUBPROGS: usize = 256;
/// Frames of a call chain (`MAX_CALL_FRAMES`).
pub const FRAMES: usize = 8;
/// Bytes of stack (`MAX_BPF_STACK`).
pub const STACK: u32 = 512;
/// Bytes of stack below a tail call in a function that was called.
pub const TAIL_CALL_STACK: u32 = 256;
/// Maps of a program (`MAX_USED_MAPS`).
pub const MAPS: usize = 64;
/// Functions of the kernel that a program calls (`MAX_KFUNC_DESCS`).
pub const KFUNCS: usize = 256;
/// Offsets and variable parts of pointers stay within plus or minus this (`BPF_MAX_VAR_OFF`).
pub const VAR_OFF: i64 = 1 << 29;
/// Largest size argument (`BPF_MAX_VAR_SIZ`).
pub const VAR_SIZE: u64 = 1 << 29;
/// Offsets into packets stay below this (`MAX_PACKET_OFF`).
pub const PACKET_OFF: u64 = 0xffff;
