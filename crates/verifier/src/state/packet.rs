//! How a packet pointer stands to the packet's end.

use core::fmt;

/// What comparisons with the packet's end have shown (the kernel's `range`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Range {
    /// That many bytes from the variable part on are there.
    Bytes(u32),
    /// The address is the packet's end or lies behind it (the kernel's `AT_PKT_END`).
    AtEnd,
    /// The address lies behind the packet's end (`BEYOND_PKT_END`).
    BeyondEnd,
}

impl Range {
    /// The bytes that are known to be there. Through an address that is not in the packet Linux reads nothing,
    /// not even no bytes.
    pub(crate) fn bytes(self) -> Option<u32> {
        match self {
            Self::Bytes(n) => Some(n),
            Self::AtEnd | Self::BeyondEnd => None,
        }
    }

    /// `bytes` were shown to be there. What was known of the end is forgotten, as in `find_good_pkt_pointers`.
    pub(crate) fn or_more(self, bytes: u32) -> Self {
        Self::Bytes(self.bytes().map_or(bytes, |known| known.max(bytes)))
    }

    /// Whether whatever is decided by `self`, and every access that it allows, is so with `new` (`regsafe`).
    pub(crate) fn covers(self, new: Self) -> bool {
        match (self, new) {
            (Self::Bytes(old), Self::Bytes(new)) => old <= new,
            (old, new) => old == new,
        }
    }

    /// After a known number was added to the address. Bytes are counted from the variable part on, so they stay;
    /// what lies behind the end does so only if it moves on. (Linux 6.18 keeps it however the address moves.)
    pub(crate) fn moved(self, backwards: bool) -> Self {
        match self {
            Self::AtEnd | Self::BeyondEnd if backwards => Self::Bytes(0),
            _ => self,
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(n) => write!(f, "{n}"),
            Self::AtEnd => f.write_str("-1"),
            Self::BeyondEnd => f.write_str("-2"),
        }
    }
}
