//! Where native code finds the runtime.

/// Offsets in the runtime's structure, and addresses of its services.
///
/// Every service has the C calling convention, takes the structure's address and numbers of 64 bits, and gives a value and a
/// stop in two registers. `at` is the instruction's slot and a small number: the helper's, the kind's, or of bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seam {
    /// Offset of five numbers: arguments of helpers, answers of services.
    pub args: i32,
    /// Offset of the packet's address.
    pub packet_data: i32,
    /// Offset of the address behind it.
    pub packet_end: i32,
    /// Offset of the address of its metadata.
    pub packet_meta: i32,
    /// Offset of the flow keys' address.
    pub flow_keys: i32,
    /// Offset of the virtual CPU.
    pub vcpu: i32,
    /// `helper(rt, at)`, arguments in `args`.
    pub helper: u64,
    /// `lookup(rt, map, key, pc)`.
    pub lookup: u64,
    /// `stack(rt, at, frame)`, arguments in `args`.
    pub stack: u64,
    /// `calls(rt, pc, frame)`: before calls, where another function than the main one asks for the stack.
    pub calls: u64,
    /// `call_back_begin(rt, at, frame)`, arguments in `args`.
    pub call_back_begin: u64,
    /// `call_back_next(rt, returned, frame)`.
    pub call_back_next: u64,
    /// `packet_load(rt, at, off)`.
    pub packet_load: u64,
    /// `load_elsewhere(rt, addr, at)`.
    pub load_elsewhere: u64,
    /// `store_elsewhere(rt, addr, at, value)`.
    pub store_elsewhere: u64,
    /// `arena(rt, index, base, src, r0)`.
    pub arena: u64,
    /// `tail_call(rt, ctx, map, index, frame, pc)`: 0: go on with `args[0]`; 1: return `args[0]`; else what to jump to.
    pub tail_call: u64,
    /// `tick(rt, pc)`.
    pub tick: u64,
    /// `throw(rt, cookie)`.
    pub throw: u64,
    /// Passes of `may_goto` in a frame before it jumps.
    pub may_goto_limit: u32,
}

/// A slot and a small number in one: what services are told of the instruction that asks.
pub(super) const fn at(pc: u32, number: u16) -> u64 {
    (pc as u64) << 16 | number as u64
}
