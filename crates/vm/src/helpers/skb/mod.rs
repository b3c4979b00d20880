//! Helpers of programs that see a socket buffer (net/core/filter.c, Linux 6.18), and the buffer as they see it.
//!
//! A packet lies in one piece in the buffer that the run was lent. Where the kernel would allocate a larger one,
//! the packet moves inside it; when that does not suffice, the helper fails with -ENOMEM.

mod bytes;
mod change;
mod csum;
mod hash;
mod owner;
mod room;
mod vlan;

pub(super) use bytes::{STORE_FLAGS, load_bytes, load_bytes_relative, pull_data, store_bytes};
pub(super) use change::{change_head, change_proto, change_tail, change_type};
pub(super) use csum::{csum_diff, csum_level, csum_update, l3_csum_replace, l4_csum_replace};
pub(super) use hash::{get_hash_recalc, set_hash, set_hash_invalid};
pub(super) use owner::{ancestor_cgroup_id, cgroup_classid, cgroup_id, get_route_realm};
pub(super) use room::adjust_room;
pub(super) use vlan::{vlan_pop, vlan_push};

use skep_abi::{PacketAccess, sk_buff_field};
use skep_isa::Size;
use skep_spec::Errno;

use super::{Call, status};
use crate::packet::Layout;
use crate::skb::SkbState;
use crate::trap::TrapKind;

/// A scalar of four bytes in `struct __sk_buff`.
#[derive(Clone, Copy)]
pub(super) struct Field(u16);

impl Field {
    const fn new(name: &str) -> Self {
        Self(sk_buff_field(name).off)
    }

    pub(super) const LEN: Self = Self::new("len");
    pub(super) const PKT_TYPE: Self = Self::new("pkt_type");
    pub(super) const PROTOCOL: Self = Self::new("protocol");
    pub(super) const VLAN_PRESENT: Self = Self::new("vlan_present");
    pub(super) const VLAN_TCI: Self = Self::new("vlan_tci");
    pub(super) const VLAN_PROTO: Self = Self::new("vlan_proto");
    pub(super) const IFINDEX: Self = Self::new("ifindex");
    pub(super) const HASH: Self = Self::new("hash");
    pub(super) const GSO_SEGS: Self = Self::new("gso_segs");
    pub(super) const GSO_SIZE: Self = Self::new("gso_size");
}

/// `ETH_P_IP` and `ETH_P_IPV6`.
pub(super) const IPV4: u16 = 0x0800;
pub(super) const IPV6: u16 = 0x86dd;

/// The socket buffer of a call.
pub(super) struct Skb<'a, 'c, 'm, 's> {
    pub(super) call: &'a mut Call<'c, 'm, 's>,
    pub(super) at: Layout,
}

impl<'a, 'c, 'm, 's> Skb<'a, 'c, 'm, 's> {
    /// The socket buffer that an argument stands for.
    pub(super) fn of(call: &'a mut Call<'c, 'm, 's>, ctx: u64) -> Result<Self, TrapKind> {
        let at = call.packet(ctx)?;
        if !call.program.ctx.is_sk_buff() {
            return Err(TrapKind::NotAnSkb(call.program.ctx.name));
        }
        Ok(Self { call, at })
    }

    /// The same, to be changed.
    pub(super) fn changing(call: &'a mut Call<'c, 'm, 's>, ctx: u64) -> Result<Self, TrapKind> {
        let skb = Self::of(call, ctx)?;
        if skb.call.mem.packet_writable() { Ok(skb) } else { Err(TrapKind::NoPacket) }
    }

    pub(super) fn get(&self, field: Field) -> u32 {
        self.call.mem.ctx_load(field.0.into(), Size::W) as u32
    }

    pub(super) fn set(&mut self, field: Field, v: u32) {
        self.call.mem.ctx_store(field.0.into(), Size::W, v.into());
    }

    /// `skb->protocol` as a number.
    pub(super) fn protocol(&self) -> u16 {
        u16::from_be(self.get(Field::PROTOCOL) as u16)
    }

    pub(super) fn set_protocol(&mut self, protocol: u16) {
        self.set(Field::PROTOCOL, protocol.to_be().into());
    }

    pub(super) fn state(&mut self) -> &mut SkbState {
        &mut self.call.state.skb
    }

    /// The packet is larger than a device may send, to be cut into segments (`skb_is_gso`).
    pub(super) fn is_gso(&self) -> bool {
        self.get(Field::GSO_SIZE) != 0
    }

    /// Bytes of the Ethernet header with its VLAN tags (`skb_mac_header_len`).
    pub(super) fn mac_len(&self) -> usize {
        self.at.network.saturating_sub(self.at.mac.unwrap_or(self.at.data))
    }

    /// Copies `N` bytes at an offset of the packet; `None` when they are not all inside.
    pub(super) fn bytes<const N: usize>(&self, off: usize) -> Option<[u8; N]> {
        let inside = off <= self.at.len() && N <= self.at.len() - off;
        inside.then(|| {
            let mut bytes = [0; N];
            self.call.mem.read_packet(self.at.data + off, &mut bytes);
            bytes
        })
    }

    /// Overwrites bytes at an offset. Those behind a packet that ends before them go to its tailroom, as in the kernel,
    /// but never past the buffer.
    pub(super) fn put(&mut self, off: usize, bytes: &[u8]) {
        let at = self.at.data + off;
        match self.call.mem.packet_buffer_len().saturating_sub(at) {
            0 => {}
            room => self.call.mem.write_packet(at, &bytes[..bytes.len().min(room)]),
        }
    }

    /// Moves the packet's first byte `len` bytes to the front. What stands there means nothing yet; what the
    /// headers' places are is for the caller to say.
    pub(super) fn push(&mut self, len: usize) -> Result<(), Errno> {
        self.make_room(len, 0)?;
        self.at.data -= len;
        self.at.meta = self.at.data;
        Ok(())
    }

    /// Takes bytes off the packet's front; the packet has them.
    pub(super) fn pull(&mut self, len: usize) {
        self.at.data += len;
        self.at.meta = self.at.data;
    }

    /// Puts room between the first `off` bytes and the rest, of `len` zeros (`bpf_skb_generic_push`).
    pub(super) fn open(&mut self, off: usize, len: usize) -> Result<(), Errno> {
        self.push(len)?;
        let whole = self.call.mem.packet_buffer_len();
        // A program may have cut the packet before `off`: never past the buffer.
        let kept = off.min(whole - self.at.data - len);
        self.call.mem.move_packet(self.at.data + len, self.at.data, kept);
        let zeros = len.min(whole - self.at.data - kept);
        self.call.mem.zero_packet(self.at.data + kept, zeros);
        Ok(())
    }

    /// Takes `len` bytes behind the first `off` out (`bpf_skb_generic_pop`).
    pub(super) fn close(&mut self, off: usize, len: usize) -> Result<(), Errno> {
        if off.checked_add(len).is_none_or(|n| n > self.at.len()) {
            return Err(Errno::ENOMEM);
        }
        self.call.mem.move_packet(self.at.data, self.at.data + len, off);
        self.pull(len);
        Ok(())
    }

    /// Adds zeros at the packet's end.
    pub(super) fn grow(&mut self, len: usize) -> Result<(), Errno> {
        self.make_room(0, len)?;
        self.call.mem.zero_packet(self.at.end, len);
        self.at.end += len;
        Ok(())
    }

    /// Sees to `before` bytes of the buffer before the packet and `behind` bytes behind it.
    fn make_room(&mut self, before: usize, behind: usize) -> Result<(), Errno> {
        let whole = self.call.mem.packet_buffer_len();
        let Layout { data, end, mac, network, .. } = self.at;
        if before <= data && behind <= whole - end {
            return Ok(());
        }
        let first = data.min(network).min(mac.unwrap_or(data));
        let need_before = before.max(data - first);
        let need = need_before.checked_add(self.at.len()).and_then(|n| n.checked_add(behind));
        let slack = need.and_then(|need| whole.checked_sub(need)).ok_or(Errno::ENOMEM)?;
        let to = need_before + slack / 2;
        // `to - data` can be negative, but not so much that `first` would leave the buffer.
        let moved = |at: usize| (at + to).saturating_sub(data);
        self.call.mem.move_packet(first, moved(first), end - first);
        let state = self.state();
        state.transport = state.transport.map(moved);
        self.at = Layout {
            meta: moved(data),
            data: moved(data),
            end: moved(end),
            mac: mac.map(moved),
            network: moved(network),
            ..self.at
        };
        Ok(())
    }

    /// Lets the program see what has become of the packet, and gives the helper's result.
    pub(super) fn done(mut self, result: Result<(), Errno>) -> u64 {
        let at = self.at;
        self.call.state.packet = Some(at);
        if self.call.program.packet != PacketAccess::None {
            self.call.mem.set_packet(at.meta, at.end);
        }
        self.set(Field::LEN, at.len() as u32);
        status(result)
    }
}
