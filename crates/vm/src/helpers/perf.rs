//! Records for perf event arrays (kernel/trace/bpf_trace.c, net/core/filter.c `bpf_skb_event_output`).

use skep_abi::MapType;
use skep_spec::Errno;

use super::{Args, Call, errno, status};
use crate::trap::TrapKind;

/// The slot of the array in `flags` (`BPF_F_INDEX_MASK`); all ones is the CPU's own (`BPF_F_CURRENT_CPU`).
const INDEX: u64 = 0xffff_ffff;
/// Bytes of the packet in `flags` (`BPF_F_CTXLEN_MASK`).
const CTX_LEN: u64 = 0xf_ffff << 32;

/// `bpf_perf_event_output(ctx, map, flags, data, size)`: 0 or a negative error number. Programs with a packet may add
/// its first bytes; more than it has are -EFAULT.
pub(super) fn event_output(
    call: &mut Call<'_, '_, '_>,
    [ctx, map, flags, data, size]: Args,
) -> Result<u64, TrapKind> {
    if ctx != call.state.ctx_addr {
        return Err(TrapKind::NotTheContext(ctx));
    }
    let map = call.map(map)?;
    if map.kind() != MapType::PERF_EVENT_ARRAY {
        return Err(TrapKind::WrongMap { helper: "bpf_perf_event_output", map_type: map.kind() });
    }
    let packet = call.state.packet;
    let known = if packet.is_some() { INDEX | CTX_LEN } else { INDEX };
    if flags & !known != 0 {
        return Ok(errno(Errno::EINVAL));
    }
    let len = ((flags & CTX_LEN) >> 32) as usize;
    if len > packet.map_or(0, |p| p.len()) {
        return Ok(errno(Errno::EFAULT));
    }
    let vcpu = call.state.vcpu;
    let index = if flags & INDEX == INDEX { vcpu } else { flags as u32 };
    match call.mem.bytes_and_packet(data, size, packet.map_or(0, |p| p.data), len) {
        Some(parts) => Ok(status(map.perf_output(index, parts, vcpu))),
        None => Err(call.fault(data, size, false)),
    }
}
