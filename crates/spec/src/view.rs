//! A value of a map where it stands: read and written in place, while programs do the same.
//!
//! Nobody owns the bytes, so nothing here gives a reference to them: numbers of 1, 2, 4 and 8 bytes are read and written at
//! once where they are aligned, and longer pieces word by word.

use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, Ordering};

#[cfg(target_has_atomic = "64")]
use core::sync::atomic::AtomicU64;

use crate::Error;

/// What is done to a number at once; what was there before is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Adds, wrapping around.
    Add(u64),
    /// Bitwise and.
    And(u64),
    /// Bitwise or.
    Or(u64),
    /// Bitwise exclusive or.
    Xor(u64),
    /// Puts another in its place.
    Swap(u64),
    /// Puts `new` in its place if it is `expected`.
    CompareSwap {
        /// What must be there.
        expected: u64,
        /// What will be.
        new: u64,
    },
}

/// A value of a map where it stands. The memory stays while the view lives, whatever becomes of the element.
pub trait ValueMemory: Send + Sync {
    /// Bytes of the value.
    fn len(&self) -> usize;
    /// Whether there are none.
    fn is_empty(&self) -> bool;
    /// Whether the memory is still that of its key's value. An array's always is; in a hash not when the element was
    /// deleted or replaced, and then it may be another element's.
    fn is_current(&self) -> bool;
    /// A number of `width` bytes, with what was written before it (acquire).
    ///
    /// # Errors
    /// `EINVAL` outside the value, for a width that is not 1, 2, 4 or 8, and for an offset that is no multiple of it;
    /// `EPERM` for what only programs may touch (locks, timers, pointers), and for maps with `BPF_F_WRONLY`.
    fn load(&self, off_bytes: usize, width: usize) -> Result<u64, Error>;
    /// Stores a number of `width` bytes, behind what was written before it (release).
    ///
    /// # Errors
    /// As [`Self::load`]; `EPERM` when the map is frozen or read-only.
    fn store(&self, off_bytes: usize, width: usize, number: u64) -> Result<(), Error>;
    /// Changes a number of `width` bytes at once; gives what was there.
    ///
    /// # Errors
    /// As [`Self::store`]; `ENOTSUPP` on machines that cannot do it in that width.
    fn change(&self, off_bytes: usize, width: usize, change: Change) -> Result<u64, Error>;
    /// Copies bytes out, word by word; zeros for what only programs may touch.
    ///
    /// # Errors
    /// `EINVAL` outside the value; `EPERM` for maps with `BPF_F_WRONLY`.
    fn read(&self, off_bytes: usize, out: &mut [u8]) -> Result<(), Error>;
    /// Copies bytes in, word by word, but for what only programs may touch.
    ///
    /// # Errors
    /// `EINVAL` outside the value; `EPERM` when the map is frozen or read-only.
    fn write(&self, off_bytes: usize, bytes: &[u8]) -> Result<(), Error>;
}

/// An aligned number in memory that others write.
#[derive(Clone, Copy, Debug)]
pub enum Cell<'m> {
    /// A byte.
    U8(&'m AtomicU8),
    /// Two bytes.
    U16(&'m AtomicU16),
    /// Four bytes.
    U32(&'m AtomicU32),
    /// Eight bytes.
    #[cfg(target_has_atomic = "64")]
    U64(&'m AtomicU64),
}

/// Evaluates an expression of each arm's cell `c` and its type `T`.
macro_rules! of_width {
    ($cell:expr, $c:ident, $t:ident => $e:expr) => {
        match $cell {
            Cell::U8($c) => {
                type $t = u8;
                $e
            }
            Cell::U16($c) => {
                type $t = u16;
                $e
            }
            Cell::U32($c) => {
                type $t = u32;
                $e
            }
            #[cfg(target_has_atomic = "64")]
            Cell::U64($c) => {
                type $t = u64;
                $e
            }
        }
    };
}

#[allow(
    clippy::useless_conversion,
    clippy::unnecessary_cast,
    reason = "one of the widths is that of the number"
)]
impl Cell<'_> {
    /// The number, zero-extended.
    pub fn load(self) -> u64 {
        of_width!(self, c, T => { let v: T = c.load(Ordering::Acquire); u64::from(v) })
    }

    /// Stores the low bytes of a number.
    pub fn store(self, v: u64) {
        of_width!(self, c, T => c.store(v as T, Ordering::Release));
    }

    /// Changes the number; gives what was there, zero-extended.
    pub fn change(self, change: Change) -> u64 {
        const ORDER: Ordering = Ordering::SeqCst;
        of_width!(self, c, T => {
            u64::from(match change {
                Change::Add(v) => c.fetch_add(v as T, ORDER),
                Change::And(v) => c.fetch_and(v as T, ORDER),
                Change::Or(v) => c.fetch_or(v as T, ORDER),
                Change::Xor(v) => c.fetch_xor(v as T, ORDER),
                Change::Swap(v) => c.swap(v as T, ORDER),
                Change::CompareSwap { expected, new } => c
                    .compare_exchange(expected as T, new as T, ORDER, ORDER)
                    .unwrap_or_else(|old| old),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_those_of_the_width() {
        let cell = AtomicU16::new(0xffff);
        let number = Cell::U16(&cell);
        assert_eq!((number.change(Change::Add(0x1_0002)), number.load()), (0xffff, 1));
        assert_eq!((number.change(Change::Or(0x10)), number.load()), (1, 0x11));
        assert_eq!((number.change(Change::And(0x1f0)), number.load()), (0x11, 0x10));
        assert_eq!((number.change(Change::Xor(0x30)), number.load()), (0x10, 0x20));
        assert_eq!((number.change(Change::Swap(7)), number.load()), (0x20, 7));
        let other = Change::CompareSwap { expected: 8, new: 9 };
        assert_eq!((number.change(other), number.load()), (7, 7));
        let same = Change::CompareSwap { expected: 7, new: 9 };
        assert_eq!((number.change(same), number.load()), (7, 9));
        number.store(0x2_0003);
        assert_eq!(number.load(), 3);
    }
}
