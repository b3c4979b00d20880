//! Context images: `struct __sk_buff` and `struct xdp_md` as programs see them.

use skep_spec::Errno;
use skep_vm::Layout;

use crate::source::{Packet, PacketType};

/// Why a context cannot be taken.
type Refused = (Errno, &'static str);

/// Bytes of `struct __sk_buff`.
const SK_BUFF: usize = 192;
/// Bytes of `struct xdp_md`.
const XDP_MD: usize = 24;
/// The loopback device, which test runs take place on.
const LOOPBACK: u32 = 1;
/// `GSO_MAX_SEGS`
const GSO_MAX_SEGS: u32 = 65535;
/// `GSO_LEGACY_MAX_SIZE`
const GSO_LEGACY_MAX_SIZE: u32 = 65536;

/// Offsets in `struct __sk_buff`.
mod skb {
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
    pub(super) const TSTAMP: usize = 152;
    pub(super) const WIRE_LEN: usize = 160;
    pub(super) const GSO_SEGS: usize = 164;
    pub(super) const GSO_SIZE: usize = 176;
    pub(super) const HWTSTAMP: usize = 184;
}

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

    /// The buffer of a packet on a raw socket: with its Ethernet header.
    pub(crate) fn set_packet(&mut self, packet: &Packet<'_>) {
        let outgoing = packet.pkt_type == PacketType::OUTGOING;
        let vlan = packet.vlan;
        self.set(skb::LEN, packet.wire_len.max(packet.data.len() as u32));
        self.set(skb::PKT_TYPE, packet.pkt_type.0.into());
        self.set(skb::PROTOCOL, packet.protocol.to_be().into());
        self.set(skb::VLAN_PRESENT, vlan.is_some().into());
        self.set(skb::VLAN_TCI, vlan.map_or(0, |v| v.tci.into()));
        self.set(skb::VLAN_PROTO, vlan.map_or(0, |v| v.tpid.to_be().into()));
        self.set(skb::IFINDEX, packet.ifindex);
        // What the host sends has not come in anywhere.
        self.set(skb::INGRESS_IFINDEX, if outgoing { 0 } else { packet.ifindex });
        self.set(skb::HASH, packet.hash);
        self.0.0[skb::CB..skb::CB_END].fill(0);
    }

    /// The buffer of a test run on a frame (`convert___skb_to_skb`): nothing of `user` may be set but what the
    /// kernel takes.
    pub(crate) fn for_test(frame: &[u8], protocol: u16, user: &[u8]) -> Result<Self, Refused> {
        const TAKEN: [std::ops::Range<usize>; 6] = [
            skb::MARK..skb::MARK + 4,
            skb::PRIORITY..skb::IFINDEX + 4,
            skb::CB..skb::CB_END,
            skb::TSTAMP..skb::GSO_SEGS + 4,
            skb::GSO_SIZE..skb::GSO_SIZE + 4,
            skb::HWTSTAMP..skb::HWTSTAMP + 8,
        ];
        let mut skb = Self(Image(fitted(user)?));
        let set_elsewhere = |(i, b): (usize, &u8)| *b != 0 && !TAKEN.iter().any(|t| t.contains(&i));
        if skb.0.0.iter().enumerate().any(set_elsewhere) {
            return Err((
                Errno::EINVAL,
                "the context sets a field of __sk_buff that a test run does not take",
            ));
        }
        let len = (frame.len() - skep_vm::ETH_HLEN) as u32;
        let wire_len = skb.get(skb::WIRE_LEN);
        if wire_len != 0 && !(len..=GSO_LEGACY_MAX_SIZE).contains(&wire_len) {
            return Err((Errno::EINVAL, "wire_len is neither 0 nor from the packet's length to 65536"));
        }
        if skb.get(skb::GSO_SEGS) > GSO_MAX_SEGS {
            return Err((Errno::EINVAL, "gso_segs is above 65535"));
        }
        if skb.get(skb::IFINDEX) > LOOPBACK {
            return Err((Errno::ENODEV, "ifindex is not the loopback device, 1: there are no others here"));
        }
        skb.set(skb::LEN, len);
        skb.set(skb::PKT_TYPE, loopback_type(frame).0.into());
        skb.set(skb::PROTOCOL, protocol.to_be().into());
        skb.set(skb::IFINDEX, LOOPBACK);
        if wire_len == 0 {
            skb.set(skb::WIRE_LEN, len);
        }
        Ok(skb)
    }

    /// What a test run gives back: as much of the context as the caller gave (`convert_skb_to___skb`).
    pub(crate) fn to_user(&self, user: &[u8]) -> Vec<u8> {
        let mut out = self.0.0;
        for off in [skb::LEN, skb::PKT_TYPE, skb::PROTOCOL] {
            out[off..off + 4].fill(0);
        }
        out[..user.len().min(SK_BUFF)].to_vec()
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

fn word(bytes: &[u8], off: usize) -> u32 {
    bytes.get(off..off + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_ne_bytes)
}

/// A context at its right length: padded, or cut where only zeros stand behind (`bpf_check_uarg_tail_zero`).
fn fitted<const N: usize>(user: &[u8]) -> Result<[u8; N], Refused> {
    let mut out = [0; N];
    let fit = user.len().min(N);
    out[..fit].copy_from_slice(&user[..fit]);
    if user[fit..].iter().any(|b| *b != 0) {
        return Err((Errno::E2BIG, "the context is longer than its structure and not zero behind"));
    }
    Ok(out)
}

/// Offsets in `struct xdp_md`.
mod md {
    pub(super) const DATA: usize = 0;
    pub(super) const DATA_END: usize = 4;
    pub(super) const DATA_META: usize = 8;
    pub(super) const INGRESS_IFINDEX: usize = 12;
    pub(super) const RX_QUEUE_INDEX: usize = 16;
    pub(super) const EGRESS_IFINDEX: usize = 20;
}

/// A `struct xdp_md`, and where the packet of a test run lies in the data given.
#[derive(Clone, Copy)]
pub(crate) struct XdpMd {
    pub(crate) image: [u8; XDP_MD],
    /// Bytes of metadata at the start of the data.
    pub(crate) meta: usize,
    /// Where the part before the program ends in the data.
    pub(crate) end: usize,
    given: usize,
}

/// Largest metadata: the headroom less the kernel's `struct xdp_frame`.
const META_MAX: u32 = (skep_vm::XDP_HEADROOM - skep_vm::XDP_FRAME) as u32;

impl XdpMd {
    /// The context of a packet that came in on an interface.
    pub(crate) fn arriving(ifindex: u32) -> Self {
        let mut image = [0; XDP_MD];
        image[md::INGRESS_IFINDEX..md::INGRESS_IFINDEX + 4].copy_from_slice(&ifindex.to_ne_bytes());
        Self { image, meta: 0, end: 0, given: 0 }
    }

    /// The context of a test run (`xdp_convert_md_to_buff`): `data` is the length of the metadata, `data_end`
    /// where the packet ends.
    pub(crate) fn for_test(len: usize, user: &[u8]) -> Result<Self, Refused> {
        if user.is_empty() {
            return Ok(Self { end: len, ..Self::arriving(LOOPBACK) });
        }
        let mut image: [u8; XDP_MD] = fitted(user)?;
        let (meta, end) = (word(&image, md::DATA), word(&image, md::DATA_END));
        if word(&image, md::DATA_META) != 0 || word(&image, md::EGRESS_IFINDEX) != 0 {
            return Err((Errno::EINVAL, "data_meta and egress_ifindex of the context must be 0"));
        }
        if meta > end || end as usize > len {
            return Err((
                Errno::EINVAL,
                "data and data_end of the context do not lie in the data in this order",
            ));
        }
        if meta > META_MAX || !meta.is_multiple_of(4) {
            return Err((Errno::EINVAL, "data, the length of the metadata, is no multiple of 4 up to 216"));
        }
        let (ifindex, queue) = (word(&image, md::INGRESS_IFINDEX), word(&image, md::RX_QUEUE_INDEX));
        if queue != 0 {
            return Err((Errno::EINVAL, "rx_queue_index of the context: the loopback device has no queues"));
        }
        if ifindex > LOOPBACK {
            return Err((
                Errno::ENODEV,
                "ingress_ifindex of the context: there is only the loopback device, 1",
            ));
        }
        image[md::INGRESS_IFINDEX..md::INGRESS_IFINDEX + 4].copy_from_slice(&LOOPBACK.to_ne_bytes());
        Ok(Self { image, meta: meta as usize, end: end as usize, given: ifindex as usize })
    }

    /// What a test run gives back (`xdp_convert_buff_to_md`).
    pub(crate) fn to_user(self, layout: Layout) -> Vec<u8> {
        let mut out = vec![0; XDP_MD];
        let mut set = |off: usize, v: usize| out[off..off + 4].copy_from_slice(&(v as u32).to_ne_bytes());
        set(md::DATA, layout.data - layout.meta);
        set(md::DATA_END, layout.end - layout.meta);
        set(md::INGRESS_IFINDEX, self.given);
        out
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
            SkBuff::for_test(&frame, 0x800, &user).map(|_| ()).map_err(|e| e.0)
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
            |last| SkBuff::for_test(&frame, 0, &[[0; 199].as_slice(), &[last]].concat()).map_err(|e| e.0);
        assert!(long(0).is_ok() && long(1).is_err_and(|e| e == Errno::E2BIG));
    }

    #[test]
    fn metadata_of_a_test_run_is_bounded_as_the_kernel_does() {
        let md = |fields: [u32; 6]| {
            let user: Vec<u8> = fields.into_iter().flat_map(u32::to_ne_bytes).collect();
            XdpMd::for_test(60, &user).map(|m| (m.meta, m.end)).map_err(|e| e.0)
        };
        assert_eq!(md([0, 60, 0, 0, 0, 0]), Ok((0, 60)));
        assert_eq!(md([8, 60, 0, 1, 0, 0]), Ok((8, 60)));
        assert_eq!(md([36, 60, 0, 0, 0, 0]), Ok((36, 60)));
        for wrong in [
            [8, 68, 0, 0, 0, 0],
            [3, 60, 0, 0, 0, 0],
            [0, 60, 0, 0, 1, 0],
            [0, 60, 0, 0, 0, 1],
            [64, 60, 0, 0, 0, 0],
        ] {
            assert_eq!(md(wrong), Err(Errno::EINVAL), "{wrong:?}");
        }
    }
}
