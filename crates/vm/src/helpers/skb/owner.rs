//! Whom a packet belongs to. Its socket is one of this process, as in the kernel's test runs; it has no route.

use super::super::{Args, Call, task};
use super::Skb;
use crate::trap::TrapKind;

/// `bpf_get_route_realm(skb)`: what has no route has realm 0.
pub(in super::super) fn get_route_realm(
    call: &mut Call<'_, '_, '_>,
    [skb, ..]: Args,
) -> Result<u64, TrapKind> {
    Skb::of(call, skb).map(|_| 0)
}

/// `bpf_skb_cgroup_id(skb)`: the control group of the packet's socket.
pub(in super::super) fn cgroup_id(call: &mut Call<'_, '_, '_>, args: Args) -> Result<u64, TrapKind> {
    Skb::of(call, args[0])?;
    task::cgroup_id(call, args)
}

/// `bpf_skb_ancestor_cgroup_id(skb, level)`: the group above that at a level; 0 where there is none.
pub(in super::super) fn ancestor_cgroup_id(
    call: &mut Call<'_, '_, '_>,
    [skb, level, ..]: Args,
) -> Result<u64, TrapKind> {
    Skb::of(call, skb)?;
    task::ancestor_cgroup_id(call, [level, 0, 0, 0, 0])
}

/// `bpf_skb_cgroup_classid(skb)`: sockets here have no class.
pub(in super::super) fn cgroup_classid(
    call: &mut Call<'_, '_, '_>,
    [skb, ..]: Args,
) -> Result<u64, TrapKind> {
    Skb::of(call, skb).map(|_| 0)
}
