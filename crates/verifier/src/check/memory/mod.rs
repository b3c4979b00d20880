//! Memory accesses: what the base register points to, and whether the bytes are inside and may be used so.

pub(crate) mod arena;
mod context;
mod local;
mod map_object;
mod object;
mod region;
mod stack;

use alloc::format;

use skep_abi::{CtxValue, FLOW_KEYS_BYTES};
use skep_isa::{Operand, Reg};
use skep_spec::FieldKind;

use super::{field, kptr, leak, leaks};
use crate::kernel::Loaded;
use crate::program::Program;
use crate::state::{self, Kind, Sock, State, type_name};
use crate::violation::{Check, Explain, refuse};
use crate::{AccessBase, Code};

pub(crate) use context::unmodified;
pub(crate) use object::object_load;
pub(crate) use region::{aligned, buffer, map_direction, packet, region};
pub(crate) use stack::{initialised, stack_bounds, zero_written_to_bytes};

use context::{argument, context};
use object::{object_store, socket};
use region::{folded, tracepoint_buffer};
use stack::{stack_read, stack_write};

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
    pub(super) fn writes(self) -> bool {
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
    /// A pointer in a map value that the kernel keeps, and what a load of it gives.
    Field { kind: FieldKind, loaded: Loaded },
    /// The packet or its metadata.
    Packet,
    /// Memory that a helper returned, or flow keys.
    Mem,
    /// A field of a socket.
    Sock(Sock),
    /// Memory of the arena.
    Arena,
    /// An argument in the context.
    Argument(Loaded),
    /// What a hook has returned so far.
    Result { min: i32, max: i32 },
    /// A member of an object of the kernel, or what may be anywhere.
    Kernel(Loaded),
}

impl Target {
    /// The kind of memory.
    pub(crate) fn base(self) -> AccessBase {
        match self {
            Self::Ctx(_) | Self::Argument(_) | Self::Result { .. } => AccessBase::Ctx,
            Self::Kernel(_) => AccessBase::Kernel,
            Self::Stack { .. } => AccessBase::Stack,
            Self::MapKey => AccessBase::MapKey,
            Self::Arena => AccessBase::Arena,
            Self::MapValue { .. } | Self::Field { .. } => AccessBase::MapValue,
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
        aligned(p, reg, off, size, intent.is_atomic())?;
        return map_object::access(p, s, base, off, size, intent);
    }
    let opaque = matches!(reg.kind, Kind::Map(_) | Kind::PacketEnd | Kind::Func(_) | Kind::Dynptr(_));
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
            region(s, base, off, size as i64, p.map(map).value_size.into(), false, |at| {
                format!(
                    "invalid access to map value, value_size={} off={at} size={size}",
                    p.map(map).value_size
                )
            })?;
            if let Some(field) = field::touched(p, s, base, map, off, size as i64, true)? {
                return kptr::access(p, s, base, &field, intent);
            }
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
        Kind::Mem { writable: false, .. } | Kind::Slice { writable: false, .. } if intent.writes() => {
            refuse(Code::ForbiddenAccess, format!("R{} cannot write into {}", base.0, type_name(reg)))
        }
        Kind::Mem { size: len, .. } | Kind::Slice { size: len, .. } => {
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
            let words = |at| format!("invalid access to flow keys off={at} size={size}");
            region(s, base, off, size as i64, FLOW_KEYS_BYTES.into(), false, words).alone()?;
            Ok(Target::Mem)
        }
        Kind::Btf { id, marks } if intent.writes() => {
            leak_into("object")?;
            object_store(p, s, base, (id, marks), off, size)
        }
        Kind::Btf { id, marks } => object_load(p, s, base, (id, marks), off, size),
        Kind::Local { id, marks } => local::access(p, s, base, (id, marks), off, size, intent),
        Kind::Probed | Kind::Buffer { writable: false } if intent.writes() => {
            refuse(Code::ForbiddenAccess, format!("R{} cannot write into {}", base.0, type_name(reg)))
        }
        Kind::Probed => Ok(Target::Kernel(Loaded::NUMBER)),
        Kind::Arena => Ok(Target::Arena),
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
        Kind::Dynptr(_) | Kind::NotInit | Kind::Scalar | Kind::Map(_) | Kind::PacketEnd | Kind::Func(_) => {
            not_memory(p, s, base)
        }
    }
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
        format!("r{} is {}", base.0, state::register(p, s.depth(), reg)),
        remedy,
    )
}
