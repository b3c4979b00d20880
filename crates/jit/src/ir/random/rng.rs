//! Numbers at random, and those that something may turn on.

/// A source of numbers.
pub struct Rng(u64);

impl Rng {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below another.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % n as u64) as usize
    }

    pub(super) fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// A number that something may turn on: small, at an edge of a type, beside a power of two, a mask, or any.
    pub fn number(&mut self) -> u64 {
        let (n, m) = (self.below(64) as u32, self.below(64) as u32);
        match self.below(7) {
            0 => self.below(18) as u64,
            1 => (self.below(18) as u64).wrapping_neg(),
            2 => self.of(&[
                0x7f,
                0x80,
                0xff,
                0xffff,
                0x7fff_ffff,
                0x8000_0000,
                0xffff_ffff,
                1 << 32,
                1 << 63,
                u64::MAX >> 1,
            ]),
            3 => (1u64 << n).wrapping_add(self.of(&[0, 1, u64::MAX])),
            4 => (u64::MAX >> n) << m,
            5 => !((u64::MAX >> n) << m),
            _ => ((self.below(1 << 32) as u64) << 32 | self.below(1 << 32) as u64) >> n,
        }
    }
}
