//! Memory accesses: what the base register points to, and whether the bytes are inside and may be used so.

use alloc::format;
use alloc::string::String;

use skep_abi::{CtxValue, FLOW_KEYS_BYTES, MapFlags, MapType};
use skep_isa::{Operand, Reg, RegSet};

use super::{field, leak, leaks, lock};
use crate::kernel::{self, Attached, Loaded};
use crate::program::Program;
use crate::state::{self, Byte, Kind, Marks, Range, Sock, State, place, reads_low_part, type_name};
use crate::violation::{Check, Explain, refuse, unsupported};
use crate::{AccessBase, Code, limits};

/// What an instruction wants with memory.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Intent {
    Load,
    SignedLoad,
    Store(Operand),
    AtomicRead,
    AtomicWrite,
    LoadAcquire,
    StoreRelease(Operand),
}

impl Intent {
    fn writes(self) -> bool {
        matches!(self, Self::Store(_) | Self::AtomicWrite | Self::StoreRelease(_))
    }

    fn is_atomic(self) -> bool {
        !matches!(self, Self::Load | Self::SignedLoad | Self::Store(_))
    }

    fn stored(self) -> Option<Reg> {
        match self {
            Self::Store(Operand::Reg(r)) | Self::StoreRelease(Operand::Reg(r)) => Some(r),
            _ => None,
        }
    }
}

/// Memory that an access was found to lie in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The context, at a field that gives such a value.
    Ctx(CtxValue),
    /// A frame's stack; the first byte is at an offset in `min..=max`.
    Stack { frame: usize, min: i32, max: i32 },
    /// A map's key.
    MapKey,
    /// A map value; `folded` is what a load from read-only frozen contents gives.
    MapValue { folded: Option<u64> },
    /// The packet or its metadata.
    Packet,
    /// Memory that a helper returned, or flow keys.
    Mem,
    /// A field of a socket.
    Sock(Sock),
    /// An argument in the context.
    Argument(Loaded),
    /// A member of an object of the kernel, or what may be anywhere.
    Kernel(Loaded),
}

impl Target {
    /// The kind of memory.
    pub(crate) fn base(self) -> AccessBase {
        match self {
            Self::Ctx(_) | Self::Argument(_) => AccessBase::Ctx,
            Self::Kernel(_) => AccessBase::Kernel,
            Self::Stack { .. } => AccessBase::Stack,
            Self::MapKey => AccessBase::MapKey,
            Self::MapValue { .. } => AccessBase::MapValue,
            Self::Packet => AccessBase::Packet,
            Self::Mem => AccessBase::Mem,
            Self::Sock(Sock::Common) => AccessBase::SockCommon,
            Self::Sock(Sock::Full) => AccessBase::Socket,
            Self::Sock(Sock::Tcp) => AccessBase::TcpSock,
            Self::Sock(Sock::Xdp) => AccessBase::XdpSock,
        }
    }
}

/// Checks an access of `size` bytes at `base + off`.
pub(crate) fn access(
    p: &Program<'_>,
    s: &State,
    base: Reg,
    off: i32,
    size: usize,
    intent: Intent,
) -> Check<Target> {
    let reg = s.reg(base);
    if matches!(reg.kind, Kind::Map(_)) && p.env.privileged() && !reg.nullable {
        return match intent {
            Intent::Load | Intent::SignedLoad => unsupported("loads from struct bpf_map"),
            Intent::Store(_) => map_object_written(p, s, base),
            _ => not_memory(p, s, base),
        };
    }
    let opaque = matches!(reg.kind, Kind::Map(_) | Kind::PacketEnd | Kind::Func(_));
    if !reg.is_pointer() || reg.nullable || opaque {
        return not_memory(p, s, base);
    }
    aligned(p, reg, off, size, intent.is_atomic())?;
    let off = off.wrapping_add(reg.off);
    let stores_pointer = intent.stored().is_some_and(|v| leaks(p, s, v));
    let leak_into = |what: &str| match intent.stored() {
        Some(v) if stores_pointer => leak(s, v, format!("R{} leaks addr into {what}", v.0)),
        _ => Ok(()),
    };
    match reg.kind {
        Kind::MapValue(map) => {
            leak_into("map")?;
            map_direction(p, map, off, size, intent.writes())?;
            lock::untouched(p, s, base, map, off, size as i64)?;
            field::untouched(p, s, base, map, off, size as i64, true)?;
            region(s, base, off, size as i64, p.map(map).value_size.into(), false, |at| {
                format!(
                    "invalid access to map value, value_size={} off={at} size={size}",
                    p.map(map).value_size
                )
            })?;
            Ok(Target::MapValue { folded: folded(p, reg, map, off, size) })
        }
        Kind::MapKey(map) => {
            if intent.writes() {
                return refuse(Code::ForbiddenAccess, format!("write to change key R{} not allowed", base.0))
                    .explain(
                        "a map's key is only read",
                        format!("r{} points to the key that the map holds", base.0),
                        "delete the element and insert one under the other key",
                    );
            }
            let len = p.map(map).key_size;
            region(s, base, off, size as i64, len.into(), false, |at| {
                format!("invalid access to map key, key_size={len} off={at} size={size}")
            })?;
            Ok(Target::MapKey)
        }
        Kind::Mem { size: len, .. } => {
            leak_into("mem")?;
            region(s, base, off, size as i64, len.into(), false, |at| {
                format!("invalid access to memory, mem_size={len} off={at} size={size}")
            })?;
            Ok(Target::Mem)
        }
        Kind::TracepointBuffer => {
            tracepoint_buffer(reg, base, off, size)?;
            Ok(Target::Mem)
        }
        Kind::FlowKeys => {
            leak_into("flow keys")?;
            region(s, base, off, size as i64, FLOW_KEYS_BYTES.into(), false, |at| {
                format!("invalid access to flow keys off={at} size={size}")
            })?;
            Ok(Target::Mem)
        }
        Kind::Btf { .. } if intent.writes() => refuse(Code::ForbiddenAccess, "only read is supported")
            .explain(
                "a load",
                "objects of the kernel are not written to",
                "use a function of the kernel, or keep your own data in a map",
            ),
        Kind::Btf { id, marks } => object_load(p, s, base, (id, marks), off, size),
        Kind::Probed | Kind::Buffer { writable: false } if intent.writes() => {
            refuse(Code::ForbiddenAccess, format!("R{} cannot write into {}", base.0, type_name(reg)))
        }
        Kind::Probed => Ok(Target::Kernel(Loaded::NUMBER)),
        Kind::Buffer { .. } => {
            leak_into("buf")?;
            buffer(s, base, off, size)
        }
        Kind::Sock(sock) => {
            if intent.writes() {
                return refuse(
                    Code::ForbiddenAccess,
                    format!("R{} cannot write into {}", base.0, type_name(reg)),
                )
                .explain(
                    "a load",
                    "sockets are the kernel's own",
                    "use bpf_setsockopt, or a socket storage map",
                );
            }
            socket(base, sock, off, size)
        }
        Kind::Ctx => {
            leak_into("ctx")?;
            unmodified(s, base)?;
            match p.kernel.as_ref().and_then(|k| k.attached.as_ref()) {
                Some(attached) => argument(attached, off, size, intent),
                None => context(p, off, size, intent),
            }
        }
        Kind::Packet { .. } | Kind::PacketMeta { .. } => {
            if intent.writes() && !p.row.packet.writes() {
                return refuse(Code::ForbiddenAccess, "cannot write into packet");
            }
            leak_into("packet")?;
            packet(p, s, base, off, size as i64, false)?;
            Ok(Target::Packet)
        }
        Kind::Stack { frame } => {
            let (min, max) = stack_bounds(
                p,
                s,
                base,
                off,
                size as i64,
                if intent.writes() { " write to" } else { " read from" },
            )?;
            let target = Target::Stack { frame: frame.into(), min, max };
            if intent.writes() {
                stack_write(p, s, base, &target, size, intent)?;
            } else {
                stack_read(p, s, base, &target, size, intent)?;
            }
            Ok(target)
        }
        Kind::NotInit | Kind::Scalar | Kind::Map(_) | Kind::PacketEnd | Kind::Func(_) => {
            not_memory(p, s, base)
        }
    }
}

/// A store to the kernel's own object of a map (`check_ptr_to_map_access`).
fn map_object_written<T>(p: &Program<'_>, s: &State, base: Reg) -> Check<T> {
    let Kind::Map(map) = s.reg(base).kind else { return not_memory(p, s, base) };
    let object = match p.map(map).kind {
        MapType::LPM_TRIE => "lpm_trie",
        MapType::QUEUE | MapType::STACK => "bpf_queue_stack",
        MapType::RINGBUF => "bpf_ringbuf_map",
        MapType::STACK_TRACE => "bpf_stack_map",
        MapType::HASH
        | MapType::PERCPU_HASH
        | MapType::LRU_HASH
        | MapType::LRU_PERCPU_HASH
        | MapType::HASH_OF_MAPS => "bpf_htab",
        // The kinds with indices.
        _ => "bpf_array",
    };
    refuse(Code::ForbiddenAccess, format!("only read from {object} is supported")).explain(
        "a pointer to a value of the map",
        format!("r{} is the map itself", base.0),
        "look a key up in the map, and store to the value",
    )
}

fn not_memory<T>(p: &Program<'_>, s: &State, base: Reg) -> Check<T> {
    let reg = s.reg(base);
    let code = match (reg.is_scalar(), reg.nullable) {
        (true, _) => Code::NotAPointer,
        (_, true) => Code::NullPointer,
        _ => Code::ForbiddenAccess,
    };
    let (required, remedy) = match code {
        Code::NullPointer => ("a pointer that is not NULL", format!("compare r{} with 0 first", base.0)),
        Code::NotAPointer => {
            ("a pointer", "derive the address from a pointer by adding a bounded number".into())
        }
        _ => ("a pointer to memory that programs may access", "use a helper for this object".into()),
    };
    refuse(code, format!("R{} invalid mem access '{}'", base.0, type_name(reg))).explain(
        required,
        format!("r{} is {}", base.0, state::register(p.spec, s.depth(), reg)),
        remedy,
    )
}

/// Any part of the buffer from its start on: how far it goes is compared when the program is attached
/// (`check_tp_buffer_access`).
fn tracepoint_buffer(reg: &state::Reg, base: Reg, off: i32, size: usize) -> Check<()> {
    let words = match reg.val.as_const() {
        _ if off < 0 => format!("R{} invalid tracepoint buffer access: off={off}, size={size}", base.0),
        Some(0) => return Ok(()),
        _ => format!("R{} invalid variable buffer offset: off={off}, var_off={}", base.0, reg.val.tnum()),
    };
    refuse(Code::OutOfBounds, words).explain(
        "a constant offset from the start of the buffer",
        format!("r{} has been moved", base.0),
        "access *(args[0] + constant) from the unchanged pointer",
    )
}

/// The context, and what helpers take as it, must be as it was at entry.
pub(crate) fn unmodified(s: &State, base: Reg) -> Check<()> {
    let reg = s.reg(base);
    let name = type_name(reg);
    let words = if reg.off < 0 {
        format!("negative offset {name} ptr R{} off={} disallowed", base.0, reg.off)
    } else if reg.off != 0 {
        format!("dereference of modified {name} ptr R{} off={} disallowed", base.0, reg.off)
    } else if reg.val.as_const() != Some(0) {
        format!("variable {name} access var_off={} disallowed", reg.val.tnum())
    } else {
        return Ok(());
    };
    refuse(Code::BadContextAccess, words).explain(
        "the pointer as it was given to the program",
        format!("r{} has been moved", base.0),
        "access the field as *(base + constant) from the unchanged pointer",
    )
}

pub(super) fn aligned(p: &Program<'_>, reg: &state::Reg, off: i32, size: usize, always: bool) -> Check<()> {
    let at = reg.val.tnum();
    let fixed = i64::from(reg.off) + i64::from(off);
    let (strict, what, extra) = match reg.kind {
        Kind::Stack { .. } => (true, "stack ", 0),
        // The packet starts 2 bytes off a multiple of 4, so that the network header is aligned.
        Kind::Packet { .. } | Kind::PacketMeta { .. } => (p.strict_alignment || always, "packet ", 2),
        Kind::MapValue(_) => (p.strict_alignment || always, "value ", 0),
        Kind::MapKey(_) => (p.strict_alignment || always, "key ", 0),
        Kind::FlowKeys => (p.strict_alignment, "flow keys ", 0),
        // The context's own rows say how its fields are aligned.
        Kind::Ctx => return Ok(()),
        _ => (p.strict_alignment || always, "", 0),
    };
    let misses = (fixed + extra) as u64 & (size as u64 - 1) != 0;
    let low = size as u64 - 1;
    let var_misses = (at.value().wrapping_add((fixed + extra) as u64) | at.mask()) & low != 0;
    if !strict || size == 1 || !(misses && at.is_const() && at.value() == 0 || var_misses) {
        return Ok(());
    }
    let words = match reg.kind.is_packet() {
        true => format!("misaligned packet access off {extra}+{at}+{}+{off} size {size}", reg.off),
        false => format!("misaligned {what}access off {at}+{}+{off} size {size}", reg.off),
    };
    refuse(Code::Misaligned, words).explain(
        format!("an address that is a multiple of {size}"),
        format!("the offset is {fixed} plus {at}"),
        "access byte by byte, or move the field to a multiple of its size",
    )
}

/// The bytes lie in a region of `len` bytes, for every member of the variable part.
///
/// `off` includes the fixed part. `words` spells an access at an offset outside.
pub(crate) fn region(
    s: &State,
    base: Reg,
    off: i32,
    size: i64,
    len: u64,
    zero_size_allowed: bool,
    words: impl Fn(i64) -> String,
) -> Check<()> {
    let reg = s.reg(base);
    let (min, max) = (reg.val.smin(), reg.val.umax());
    let off = i64::from(off);
    let inside = |at: i64| at >= 0 && (size > 0 || zero_size_allowed) && at as u64 + size as u64 <= len;
    let required = || format!("bytes {off} to {} plus the variable part, inside 0 to {len}", off + size);
    let known = || format!("the variable part of r{} is in [{min}, {max}]", base.0);
    if min < 0 && (min < -(1 << 31) || off + min < 0) {
        let words = format!(
            "R{} min value is negative, either use unsigned index or do a if (index >=0) check.",
            base.0
        );
        let remedy = "make the index unsigned, or test that it is not negative";
        return refuse(Code::OutOfBounds, words).explain(required(), known(), remedy);
    }
    if !inside(off + min) {
        let remedy = format!("access offsets 0 to {} only", len.saturating_sub(size as u64));
        return refuse(Code::OutOfBounds, words(off + min)).explain(required(), known(), remedy);
    }
    if max >= limits::VAR_OFF as u64 {
        let words = format!("R{} unbounded memory access, make sure to bounds check any such access", base.0);
        let remedy =
            format!("test the index first: if (index > {}) return …", len.saturating_sub(size as u64));
        return refuse(Code::OutOfBounds, words).explain(required(), known(), remedy);
    }
    if !inside(off + max as i64) {
        let most = (len as i64 - size - off).max(0);
        let remedy = format!("test the index first so that it is at most {most}");
        return refuse(Code::OutOfBounds, words(off + max as i64)).explain(required(), known(), remedy);
    }
    Ok(())
}

/// The map's flags let programs read, or write, its values.
pub(crate) fn map_direction(p: &Program<'_>, map: u16, off: i32, size: usize, writes: bool) -> Check<()> {
    let def = p.map(map);
    let (flag, verb) =
        if writes { (MapFlags::RDONLY_PROG, "write into") } else { (MapFlags::WRONLY_PROG, "read from") };
    if !def.flags.has(flag) {
        return Ok(());
    }
    let words = format!("{verb} map forbidden, value_size={} off={off} size={size}", def.value_size);
    refuse(Code::ForbiddenAccess, words).explain(
        "a map whose flags allow it",
        format!("map {} was created otherwise", def.name),
        "create the map without BPF_F_RDONLY_PROG or BPF_F_WRONLY_PROG",
    )
}

/// The constant that a load gives from a map that nobody can change any more.
fn folded(p: &Program<'_>, reg: &state::Reg, map: u16, off: i32, size: usize) -> Option<u64> {
    let def = p.map(map);
    if def.kind != MapType::ARRAY || def.max_entries != 1 || def.initial.is_none() {
        return None;
    }
    let at = usize::try_from(i64::from(off) + reg.val.as_const()? as i64).ok()?;
    // What the initial contents leave out is zero.
    let bytes = p.constants(map)?;
    let byte = |i: usize| u64::from(bytes.get(at + i).copied().unwrap_or(0));
    let place = |i: usize| if cfg!(target_endian = "big") { size - 1 - i } else { i };
    Some((0..size).map(|i| byte(i) << (8 * place(i))).sum())
}

fn context(p: &Program<'_>, off: i32, size: usize, intent: Intent) -> Check<Target> {
    let value = u32::try_from(off).ok().and_then(|off| p.ctx.access(off, size as u32, intent.writes()));
    // What a load makes a pointer has no sign (`is_ldsx` in `bpf_skb_is_valid_access`, 6.18).
    let value = value.filter(|v| !matches!(intent, Intent::SignedLoad) || *v == CtxValue::Scalar);
    match value {
        Some(CtxValue::Btf(name)) => {
            let id = crate::kernel::of(p)?.structure(name)?;
            Ok(Target::Argument(Loaded { kind: Kind::Btf { id, marks: Marks::TRUSTED }, nullable: false }))
        }
        Some(value) => Ok(Target::Ctx(value)),
        None => {
            let field = u32::try_from(off).ok().and_then(|o| p.ctx.field_at(o));
            let known = match field {
                Some(f) => format!("{}.{} is {} bytes at {}", p.ctx.name, f.name, f.size, f.off),
                None => format!("{} has no field there for this program type", p.ctx.name),
            };
            refuse(Code::BadContextAccess, format!("invalid bpf_context access off={off} size={size}"))
                .explain(
                    "a field of the context, at its size, in a way that the program type allows",
                    known,
                    "see the program type's context for its fields",
                )
        }
    }
}

/// A load of an argument of what the program is attached to (`tracing_prog_is_valid_access`).
fn argument(attached: &Attached<'_>, off: i32, size: usize, intent: Intent) -> Check<Target> {
    match u32::try_from(off) {
        Ok(at) if !intent.writes() && (at as usize).is_multiple_of(size) => {
            attached.load(at, size as u32).map(Target::Argument)
        }
        _ => refuse(Code::BadContextAccess, format!("invalid bpf_context access off={off} size={size}"))
            .explain(
                "an aligned load of an argument",
                "arguments are not stored to",
                "copy it to a local variable",
            ),
    }
}

/// A load from an object of the kernel (`check_ptr_to_btf_access`). `off` includes the fixed part.
pub(super) fn object_load(
    p: &Program<'_>,
    s: &State,
    base: Reg,
    (id, marks): (u32, Marks),
    off: i32,
    size: usize,
) -> Check<Target> {
    let types = kernel::of(p)?;
    let name = types.name(id);
    if !p.may_leak() {
        let words = format!("'struct {name}' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN");
        return refuse(Code::PointerLeak, words);
    }
    if !p.spec.gpl_compatible() {
        let words = format!("Cannot access kernel 'struct {name}' from non-GPL compatible program");
        return refuse(Code::GplOnly, words);
    }
    let var = &s.reg(base).val;
    let what = match (u32::try_from(off), var.as_const()) {
        (Err(_), _) => format!("invalid negative access: off={off}"),
        (_, None | Some(1..)) => format!("invalid variable offset: off={off}, var_off={}", var.tnum()),
        _ if marks.has(Marks::USER) => format!("access user memory: off={off}"),
        _ if marks.has(Marks::PER_CPU) => format!("access percpu memory: off={off}"),
        (Ok(at), Some(0)) => {
            let marks = if s.reg(base).ref_id != 0 { Marks::TRUSTED } else { marks };
            return match types.load(id, marks, at, size as u32, p.in_rcu(s)) {
                Ok(loaded) => Ok(Target::Kernel(loaded)),
                Err(words) => refuse(Code::OutOfBounds, words).explain(
                    format!("a load of a member of struct {name}, at its size"),
                    format!("{size} bytes at {off} are none"),
                    "load the member by its name; use CO-RE (preserve_access_index) for another kernel's layout",
                ),
            };
        }
    };
    refuse(Code::OutOfBounds, format!("R{} is ptr_{name} {what}", base.0))
}

/// An access of an iterator's buffer: only a constant offset can be compared with its size later
/// (`__check_buffer_access`).
pub(super) fn buffer(s: &State, base: Reg, off: i32, size: usize) -> Check<Target> {
    let reg = s.reg(base);
    let what = match (off < 0, reg.val.as_const()) {
        (true, _) => format!("invalid {} buffer access: off={off}, size={size}", type_name(reg)),
        (false, Some(0)) => return Ok(Target::Mem),
        (false, _) => format!("invalid variable buffer offset: off={off}, var_off={}", reg.val.tnum()),
    };
    refuse(Code::OutOfBounds, format!("R{} {what}", base.0))
}

/// A load from a socket.
fn socket(base: Reg, sock: Sock, off: i32, size: usize) -> Check<Target> {
    let fields = sock.fields();
    let at = u32::try_from(off).ok();
    if at.and_then(|off| fields.access(off, size as u32, false)).is_some() {
        return Ok(Target::Sock(sock));
    }
    let name = type_name(&state::Reg::pointer(Kind::Sock(sock)));
    let words = format!("R{} invalid {name} access off={off} size={size}", base.0);
    let known = match at.and_then(|o| fields.field_at(o)) {
        Some(f) => format!("{}.{} is {} bytes at {}", fields.name, f.name, f.size, f.off),
        None => format!("{} has no field there for a {name}", fields.name),
    };
    refuse(Code::BadContextAccess, words).explain(
        format!("a field of struct {}, at its size", fields.name),
        known,
        "bpf_sk_fullsock and bpf_tcp_sock give sockets of which more is seen",
    )
}

/// The bytes lie in the part of the packet that a comparison with its end has shown to be there.
pub(crate) fn packet(
    p: &Program<'_>,
    s: &State,
    base: Reg,
    off: i32,
    size: i64,
    zero_size_allowed: bool,
) -> Check<()> {
    let reg = s.reg(base);
    let range = match reg.kind {
        Kind::Packet { range } => range,
        Kind::PacketMeta { range } => Range::Bytes(range),
        _ => return not_memory(p, s, base),
    };
    if reg.val.smin() < 0 {
        let words = format!(
            "R{} min value is negative, either use unsigned index or do a if (index >=0) check.",
            base.0
        );
        return refuse(Code::OutOfBounds, words);
    }
    let sized = size > 0 || zero_size_allowed;
    let known = match range.bytes() {
        Some(range) if off >= 0 && sized && i64::from(off) + size <= range.into() => return Ok(()),
        Some(range) => format!("{range} bytes are known to be there"),
        None => "a comparison has shown that the packet ends at the pointer or before it".into(),
    };
    let words = format!(
        "invalid access to packet, off={off} size={size}, R{}(id={},off={},r={range})",
        base.0, reg.id, reg.off
    );
    refuse(Code::OutOfBounds, words).explain(
        format!("{} bytes of packet after the pointer's variable part", i64::from(off) + size),
        known,
        format!("if (data + {} > data_end) return …; with this very pointer", i64::from(off) + size),
    )
}

/// The offsets of the first byte, all bytes inside the stack.
pub(crate) fn stack_bounds(
    p: &Program<'_>,
    s: &State,
    base: Reg,
    off: i32,
    size: i64,
    what: &str,
) -> Check<(i32, i32)> {
    let reg = s.reg(base);
    let (min, max, known) = match reg.val.as_const() {
        Some(var) => {
            let at = (var as i64).wrapping_add(off.into());
            (at, at, true)
        }
        None => {
            let outside = |n: i64| n >= limits::VAR_OFF || n <= -limits::VAR_OFF;
            if outside(reg.val.smin()) || outside(reg.val.smax()) {
                let words = format!("invalid unbounded variable-offset{what} stack R{}", base.0);
                return refuse(Code::OutOfBounds, words).explain(
                    "a bounded offset",
                    format!("the variable part is in [{}, {}]", reg.val.smin(), reg.val.smax()),
                    "bound the index on both sides first",
                );
            }
            (reg.val.smin() + i64::from(off), reg.val.smax() + i64::from(off), false)
        }
    };
    let Kind::Stack { frame } = reg.kind else { return not_memory(p, s, base) };
    let used = i64::from(s.frames[usize::from(frame)].stack.depth());
    let lowest = if what.contains("write") || p.may_leak() { -i64::from(limits::STACK) } else { -used };
    if min >= lowest && min < 0 && max.saturating_add(size) <= 0 && size >= 0 {
        return Ok((min as i32, max as i32));
    }
    let words = match known {
        true => format!("invalid{what} stack R{} off={min} size={size}", base.0),
        false => format!(
            "invalid variable-offset{what} stack R{} var_off={} off={off} size={size}",
            base.0,
            reg.val.tnum()
        ),
    };
    refuse(Code::OutOfBounds, words).explain(
        format!("bytes from fp{lowest} to fp-1"),
        format!("the access covers fp{min:+} to fp{:+}", max.saturating_add(size) - 1),
        "keep buffers and indices inside the function's 512 bytes of stack",
    )
}

fn stack_read(
    p: &Program<'_>,
    s: &State,
    base: Reg,
    target: &Target,
    size: usize,
    intent: Intent,
) -> Check<()> {
    let Target::Stack { frame, min, max } = *target else { return Ok(()) };
    let stack = &s.frames[frame].stack;
    if min != max {
        if intent.is_atomic() && !matches!(intent, Intent::LoadAcquire) {
            let words = format!(
                "variable offset stack pointer cannot be passed into helper function; var_off={} off={} size={size}",
                s.reg(base).val.tnum(),
                s.reg(base).off
            );
            return refuse(Code::ForbiddenAccess, words);
        }
        return initialised(p, s, base, frame, min, (max - min) as usize + size);
    }
    let uninit = |at: i32| stack.byte(at) == Byte::Invalid && !p.may_leak();
    let Some((reg, spilled)) = stack.slot(min).and_then(state::Slot::spill) else {
        if (min..min + size as i32).any(uninit) {
            return uninitialised(format!("invalid read from stack off {min}+0 size {size}"));
        }
        return Ok(());
    };
    if !reg.is_scalar() {
        if size != 8 || spilled != 8 {
            return refuse(Code::ForbiddenAccess, "invalid size of register fill").explain(
                "all 8 bytes of a spilled pointer",
                format!("{size} bytes"),
                "load the pointer whole",
            );
        }
        if matches!(intent, Intent::AtomicRead) && !p.may_leak() {
            return refuse(Code::PointerLeak, format!("leaking pointer from stack off {min}"));
        }
        return Ok(());
    }
    let fits = reads_low_part(place(min).1, size, spilled);
    if !fits && (min..min + size as i32).any(uninit) {
        return uninitialised(format!("invalid read from stack off {min}+0 size {size}"));
    }
    Ok(())
}

fn uninitialised<T>(words: String) -> Check<T> {
    refuse(Code::Uninitialized, words).explain(
        "stack bytes that were written before",
        "some of them were not",
        "initialise the whole object: = {} or memset",
    )
}

/// Every byte of a stack range may be read as data.
pub(crate) fn initialised(
    p: &Program<'_>,
    s: &State,
    base: Reg,
    frame: usize,
    off: i32,
    len: usize,
) -> Check<()> {
    if p.may_leak() {
        return Ok(());
    }
    let stack = &s.frames[frame].stack;
    for at in off..off + len as i32 {
        let ok = match stack.byte(at) {
            Byte::Misc | Byte::Zero => true,
            Byte::Invalid => false,
            Byte::Spill => stack.slot(at).and_then(state::Slot::spill).is_some_and(|(r, _)| r.is_scalar()),
        };
        if !ok {
            let words = format!("invalid read from stack R{} off {off}+{} size {len}", base.0, at - off);
            return uninitialised(words);
        }
    }
    Ok(())
}

fn stack_write(
    p: &Program<'_>,
    s: &State,
    base: Reg,
    target: &Target,
    size: usize,
    intent: Intent,
) -> Check<()> {
    let Target::Stack { frame, min, max } = *target else { return Ok(()) };
    let stack = &s.frames[frame].stack;
    let pointer_at =
        |at: i32| stack.slot(at).and_then(state::Slot::spill).is_some_and(|(r, _)| r.is_pointer());
    let stored = intent.stored().map(|v| s.reg(v));
    if min != max {
        if intent.is_atomic() && !matches!(intent, Intent::StoreRelease(_)) {
            return Ok(());
        }
        for at in min..max + size as i32 {
            if p.may_leak() {
                break;
            }
            if !matches!(stack.byte(at), Byte::Misc | Byte::Zero) {
                let words = format!("spilled ptr in range of var-offset stack write; insn, ptr off: {at}");
                return refuse(Code::ForbiddenAccess, words);
            }
        }
        return Ok(());
    }
    if !p.may_leak() && pointer_at(min) && size != 8 {
        return refuse(Code::ForbiddenAccess, "attempt to corrupt spilled pointer on stack");
    }
    if let Some(value) = stored
        && value.is_pointer()
    {
        if size != 8 {
            return refuse(Code::ForbiddenAccess, "invalid size of register spill");
        }
        if matches!(value.kind, Kind::Stack { .. }) && frame != s.depth() {
            return refuse(
                Code::ForbiddenAccess,
                "cannot spill pointers to stack into stack frame of the caller",
            );
        }
        // The key is there while the callback runs: an array's is in the helper's own memory, also in Linux.
        let outlives = s.frames.iter().rposition(|f| f.callback).is_some_and(|callback| frame < callback);
        if matches!(value.kind, Kind::MapKey(_)) && outlives {
            return unsupported("a pointer to a map's key in the stack of a callback's caller");
        }
    }
    let _ = base;
    Ok(())
}

/// A register whose being zero makes stack bytes zero without a spill that would remember where from.
pub(super) fn zero_written_to_bytes(s: &State, target: &Target, src: Operand) -> RegSet {
    let (Target::Stack { min, max, .. }, Operand::Reg(src)) = (*target, src) else { return RegSet::EMPTY };
    let as_bytes = min != max || min % 8 != 0;
    if as_bytes && s.reg(src).is_null() { RegSet::EMPTY.with(src) } else { RegSet::EMPTY }
}
