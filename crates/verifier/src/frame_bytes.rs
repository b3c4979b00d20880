//! Sets of bytes of a stack frame.

use core::fmt;

use crate::limits;

/// Bytes of a function's stack frame, each by its distance from the frame pointer: from -512 to -1.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct FrameBytes([u64; 8]);

/// Bytes of a frame.
const SIZE: i32 = limits::STACK as i32;

impl FrameBytes {
    /// None.
    pub const NONE: Self = Self([0; 8]);
    /// The whole frame.
    pub const ALL: Self = Self([!0; 8]);

    /// The bytes from `from` up to, but not including, `to`, as far as they are in a frame.
    pub fn range(from: i64, to: i64) -> Self {
        let mut set = Self::NONE;
        let clamp = |off: i64| off.clamp(-i64::from(SIZE), 0) as i32 + SIZE;
        let (mut at, to) = (clamp(from), clamp(to));
        while at < to {
            let (word, bit) = (at / 64, at % 64);
            let n = (64 - bit).min(to - at);
            let ones = if n == 64 { !0 } else { (1u64 << n) - 1 };
            set.0[word as usize] |= ones << bit;
            at += n;
        }
        set
    }

    /// Whether a byte is one of them.
    pub fn has(&self, off: i16) -> bool {
        let at = i32::from(off) + SIZE;
        (0..SIZE).contains(&at) && self.0[at as usize / 64] >> (at % 64) & 1 != 0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::NONE
    }

    /// Those of both.
    pub fn or(self, other: Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i] | other.0[i]))
    }

    /// Those that are in both.
    pub fn and(self, other: Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i] & other.0[i]))
    }

    /// Those that are not in the other.
    pub fn without(self, other: Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i] & !other.0[i]))
    }

    /// Runs of bytes, ascending: the first, and the one behind the last.
    pub fn ranges(&self) -> impl Iterator<Item = (i16, i16)> + '_ {
        let mut at = -(SIZE as i16);
        core::iter::from_fn(move || {
            while at < 0 && !self.has(at) {
                at += if self.0[(at + SIZE as i16) as usize / 64] == 0 {
                    64 - (at + SIZE as i16) % 64
                } else {
                    1
                };
            }
            if at >= 0 {
                return None;
            }
            let from = at;
            while at < 0 && self.has(at) {
                at += 1;
            }
            Some((from, at))
        })
    }

    /// The lowest byte.
    pub fn lowest(&self) -> Option<i16> {
        self.ranges().next().map(|(from, _)| from)
    }
}

impl fmt::Debug for FrameBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ranges()).finish()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn sets_hold_what_was_put_in() {
        for (from, to) in
            [(-8, 0), (-512, 0), (-512, -511), (-1, 0), (-70, -60), (-449, -447), (-300, -100), (0, 0)]
        {
            let set = FrameBytes::range(from, to);
            assert!(
                (-512..0).all(|off| set.has(off) == (from..to).contains(&i64::from(off))),
                "{from}..{to}"
            );
            let one = (from < to).then_some((from as i16, to as i16));
            assert_eq!(set.ranges().collect::<Vec<_>>(), Vec::from_iter(one));
            assert_eq!(set.lowest(), one.map(|(from, _)| from));
        }
        assert_eq!(FrameBytes::range(-600, 600), FrameBytes::ALL);
        assert!(!FrameBytes::ALL.has(0) && !FrameBytes::ALL.has(-513));
        let two = FrameBytes::range(-200, -190).or(FrameBytes::range(-8, -4));
        assert_eq!(two.ranges().collect::<Vec<_>>(), [(-200, -190), (-8, -4)]);
        assert_eq!(two.and(FrameBytes::range(-8, 0)), FrameBytes::range(-8, -4));
        assert_eq!(two.without(FrameBytes::range(-199, 0)), FrameBytes::range(-200, -199));
    }
}
