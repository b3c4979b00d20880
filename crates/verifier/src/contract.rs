//! What a call needs and gives, as found out for one call in one state.

use alloc::vec::Vec;

use skep_abi::{
    ArgKind, AttachType, EMBEDDER_HELPERS, HelperFlags, HelperProto, MapType, MapTypeRow, ProgramType,
};
use skep_isa::Reg;

use crate::check::dynptr::Place;
use crate::program::Program;
use crate::state::{DynptrType, Lock, Marks, Sock};

/// What a helper call that was found legal does to the state.
#[derive(Debug, Default)]
pub(crate) struct HelperFacts {
    /// What `r0` holds afterwards.
    pub(crate) ret: Returned,
    /// Stack bytes that the helper may write.
    pub(crate) stack_writes: Vec<StackWrite>,
    /// The reference that it releases.
    pub(crate) releases: Option<u32>,
    /// `r0` is a new reference.
    pub(crate) acquires: bool,
    /// `r0` is this reference in another form, and ends with it; 0 for none.
    pub(crate) derived_from: u32,
    /// Packet pointers are void afterwards.
    pub(crate) changes_packet: bool,
    /// Released while nothing goes away: what each CPU has of it stays until then.
    pub(crate) per_cpu_stays: bool,
    /// The reference that another owns from now on, while the lock is held.
    pub(crate) gives_away: Option<u32>,
    /// What it does to the lock.
    pub(crate) lock: Option<LockChange>,
    /// What it does to dynptrs.
    pub(crate) dynptr: Option<DynptrChange>,
    /// What it calls back.
    pub(crate) callback: Option<Callback>,
    /// The map that is its argument.
    pub(crate) map: Option<u16>,
    /// The key in it, of an array, where it is known.
    pub(crate) key: Option<u32>,
}

/// What a call does to the lock that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockChange {
    /// Takes one.
    Take(Lock),
    /// Gives it back.
    Give,
}

/// What a call does to a dynptr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DynptrChange {
    /// Makes one: of a new reference, of this one, or of none.
    Made { at: Place, kind: DynptrType, reference: Held },
    /// Releases the reference that some stand for.
    Ended { ref_id: u32 },
}

/// The reference that a new dynptr stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    None,
    New,
    /// That of the one that it is a copy of.
    Shared(u32),
}

/// A function of the program that a helper calls back, any number of times from none on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Callback {
    /// The subprogram.
    pub(crate) subprog: u16,
    /// What it is called with.
    pub(crate) args: CallbackArgs,
}

/// The registers of a callback at its entry; those that are not named are unreadable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallbackArgs {
    /// `bpf_loop`: the index, and the call's third argument; called at most this often.
    Loop { most: u64 },
    /// `bpf_for_each_map_elem`: the map, key, value, and the call's third argument.
    MapElem { map: u16 },
    /// `bpf_find_vma`: the task, the area, a structure of this number, and the call's fourth argument.
    Vma { id: u32 },
    /// `bpf_rbtree_add`: two members of the tree, objects of this type, `off` bytes into them.
    Less { id: u32, off: i32 },
    /// A timer's or a work queue's, at another time: the map, key and value.
    Later(Later),
    /// `bpf_user_ringbuf_drain`: a dynptr to a sample, and the call's third argument.
    Sample,
}

/// What runs at another time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Later {
    /// The map that it lies in a value of.
    pub(crate) map: u16,
    /// It may sleep.
    pub(crate) sleeps: bool,
    /// It may return any number of 32 bits, not only 0.
    pub(crate) any_result: bool,
}

/// `r0` after a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Returned {
    /// Nothing.
    #[default]
    Void,
    /// Any number.
    Integer,
    /// A number within these bounds.
    Within(i64, i64),
    /// A value of the map, or NULL if so said.
    MapValue { map: u16, nullable: bool },
    /// Memory of this size, or NULL if so said.
    Memory { size: u32, writable: bool, nullable: bool },
    /// What may be anywhere, to be read.
    Probed,
    /// A ring buffer record of this size, or NULL.
    Record { size: u32 },
    /// A socket, or NULL.
    Sock(Sock),
    /// An object of the program's own types, `off` bytes into it, or NULL if so said.
    Local { id: u32, marks: Marks, off: i32, nullable: bool },
    /// Memory of a dynptr, or NULL.
    Slice { size: u32, dynptr: u32, ref_id: u32, writable: bool, packet: bool, stays: bool },
    /// An object of the kernel, or NULL if so said.
    Object { id: u32, marks: Marks, nullable: bool },
}

/// Stack bytes that a helper writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StackWrite {
    pub(crate) frame: usize,
    pub(crate) off: i32,
    pub(crate) len: usize,
    /// All of them are surely overwritten.
    pub(crate) whole: bool,
}

/// Whether the map type may be the map argument of the helper. An embedder's may have maps with values, and ring buffers:
/// bodies reach those by copying.
pub(crate) fn map_fits(row: &MapTypeRow, helper: &HelperProto) -> bool {
    if helper.id >= EMBEDDER_HELPERS {
        return row.helpers.contains(&LOOKUP) || row.helpers.contains(&RINGBUF_OUTPUT);
    }
    row.helpers.contains(&helper.id)
}

/// Whether the program may change what a map of sockets holds, if the helper does: nobody else holds the lock of one of
/// them meanwhile (`may_update_sockmap`). `bpf_sock_map_update` and its like look when they run.
pub(crate) fn may_change_sockets(p: &Program<'_>, map: MapType, helper: &HelperProto) -> bool {
    if !map.holds_sockets() || !matches!(helper.id, UPDATE | DELETE) {
        return true;
    }
    match p.spec.prog_type {
        ProgramType::TRACING => p.spec.attach_type == AttachType::TRACE_ITER,
        ProgramType::SOCK_OPS => helper.id == DELETE,
        ProgramType::SOCKET_FILTER
        | ProgramType::SCHED_CLS
        | ProgramType::SCHED_ACT
        | ProgramType::XDP
        | ProgramType::SK_REUSEPORT
        | ProgramType::FLOW_DISSECTOR
        | ProgramType::SK_LOOKUP => true,
        _ => false,
    }
}

/// The map helpers that change a map.
pub(crate) fn changes_map(helper: &HelperProto) -> bool {
    // map_update_elem, map_delete_elem, map_push_elem, map_pop_elem
    matches!(helper.id, 2 | 3 | 87 | 88)
}

/// `MAX_ERRNO`: results from its negative up to -1 are errors.
pub(crate) const MAX_ERRNO: i64 = 4095;

/// `bpf_ringbuf_output`.
const RINGBUF_OUTPUT: u32 = 130;
/// `bpf_trace_printk`.
pub(crate) const TRACE_PRINTK: u32 = 6;
/// `bpf_map_lookup_elem`.
pub(crate) const LOOKUP: u32 = 1;
/// `bpf_map_update_elem`.
const UPDATE: u32 = 2;
/// `bpf_map_delete_elem`.
const DELETE: u32 = 3;
/// `bpf_get_local_storage`.
pub(crate) const GET_LOCAL_STORAGE: u32 = 81;
/// `bpf_get_current_task_btf`: the task is there (`RET_PTR_TO_BTF_ID_TRUSTED`).
pub(crate) const GET_CURRENT_TASK_BTF: u32 = 158;
/// `bpf_spin_lock`.
pub(crate) const SPIN_LOCK: u32 = 93;
/// `bpf_spin_unlock`.
pub(crate) const SPIN_UNLOCK: u32 = 94;
/// `bpf_timer_init`.
pub(crate) const TIMER_INIT: u32 = 169;
/// `bpf_timer_set_callback`.
pub(crate) const TIMER_SET_CALLBACK: u32 = 170;
/// `bpf_find_vma`.
pub(crate) const FIND_VMA: u32 = 180;
/// `bpf_for_each_map_elem`.
pub(crate) const FOR_EACH_MAP_ELEM: u32 = 164;
/// `bpf_dynptr_from_mem`.
pub(crate) const DYNPTR_FROM_MEM: u32 = 197;
/// `bpf_dynptr_write`.
pub(crate) const DYNPTR_WRITE: u32 = 202;
/// `bpf_loop`.
pub(crate) const LOOP: u32 = 181;

/// `bpf_user_ringbuf_drain`.
pub(crate) const USER_RINGBUF_DRAIN: u32 = 209;

/// Whether a helper calls a function of the program, any number of times, before it returns (`is_callback_calling_insn`).
pub(crate) fn calls_back(helper: u32) -> bool {
    matches!(helper, LOOP | FOR_EACH_MAP_ELEM | FIND_VMA | USER_RINGBUF_DRAIN)
}

/// Whether the map type's elements can be walked by callbacks (`map_for_each_callback`).
pub(crate) fn walks(kind: MapType) -> bool {
    matches!(
        kind,
        MapType::ARRAY
            | MapType::PERCPU_ARRAY
            | MapType::HASH
            | MapType::PERCPU_HASH
            | MapType::LRU_HASH
            | MapType::LRU_PERCPU_HASH
    )
}

/// `bpf_tail_call`.
pub(crate) const TAIL_CALL: u32 = 12;
/// `bpf_get_func_ip`.
pub(crate) const GET_FUNC_IP: u32 = 173;
/// `bpf_snprintf`.
pub(crate) const SNPRINTF: u32 = 165;

/// Whether the verifier has all that calls of a helper need; others it refuses as not supported yet.
pub fn verifies_helper(proto: &HelperProto) -> bool {
    let takes_function = proto.args.iter().flatten().any(|a| a.kind == ArgKind::Func);
    !takes_function || calls_back(proto.id) || proto.id == TIMER_SET_CALLBACK
}

/// The register of argument `i`.
pub(crate) fn arg_reg(i: usize) -> Reg {
    Reg(i as u8 + 1)
}

/// The static properties that do not depend on the state.
pub(crate) fn start(proto: &HelperProto) -> HelperFacts {
    HelperFacts {
        acquires: proto.flags.has(HelperFlags::ACQUIRES),
        changes_packet: proto.flags.has(HelperFlags::INVALIDATES_PACKET),
        ..HelperFacts::default()
    }
}
