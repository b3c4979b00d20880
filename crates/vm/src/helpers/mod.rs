//! Helper bodies, one file per family, and the table that finds them by id.
//!
//! A body gets the five argument registers as they are: nothing has been checked. What the verifier would refuse
//! (memory that is not the program's, a register that is no map) is a trap; what the kernel answers with an
//! error number is a result.

mod bprintf;
pub(crate) mod dynptr;
pub(crate) mod embedder;
pub(crate) mod kept;
pub(crate) mod lock;
mod map;
mod perf;
pub(crate) mod probe;
mod redirect;
pub(crate) mod ringbuf;
mod route;
mod skb;
mod stack;
mod storage;
mod string;
mod task;
mod time;
mod trace;
pub(crate) mod xdp;

pub use stack::CodeAddr;
pub(crate) use stack::{Place, StackHelper, stack};

use skep_spec::Errno;

use crate::Program;
use crate::bound::MapRef;
use crate::code::HelperSlot;
use crate::interp::State;
use crate::kfuncs;
use crate::mem::{Mem, Word};
use crate::packet::Layout;
use crate::trap::TrapKind;

/// What a helper works on.
pub(crate) struct Call<'c, 'm, 's> {
    pub(crate) program: &'c Program,
    pub(crate) mem: &'c mut Mem<'m>,
    pub(crate) state: &'c mut State<'s>,
}

pub(crate) type Args = [u64; 5];
pub(crate) type Body = fn(&mut Call<'_, '_, '_>, Args) -> Result<u64, TrapKind>;

pub(crate) use map::{can_look_up, lookup, lookup_in_array};

/// `bpf_map_lookup_elem`, which the interpreter calls by name.
const MAP_LOOKUP_ELEM: u32 = 1;
/// `bpf_tail_call` leaves the program, so the interpreter has it.
const TAIL_CALL: u32 = 12;
/// `bpf_for_each_map_elem`, `bpf_loop` and `bpf_user_ringbuf_drain` enter functions of the program: see [`crate::callback`].
const FOR_EACH_MAP_ELEM: u32 = 164;
const LOOP: u32 = 181;
const USER_RINGBUF_DRAIN: u32 = 209;
const GET_STACKID: u32 = 27;
const GET_STACK: u32 = 67;

/// Bodies by helper id, ascending.
static BODIES: &[(u32, Body)] = &[
    (2, map::update_elem),
    (3, map::delete_elem),
    (4, probe::read),
    (5, time::ktime_get_ns),
    (6, trace::trace_printk),
    (7, time::get_prandom_u32),
    (8, time::get_smp_processor_id),
    (9, skb::store_bytes),
    (10, skb::l3_csum_replace),
    (11, skb::l4_csum_replace),
    (13, redirect::clone_redirect),
    (14, task::pid_tgid),
    (15, task::uid_gid),
    (16, task::comm),
    (18, skb::vlan_push),
    (19, skb::vlan_pop),
    (23, redirect::redirect),
    (24, skb::get_route_realm),
    (25, perf::event_output),
    (26, skb::load_bytes),
    (28, skb::csum_diff),
    (31, skb::change_proto),
    (32, skb::change_type),
    (34, skb::get_hash_recalc),
    (35, task::task),
    (38, skb::change_tail),
    (39, skb::pull_data),
    (40, skb::csum_update),
    (41, skb::set_hash_invalid),
    (42, time::get_numa_node_id),
    (43, skb::change_head),
    (44, xdp::adjust_head),
    (45, probe::read_str),
    (48, skb::set_hash),
    (50, skb::adjust_room),
    (51, redirect::redirect_map),
    (54, xdp::adjust_meta),
    (65, xdp::adjust_tail),
    (68, skb::load_bytes_relative),
    (69, route::fib_lookup),
    (79, skb::cgroup_id),
    (80, task::cgroup_id),
    (83, skb::ancestor_cgroup_id),
    (87, map::push_elem),
    (88, map::pop_elem),
    (89, map::peek_elem),
    (93, lock::spin_lock),
    (94, lock::spin_unlock),
    (105, string::strtol),
    (106, string::strtoul),
    (107, storage::sk_get),
    (108, storage::sk_delete),
    (112, probe::read_user),
    (113, probe::read_kernel),
    (114, probe::read_user_str),
    (115, probe::read_kernel_str),
    (118, time::jiffies64),
    (120, task::ns_pid_tgid),
    (123, task::ancestor_cgroup_id),
    (125, time::ktime_get_boot_ns),
    (130, ringbuf::output),
    (131, ringbuf::reserve),
    (132, ringbuf::submit),
    (133, ringbuf::discard),
    (134, ringbuf::query),
    (135, skb::csum_level),
    (145, storage::inode_get),
    (146, storage::inode_delete),
    (148, probe::read_user),
    (151, skb::cgroup_classid),
    (152, redirect::redirect_neigh),
    (153, kept::per_cpu_ptr),
    (154, kept::this_cpu_ptr),
    (155, redirect::redirect_peer),
    (156, storage::task_get),
    (157, storage::task_delete),
    (158, storage::current_task),
    (160, time::ktime_get_coarse_ns),
    (163, route::check_mtu),
    (165, string::snprintf),
    (169, kept::timer_init),
    (170, kept::timer_set_callback),
    (171, kept::timer_start),
    (172, kept::timer_cancel),
    (177, trace::trace_vprintk),
    (182, string::strncmp),
    (188, xdp::get_buff_len),
    (189, xdp::load_bytes),
    (190, xdp::store_bytes),
    (194, kept::kptr_xchg),
    (195, map::lookup_percpu_elem),
    (197, dynptr::from_mem),
    (198, dynptr::reserve),
    (199, dynptr::submit),
    (200, dynptr::discard),
    (201, dynptr::read),
    (202, dynptr::write),
    (203, dynptr::data),
    (208, time::ktime_get_tai_ns),
    (210, storage::cgrp_get),
    (211, storage::cgrp_delete),
];

/// Whether programs can run helper `id` here: skep has a body for it, or an embedder may have.
pub fn has_body(id: u32) -> bool {
    slot(id).is_some()
}

/// Where the body of a helper is, if there is one.
pub(crate) fn slot(id: u32) -> Option<HelperSlot> {
    match id {
        MAP_LOOKUP_ELEM => return Some(HelperSlot::Lookup),
        TAIL_CALL => return Some(HelperSlot::TailCall),
        FOR_EACH_MAP_ELEM => return Some(HelperSlot::ForEach),
        USER_RINGBUF_DRAIN => return Some(HelperSlot::Drain),
        LOOP => return Some(HelperSlot::Loop),
        GET_STACKID => return Some(HelperSlot::Stack(StackHelper::GetStackid)),
        GET_STACK => return Some(HelperSlot::Stack(StackHelper::GetStack)),
        _ => {}
    }
    if let Some(n) = id.checked_sub(embedder::EMBEDDER_HELPERS).filter(|n| *n < embedder::COUNT) {
        return Some(HelperSlot::Table(embedder::FIRST_SLOT + n as u16));
    }
    let index = BODIES.binary_search_by_key(&id, |b| b.0).ok()?;
    Some(HelperSlot::Table(index as u16))
}

/// The id of the helper whose body is in a slot of the table.
pub(crate) fn id(index: u16) -> Option<u32> {
    BODIES.get(usize::from(index)).map(|body| body.0)
}

/// Calls the body of a helper without arguments; nothing if there is none.
#[cold]
pub(crate) fn call_by_id(id: u32, call: &mut Call<'_, '_, '_>) -> Option<u64> {
    let at = BODIES.binary_search_by_key(&id, |b| b.0).ok()?;
    BODIES[at].1(call, [0; 5]).ok()
}

/// Calls the body in a slot of the table.
#[inline]
pub(crate) fn call(index: u16, call: &mut Call<'_, '_, '_>, args: Args) -> Result<u64, TrapKind> {
    match BODIES.get(usize::from(index)) {
        Some((_, body)) => body(call, args),
        None => match kfuncs::call(index, call, args) {
            Some(result) => result,
            None => embedder::call(index, call, args),
        },
    }
}

/// An error number as a helper's result.
pub(crate) fn errno(e: Errno) -> u64 {
    i64::from(-e.0) as u64
}

/// 0 or an error number as the result of a function of the kernel that returns an `int`, whose upper half is zero.
pub(crate) fn int(result: Result<(), Errno>) -> u64 {
    result.map_or_else(|e| u64::from(-e.0 as u32), |()| 0)
}

pub(crate) fn status(result: Result<(), Errno>) -> u64 {
    result.map_or_else(errno, |()| 0)
}

impl<'c> Call<'c, '_, '_> {
    /// The map that an argument stands for.
    #[inline]
    pub(crate) fn map(&self, value: u64) -> Result<MapRef<'c>, TrapKind> {
        self.program.map(value, self.state.vcpu).ok_or(TrapKind::NotAMap(value))
    }

    /// Checks that an argument is the context, and gives the packet.
    pub(crate) fn packet(&self, ctx: u64) -> Result<Layout, TrapKind> {
        if ctx != self.state.ctx_addr {
            return Err(TrapKind::NotTheContext(ctx));
        }
        self.state.packet.ok_or(TrapKind::NoPacket)
    }

    /// Loads a number, zero-extended.
    pub(crate) fn load<W: Word>(&mut self, addr: u64) -> Result<u64, TrapKind> {
        self.mem.load::<W>(addr).ok_or_else(|| self.fault(addr, W::BYTES, false))
    }

    /// Writes bytes: all of them or none.
    pub(crate) fn store(&mut self, addr: u64, bytes: &[u8]) -> Result<(), TrapKind> {
        self.mem.write(addr, bytes).ok_or_else(|| self.fault(addr, bytes.len() as u64, true))
    }

    #[cold]
    pub(crate) fn fault(&self, addr: u64, size: u64, write: bool) -> TrapKind {
        TrapKind::Memory(self.mem.fault(addr, size, write))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_body_has_a_row() {
        for (id, _) in BODIES {
            assert!(skep_abi::helper(*id).is_some(), "body of helper {id} has no row");
        }
    }

    #[test]
    fn bodies_ascend() {
        assert!(BODIES.is_sorted_by(|a, b| a.0 < b.0));
    }
}
