//! Registers in the spelling of the Linux 6.18 verifier log (`print_reg_state` in `kernel/bpf/log.c`).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use super::{Byte, Dynptr, Frame, Iter, Kept, Kind, Marks, Range, Reg, Slot, Sock, State};
use crate::program::Program;
use crate::rejection::Known;

/// The kernel's word for a register's type. In a register's text a structure's name follows the words for an object.
pub(crate) fn type_name(reg: &Reg) -> &'static str {
    match (reg.kind, reg.nullable) {
        (Kind::NotInit, _) => "?",
        (Kind::Scalar, _) => "scalar",
        (Kind::Ctx, _) => "ctx",
        (Kind::Map(_), _) => "map_ptr",
        (Kind::MapKey(_), _) => "map_key",
        (Kind::Func(_), _) => "func",
        (Kind::MapValue(_), false) => "map_value",
        (Kind::MapValue(_), true) => "map_value_or_null",
        (Kind::Packet { .. }, _) => "pkt",
        (Kind::PacketMeta { .. }, _) => "pkt_meta",
        (Kind::PacketEnd, _) => "pkt_end",
        (Kind::Stack { .. }, _) => "fp",
        (Kind::Slice { writable: true, .. }, false) => "mem",
        (Kind::Slice { writable: true, .. }, true) => "mem_or_null",
        (Kind::Slice { writable: false, .. }, false) => "rdonly_mem",
        (Kind::Slice { writable: false, .. }, true) => "rdonly_mem_or_null",
        (Kind::Dynptr(_), _) => "dynptr_ptr",
        (Kind::FlowKeys, _) => "flow_keys",
        (Kind::TracepointBuffer, _) => "tp_buffer",
        (Kind::Sock(sock), nullable) => sock_name(sock, nullable),
        (Kind::Btf { marks, .. }, nullable) => object_name(marks, nullable),
        (Kind::Local { marks, .. }, nullable) => local_name(marks, nullable),
        (Kind::Probed, _) => "rdonly_untrusted_mem",
        (Kind::Arena, _) => "arena",
        (Kind::Buffer { writable: false }, false) => "rdonly_buf",
        (Kind::Buffer { writable: false }, true) => "rdonly_buf_or_null",
        (Kind::Buffer { writable: true }, false) => "buf",
        (Kind::Buffer { writable: true }, true) => "buf_or_null",
        (Kind::Mem { ringbuf: true, .. }, false) => "ringbuf_mem",
        (Kind::Mem { ringbuf: true, .. }, true) => "ringbuf_mem_or_null",
        (Kind::Mem { writable: true, .. }, false) => "mem",
        (Kind::Mem { writable: true, .. }, true) => "mem_or_null",
        (Kind::Mem { writable: false, .. }, false) => "rdonly_mem",
        (Kind::Mem { writable: false, .. }, true) => "rdonly_mem_or_null",
    }
}

/// The kernel puts the structure's name behind it.
fn object_name(marks: Marks, nullable: bool) -> &'static str {
    let has = |mark| marks.has(mark);
    match (has(Marks::UNTRUSTED), has(Marks::TRUSTED), has(Marks::RCU), nullable) {
        _ if has(Marks::USER) => "user_ptr_",
        _ if has(Marks::PER_CPU) => "percpu_ptr_",
        (true, _, _, false) => "untrusted_ptr_",
        (true, _, _, true) => "untrusted_ptr_or_null_",
        (false, true, _, false) => "trusted_ptr_",
        (false, true, _, true) => "trusted_ptr_or_null_",
        (false, false, true, false) => "rcu_ptr_",
        (false, false, true, true) => "rcu_ptr_or_null_",
        (false, false, false, false) => "ptr_",
        (false, false, false, true) => "ptr_or_null_",
    }
}

/// An object of one of the program's own types; its name comes behind.
fn local_name(marks: Marks, nullable: bool) -> &'static str {
    let has = |mark| marks.has(mark);
    match (has(Marks::PER_CPU), has(Marks::RCU), has(Marks::UNTRUSTED), nullable) {
        (false, false, false, false) => "ptr_",
        (false, false, false, true) => "ptr_or_null_",
        (false, true, _, false) => "rcu_ptr_",
        (false, true, _, true) => "rcu_ptr_or_null_",
        (false, false, true, false) => "untrusted_ptr_",
        (false, false, true, true) => "untrusted_ptr_or_null_",
        (true, false, false, false) => "percpu_ptr_",
        (true, false, false, true) => "percpu_ptr_or_null_",
        (true, true, _, false) => "percpu_rcu_ptr_",
        (true, true, _, true) => "percpu_rcu_ptr_or_null_",
        (true, false, true, false) => "percpu_untrusted_ptr_",
        (true, false, true, true) => "percpu_untrusted_ptr_or_null_",
    }
}

fn sock_name(sock: Sock, nullable: bool) -> &'static str {
    match (sock, nullable) {
        (Sock::Common, false) => "sock_common",
        (Sock::Common, true) => "sock_common_or_null",
        (Sock::Full, false) => "sock",
        (Sock::Full, true) => "sock_or_null",
        (Sock::Tcp, false) => "tcp_sock",
        (Sock::Tcp, true) => "tcp_sock_or_null",
        (Sock::Xdp, false) => "xdp_sock",
        (Sock::Xdp, true) => "xdp_sock_or_null",
    }
}

/// A register as `map_value(map=counts,ks=4,vs=8)`. `frame` is the running frame.
pub(crate) fn register(p: &Program<'_>, frame: usize, reg: &Reg) -> String {
    let mut out = String::new();
    if reg.is_scalar() && reg.precise {
        out.push('P');
    }
    if let Some(n) = reg.as_const() {
        let _ = write!(out, "{}", crate::domain::Scalar::known(n));
        return out;
    }
    out.push_str(type_name(reg));
    if reg.kind == Kind::Arena {
        return out;
    }
    if let Kind::Local { id, .. } = reg.kind {
        out.push_str(p.object_name(id));
    }
    if let Kind::Stack { frame: of } = reg.kind {
        if usize::from(of) != frame {
            let _ = write!(out, "[{of}]");
        }
        if let Some(var) = reg.val.as_const() {
            let _ = write!(out, "{}", (var as i64).wrapping_add(reg.off.into()));
            return out;
        }
    }
    if let Kind::Btf { id, .. } = reg.kind
        && let Some(kernel) = &p.kernel
    {
        out.push_str(kernel.name(id));
    }
    out.push('(');
    let mut sep = "";
    let mut item = |text: String| {
        out.push_str(sep);
        out.push_str(&text);
        sep = ",";
    };
    if reg.id != 0 {
        match reg.delta {
            Some(d) => item(format!("id={}{:+}", reg.id, d.by)),
            None => item(format!("id={}", reg.id)),
        }
    }
    if reg.ref_id != 0 {
        item(format!("ref_obj_id={}", reg.ref_id));
    }
    if let Kind::Local { marks, .. } = reg.kind
        && marks.has(Marks::NON_OWNING)
    {
        item(String::from("non_own_ref"));
    }
    if let Kind::Map(idx) | Kind::MapValue(idx) | Kind::MapKey(idx) = reg.kind {
        let map = p.map(idx);
        // The kernel gives what the maps in a map of maps look like no name.
        if usize::from(idx) < p.spec.maps.len() {
            item(format!("map={}", map.name));
        }
        item(format!("ks={},vs={}", map.key_size, map.value_size));
    }
    if reg.is_pointer() && reg.off != 0 {
        item(format!("off={}", reg.off));
    }
    match reg.kind {
        // The kernel's numbers for what is known of the end are negative, and printed without a sign.
        Kind::Packet { range: Range::AtEnd } => item(format!("r={:#x}", -1i64)),
        Kind::Packet { range: Range::BeyondEnd } => item(format!("r={:#x}", -2i64)),
        Kind::Packet { range: Range::Bytes(range) } => item(format!("r={range}")),
        Kind::PacketMeta { range } => item(format!("r={range}")),
        Kind::Dynptr(kind) => item(format!("type={}", kind.name())),
        Kind::Mem { size, .. } | Kind::Slice { size, .. } => item(format!("sz={size}")),
        _ => {}
    }
    match reg.val.as_const() {
        Some(0) => {}
        Some(n) => item(format!("imm={}", crate::domain::Scalar::known(n))),
        None => {
            let _ = reg.val.fmt_ranges(&mut out, &mut sep);
        }
    }
    out.push(')');
    out
}

/// An iterator as `iter_num(ref_id=1,state=active,depth=0)`.
fn iterator(iter: &Iter) -> String {
    let Iter { name, ref_id, depth, drained, .. } = iter;
    let state = if *drained { "drained" } else { "active" };
    format!("iter_{name}(ref_id={ref_id},state={state},depth={depth})")
}

/// A slot as `mmmm0000`, highest byte first, or the register that is spilled in it.
fn slot(p: &Program<'_>, frame: usize, slot: &Slot) -> Option<String> {
    if slot.bytes == [Byte::Invalid; 8] {
        return None;
    }
    if let Some(Kept::Iter(iter)) = slot.kept() {
        // The first slot speaks for all.
        return (iter.ref_id != 0).then(|| iterator(iter));
    }
    if let Some((reg, 8)) = slot.spill() {
        return Some(register(p, frame, reg));
    }
    let letters: String = slot
        .bytes
        .iter()
        .rev()
        .map(|b| match b {
            Byte::Invalid => '?',
            Byte::Spill => 'r',
            Byte::Misc => 'm',
            Byte::Zero => '0',
            Byte::Iter => 'i',
            Byte::Irq => 'f',
            Byte::Dynptr => 'd',
        })
        .collect();
    match slot.spill() {
        // What lies above the part of a register that is there.
        Some((reg, _)) => Some(format!("{}{}", letters.trim_end_matches('r'), register(p, frame, reg))),
        None => Some(letters),
    }
}

/// A dynptr as `dynptr_ringbuf(id=1,ref_id=2,dynptr_id=1)`: the last is what Linux 6.18 shows of its being the first slot.
fn dynptr(dynptr: &Dynptr) -> String {
    let reference = match dynptr.ref_id {
        0 => String::new(),
        id => format!(",ref_id={id}"),
    };
    format!("dynptr_{}(id={}{reference},dynptr_id=1)", dynptr.kind.name(), dynptr.id)
}

/// The registers and stack slots of a frame, those that are initialised.
fn frame(p: &Program<'_>, index: usize, frame: &Frame) -> Vec<Known> {
    let regs = frame.regs.iter().enumerate().filter(|(_, r)| r.is_init());
    let regs = regs.map(|(i, r)| Known { name: format!("R{i}"), value: register(p, index, r) });
    let slots = frame.stack.slots.iter().enumerate();
    let slots = slots.filter_map(|(i, s)| {
        let value = match s.bytes[0] {
            // The kernel shows it once, at its first slot.
            Byte::Dynptr => dynptr(frame.stack.dynptr(i)?),
            _ => slot(p, index, s)?,
        };
        Some(Known { name: format!("fp-{}", (i + 1) * 8), value })
    });
    regs.chain(slots).collect()
}

/// The registers and stack slots of the running frame.
pub(crate) fn known(p: &Program<'_>, state: &State) -> Vec<Known> {
    known_in(p, state, state.depth())
}

/// Those of a frame of the call chain.
pub(crate) fn known_in(p: &Program<'_>, state: &State, index: usize) -> Vec<Known> {
    frame(p, index, &state.frames[index])
}

/// References and locks that are held, and that a helper has called the function of a frame, as they stand behind its
/// registers.
pub(crate) fn references(state: &State, frame: usize) -> String {
    let mut out = String::new();
    let locks = state.locks.iter().map(|l| l.id).filter(|&id| id != 0);
    for (i, id) in state.refs.iter().map(|r| r.id).chain(locks).enumerate() {
        let _ = write!(out, "{}{id}", if i == 0 { " refs=" } else { "," });
    }
    if state.frames[frame].callback {
        out.push_str(" cb");
    }
    out
}
