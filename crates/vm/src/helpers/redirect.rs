//! Helpers that say where a packet goes (net/core/filter.c, Linux 6.18). They record it: [`crate::Run::redirect`],
//! [`crate::Run::clones`].

use skep_abi::{MapType, ProgramType};
use skep_spec::{CloneRedirect, Errno, NextHop, Redirect, RedirectTo};

use super::skb::{Field, Skb};
use super::{Args, Call, errno};
use crate::trap::TrapKind;

const BPF_F_INGRESS: u64 = 1;
/// Verdicts that these helpers give to be returned.
const TC_ACT_SHOT: u64 = 2;
const TC_ACT_REDIRECT: u64 = 7;
const XDP_ABORTED: u64 = 0;
const XDP_REDIRECT: u64 = 4;
/// Bytes of `struct bpf_redir_neigh`.
const REDIR_NEIGH: usize = 20;

/// `BPF_F_BROADCAST`: to all interfaces of the map.
const BROADCAST: u64 = 8;
/// `BPF_F_EXCLUDE_INGRESS`: not to the one that the packet came in by.
const EXCLUDE_INGRESS: u64 = 16;
/// The flags that are a verdict, for when there is nothing in the map.
const VERDICT: u64 = 3;

fn record(call: &mut Call<'_, '_, '_>, ifindex: u64, to: RedirectTo) {
    call.state.redirect = Some(Redirect::new(ifindex as u32, to));
}

/// `bpf_redirect(ifindex, flags)`: gives the verdict that has the packet sent, or one that drops it where the flags
/// are not known. XDP takes none.
pub(super) fn redirect(call: &mut Call<'_, '_, '_>, [ifindex, flags, ..]: Args) -> Result<u64, TrapKind> {
    let xdp = call.program.prog_type() == ProgramType::XDP;
    let (to, redirected, dropped) = match (xdp, flags) {
        (true, 0) => (Some(RedirectTo::Egress), XDP_REDIRECT, XDP_ABORTED),
        (true, _) => (None, XDP_REDIRECT, XDP_ABORTED),
        (false, 0) => (Some(RedirectTo::Egress), TC_ACT_REDIRECT, TC_ACT_SHOT),
        (false, BPF_F_INGRESS) => (Some(RedirectTo::Ingress), TC_ACT_REDIRECT, TC_ACT_SHOT),
        (false, _) => (None, TC_ACT_REDIRECT, TC_ACT_SHOT),
    };
    Ok(match to {
        Some(to) => {
            record(call, ifindex, to);
            redirected
        }
        None => dropped,
    })
}

/// `bpf_redirect_map(map, index, flags)` of XDP: gives the verdict that has the packet sent where the map says, or, with
/// nothing there, the one in the lower bits of the flags; other flags have it dropped (`__bpf_xdp_redirect_map`).
pub(super) fn redirect_map(
    call: &mut Call<'_, '_, '_>,
    [map, index, flags, ..]: Args,
) -> Result<u64, TrapKind> {
    let found = call.map(map)?;
    if !found.holds_targets() {
        return Err(TrapKind::WrongMap { helper: "bpf_redirect_map", map_type: found.kind() });
    }
    let devices = found.kind() != MapType::CPUMAP;
    let known = if devices { VERDICT | BROADCAST | EXCLUDE_INGRESS } else { VERDICT };
    if flags & !known != 0 {
        return Ok(XDP_ABORTED);
    }
    let target = found.redirect_element(index as u32);
    call.state.redirect = match target {
        _ if flags & BROADCAST != 0 => {
            let map = call.program.map_index(map).map_or(u32::MAX, |i| i as u32);
            let exclude_ingress = flags & EXCLUDE_INGRESS != 0;
            Some(Redirect::new(0, RedirectTo::Broadcast { map, exclude_ingress }))
        }
        // The last of several lookups counts, also where it found nothing.
        None => None,
        Some((ifindex, program)) if devices => Some(Redirect { ifindex, to: RedirectTo::Egress, program }),
        Some((cpu, program)) => Some(Redirect { ifindex: 0, to: RedirectTo::Cpu(cpu), program }),
    };
    Ok(if call.state.redirect.is_some() { XDP_REDIRECT } else { flags & VERDICT })
}

/// `bpf_redirect_peer(ifindex, flags)`: the same into the peer of the interface; flags are 0.
pub(super) fn redirect_peer(
    call: &mut Call<'_, '_, '_>,
    [ifindex, flags, ..]: Args,
) -> Result<u64, TrapKind> {
    if flags != 0 {
        return Ok(TC_ACT_SHOT);
    }
    record(call, ifindex, RedirectTo::Peer);
    Ok(TC_ACT_REDIRECT)
}

/// `bpf_redirect_neigh(ifindex, params, plen, flags)`: the same to a neighbour, whose address the routing table or
/// `params` (a `struct bpf_redir_neigh`, of at least its size) gives; flags are 0.
pub(super) fn redirect_neigh(
    call: &mut Call<'_, '_, '_>,
    [ifindex, params, plen, flags, _]: Args,
) -> Result<u64, TrapKind> {
    let plen = plen as i32;
    if flags != 0 || plen != 0 && plen < REDIR_NEIGH as i32 {
        return Ok(TC_ACT_SHOT);
    }
    let mut to = RedirectTo::Neighbour;
    if plen != 0 {
        let mut raw = [0; REDIR_NEIGH];
        if call.mem.read(params, &mut raw).is_none() {
            return Err(call.fault(params, REDIR_NEIGH as u64, false));
        }
        let [a, b, c, d, ..] = raw;
        let addr = core::array::from_fn(|i| raw[4 + i]);
        to = RedirectTo::NextHop(NextHop { family: u32::from_ne_bytes([a, b, c, d]), addr });
    }
    record(call, ifindex, to);
    Ok(TC_ACT_REDIRECT)
}

/// `bpf_clone_redirect(skb, ifindex, flags)`: sends a copy of the packet now. -EINVAL for unknown flags and interfaces,
/// -EBADMSG for a packet to be cut into segments of no type, -ERANGE for one without an Ethernet header, -ENOMEM
/// after [`CLONES`](crate::CLONES) copies.
pub(super) fn clone_redirect(
    call: &mut Call<'_, '_, '_>,
    [skb, ifindex, flags, ..]: Args,
) -> Result<u64, TrapKind> {
    let skb = Skb::changing(call, skb)?;
    if flags & !BPF_F_INGRESS != 0 {
        return Ok(errno(Errno::EINVAL));
    }
    if skb.get(Field::GSO_SIZE) != 0 {
        return Ok(errno(Errno::EBADMSG));
    }
    let ifindex = ifindex as u32;
    if skb.call.state.host.interface(ifindex).is_none() {
        return Ok(errno(Errno::EINVAL));
    }
    if skb.at.is_empty() || skb.at.mac.is_none_or(|mac| mac >= skb.at.network) {
        return Ok(errno(Errno::ERANGE));
    }
    let clone = CloneRedirect { ifindex, ingress: flags == BPF_F_INGRESS, len: skb.at.len() as u32 };
    let state = &mut *skb.call.state;
    if !skb.call.mem.keep_clone(state.clone_count, clone) {
        return Ok(errno(Errno::ENOMEM));
    }
    state.clone_count += 1;
    Ok(0)
}
