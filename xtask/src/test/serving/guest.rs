//! The guest: `xtask run` as a process of its own.

use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::super::case::Failure;
use super::super::command_line::command;
use super::super::suite::Suite;
use crate::command::Guarded;
use crate::vm::network::free_port;

/// How long the guest may take to be ready, and to end.
const LIMIT: Duration = Duration::from_secs(120);

/// A running guest with a forwarded port.
pub struct Serving {
    child: Guarded,
    lines: Receiver<String>,
    said: String,
    /// The port of this machine's that leads to the guest's.
    pub port: u16,
}

impl Serving {
    /// Starts `xtask run` with these options, and waits until the guest has said `ready`.
    pub fn start(
        suite: &Suite,
        options: &[&str],
        args: &[&str],
        guest_port: u16,
        ready: &str,
    ) -> Result<Self, Failure> {
        let port = free_port()?.port();
        let forward = format!("{port}:{guest_port}");
        let words = [&["run", "-p", &forward, "--timeout", "200"], options].concat();
        let words = [&words[..], &["--"], args].concat();
        let mut child = Guarded::spawn(&mut command(suite, &words)?)?;
        let (sender, lines) = channel();
        let streams: [Option<Box<dyn Read + Send>>; 2] = [
            child.0.stdout.take().map(|stream| Box::new(stream) as _),
            child.0.stderr.take().map(|stream| Box::new(stream) as _),
        ];
        for stream in streams.into_iter().flatten() {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        let mut guest = Self {
            child,
            lines,
            said: String::new(),
            port,
        };
        guest.wait_for(|line| line.contains(ready))?;
        Ok(guest)
    }

    /// Reads lines until `is_it`, or to the end of all.
    fn wait_for(&mut self, is_it: impl Fn(&str) -> bool) -> Result<(), Failure> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.said.push_str(&line);
                    self.said.push('\n');
                    if is_it(&line) {
                        return Ok(());
                    }
                }
                Err(error) => {
                    let what = match error {
                        RecvTimeoutError::Timeout => "the guest is silent for too long",
                        RecvTimeoutError::Disconnected => "the guest ended",
                    };
                    Err(format!("{what}; it said:\n{}", self.said))?;
                }
            }
        }
    }

    /// Waits for the guest's end, with `status`. All that it has said.
    pub fn end(&mut self, status: i32) -> Result<String, Failure> {
        let deadline = Instant::now() + LIMIT;
        let found = loop {
            if let Some(found) = self.child.0.try_wait()? {
                break found;
            }
            if deadline <= Instant::now() {
                Err(format!("the guest does not end; it said:\n{}", self.said))?;
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        self.said
            .extend(self.lines.iter().flat_map(|line| [line, "\n".to_owned()]));
        match found.code() == Some(status) {
            true => Ok(self.said.clone()),
            false => Err(format!(
                "found {found}, expected status {status}; it said:\n{}",
                self.said
            ))?,
        }
    }
}
