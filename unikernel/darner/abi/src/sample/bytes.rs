//! Numbers in as few bytes as they need.

use super::BadSample;

/// Bytes of the longest number.
pub const LONGEST: usize = 10;

/// Writes numbers.
pub struct Writer<'a> {
    to: &'a mut [u8],
    at: usize,
}

impl<'a> Writer<'a> {
    /// From the start of these bytes on.
    pub fn new(to: &'a mut [u8]) -> Self {
        Self { to, at: 0 }
    }

    /// Writes one.
    ///
    /// # Panics
    /// There is no room for it.
    pub fn put(&mut self, mut number: u64) {
        loop {
            let more = number >> 7;
            self.to[self.at] = (number & 0x7f) as u8 | u8::from(more != 0) << 7;
            self.at += 1;
            number = more;
            if more == 0 {
                return;
            }
        }
    }

    /// How many bytes were written.
    pub fn written(&self) -> usize {
        self.at
    }
}

/// Reads numbers.
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// From the start of these bytes on.
    pub fn new(from: &'a [u8]) -> Self {
        Self(from)
    }

    /// The next one.
    pub fn next(&mut self) -> Result<u64, BadSample> {
        let mut number = 0;
        for place in 0..LONGEST {
            let (&byte, rest) = self.0.split_first().ok_or(BadSample::Cut)?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7f);
            // The last byte of the longest number has one bit.
            if place + 1 == LONGEST && bits > 1 {
                return Err(BadSample::BadNumber);
            }
            number |= bits << (7 * place);
            if byte & 0x80 == 0 {
                // Zeros at the top need not be said.
                let is_short = place == 0 || byte != 0;
                return is_short.then_some(number).ok_or(BadSample::BadNumber);
            }
        }
        Err(BadSample::BadNumber)
    }

    /// The next one, which says how many of something follow: `most` at most.
    pub fn count(&mut self, of: &'static str, most: usize) -> Result<usize, BadSample> {
        let count = self.next()?;
        let number = usize::try_from(count).ok().filter(|&count| count <= most);
        number.ok_or(BadSample::TooMany(of, count))
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.0.len()
    }
}
