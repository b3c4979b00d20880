//! A program as a compiler sees it: what its instructions mean beyond what they say themselves.

use alloc::sync::Arc;
use alloc::vec::Vec;

use skep_abi::{CtxValue, Native};
use skep_isa::{Insn, Size};
use skep_maps::{Arena, Map};
use skep_verifier::Verified;

use crate::Program;
use crate::bound;
use crate::callback;
use crate::code::{Code, NO_CALLBACK};
use crate::helpers::StackHelper;
use crate::mem::CtxKind;

/// A verified program, bound to its maps.
#[derive(Clone, Copy)]
pub struct Binding<'p> {
    program: &'p Program,
    verified: &'p Verified,
}

/// What a call instruction calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Called {
    /// A helper or function of the kernel whose body is in this slot of the table: [`Services::helper`](super::Services).
    Helper(u16),
    /// `bpf_map_lookup_elem`: [`Services::lookup`](super::Services).
    Lookup,
    /// `bpf_tail_call`: [`Services::tail_call`](super::Services).
    TailCall,
    /// A helper that calls a function of the program back, by the number of its kind:
    /// [`Services::call_back_begin`](super::Services). The function is `r2`, and `r3` of [`Called::TREE_ADD`].
    CallBack(u8),
    /// `bpf_get_stackid` (`false`) or `bpf_get_stack` (`true`): [`Services::stack`](super::Services).
    Stack(bool),
    /// `bpf_throw`: [`Services::throw`](super::Services).
    Throw,
    /// The function of the program at a slot.
    Function(u32),
}

impl Called {
    /// `bpf_loop` of a 32-bit number.
    pub const LOOP: u8 = 0;
    /// `bpf_loop` of a 64-bit number.
    pub const WIDE_LOOP: u8 = 1;
    /// `bpf_for_each_map_elem`.
    pub const FOR_EACH: u8 = 2;
    /// `bpf_user_ringbuf_drain`.
    pub const DRAIN: u8 = 3;
    /// `bpf_rbtree_add_impl`.
    pub const TREE_ADD: u8 = 4;
}

/// An address of the packet that [`Rt`](super::Rt) keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketCell {
    /// First byte.
    Data,
    /// Behind the last one.
    End,
    /// The metadata's first byte.
    Meta,
}

/// What a load from the context gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CtxLoad {
    /// The bytes at this offset of the image, of the load's size.
    Image(u64),
    /// An address of the packet.
    Packet(PacketCell),
    /// The address of the flow keys.
    FlowKeys,
    /// NULL.
    Null,
    /// What [`Services::load_elsewhere`](super::Services) says.
    Elsewhere,
}

/// What a store to the context does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CtxStore {
    /// Writes to the image at the offset, as it is said here.
    Image(Native),
    /// What [`Services::store_elsewhere`](super::Services) does.
    Elsewhere,
}

impl<'p> Binding<'p> {
    pub(crate) fn new(program: &'p Program, verified: &'p Verified) -> Self {
        Self { program, verified }
    }

    pub(super) fn serial(&self) -> u64 {
        self.program.serial()
    }

    /// The program.
    pub fn program(&self) -> &'p Program {
        self.program
    }

    /// What was proved of it.
    pub fn verified(&self) -> &'p Verified {
        self.verified
    }

    /// Its slots.
    pub fn insns(&self) -> &'p [Insn] {
        self.program.insns()
    }

    /// Its maps, by index.
    pub fn maps(&self) -> &'p [Arc<Map>] {
        self.program.maps()
    }

    /// What the call in a slot calls; `None` when there is no call, or one that nobody can make.
    pub fn called(&self, pc: usize) -> Option<Called> {
        match *self.program.code.get(pc)? {
            Code::Helper { index } => Some(Called::Helper(index)),
            Code::Lookup => Some(Called::Lookup),
            Code::TailCall => Some(Called::TailCall),
            Code::CallBack { call } => Some(Called::CallBack(super::callbacks::number(call))),
            Code::Stack { helper: StackHelper::GetStackid } => Some(Called::Stack(false)),
            Code::Stack { helper: StackHelper::GetStack } => Some(Called::Stack(true)),
            Code::Throw { to: _ } => Some(Called::Throw),
            Code::Subprog { to } => Some(Called::Function(to)),
            _ => None,
        }
    }

    /// The function that is called when the program throws, by slot.
    pub fn thrown_to(&self) -> Option<u32> {
        self.program.thrown_to().filter(|to| *to != NO_CALLBACK)
    }

    /// What the `LDDW` in a slot loads: a constant, a map's register content, the address of a value, a function's register
    /// content.
    pub fn constant(&self, pc: usize) -> Option<u64> {
        match *self.program.code.get(pc)? {
            Code::Const { value, .. } => Some(value),
            _ => None,
        }
    }

    /// The index of the program's own map that a register content stands for.
    pub fn map_of(&self, content: u64) -> Option<usize> {
        self.program.map_index(content)
    }

    /// Virtual CPUs that all its per-CPU maps have. Native code reaches their values without asking, so runs on others are
    /// interpreted.
    pub fn cpus(&self) -> u32 {
        let percpu = self.maps().iter().filter(|m| m.is_percpu());
        percpu.map(|m| m.cpus()).min().unwrap_or(u32::MAX)
    }

    /// What stands in registers for the map of an index.
    pub fn map_content(&self, index: u32) -> u64 {
        bound::own(index)
    }

    /// The slot of the function that a register content stands for.
    pub fn function_of(&self, content: u64) -> Option<usize> {
        callback::slot(self.program, content).ok()
    }

    /// First slots of the functions that are entered from outside, beside the main one: those whose addresses the program
    /// loads (timers and work call them), and [`Self::thrown_to`].
    pub fn entered(&self) -> Vec<u32> {
        let named = self.program.functions().iter().filter_map(|slot| u32::try_from(*slot).ok());
        let mut all: Vec<u32> = named.chain(self.thrown_to()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The number of the instruction in a slot among those that access the program's arena: [`Services::arena`](super::Services).
    pub fn arena_access(&self, pc: usize) -> Option<u32> {
        match *self.program.code.get(pc)? {
            Code::Arena { index } => Some(index),
            _ => None,
        }
    }

    /// The arena, whose [`Arena::to_host`] is what a cast from address space 0 to 1 gives. A cast the other way keeps the lower
    /// 32 bits.
    pub fn arena(&self) -> Option<&'p Arena> {
        self.program.arena()
    }

    /// What a load from byte `off` of the context gives; `None` when there is none such.
    ///
    /// In a context of plain bytes, every part of the image that [`Code::ctx_bytes`](super::Code) covers is a plain load.
    pub fn ctx_load(&self, off: u64, size: Size) -> Option<CtxLoad> {
        if let CtxKind::Buffer { from, .. } = self.program.ctx.kind {
            return (off >= from as u64).then_some(CtxLoad::Image(off));
        }
        let (value, at) = self.program.ctx.load(off, size)?;
        Some(match value {
            CtxValue::Scalar => CtxLoad::Image(at),
            CtxValue::PacketData => CtxLoad::Packet(PacketCell::Data),
            CtxValue::PacketEnd => CtxLoad::Packet(PacketCell::End),
            CtxValue::PacketMeta => CtxLoad::Packet(PacketCell::Meta),
            CtxValue::FlowKeys => CtxLoad::FlowKeys,
            CtxValue::SockCommonOrNull | CtxValue::SocketOrNull => CtxLoad::Null,
            CtxValue::Socket | CtxValue::Btf(_) | CtxValue::TracepointBuffer => CtxLoad::Elsewhere,
        })
    }

    /// What a store to byte `off` of the context does; `None` when there is none such. As [`Self::ctx_load`] otherwise.
    pub fn ctx_store(&self, off: u64, size: Size) -> Option<CtxStore> {
        if let CtxKind::Buffer { from, write } = self.program.ctx.kind {
            return (write && off >= from as u64).then_some(CtxStore::Image(Native::Same));
        }
        self.program.ctx.store(off, size).map(CtxStore::Image)
    }

    /// Whether the context is plain bytes: its length is the caller's affair, so an access at an offset that is not known
    /// when the program is compiled is asked of a service.
    pub fn ctx_is_bytes(&self) -> bool {
        matches!(self.program.ctx.kind, CtxKind::Buffer { .. })
    }

    /// Bytes of a context of fields: all runs have them.
    pub fn ctx_bytes(&self) -> usize {
        self.program.ctx.need
    }

    /// Bytes at the end of every frame that its function may read before it has written them; a multiple of 8.
    pub fn zeroed(&self) -> u32 {
        self.program.stack_used
    }
}
