//! Random numbers, the same in every run.

/// A xorshift generator.
pub struct Random(u64);

impl Random {
    /// The generator of this number, which is not 0.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    #[inline(always)]
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number less than `limit`.
    #[inline(always)]
    pub fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.next()) * limit as u128) >> 64) as usize
    }

    /// A size from 8 bytes on, up to so many doublings of that, each doubling as likely as the others.
    #[inline(always)]
    pub fn size(&mut self, doublings: usize) -> usize {
        let low = 8 << self.below(doublings);
        low + self.below(low)
    }
}
