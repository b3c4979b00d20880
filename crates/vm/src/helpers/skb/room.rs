//! `bpf_skb_adjust_room`: putting another header around a packet and taking it off.

use skep_abi::ProgramType;
use skep_spec::Errno;

use super::super::{Args, Call, errno};
use super::{IPV4, IPV6, Skb};
use crate::packet::SKB_MAX_LEN;
use crate::trap::TrapKind;

const FIXED_GSO: u64 = 1 << 0;
const ENCAP_L3_IPV4: u64 = 1 << 1;
const ENCAP_L3_IPV6: u64 = 1 << 2;
const ENCAP_L4_GRE: u64 = 1 << 3;
const ENCAP_L4_UDP: u64 = 1 << 4;
const NO_CSUM_RESET: u64 = 1 << 5;
const ENCAP_L2_ETH: u64 = 1 << 6;
const DECAP_L3_IPV4: u64 = 1 << 7;
const DECAP_L3_IPV6: u64 = 1 << 8;
/// `BPF_F_ADJ_ROOM_ENCAP_L2`: bytes of an inner Ethernet header, in the highest byte.
const ENCAP_L2_SHIFT: u32 = 56;
const ENCAP_L2: u64 = 0xff << ENCAP_L2_SHIFT;
const ENCAP_L3: u64 = ENCAP_L3_IPV4 | ENCAP_L3_IPV6;
const ENCAP_L4: u64 = ENCAP_L4_GRE | ENCAP_L4_UDP;
const DECAP_L3: u64 = DECAP_L3_IPV4 | DECAP_L3_IPV6;
const ALL: u64 = FIXED_GSO | ENCAP_L3 | ENCAP_L4 | NO_CSUM_RESET | ENCAP_L2_ETH | ENCAP_L2 | DECAP_L3;

/// Most bytes added or taken at a time.
const MAX_DIFF: u32 = 0xfff;
const ETH_HLEN: u64 = crate::packet::ETH_HLEN as u64;

/// `bpf_skb_adjust_room(skb, len_diff, mode, flags)`: adds zeros or takes bytes, behind the network header
/// (`BPF_ADJ_ROOM_NET`, 0) or before it (`BPF_ADJ_ROOM_MAC`, 1). The flags say what the new bytes will be, or
/// what those were: that decides the protocol and where headers stand. For IPv4 and IPv6 only.
pub(in super::super) fn adjust_room(
    call: &mut Call<'_, '_, '_>,
    [skb, len_diff, mode, flags, _]: Args,
) -> Result<u64, TrapKind> {
    let of_socket = call.program.prog_type() == ProgramType::SK_SKB;
    let mut skb = Skb::changing(call, skb)?;
    let (len_diff, mode) = (len_diff as i32, mode as u32);
    let done = match of_socket {
        true => skb.adjust_front(len_diff, mode, flags),
        false => match skb.plan(len_diff, mode, flags) {
            Ok(off) => skb.adjust(off, len_diff, flags),
            // Nothing has changed.
            Err(e) => return Ok(errno(e)),
        },
    };
    Ok(skb.done(done))
}

/// Bytes of a network header without options, for the two that there are.
fn base_len(protocol: u16) -> Option<usize> {
    match protocol {
        IPV4 => Some(20),
        IPV6 => Some(40),
        _ => None,
    }
}

impl Skb<'_, '_, '_, '_> {
    /// Whether the adjustment is legal, and the offset where it takes place.
    fn plan(&mut self, len_diff: i32, mode: u32, flags: u64) -> Result<usize, Errno> {
        let (diff, shrink) = (len_diff.unsigned_abs(), len_diff < 0);
        if flags & !ALL != 0 {
            return Err(Errno::EINVAL);
        }
        if diff > MAX_DIFF {
            return Err(Errno::EFAULT);
        }
        let base = base_len(self.protocol()).ok_or(Errno::ENOTSUPP)?;
        let off = match mode {
            0 => self.mac_len() + base,
            1 => self.mac_len(),
            _ => return Err(Errno::ENOTSUPP),
        };
        let least = match flags & DECAP_L3 {
            0 => base,
            DECAP_L3_IPV4 if shrink => 20,
            DECAP_L3_IPV6 if shrink => 40,
            _ => return Err(Errno::EINVAL),
        };
        let diff = diff as usize;
        // From the network header on, which a program may have moved to before the packet.
        let len = (self.at.end as isize) - (self.at.network as isize);
        let fits = match shrink {
            true => len > diff as isize && len - diff as isize >= least as isize,
            false => self.at.len() + diff <= SKB_MAX_LEN || self.is_gso(),
        };
        if fits { Ok(off) } else { Err(Errno::ENOTSUPP) }
    }

    fn adjust(&mut self, off: usize, len_diff: i32, flags: u64) -> Result<(), Errno> {
        let diff = len_diff.unsigned_abs() as usize;
        match len_diff < 0 {
            true => self.decapsulate(off, diff, flags)?,
            false => self.encapsulate(off, diff, flags)?,
        }
        if flags & NO_CSUM_RESET == 0 {
            self.state().csum_level = None;
        }
        Ok(())
    }

    /// Packets here that are to be cut into segments say no type, and those are not TCP.
    fn not_segmented(&self) -> Result<(), Errno> {
        if self.is_gso() { Err(Errno::ENOTSUPP) } else { Ok(()) }
    }

    /// `bpf_skb_net_grow`
    fn encapsulate(&mut self, off: usize, diff: usize, flags: u64) -> Result<(), Errno> {
        self.not_segmented()?;
        let encap = flags & ENCAP_L3;
        let mac_len = self.mac_len();
        if encap != 0 {
            let inner_mac = flags >> ENCAP_L2_SHIFT;
            if encap == ENCAP_L3 || flags & ENCAP_L4 == ENCAP_L4 {
                return Err(Errno::EINVAL);
            }
            if flags & ENCAP_L2_ETH != 0 && inner_mac < ETH_HLEN {
                return Err(Errno::EINVAL);
            }
            if self.state().encapsulated {
                return Err(Errno::EALREADY);
            }
            if inner_mac > diff as u64 {
                return Err(Errno::EINVAL);
            }
        }
        self.open_headers(off, diff)?;
        if encap != 0 {
            self.state().encapsulated = true;
            self.at.network = self.at.data + mac_len;
            let (protocol, header) = if encap == ENCAP_L3_IPV6 { (IPV6, 40) } else { (IPV4, 20) };
            if flags & ENCAP_L4 != 0 {
                self.state().transport = Some(self.at.network + header);
            }
            self.set_protocol(protocol);
        }
        Ok(())
    }

    /// `bpf_skb_net_shrink`
    fn decapsulate(&mut self, off: usize, diff: usize, flags: u64) -> Result<(), Errno> {
        if flags & !(FIXED_GSO | DECAP_L3 | NO_CSUM_RESET) != 0 {
            return Err(Errno::EINVAL);
        }
        self.not_segmented()?;
        self.close_headers(off, diff)?;
        match flags & DECAP_L3 {
            DECAP_L3_IPV4 => self.set_protocol(IPV4),
            DECAP_L3_IPV6 => self.set_protocol(IPV6),
            _ => {}
        }
        Ok(())
    }

    /// What programs on socket maps have instead: at the packet's start only (`sk_skb_adjust_room`).
    fn adjust_front(&mut self, len_diff: i32, mode: u32, flags: u64) -> Result<(), Errno> {
        let diff = len_diff.unsigned_abs();
        if flags != 0 || mode != 0 {
            return Err(Errno::EINVAL);
        }
        if diff > MAX_DIFF {
            return Err(Errno::EFAULT);
        }
        match len_diff < 0 {
            true => self.close(0, diff as usize),
            false => self.open(0, diff as usize),
        }
    }
}
