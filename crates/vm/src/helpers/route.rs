//! Helpers that ask about routes and interfaces (net/core/filter.c, Linux 6.18). The answers are the host's.

use skep_isa::Size;
use skep_spec::Errno;

use super::skb::{Field, Skb};
use super::{Args, Call, errno};
use crate::host::{FibLookup, Interface};
use crate::trap::TrapKind;

/// `BPF_FIB_LOOKUP_MASK`: `DIRECT`, `OUTPUT`, `SKIP_NEIGH`, `TBID`, `SRC`, `MARK`.
const FIB_FLAGS: u32 = 0x3f;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
/// Bytes of a VLAN tag, which an interface forwards beyond its length.
const VLAN_HLEN: u64 = 4;

/// `BPF_MTU_CHK_SEGS`: compare the segments that a packet will be cut into.
const CHK_SEGS: u64 = 1;
/// `BPF_MTU_CHK_RET_FRAG_NEEDED` and `BPF_MTU_CHK_RET_SEGS_TOOBIG`.
const FRAG_NEEDED: u64 = 1;
const SEGS_TOOBIG: u64 = 2;
/// Bytes of the length that the program gives and gets.
const MTU_LEN: u64 = 4;
/// Offset in `struct xdp_md`.
const INGRESS_IFINDEX: u64 = 12;

/// What both helpers need of the packet, which may be an XDP program's.
struct Packet {
    len: u64,
    ifindex: u32,
    /// It is a socket buffer.
    skb: bool,
    /// The length of a segment from its network header, if it is to be cut into such.
    segment: Option<u64>,
}

fn packet(call: &mut Call<'_, '_, '_>, ctx: u64) -> Result<Packet, TrapKind> {
    let layout = call.packet(ctx)?;
    let len = layout.len() as u64;
    if call.program.ctx.is_xdp_md() {
        let ifindex = call.mem.ctx_load(INGRESS_IFINDEX, Size::W) as u32;
        return Ok(Packet { len, ifindex, skb: false, segment: None });
    }
    let mut skb = Skb::of(call, ctx)?;
    let transport = skb.state().transport.map_or(0, |t| t.saturating_sub(layout.network));
    let segment = skb.is_gso().then(|| transport as u64 + u64::from(skb.get(Field::GSO_SIZE)));
    Ok(Packet { len, ifindex: skb.get(Field::IFINDEX), skb: true, segment })
}

/// `bpf_fib_lookup(ctx, params, plen, flags)`: asks the host for a route. -EINVAL for a structure that is too short and
/// for unknown flags, -EAFNOSUPPORT for other families than IPv4 and IPv6, -ENODEV for an unknown interface.
pub(super) fn fib_lookup(
    call: &mut Call<'_, '_, '_>,
    [ctx, params, plen, flags, _]: Args,
) -> Result<u64, TrapKind> {
    let packet = packet(call, ctx)?;
    let (plen, flags) = (plen as i32, flags as u32);
    if plen < FibLookup::BYTES as i32 || flags & !FIB_FLAGS != 0 {
        return Ok(errno(Errno::EINVAL));
    }
    let mut query = FibLookup([0; FibLookup::BYTES]);
    if call.mem.read(params, &mut query.0).is_none() {
        return Err(call.fault(params, FibLookup::BYTES as u64, false));
    }
    if !matches!(query.family(), AF_INET | AF_INET6) {
        return Ok(errno(Errno::EAFNOSUPPORT));
    }
    if call.state.host.interface(query.ifindex()).is_none() {
        return Ok(errno(Errno::ENODEV));
    }
    let given = query.tot_len() != 0;
    let mut result = call.state.host.fib_lookup(&mut query, flags);
    if result == FibLookup::SUCCESS && packet.skb && !given {
        // Without a length it is the packet's that must fit.
        let out = call.state.host.interface(query.ifindex());
        let fits = |i: Interface| {
            packet.segment.is_some() || packet.len <= u64::from(i.mtu) + u64::from(i.header) + VLAN_HLEN
        };
        if !out.is_some_and(fits) {
            result = FibLookup::FRAG_NEEDED;
        }
        query.set_mtu_result(out.map_or(0, |i| i.mtu as u16));
    }
    if call.mem.write(params, &query.0).is_none() {
        return Err(call.fault(params, FibLookup::BYTES as u64, true));
    }
    Ok(i64::from(result) as u64)
}

/// `bpf_check_mtu(ctx, ifindex, mtu_len, len_diff, flags)`: whether the packet, or one of `*mtu_len` bytes from the
/// network header on if that is not 0, fits through an interface after growing by `len_diff`: 0 if so, 1 if not, 2
/// if the segments do not that the flags ask about; `*mtu_len` becomes the interface's limit. Interface 0 is the
/// packet's.
pub(super) fn check_mtu(
    call: &mut Call<'_, '_, '_>,
    [ctx, ifindex, mtu_len, len_diff, flags]: Args,
) -> Result<u64, TrapKind> {
    let packet = packet(call, ctx)?;
    let (ifindex, len_diff) = (ifindex as u32, len_diff as i32);
    let Some(given) = call.mem.load::<u32>(mtu_len) else {
        return Err(call.fault(mtu_len, MTU_LEN, false));
    };
    let given = given as u32;
    let segments = flags == CHK_SEGS && packet.skb && len_diff == 0 && given == 0;
    if flags != 0 && !segments {
        return Ok(errno(Errno::EINVAL));
    }
    let ifindex = if ifindex == 0 { packet.ifindex } else { ifindex };
    let Some(Interface { mtu, header }) = call.state.host.interface(ifindex) else {
        return Ok(errno(Errno::ENODEV));
    };
    // The kernel's lengths are 32 bits wide and signed.
    let own = packet.len as u32;
    let len =
        (if given == 0 { own } else { given.wrapping_add(header) }).wrapping_add_signed(len_diff) as i32;
    let result = match packet.segment {
        _ if len <= mtu.wrapping_add(header) as i32 => 0,
        None => FRAG_NEEDED,
        Some(segment) if segments && segment > mtu.into() => SEGS_TOOBIG,
        Some(_) => 0,
    };
    if call.mem.store::<u32>(mtu_len, mtu.into()).is_none() {
        return Err(call.fault(mtu_len, MTU_LEN, true));
    }
    Ok(result)
}
