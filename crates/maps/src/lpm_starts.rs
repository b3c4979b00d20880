//! Where lookups in an LPM trie begin.
//!
//! The trie is binary: with thousands of prefixes a lookup from its root passes a dozen nodes. So there is a table beside it
//! with an entry for each value of the first bits of a key: the first node on the way that has so many bits or more, and the
//! last node before it that has a value. What the table says follows from the trie alone: writers fill in what they change,
//! and who repairs the trie fills it all.

use crate::lpm_trie::LpmTrie;
use crate::mem::Block;
use crate::sync::{AtomicU32, Ordering};

/// Bits at most: a prefix shorter than that is in many entries, which its writer has to fill.
const BITS_MAX: u32 = 12;
/// Bytes of an entry: two links.
const ENTRY: usize = 8;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Starts {
    /// Offset in the metadata.
    base: usize,
    /// Bits of a key that choose the entry.
    bits: u32,
}

/// Entries from a first one on.
#[derive(Clone, Copy)]
struct Range {
    first: u32,
    len: u32,
}

impl Range {
    fn end(self) -> u32 {
        self.first + self.len
    }

    /// What both have.
    fn and(self, other: Self) -> Self {
        let first = self.first.max(other.first);
        Self { first, len: self.end().min(other.end()).saturating_sub(first) }
    }
}

impl Starts {
    /// A table at `base`, a multiple of 8, of a trie of so many elements and bits; also the offset of its end.
    pub fn new(base: usize, max_entries: u32, max_prefix: u32) -> Option<(Self, usize)> {
        // An entry for 2 to 4 elements.
        let bits = max_entries.checked_ilog2()?.saturating_sub(1).min(BITS_MAX).min(max_prefix);
        Some((Self { base, bits }, base.checked_add(ENTRY << bits)?))
    }

    /// The links to the node where a key begins and to the best one before; the key's first bits are the most significant of
    /// `head`. `None` for a prefix that is too short for the table.
    #[inline]
    pub fn of<'m>(&self, m: &'m Block, head: u64, prefix: u32) -> Option<&'m [AtomicU32; 2]> {
        (prefix >= self.bits).then(|| self.entry(m, self.index(head)))
    }

    fn entry<'m>(&self, m: &'m Block, index: u32) -> &'m [AtomicU32; 2] {
        m.words(self.base + ENTRY * index as usize)
    }

    /// The entry of a key, below `1 << bits`.
    fn index(&self, head: u64) -> u32 {
        // Twice, since a shift by 64 is none.
        (head >> 32 >> (32 - self.bits)) as u32
    }

    /// The entries of all keys that a prefix begins.
    fn range(&self, head: u64, prefix: u32) -> Range {
        let len = 1 << self.bits.saturating_sub(prefix);
        Range { first: self.index(head) & !(len - 1), len }
    }

    /// Fills the entries that an element with this prefix has a part in, after the trie's links were changed; for prefix 0
    /// all of them. The trie is being written.
    pub fn fill(&self, trie: &LpmTrie, m: &Block, head: u64, prefix: u32) {
        let all = Range { first: 0, len: 1 << self.bits };
        self.fill_below(trie, m, trie.root(), 0, all, self.range(head, prefix));
    }

    /// Fills what both ranges have: what a link leads to has to do with the first only. `best` is the link to the last node
    /// above with a value.
    fn fill_below(&self, trie: &LpmTrie, m: &Block, link: u32, best: u32, below: Range, wanted: Range) {
        if below.and(wanted).len == 0 {
            return;
        }
        let set = |range: Range, start: u32| {
            let range = range.and(wanted);
            for index in range.first..range.end() {
                let [at, before] = self.entry(m, index);
                at.store(start, Ordering::Relaxed);
                before.store(best, Ordering::Relaxed);
            }
        };
        let Some((head, prefix)) = trie.prefix_of(link) else { return set(below, 0) };
        let own = self.range(head, prefix);
        if own.first < below.first || own.end() > below.end() {
            // Only a peer can have written that.
            return set(below, 0);
        }
        set(Range { first: below.first, len: own.first - below.first }, 0);
        set(Range { first: own.end(), len: below.end() - own.end() }, 0);
        if prefix >= self.bits {
            return set(own, link);
        }
        let best = if trie.is_element(link) { link } else { best };
        // At least two entries, since the prefix is shorter: each half is smaller than the range that we were given.
        let half = own.len / 2;
        for (bit, first) in [(0, own.first), (1, own.first + half)] {
            self.fill_below(trie, m, trie.child_of(link, bit), best, Range { first, len: half }, wanted);
        }
    }
}
