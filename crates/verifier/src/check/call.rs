//! Calls of helpers and of the program's own functions.

use alloc::format;
use alloc::vec::Vec;

use skep_abi::{
    Arg, ArgKind, AttachType, DynptrUse, HelperFlags, HelperProto, MapFlags, MapType, MemAccess, ProgramType,
    Ret, helper_name,
};
use skep_isa::Reg;
use skep_spec::{Field, FieldKind};

use super::given::Used;
use super::memory::{aligned, unmodified};
use super::{
    Facts, allocated, dynptr, exit, global, kfunc, kptr, leak, leaks, lock, object, readable, strings, timer,
};
use crate::contract::{self, Callback, CallbackArgs, DynptrChange, Held, Returned, arg_reg};
use crate::program::Program;
use crate::state::{self, Byte, DynptrType, Kind, Marks, Sock, State, place, type_name};
use crate::violation::{Check, Explain, refuse, unsupported};
use crate::{Code, kernel, limits};

pub(super) fn subprog(p: &Program<'_>, s: &State, pc: usize, off: i32) -> Check<Facts> {
    if let Some(callee) = p.global_callee(pc, off) {
        return global::call(p, s, callee);
    }
    room_for_frame(s)?;
    Ok(Facts::default())
}

/// One function more may be entered.
pub(super) fn room_for_frame(s: &State) -> Check<()> {
    let frames = s.frames.len() + 1;
    if frames > limits::FRAMES {
        return refuse(Code::CallDepth, format!("the call stack of {} frames is too deep", frames - 1))
            .explain(
                format!("at most {} functions at a time", limits::FRAMES),
                "one more is called",
                "inline some of them; recursion is not possible",
            );
    }
    Ok(())
}

/// The helper, if the environment offers it to this program.
fn offered<'a>(p: &Program<'a>, s: &State, id: u32) -> Check<&'a HelperProto> {
    let Some(proto) = p.env.helper_of(p.row, id) else {
        return match helper_name(id) {
            Some(name) => unsupported(format!("helper {name}#{id}")),
            None => refuse(Code::UnknownHelper, format!("invalid func unknown#{id}")),
        };
    };
    let name = proto.name;
    let attached = p.kernel.as_ref().and_then(|k| k.attached.as_ref());
    let of_type = match attached.is_none_or(|a| a.has_base_helpers()) {
        true => p.row.helper_capability(id, p.spec.attach_type),
        false => None,
    };
    match of_type {
        Some(needs) if p.env.capability >= needs => {}
        None if attached.is_some_and(|a| a.offers(id)) => {}
        other => {
            let known = match other {
                Some(needs) => {
                    format!("it needs the capability {needs:?}, the loader has {:?}", p.env.capability)
                }
                None => "the type does not offer it".into(),
            };
            return refuse(
                Code::UnknownHelper,
                format!("program of this type cannot use helper {name}#{id}"),
            )
            .explain(
                format!("a helper of program type {}", p.spec.prog_type.name().unwrap_or("unknown")),
                known,
                "use another helper or program type",
            );
        }
    }
    if proto.flags.has(HelperFlags::GPL_ONLY) && !p.spec.gpl_compatible() {
        let words = "cannot call GPL-restricted function from non-GPL compatible program";
        return refuse(Code::GplOnly, words).explain(
            "a GPL-compatible licence",
            format!("the licence is {:?}", p.spec.license),
            "declare char LICENSE[] SEC(\"license\") = \"GPL\", if that is what the program is under",
        );
    }
    if proto.flags.has(HelperFlags::MIGHT_SLEEP) && !p.may_sleep(s) {
        return refuse(Code::UnknownHelper, "helper call might sleep in a non-sleepable prog");
    }
    Ok(proto)
}

/// Whether a function of the kernel runs the program (`check_get_func_ip`).
fn runs_for_a_function(p: &Program<'_>) -> bool {
    let own = matches!(p.spec.attach_type, AttachType::TRACE_RAW_TP | AttachType::TRACE_ITER);
    p.spec.prog_type == ProgramType::KPROBE || (p.spec.prog_type == ProgramType::TRACING && !own)
}

struct Args<'a, 'p> {
    p: &'a Program<'p>,
    s: &'a State,
    proto: &'a HelperProto,
    facts: Facts,
    out: contract::HelperFacts,
    map: Option<u16>,
    alloc_size: Option<u32>,
    /// The most that the last size argument may be.
    size_max: u64,
    /// The string argument.
    text: Option<Vec<u8>>,
    const_key: Option<u64>,
    ref_id: u32,
    func: Option<u16>,
    /// The place that pointers are exchanged in.
    place: Option<(Reg, Field)>,
    /// The dynptr that it uses.
    dynptr: Option<dynptr::Given>,
    pc: usize,
}

pub(super) fn helper(p: &Program<'_>, s: &State, pc: usize, id: u32) -> Check<Facts> {
    if id != contract::SPIN_UNLOCK {
        lock::no_calls(s, "function calls are not allowed while holding a lock")?;
    }
    let proto = offered(p, s, id)?;
    if proto.flags.has(HelperFlags::MIGHT_SLEEP) {
        kfunc::may_sleep(s, &format!("helper {}#{id}", proto.name))?;
    }
    let mut a = Args {
        p,
        s,
        proto,
        facts: Facts::default(),
        out: contract::start(proto),
        map: None,
        alloc_size: None,
        size_max: 0,
        text: None,
        const_key: None,
        ref_id: 0,
        func: None,
        place: None,
        dynptr: None,
        pc,
    };
    for (i, arg) in proto.args.iter().enumerate() {
        let Some(arg) = arg else { break };
        a.arg(i, *arg)?;
    }
    if id == contract::SNPRINTF {
        a.format()?;
    }
    if id == contract::GET_FUNC_IP && !runs_for_a_function(p) {
        let kind = p.spec.prog_type.0;
        return refuse(
            Code::BadArgument,
            format!("func bpf_get_func_ip#{id} not supported for program type {kind}"),
        )
        .explain(
            "a program that a function runs: kprobe, fentry, fexit, fmod_ret",
            "an event of another sort",
            "find the address in the record of the event",
        );
    }
    if id == contract::TAIL_CALL {
        match s.depth() {
            0 => exit::no_references(s, "tail_call")?,
            // Its caller goes on, with all that is held.
            _ => lock::released(s, "tail_call")?,
        }
        exit::no_tail_call_in_callback(s)?;
    }
    a.callback()?;
    if proto.flags.has(HelperFlags::RELEASES) && a.out.dynptr.is_none() {
        if !s.holds(a.ref_id) {
            let words = format!("func {}#{id} reference has not been acquired before", proto.name);
            return refuse(Code::Reference, words);
        }
        a.out.releases = Some(a.ref_id);
    }
    if proto.flags.has(HelperFlags::CASTS) {
        a.out.derived_from = a.ref_id;
    }
    if id == contract::GET_LOCAL_STORAGE {
        a.no_flags(Reg(2))?;
    }
    // What a map of sockets gives is held, as what a lookup of a socket gives.
    a.out.acquires |= id == contract::LOOKUP && a.map.is_some_and(|m| p.map(m).kind.holds_sockets());
    a.out.ret = a.returned()?;
    a.facts.helper = Some(a.out);
    Ok(a.facts)
}

impl Args<'_, '_> {
    fn arg(&mut self, i: usize, arg: Arg) -> Check<()> {
        let arg = self.of_map(arg);
        let reg = arg_reg(i);
        readable(self.s, reg)?;
        let value = self.s.reg(reg);
        if arg.kind == ArgKind::Anything {
            if leaks(self.p, self.s, reg) {
                return leak(self.s, reg, format!("R{} leaks addr into helper function", reg.0));
            }
            return Ok(());
        }
        if value.kind.is_packet() && !self.p.row.packet.passes(self.proto.flags.has(HelperFlags::PACKET_ARGS))
        {
            return refuse(Code::BadArgument, "helper access to the packet is not allowed");
        }
        if value.is_null() && (arg.nullable || arg.kind == ArgKind::StackOrNull) {
            // Another number would be an address that nobody has looked at. Linux forgets that.
            self.facts.precise = self.facts.precise.with(reg);
            return Ok(());
        }
        self.type_fits(reg, arg)?;
        if let Some(what) = contract::argument_not_yet(arg.kind)
            && !matches!(value.kind, Kind::Local { .. })
        {
            return unsupported(format!("argument {} of helper {}: {what}", reg.0, self.proto.name));
        }
        if value.ref_id != 0 && arg.kind != ArgKind::KptrField {
            if self.ref_id != 0 {
                let words =
                    format!("more than one arg with ref_obj_id R{} {} {}", reg.0, value.ref_id, self.ref_id);
                return refuse(Code::Reference, words);
            }
            self.ref_id = value.ref_id;
        }
        if self.proto.id == contract::DYNPTR_FROM_MEM
            && reg == Reg(1)
            && !matches!(value.kind, Kind::MapValue(_))
        {
            let words = format!("Unsupported reg type {} for bpf_dynptr_from_mem data", type_name(value));
            return refuse(Code::BadArgument, words).explain(
                "memory in a map's value",
                format!("r1 is {}", state::register(self.p, self.s.depth(), value)),
                "look an element up and make the dynptr to a part of its value",
            );
        }
        match arg.kind {
            ArgKind::Anything => Ok(()),
            ArgKind::Ctx => unmodified(self.s, reg),
            ArgKind::Map => self.map_arg(value),
            ArgKind::MapKey => {
                let size = self.map_def(reg)?.key_size;
                self.memory(reg, size.into(), MemAccess::Read, false, true)?;
                self.constant_key(reg, size);
                Ok(())
            }
            ArgKind::MapValue(access) => {
                let size = self.map_def(reg)?.value_size;
                self.memory(reg, size.into(), access, false, true)
            }
            // Checked with its size, the next argument.
            ArgKind::Mem(_) => Ok(()),
            ArgKind::FixedMem(access, size) => self.memory(reg, size.into(), access, false, true),
            ArgKind::AlignedMem(access, size) => {
                self.memory(reg, size.into(), access, false, true)?;
                aligned(self.p, value, 0, size as usize, true)
            }
            ArgKind::Size => self.size(i, false),
            ArgKind::SizeOrZero => self.size(i, true),
            ArgKind::AllocSize => self.alloc_size(reg),
            ArgKind::RingbufRecord => {
                if value.off != 0 || value.val.as_const() != Some(0) {
                    let words = format!(
                        "R{} must have zero offset when passed to release func or trusted arg to kfunc",
                        reg.0
                    );
                    return refuse(Code::BadArgument, words).explain(
                        "the record as bpf_ringbuf_reserve returned it",
                        "a pointer into it",
                        "pass the unchanged pointer",
                    );
                }
                self.referenced(reg)
            }
            // Sockets never move.
            ArgKind::SockCommon | ArgKind::Socket => self.referenced(reg),
            ArgKind::AnySock => {
                object::is_a(self.p, self.s, reg, "sock_common")?;
                self.referenced(reg)
            }
            ArgKind::Btf(name) => object::is_a(self.p, self.s, reg, name),
            ArgKind::ConstStr => {
                self.text = Some(strings::constant(self.p, self.s, reg)?);
                Ok(())
            }
            ArgKind::Func => {
                if let Kind::Func(subprog) = value.kind {
                    unmodified(self.s, reg)?;
                    self.func = Some(subprog);
                }
                Ok(())
            }
            // Given to the callback as it is: what that reads is seen there.
            ArgKind::StackOrNull => {
                if let Kind::Stack { frame } = value.kind {
                    let off = i64::from(value.off).saturating_add(value.val.smin());
                    self.facts.stack_reads.push((frame.into(), off as i32, 0));
                }
                Ok(())
            }
            ArgKind::SpinLock => {
                if allocated::is_sorting(self.p, self.s) {
                    return refuse(Code::Lock, "can't spin_{lock,unlock} in rbtree cb");
                }
                let takes = self.proto.id == contract::SPIN_LOCK;
                self.out.lock = Some(lock::change(self.p, self.s, self.pc, reg, takes)?);
                Ok(())
            }
            ArgKind::Timer => {
                self.map = Some(timer::field(self.p, self.s, reg, FieldKind::Timer)?);
                Ok(())
            }
            ArgKind::KptrField => {
                self.place = Some((reg, kptr::place(self.p, self.s, reg)?));
                Ok(())
            }
            ArgKind::Kptr => self.given_away(reg),
            // What each CPU has of it.
            ArgKind::PerCpuVariable => unmodified(self.s, reg),
            ArgKind::Dynptr(usage) => self.dynptr_arg(reg, usage),
        }
    }

    /// The object that an exchange puts in.
    fn given_away(&mut self, reg: Reg) -> Check<()> {
        let value = self.s.reg(reg);
        if value.nullable {
            return refuse(Code::NullPointer, format!("Possibly NULL pointer passed to helper arg{}", reg.0));
        }
        if let Some((base, field)) = self.place {
            kptr::fits(self.p, self.s, base, &field, reg)?;
        }
        if value.off != 0 || value.val.as_const() != Some(0) {
            let words = format!(
                "R{} must have zero offset when passed to release func or trusted arg to kfunc",
                reg.0
            );
            return refuse(Code::BadArgument, words);
        }
        if value.ref_id == 0 {
            let words = format!("R{} must be referenced when passed to release function", reg.0);
            return refuse(Code::Reference, words);
        }
        self.out.releases = Some(value.ref_id);
        self.out.per_cpu_stays = self.p.in_rcu(self.s);
        Ok(())
    }

    /// What is released must be a reference.
    fn referenced(&self, reg: Reg) -> Check<()> {
        if !self.proto.flags.has(HelperFlags::RELEASES) || self.s.reg(reg).ref_id != 0 {
            return Ok(());
        }
        let words = format!("R{} must be referenced when passed to release function", reg.0);
        refuse(Code::Reference, words).explain(
            "what a helper that acquires returned",
            format!("r{} is {}", reg.0, state::register(self.p, self.s.depth(), self.s.reg(reg))),
            "release only what was acquired, and once",
        )
    }

    fn type_fits(&self, reg: Reg, arg: Arg) -> Check<()> {
        let value = self.s.reg(reg);
        let memory = matches!(
            value.kind,
            Kind::Stack { .. }
                | Kind::Packet { .. }
                | Kind::PacketMeta { .. }
                | Kind::MapValue(_)
                | Kind::MapKey(_)
                | Kind::Mem { .. }
                | Kind::Slice { .. }
                | Kind::Buffer { .. }
                | Kind::Btf { marks: Marks::TRUSTED, .. }
        );
        // Who only reads says so; keys and values of maps do not (`check_reg_type`, Linux 6.18).
        let reads = matches!(
            arg.kind,
            ArgKind::Mem(MemAccess::Read)
                | ArgKind::FixedMem(MemAccess::Read, _)
                | ArgKind::AlignedMem(MemAccess::Read, _)
        );
        let fixed =
            matches!(value.kind, Kind::Mem { writable: false, .. } | Kind::Buffer { writable: false });
        let memory = memory && (reads || !fixed);
        let (fits, expected) = match arg.kind {
            ArgKind::Anything => (true, ""),
            ArgKind::Ctx => (value.kind == Kind::Ctx, "ctx"),
            ArgKind::Map => (matches!(value.kind, Kind::Map(_)), "map_ptr"),
            ArgKind::MapKey
            | ArgKind::MapValue(_)
            | ArgKind::Mem(_)
            | ArgKind::FixedMem(..)
            | ArgKind::AlignedMem(..) => {
                (memory, "fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_")
            }
            ArgKind::Size | ArgKind::SizeOrZero | ArgKind::AllocSize => (value.is_scalar(), "scalar"),
            ArgKind::RingbufRecord => (matches!(value.kind, Kind::Mem { ringbuf: true, .. }), "ringbuf_mem"),
            ArgKind::ConstStr => (matches!(value.kind, Kind::MapValue(_)), "map_value"),
            ArgKind::Func => (matches!(value.kind, Kind::Func(_)), "func"),
            ArgKind::StackOrNull => (value.is_null() || matches!(value.kind, Kind::Stack { .. }), "fp"),
            ArgKind::SpinLock | ArgKind::KptrField => (
                matches!(value.kind, Kind::MapValue(_) | Kind::Local { marks: Marks::ALLOC, .. }),
                "map_value, ptr_",
            ),
            ArgKind::SockCommon => {
                (matches!(value.kind, Kind::Sock(_)), "sock_common, sock, tcp_sock, xdp_sock")
            }
            ArgKind::AnySock => (
                matches!(value.kind, Kind::Sock(_)) || object::is_given_as_socket(value.kind),
                "sock_common, sock, tcp_sock, xdp_sock, ptr_, trusted_ptr_",
            ),
            ArgKind::Socket => (value.kind == Kind::Sock(Sock::Full), "sock"),
            ArgKind::Btf(_) => (object::is_given(value.kind), "ptr_, trusted_ptr_, rcu_ptr_"),
            ArgKind::Kptr => {
                let own = matches!(value.kind, Kind::Local { marks, .. } if marks.is_given_away());
                (own || object::is_given(value.kind), "ptr_, trusted_ptr_, rcu_ptr_")
            }
            ArgKind::PerCpuVariable => {
                let seen = Marks::PER_CPU | Marks::RCU;
                let own = matches!(value.kind, Kind::Local { marks, .. } if marks == seen);
                (own, "percpu_ptr_, percpu_rcu_ptr_, percpu_trusted_ptr_")
            }
            ArgKind::Timer => (matches!(value.kind, Kind::MapValue(_)), "map_value"),
            ArgKind::Dynptr(_) => {
                (matches!(value.kind, Kind::Stack { .. } | Kind::Dynptr(_)), "fp, dynptr_ptr")
            }
        };
        if fits && (!value.nullable || arg.nullable) {
            return Ok(());
        }
        let code = if value.nullable { Code::NullPointer } else { Code::BadArgument };
        refuse(code, format!("R{} type={} expected={expected}", reg.0, type_name(value))).explain(
            format!("argument {} of {}: {expected}", reg.0, self.proto.name),
            format!("r{} is {}", reg.0, state::register(self.p, self.s.depth(), value)),
            if value.nullable {
                "compare the pointer with 0 first"
            } else {
                "pass what the helper's prototype asks for"
            },
        )
    }

    fn dynptr_arg(&mut self, reg: Reg, usage: DynptrUse) -> Check<()> {
        let change = match usage {
            DynptrUse::Made => {
                let at = dynptr::made(self.p, self.s, reg)?;
                DynptrChange::Made { at, kind: DynptrType::Local, reference: Held::None }
            }
            DynptrUse::MadeRecord => {
                let at = dynptr::made(self.p, self.s, reg)?;
                DynptrChange::Made { at, kind: DynptrType::Ringbuf, reference: Held::New }
            }
            DynptrUse::EndsRecord => DynptrChange::Ended { ref_id: dynptr::ended(self.s, reg)? },
            DynptrUse::Used => {
                let given = dynptr::used(self.s, reg)?;
                self.out.changes_packet |=
                    self.proto.id == contract::DYNPTR_WRITE && given.kind.write_changes_packet();
                self.dynptr = Some(given);
                return Ok(());
            }
        };
        if let DynptrChange::Made { at, .. } = change {
            self.facts.touched.push((at.frame, at.off()));
        }
        self.out.dynptr = Some(change);
        Ok(())
    }

    fn map_arg(&mut self, value: &state::Reg) -> Check<()> {
        let Kind::Map(idx) = value.kind else { return Ok(()) };
        let def = self.p.map(idx);
        let name = self.proto.name;
        let row = self.p.env.map_type(def.kind);
        if let Some(map) = self.map.filter(|_| self.proto.id == contract::TIMER_INIT) {
            return timer::same_map(self.s, map, arg_reg(1), "timer");
        }
        let walks = self.proto.id == contract::FOR_EACH_MAP_ELEM;
        let fits = row.is_some_and(|row| contract::map_fits(row, self.proto));
        if !(walks || fits && contract::may_change_sockets(self.p, def.kind, self.proto)) {
            let words = format!("cannot pass map_type {} into func {name}#{}", def.kind.0, self.proto.id);
            return refuse(Code::BadMapForHelper, words).explain(
                format!("a map that {name} takes"),
                format!("map {} is a {}", def.name, def.kind.name().unwrap_or("map of unknown type")),
                "use the helper of this map type, or another map",
            );
        }
        if def.flags.has(MapFlags::RDONLY_PROG) && contract::changes_map(self.proto) {
            return refuse(Code::ForbiddenAccess, "write into map forbidden");
        }
        self.map = Some(idx);
        Ok(())
    }

    /// What an argument must be, where that depends on the map (`resolve_map_arg_type`).
    fn of_map(&self, arg: Arg) -> Arg {
        let kind = match (arg.kind, self.map.map(|map| self.p.map(map).kind)) {
            (ArgKind::MapValue(_), Some(map)) if map.holds_sockets() => ArgKind::AnySock,
            // Looked for, not found.
            (ArgKind::MapValue(_), Some(MapType::BLOOM_FILTER)) => ArgKind::MapValue(MemAccess::Read),
            (kind, _) => kind,
        };
        Arg { kind, ..arg }
    }

    fn map_def(&self, reg: Reg) -> Check<&skep_spec::MapDef> {
        match self.map {
            Some(idx) => Ok(self.p.map(idx)),
            None => refuse(Code::BadArgument, format!("R{}: no map argument before it", reg.0)),
        }
    }

    /// `size` bytes that the helper uses. `exact`: it uses all of them.
    fn memory(&mut self, reg: Reg, size: i64, access: MemAccess, zero_ok: bool, exact: bool) -> Check<()> {
        let used = Used { reg, size, access, zero_ok, exact };
        used.check(self.p, self.s, &mut self.facts, &mut self.out)
    }

    fn size(&mut self, i: usize, zero_ok: bool) -> Check<()> {
        let (reg, memory) = (arg_reg(i), arg_reg(i.saturating_sub(1)));
        let val = self.s.reg(reg).val;
        let known = || format!("r{} is in [{}, {}]", reg.0, val.smin(), val.umax());
        let required = || format!("a size from {} to {}", u8::from(!zero_ok), limits::VAR_SIZE - 1);
        if val.smin() < 0 {
            let words = format!("R{} min value is negative, either use unsigned or 'var &= const'", reg.0);
            return refuse(Code::BadArgument, words).explain(required(), known(), "make the size unsigned");
        }
        if val.umin() == 0 && !zero_ok {
            let words = format!("R{} invalid zero-sized read: u64=[{},{}]", reg.0, val.umin(), val.umax());
            return refuse(Code::BadArgument, words).explain(
                required(),
                known(),
                "test that the size is not 0",
            );
        }
        if val.umax() >= limits::VAR_SIZE {
            let words =
                format!("R{} unbounded memory access, use 'var &= const' or 'if (var < const)'", reg.0);
            return refuse(Code::BadArgument, words).explain(required(), known(), "bound the size first");
        }
        let Some(ArgKind::Mem(access)) =
            self.proto.args.get(i.wrapping_sub(1)).copied().flatten().map(|a| a.kind)
        else {
            return unsupported(format!("helper {}: a size without memory before it", self.proto.name));
        };
        self.size_max = val.umax();
        self.memory(memory, val.umax() as i64, access, zero_ok, val.is_const())?;
        self.facts.precise = self.facts.precise.with(reg);
        Ok(())
    }

    fn alloc_size(&mut self, reg: Reg) -> Check<()> {
        let value = self.s.reg(reg);
        let Some(size) = value.as_const() else {
            return refuse(Code::BadArgument, format!("R{} is not a known constant'", reg.0)).explain(
                "a size known when the program is verified",
                format!("r{} is {}", reg.0, state::register(self.p, self.s.depth(), value)),
                "reserve a constant size, or use bpf_ringbuf_output",
            );
        };
        // Like the kernel's field: 32 bits. Above that the reservation itself fails, and there is no record.
        let size = size as u32;
        self.alloc_size = Some(size);
        self.facts.precise = self.facts.precise.with(reg);
        Ok(())
    }

    /// A helper that cannot fail takes no flags.
    fn no_flags(&mut self, reg: Reg) -> Check<()> {
        if !self.s.reg(reg).is_null() {
            let words = "get_local_storage() doesn't support non-zero flags";
            return refuse(Code::BadArgument, words).explain(
                "flags that are known to be 0",
                format!("r{} is {}", reg.0, state::register(self.p, self.s.depth(), self.s.reg(reg))),
                "pass 0",
            );
        }
        self.facts.precise = self.facts.precise.with(reg);
        Ok(())
    }

    /// The constant format of `bpf_snprintf` fits the number of arguments.
    fn format(&self) -> Check<()> {
        let bytes = self.s.reg(arg_reg(4)).val.tnum().value();
        let text = self.text.as_deref().unwrap_or(&[]);
        strings::format(text, bytes)
    }

    /// Remembers a key that is known, for arrays, where a lookup inside the bounds cannot fail.
    fn constant_key(&mut self, reg: Reg, size: u32) {
        let Some(idx) = self.map else { return };
        let array = matches!(self.p.map(idx).kind, MapType::ARRAY | MapType::PERCPU_ARRAY);
        let value = self.s.reg(reg);
        let Kind::Stack { frame } = value.kind else { return };
        let (true, Some(var)) =
            (array && self.proto.id == contract::LOOKUP && size == 4, value.val.as_const())
        else {
            return;
        };
        let off = value.off.wrapping_add(var as i32);
        let stack = &self.s.frames[usize::from(frame)].stack;
        let (slot, byte) = place(off);
        if (off..off + 4).all(|at| stack.byte(at) == Byte::Zero) {
            self.const_key = Some(0);
            return;
        }
        let spill = stack.slot(off).and_then(state::Slot::spill);
        if let (Some((reg, 4)), 0) = (spill, byte)
            && let Some(key) = reg.as_const()
        {
            self.const_key = Some(u64::from(key as u32));
            self.facts.precise_slots.push((frame.into(), slot));
        }
    }

    /// What the helper calls back, if it does.
    fn callback(&mut self) -> Check<()> {
        let args = match (self.proto.id, self.map) {
            (contract::LOOP, _) => {
                // How often the callback is explored rests on it.
                self.facts.precise = self.facts.precise.with(Reg(1));
                // Whether Linux puts the loop into the program rests on the flags.
                if self.s.reg(Reg(4)).is_null() {
                    self.facts.precise = self.facts.precise.with(Reg(4));
                }
                CallbackArgs::Loop { most: self.s.reg(Reg(1)).val.umax() }
            }
            (contract::FOR_EACH_MAP_ELEM, Some(map)) => {
                let def = self.p.map(map);
                if !contract::walks(def.kind) {
                    return refuse(Code::BadMapForHelper, "callback function not allowed for map").explain(
                        "a hash or array map, or a per-CPU or LRU one",
                        format!("map {} is a {}", def.name, def.kind.name().unwrap_or("map of unknown type")),
                        "walk another map, or look keys up one by one",
                    );
                }
                CallbackArgs::MapElem { map }
            }
            (contract::FIND_VMA, _) => {
                if self.s.reg(Reg(4)).is_null() {
                    self.facts.precise = self.facts.precise.with(Reg(4));
                }
                CallbackArgs::Vma { id: kernel::of(self.p)?.structure("vm_area_struct")? }
            }
            (contract::TIMER_SET_CALLBACK, Some(map)) => CallbackArgs::Later { map, sleeps: false },
            (contract::USER_RINGBUF_DRAIN, _) => CallbackArgs::Sample,
            _ if self.func.is_some() => {
                return unsupported(format!("what helper {} calls back", self.proto.name));
            }
            _ => return Ok(()),
        };
        let Some(subprog) = self.func else { return Ok(()) };
        if !matches!(args, CallbackArgs::Later { .. }) {
            room_for_frame(self.s)?;
        }
        self.out.callback = Some(Callback { subprog, args });
        Ok(())
    }

    fn returned(&self) -> Check<Returned> {
        Ok(match self.proto.ret {
            Ret::Integer => Returned::Integer,
            Ret::LengthOrError => Returned::Within(-contract::MAX_ERRNO, self.size_max as i64),
            Ret::Cpu => Returned::Within(0, i64::from(self.p.env.cpus.max(1)) - 1),
            Ret::Void => Returned::Void,
            Ret::MapValueOrNull => match self.map {
                Some(map) if self.p.map(map).kind.holds_maps() && self.p.inner(map).is_none() => {
                    let words =
                        format!("map '{}' does not say what its maps look like", self.p.map(map).name);
                    return refuse(Code::BadMapReference, words).explain(
                        "the definition of the maps inside",
                        "there is none",
                        "write __array(values, struct INNER) into the map's definition",
                    );
                }
                Some(map) => {
                    let sure = self.const_key.is_some_and(|k| k < self.p.surely_has(map).into());
                    Returned::MapValue { map, nullable: !sure }
                }
                None => return refuse(Code::BadArgument, "the helper returns a map value but takes no map"),
            },
            Ret::SocketOrNull => Returned::Sock(Sock::Full),
            Ret::SockCommonOrNull => Returned::Sock(Sock::Common),
            Ret::TcpSockOrNull => Returned::Sock(Sock::Tcp),
            Ret::RingbufRecordOrNull => match self.alloc_size {
                Some(size) => Returned::Record { size },
                None => return refuse(Code::BadArgument, "the helper returns memory but takes no size"),
            },
            Ret::MapValue => match self.map {
                Some(map) => Returned::MapValue { map, nullable: false },
                None => return refuse(Code::BadArgument, "the helper returns a map value but takes no map"),
            },
            Ret::Btf(name) => {
                let trusted = self.proto.id == contract::GET_CURRENT_TASK_BTF;
                let marks = if trusted { Marks::TRUSTED } else { Marks::NONE };
                Returned::Object { id: kernel::of(self.p)?.structure(name)?, marks, nullable: false }
            }
            Ret::BtfOrNull(name) => {
                let id = kernel::of(self.p)?.structure(name)?;
                Returned::Object { id, marks: Marks::NONE, nullable: true }
            }
            Ret::KptrOrNull => match &self.place {
                Some((reg, field)) => kptr::exchanged(self.p, self.s, *reg, field)?,
                None => return refuse(Code::BadArgument, "the helper returns an object but takes no place"),
            },
            Ret::DynptrMemOrNull => match (self.dynptr, self.alloc_size) {
                (Some(dynptr::Given { id, ref_id, .. }), Some(size)) => {
                    // Of packets the helper gives NULL.
                    Returned::Slice { size, dynptr: id, ref_id, writable: true, packet: false }
                }
                _ => {
                    return refuse(
                        Code::BadArgument,
                        "the helper returns memory but takes no dynptr or size",
                    );
                }
            },
            // A CPU that is not there has none. (Linux 6.18 forgets that.)
            Ret::Variable | Ret::VariableOrNull if let Kind::Local { id, .. } = self.s.reg(Reg(1)).kind => {
                let nullable = self.proto.ret == Ret::VariableOrNull;
                Returned::Local { id, marks: Marks::ALLOC | Marks::RCU, off: 0, nullable }
            }
            Ret::Variable | Ret::VariableOrNull => {
                let what = contract::result_not_yet(self.proto.ret).unwrap_or_default();
                return unsupported(format!("result of helper {}: {what}", self.proto.name));
            }
        })
    }
}
