//! Helpers that move the ends of an XDP packet and reach all of it (net/core/filter.c). The buffer, or the part of it
//! before the packet's pages, ends where the tailroom does.

use skep_spec::Errno;

use super::{Args, Call, errno};
use crate::packet::{ETH_HLEN, Frags, Layout, XDP_FRAME};
use crate::trap::TrapKind;

/// The longest metadata: its length is a byte in the kernel.
const META_MAX: usize = 255;

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

/// `bpf_xdp_adjust_meta(xdp, delta)`: moves the start of the metadata. -EINVAL when it would lie behind the packet's
/// start or the headroom does not suffice, -EACCES when its length is no multiple of 4 or above 255.
pub(super) fn adjust_meta(call: &mut Call<'_, '_, '_>, [xdp, delta, ..]: Args) -> Result<u64, TrapKind> {
    let packet = changeable(call, xdp)?;
    let meta = packet.meta.checked_add_signed(delta as i32 as isize);
    let Some(meta) = meta.filter(|m| (XDP_FRAME..=packet.data).contains(m)) else {
        return Ok(errno(Errno::EINVAL));
    };
    let len = packet.data - meta;
    if len % 4 != 0 || len > META_MAX {
        return Ok(errno(Errno::EACCES));
    }
    adjusted(call, Layout { meta, ..packet })
}

/// `bpf_xdp_adjust_tail(xdp, delta)`: moves the end by `delta` bytes; new ones are zero. -EINVAL when the
/// tailroom does not suffice or less than an Ethernet header would remain. A packet with pages grows in the last of
/// them only, and shrinks from there.
pub(super) fn adjust_tail(call: &mut Call<'_, '_, '_>, [xdp, delta, ..]: Args) -> Result<u64, TrapKind> {
    let packet = changeable(call, xdp)?;
    let delta = delta as i32 as isize;
    let Frags { start, len } = packet.frags;
    if len == 0 {
        let limit = if start == 0 { call.mem.packet_buffer_len() } else { start };
        let end = packet.end.checked_add_signed(delta);
        let Some(end) = end.filter(|&e| e <= limit && e >= packet.data + ETH_HLEN) else {
            return Ok(errno(Errno::EINVAL));
        };
        if end > packet.end {
            call.mem.zero_packet(packet.end, end - packet.end);
        }
        return adjusted(call, Layout { end, ..packet });
    }
    let by = delta.unsigned_abs();
    if delta >= 0 {
        if by > packet.frags.room() {
            return Ok(errno(Errno::EINVAL));
        }
        call.mem.zero_packet(start + len, by);
        return adjusted(call, Layout { frags: Frags { start, len: len + by }, ..packet });
    }
    if by + ETH_HLEN > packet.len() + len {
        return Ok(errno(Errno::EINVAL));
    }
    let from_pages = by.min(len);
    let end = packet.end - (by - from_pages);
    adjusted(call, Layout { end, frags: Frags { start, len: len - from_pages }, ..packet })
}

/// `bpf_xdp_get_buff_len(xdp)`: bytes of the packet, with its pages.
pub(super) fn get_buff_len(call: &mut Call<'_, '_, '_>, [xdp, ..]: Args) -> Result<u64, TrapKind> {
    let packet = call.packet(xdp)?;
    Ok((packet.len() + packet.frags.len) as u64)
}

/// `bpf_xdp_load_bytes(xdp, offset, to, len)`: copies packet bytes, from its pages as well. -EFAULT for an offset or
/// a length above 65535, -EINVAL where the bytes are not all inside the packet; nothing is copied then.
pub(crate) fn load_bytes(
    call: &mut Call<'_, '_, '_>,
    [xdp, offset, to, len, _]: Args,
) -> Result<u64, TrapKind> {
    let packet = call.packet(xdp)?;
    let parts = match parts(&packet, offset, len)? {
        Ok(parts) => parts,
        Err(e) => return Ok(errno(e)),
    };
    let mut at = to;
    for (off, n) in parts {
        call.mem.copy_packet(off, n, at).ok_or_else(|| call.fault(to, len, true))?;
        at = at.wrapping_add(n as u64);
    }
    Ok(0)
}

/// `bpf_xdp_store_bytes(xdp, offset, from, len)`: the other direction; errors as [`load_bytes`].
pub(super) fn store_bytes(
    call: &mut Call<'_, '_, '_>,
    [xdp, offset, from, len, _]: Args,
) -> Result<u64, TrapKind> {
    let packet = changeable(call, xdp)?;
    let parts = match parts(&packet, offset, len)? {
        Ok(parts) => parts,
        Err(e) => return Ok(errno(e)),
    };
    let mut at = from;
    for (off, n) in parts {
        call.mem.copy_to_packet(at, off, n).ok_or_else(|| call.fault(from, len, false))?;
        at = at.wrapping_add(n as u64);
    }
    Ok(0)
}

/// Where `len` bytes of the packet from `offset` on lie in the packet buffer: in the linear part, and in the pages.
pub(crate) fn parts(
    packet: &Layout,
    offset: u64,
    len: u64,
) -> Result<Result<[(usize, usize); 2], Errno>, TrapKind> {
    // The kernel's parameters are 32 bits wide.
    let (offset, len) = (offset as u32 as usize, len as u32 as usize);
    if len == 0 {
        return Err(TrapKind::Size(0));
    }
    if offset > 0xffff || len > 0xffff {
        return Ok(Err(Errno::EFAULT));
    }
    if offset + len > packet.len() + packet.frags.len {
        return Ok(Err(Errno::EINVAL));
    }
    let linear = packet.len().saturating_sub(offset).min(len);
    let in_pages = offset.saturating_sub(packet.len());
    // A part of no bytes may lie anywhere.
    let first = if linear == 0 { (0, 0) } else { (packet.data + offset, linear) };
    let second = if linear == len { (0, 0) } else { (packet.frags.start + in_pages, len - linear) };
    Ok(Ok([first, second]))
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
