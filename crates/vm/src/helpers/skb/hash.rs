//! The hash of a packet's flow.

use super::super::{Args, Call};
use super::{Field, IPV4, IPV6, Skb};
use crate::trap::TrapKind;

/// `bpf_get_hash_recalc(skb)`: the hash that the packet has, else one of its flow: the same for both directions
/// and for all packets of a flow, never 0. The kernel keys it at boot; here it is the same everywhere.
pub(in super::super) fn get_hash_recalc(
    call: &mut Call<'_, '_, '_>,
    [skb, ..]: Args,
) -> Result<u64, TrapKind> {
    let mut skb = Skb::of(call, skb)?;
    let known = skb.get(Field::HASH);
    if known != 0 || skb.state().hash_set {
        return Ok(known.into());
    }
    let hash = skb.flow().hash();
    skb.set(Field::HASH, hash);
    Ok(hash.into())
}

/// `bpf_set_hash(skb, hash)`.
pub(in super::super) fn set_hash(
    call: &mut Call<'_, '_, '_>,
    [skb, hash, ..]: Args,
) -> Result<u64, TrapKind> {
    let mut skb = Skb::of(call, skb)?;
    skb.set(Field::HASH, hash as u32);
    skb.state().hash_set = true;
    Ok(0)
}

/// `bpf_set_hash_invalid(skb)`: the hash is not known.
pub(in super::super) fn set_hash_invalid(
    call: &mut Call<'_, '_, '_>,
    [skb, ..]: Args,
) -> Result<u64, TrapKind> {
    Skb::of(call, skb)?.clear_hash();
    Ok(0)
}

/// What makes a flow: the ends as address and port, unordered, and the transport protocol.
#[derive(Default)]
struct Flow {
    ends: [([u8; 16], u16); 2],
    protocol: u8,
}

impl Flow {
    /// FNV-1a over the ends in ascending order, its halves mixed.
    fn hash(mut self) -> u32 {
        self.ends.sort_unstable();
        let ends = self.ends.iter().flat_map(|(addr, port)| addr.iter().copied().chain(port.to_be_bytes()));
        let mix = |h: u64, b: u8| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3);
        let hash = ends.chain([self.protocol]).fold(0xcbf2_9ce4_8422_2325, mix);
        ((hash >> 32) as u32 ^ hash as u32).max(1)
    }
}

/// Protocols with ports at the start of their header: TCP, UDP, DCCP, SCTP, UDP-Lite.
const WITH_PORTS: [u8; 5] = [6, 17, 33, 132, 136];

impl Skb<'_, '_, '_, '_> {
    /// `skb_clear_hash`
    pub(super) fn clear_hash(&mut self) {
        self.set(Field::HASH, 0);
        self.state().hash_set = false;
    }

    /// The flow as the network header shows it; the empty one for packets that are not IP.
    fn flow(&self) -> Flow {
        let at = self.at.network.saturating_sub(self.at.data);
        self.ip_flow(at).unwrap_or_default()
    }

    fn ip_flow(&self, at: usize) -> Option<Flow> {
        let mut flow = Flow::default();
        let (transport, fragment) = match self.protocol() {
            IPV4 => {
                let header: [u8; 20] = self.bytes(at)?;
                flow.protocol = header[9];
                flow.ends[0].0[..4].copy_from_slice(&header[12..16]);
                flow.ends[1].0[..4].copy_from_slice(&header[16..20]);
                let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3fff != 0;
                (at + usize::from(header[0] & 0xf) * 4, fragment)
            }
            IPV6 => {
                let header: [u8; 40] = self.bytes(at)?;
                flow.protocol = header[6];
                flow.ends[0].0.copy_from_slice(&header[8..24]);
                flow.ends[1].0.copy_from_slice(&header[24..40]);
                (at + 40, false)
            }
            _ => return None,
        };
        if WITH_PORTS.contains(&flow.protocol)
            && !fragment
            && let Some([a, b, c, d]) = self.bytes(transport)
        {
            flow.ends[0].1 = u16::from_be_bytes([a, b]);
            flow.ends[1].1 = u16::from_be_bytes([c, d]);
        }
        Some(flow)
    }
}
