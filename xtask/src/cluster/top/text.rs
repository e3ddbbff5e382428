//! What is printed, as lines that can be shown in a part of a screen.

/// The longest part of a line that is shown.
const LONGEST: usize = 500;

/// Makes lines of what a stream is given.
#[derive(Debug)]
pub struct Text {
    prefix: &'static str,
    /// A line that has not ended, as far as it can be shown.
    line: Vec<u8>,
    escape: Escape,
}

/// Where in a sequence for the terminal the stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    /// In none.
    No,
    /// Behind its first byte.
    Begun,
    /// In one that ends with a letter.
    Control,
    /// In one that ends with a bell, or is ended by the next.
    Words,
}

impl Text {
    /// Its lines begin with that.
    pub fn new(prefix: &'static str) -> Self {
        Self {
            prefix,
            line: Vec::new(),
            escape: Escape::No,
        }
    }

    /// Takes bytes; gives the lines that have ended. What would move the cursor, or paint, is left out.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for &byte in bytes {
            self.escape = match (self.escape, byte) {
                (_, b'\n') => {
                    lines.push(self.shown());
                    self.line.clear();
                    Escape::No
                }
                (_, 0x1b) => Escape::Begun,
                (Escape::Begun, b'[') => Escape::Control,
                (Escape::Begun, b']') => Escape::Words,
                (Escape::Control, b'@'..=b'~') | (Escape::Begun, _) | (Escape::Words, 7) => {
                    Escape::No
                }
                (Escape::No, byte) => {
                    self.put(byte);
                    Escape::No
                }
                (within, _) => within,
            };
        }
        lines
    }

    /// The line that has not ended, if there is one.
    pub fn begun(&self) -> Option<String> {
        (!self.line.is_empty()).then(|| self.shown())
    }

    fn put(&mut self, byte: u8) {
        let byte = if byte == b'\t' { b' ' } else { byte };
        if byte >= b' ' && byte != 0x7f && self.line.len() < LONGEST {
            self.line.push(byte);
        }
    }

    fn shown(&self) -> String {
        let mut shown = self.prefix.to_owned();
        let line = String::from_utf8_lossy(&self.line);
        // Some control characters have more than one byte.
        shown.extend(line.chars().filter(|character| !character.is_control()));
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, Text};

    #[test]
    fn lines_are_cut_at_their_ends() {
        let mut text = Text::new("[n0] ");
        assert!(text.push(b"be").is_empty());
        assert_eq!(text.begun().as_deref(), Some("[n0] be"));
        assert_eq!(text.push(b"fore\n\nla"), ["[n0] before", "[n0] "]);
        assert_eq!(text.push("größe\n".as_bytes()), ["[n0] lagröße"]);
        assert_eq!(text.begun(), None);
    }

    #[test]
    fn what_a_terminal_would_do_is_left_out() {
        let mut text = Text::new("");
        let line = b"\x1b[1;31mred\x1b[0m\x1b]0;title\x07\ta\x08b\x1b(c\xc2\x9bd\xff\r\n";
        assert_eq!(text.push(line), ["red abcd\u{fffd}"]);
        // Not even in pieces, nor what does not end.
        let mut lines = Vec::new();
        for byte in b"\x1b[2Jx\n\x1b]endless\ny\n" {
            lines.extend(text.push(&[*byte]));
        }
        assert_eq!(lines, ["x", "", "y"]);
    }

    #[test]
    fn what_never_ends_is_cut() {
        let mut text = Text::new("");
        assert!(text.push(&[b'x'; 3 * LONGEST]).is_empty());
        assert_eq!(text.push(b"\n"), ["x".repeat(LONGEST)]);
    }
}
