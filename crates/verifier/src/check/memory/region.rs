//! Regions of a known size: map values and keys, memory of helpers, buffers, packets; and alignment.

use alloc::format;
use alloc::string::String;

use skep_abi::{MapFlags, MapType};
use skep_isa::Reg;

use super::{Target, not_memory};
use crate::program::Program;
use crate::state::{self, Kind, Range, State, type_name};
use crate::violation::{Check, Explain, refuse};
use crate::{Code, limits};

pub(crate) fn aligned(p: &Program<'_>, reg: &state::Reg, off: i32, size: usize, always: bool) -> Check<()> {
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
        // Nothing is asked of its addresses.
        Kind::Arena => return Ok(()),
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
    let outside = |which: &str| format!("R{} {which} value is outside of the allowed memory range", base.0);
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
        return refuse(Code::OutOfBounds, words(off + min))
            .explain(required(), known(), remedy)
            .then(outside("min"));
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
        return refuse(Code::OutOfBounds, words(off + max as i64))
            .explain(required(), known(), remedy)
            .then(outside("max"));
    }
    Ok(())
}

/// The map's flags let programs read, or write, its values.
pub(crate) fn map_direction(p: &Program<'_>, map: u16, off: i32, size: usize, writes: bool) -> Check<()> {
    let def = p.map(map);
    let (flag, verb) =
        if writes { (MapFlags::RDONLY_PROG, "write into") } else { (MapFlags::WRONLY_PROG, "read from") };
    if !MapFlags(def.flags.0 | def.kind.implied_flags()).has(flag) {
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
pub(super) fn folded(p: &Program<'_>, reg: &state::Reg, map: u16, off: i32, size: usize) -> Option<u64> {
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
    let outside = format!("R{} offset is outside of the packet", base.0);
    let refusal = match range.bytes() {
        Some(range) => {
            let (id, from) = (reg.id, reg.off);
            let words = format!(
                "invalid access to packet, off={off} size={size}, R{}(id={id},off={from},r={range})",
                base.0
            );
            refuse(Code::OutOfBounds, words).then(outside)
        }
        None => refuse(Code::OutOfBounds, outside),
    };
    refusal.explain(
        format!("{} bytes of packet after the pointer's variable part", i64::from(off) + size),
        known,
        format!("if (data + {} > data_end) return …; with this very pointer", i64::from(off) + size),
    )
}

/// Any part of the buffer from its start on: how far it goes is compared when the program is attached
/// (`check_tp_buffer_access`).
pub(super) fn tracepoint_buffer(reg: &state::Reg, base: Reg, off: i32, size: usize) -> Check<()> {
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

/// An access of an iterator's buffer: only a constant offset can be compared with its size later
/// (`__check_buffer_access`).
pub(crate) fn buffer(s: &State, base: Reg, off: i32, size: usize) -> Check<Target> {
    let reg = s.reg(base);
    let what = match (off < 0, reg.val.as_const()) {
        (true, _) => format!("invalid {} buffer access: off={off}, size={size}", type_name(reg)),
        (false, Some(0)) => return Ok(Target::Mem),
        (false, _) => format!("invalid variable buffer offset: off={off}, var_off={}", reg.val.tnum()),
    };
    refuse(Code::OutOfBounds, format!("R{} {what}", base.0))
}
