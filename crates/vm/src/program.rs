//! Programs, prepared for running.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use core::sync::atomic::{AtomicU64, Ordering};

use once_cell::race::OnceBox;
use skep_abi::{
    Capability, Context, CtxShape, CtxValue, MapFlags, Native as NativeField, PacketAccess, ProgramType,
    SK_BUFF_BYTES,
};
use skep_btf::TypeId;
use skep_isa::{CallTarget, DecodeError, Imm64, Insn, Op, Size, decode, decode_all};
use skep_maps::{Arena, Keeper, Map, ObjectType};
use skep_spec::{Environment, Errno, Error, FieldKind, MapDef, ProgramSpec};
use skep_verifier::{AccessBase, Digest, InsnFacts, Verified};

use crate::bound::{self, MapRef};
use crate::code::{Binding, Code, Fusing, HelperSlot, Prepared, prepare};
use crate::mem::{CtxKind, FRAME_BYTES, MapSet};
use crate::native::Native;
use crate::{helpers, kfuncs, native};

/// Programs made so far.
static SERIAL: AtomicU64 = AtomicU64::new(1);

/// A program in prepared form, bound to its maps.
pub struct Program {
    name: String,
    id: u32,
    prog_type: ProgramType,
    insns: Vec<Insn>,
    pub(crate) code: Vec<Code>,
    errors: Vec<DecodeError>,
    functions: Vec<usize>,
    pub(crate) bound: MapSet,
    pub(crate) ctx: CtxAccess,
    pub(crate) packet: PacketAccess,
    pub(crate) legacy_loads: bool,
    /// Bytes at the end of a frame that its function may read before it has written them, a multiple of 8.
    pub(crate) stack_used: u32,
    /// The largest CPU number that it may be told.
    pub(crate) last_cpu: u32,
    /// What keeps its objects and those of its maps.
    keeper: Option<Arc<Keeper>>,
    /// The structs of its types whose numbers its instructions have, by number.
    object_types: Vec<(u32, Arc<ObjectType>)>,
    /// The instructions that access its arena, in the order of their slots.
    pub(crate) arena_ops: Vec<Op>,
    special: Special,
    verified: bool,
    /// What was proved, for as long as nobody has said that it will not be compiled.
    proof: Option<Verified>,
    native: OnceBox<Native>,
    /// Tells this program from all others of the process.
    serial: u64,
}

/// What makes instructions more than they say themselves.
#[derive(Default)]
struct Special {
    /// Slots of calls of `bpf_loop` that take the number of iterations as 32 bits: those that Linux does not put
    /// into the program, since it cannot tell what is called, or with which flags.
    narrow_loops: Vec<usize>,
    /// Slots of instructions that access the arena; ascending.
    arena: Vec<usize>,
    /// Slots that call a function of the kernel or have its address, with the place of its body; ascending.
    kfuncs: Vec<(usize, HelperSlot)>,
    /// First slot of the function that is called when it throws.
    thrown_to: Option<u32>,
}

/// How the program's context is accessed: the answers of `Context::access` for every offset.
pub(crate) struct CtxAccess {
    pub(crate) name: &'static str,
    pub(crate) kind: CtxKind,
    /// Bytes that the image must have.
    pub(crate) need: usize,
    cells: Vec<Cell>,
    /// Some load gives the address of flow keys.
    pub(crate) has_flow_keys: bool,
}

/// What may be done at an offset of a context: bit n stands for accesses of `1 << n` bytes.
#[derive(Clone, Copy)]
struct Cell {
    loads: u8,
    stores: u8,
    value: CtxValue,
    native: NativeField,
    /// The field that covers the offset.
    start: u16,
    size: u16,
}

/// Bytes of `struct xdp_md`.
const XDP_MD_BYTES: usize = 24;
const SIZES: [Size; 4] = [Size::B, Size::H, Size::W, Size::DW];

impl CtxAccess {
    fn new(ctx: Option<&Context>) -> Self {
        let Some(ctx) = ctx else {
            // A program of no known type gets plain memory.
            let kind = CtxKind::Buffer { from: 0, write: true };
            return Self { name: "memory", kind, need: 0, cells: Vec::new(), has_flow_keys: false };
        };
        match ctx.shape {
            CtxShape::Buffer { from, writable } => Self {
                name: ctx.name,
                kind: CtxKind::Buffer { from: from as usize, write: writable },
                need: 0,
                cells: Vec::new(),
                has_flow_keys: false,
            },
            // Only the kernel has what is in there: [`Program::new`] refuses.
            CtxShape::Arguments => Self {
                name: ctx.name,
                kind: CtxKind::Fields,
                need: 0,
                cells: Vec::new(),
                has_flow_keys: false,
            },
            CtxShape::Fields(fields) => Self {
                name: ctx.name,
                kind: CtxKind::Fields,
                need: ctx.size as usize,
                cells: (0..ctx.size).map(|off| Cell::new(ctx, off)).collect(),
                has_flow_keys: fields.iter().any(|f| f.value == CtxValue::FlowKeys),
            },
        }
    }

    /// Whether it is a `struct __sk_buff`, all of it.
    pub(crate) fn is_sk_buff(&self) -> bool {
        self.name == "__sk_buff" && self.need >= SK_BUFF_BYTES as usize
    }

    /// Whether it is a `struct xdp_md`, all of it.
    pub(crate) fn is_xdp_md(&self) -> bool {
        self.name == "xdp_md" && self.need >= XDP_MD_BYTES
    }

    /// What a load gives, and where in the image a number stands; `None` when it is not allowed.
    #[inline]
    pub(crate) fn load(&self, off: u64, size: Size) -> Option<(CtxValue, u64)> {
        let cell = self.cells.get(usize::try_from(off).ok()?)?;
        if cell.loads & size.bytes() as u8 == 0 {
            return None;
        }
        let inside = off as u32 - u32::from(cell.start);
        let at = cell.native.load_at(inside, size.bytes() as u32, cell.size.into());
        Some((cell.value, u64::from(cell.start) + u64::from(at)))
    }

    /// What stays of a store; `None` when it is not allowed.
    #[inline]
    pub(crate) fn store(&self, off: u64, size: Size) -> Option<NativeField> {
        let cell = self.cells.get(usize::try_from(off).ok()?)?;
        (cell.stores & size.bytes() as u8 != 0 && cell.value == CtxValue::Scalar).then_some(cell.native)
    }
}

impl Cell {
    fn new(ctx: &Context, off: u32) -> Self {
        let field = ctx.field_at(off);
        let (native, start, size) = field.map_or((NativeField::Same, 0, 0), |f| (f.native, f.off, f.size));
        let mut cell = Self { loads: 0, stores: 0, value: CtxValue::Scalar, native, start, size };
        for size in SIZES.map(|s| s.bytes() as u32) {
            if let Some(value) = ctx.access(off, size, false) {
                cell.loads |= size as u8;
                cell.value = value;
            }
            if ctx.access(off, size, true).is_some() {
                cell.stores |= size as u8;
            }
        }
        cell
    }
}

/// What a verifier has proved of a program: [`Program::take_proof`].
pub struct Proof {
    serial: u64,
    verified: Verified,
}

impl Program {
    /// A verified program, bound to maps.
    ///
    /// # Errors
    /// `EINVAL` when `env` or `maps` are not what the proof holds for: another environment, fewer maps, another
    /// type or geometry, or another content of a map whose content the proof relies on. `ENOTSUPP` when it can reach a
    /// call of a helper that has no body here.
    pub fn new(verified: &Verified, env: &Environment, maps: Vec<Arc<Map>>) -> Result<Self, Error> {
        let spec = verified.spec();
        if Digest::of(spec, env) != verified.digest() {
            let text = format!("program {}: verified for another environment or other maps", spec.name);
            return Err(Error::new(Errno::EINVAL, text));
        }
        for (def, map) in spec.maps.iter().zip(&maps).filter(|(def, _)| def.frozen) {
            if !holds_initial(map, def) {
                let text = format!("program {}: map {} is not frozen with its contents", spec.name, def.name);
                return Err(Error::new(Errno::EINVAL, text));
            }
        }
        has_bodies(verified, env)?;
        let deepest = verified.subprogs().iter().map(|s| s.stack_depth).max();
        let stack_used = deepest.map_or(FRAME_BYTES as u32, |d| d.next_multiple_of(8));
        let slots = |is: fn(&InsnFacts) -> bool| {
            let insns = verified.insns().iter().enumerate();
            insns.filter(|(_, facts)| is(facts)).map(|(pc, _)| pc).collect()
        };
        let special = Special {
            narrow_loops: slots(|facts| facts.loop_out_of_line),
            arena: slots(|facts| facts.access == Some(AccessBase::Arena)),
            ..Special::default()
        };
        let program = Self::build(spec, env, maps, Some(special), stack_used)?;
        Ok(Self { proof: Some(verified.clone()), ..program })
    }

    /// A program that no verifier has seen. Every access is checked; [`crate::Run::with_fuel`] bounds its time.
    ///
    /// What cannot run (unknown instructions, helpers, maps that are not bound) traps when it is reached.
    /// A program type that the environment does not know gets its context as plain writable memory, and
    /// every helper.
    ///
    /// # Errors
    /// `EINVAL` when `maps` are not those of the specification: fewer, or of another type or geometry.
    pub fn unverified(spec: &ProgramSpec, env: &Environment, maps: Vec<Arc<Map>>) -> Result<Self, Error> {
        Self::build(spec, env, maps, None, FRAME_BYTES as u32)
    }

    fn build(
        spec: &ProgramSpec,
        env: &Environment,
        maps: Vec<Arc<Map>>,
        verified: Option<Special>,
        stack_used: u32,
    ) -> Result<Self, Error> {
        check_maps(spec, &maps)?;
        let row = env.program_type(spec.prog_type);
        let is_verified = verified.is_some();
        let known = verified.unwrap_or_default();
        let kfuncs = kfunc_slots(spec, env);
        let special = Special { kfuncs, thrown_to: spec.exception_callback(), ..known };
        let keeper = keeper(spec, &maps)?;
        let prepared = prepared(&spec.insns, &maps, &special, Fusing::On);
        let arena_ops = special.arena.iter().filter_map(|&pc| decode(&spec.insns, pc).ok()).collect();
        Ok(Self {
            name: spec.name.clone(),
            id: 0,
            prog_type: spec.prog_type,
            insns: spec.insns.clone(),
            code: prepared.code,
            errors: prepared.errors,
            functions: prepared.functions,
            bound: MapSet::new(maps, keeper.as_deref()),
            keeper,
            ctx: CtxAccess::new(row.map(|r| r.ctx_for(Capability::Perfmon, spec.attach_type))),
            packet: row.map_or(PacketAccess::None, |r| r.packet),
            legacy_loads: row.is_none_or(|r| r.legacy_loads),
            stack_used: if prepared.uses_stack { stack_used } else { 0 },
            last_cpu: env.cpus.saturating_sub(1),
            object_types: object_types(spec),
            arena_ops,
            special,
            verified: is_verified,
            proof: None,
            native: OnceBox::new(),
            serial: SERIAL.fetch_add(1, Ordering::Relaxed),
        })
    }

    /// The program as a compiler sees it; `None` when no verifier accepted it, or after [`Self::forget_proof`].
    pub fn binding(&self) -> Option<native::Binding<'_>> {
        self.proof.as_ref().map(|verified| native::Binding::new(self, verified))
    }

    /// Gives back the memory of what was proved: nobody will compile the program any more.
    pub fn forget_proof(&mut self) {
        self.proof = None;
    }

    /// What was proved, to be kept elsewhere: by whoever compiles the program while others run it.
    pub fn take_proof(&mut self) -> Option<Proof> {
        self.proof.take().map(|verified| Proof { serial: self.serial, verified })
    }

    /// As [`Self::binding`], by a proof that was taken; `None` when it is another program's.
    pub fn binding_by<'p>(&'p self, proof: &'p Proof) -> Option<native::Binding<'p>> {
        (proof.serial == self.serial).then(|| native::Binding::new(self, &proof.verified))
    }

    /// From now on runs use this code: [`native`] says which ones.
    ///
    /// # Errors
    /// The code, when it was made of another program, or the program has some already.
    pub fn set_native(&self, code: Native) -> Result<(), Native> {
        if code.serial != self.serial {
            return Err(code);
        }
        self.native.set(Box::new(code)).map_err(|code| *code)
    }

    /// Its native code.
    #[inline]
    pub fn native(&self) -> Option<&Native> {
        self.native.get()
    }

    /// Tells it from all other programs of the process.
    pub(crate) fn serial(&self) -> u64 {
        self.serial
    }

    /// The function that is called when it throws, by slot.
    pub(crate) fn thrown_to(&self) -> Option<u32> {
        self.special.thrown_to
    }

    /// Slots that some `LDDW` names as functions, ascending.
    pub(crate) fn functions(&self) -> &[usize] {
        &self.functions
    }

    /// The slot of an instruction that accesses the arena, by its number.
    pub(crate) fn arena_slot(&self, index: usize) -> usize {
        self.special.arena.get(index).copied().unwrap_or(0)
    }

    /// Whether it has packet pointers.
    #[inline]
    pub(crate) fn has_packet(&self) -> bool {
        self.packet != PacketAccess::None
    }

    /// Whether it may store through them.
    #[inline]
    pub(crate) fn writes_packet(&self) -> bool {
        match self.packet {
            PacketAccess::None | PacketAccess::Load | PacketAccess::Read => false,
            PacketAccess::ReadWrite | PacketAccess::Lent => true,
        }
    }

    /// The same under an id, which traps name.
    #[must_use]
    pub fn with_id(mut self, id: u32) -> Self {
        self.id = id;
        self
    }

    /// The id, 0 when none was given.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Function name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Program type.
    pub fn prog_type(&self) -> ProgramType {
        self.prog_type
    }

    /// Whether a verifier accepted it.
    pub fn is_verified(&self) -> bool {
        self.verified
    }

    /// Its slots.
    pub fn insns(&self) -> &[Insn] {
        &self.insns
    }

    /// The code without fused operations, for runs that are watched.
    pub(crate) fn unfused(&self) -> Vec<Code> {
        prepared(&self.insns, self.maps(), &self.special, Fusing::Off).code
    }

    /// The maps that it is bound to, in the order of the specification.
    pub fn maps(&self) -> &[Arc<Map>] {
        self.bound.maps()
    }

    /// The map that a register content stands for, in a run on `vcpu`.
    #[inline]
    pub(crate) fn map(&self, value: u64, vcpu: u32) -> Option<MapRef<'_>> {
        bound::find(self.maps(), value, vcpu)
    }

    /// The index of the program's own map that a register content stands for.
    #[inline]
    pub(crate) fn map_index(&self, value: u64) -> Option<usize> {
        bound::index(value, self.maps().len())
    }

    /// Whether a slot is one that some `LDDW` of the program names as a function.
    pub(crate) fn is_function(&self, slot: usize) -> bool {
        slot < self.insns.len() && self.functions.binary_search(&slot).is_ok()
    }

    /// Its arena.
    #[inline]
    pub(crate) fn arena(&self) -> Option<&Arena> {
        self.maps().iter().find_map(|m| m.arena())
    }

    /// What keeps its objects.
    pub(crate) fn keeper(&self) -> Option<&Arc<Keeper>> {
        self.keeper.as_ref()
    }

    /// The struct that `bpf_obj_new_impl` is given the number of.
    pub(crate) fn object_type(&self, id: u64) -> Option<&Arc<ObjectType>> {
        let id = u32::try_from(id).ok()?;
        let at = self.object_types.binary_search_by_key(&id, |t| t.0).ok()?;
        Some(&self.object_types[at].1)
    }

    /// Virtual CPUs, at least 1.
    pub(crate) fn cpus(&self) -> u32 {
        self.last_cpu.saturating_add(1)
    }

    /// The error of an undecodable slot.
    #[cold]
    pub(crate) fn decode_error(&self, pc: usize) -> Option<DecodeError> {
        self.errors.iter().find(|e| e.pc() == pc).copied()
    }
}

fn prepared(insns: &[Insn], maps: &[Arc<Map>], special: &Special, fusing: Fusing) -> Prepared {
    let Special { narrow_loops, arena, kfuncs, thrown_to } = special;
    let kfunc = |pc: usize| Some(kfuncs[kfuncs.binary_search_by_key(&pc, |k| k.0).ok()?].1);
    let binding = Binding {
        map: &|idx| maps.get(idx as usize).map(|_| bound::own(idx)),
        map_value: &|idx, off| direct_value(maps.get(idx as usize)?, off),
        helper: &helpers::slot,
        kfunc: &kfunc,
        arena: &|pc| arena.binary_search(&pc).ok().and_then(|i| u32::try_from(i).ok()),
        has_arena: maps.iter().any(|m| m.arena().is_some()),
        thrown_to: *thrown_to,
        wide_loop: &|pc| !narrow_loops.contains(&pc),
    };
    prepare(insns, &binding, fusing)
}

/// What keeps a program's objects: what its maps have, or, where these keep none, something of its own if it allocates.
fn keeper(spec: &ProgramSpec, maps: &[Arc<Map>]) -> Result<Option<Arc<Keeper>>, Error> {
    if let Some(keeper) = maps.iter().find_map(|m| m.keeper()) {
        return Ok(Some(Arc::clone(keeper)));
    }
    let sets = spec.kfuncs.iter().any(|call| call.name.starts_with("bpf_cpumask_"));
    if !sets && (spec.btf.is_none() || !calls_kfuncs(spec)) {
        return Ok(None);
    }
    let made = Keeper::new(core::hint::spin_loop).map(Arc::new);
    made.map(Some).map_err(|e| Error::new(e, format!("program {}: no memory for its objects", spec.name)))
}

fn calls_kfuncs(spec: &ProgramSpec) -> bool {
    let mut ops = decode_all(&spec.insns).flatten();
    ops.any(|(_, op)| matches!(op, Op::Call(CallTarget::Kfunc { .. })))
}

/// The structs whose numbers are constants of the program: verified programs allocate no others.
fn object_types(spec: &ProgramSpec) -> Vec<(u32, Arc<ObjectType>)> {
    let Some(btf) = spec.btf.as_deref().filter(|_| calls_kfuncs(spec)) else { return Vec::new() };
    let mut ids: Vec<u32> = spec.insns.iter().filter_map(|i| u32::try_from(i.imm).ok()).collect();
    ids.sort_unstable();
    ids.dedup();
    let ty = |id: u32| Some((id, Arc::new(ObjectType::of(btf, TypeId(id))?)));
    ids.into_iter().filter_map(ty).collect()
}

/// Where the bodies of the kernel's functions are that a program names: by the types that its environment has, else by the
/// names that it brings along.
fn kfunc_slots(spec: &ProgramSpec, env: &Environment) -> Vec<(usize, HelperSlot)> {
    let named = |pc: usize, id: i32| {
        let own = || spec.kfuncs.iter().find(|k| k.insn_off as usize == pc).map(|k| &*k.name);
        let name = kfuncs::name(env.kernel_types.as_deref(), id).or_else(own)?;
        Some((pc, kfuncs::slot(name)?))
    };
    let slots = decode_all(&spec.insns).flatten().filter_map(|(pc, op)| match op {
        Op::Call(CallTarget::Kfunc { btf_id, btf_idx: 0 })
        | Op::LoadImm64 { value: Imm64::Variable { btf_id, .. }, .. } => named(pc, btf_id),
        _ => None,
    });
    slots.collect()
}

/// Whether every helper that the program can reach has a body, and every pointer that it loads something to point to:
/// some that Linux has and the verifier knows have none.
fn has_bodies(verified: &Verified, env: &Environment) -> Result<(), Error> {
    let spec = verified.spec();
    let kfuncs = kfunc_slots(spec, env);
    for (pc, op) in decode_all(&spec.insns).map_while(Result::ok) {
        let Some(facts) = verified.insns().get(pc).filter(|i| i.reached) else { continue };
        // Others point to objects that skep has.
        if let Some(field) = facts.field.filter(|f| matches!(f, FieldKind::Uptr | FieldKind::KptrUntrusted)) {
            let text = format!(
                "program {}, insn {pc}: a {} in a map value points to an object, which the user backend does not have: \
                 run the program in Linux, or only check it",
                spec.name,
                field.name()
            );
            return Err(Error::new(Errno::ENOTSUPP, text));
        }
        let id = match op {
            Op::Call(CallTarget::Helper(id)) if !helpers::has_body(id) => id,
            Op::Call(CallTarget::Kfunc { btf_id, .. }) => {
                if kfuncs.binary_search_by_key(&pc, |k| k.0).is_ok() {
                    continue;
                }
                let name = kfuncs::name(env.kernel_types.as_deref(), btf_id).unwrap_or("unknown");
                let text = format!(
                    "program {}, insn {pc}: kernel function {name}#{btf_id} has no body in the user backend: run the \
                     program in Linux, or only check it",
                    spec.name
                );
                return Err(Error::new(Errno::ENOTSUPP, text));
            }
            _ => continue,
        };
        let name = skep_abi::helper_name(id).unwrap_or("unknown");
        let text = format!(
            "program {}, insn {pc}: helper {name}#{id} has no body in the user backend: run the program in Linux, or \
             only check it",
            spec.name
        );
        return Err(Error::new(Errno::ENOTSUPP, text));
    }
    Ok(())
}

/// The address of byte `off` of value 0: arrays of one element have one (`map_direct_value_addr`).
fn direct_value(map: &Map, off: u32) -> Option<u64> {
    if let Some(arena) = map.arena() {
        return (u64::from(off) <= arena.len()).then(|| arena.base().wrapping_add(off.into()));
    }
    let array = map.array().filter(|a| a.max_entries == 1)?;
    (off < map.value_size()).then(|| array.base + u64::from(off))
}

fn matches(map: &Map, def: &MapDef) -> bool {
    let geometry = (map.kind(), map.key_size(), map.value_size(), map.max_entries(), map.flags());
    let flags = MapFlags(def.flags.0 | def.kind.implied_flags());
    geometry == (def.kind, def.key_size, def.value_size, def.entries_on(map.max_entries()), flags)
        && map.spin_lock_off() == def.spin_lock_off()
        && def.inner.as_deref().is_none_or(|inner| map.holds_maps_like(inner))
}

/// Whether a map has the contents that constants were folded from, for good.
fn holds_initial(map: &Map, def: &MapDef) -> bool {
    let initial = def.initial.as_deref().unwrap_or(&[]);
    map.is_frozen()
        && map.flags().has(MapFlags::RDONLY_PROG)
        && map.lookup_copy(&0u32.to_ne_bytes(), 0).is_ok_and(|content| {
            let (head, tail) = content.split_at(initial.len().min(content.len()));
            head == initial && tail.iter().all(|b| *b == 0)
        })
}

/// Whether maps are what the specification says.
fn check_maps(spec: &ProgramSpec, maps: &[Arc<Map>]) -> Result<(), Error> {
    if maps.len() < spec.maps.len() {
        let (need, have) = (spec.maps.len(), maps.len());
        let text = format!("program {}: {have} maps given where it names {need}", spec.name);
        return Err(Error::new(Errno::EINVAL, text));
    }
    for (def, map) in spec.maps.iter().zip(maps) {
        if !matches(map, def) {
            let text = format!(
                "program {}: map {} is not of the type and geometry that the program was built for",
                spec.name, def.name
            );
            return Err(Error::new(Errno::EINVAL, text));
        }
    }
    Ok(())
}
