//! The private geometry of a map, and the header that tells it to others.

use skep_abi::{MapFlags, MapType};
use skep_spec::Errno;

use crate::fields::Places;
use crate::mem::{Block, Memory};
use crate::sync::{Ordering, Waiting};

/// First word of the metadata: `SKPM` in memory order on a little-endian host.
pub const MAGIC: u32 = u32::from_le_bytes(*b"SKPM");
/// Version of the layout.
pub const VERSION: u32 = 5;
/// Bytes of the header; the kind's own tables follow.
pub const HEADER_LEN: usize = 128;

/// Offset of the lock in the header that a repair of the map holds.
pub(crate) const REPAIR: usize = 36;
/// Offset of the word in the header that says where the spin lock of a value is, and 1.
pub(crate) const SPIN_LOCK: usize = 64;
/// Offset of `map_extra` in the header.
pub(crate) const EXTRA: usize = 68;
/// Offset of the domain's number in the header, low half first.
pub(crate) const DOMAIN: usize = 72;
/// Offset of the word in the header that is 1 when values keep what is private to the process.
pub(crate) const KEPT: usize = 48;
/// Offset of the `frozen` word in the header.
pub(crate) const FROZEN: usize = 52;

/// What a map looks like: private, set at creation, never read back from shared memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    pub kind: MapType,
    pub key_size: usize,
    pub value_size: usize,
    /// Bytes from one value to the next: `value_size` rounded up to 8.
    pub stride: usize,
    pub max_entries: u32,
    /// `map_extra` of the definition: a bloom filter's number of hashes.
    pub map_extra: u64,
    pub flags: MapFlags,
    pub cpus: u32,
    /// The domain that they are of; 0 for one that has no number.
    pub domain: u64,
    /// Bytes of a page, for the payload's layout.
    pub page: usize,
    /// Hash seed; 0 for other kinds.
    pub seed: u64,
    /// Offset of the `struct bpf_spin_lock` in a value, a multiple of 4.
    pub spin_lock: Option<usize>,
    /// The fields of a value, the lock among them.
    pub places: Places,
    /// How to wait for others, and who they are.
    pub wait: Waiting,
}

impl Geometry {
    /// Rounds up to whole pages.
    pub fn pages(&self, bytes: usize) -> Option<usize> {
        bytes.checked_next_multiple_of(self.page)
    }

    /// The index that a 4-byte key holds, if the map has it.
    #[inline]
    pub fn index(&self, key: crate::Bytes<'_>) -> Result<u32, BadIndex> {
        match key.as_u32() {
            Some(i) if i < self.max_entries => Ok(i),
            Some(_) => Err(BadIndex::Outside),
            None => Err(BadIndex::Length),
        }
    }

    /// Allocates the metadata and writes its header; a header that is there must say the same. `values` is the offset
    /// of the value area in it, 0 when there is none.
    ///
    /// # Errors
    /// ENOMEM, and EINVAL when a header says something else.
    pub fn metadata(&self, memory: &dyn Memory, len: usize, values: usize) -> Result<Block, Errno> {
        let block = memory.metadata(len).filter(|b| b.len() >= len).ok_or(Errno::ENOMEM)?;
        let words = [
            MAGIC,
            VERSION,
            self.kind.0,
            self.flags.0,
            self.key_size as u32,
            self.value_size as u32,
            self.max_entries,
            self.cpus,
            self.page as u32,
            0, // REPAIR
            self.seed as u32,
            (self.seed >> 32) as u32,
            self.places.keeping().next().is_some().into(),
            0, // FROZEN
            values as u32,
            (values as u64 >> 32) as u32,
            self.spin_lock.map_or(0, |off| off as u32 + 1),
            // At most 15 (`create::check`), but for an arena, which keeps its address itself.
            self.map_extra as u32,
            self.domain as u32, // DOMAIN
            (self.domain >> 32) as u32,
        ];
        let is_new = block.u32(0).load(Ordering::Relaxed) == 0;
        for (off, word) in (0..).step_by(4).zip(words) {
            if is_new {
                block.u32(off).store(word, Ordering::Relaxed);
            } else if ![REPAIR, FROZEN].contains(&off) && block.u32(off).load(Ordering::Relaxed) != word {
                return Err(Errno::EINVAL);
            }
        }
        Ok(block)
    }
}

/// Why a key is no index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadIndex {
    /// At or past `max_entries`.
    Outside,
    /// Not 4 bytes.
    Length,
}

/// The key after `key` in a map of indices (kernel: `array_map_get_next_key`).
pub(crate) fn next_index(g: &Geometry, key: Option<crate::Bytes<'_>>, out: &mut [u8]) -> Result<(), Errno> {
    let index = match key {
        None => 0,
        Some(key) => match g.index(key) {
            Ok(i) if i == g.max_entries - 1 => return Err(Errno::ENOENT),
            Ok(i) => i + 1,
            Err(BadIndex::Outside) => 0,
            Err(BadIndex::Length) => return Err(Errno::EINVAL),
        },
    };
    out.copy_from_slice(&index.to_ne_bytes());
    Ok(())
}
