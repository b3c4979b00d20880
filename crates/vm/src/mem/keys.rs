//! Keys of maps that callbacks are called with: readable while the callback runs.

use super::span::{Name, Tag};
use super::{FRAMES, Mem, STACK_BYTES, Span, Word, pointer};
use crate::callback::Iteration;

/// Bytes of an array's index.
const INDEX_BYTES: usize = 4;
/// Bytes above the stack for an array's index or a dynptr.
const PLACE_BYTES: usize = 16;
/// Bytes above the stack: a place for each frame.
pub(super) const BYTES: usize = PLACE_BYTES * FRAMES;

/// By frame, the key that its function was called back with: address and length.
pub(super) type Keys = [(u64, u64); FRAMES];

pub(super) const NONE: Keys = [(0, 0); FRAMES];

impl Mem<'_> {
    /// The calls of the function in frame `depth`, which is one that a helper calls back.
    pub(crate) fn iteration(&self, depth: usize) -> Iteration {
        self.scratch.iterations[depth]
    }

    /// Keeps how far the calls of the function in frame `depth` are.
    pub(crate) fn set_iteration(&mut self, depth: usize, iteration: Iteration) {
        self.scratch.iterations[depth] = iteration;
    }

    /// Notes whether the function in frame `depth` is called with samples of a user ring buffer.
    pub(crate) fn set_draining(&mut self, depth: usize, drains: bool) {
        self.drains = self.drains & !(1 << depth) | u64::from(drains) << depth;
    }

    /// Whether the function in frame `depth` is called with samples of a user ring buffer.
    pub(crate) fn is_draining(&self, depth: usize) -> bool {
        self.drains >> depth & 1 != 0
    }

    /// Whether any is in the frames from `depth` on.
    #[inline(always)]
    pub(crate) fn drains_from(&self, depth: usize) -> bool {
        self.drains >> depth != 0
    }

    /// Lets the function in frame `depth` read an array's index; gives its address.
    pub(crate) fn grant_index(&mut self, depth: usize, index: u32) -> u64 {
        let addr = self.place(depth);
        // SAFETY: the frame's PLACE_BYTES above the stack are lent with it, and nobody else is granted them for stores.
        unsafe { u32::store(pointer(addr), index.into()) };
        self.grant_key(depth, addr, INDEX_BYTES as u32)
    }

    /// Lets the function in frame `depth` read a dynptr, by its words; gives its address.
    pub(crate) fn grant_dynptr(&mut self, depth: usize, words: [u64; 2]) -> u64 {
        let addr = self.place(depth);
        for (at, word) in (addr..).step_by(8).zip(words) {
            // SAFETY: as in `grant_index`.
            unsafe { u64::store(pointer(at), word) };
        }
        self.grant_key(depth, addr, PLACE_BYTES as u32)
    }

    /// The place of frame `depth` above the stack.
    fn place(&self, depth: usize) -> u64 {
        assert!(depth < FRAMES, "the interpreter counts frames");
        self.loan.stack.span.start + (STACK_BYTES + depth * PLACE_BYTES) as u64
    }

    /// Lets the function in frame `depth` read a key of a map that its program is bound to; gives its address.
    pub(crate) fn grant_key(&mut self, depth: usize, addr: u64, len: u32) -> u64 {
        self.scratch.keys[depth] = (addr, len.into());
        self.keys |= 1 << depth;
        self.forget();
        addr
    }

    /// The function in frame `depth` has no key any more.
    pub(crate) fn take_key(&mut self, depth: usize) {
        self.keys &= !(1 << depth);
        self.forget();
    }

    /// The keys that are granted, to be read.
    pub(super) fn keys(&self) -> impl Iterator<Item = Span> + Clone {
        let granted = (0..FRAMES).filter(|depth| self.keys >> depth & 1 != 0);
        granted.map(|depth| {
            let (start, len) = self.scratch.keys[depth];
            Span { start, len, tag: Tag::new(Name::Key, true, false) }
        })
    }
}
