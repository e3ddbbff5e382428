//! The bytes that are sent: a random sequence that both ends can make, in blocks.

/// Bytes that are made at a time.
const BLOCK: usize = 64 << 10;

/// An endless sequence of bytes, the same for the same seed.
pub struct Sequence {
    random: fastrand::Rng,
    block: Vec<u8>,
    /// Bytes of the block that have been taken.
    taken: usize,
}

impl Sequence {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            block: vec![0; BLOCK],
            taken: BLOCK,
        }
    }

    /// Some of the next bytes: at least one, and `most` at most.
    fn take(&mut self, most: usize) -> &[u8] {
        if self.taken == BLOCK {
            self.random.fill(&mut self.block);
            self.taken = 0;
        }
        let start = self.taken;
        self.taken += most.min(BLOCK - start);
        &self.block[start..self.taken]
    }

    /// Fills a buffer with the next bytes.
    pub fn fill(&mut self, mut buffer: &mut [u8]) {
        while !buffer.is_empty() {
            let bytes = self.take(buffer.len());
            let (here, rest) = buffer.split_at_mut(bytes.len());
            here.copy_from_slice(bytes);
            buffer = rest;
        }
    }

    /// How many of these bytes are not the next ones of the sequence.
    pub fn wrong(&mut self, mut bytes: &[u8]) -> u64 {
        let mut wrong = 0;
        while !bytes.is_empty() {
            let expected = self.take(bytes.len());
            let (here, rest) = bytes.split_at(expected.len());
            if here != expected {
                let differ = here.iter().zip(expected).filter(|(a, b)| a != b);
                wrong += differ.count() as u64;
            }
            bytes = rest;
        }
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_pieces_make_the_same_sequence() {
        let mut whole = vec![0; 3 * BLOCK + 5];
        Sequence::new(7).fill(&mut whole);
        let mut pieces = Sequence::new(7);
        for piece in whole.chunks(1001) {
            assert_eq!(pieces.wrong(piece), 0);
        }
        assert!(Sequence::new(8).wrong(&whole) > 3 * BLOCK as u64 / 2);
    }

    #[test]
    fn every_wrong_byte_counts() {
        let mut bytes = vec![0; 2 * BLOCK];
        Sequence::new(1).fill(&mut bytes);
        for index in [0, BLOCK - 1, BLOCK, 2 * BLOCK - 1] {
            bytes[index] ^= 0x10;
        }
        assert_eq!(Sequence::new(1).wrong(&bytes), 4);
    }
}
