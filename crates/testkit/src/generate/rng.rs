//! Numbers that are the same for the same seed, everywhere.

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A sequence of its own for each seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, which is not 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }

    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.bits() % 100 < percent
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// One of several, by their weights.
    pub fn weighted<'a, T>(&mut self, from: &'a [T], weight: impl Fn(&T) -> usize) -> &'a T {
        let mut left = self.below(from.iter().map(&weight).sum());
        let chosen = from.iter().find(|one| {
            let hit = left < weight(one);
            left = left.wrapping_sub(weight(one));
            hit
        });
        chosen.unwrap_or(&from[0])
    }

    /// A 64-bit operand, often at an edge.
    pub fn operand(&mut self) -> u64 {
        match self.below(4) {
            0 => self.bits(),
            1 => self.bits() >> self.below(64),
            _ => *self.pick(crate::rows::EDGES),
        }
    }

    /// An immediate, often at an edge.
    pub fn immediate(&mut self) -> i32 {
        match self.below(4) {
            0 => self.bits() as i32,
            1 => self.below(256) as i32 - 128,
            _ => *self.pick(crate::rows::IMMEDIATES),
        }
    }
}
