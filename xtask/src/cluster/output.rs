//! What the nodes print: whole lines, with the node's name before each, and to its log
//! file without.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::mark::Mark;
use crate::error::{Context, Result};

/// A line that is longer is cut: what never ends would need all memory.
const LONGEST: usize = 64 * 1024;

/// Where lines go, besides the log file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// xtask's own standard output.
    Stdout,
    /// xtask's own standard error.
    Stderr,
}

/// One node's log file.
#[derive(Clone)]
pub struct Log(Arc<Mutex<File>>);

impl Log {
    /// Makes the file of a node in a folder.
    pub fn create(folder: &Path, node: u16) -> Result<Self> {
        let path = folder.join(format!("n{node}.log"));
        let file = File::create(&path).context(|| format!("write {}", path.display()))?;
        Ok(Self(Arc::new(Mutex::new(file))))
    }
}

/// One stream of one node.
pub struct Lines {
    prefix: String,
    to: To,
    log: Log,
    mark: Option<Mark>,
    /// A line that has not ended yet.
    partial: Vec<u8>,
}

impl Lines {
    /// A stream of that node. Its lines are looked at, where there is a mark to look for.
    pub fn new(node: u16, to: To, log: &Log, mark: Option<&Mark>) -> Self {
        let is_terminal = match to {
            To::Stdout => io::stdout().is_terminal(),
            To::Stderr => io::stderr().is_terminal(),
        };
        let is_coloured =
            is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            prefix: prefix(node, is_coloured),
            to,
            log: log.clone(),
            mark: mark.cloned(),
            partial: Vec::new(),
        }
    }

    /// Prints lines.
    pub fn print(&mut self, text: &str) {
        // A reader that is gone stops nobody.
        let _ = self.write_all(text.as_bytes());
        self.finish();
    }

    /// Prints the line that has not ended, if there is one.
    fn finish(&mut self) {
        if !self.partial.is_empty() {
            self.partial.push(b'\n');
            self.emit();
        }
    }

    /// Prints what there is of the line, which is whole now.
    fn emit(&mut self) {
        let mut line = self.prefix.clone().into_bytes();
        line.extend_from_slice(&self.partial);
        // In one piece: other nodes print, too. A reader that is gone stops nobody.
        let _ = match self.to {
            To::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(&line).and_then(|()| out.flush())
            }
            To::Stderr => io::stderr().lock().write_all(&line),
        };
        let mut file = self.log.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A full disk stops nobody, either.
        let _ = file.write_all(&self.partial);
        if let Some(mark) = &self.mark {
            mark.look(&String::from_utf8_lossy(&self.partial));
        }
        self.partial.clear();
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.emit();
            } else if self.partial.len() >= LONGEST {
                self.finish();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.finish();
    }
}

/// `[n0] `, in a colour of the node's own.
fn prefix(node: u16, is_coloured: bool) -> String {
    /// Of the terminal's palette: those that can be read on black and on white.
    const COLOURS: [u8; 6] = [36, 33, 32, 35, 34, 31];
    match is_coloured {
        true => {
            let colour = COLOURS[usize::from(node) % COLOURS.len()];
            format!("\x1b[{colour}m[n{node}]\x1b[0m ")
        }
        false => format!("[n{node}] "),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{Lines, Log, To, prefix};

    #[test]
    fn lines_are_kept_whole() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::create(folder.path(), 3).unwrap();
        let mut out = Lines::new(3, To::Stderr, &log, None);
        let mut error = Lines::new(3, To::Stderr, &log, None);
        out.write_all(b"be").unwrap();
        error.write_all(b"mistake\n").unwrap();
        out.write_all(b"fore\nlast").unwrap();
        drop((out, error));
        let text = std::fs::read_to_string(folder.path().join("n3.log")).unwrap();
        assert_eq!(text, "mistake\nbefore\nlast\n");
    }

    #[test]
    fn the_name_is_plain_or_coloured() {
        assert_eq!(prefix(3, false), "[n3] ");
        assert_eq!(prefix(0, true), "\x1b[36m[n0]\x1b[0m ");
    }
}
