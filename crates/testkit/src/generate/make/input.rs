//! What programs are run on.

use super::Made;
use super::kinds::{CtxInput, Packet};
use crate::oracle::Input;

const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];
const ETH_HLEN: usize = 14;
/// `struct __sk_buff`: its size, and the 32-bit fields that a test run takes (`convert___skb_to_skb`).
const SK_BUFF: usize = 192;
const SK_BUFF_TAKEN: [usize; 7] = [8, 32, 48, 52, 56, 60, 64];

impl Made {
    /// An input for the programs.
    pub fn input(&mut self) -> Input {
        let ctx = match self.kind.input {
            CtxInput::Words(n) => (0..n).flat_map(|_| self.rng.operand().to_le_bytes()).collect(),
            CtxInput::SkBuff if self.rng.chance(40) => self.sk_buff(),
            CtxInput::SkLookup => self.sk_lookup(),
            CtxInput::SkBuff | CtxInput::None => Vec::new(),
        };
        let data = if self.kind.packet == Packet::None { Vec::new() } else { self.frame() };
        Input { data, ctx }
    }

    fn sk_buff(&mut self) -> Vec<u8> {
        let mut ctx = vec![0; SK_BUFF];
        for off in SK_BUFF_TAKEN {
            ctx[off..off + 4].copy_from_slice(&(self.rng.operand() as u32).to_ne_bytes());
        }
        ctx
    }

    /// A `struct bpf_sk_lookup` that a test run takes: of IPv4 or IPv6, ports of 16 bits.
    fn sk_lookup(&mut self) -> Vec<u8> {
        let mut words = [0u32; 18];
        words.iter_mut().for_each(|w| *w = self.rng.operand() as u32);
        // No socket.
        words[..2].fill(0);
        words[2] = *self.rng.pick(&[2, 2, 10]);
        words[3] = *self.rng.pick(&[6, 17]);
        for port in [9, 15] {
            words[port] &= 0xffff;
        }
        words.into_iter().flat_map(u32::to_ne_bytes).collect()
    }

    /// A frame: bytes at random, or behind an IPv4 or IPv6 header.
    fn frame(&mut self) -> Vec<u8> {
        let len = ETH_HLEN + self.rng.below(90);
        let mut data: Vec<u8> = (0..len).map(|_| self.rng.bits() as u8).collect();
        // A test run refuses IP packets that are shorter than their header, whatever the program is.
        if matches!([data[12], data[13]], IPV4 | IPV6) {
            data[12] = 0;
        }
        if len >= ETH_HLEN + 40 && self.rng.chance(20) {
            data[12..14].copy_from_slice(&IPV6);
            data[14] = 0x60;
            data[18..20].copy_from_slice(&((len - ETH_HLEN - 40) as u16).to_be_bytes());
            data[20] = *self.rng.pick(&[6, 17, 58]);
        } else if len >= ETH_HLEN + 20 && self.rng.chance(50) {
            data[12..14].copy_from_slice(&IPV4);
            let total = (len - ETH_HLEN) as u16;
            data[14..16].copy_from_slice(&[0x45, 0]);
            data[16..18].copy_from_slice(&total.to_be_bytes());
            data[23] = *self.rng.pick(&[6, 17]);
        }
        data
    }
}
