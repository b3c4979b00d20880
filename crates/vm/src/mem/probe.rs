//! Copies from addresses that need not be anything: what the `probe_read` helpers do.

use super::{Mem, Span, Word, pointer};

/// Whose memory is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// Everything that the run may read.
    Any,
    /// What the caller has lent beside context and packet.
    User,
}

impl Mem<'_> {
    /// Whether the program may write all of these bytes.
    pub(crate) fn writable(&mut self, addr: u64, len: u64) -> bool {
        len == 0 || self.find(addr, len, true)
    }

    /// The readable bytes from an address to the end of the memory that it lies in; 0 when it lies in none.
    pub(crate) fn readable(&self, addr: u64, of: Probe) -> u64 {
        let span = match of {
            Probe::Any => self.granting(addr, 1, false),
            Probe::User => {
                let mut lent = self.loan.buffers.iter().map(|b: &super::Lent<'_>| &b.span);
                lent.find(|s: &&Span| s.grants(addr, 1, false)).copied()
            }
        };
        span.map_or(0, |s| s.len - (addr - s.start))
    }

    /// Copies `len` bytes; `Some(false)` and nothing written when not all, or not even one, can be read, `None` when the program
    /// may not write to the destination.
    pub(crate) fn probe_copy(&mut self, from: u64, len: u64, to: u64, of: Probe) -> Option<bool> {
        if !self.writable(to, len) {
            return None;
        }
        if self.readable(from, of) < len.max(1) {
            return Some(false);
        }
        let mut copy = |i: u64| {
            // SAFETY: `readable` has said that `from..from + len` lies in a granted span, `writable` that
            // `to..to + len` does; spans live as said in `Mem::load`.
            unsafe { u8::store(pointer(to + i), u8::load(pointer(from + i))) };
        };
        // The parts may overlap.
        match to <= from {
            true => (0..len).for_each(&mut copy),
            false => (0..len).rev().for_each(&mut copy),
        }
        Some(true)
    }

    /// Copies a string up to its NUL, at most `size` bytes of which the last is then made NUL; gives the bytes
    /// written. `Some(0)` when the end of readable memory comes before that, `None` when the program may not write
    /// to the destination. `size` is at least 1.
    pub(crate) fn probe_string(&mut self, from: u64, size: u64, to: u64, of: Probe) -> Option<u64> {
        if !self.writable(to, size) {
            return None;
        }
        let there = self.readable(from, of);
        for i in 0..size.min(there) {
            // SAFETY: as in `probe_copy`: `i` is below both lengths.
            let byte = unsafe { u8::load(pointer(from + i)) };
            let last = i == size - 1;
            // SAFETY: as above.
            unsafe { u8::store(pointer(to + i), if last { 0 } else { byte }) };
            if byte == 0 || last {
                return Some(i + 1);
            }
        }
        Some(0)
    }

    /// A byte that the program may read.
    pub(crate) fn byte(&mut self, addr: u64) -> Option<u8> {
        self.load::<u8>(addr).map(|b| b as u8)
    }
}
