//! Types by name, for whoever asks often: a look at every record takes a fraction of a millisecond for a kernel's types.
//!
//! A table of the named records by a hash of their names, with linear probing: of records with one name, that with the
//! lowest index comes first. It is made when it has become worth it.

use alloc::boxed::Box;
use alloc::vec;
use core::sync::atomic::{AtomicU32, Ordering};

use once_cell::race::OnceBox;

/// From so many records on.
const LARGE: usize = 4096;

/// Questions that are answered by a look at every record: the table takes about as long to make.
const PATIENCE: u32 = 6;

/// A table, or none yet.
#[derive(Default)]
pub(crate) struct Names {
    asked: AtomicU32,
    table: OnceBox<Table>,
}

/// Indices of records, one more than they are; 0 is empty. A power of two of them, at most half of them in use.
pub(crate) struct Table(Box<[u32]>);

impl Names {
    /// The table, if there is one or it is worth it. `names`: the names of all named records with their indices,
    /// ascending; `len` records there are.
    pub(crate) fn table<'n, I: Iterator<Item = (usize, &'n [u8])>>(
        &self,
        len: usize,
        names: impl FnOnce() -> I,
    ) -> Option<&Table> {
        if let Some(table) = self.table.get() {
            return Some(table);
        }
        // Whether a question is counted twice or not at all does not matter.
        let asked = self.asked.load(Ordering::Relaxed);
        self.asked.store(asked.saturating_add(1), Ordering::Relaxed);
        if len < LARGE || asked < PATIENCE {
            return None;
        }
        Some(self.table.get_or_init(|| Box::new(Table::new(len, names()))))
    }
}

impl Table {
    fn new<'n>(len: usize, names: impl Iterator<Item = (usize, &'n [u8])>) -> Self {
        let mut slots = vec![0; (2 * len).next_power_of_two()].into_boxed_slice();
        for (index, name) in names {
            let mut at = hash(name) as usize & (slots.len() - 1);
            while slots[at] != 0 {
                at = (at + 1) & (slots.len() - 1);
            }
            slots[at] = index as u32 + 1;
        }
        Self(slots)
    }

    /// Indices of records that may have the name, all that do among them, those of one name ascending.
    pub(crate) fn candidates(&self, name: &[u8]) -> impl Iterator<Item = usize> {
        let mask = self.0.len() - 1;
        let first = hash(name) as usize & mask;
        let probes = (0..self.0.len()).map(move |i| self.0[(first + i) & mask]);
        probes.take_while(|slot| *slot != 0).map(|slot| slot as usize - 1)
    }
}

/// FNV-1a.
fn hash(name: &[u8]) -> u64 {
    name.iter().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn the_first_of_a_name_comes_first() {
        let names: [&[u8]; 5] = [b"a", b"b", b"a", b"c", b"b"];
        let table = Table::new(5, names.iter().copied().enumerate());
        for (name, wanted) in [(b"a", [0, 2].as_slice()), (b"b", &[1, 4]), (b"c", &[3]), (b"d", &[])] {
            let found: Vec<usize> = table.candidates(name).filter(|i| names[*i] == name).collect();
            assert_eq!(found, wanted);
        }
    }
}
