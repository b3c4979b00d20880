//! Sets of registers.

use core::fmt;

use crate::Reg;

/// A set of registers 0–15.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct RegSet(u16);

impl RegSet {
    /// No register.
    pub const EMPTY: Self = Self(0);

    /// The set of the registers whose bits are set: bit n is register n.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// Bit n tells whether register n is in the set.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// The set with one more register. Register numbers above 15 do not exist and are left out.
    #[must_use]
    pub const fn with(self, reg: Reg) -> Self {
        if reg.0 < 16 { Self(self.0 | 1 << reg.0) } else { self }
    }

    /// The registers in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The registers of this set that are not in the other.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether the register is in the set.
    pub const fn contains(self, reg: Reg) -> bool {
        reg.0 < 16 && self.0 >> reg.0 & 1 != 0
    }

    /// Whether the set has no register.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The registers in ascending order.
    pub fn iter(self) -> impl Iterator<Item = Reg> {
        (0..16).map(Reg).filter(move |&r| self.contains(r))
    }
}

impl FromIterator<Reg> for RegSet {
    fn from_iter<I: IntoIterator<Item = Reg>>(regs: I) -> Self {
        regs.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl fmt::Debug for RegSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
