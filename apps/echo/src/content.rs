//! What is sent: bytes that look random and that both ends of a test can make.

/// An endless sequence of bytes, the same for the same seed.
pub struct Content {
    random: fastrand::Rng,
    sum: u64,
}

impl Content {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            sum: 0xcbf2_9ce4_8422_2325,
        }
    }

    /// The next so many bytes.
    pub fn next(&mut self, bytes: usize) -> Vec<u8> {
        let mut block = vec![0; bytes];
        self.random.fill(&mut block);
        self.sum = block.iter().fold(self.sum, |sum, &byte| {
            (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        block
    }

    /// A checksum of all bytes so far (FNV-1a).
    pub fn sum(&self) -> u64 {
        self.sum
    }
}

/// How many bytes of what came back are not those that were sent.
pub fn wrong(sent: &[u8], back: &[u8]) -> usize {
    let differ = sent.iter().zip(back).filter(|(a, b)| a != b).count();
    differ + sent.len().abs_diff(back.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_a_sequence() {
        let (mut a, mut b, mut c) = (Content::new(1), Content::new(1), Content::new(2));
        assert_eq!(a.next(100), b.next(100));
        assert_ne!(a.next(100), c.next(100));
        assert_ne!(a.sum(), c.sum());
    }

    #[test]
    fn every_wrong_byte_counts() {
        assert_eq!(wrong(b"abc", b"abc"), 0);
        assert_eq!(wrong(b"abc", b"axc"), 1);
        assert_eq!(wrong(b"abc", b"x"), 3);
        assert_eq!(wrong(b"", b"ab"), 2);
    }
}
