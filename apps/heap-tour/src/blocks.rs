//! Blocks of memory of all sizes, which know what is in them.

/// Numbers that look random (xorshift64: Marsaglia, "Xorshift RNGs", 2003).
pub struct Random(u64);

impl Random {
    /// A series of its own for each seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next, below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    /// The size of a block: most are small, most of the memory is in large ones.
    pub fn size(&mut self) -> usize {
        let range = match self.below(10) {
            0..6 => 16..512,
            6..9 => 512..16 << 10,
            _ => 16 << 10..200 << 10,
        };
        (range.start + self.below(range.end - range.start)) as usize
    }
}

/// Memory that is filled with its mark.
pub struct Block {
    mark: u8,
    bytes: Box<[u8]>,
}

impl Block {
    /// A block of the next size.
    pub fn new(random: &mut Random) -> Self {
        let mark = random.below(255) as u8 + 1;
        Self {
            mark,
            bytes: vec![mark; random.size()].into(),
        }
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nobody else has written into it.
    pub fn is_intact(&self) -> bool {
        self.bytes.iter().all(|&byte| byte == self.mark)
    }
}
