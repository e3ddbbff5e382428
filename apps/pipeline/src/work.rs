//! What is handed on: blocks of bytes, and what becomes of them.

/// Bytes on their way.
pub struct Block {
    number: u64,
    bytes: Vec<u8>,
}

/// What was made of a block.
pub struct Summary {
    /// The block's number.
    pub number: u64,
    /// How long it was.
    pub bytes: usize,
    /// Its bytes, and how often each comes in a row.
    pub runs: Vec<(u8, u8)>,
}

impl Block {
    /// The block of that number, the same for the same seed: runs of equal bytes.
    pub fn make(number: u64, length: usize, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed.wrapping_add(number << 32));
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let end = (bytes.len() + random.usize(1..10)).min(length);
            bytes.resize(end, random.u8(..));
        }
        Self { number, bytes }
    }

    /// Packs it: run-length encoding.
    pub fn pack(self) -> Summary {
        let same = |a: &u8, b: &u8| a == b;
        let longest = usize::from(u8::MAX);
        let runs = self.bytes.chunk_by(same).flat_map(|run| {
            let pieces = run.chunks(longest);
            pieces.map(|piece| (piece[0], piece.len() as u8))
        });
        Summary {
            number: self.number,
            bytes: self.bytes.len(),
            runs: runs.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Block;

    #[test]
    fn unpacking_gives_the_block() {
        for length in [1, 2, 255, 1000] {
            let block = Block::make(7, length, 1);
            let bytes = block.bytes.clone();
            let unpacked: Vec<u8> = block
                .pack()
                .runs
                .into_iter()
                .flat_map(|(byte, length)| std::iter::repeat_n(byte, length.into()))
                .collect();
            assert_eq!(unpacked, bytes);
        }
        let number = 0;
        let long = Block {
            number,
            bytes: vec![9; 600],
        };
        assert_eq!(long.pack().runs, [(9, 255), (9, 255), (9, 90)]);
    }
}
