//! The iterator over the bits that are set (kernel/bpf/helpers.c, Linux 6.18).
//!
//! ```text
//!  0             8        12
//!  word, or      number   bit that was
//!  place of many of bits  given last
//! ```

use skep_spec::Errno;

use super::{Row, row};
use crate::helpers::{Args, Call, int};
use crate::mem::{BITS_WORDS, Probe};
use crate::trap::TrapKind;

pub(super) static ROWS: &[Row] = &[
    row("int bpf_iter_bits_new(struct bpf_iter_bits *it, const u64 *unsafe_ptr__ign, u32 nr_words)", new),
    row("int *bpf_iter_bits_next(struct bpf_iter_bits *it)", next),
    row("void bpf_iter_bits_destroy(struct bpf_iter_bits *it)", destroy),
];

/// Bits of a word.
const WORD: u32 = 64;

/// `struct bpf_iter_bits_kern`.
struct Bits {
    word: u64,
    count: u32,
    bit: i32,
}

impl Bits {
    fn load(call: &mut Call<'_, '_, '_>, it: u64) -> Result<Self, TrapKind> {
        let word = call.load::<u64>(it)?;
        let rest = call.load::<u64>(it.wrapping_add(8))?.to_ne_bytes();
        let [a, b, c, d, e, f, g, h] = rest;
        Ok(Self { word, count: u32::from_ne_bytes([a, b, c, d]), bit: i32::from_ne_bytes([e, f, g, h]) })
    }

    fn store(&self, call: &mut Call<'_, '_, '_>, it: u64) -> Result<(), TrapKind> {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.word.to_ne_bytes());
        bytes[8..12].copy_from_slice(&self.count.to_ne_bytes());
        bytes[12..].copy_from_slice(&self.bit.to_ne_bytes());
        call.store(it, &bytes)
    }
}

/// 0; -EINVAL for no words, -E2BIG for more than 511, -EFAULT where they cannot be read, -ENOMEM when the run has two
/// iterators over more than a word open already (Linux has room for more). Then it gives none.
fn new(call: &mut Call<'_, '_, '_>, [it, from, words, ..]: Args) -> Result<u64, TrapKind> {
    let words = words as u32;
    let mut bits = Bits { word: 0, count: 0, bit: -1 };
    let result = filled(call, &mut bits, from, words);
    if result.is_err() {
        bits = Bits { word: 0, count: 0, bit: -1 };
    }
    bits.store(call, it)?;
    Ok(int(result))
}

fn filled(call: &mut Call<'_, '_, '_>, bits: &mut Bits, from: u64, words: u32) -> Result<(), Errno> {
    if from == 0 || words == 0 {
        return Err(Errno::EINVAL);
    }
    if words as usize > BITS_WORDS {
        return Err(Errno::E2BIG);
    }
    if call.mem.readable(from, Probe::Any) < u64::from(words) * 8 {
        return Err(Errno::EFAULT);
    }
    bits.count = words * WORD;
    if words == 1 {
        bits.word = call.load::<u64>(from).map_err(|_| Errno::EFAULT)?;
        return Ok(());
    }
    let place = call.mem.take_bits().ok_or(Errno::ENOMEM)?;
    bits.word = place as u64;
    for i in 0..words as usize {
        let word = call.load::<u64>(from.wrapping_add(i as u64 * 8)).map_err(|_| Errno::EFAULT)?;
        if let Some(to) = call.mem.bits(bits.word) {
            to[i] = word;
        }
    }
    Ok(())
}

/// Where the number of the next bit stands; NULL behind the last one.
fn next(call: &mut Call<'_, '_, '_>, [it, ..]: Args) -> Result<u64, TrapKind> {
    let mut bits = Bits::load(call, it)?;
    let count = bits.count.min(BITS_WORDS as u32 * WORD);
    if count == 0 || bits.bit >= count as i32 {
        return Ok(0);
    }
    let from = bits.bit.wrapping_add(1).max(0) as u32;
    let found = match count {
        WORD => first_set(&[bits.word], from, count),
        _ => call.mem.bits(bits.word).and_then(|words| first_set(words, from, count)),
    };
    bits.bit = found.unwrap_or(count) as i32;
    bits.store(call, it)?;
    Ok(if found.is_some() { it.wrapping_add(12) } else { 0 })
}

/// The first bit of `count` that is set, from one on.
fn first_set(words: &[u64], from: u32, count: u32) -> Option<u32> {
    let (start, skip) = (from / WORD, from % WORD);
    let words = words.iter().enumerate().skip(start as usize).map(|(i, &word)| {
        let hidden = if i as u32 == start { skip } else { 0 };
        (i as u32 * WORD, word & u64::MAX << hidden)
    });
    words
        .take_while(|(at, _)| *at < count)
        .find(|(_, word)| *word != 0)
        .map(|(at, word)| at + word.trailing_zeros())
}

fn destroy(call: &mut Call<'_, '_, '_>, [it, ..]: Args) -> Result<u64, TrapKind> {
    let bits = Bits::load(call, it)?;
    if bits.count > WORD {
        call.mem.free_bits(bits.word);
    }
    Ok(0)
}
