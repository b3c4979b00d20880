//! Bloom filter: values that go in and are never taken out; one that went in is always found, others seldom
//! (kernel/bpf/bloom_filter.c).
//!
//! A value sets one bit for each of its hashes; it is there when all of them are set. Nothing is locked: bits are only
//! ever set. The number of bits and of hashes is private, so whatever a peer writes spoils answers and nothing else.

use skep_spec::Errno;

use crate::geometry::{Geometry, HEADER_LEN};
use crate::jhash::jhash;
use crate::map::Ops;
use crate::mem::{Block, Bytes, Memory};
use crate::sync::{AtomicU32, Ordering, Owner};

/// Hashes of a filter that does not say how many.
const HASHES: u32 = 5;
/// The fewest bits.
const FEWEST: u32 = 64;

pub(crate) struct BloomFilter {
    geometry: Geometry,
    metadata: Block,
    /// Bits less 1, a power of two less 1.
    mask: u32,
    hashes: u32,
}

impl BloomFilter {
    pub fn new(geometry: Geometry, memory: &dyn Memory) -> Result<Self, Errno> {
        let hashes = match geometry.map_extra as u32 {
            0 => HASHES,
            n => n,
        };
        let mask = mask(geometry.max_entries, hashes);
        let bytes = (mask as usize / 32).checked_add(1).and_then(|words| words.checked_mul(4));
        let len = bytes.and_then(|n| n.checked_add(HEADER_LEN)).ok_or(Errno::ENOMEM)?;
        let metadata = geometry.metadata(memory, len, 0)?;
        Ok(Self { geometry, metadata, mask, hashes })
    }

    /// The words and bits of a value.
    fn bits(&self, value: Bytes<'_>) -> impl Iterator<Item = (&AtomicU32, u32)> {
        let seed = self.geometry.seed as u32;
        (0..self.hashes).map(move |i| {
            let bit = jhash(value, seed.wrapping_add(i)) & self.mask;
            (self.metadata.u32(HEADER_LEN + bit as usize / 32 * 4), 1 << (bit % 32))
        })
    }

    /// Adds a value.
    pub fn push(&self, value: Bytes<'_>, flags: u64) -> Result<(), Errno> {
        if flags != 0 {
            return Err(Errno::EINVAL);
        }
        for (word, bit) in self.bits(value) {
            if word.load(Ordering::Relaxed) & bit == 0 {
                word.fetch_or(bit, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// `ENOENT` for a value that was certainly not added.
    pub fn peek(&self, value: Bytes<'_>) -> Result<(), Errno> {
        match self.bits(value).all(|(word, bit)| word.load(Ordering::Relaxed) & bit != 0) {
            true => Ok(()),
            false => Err(Errno::ENOENT),
        }
    }
}

/// Seven bits for five values and each hash, rounded up to a power of two; less 1.
fn mask(entries: u32, hashes: u32) -> u32 {
    let bits = entries.checked_mul(hashes).and_then(|n| (n / 5).checked_mul(7));
    match bits {
        Some(bits) if bits <= 1 << 31 => bits.max(FEWEST).next_power_of_two() - 1,
        // As many as a hash can name.
        _ => u32::MAX,
    }
}

impl Ops for BloomFilter {
    fn lookup(&self, _: Bytes<'_>, _: u32) -> Option<u64> {
        None
    }

    fn update(&self, _: Bytes<'_>, _: Bytes<'_>, _: u64, _: u32) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    fn delete(&self, _: Bytes<'_>, _: Owner) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// The value stands in the key's place.
    fn lookup_copy(&self, value: Bytes<'_>, out: &mut [u8]) -> Result<(), Errno> {
        self.peek(value)?;
        value.copy_to(out);
        Ok(())
    }

    fn update_from_host(&self, _: Bytes<'_>, value: Bytes<'_>, flags: u64) -> Result<(), Errno> {
        self.push(value, flags)
    }

    fn next_key(&self, _: Option<Bytes<'_>>, _: &mut [u8]) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn values(&self) -> Option<(u64, usize)> {
        None
    }

    fn metadata(&self) -> &Block {
        &self.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_as_the_kernel_counts_them() {
        for (entries, hashes, bits) in [
            (1, 5, 64u64),
            (9, 5, 64),
            (10, 5, 128),
            (45, 5, 512),
            (100, 1, 256),
            (1 << 20, 5, 1 << 23),
            (1 << 31, 5, 1 << 32),
            (u32::MAX, 15, 1 << 32),
        ] {
            assert_eq!(u64::from(mask(entries, hashes)) + 1, bits, "{entries} entries, {hashes} hashes");
        }
    }
}
