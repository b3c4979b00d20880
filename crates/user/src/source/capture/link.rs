//! Link types: what stands in front of the network layer, and how it becomes an Ethernet header.
//!
//! | link type | number | what is done |
//! |---|---|---|
//! | Ethernet | 1 | taken as it is |
//! | raw IP | 101, 12, 14, 228 (IPv4), 229 (IPv6) | an Ethernet header with zero addresses is put in front |
//! | Linux cooked v1 | 113 | its 16 bytes become an Ethernet header: sender's address, EtherType, direction |
//! | Linux cooked v2 | 276 | its 20 bytes likewise |
//! | BSD loopback | 0, 108 | its 4 bytes become an Ethernet header with zero addresses |
//!
//! Numbers from <https://www.tcpdump.org/linktypes.html>.

use std::fmt;

use crate::source::{PacketType, ethertype};

const ETHERNET_HEADER: usize = 14;
const ETH_P_IP: u16 = 0x0800;
const ETH_P_IPV6: u16 = 0x86dd;

/// A link type that captures may have.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkType(pub u32);

impl LinkType {
    /// BSD loopback, address family in the byte order of the capturing machine.
    pub const NULL: Self = Self(0);
    /// Ethernet.
    pub const ETHERNET: Self = Self(1);
    /// Raw IP.
    pub const RAW: Self = Self(101);
    /// BSD loopback, address family in network byte order.
    pub const LOOP: Self = Self(108);
    /// Linux cooked, version 1.
    pub const LINUX_SLL: Self = Self(113);
    /// Raw IPv4.
    pub const IPV4: Self = Self(228);
    /// Raw IPv6.
    pub const IPV6: Self = Self(229);
    /// Linux cooked, version 2.
    pub const LINUX_SLL2: Self = Self(276);

    fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 | 108 => "BSD loopback",
            1 => "Ethernet",
            9 => "PPP",
            12 | 14 | 101 => "raw IP",
            105 => "IEEE 802.11",
            113 => "Linux cooked v1",
            127 => "IEEE 802.11 with radiotap",
            147..=162 => "user-defined",
            189 | 220 => "USB",
            195 | 230 => "IEEE 802.15.4",
            201 => "Bluetooth",
            227 => "CAN",
            228 => "raw IPv4",
            229 => "raw IPv6",
            239 => "netfilter log",
            253 => "netlink",
            276 => "Linux cooked v2",
            _ => return None,
        })
    }

    /// Whether its packets can be given an Ethernet header.
    pub fn is_supported(self) -> bool {
        matches!(self.0, 0 | 1 | 12 | 14 | 101 | 108 | 113 | 228 | 229 | 276)
    }

    /// Writes the packet with an Ethernet header into `out`; `None` when the packet is too short for its own
    /// link header or the link type is not supported.
    pub(super) fn to_ethernet(self, packet: &[u8], out: &mut Vec<u8>) -> Option<Framed> {
        out.clear();
        let (header, kind, source, pkt_type) = match self.0 {
            1 => {
                out.extend_from_slice(packet);
                return Some(Framed {
                    header: ETHERNET_HEADER,
                    protocol: ethertype(packet),
                    pkt_type: ethernet_type(packet),
                });
            }
            12 | 14 | 101 | 228 | 229 => (0, ip_version(packet)?, None, PacketType::HOST),
            0 | 108 => (4, family(self, packet)?, None, PacketType::HOST),
            113 => {
                let h: &[u8; 16] = packet.first_chunk()?;
                let kind = u16::from_be_bytes([h[14], h[15]]);
                (16, kind, Some(&h[6..12]), cooked_type(u16::from_be_bytes([h[0], h[1]])))
            }
            276 => {
                let h: &[u8; 20] = packet.first_chunk()?;
                let kind = u16::from_be_bytes([h[0], h[1]]);
                (20, kind, Some(&h[12..18]), cooked_type(u16::from(h[10])))
            }
            _ => return None,
        };
        out.extend_from_slice(&[0; 6]);
        out.extend_from_slice(source.unwrap_or(&[0; 6]));
        out.extend_from_slice(&kind.to_be_bytes());
        out.extend_from_slice(&packet[header..]);
        Some(Framed { header, protocol: kind, pkt_type })
    }
}

/// What the link header told.
pub(super) struct Framed {
    /// Bytes of the original link header.
    pub(super) header: usize,
    pub(super) protocol: u16,
    pub(super) pkt_type: PacketType,
}

impl Framed {
    /// The length on the wire once the link header is an Ethernet one.
    pub(super) fn wire_len(&self, original: u32) -> u32 {
        original.saturating_sub(self.header as u32).saturating_add(ETHERNET_HEADER as u32)
    }
}

/// A group address has the lowest bit of its first byte set; all ones is everybody.
fn ethernet_type(frame: &[u8]) -> PacketType {
    match frame.first_chunk::<6>() {
        Some([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]) => PacketType::BROADCAST,
        Some([first, ..]) if first & 1 != 0 => PacketType::MULTICAST,
        _ => PacketType::HOST,
    }
}

fn cooked_type(value: u16) -> PacketType {
    u8::try_from(value).map_or(PacketType::HOST, PacketType)
}

fn ip_version(packet: &[u8]) -> Option<u16> {
    Some(if packet.first()? >> 4 == 6 { ETH_P_IPV6 } else { ETH_P_IP })
}

/// `AF_INET` is 2 everywhere; `AF_INET6` is 24, 28 or 30 on the BSDs and 10 on Linux.
fn family(link: LinkType, packet: &[u8]) -> Option<u16> {
    let bytes: &[u8; 4] = packet.first_chunk()?;
    let family = match (link, u32::from_be_bytes(*bytes), u32::from_le_bytes(*bytes)) {
        (LinkType::LOOP, be, _) => be,
        (_, be, le) => be.min(le),
    };
    match family {
        2 => Some(ETH_P_IP),
        10 | 24 | 28 | 30 => Some(ETH_P_IPV6),
        _ => Some(0),
    }
}

impl fmt::Display for LinkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{} ({name})", self.0),
            None => write!(f, "{}", self.0),
        }
    }
}

impl fmt::Debug for LinkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(link: LinkType, packet: &[u8]) -> Option<(Vec<u8>, Framed)> {
        let mut out = Vec::new();
        let framed = link.to_ethernet(packet, &mut out)?;
        Some((out, framed))
    }

    #[test]
    fn every_supported_type_ends_at_the_same_network_layer() {
        let ip = [0x45, 0, 0, 20];
        let mut sll = vec![0, 4, 3, 4, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 8, 0];
        let mut sll2 = vec![8, 0, 0, 0, 0, 0, 0, 1, 3, 4, 4, 6, 1, 2, 3, 4, 5, 6, 0, 0];
        let mut null = vec![2, 0, 0, 0];
        let mut looped = vec![0, 0, 0, 2];
        for header in [&mut sll, &mut sll2, &mut null, &mut looped] {
            header.extend_from_slice(&ip);
        }
        for (link, packet) in [
            (LinkType::RAW, &ip[..]),
            (LinkType::IPV4, &ip[..]),
            (LinkType::LINUX_SLL, &sll),
            (LinkType::LINUX_SLL2, &sll2),
            (LinkType::NULL, &null),
            (LinkType::LOOP, &looped),
        ] {
            let (frame, info) = framed(link, packet).expect("a whole packet");
            assert!(link.is_supported());
            assert_eq!((&frame[12..14], &frame[14..]), (&[8, 0][..], &ip[..]), "{link}");
            assert_eq!(info.protocol, ETH_P_IP);
            assert_eq!(info.wire_len(packet.len() as u32), frame.len() as u32);
        }
        let (frame, info) = framed(LinkType::LINUX_SLL, &sll).expect("a whole packet");
        assert_eq!((&frame[6..12], info.pkt_type), (&[1, 2, 3, 4, 5, 6][..], PacketType::OUTGOING));
    }

    #[test]
    fn short_packets_and_unknown_types_are_refused() {
        for link in (0..300).map(LinkType) {
            for len in 0..24 {
                let known = framed(link, &vec![0xff; len]).is_some();
                assert!(!known || link.is_supported());
            }
        }
        assert!(framed(LinkType::LINUX_SLL, &[0; 15]).is_none());
        assert!(framed(LinkType::LINUX_SLL2, &[0; 19]).is_none());
        assert!(framed(LinkType::RAW, &[]).is_none());
    }
}
