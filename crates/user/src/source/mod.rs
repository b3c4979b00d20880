//! Where events come from: network interfaces, capture files, a private network namespace.
//!
//! Every source hands on [`Packet`]s that start at an Ethernet header, so a program sees the same bytes
//! whatever the source.

pub mod capture;
#[cfg(target_os = "linux")]
pub mod netns;
#[cfg(target_os = "linux")]
pub mod packet_socket;

/// EtherType of IPv4.
pub const ETH_P_IP: u16 = 0x0800;
/// EtherType of IPv6.
pub const ETH_P_IPV6: u16 = 0x86dd;

/// `sll_pkttype` of a packet (`linux/if_packet.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct PacketType(pub u8);

impl PacketType {
    /// To this host.
    pub const HOST: Self = Self(0);
    /// To everybody.
    pub const BROADCAST: Self = Self(1);
    /// To a group.
    pub const MULTICAST: Self = Self(2);
    /// To somebody else.
    pub const OTHER_HOST: Self = Self(3);
    /// Sent by this host.
    pub const OUTGOING: Self = Self(4);
}

/// An 802.1Q tag that the network device took out of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VlanTag {
    /// EtherType of the tag, `0x8100` or `0x88a8`.
    pub tpid: u16,
    /// Priority, drop eligibility and VLAN number.
    pub tci: u16,
}

/// One packet and what its source knows about it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Packet<'a> {
    /// The bytes, from the Ethernet header. Shorter than `wire_len` if the source cut them.
    pub data: &'a [u8],
    /// Bytes that the packet had on the wire, with its Ethernet header.
    pub wire_len: u32,
    /// Interface number in its namespace; for captures the interface's number in the file, from 1.
    pub ifindex: u32,
    /// EtherType, host byte order.
    pub protocol: u16,
    /// Direction and kind.
    pub pkt_type: PacketType,
    /// Tag that is not in `data`.
    pub vlan: Option<VlanTag>,
    /// Flow hash, 0 if unknown.
    pub hash: u32,
    /// When, in nanoseconds since 1970; 0 if unknown.
    pub time_ns: u64,
}

/// What a source has seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceStats {
    /// Packets handed on.
    pub packets: u64,
    /// Their bytes, as handed on.
    pub bytes: u64,
    /// Packets of which the source had only the beginning.
    pub truncated: u64,
    /// Packets lost before they could be handed on.
    pub dropped: u64,
}

/// The EtherType that a frame carries, as the kernel sets `skb->protocol` for a received frame
/// (`eth_type_trans`, net/ethernet/eth.c): a length field means 802.2 (`ETH_P_802_2`) or raw 802.3.
pub fn ethertype(frame: &[u8]) -> u16 {
    const ETH_P_802_3_MIN: u16 = 0x600;
    const ETH_P_802_3: u16 = 1;
    const ETH_P_802_2: u16 = 4;
    match frame.get(12..14) {
        Some(&[a, b]) => match u16::from_be_bytes([a, b]) {
            kind if kind >= ETH_P_802_3_MIN => kind,
            _ if frame.get(14..16) == Some(&[0xff, 0xff]) => ETH_P_802_3,
            _ => ETH_P_802_2,
        },
        _ => 0,
    }
}
