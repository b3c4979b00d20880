//! What programs are run on.

use super::Made;
use super::kinds::Packet;
use crate::oracle::Input;

const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];
const ETH_HLEN: usize = 14;

impl Made {
    /// An input for the programs.
    pub fn input(&mut self) -> Input {
        let words = self.kind.ctx_bytes / 8;
        let ctx = (0..words).flat_map(|_| self.rng.operand().to_le_bytes()).collect();
        let data = if self.kind.packet == Packet::None { Vec::new() } else { self.frame() };
        Input { data, ctx }
    }

    /// A frame: bytes at random, or behind an IPv4 header.
    fn frame(&mut self) -> Vec<u8> {
        let len = ETH_HLEN + self.rng.below(80);
        let mut data: Vec<u8> = (0..len).map(|_| self.rng.bits() as u8).collect();
        // A test run refuses IP packets that are shorter than their header, whatever the program is.
        if matches!([data[12], data[13]], IPV4 | IPV6) {
            data[12] = 0;
        }
        if len >= ETH_HLEN + 20 && self.rng.chance(40) {
            data[12..14].copy_from_slice(&IPV4);
            let total = (len - ETH_HLEN) as u16;
            data[14..16].copy_from_slice(&[0x45, 0]);
            data[16..18].copy_from_slice(&total.to_be_bytes());
            data[23] = *self.rng.pick(&[6, 17]);
        }
        data
    }
}
