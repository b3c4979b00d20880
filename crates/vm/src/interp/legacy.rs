//! The legacy packet loads (`BPF_ABS` and `BPF_IND`).

use skep_isa::Size;

use super::State;
use crate::Program;
use crate::mem::Mem;
use crate::trap::TrapKind;

/// Offsets from here up to -1 name bytes relative to the network header (`SKF_NET_OFF`).
const SKF_NET_OFF: i32 = -0x10_0000;
/// Offsets from here up to `SKF_NET_OFF` name bytes relative to the Ethernet header (`SKF_LL_OFF`).
const SKF_LL_OFF: i32 = -0x20_0000;

/// As [`load_packet`] for what it mostly is: inside the packet, counted from its start.
#[inline(always)]
pub(crate) fn load_packet_forward(
    program: &Program,
    mem: &Mem<'_>,
    state: &State<'_>,
    size: Size,
    off: i32,
) -> Option<u64> {
    let packet = state.packet.as_ref().filter(|_| program.legacy_loads && off >= 0)?;
    let at = packet.data.checked_add(off as usize)?;
    (packet.end.checked_sub(size.bytes())? >= at).then(|| mem.packet_number(at, size))
}

/// A legacy packet load: a big-endian number at a packet offset; `None` when it is not inside.
#[inline(never)]
pub(crate) fn load_packet(
    program: &Program,
    mem: &Mem<'_>,
    state: &State<'_>,
    size: Size,
    off: i32,
) -> Result<Option<u64>, TrapKind> {
    let packet = match state.packet {
        Some(packet) if program.legacy_loads => packet,
        _ => return Err(TrapKind::NoPacket),
    };
    let start = if off >= 0 {
        Some((packet.data, off as usize))
    } else if off >= SKF_NET_OFF {
        Some((packet.network, (off - SKF_NET_OFF) as usize))
    } else if off >= SKF_LL_OFF {
        packet.mac.map(|mac| (mac, (off - SKF_LL_OFF) as usize))
    } else {
        None
    };
    let inside = start
        .and_then(|(base, off)| base.checked_add(off))
        .filter(|at| packet.end.checked_sub(size.bytes()).is_some_and(|last| *at <= last));
    Ok(inside.map(|at| mem.packet_number(at, size)))
}
