//! The program types that programs are made of.

use skep_abi::ProgramType;
use skep_isa::Size;

use super::super::rng::Rng;

/// How a type sees its packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet {
    /// There is none.
    None,
    /// By helpers alone.
    Helpers,
    /// By address: offsets of `data` and `data_end` in the context, and whether stores are allowed.
    Direct {
        /// Offset of `data`.
        data: i16,
        /// Offset of `data_end`.
        end: i16,
        /// Stores are allowed.
        stores: bool,
    },
}

/// A program type as the generator uses it.
#[derive(Debug)]
pub struct Kind {
    /// The type.
    pub prog_type: ProgramType,
    weight: usize,
    /// How it sees its packet.
    pub packet: Packet,
    /// Numbers in the context that test runs set alike everywhere.
    pub numbers: &'static [(Size, i16)],
    /// Fields that it may store into.
    pub stores: &'static [(Size, i16)],
    /// Bytes of the context that test runs are given; 0 for none.
    pub ctx_bytes: usize,
    /// `LD_ABS` and `LD_IND` are allowed.
    pub legacy_loads: bool,
    /// Program arrays and tries may be used: not by programs that sleep.
    pub tail_calls: bool,
    /// Largest value that it may return.
    pub most: Option<u32>,
}

const CB: &[(Size, i16)] = &[(Size::W, 48), (Size::W, 52), (Size::W, 56), (Size::W, 60), (Size::W, 64)];

/// All of them.
pub const KINDS: &[Kind] = &[
    Kind {
        prog_type: ProgramType::SYSCALL,
        weight: 3,
        packet: Packet::None,
        numbers: &[(Size::DW, 0), (Size::DW, 8), (Size::W, 16), (Size::H, 20), (Size::B, 21)],
        stores: &[(Size::DW, 24), (Size::DW, 16), (Size::W, 28), (Size::H, 30), (Size::B, 25)],
        ctx_bytes: 32,
        legacy_loads: false,
        tail_calls: false,
        most: None,
    },
    Kind {
        prog_type: ProgramType::SOCKET_FILTER,
        weight: 3,
        packet: Packet::Helpers,
        numbers: &[(Size::W, 0), (Size::W, 16), (Size::W, 48), (Size::W, 64)],
        stores: CB,
        ctx_bytes: 0,
        legacy_loads: true,
        tail_calls: true,
        most: None,
    },
    Kind {
        prog_type: ProgramType::XDP,
        weight: 3,
        packet: Packet::Direct { data: 0, end: 4, stores: true },
        numbers: &[(Size::W, 16)],
        stores: &[],
        ctx_bytes: 0,
        legacy_loads: false,
        tail_calls: true,
        most: None,
    },
    Kind {
        prog_type: ProgramType::RAW_TRACEPOINT,
        weight: 1,
        packet: Packet::None,
        numbers: &[(Size::DW, 0), (Size::DW, 8), (Size::DW, 16)],
        stores: &[],
        ctx_bytes: 24,
        legacy_loads: false,
        tail_calls: true,
        most: None,
    },
];

/// One of them, by weight.
pub(super) fn pick(rng: &mut Rng) -> &'static Kind {
    let mut left = rng.below(KINDS.iter().map(|k| k.weight).sum());
    KINDS
        .iter()
        .find(|k| {
            let hit = left < k.weight;
            left = left.wrapping_sub(k.weight);
            hit
        })
        .unwrap_or(&KINDS[0])
}
