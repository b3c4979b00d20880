//! `struct __sk_buff` as programs see it.

use std::ops::Range;

use skep_spec::Errno;
use skep_vm::ETH_HLEN;

use super::{LOOPBACK, Refused, fitted, word};
use crate::source::{ETH_P_IP, ETH_P_IPV6, Packet, PacketType, VlanTag};

/// Bytes of `struct __sk_buff`.
const SK_BUFF: usize = 192;
/// `GSO_MAX_SEGS`
const GSO_MAX_SEGS: u32 = 65535;
/// `GSO_LEGACY_MAX_SIZE`
const GSO_LEGACY_MAX_SIZE: u32 = 65536;

/// Offsets in `struct __sk_buff`.
mod field {
    pub(super) const LEN: usize = 0;
    pub(super) const PKT_TYPE: usize = 4;
    pub(super) const MARK: usize = 8;
    pub(super) const PROTOCOL: usize = 16;
    pub(super) const VLAN_PRESENT: usize = 20;
    pub(super) const VLAN_TCI: usize = 24;
    pub(super) const VLAN_PROTO: usize = 28;
    pub(super) const PRIORITY: usize = 32;
    pub(super) const INGRESS_IFINDEX: usize = 36;
    pub(super) const IFINDEX: usize = 40;
    pub(super) const CB: usize = 48;
    pub(super) const CB_END: usize = 68;
    pub(super) const HASH: usize = 68;
    pub(super) const FAMILY: usize = 88;
    pub(super) const REMOTE_IP4: usize = 92;
    pub(super) const LOCAL_IP4: usize = 96;
    pub(super) const REMOTE_IP6: usize = 100;
    pub(super) const LOCAL_IP6: usize = 116;
    pub(super) const TSTAMP: usize = 152;
    pub(super) const WIRE_LEN: usize = 160;
    pub(super) const GSO_SEGS: usize = 164;
    pub(super) const GSO_SIZE: usize = 176;
    pub(super) const HWTSTAMP: usize = 184;
}

/// The fields that a test run takes and gives back.
const TAKEN: [Range<usize>; 6] = [
    field::MARK..field::MARK + 4,
    field::PRIORITY..field::IFINDEX + 4,
    field::CB..field::CB_END,
    field::TSTAMP..field::GSO_SEGS + 4,
    field::GSO_SIZE..field::GSO_SIZE + 4,
    field::HWTSTAMP..field::HWTSTAMP + 8,
];

#[derive(Clone, Copy)]
#[repr(align(8))]
struct Image([u8; SK_BUFF]);

/// A `struct __sk_buff`.
pub(crate) struct SkBuff(Image);

impl SkBuff {
    pub(crate) fn new() -> Self {
        Self(Image([0; SK_BUFF]))
    }

    pub(crate) fn image_mut(&mut self) -> &mut [u8] {
        &mut self.0.0
    }

    fn set(&mut self, off: usize, v: u32) {
        self.0.0[off..off + 4].copy_from_slice(&v.to_ne_bytes());
    }

    fn get(&self, off: usize) -> u32 {
        word(&self.0.0, off)
    }

    /// The tag that stands beside the packet.
    pub(crate) fn vlan(&self) -> Option<VlanTag> {
        let [tci, proto] = [field::VLAN_TCI, field::VLAN_PROTO].map(|off| self.get(off) as u16);
        (self.get(field::VLAN_PRESENT) != 0).then(|| VlanTag { tpid: u16::from_be(proto), tci })
    }

    /// The buffer of a packet on a raw socket: with its Ethernet header.
    pub(crate) fn set_packet(&mut self, packet: &Packet<'_>) {
        let outgoing = packet.pkt_type == PacketType::OUTGOING;
        let vlan = packet.vlan;
        self.set(field::LEN, packet.wire_len.max(packet.data.len() as u32));
        self.set(field::PKT_TYPE, packet.pkt_type.0.into());
        self.set(field::PROTOCOL, packet.protocol.to_be().into());
        self.set(field::VLAN_PRESENT, vlan.is_some().into());
        self.set(field::VLAN_TCI, vlan.map_or(0, |v| v.tci.into()));
        self.set(field::VLAN_PROTO, vlan.map_or(0, |v| v.tpid.to_be().into()));
        self.set(field::IFINDEX, packet.ifindex);
        // What the host sends has not come in anywhere.
        self.set(field::INGRESS_IFINDEX, if outgoing { 0 } else { packet.ifindex });
        self.set(field::HASH, packet.hash);
        self.0.0[field::CB..field::CB_END].fill(0);
    }

    /// The buffer of a packet that a program of traffic control or of a control group sees the last `len` bytes of.
    /// There is no socket.
    pub(crate) fn in_stack(packet: &Packet<'_>, len: usize) -> Self {
        let mut skb = Self::new();
        skb.set_packet(packet);
        skb.set(field::LEN, len as u32);
        skb.set(field::WIRE_LEN, packet.wire_len.max(packet.data.len() as u32));
        skb
    }

    /// The socket of a test run: its addresses are those of the packet, source as local.
    fn set_socket(&mut self, frame: &[u8], protocol: u16) {
        let mut address = |off: usize, from: usize, len: usize| {
            if let Some(bytes) = frame.get(ETH_HLEN + from..ETH_HLEN + from + len) {
                self.0.0[off..off + len].copy_from_slice(bytes);
            }
        };
        match protocol {
            ETH_P_IP => {
                address(field::LOCAL_IP4, 12, 4);
                address(field::REMOTE_IP4, 16, 4);
                self.set(field::FAMILY, 2);
            }
            ETH_P_IPV6 => {
                address(field::LOCAL_IP6, 8, 16);
                address(field::REMOTE_IP6, 24, 16);
                self.set(field::FAMILY, 10);
            }
            _ => {}
        }
    }

    /// The buffer of a test run on a frame of which the program sees the last `len` bytes
    /// (`convert___skb_to_skb`): nothing of `user` may be set but what the kernel takes.
    pub(crate) fn for_test(frame: &[u8], len: usize, protocol: u16, user: &[u8]) -> Result<Self, Refused> {
        let mut skb = Self(Image(fitted(user)?));
        let set_elsewhere = |(i, b): (usize, &u8)| *b != 0 && !TAKEN.iter().any(|t| t.contains(&i));
        if skb.0.0.iter().enumerate().any(set_elsewhere) {
            return Err((
                Errno::EINVAL,
                "the context sets a field of __sk_buff that a test run does not take",
            ));
        }
        let len = len as u32;
        let wire_len = skb.get(field::WIRE_LEN);
        if wire_len != 0 && !(len..=GSO_LEGACY_MAX_SIZE).contains(&wire_len) {
            return Err((Errno::EINVAL, "wire_len is neither 0 nor from the packet's length to 65536"));
        }
        if skb.get(field::GSO_SEGS) > GSO_MAX_SEGS {
            return Err((Errno::EINVAL, "gso_segs is above 65535"));
        }
        if skb.get(field::IFINDEX) > LOOPBACK {
            return Err((Errno::ENODEV, "ifindex is not the loopback device, 1: there are no others here"));
        }
        skb.set_socket(frame, protocol);
        skb.set(field::LEN, len);
        skb.set(field::PKT_TYPE, loopback_type(frame).0.into());
        skb.set(field::PROTOCOL, protocol.to_be().into());
        skb.set(field::IFINDEX, LOOPBACK);
        // Nobody sets it in a run without a context.
        if wire_len == 0 && !user.is_empty() {
            skb.set(field::WIRE_LEN, len);
        }
        Ok(skb)
    }

    /// What a test run gives back, if it was given a context (`convert_skb_to___skb`): the fields that it takes.
    pub(crate) fn to_user(&self, user: &[u8]) -> Vec<u8> {
        if user.is_empty() {
            return Vec::new();
        }
        let mut out = vec![0; SK_BUFF];
        for part in TAKEN {
            out[part.clone()].copy_from_slice(&self.0.0[part]);
        }
        // Not written back, even where a helper has changed it.
        let given = field::GSO_SIZE..field::GSO_SIZE + 4;
        out[given.clone()].fill(0);
        if let Some(size) = user.get(given.clone()) {
            out[given].copy_from_slice(size);
        }
        out
    }
}

/// How the loopback device, whose addresses are zero, classifies a frame (`eth_type_trans`).
fn loopback_type(frame: &[u8]) -> PacketType {
    match frame.get(..6) {
        Some([0, 0, 0, 0, 0, 0]) => PacketType::HOST,
        Some([first, ..]) if first & 1 != 0 => PacketType::MULTICAST,
        _ => PacketType::OTHER_HOST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_run_takes_what_the_kernel_takes() {
        let frame = [0; 64];
        let with = |off: usize, v: u32| {
            let mut user = [0; SK_BUFF];
            user[off..off + 4].copy_from_slice(&v.to_ne_bytes());
            SkBuff::for_test(&frame, 50, 0x800, &user).map(|_| ()).map_err(|e| e.0)
        };
        for off in [8, 32, 36, 40, 48, 64, 152, 164, 176, 184] {
            assert_eq!(with(off, 1), Ok(()), "offset {off}");
        }
        for off in [0, 4, 12, 16, 20, 24, 28, 44, 68, 72, 76, 80, 84, 88, 140, 168, 180] {
            assert_eq!(with(off, 1), Err(Errno::EINVAL), "offset {off}");
        }
        assert_eq!(
            (with(160, 49), with(160, 50), with(160, 65537)),
            (Err(Errno::EINVAL), Ok(()), Err(Errno::EINVAL))
        );
        assert_eq!((with(164, 65535), with(164, 65536)), (Ok(()), Err(Errno::EINVAL)));
        assert_eq!(with(40, 99999), Err(Errno::ENODEV));
        let long =
            |last| SkBuff::for_test(&frame, 50, 0, &[[0; 199].as_slice(), &[last]].concat()).map_err(|e| e.0);
        assert!(long(0).is_ok() && long(1).is_err_and(|e| e == Errno::E2BIG));
    }
}
