//! A program prepared for verification: decoded, cut into subprograms, with its facts by slot.

use alloc::rc::Rc;
use alloc::vec::Vec;

use skep_abi::{Capability, Context, MapFlags, MapType, ProgramTypeRow, ReturnRange, Sleep};
use skep_isa::{CallTarget, Op, RegSet};
use skep_spec::{Environment, Fields, MapDef, ProgramSpec};

use crate::kernel::{IterFunction, Kernel};
use crate::state::State;

/// The program as the rooms see it. Slots of [`Self::ops`] that are the second of an `LDDW` hold `None`.
pub(crate) struct Program<'a> {
    pub(crate) spec: &'a ProgramSpec,
    /// Its maps, then what the maps in maps of maps look like: see [`maps_of`].
    pub(crate) maps: Vec<&'a MapDef>,
    pub(crate) env: &'a Environment,
    pub(crate) row: &'a ProgramTypeRow,
    /// The context as the loader may see it.
    pub(crate) ctx: &'a Context,
    /// Legal return values under the expected attach type.
    pub(crate) returns: ReturnRange,
    pub(crate) ops: Vec<Option<Op>>,
    /// Ascending; the first starts at 0, the last ends at the program's end.
    pub(crate) subprogs: Vec<Extent>,
    /// It stands for a function of another program: its main function is verified on its own, for any arguments that its
    /// type allows.
    pub(crate) extends: bool,
    /// By subprogram, whether it, or a function that it calls, throws.
    pub(crate) throwing: Vec<bool>,
    /// The one that is called when the program throws.
    pub(crate) exception_callback: Option<usize>,
    pub(crate) points: Vec<Points>,
    /// It names an arena.
    pub(crate) arena: bool,
    /// Registers that some continuation from the slot may read.
    pub(crate) live: Vec<RegSet>,
    /// By map, the fields in a value that the kernel keeps.
    pub(crate) fields: Vec<Rc<Fields>>,
    /// By type of the program's own, the fields of an object that it allocates.
    pub(crate) objects: crate::objects::Known,
    /// By slot, the loop that it is part of: the number of its strongly connected component, 0 for none.
    pub(crate) loops: Vec<u32>,
    pub(crate) strict_alignment: bool,
    /// The kernel's types, where the program has to do with them.
    pub(crate) kernel: Option<Kernel<'a>>,
}

/// The slots of a subprogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// It contains a `call bpf_tail_call`.
    pub(crate) has_tail_call: bool,
    /// It, or a function that it calls, may change the packet.
    pub(crate) changes_packet: bool,
    /// It, or a function that it calls, may sleep.
    pub(crate) might_sleep: bool,
    /// It is visible outside its file, and not the main function: verified once, on its own.
    pub(crate) global: bool,
}

/// What exploration does at a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Points {
    /// Paths may meet here: compare with stored states.
    pub(crate) prune: bool,
    /// Control does not only come from the slot before: the history counts it.
    pub(crate) jump: bool,
    /// The state is stored each time, so that a loop can end here.
    pub(crate) store: Option<Store>,
}

/// A loop that ends by itself, so that it is explored until nothing new comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    /// Around a `may_goto`.
    MayGoto,
    /// A helper that calls back.
    Callback,
    /// An iterator's next element.
    Iterator,
}

impl Program<'_> {
    /// The instruction at a slot, which exploration reaches only at instruction starts.
    pub(crate) fn op(&self, pc: usize) -> Op {
        self.ops.get(pc).copied().flatten().unwrap_or(Op::Exit)
    }

    /// The slot after the instruction.
    pub(crate) fn next(&self, pc: usize) -> usize {
        pc + self.op(pc).slots()
    }

    /// The iterator's function that is called, if it is one.
    pub(crate) fn iter_function(&self, op: Op) -> Option<alloc::rc::Rc<IterFunction>> {
        let Op::Call(CallTarget::Kfunc { btf_id, btf_idx: 0 }) = op else { return None };
        self.kernel.as_ref()?.iter_function(btf_id as u32)
    }

    /// The index of the subprogram that a slot belongs to.
    pub(crate) fn subprog_of(&self, pc: usize) -> usize {
        self.subprogs.partition_point(|s| s.start <= pc).saturating_sub(1)
    }

    /// The index of the subprogram that starts at a slot.
    pub(crate) fn subprog_at(&self, pc: usize) -> Option<usize> {
        self.subprogs.binary_search_by_key(&pc, |s| s.start).ok()
    }

    /// The global function that a call at `pc` calls.
    pub(crate) fn global_callee(&self, pc: usize, off: i32) -> Option<usize> {
        let callee = self.subprog_at(target(pc, off)?)?;
        self.subprogs[callee].global.then_some(callee)
    }

    /// The map of an index that `structure` has checked, or that [`Self::inner`] gave.
    pub(crate) fn map(&self, idx: u16) -> &MapDef {
        self.maps[usize::from(idx)]
    }

    /// The index of what the maps in a map of maps look like; `None` for other maps.
    pub(crate) fn inner(&self, idx: u16) -> Option<u16> {
        let inner = self.spec.maps.get(usize::from(idx))?.inner.as_deref()?;
        let at = self.maps.iter().position(|m| core::ptr::eq(*m, inner))?;
        u16::try_from(at).ok()
    }

    /// The elements that a map surely has: a map in a map of maps may have fewer than it looks like. Only arrays without the
    /// flag are compared in their length (`array_map_meta_equal`; of per-CPU arrays, Linux 6.18 forgets that).
    pub(crate) fn surely_has(&self, idx: u16) -> u32 {
        let map = self.map(idx);
        let compared = map.kind == MapType::ARRAY && !map.flags.has(MapFlags::INNER_MAP);
        let sized = usize::from(idx) < self.spec.maps.len() || compared;
        if sized { map.max_entries } else { 0 }
    }

    /// The contents of a map that nobody can change (`bpf_map_is_rdonly`). A map in a map of maps may have others than
    /// what it looks like.
    pub(crate) fn constants(&self, idx: u16) -> Option<&[u8]> {
        let map = self.map(idx);
        let own = usize::from(idx) < self.spec.maps.len();
        let fixed = own && map.frozen && map.flags.has(MapFlags::RDONLY_PROG);
        fixed.then(|| map.initial.as_deref().unwrap_or(&[]))
    }

    /// Whether nothing that is looked at goes away meanwhile (`in_rcu_cs`): so in programs that cannot sleep.
    pub(crate) fn in_rcu(&self, s: &State) -> bool {
        s.sections.rcu || !s.locks.is_empty() || !self.may_sleep(s)
    }

    /// Whether what runs now may sleep (`in_sleepable`).
    pub(crate) fn may_sleep(&self, s: &State) -> bool {
        s.sleeps || !self.never_sleeps()
    }

    /// Whether the program was loaded as one that cannot sleep.
    pub(crate) fn never_sleeps(&self) -> bool {
        self.row.sleep_for(self.spec.attach_type) != Sleep::Always
            && self.spec.flags & ProgramSpec::SLEEPABLE == 0
    }

    /// The fields in a map's values that the kernel keeps.
    pub(crate) fn fields(&self, idx: u16) -> &Fields {
        &self.fields[usize::from(idx)]
    }

    /// May reveal addresses, read uninitialised stack and compare pointers (`CAP_PERFMON`).
    pub(crate) fn may_leak(&self) -> bool {
        self.env.capability >= Capability::Perfmon
    }
}

/// What registers may point to: a program's maps, then for each of its maps of maps the definition of the maps inside
/// (the kernel's `inner_map_meta`).
pub(crate) fn maps_of(spec: &ProgramSpec) -> impl Iterator<Item = &MapDef> {
    let own = spec.maps.iter().map(|m| &**m);
    own.chain(spec.maps.iter().filter_map(|m| m.inner.as_deref()))
}

/// The slot that a distance from `pc` names, `None` outside the program's address range.
pub(crate) fn target(pc: usize, off: i32) -> Option<usize> {
    usize::try_from(i64::try_from(pc).ok()? + 1 + i64::from(off)).ok()
}
