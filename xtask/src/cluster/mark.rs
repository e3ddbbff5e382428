//! The line from which on times of faults count.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::Sender;

/// Of a line that is longer, what comes later is not looked at.
const LONGEST: usize = 64 * 1024;

/// Says when a line that contains a text has been printed.
#[derive(Clone)]
pub struct Mark(Arc<Inner>);

struct Inner {
    text: String,
    seen: Box<dyn Fn() + Send + Sync>,
}

impl Mark {
    /// Sends `signal` whenever a line contains `text`.
    pub fn new<T: Clone + Send + Sync + 'static>(
        text: &str,
        signals: &Sender<T>,
        signal: T,
    ) -> Self {
        let signals = signals.clone();
        Self(Arc::new(Inner {
            text: text.to_owned(),
            seen: Box::new(move || {
                // Who does not listen any more has no use for it.
                let _ = signals.send(signal.clone());
            }),
        }))
    }

    /// Looks at a whole line.
    pub fn look(&self, line: &str) {
        if line.contains(&self.0.text) {
            (self.0.seen)();
        }
    }
}

/// A stream whose lines are looked at as they pass.
pub struct Watched<W> {
    to: W,
    mark: Mark,
    /// What there is of a line in which the text was not found yet.
    line: Vec<u8>,
}

impl<W> Watched<W> {
    /// Passes everything on to `to`, at once.
    pub fn new(to: W, mark: Mark) -> Self {
        let line = Vec::new();
        Self { to, mark, line }
    }
}

impl<W: Write> Write for Watched<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.to.write(bytes)?;
        self.to.flush()?;
        for piece in bytes[..count].split_inclusive(|byte| *byte == b'\n') {
            let room = LONGEST.saturating_sub(self.line.len());
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                self.mark.look(&String::from_utf8_lossy(&self.line));
                self.line.clear();
            }
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::mpsc;

    use super::{Mark, Watched};

    #[test]
    fn a_text_is_found_in_whole_lines() {
        let (sender, receiver) = mpsc::channel();
        let mut to = Vec::new();
        let mut watched = Watched::new(&mut to, Mark::new("rows of", &sender, 7));
        for part in ["rows\nof", "\n10 ro", "ws"] {
            watched.write_all(part.as_bytes()).unwrap();
            assert!(receiver.try_recv().is_err());
        }
        watched.write_all(b" of 20\n11 ").unwrap();
        assert_eq!(receiver.try_recv(), Ok(7));
        assert!(receiver.try_recv().is_err());
        drop(watched);
        assert_eq!(to, b"rows\nof\n10 rows of 20\n11 ");
    }
}
