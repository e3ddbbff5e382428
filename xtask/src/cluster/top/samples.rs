//! A node's samples, as they come: bytes in pieces of any length.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use darner_abi::Sample;
use darner_abi::sample::{BadSample, HEADER};

use super::board::Board;

/// Puts the samples of a node on the board.
pub struct Samples {
    node: u16,
    board: Arc<Mutex<Board>>,
    cutter: Cutter,
}

impl Samples {
    /// Those of that node.
    pub fn new(node: u16, board: Arc<Mutex<Board>>) -> Self {
        Self {
            node,
            board,
            cutter: Cutter::default(),
        }
    }
}

impl Write for Samples {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.cutter.push(bytes, |sample| {
            let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
            match sample {
                Ok(sample) => board.take(self.node, &sample),
                Err(error) => board.fail(self.node, &error),
            }
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Cuts what comes into samples.
#[derive(Default)]
struct Cutter {
    /// What has come of the next sample.
    begun: Vec<u8>,
    /// What has come was no sample: nobody knows where the next one would begin.
    is_lost: bool,
}

impl Cutter {
    /// Has `take` take all samples that are whole by now, and the first error, which is the last of all.
    fn push(&mut self, mut bytes: &[u8], mut take: impl FnMut(Result<Sample, BadSample>)) {
        while !self.is_lost && !bytes.is_empty() {
            let wanted = match self.wanted() {
                Ok(wanted) => wanted,
                Err(error) => return self.lose(error, take),
            };
            let (now, later) = bytes.split_at(wanted.min(bytes.len()));
            self.begun.extend_from_slice(now);
            bytes = later;
            if self.wanted() == Ok(0) {
                match Sample::decode(&self.begun[HEADER..]) {
                    Ok(sample) => take(Ok(sample)),
                    Err(error) => return self.lose(error, take),
                }
                self.begun.clear();
            }
        }
        if !self.is_lost
            && let Err(error) = self.wanted()
        {
            self.lose(error, take);
        }
    }

    /// How many bytes are missing of the header, or of the rest.
    fn wanted(&self) -> Result<usize, BadSample> {
        match self.begun.first_chunk::<HEADER>() {
            None => Ok(HEADER - self.begun.len()),
            Some(&header) => Ok(HEADER + Sample::length(header)? - self.begun.len()),
        }
    }

    fn lose(&mut self, error: BadSample, mut take: impl FnMut(Result<Sample, BadSample>)) {
        self.is_lost = true;
        self.begun = Vec::new();
        take(Err(error));
    }
}

#[cfg(test)]
mod tests {
    use darner_abi::Sample;
    use darner_abi::sample::{BadSample, MOST_BYTES};

    use super::Cutter;

    fn bytes_of(samples: &[Sample]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for sample in samples {
            let mut one = [0; MOST_BYTES];
            let length = sample.encode(&mut one);
            bytes.extend_from_slice(&one[..length]);
        }
        bytes
    }

    fn examples() -> Vec<Sample> {
        let example = |now_ns| {
            let mut sample = Sample::default();
            (sample.now_ns, sample.threads) = (now_ns, 3);
            sample
        };
        [5, 1 << 40, 0].map(example).into()
    }

    /// What comes of these pieces.
    fn cut<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Sample>, Option<BadSample>) {
        let (mut cutter, mut samples, mut errors) = (Cutter::default(), Vec::new(), Vec::new());
        for piece in pieces {
            cutter.push(piece, |sample| match sample {
                Ok(sample) => samples.push(sample),
                Err(error) => errors.push(error),
            });
        }
        assert!(errors.len() <= 1, "{errors:?}");
        (samples, errors.pop())
    }

    #[test]
    fn samples_come_in_pieces_of_any_length() {
        let bytes = bytes_of(&examples());
        for length in 1..=bytes.len() {
            assert_eq!(cut(bytes.chunks(length)), (examples(), None), "{length}");
        }
    }

    /// The end of a node may come at any time.
    #[test]
    fn what_is_cut_off_is_no_error() {
        let bytes = bytes_of(&examples());
        let first = bytes_of(&examples()[..1]).len();
        for kept in first..bytes_of(&examples()[..2]).len() {
            assert_eq!(cut([&bytes[..kept]]), (examples()[..1].to_vec(), None));
        }
    }

    #[test]
    fn after_an_error_nothing_is_taken() {
        let mut bytes = bytes_of(&examples());
        let first = bytes_of(&examples()[..1]).len();
        bytes[first] = b'X';
        let expected = BadSample::NoMagic(*b"XTOP");
        for length in 1..=bytes.len() {
            let found = cut(bytes.chunks(length));
            assert_eq!(found, (examples()[..1].to_vec(), Some(expected)));
        }
        let too_long = [b'D', b'T', b'O', b'P', 0xff, 0xff];
        assert_eq!(cut([&too_long[..]]).1, Some(BadSample::TooLong(0xffff)));
    }
}
