//! What may be accessed: ranges of addresses, and those that were found last.

use crate::trap::Region;

/// What a span is, for traps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Nothing,
    Stack,
    Context,
    Packet,
    Buffer,
    Values,
    Record,
    Key,
    Objects,
}

impl Name {
    const ALL: [Self; 9] = [
        Self::Nothing,
        Self::Stack,
        Self::Context,
        Self::Packet,
        Self::Buffer,
        Self::Values,
        Self::Record,
        Self::Key,
        Self::Objects,
    ];

    fn text(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Stack => "stack",
            Self::Context => "context",
            Self::Packet => "packet",
            Self::Buffer => "buffer",
            Self::Values => "map values",
            Self::Record => "record",
            Self::Key => "key",
            Self::Objects => "objects",
        }
    }
}

/// What a span is and grants, in one word: spans are made and copied at every run, and a copy of small parts
/// that were just written waits for each of them.
///
/// ```text
///  63 ... 40 | 39 ... 16 | 15 ... 8 | 7 ... 2 |   1   |  0
///    step    |   part    |   name   |    0    | write | read
/// ```
///
/// Where `step` is not 0, only the first `part` of each `step` words of 8 bytes are granted: values of a map with something
/// else between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag(u64);

impl Tag {
    const READ: u64 = 1;
    const WRITE: u64 = 2;
    /// Words of a step and of a part are fewer.
    const PARTS: u32 = 1 << 24;

    #[inline(always)]
    pub(super) const fn new(name: Name, read: bool, write: bool) -> Self {
        Self((name as u64) << 8 | (write as u64 * Self::WRITE) | (read as u64 * Self::READ))
    }

    #[inline(always)]
    pub(super) const fn grants(self, write: bool) -> bool {
        self.0 & (if write { Self::WRITE } else { Self::READ }) != 0
    }

    /// The same, of which the first `part` of each `step` bytes are granted, multiples of 8; nothing where they are too
    /// many to be told.
    pub(super) fn in_parts(self, step: usize, part: usize) -> Self {
        match (u32::try_from(step / 8), u32::try_from(part / 8)) {
            (Ok(step @ 1..Self::PARTS), Ok(part @ 1..Self::PARTS)) => {
                Self(self.0 | u64::from(step) << 40 | u64::from(part) << 16)
            }
            _ => Self::new(Name::Nothing, false, false),
        }
    }

    /// `step` and `part` in bytes, where only parts are granted.
    #[inline(always)]
    fn parts(self) -> Option<(u64, u64)> {
        let step = self.0 >> 40;
        (step != 0).then_some((8 * step, 8 * (self.0 >> 16 & (u64::from(Self::PARTS) - 1))))
    }

    /// The same with or without stores.
    #[inline(always)]
    pub(super) const fn with_write(self, write: bool) -> Self {
        Self(self.0 & !Self::WRITE | (write as u64 * Self::WRITE))
    }

    pub(super) fn name(self) -> Name {
        Name::ALL.get((self.0 >> 8 & 0xff) as usize).copied().unwrap_or(Name::Nothing)
    }
}

/// Addresses that may be accessed. Empty when `len` is 0.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) len: u64,
    pub(super) tag: Tag,
}

impl Span {
    pub(super) const EMPTY: Self = Self { start: 0, len: 0, tag: Tag::new(Name::Nothing, false, false) };

    /// Whether `size` (at least 1) bytes from `addr` lie inside; no sum can wrap around.
    #[inline(always)]
    pub(super) fn holds(&self, addr: u64, size: u64) -> bool {
        let off = addr.wrapping_sub(self.start);
        off < self.len && size <= self.len - off
    }

    #[inline(always)]
    pub(super) fn grants(&self, addr: u64, size: u64, write: bool) -> bool {
        self.holds(addr, size) && self.tag.grants(write) && self.in_part(addr, size)
    }

    /// Whether bytes that lie inside lie in one part, if there are parts.
    #[inline(always)]
    fn in_part(&self, addr: u64, size: u64) -> bool {
        let Some((step, part)) = self.tag.parts() else { return true };
        let off = (addr - self.start) % step;
        off < part && size <= part - off
    }

    /// The part that an address lies in, if there are parts: what is granted around it.
    #[inline(always)]
    pub(super) fn around(&self, addr: u64) -> Self {
        match self.tag.parts() {
            Some((step, part)) if self.holds(addr, 1) => {
                let tag = Tag(self.tag.0 & 0xffff);
                Self { start: addr - (addr - self.start) % step, len: part, tag }
            }
            _ => *self,
        }
    }

    pub(super) fn region(&self) -> Option<Region> {
        let Self { start, len, tag } = *self;
        (len > 0).then_some(Region { name: tag.name().text(), start, len, write: tag.grants(true) })
    }
}

/// A span that was found, by what a look at it needs: the question for 8 bytes or less is one comparison.
///
/// Only spans of at least 8 bytes are remembered, so that no subtraction below wraps around.
#[derive(Clone, Copy)]
pub(super) struct Recent {
    start: u64,
    /// Bytes of the span less 8.
    room: u64,
}

impl Recent {
    /// Of a span without parts that grants loads or stores; `None` when it does not, or is too short to be remembered.
    #[inline(always)]
    pub(super) fn of(span: &Span, write: bool) -> Option<Self> {
        let whole = span.tag.grants(write) && span.tag.parts().is_none();
        let room = span.len.checked_sub(8).filter(|_| whole)?;
        Some(Self { start: span.start, room })
    }

    /// Whether `size` bytes (1 to 8) from `addr` lie inside.
    #[inline(always)]
    pub(super) fn holds(&self, addr: u64, size: u64) -> bool {
        addr.wrapping_sub(self.start) <= self.room + (8 - size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The short question has the long one's answer, for every size around both ends of spans of every kind.
    #[test]
    fn recent_spans_grant_what_their_spans_do() {
        for (start, len) in
            [(0x1000, 8), (0x1000, 9), (0x1001, 15), (0x1000, 4096), (u64::MAX - 99, 64), (0, 8)]
        {
            for (read, write) in [(true, true), (true, false), (false, true), (false, false)] {
                let span = Span { start, len, tag: Tag::new(Name::Buffer, read, write) };
                for store in [false, true] {
                    let recent = Recent::of(&span, store);
                    assert_eq!(recent.is_some(), if store { write } else { read });
                    for (base, d) in
                        [start, start + len, 0].into_iter().flat_map(|b| (-20..20).map(move |d| (b, d)))
                    {
                        let addr = base.wrapping_add_signed(d);
                        for size in 1..=8 {
                            let granted = recent.is_some_and(|r| r.holds(addr, size));
                            assert_eq!(
                                granted,
                                span.grants(addr, size, store),
                                "{size} at {addr:#x} of {start:#x}+{len}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn tags_keep_what_they_are_made_of() {
        for name in Name::ALL {
            for (read, write) in [(true, true), (true, false), (false, true), (false, false)] {
                let tag = Tag::new(name, read, write);
                assert_eq!((tag.name(), tag.grants(false), tag.grants(true)), (name, read, write));
                for other in [true, false] {
                    assert_eq!(tag.with_write(other), Tag::new(name, read, other));
                }
            }
        }
    }

    /// Between values nothing is granted, and no access goes from one to the next.
    #[test]
    fn parts_are_granted_one_by_one() {
        let whole = Tag::new(Name::Values, true, false);
        let span = Span { start: 0x1000, len: 2 * 64 + 16, tag: whole.in_parts(64, 16) };
        assert!(Recent::of(&span, false).is_none(), "not remembered whole");
        for addr in 0x1000 - 70..0x1000 + 3 * 64 + 70u64 {
            for size in [1, 2, 4, 8, 16, 17, 64] {
                let off = addr.wrapping_sub(0x1000);
                let inside = off < span.len && off % 64 + size <= 16;
                assert_eq!(span.grants(addr, size, false), inside, "{size} at {addr:#x}");
                assert!(!span.grants(addr, size, true));
                if inside && size <= 8 {
                    let around = span.around(addr);
                    assert_eq!((around.start, around.len), (0x1000 + off / 64 * 64, 16));
                    assert!(Recent::of(&around, false).expect("a value").holds(addr, size));
                    assert!(!around.grants(around.start + 16, 1, false));
                }
            }
        }
        assert_eq!((span.tag.name(), whole.in_parts(0, 8).name()), (Name::Values, Name::Nothing));
        let more = 8 << 24;
        assert!(!whole.in_parts(more, 8).grants(false), "too many to be told");
    }

    #[test]
    fn short_spans_are_not_remembered() {
        for len in 0..8 {
            let span = Span { start: 0x1000, len, tag: Tag::new(Name::Buffer, true, true) };
            assert!(Recent::of(&span, false).is_none() && Recent::of(&span, true).is_none());
        }
    }
}
