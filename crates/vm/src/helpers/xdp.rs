//! Helpers that move the ends of an XDP packet (net/core/filter.c). The buffer ends where the tailroom does.

use skep_spec::Errno;

use super::{Args, Call, errno};
use crate::packet::{ETH_HLEN, Layout, XDP_FRAME};
use crate::trap::TrapKind;

/// `bpf_xdp_adjust_head(xdp, delta)`: moves the start by `delta` bytes, and the metadata with it. -EINVAL when
/// the headroom does not suffice or less than an Ethernet header would remain.
pub(super) fn adjust_head(call: &mut Call<'_, '_, '_>, [xdp, delta, ..]: Args) -> Result<u64, TrapKind> {
    let packet = changeable(call, xdp)?;
    let delta = delta as i32 as isize;
    let meta_len = packet.data - packet.meta;
    let room = XDP_FRAME + meta_len;
    let data = packet.data.checked_add_signed(delta).filter(|&d| d >= room && d + ETH_HLEN <= packet.end);
    let Some(data) = data else { return Ok(errno(Errno::EINVAL)) };
    let meta = data - meta_len;
    call.mem.move_packet(packet.meta, meta, meta_len);
    adjusted(call, Layout { meta, data, ..packet })
}

/// `bpf_xdp_adjust_tail(xdp, delta)`: moves the end by `delta` bytes; new ones are zero. -EINVAL when the
/// tailroom does not suffice or less than an Ethernet header would remain.
pub(super) fn adjust_tail(call: &mut Call<'_, '_, '_>, [xdp, delta, ..]: Args) -> Result<u64, TrapKind> {
    let packet = changeable(call, xdp)?;
    let delta = delta as i32 as isize;
    let limit = call.mem.packet_buffer_len();
    let end = packet.end.checked_add_signed(delta).filter(|&e| e <= limit && e >= packet.data + ETH_HLEN);
    let Some(end) = end else { return Ok(errno(Errno::EINVAL)) };
    if end > packet.end {
        call.mem.zero_packet(packet.end, end - packet.end);
    }
    adjusted(call, Layout { end, ..packet })
}

fn changeable(call: &Call<'_, '_, '_>, xdp: u64) -> Result<Layout, TrapKind> {
    let packet = call.packet(xdp)?;
    if call.mem.packet_writable() { Ok(packet) } else { Err(TrapKind::NoPacket) }
}

fn adjusted(call: &mut Call<'_, '_, '_>, packet: Layout) -> Result<u64, TrapKind> {
    call.state.packet = Some(packet);
    call.mem.set_packet(packet.meta, packet.end);
    Ok(0)
}
