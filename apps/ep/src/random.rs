//! The random numbers of the NAS benchmarks: x ← 5¹³ x mod 2⁴⁶. Any place of the sequence can be
//! gone to at once, so threads need not hand on where they are.

const MULTIPLIER: u64 = 1_220_703_125;
const MASK: u64 = (1 << 46) - 1;

/// A place in the sequence.
pub struct Random(u64);

impl Random {
    /// The sequence's place `skipped` numbers behind `seed`.
    pub fn at(seed: u64, skipped: u64) -> Self {
        let (mut power, mut square, mut left) = (1_u64, MULTIPLIER, skipped);
        while left > 0 {
            if left & 1 == 1 {
                power = product(power, square);
            }
            square = product(square, square);
            left >>= 1;
        }
        Self(product(seed & MASK, power))
    }

    /// The next number, between 0 and 1.
    pub fn next(&mut self) -> f64 {
        self.0 = product(self.0, MULTIPLIER);
        self.0 as f64 / (MASK + 1) as f64
    }
}

/// 2⁴⁶ divides 2⁶⁴: what is lost above makes no difference.
fn product(a: u64, b: u64) -> u64 {
    a.wrapping_mul(b) & MASK
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn goes_to_any_place() {
        let mut walked = Random::at(271_828_183, 0);
        for _ in 0..1000 {
            walked.next();
        }
        assert_eq!(walked.next(), Random::at(271_828_183, 1000).next());
    }
}
