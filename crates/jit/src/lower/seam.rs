//! Where native code finds the runtime.

use core::mem::offset_of;

use skep_vm::MAY_GOTO_LIMIT;
use skep_vm::native::{Rt, services};

/// Offsets in the runtime's structure, and addresses of its services.
///
/// Every service has the C calling convention, takes the structure's address and numbers of 64 bits, and gives a value and a
/// stop in two registers. `at` is the instruction's slot and a small number: the helper's, the kind's, or of bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seam {
    /// Offset of five numbers: arguments of helpers, answers of services.
    pub args: i32,
    /// Offset of the numbers that pieces of functions hand on.
    pub kept: i32,
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
    /// `check(rt, addr, at)`: whether bytes may be accessed.
    pub check: u64,
    /// Offset of the number of steps until the deadline is looked at.
    pub steps: i32,
    /// Offset of the address of the links that tail calls go by.
    pub links: i32,
    /// Offset of the address of the number of tail calls.
    pub tail_calls: i32,
    /// Offset of the program that runs.
    pub program: i32,
    /// The program's arrays of programs.
    pub program_slots: Vec<Slots>,
    /// Passes of `may_goto` in a frame before it jumps.
    pub may_goto_limit: u32,
}

/// An array of programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    /// What stands for it in registers.
    pub content: u64,
    /// Address of its slots, of 32 bits each.
    pub address: u64,
    /// Number of slots.
    pub count: u32,
}

impl Seam {
    /// That of [`skep_vm::native`].
    pub fn runtime() -> Self {
        let of = |at: usize| at as i32;
        let address = |f: *const ()| f.expose_provenance() as u64;
        let services = services();
        Self {
            args: of(offset_of!(Rt, args)),
            kept: of(offset_of!(Rt, handed)),
            packet_data: of(offset_of!(Rt, packet_data)),
            packet_end: of(offset_of!(Rt, packet_end)),
            packet_meta: of(offset_of!(Rt, packet_meta)),
            flow_keys: of(offset_of!(Rt, flow_keys)),
            vcpu: of(offset_of!(Rt, vcpu)),
            helper: address(services.helper as *const ()),
            lookup: address(services.lookup as *const ()),
            stack: address(services.stack as *const ()),
            calls: address(services.calls as *const ()),
            call_back_begin: address(services.call_back_begin as *const ()),
            call_back_next: address(services.call_back_next as *const ()),
            packet_load: address(services.packet_load as *const ()),
            load_elsewhere: address(services.load_elsewhere as *const ()),
            store_elsewhere: address(services.store_elsewhere as *const ()),
            arena: address(services.arena as *const ()),
            tail_call: address(services.tail_call as *const ()),
            tick: address(services.tick as *const ()),
            throw: address(services.throw as *const ()),
            check: address(services.check as *const ()),
            steps: of(offset_of!(Rt, steps)),
            links: of(offset_of!(Rt, links)),
            tail_calls: of(offset_of!(Rt, tail_calls)),
            program: of(offset_of!(Rt, program)),
            program_slots: Vec::new(),
            may_goto_limit: MAY_GOTO_LIMIT,
        }
    }
}
