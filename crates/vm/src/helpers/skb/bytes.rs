//! Copying bytes out of a packet and into it.

use skep_abi::ProgramType;
use skep_spec::Errno;

use super::super::{Args, Call, errno};
use super::Skb;
use crate::trap::TrapKind;

/// `BPF_F_RECOMPUTE_CSUM`: nothing to do, as no device has summed the packet up (see [`crate::SkbState`]).
const RECOMPUTE_CSUM: u64 = 1 << 0;
const INVALIDATE_HASH: u64 = 1 << 1;
/// The flags that [`store_bytes`] takes.
pub(in super::super) const STORE_FLAGS: u64 = RECOMPUTE_CSUM | INVALIDATE_HASH;

/// `bpf_skb_load_bytes(skb, offset, to, len)`: copies packet bytes; where they are not all inside the packet it
/// zeroes `to` and gives -EFAULT. Offsets count from where the program's packet starts, never before it.
pub(in super::super) fn load_bytes(
    call: &mut Call<'_, '_, '_>,
    [skb, offset, to, len, _]: Args,
) -> Result<u64, TrapKind> {
    let packet = call.packet(skb)?;
    let start = i32::try_from(offset as u32).ok().map(|off| packet.data + off as usize);
    // A flow dissector's packet is a socket buffer only on its way through the network stack, not in a test run.
    let start = start.filter(|_| call.program.prog_type() != ProgramType::FLOW_DISSECTOR);
    copy_out(call, start, to, len)
}

/// `bpf_skb_load_bytes_relative(skb, offset, to, len, start_header)`: the same from the Ethernet header
/// (`BPF_HDR_START_MAC`, 0) or the network header (`BPF_HDR_START_NET`, 1), at offsets up to 0xffff.
pub(in super::super) fn load_bytes_relative(
    call: &mut Call<'_, '_, '_>,
    [skb, offset, to, len, header]: Args,
) -> Result<u64, TrapKind> {
    let packet = call.packet(skb)?;
    let base = match header as u32 {
        0 => packet.mac,
        1 => Some(packet.network),
        _ => None,
    };
    let start = base.and_then(|b| u16::try_from(offset as u32).ok().map(|off| b + usize::from(off)));
    copy_out(call, start, to, len)
}

/// Copies `len` bytes at an offset of the packet buffer, up to the packet's end.
fn copy_out(call: &mut Call<'_, '_, '_>, start: Option<usize>, to: u64, len: u64) -> Result<u64, TrapKind> {
    // The kernel's parameter is 32 bits wide.
    let len = u64::from(len as u32);
    if len == 0 {
        return Err(TrapKind::Size(len));
    }
    let end = call.state.packet.map_or(0, |p| p.end);
    let inside = start.filter(|&at| at <= end && len <= (end - at) as u64);
    let done = match inside {
        Some(at) => call.mem.copy_packet(at, len as usize, to),
        None => call.mem.zero(to, len),
    };
    match (done, inside) {
        (None, _) => Err(call.fault(to, len, true)),
        (Some(()), Some(_)) => Ok(0),
        (Some(()), None) => Ok(errno(Errno::EFAULT)),
    }
}

/// `bpf_skb_store_bytes(skb, offset, from, len, flags)`: -EINVAL for unknown flags, -EFAULT where the bytes are not
/// all inside the packet.
pub(in super::super) fn store_bytes(
    call: &mut Call<'_, '_, '_>,
    [skb, offset, from, len, flags]: Args,
) -> Result<u64, TrapKind> {
    let mut skb = Skb::changing(call, skb)?;
    let (offset, len) = (offset as u32, u64::from(len as u32));
    if len == 0 {
        return Err(TrapKind::Size(len));
    }
    if flags & !STORE_FLAGS != 0 {
        return Ok(errno(Errno::EINVAL));
    }
    if u64::from(offset) + len > skb.at.len() as u64 {
        return Ok(errno(Errno::EFAULT));
    }
    let at = skb.at.data + offset as usize;
    if skb.call.mem.copy_to_packet(from, at, len as usize).is_none() {
        return Err(skb.call.fault(from, len, false));
    }
    if flags & INVALIDATE_HASH != 0 {
        skb.clear_hash();
    }
    Ok(skb.done(Ok(())))
}

/// `bpf_skb_pull_data(skb, len)`: all of a packet is accessible already; -ENOMEM when it is shorter.
pub(in super::super) fn pull_data(
    call: &mut Call<'_, '_, '_>,
    [skb, len, ..]: Args,
) -> Result<u64, TrapKind> {
    let skb = Skb::of(call, skb)?;
    let enough = len as u32 as usize <= skb.at.len();
    Ok(skb.done(if enough { Ok(()) } else { Err(Errno::ENOMEM) }))
}
