//! A guest that runs in the background while it is measured.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// How often to look for signals while the guest is silent.
const TICK: Duration = Duration::from_millis(50);
/// How long a guest may take to boot and to start its program.
const PATIENCE: Duration = Duration::from_secs(90);

/// A running guest. It ends when this is dropped.
pub struct Running {
    /// The lines that its program prints.
    lines: Receiver<String>,
    /// Ends it when dropped.
    _guest: Box<dyn Send>,
}

impl Running {
    /// A guest whose lines come there and that ends when `guest` is dropped.
    pub fn new(lines: Receiver<String>, guest: impl Send + 'static) -> Self {
        Self {
            lines,
            _guest: Box::new(guest),
        }
    }

    /// Waits for a line with this in it.
    pub fn wait_for(&self, part: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut said = String::new();
        let fail = |what: &str, said: &str| {
            Error::failed(format!("the guest {what} `{part}`; it said:\n{said}"))
        };
        loop {
            match self.lines.recv_timeout(TICK) {
                Ok(line) if line.contains(part) => return Ok(()),
                Ok(line) => said += &(line + "\n"),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(fail("has ended and never said", &said));
                }
                Err(RecvTimeoutError::Timeout) if deadline <= Instant::now() => {
                    return Err(fail("runs and does not say", &said));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if crate::interrupt::status().is_some() {
                return Err(Error::interrupted());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::Running;

    #[test]
    fn a_guest_that_ends_too_early_is_an_error_with_its_words() {
        let (sender, lines) = mpsc::channel();
        let running = Running::new(lines, ());
        for line in ["one", "it is serving now", "two"] {
            sender.send(line.to_owned()).unwrap();
        }
        running.wait_for("serving").unwrap();
        drop(sender);
        let error = running.wait_for("serving").unwrap_err().to_string();
        assert!(error.contains("ended") && error.contains("two"), "{error}");
    }
}
