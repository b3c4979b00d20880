//! Changing a packet's type, protocol and ends.

use skep_spec::Errno;

use super::super::{Args, Call, errno};
use super::{Field, IPV4, IPV6, Skb};
use crate::packet::SKB_MAX_LEN;
use crate::trap::TrapKind;

/// `PACKET_OTHERHOST`, the last type that a program may see or set.
const PACKET_OTHERHOST: u32 = 3;
/// Bytes by which an IPv6 header is longer than an IPv4 header without options.
const IPV6_LONGER: usize = 20;

/// `bpf_skb_change_type(skb, type)`: for us, broadcast, multicast, for others; -EINVAL for other types, or from them.
pub(in super::super) fn change_type(
    call: &mut Call<'_, '_, '_>,
    [skb, kind, ..]: Args,
) -> Result<u64, TrapKind> {
    let mut skb = Skb::of(call, skb)?;
    if skb.get(Field::PKT_TYPE) > PACKET_OTHERHOST || kind as u32 > PACKET_OTHERHOST {
        return Ok(errno(Errno::EINVAL));
    }
    skb.set(Field::PKT_TYPE, kind as u32);
    Ok(0)
}

/// `bpf_skb_change_proto(skb, proto, flags)`: makes the network header 20 bytes longer (IPv4 to IPv6) or shorter, at
/// its start; -ENOTSUPP for other changes. The header's contents are for the program to write.
pub(in super::super) fn change_proto(
    call: &mut Call<'_, '_, '_>,
    [skb, proto, flags, ..]: Args,
) -> Result<u64, TrapKind> {
    let mut skb = Skb::changing(call, skb)?;
    if flags != 0 {
        return Ok(errno(Errno::EINVAL));
    }
    let off = skb.mac_len();
    let to = u16::from_be(proto as u16);
    let done = match (skb.protocol(), to) {
        (IPV4, IPV6) => skb.open_headers(off, IPV6_LONGER),
        (IPV6, IPV4) => skb.close_headers(off, IPV6_LONGER),
        _ => Err(Errno::ENOTSUPP),
    };
    if done.is_ok() {
        skb.set_protocol(to);
        skb.clear_hash();
    }
    Ok(skb.done(done))
}

/// `bpf_skb_change_tail(skb, len, flags)`: the packet has `len` bytes, new ones are zero. -EINVAL where that is less
/// than the Ethernet (and a known transport) header's offset or more than [`SKB_MAX_LEN`].
pub(in super::super) fn change_tail(
    call: &mut Call<'_, '_, '_>,
    [skb, len, flags, ..]: Args,
) -> Result<u64, TrapKind> {
    let mut skb = Skb::changing(call, skb)?;
    let len = len as u32 as usize;
    let network = skb.at.network.saturating_sub(skb.at.data);
    let transport = skb.state().transport.map_or(0, |t| t.saturating_sub(skb.at.data));
    let least = if transport > 0 { transport } else { network };
    if flags != 0 || len > SKB_MAX_LEN || len < least {
        return Ok(errno(Errno::EINVAL));
    }
    if skb.state().encapsulated {
        return Ok(errno(Errno::ENOTSUPP));
    }
    let done = match len.checked_sub(skb.at.len()) {
        Some(more) => skb.grow(more),
        None => {
            skb.at.end = skb.at.data + len;
            Ok(())
        }
    };
    if done.is_ok() && skb.is_gso() {
        skb.set(Field::GSO_SIZE, 0);
        skb.set(Field::GSO_SEGS, 0);
    }
    Ok(skb.done(done))
}

/// `bpf_skb_change_head(skb, len, flags)`: puts `len` zeros before the packet, which are its Ethernet header from then
/// on. -EINVAL where the packet would have more than [`SKB_MAX_LEN`] bytes.
pub(in super::super) fn change_head(
    call: &mut Call<'_, '_, '_>,
    [skb, len, flags, ..]: Args,
) -> Result<u64, TrapKind> {
    let mut skb = Skb::changing(call, skb)?;
    let len = usize::try_from(len as i32).ok();
    let Some(len) = len.filter(|len| flags == 0 && (skb.is_gso() || skb.at.len() + len <= SKB_MAX_LEN))
    else {
        return Ok(errno(Errno::EINVAL));
    };
    let done = skb.push(len).map(|()| {
        skb.call.mem.zero_packet(skb.at.data, len);
        skb.at.mac = Some(skb.at.data);
    });
    Ok(skb.done(done))
}

impl Skb<'_, '_, '_, '_> {
    /// Opens room behind the first `off` bytes; headers before it move to the front (`bpf_skb_net_hdr_push`).
    pub(super) fn open_headers(&mut self, off: usize, len: usize) -> Result<(), Errno> {
        self.open(off, len)?;
        self.move_headers(|at| at.saturating_sub(len));
        Ok(())
    }

    /// The reverse (`bpf_skb_net_hdr_pop`).
    pub(super) fn close_headers(&mut self, off: usize, len: usize) -> Result<(), Errno> {
        self.close(off, len)?;
        self.move_headers(|at| at + len);
        Ok(())
    }

    /// Moves the Ethernet and the network header, and a transport header that is the same as that.
    fn move_headers(&mut self, to: impl Fn(usize) -> usize) {
        let network = self.at.network;
        self.at.mac = self.at.mac.map(&to);
        self.at.network = to(network);
        let moved = self.at.network;
        let state = self.state();
        state.transport = state.transport.map(|t| if t == network { moved } else { t });
    }
}
