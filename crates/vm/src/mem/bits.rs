//! What open iterators over bits walk: copies, since the memory that they were taken from may change.

use super::Mem;

/// Most words of an iterator (`BITS_ITER_NR_WORDS_MAX`).
pub(crate) const WORDS: usize = 511;
/// Iterators over more than one word that a run may have open at a time.
pub(super) const ITERATORS: usize = 2;

pub(super) type Bits = [[u64; WORDS]; ITERATORS];

pub(super) const NONE: Bits = [[0; WORDS]; ITERATORS];

impl Mem<'_> {
    /// A place for an iterator's words; `None` when all are taken.
    pub(crate) fn take_bits(&mut self) -> Option<usize> {
        let free = (0..ITERATORS).find(|at| self.bits >> at & 1 == 0)?;
        self.bits |= 1 << free;
        Some(free)
    }

    /// Gives a place back, if it is one.
    pub(crate) fn free_bits(&mut self, at: u64) {
        if at < ITERATORS as u64 {
            self.bits &= !(1 << at);
        }
    }

    /// The words in a place, if it is one that is taken.
    pub(crate) fn bits(&mut self, at: u64) -> Option<&mut [u64; WORDS]> {
        let at = usize::try_from(at).ok().filter(|&at| at < ITERATORS && self.bits >> at & 1 != 0)?;
        Some(&mut self.scratch.bits[at])
    }
}
