//! Darner as a guest.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;

use super::running::Running;
use crate::vm::{self, Config, Guest, Input, Output, Stop, Streams};

/// Starts a program on Darner.
pub fn start(qemu: &Path, config: &Config, guest: Guest) -> Running {
    let (sender, lines) = mpsc::channel();
    let stop = Arc::new(Stop::default());
    let asked = Arc::clone(&stop);
    let (qemu, config) = (qemu.to_owned(), config.clone());
    let thread = std::thread::spawn(move || {
        let streams = Streams {
            input: Input::Bytes(Vec::new()),
            stdout: Output::To(Box::new(Lines::to(sender.clone()))),
            stderr: Output::To(Box::new(Lines::to(sender.clone()))),
            samples: None,
            boot_line: None,
            verbose: false,
        };
        let line = match vm::run_unless(&asked, &qemu, &config, &guest, streams) {
            Ok(outcome) => format!("ended: {:?} {:?}", outcome.end, outcome.report.death),
            Err(error) => error.to_string(),
        };
        // Nobody listens any more if the end was asked for.
        let _ = sender.send(line);
    });
    let thread = Some(thread);
    Running::new(lines, Machine { stop, thread })
}

/// The virtual machine; it ends when this is dropped.
struct Machine {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.stop.ask();
        if let Some(thread) = self.thread.take() {
            // Its panic has been reported.
            let _ = thread.join();
        }
    }
}

/// Cuts what is written to it into lines.
struct Lines {
    to: Sender<String>,
    begun: Vec<u8>,
}

impl Lines {
    fn to(to: Sender<String>) -> Self {
        let begun = Vec::new();
        Self { to, begun }
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for &byte in bytes {
            if byte != b'\n' {
                self.begun.push(byte);
                continue;
            }
            let line = String::from_utf8_lossy(&self.begun).into_owned();
            self.begun.clear();
            // Nobody listens any more when the guest is about to be ended.
            let _ = self.to.send(line);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::mpsc;

    use super::Lines;

    #[test]
    fn pieces_become_lines() {
        let (sender, lines) = mpsc::channel();
        let mut writer = Lines::to(sender);
        for piece in ["o", "ne\ntwo\nth", "ree"] {
            writer.write_all(piece.as_bytes()).unwrap();
        }
        drop(writer);
        assert_eq!(lines.iter().collect::<Vec<_>>(), ["one", "two"]);
    }
}
