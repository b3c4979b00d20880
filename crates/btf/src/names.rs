//! Types by name: a look at every record of a kind takes long in a kernel's types.
//!
//! Idea: a table for each kind, by a hash of the name without the last `___flavour`; of records with one name, that with
//! the lowest index comes first. A table is made when the first type of its kind is asked for, and takes about as long
//! to make as two looks.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use once_cell::race::OnceBox;

use crate::Kind;
use crate::relo::essential;

/// From so many records on it is worth it.
const LARGE: usize = 4096;

/// Kinds that the five bits of a record may name.
const KINDS: usize = 32;

/// By kind, a table, or none yet.
#[derive(Default)]
pub(crate) struct Names([OnceBox<Table>; KINDS]);

/// Chains of records whose names have one hash, each ascending.
pub(crate) struct Table {
    /// By hash, the first link of the chain, one more than it is; 0 for none. A power of two of them.
    first: Box<[u32]>,
    links: Box<[Link]>,
}

struct Link {
    /// The record.
    index: u32,
    /// The next link, one more than it is; 0 ends a chain.
    next: u32,
}

impl Names {
    /// The table of a kind, if it is worth it. `names`: the names of its named records with their indices, ascending;
    /// `len` records there are of all kinds.
    pub(crate) fn table<'n, I: Iterator<Item = (usize, &'n [u8])>>(
        &self,
        kind: Kind,
        len: usize,
        names: impl FnOnce() -> I,
    ) -> Option<&Table> {
        let table = &self.0[kind as usize % KINDS];
        (len >= LARGE).then(|| table.get_or_init(|| Box::new(Table::new(names()))))
    }
}

impl Table {
    fn new<'n>(names: impl Iterator<Item = (usize, &'n [u8])>) -> Self {
        let hashed: Vec<(u32, u64)> =
            names.map(|(index, name)| (index as u32, hash(essential(name)))).collect();
        let mut first = vec![0; hashed.len().next_power_of_two()].into_boxed_slice();
        let mask = first.len() - 1;
        let mut links: Box<[Link]> =
            hashed.iter().map(|(index, _)| Link { index: *index, next: 0 }).collect();
        for (at, (_, hash)) in hashed.iter().enumerate().rev() {
            let begins = &mut first[*hash as usize & mask];
            links[at].next = core::mem::replace(begins, at as u32 + 1);
        }
        Self { first, links }
    }

    /// Indices of records that may have the name without their flavour, all that do among them, ascending.
    pub(crate) fn candidates(&self, name: &[u8]) -> impl Iterator<Item = usize> {
        let link = |at: u32| self.links.get((at as usize).checked_sub(1)?);
        let first = link(self.first[hash(name) as usize & (self.first.len() - 1)]);
        core::iter::successors(first, move |l| link(l.next)).map(|l| l.index as usize)
    }
}

/// Eight bytes at a time, each folded into both halves of what was before.
fn hash(name: &[u8]) -> u64 {
    let fold = |h: u64, word: u64| {
        let h = (h ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        h ^ h >> 32
    };
    let (words, rest) = name.as_chunks::<8>();
    let last = rest.iter().fold(0, |last, b| last << 8 | u64::from(*b));
    fold(words.iter().fold(0, |h, word| fold(h, u64::from_le_bytes(*word))), last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_name_comes_first() {
        let names: [&[u8]; 7] = [b"a", b"b", b"a", b"c", b"b", b"a___x", b"one_of_ten_bytes___x"];
        let table = Table::new(names.iter().copied().enumerate());
        let wanted: [(&[u8], &[usize]); 6] =
            [(b"a", &[0, 2]), (b"b", &[1, 4]), (b"c", &[3]), (b"a___x", &[5]), (names[6], &[6]), (b"d", &[])];
        for (name, wanted) in wanted {
            let found: Vec<usize> = table.candidates(essential(name)).filter(|i| names[*i] == name).collect();
            assert_eq!(found, wanted);
        }
        let flavours: Vec<usize> = table.candidates(b"a").filter(|i| essential(names[*i]) == b"a").collect();
        assert_eq!(flavours, [0, 2, 5]);
        assert!(table.candidates(b"one_of_ten_bytes").any(|i| i == 6));
    }
}
