//! Ids by hash: chains through arrays, one entry for each id at most.

use alloc::vec;
use alloc::vec::Vec;
use core::hash::Hasher;

/// No id.
const NONE: u32 = u32::MAX;

pub(super) struct Table {
    /// The newest id of each bucket; a power of two of them.
    heads: Vec<u32>,
    /// The id before, by id.
    next: Vec<u32>,
    /// By id.
    hashes: Vec<u64>,
}

impl Table {
    /// For ids below `len`.
    pub(super) fn new(len: usize) -> Self {
        let buckets = len.next_power_of_two().max(16);
        Self { heads: vec![NONE; buckets], next: vec![NONE; len], hashes: vec![0; len] }
    }

    fn bucket(&self, hash: u64) -> usize {
        (hash >> 32 ^ hash) as usize & (self.heads.len() - 1)
    }

    /// Adds an id that is not there.
    pub(super) fn insert(&mut self, hash: u64, id: u32) {
        let bucket = self.bucket(hash);
        self.hashes[id as usize] = hash;
        self.next[id as usize] = core::mem::replace(&mut self.heads[bucket], id);
    }

    /// The newest id with this hash.
    pub(super) fn first(&self, hash: u64) -> Option<u32> {
        self.same(self.heads[self.bucket(hash)], hash)
    }

    /// The next older id with the hash of this one.
    pub(super) fn after(&self, id: u32) -> Option<u32> {
        self.same(self.next[id as usize], self.hashes[id as usize])
    }

    fn same(&self, mut id: u32, hash: u64) -> Option<u32> {
        while id != NONE && self.hashes[id as usize] != hash {
            id = self.next[id as usize];
        }
        (id != NONE).then_some(id)
    }
}

/// A quick hash of words. Input that was made to collide costs time, which is bounded elsewhere.
#[derive(Default)]
pub(super) struct Quick(u64);

impl Quick {
    fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for Quick {
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 29
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|w| self.add(u64::from_le_bytes(*w)));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.add(u64::from_le_bytes(last) ^ (bytes.len() as u64) << 56);
    }

    fn write_u8(&mut self, v: u8) {
        self.add(v.into());
    }

    fn write_u32(&mut self, v: u32) {
        self.add(v.into());
    }

    fn write_u64(&mut self, v: u64) {
        self.add(v);
    }

    fn write_usize(&mut self, v: usize) {
        self.add(v as u64);
    }
}
