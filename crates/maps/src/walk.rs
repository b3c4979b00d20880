//! Walking a map element by element, as `bpf_for_each_map_elem` does.
//!
//! The walk holds no lock, and between two steps programs may change the map. As in the kernel: the element
//! after the current one is found before the current one is handed out, so that this may be deleted or replaced;
//! what is inserted meanwhile may be met or not; a key that others replace may be met twice.

use crate::map::{Kind, Map};

/// Where a walk stands. [`Walk::default`] is before the first element.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// Arrays: the next index. Hashes: the bucket that is walked.
    pub(crate) at: u64,
    /// Hashes: the link to the next element; `None` before the bucket's first.
    pub(crate) link: Option<u32>,
    /// Hashes: elements so far.
    pub(crate) met: u64,
}

/// An element, by the addresses of its parts, which stay readable memory as long as the map lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element {
    /// The key.
    pub key: Key,
    /// The value; for per-CPU kinds that of the CPU that walks.
    pub value: u64,
}

/// A key as the map has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The index of an array's element.
    Index(u32),
    /// The address of a hash's key.
    At(u64),
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// An element.
    Element(Element),
    /// None yet; the walk goes on.
    Nothing,
    /// There are no more.
    End,
}

impl Map {
    /// Whether the kind can be walked.
    pub fn can_walk(&self) -> bool {
        match &self.kind {
            Kind::Array(_) | Kind::PercpuArray(_) | Kind::Hash(_) => true,
            Kind::BloomFilter(_)
            | Kind::LpmTrie(_)
            | Kind::MapOfMaps(_)
            | Kind::PerfEventArray(_)
            | Kind::ProgArray(_)
            | Kind::Queue(_)
            | Kind::Ringbuf(_)
            | Kind::StackTrace(_)
            | Kind::StructOps(_)
            | Kind::Arena(_)
            | Kind::UserRingbuf(_)
            | Kind::Devices(_)
            | Kind::Sockets(_)
            | Kind::Storage(_) => false,
        }
    }

    /// The next element of a walk by a program that runs on `cpu`, after some steps at most; `End` at once for
    /// kinds that cannot be walked and CPUs that the map does not have.
    pub fn walk(&self, walk: &mut Walk, cpu: u32) -> Step {
        let index = match u32::try_from(walk.at) {
            Ok(index) if index < self.geometry.max_entries => index,
            _ if matches!(self.kind, Kind::Hash(_)) => 0,
            _ => return Step::End,
        };
        let value = match &self.kind {
            Kind::Hash(hash) => return hash.step(walk, cpu),
            Kind::Array(array) => Some(array.value(index)),
            Kind::PercpuArray(array) => array.value(index, cpu),
            Kind::BloomFilter(_)
            | Kind::LpmTrie(_)
            | Kind::MapOfMaps(_)
            | Kind::PerfEventArray(_)
            | Kind::ProgArray(_)
            | Kind::Queue(_)
            | Kind::Ringbuf(_)
            | Kind::StackTrace(_)
            | Kind::StructOps(_)
            | Kind::Arena(_)
            | Kind::UserRingbuf(_)
            | Kind::Devices(_)
            | Kind::Sockets(_)
            | Kind::Storage(_) => None,
        };
        walk.at += 1;
        value.map_or(Step::End, |value| Step::Element(Element { key: Key::Index(index), value }))
    }
}
