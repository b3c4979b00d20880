//! What may be accessed: ranges of addresses, and those that were found last.

use crate::trap::Region;

/// What a span is, for traps: a byte, since spans are copied at every run.
#[derive(Clone, Copy)]
pub(crate) enum Name {
    Nothing,
    Stack,
    Context,
    Packet,
    Buffer,
    Values,
    Record,
}

impl Name {
    fn text(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Stack => "stack",
            Self::Context => "context",
            Self::Packet => "packet",
            Self::Buffer => "buffer",
            Self::Values => "map values",
            Self::Record => "record",
        }
    }
}

/// Addresses that may be accessed. Empty when `len` is 0.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) len: u64,
    pub(super) read: bool,
    pub(super) write: bool,
    pub(super) name: Name,
}

impl Span {
    pub(super) const EMPTY: Self = Self { start: 0, len: 0, read: false, write: false, name: Name::Nothing };

    /// Whether `size` (at least 1) bytes from `addr` lie inside; no sum can wrap around.
    #[inline(always)]
    pub(super) fn holds(&self, addr: u64, size: u64) -> bool {
        let off = addr.wrapping_sub(self.start);
        off < self.len && size <= self.len - off
    }

    #[inline(always)]
    pub(super) fn grants(&self, addr: u64, size: u64, write: bool) -> bool {
        self.holds(addr, size) && if write { self.write } else { self.read }
    }

    pub(super) fn region(&self) -> Option<Region> {
        let Self { start, len, read: _, write, name } = *self;
        (len > 0).then_some(Region { name: name.text(), start, len, write })
    }
}
