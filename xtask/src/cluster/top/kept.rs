//! What was printed while the screen was there, in the order in which it came, to be printed behind it. It is
//! in a file: nobody knows how much a program prints.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};

/// Which of xtask's streams something goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Error,
}

/// See the module.
pub struct Kept {
    file: File,
    /// Why not all of it is there.
    error: Option<io::Error>,
}

impl Kept {
    /// Nothing yet. The file has no name, so it is gone whenever xtask is.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            file: tempfile::tempfile()?,
            error: None,
        })
    }

    /// Keeps what was printed.
    pub fn push(&mut self, stream: Stream, bytes: &[u8]) {
        if self.error.is_none() {
            self.error = self.write(stream, bytes).err();
        }
    }

    /// A piece: the stream, the length, and the bytes.
    fn write(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        let mut piece = vec![stream as u8];
        piece.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        piece.extend_from_slice(bytes);
        self.file.write_all(&piece)
    }

    /// Prints all that was kept, and forgets it.
    pub fn print(&mut self, mut out: impl Write, mut error: impl Write) -> io::Result<()> {
        self.file.rewind()?;
        let mut from = BufReader::new(&self.file);
        let mut head = [0; 9];
        // A piece that could not be written as a whole is the last.
        while from.read_exact(&mut head).is_ok() {
            let [stream, length @ ..] = head;
            let mut piece = (&mut from).take(u64::from_le_bytes(length));
            match stream == Stream::Error as u8 {
                true => io::copy(&mut piece, &mut error)?,
                false => io::copy(&mut piece, &mut out)?,
            };
            out.flush()?;
        }
        self.file.rewind()?;
        self.file.set_len(0)?;
        match self.error.take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Kept, Stream};

    fn printed(kept: &mut Kept) -> (String, String) {
        let (mut out, mut error) = (Vec::new(), Vec::new());
        kept.print(&mut out, &mut error).unwrap();
        (
            String::from_utf8(out).unwrap(),
            String::from_utf8(error).unwrap(),
        )
    }

    #[test]
    fn all_is_printed_once_and_each_to_its_stream() {
        let mut kept = Kept::new().unwrap();
        for (stream, text) in [
            (Stream::Out, "one\ntw"),
            (Stream::Error, "wrong\n"),
            (Stream::Out, ""),
            (Stream::Out, "o\n"),
        ] {
            kept.push(stream, text.as_bytes());
        }
        assert_eq!(printed(&mut kept), ("one\ntwo\n".into(), "wrong\n".into()));
        assert_eq!(printed(&mut kept), (String::new(), String::new()));
        kept.push(Stream::Out, b"more");
        assert_eq!(printed(&mut kept), ("more".into(), String::new()));
    }
}
