//! Cells of 8 bytes by index or by key: what devmaps, cpumaps, sockmaps and their hashes keep. 0 is an empty cell.

use skep_abi::{MapFlags, MapType};
use skep_spec::Errno;

use crate::geometry::{BadIndex, Geometry, HEADER_LEN, next_index};
use crate::hash::Hash;
use crate::map::Ops;
use crate::mem::{Block, Bytes, Memory};
use crate::sync::{Ordering, Owner};

/// Bytes of a cell.
const CELL: usize = 8;

pub(crate) enum Cells {
    /// `base`: offset of the first cell, a multiple of a page.
    Array {
        geometry: Geometry,
        metadata: Block,
        base: usize,
    },
    Hash(Hash),
}

impl Cells {
    pub fn new(geometry: Geometry, memory: &dyn Memory) -> Result<Self, Errno> {
        if matches!(geometry.kind, MapType::DEVMAP_HASH | MapType::SOCKHASH) {
            // A cell has both its words, whatever the map's values show of it, which the header keeps.
            let flags = MapFlags(geometry.flags.0 | MapFlags::NO_PREALLOC);
            let map_extra = geometry.value_size as u64;
            let cells = Geometry { value_size: CELL, stride: CELL, map_extra, flags, ..geometry };
            return Hash::new(cells, memory).map(Self::Hash);
        }
        let base = geometry.pages(HEADER_LEN).ok_or(Errno::ENOMEM)?;
        let len = (geometry.max_entries as usize).checked_mul(CELL).and_then(|n| geometry.pages(n));
        let len = len.and_then(|n| n.checked_add(base)).ok_or(Errno::ENOMEM)?;
        let metadata = geometry.metadata(memory, len, base)?;
        Ok(Self::Array { geometry, metadata, base })
    }

    /// The hash that the cells are in.
    pub fn hash(&self) -> Option<&Hash> {
        match self {
            Self::Array { .. } => None,
            Self::Hash(hash) => Some(hash),
        }
    }

    /// The offset of the cell of an index.
    fn cell(geometry: &Geometry, base: usize, key: Bytes<'_>) -> Option<usize> {
        geometry.index(key).ok().map(|index| base + index as usize * CELL)
    }

    /// The words of a cell that is not empty.
    pub fn get(&self, key: Bytes<'_>) -> Option<[u32; 2]> {
        let words = match self {
            Self::Array { geometry, metadata, base } => {
                let at = Self::cell(geometry, *base, key)?;
                [at, at + 4].map(|at| metadata.u32(at).load(Ordering::Acquire))
            }
            Self::Hash(hash) => {
                let mut cell = [0; CELL];
                hash.lookup_copy(key, &mut cell).ok()?;
                let [a, b, c, d, e, f, g, h] = cell;
                [u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h])]
            }
        };
        (words != [0, 0]).then_some(words)
    }

    /// The address of a cell that is not empty.
    pub fn address(&self, key: Bytes<'_>, cpu: u32) -> Option<u64> {
        match self {
            Self::Array { geometry, metadata, base } => {
                let at = Self::cell(geometry, *base, key)?;
                self.get(key).map(|_| metadata.addr(at))
            }
            Self::Hash(hash) => hash.lookup(key, cpu),
        }
    }

    /// Fills a cell.
    ///
    /// # Errors
    /// `E2BIG` an index outside, or a hash that is full.
    pub fn put(&self, key: Bytes<'_>, words: [u32; 2]) -> Result<(), Errno> {
        match self {
            Self::Array { geometry, metadata, base } => {
                let at = Self::cell(geometry, *base, key).ok_or(Errno::E2BIG)?;
                metadata.u32(at + 4).store(words[1], Ordering::Relaxed);
                metadata.u32(at).store(words[0], Ordering::Release);
                Ok(())
            }
            Self::Hash(hash) => {
                let mut cell = [0; CELL];
                cell[..4].copy_from_slice(&words[0].to_ne_bytes());
                cell[4..].copy_from_slice(&words[1].to_ne_bytes());
                hash.update_from_host(key, (&cell).into(), 0)
            }
        }
    }

    /// Empties a cell; whether there was something.
    ///
    /// # Errors
    /// `EINVAL` an index outside; `EBUSY`.
    pub fn take(&self, key: Bytes<'_>) -> Result<bool, Errno> {
        match self {
            Self::Array { geometry, metadata, base } => {
                let at = Self::cell(geometry, *base, key).ok_or(Errno::EINVAL)?;
                let old = [at, at + 4].map(|at| metadata.u32(at).swap(0, Ordering::AcqRel));
                Ok(old != [0, 0])
            }
            Self::Hash(hash) => match hash.delete(key, Owner::HOST) {
                Err(Errno::ENOENT) => Ok(false),
                done => done.map(|()| true),
            },
        }
    }

    pub fn next_key(&self, key: Option<Bytes<'_>>, out: &mut [u8]) -> Result<(), Errno> {
        match self {
            Self::Array { geometry, .. } => next_index(geometry, key, out),
            Self::Hash(hash) => hash.next_key(key, out),
        }
    }

    /// Whether an array has the index.
    pub fn has_index(&self, key: Bytes<'_>) -> bool {
        match self {
            Self::Array { geometry, .. } => geometry.index(key) != Err(BadIndex::Outside),
            Self::Hash(_) => true,
        }
    }

    /// Memory of the cells, by address and length.
    pub fn area(&self) -> (u64, usize) {
        match self {
            Self::Array { geometry, metadata, base } => {
                (metadata.addr(*base), geometry.max_entries as usize * CELL)
            }
            Self::Hash(hash) => hash.area().range(),
        }
    }

    /// Bytes from one cell to the next.
    pub fn step(&self) -> usize {
        match self {
            Self::Array { .. } => CELL,
            Self::Hash(hash) => hash.area().step,
        }
    }

    pub fn metadata(&self) -> &Block {
        match self {
            Self::Array { metadata, .. } => metadata,
            Self::Hash(hash) => hash.metadata(),
        }
    }
}
