//! Memory that a call is given.

use alloc::format;
use alloc::string::String;

use skep_abi::{MemAccess, ProgramType};
use skep_isa::Reg;

use super::memory::{buffer, initialised, map_direction, packet, region, stack_bounds, unmodified};
use super::{Facts, dynptr, field, object};
use crate::Code;
use crate::contract::{HelperFacts, StackWrite};
use crate::program::Program;
use crate::state::{self, Byte, Kind, State, type_name};
use crate::violation::{Check, Explain, refuse};

/// Bytes behind a register that a callee uses.
pub(super) struct Used {
    pub(super) reg: Reg,
    /// Bytes; at most so many.
    pub(super) size: i64,
    pub(super) access: MemAccess,
    /// There may be none.
    pub(super) zero_ok: bool,
    /// It uses all of them.
    pub(super) exact: bool,
}

impl Used {
    /// The callee may use them; notes what it touches and overwrites (the kernel's `check_helper_mem_access`).
    pub(super) fn check(
        self,
        p: &Program<'_>,
        s: &State,
        facts: &mut Facts,
        out: &mut HelperFacts,
    ) -> Check<()> {
        let Self { reg, size, access, zero_ok, exact } = self;
        let value = s.reg(reg);
        let writes = access != MemAccess::Read;
        let reads = access != MemAccess::Write;
        if value.nullable && size > 0 {
            // Linux 6.18 lets this pass where NULL is allowed, and its helper then reads from NULL.
            let words = format!("R{} type={} may be NULL, the size is not 0", reg.0, type_name(value));
            return refuse(Code::NullPointer, words).explain(
                "memory, or NULL and a size of 0",
                format!("r{} is {}", reg.0, state::register(p, s.depth(), value)),
                "compare the pointer with 0 first",
            );
        }
        match value.kind {
            Kind::Packet { .. } | Kind::PacketMeta { .. } => {
                if writes && !p.row.packet.writes() {
                    return refuse(Code::ForbiddenAccess, "cannot write into packet");
                }
                packet(p, s, reg, value.off, size, zero_ok)
            }
            Kind::MapValue(map) => {
                map_direction(p, map, value.off, size as usize, writes)?;
                let len = p.map(map).value_size;
                region(s, reg, value.off, size, len.into(), zero_ok, |at| {
                    format!("invalid access to map value, value_size={len} off={at} size={size}")
                })?;
                field::touched(p, s, reg, map, value.off, size, false).map(drop)
            }
            Kind::MapKey(_) if writes => {
                refuse(Code::ForbiddenAccess, format!("R{} cannot write into map_key", reg.0))
            }
            Kind::MapKey(map) => {
                let len = p.map(map).key_size;
                region(s, reg, value.off, size, len.into(), false, |at| {
                    format!("invalid access to map key, key_size={len} off={at} size={size}")
                })
            }
            Kind::Mem { writable: false, .. } | Kind::Slice { writable: false, .. } if writes => {
                refuse(Code::ForbiddenAccess, format!("R{} cannot write into rdonly_mem", reg.0))
            }
            // Of programs that no other structure stands behind; the last byte says it all (`check_helper_mem_access`).
            Kind::Ctx if p.spec.prog_type == ProgramType::SYSCALL && (size > 0 || zero_ok) => {
                unmodified(s, reg)?;
                match size <= i64::from(u16::MAX) {
                    true => Ok(()),
                    false => {
                        refuse(Code::BadContextAccess, format!("invalid bpf_context access off={}", size - 1))
                    }
                }
            }
            Kind::Mem { size: len, .. } | Kind::Slice { size: len, .. } => {
                region(s, reg, value.off, size, len.into(), zero_ok, |at| {
                    format!("invalid access to memory, mem_size={len} off={at} size={size}")
                })
            }
            Kind::Stack { frame } => {
                if size == 0 && !zero_ok {
                    return refuse(Code::BadArgument, "invalid zero-sized read");
                }
                let what = if writes { " write to" } else { " read from" };
                let (min, max) = stack_bounds(p, s, reg, value.off, size, what)?;
                if min != max && !p.may_leak() {
                    let words = format!(
                        "R{} variable offset stack access prohibited for !root, var_off={}",
                        reg.0,
                        value.val.tnum()
                    );
                    return refuse(Code::ForbiddenAccess, words);
                }
                facts.touched.push((frame.into(), min));
                let whole = exact && !reads && min == max;
                let (frame, len) = (usize::from(frame), (max - min) as usize + size as usize);
                if whole {
                    dynptr::stay(&s.frames[frame].stack, min, len)?;
                }
                if !whole {
                    initialised(p, s, reg, frame, min, len)?;
                }
                if whole && !p.may_leak() {
                    spilled_pointers_stay(s, frame, min, len)?;
                }
                let looked_at = if whole && p.may_leak() { 0 } else { len };
                facts.stack_reads.push((frame, min, looked_at));
                if writes && len > 0 {
                    out.stack_writes.push(StackWrite { frame, off: min, len, whole });
                }
                Ok(())
            }
            Kind::Btf { .. } if size > 0 => object::readable(p, s, reg, size, writes),
            Kind::Buffer { writable: false } if writes => {
                refuse(Code::ForbiddenAccess, format!("R{} cannot write into rdonly_buf", reg.0))
            }
            Kind::Buffer { .. } => buffer(s, reg, value.off, size as usize).map(drop),
            _ if zero_ok && size == 0 && value.is_null() => Ok(()),
            _ => {
                let words = format!("R{} type={} expected=fp", reg.0, type_name(value));
                refuse(Code::BadArgument, words).explain(
                    "memory: of the stack, a packet, a map's value or key, or what a helper gave",
                    format!("r{} is {}", reg.0, state::register(p, s.depth(), value)),
                    "pass the address of memory; compare it with 0 first if it may be NULL",
                )
            }
        }
    }
}

/// An unprivileged helper call does not overwrite part of a spilled pointer.
fn spilled_pointers_stay(s: &State, frame: usize, off: i32, len: usize) -> Check<()> {
    let stack = &s.frames[frame].stack;
    let corrupts = |at: i32| {
        stack.byte(at) == Byte::Spill
            && stack.slot(at).and_then(state::Slot::spill).is_some_and(|(r, _)| r.is_pointer())
    };
    match (off..off + len as i32).any(corrupts) {
        true => refuse(Code::ForbiddenAccess, String::from("attempt to corrupt spilled pointer on stack")),
        false => Ok(()),
    }
}
