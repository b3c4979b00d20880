//! VLAN tags. The outermost one stands beside the packet, in `__sk_buff`; further ones stand in it.

use skep_spec::Errno;

use super::super::{Args, Call};
use super::{Field, Skb};
use crate::packet::ETH_HLEN;
use crate::trap::TrapKind;

/// `ETH_P_8021Q` and `ETH_P_8021AD`.
const CUSTOMER_TAG: u16 = 0x8100;
const SERVICE_TAG: u16 = 0x88a8;
/// `ETH_P_802_3` and `ETH_P_802_2`: frames with a length where others have their type.
const RAW_802_3: u16 = 1;
const LLC_802_2: u16 = 4;
/// Least EtherType; less is a length (`ETH_P_802_3_MIN`).
const LEAST_TYPE: u16 = 0x600;
/// Bytes of both Ethernet addresses, behind which tags stand.
const ADDRESSES: usize = 12;
/// Bytes of a tag.
const TAG: usize = 4;

fn is_tag(protocol: u16) -> bool {
    matches!(protocol, CUSTOMER_TAG | SERVICE_TAG)
}

/// `bpf_skb_vlan_push(skb, proto, tci)`: makes this the outermost tag; the one before moves into the packet. A
/// protocol that is none of VLAN counts as 802.1Q.
pub(in super::super) fn vlan_push(
    call: &mut Call<'_, '_, '_>,
    [skb, proto, tci, ..]: Args,
) -> Result<u64, TrapKind> {
    let mut skb = Skb::changing(call, skb)?;
    let proto = Some(u16::from_be(proto as u16)).filter(|p| is_tag(*p)).unwrap_or(CUSTOMER_TAG);
    let done = match skb.tag() {
        None => Ok(()),
        Some((proto, tci)) => skb.insert_tag(proto, tci),
    };
    if done.is_ok() {
        skb.set_tag(proto, tci as u16);
    }
    Ok(skb.done(done))
}

/// `bpf_skb_vlan_pop(skb)`: takes the outermost tag off; the next one moves out of the packet. Does nothing to a packet
/// without tags.
pub(in super::super) fn vlan_pop(call: &mut Call<'_, '_, '_>, [skb, ..]: Args) -> Result<u64, TrapKind> {
    let mut skb = Skb::changing(call, skb)?;
    let done = skb.pop_tag();
    Ok(skb.done(done))
}

impl Skb<'_, '_, '_, '_> {
    /// The outermost tag: its protocol and its control information.
    fn tag(&self) -> Option<(u16, u16)> {
        let tag = (u16::from_be(self.get(Field::VLAN_PROTO) as u16), self.get(Field::VLAN_TCI) as u16);
        (self.get(Field::VLAN_PRESENT) != 0).then_some(tag)
    }

    fn set_tag(&mut self, proto: u16, tci: u16) {
        self.set(Field::VLAN_PRESENT, 1);
        self.set(Field::VLAN_PROTO, proto.to_be().into());
        self.set(Field::VLAN_TCI, tci.into());
    }

    fn clear_tag(&mut self) {
        for field in [Field::VLAN_PRESENT, Field::VLAN_PROTO, Field::VLAN_TCI] {
            self.set(field, 0);
        }
    }

    /// The packet begins with its Ethernet header.
    fn starts_at_mac(&self) -> Result<(), Errno> {
        if self.at.mac == Some(self.at.data) { Ok(()) } else { Err(Errno::EINVAL) }
    }

    /// Puts a tag behind the addresses (`__vlan_insert_tag`).
    fn insert_tag(&mut self, proto: u16, tci: u16) -> Result<(), Errno> {
        self.starts_at_mac()?;
        self.open(ADDRESSES, TAG)?;
        self.at.mac = Some(self.at.data);
        self.at.network = self.at.network.saturating_sub(TAG);
        let ([a, b], [c, d]) = (proto.to_be_bytes(), tci.to_be_bytes());
        self.put(ADDRESSES, &[a, b, c, d]);
        self.set_protocol(proto);
        Ok(())
    }

    /// Takes the tag behind the addresses out, of which the packet's protocol tells (`__skb_vlan_pop`); gives its
    /// control information.
    fn remove_tag(&mut self) -> Result<u16, Errno> {
        self.starts_at_mac()?;
        let Some([a, b, c, d]) = self.bytes(ADDRESSES + 2) else { return Err(Errno::ENOMEM) };
        // An 802.3 frame whose contents begin with 0xffff is one of Novell's, without an LLC header.
        let raw = self.bytes(ETH_HLEN + TAG) == Some([0xff, 0xff]);
        self.close(ADDRESSES, TAG)?;
        self.at.mac = Some(self.at.data);
        self.at.network = self.at.network.max(self.at.data + ETH_HLEN);
        self.set_protocol(match u16::from_be_bytes([c, d]) {
            LEAST_TYPE.. => u16::from_be_bytes([c, d]),
            _ if raw => RAW_802_3,
            _ => LLC_802_2,
        });
        Ok(u16::from_be_bytes([a, b]))
    }

    fn pop_tag(&mut self) -> Result<(), Errno> {
        if self.tag().is_some() {
            self.clear_tag();
        } else if is_tag(self.protocol()) {
            self.remove_tag()?;
        } else {
            return Ok(());
        }
        // The next tag moves out of the packet.
        let proto = self.protocol();
        if is_tag(proto) {
            let tci = self.remove_tag()?;
            self.set_tag(proto, tci);
        }
        Ok(())
    }
}
