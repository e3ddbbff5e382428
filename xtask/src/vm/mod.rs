//! A virtual machine from its start to its end. `xtask run`, the tests and the
//! benchmarks all go through here.

mod channels;
mod command_line;
mod config;
pub mod network;
mod report;
mod stop;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

pub use channels::{Input, Output};
pub use command_line::hardware;
pub use config::{Config, Guest, Machine};
use report::News;
pub use report::{Boot, Death, Report};
pub use stop::Stop;

use crate::command::{self, Guarded};
use crate::error::{Context, Error, Result};

/// How often to look for signals while the guest is silent.
const TICK: Duration = Duration::from_millis(50);
/// How long QEMU may take to end after the guest has said that it ends.
const ENDING: Duration = Duration::from_secs(5);

/// The status of a guest that refused to start.
const REFUSED: u8 = 1;

/// Takes one line for the user.
pub type Note = Box<dyn Fn(&str)>;

/// What goes in and where things go.
pub struct Streams {
    /// The program's standard input.
    pub input: Input,
    /// Where its standard output goes.
    pub stdout: Output,
    /// Where its standard error goes.
    pub stderr: Output,
    /// Where samples of what a node of a cluster does go, as its kernel writes them; `None`: it takes none.
    pub samples: Option<Box<dyn Write + Send>>,
    /// Where to say how long it took to boot, if anywhere.
    pub boot_line: Option<Note>,
    /// Whether to show QEMU's command line, and what it says even if all is well.
    pub verbose: bool,
}

impl Streams {
    /// Everything in memory; the program gets this input.
    pub fn kept(input: impl Into<Vec<u8>>) -> Self {
        Self {
            input: Input::Bytes(input.into()),
            stdout: Output::Kept,
            stderr: Output::Kept,
            samples: None,
            boot_line: None,
            verbose: false,
        }
    }
}

/// How a virtual machine came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The program ended with this status.
    Exited(u8),
    /// It took too long and was killed.
    TimedOut(Duration),
    /// It was asked to end, and killed.
    Stopped,
    /// QEMU ended without a word from the guest: a triple fault, or QEMU
    /// refused to start, or was killed.
    Died {
        /// How QEMU ended.
        status: ExitStatus,
        /// What QEMU said.
        said: String,
    },
}

/// What is left of a virtual machine.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// What the guest reported.
    pub report: Report,
    /// The program's standard output, if kept.
    pub stdout: Vec<u8>,
    /// Its standard error and the kernel's messages, if kept.
    pub stderr: Vec<u8>,
}

/// Runs a guest to its end.
pub fn run(qemu: &Path, config: &Config, guest: &Guest, streams: Streams) -> Result<Outcome> {
    run_unless(&Stop::default(), qemu, config, guest, streams)
}

/// Runs a guest to its end, or until it is stopped.
pub fn run_unless(
    stop: &Stop,
    qemu: &Path,
    config: &Config,
    guest: &Guest,
    streams: Streams,
) -> Result<Outcome> {
    config.check()?;
    let folder = private_folder()?;
    let is_sampled = streams.samples.is_some();
    let listeners = channels::Listeners::bind(folder.path(), is_sampled)?;
    let mut command = command_line::qemu(qemu, config, guest, folder.path(), is_sampled)?;
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    if streams.verbose {
        let shown = command::shown(&command);
        let membership = config.network.membership.as_ref();
        let shown = membership.map_or(shown.clone(), |node| node.key.hidden_in(&shown));
        eprintln!("xtask: {shown}");
    }
    let started = Instant::now();
    let mut child = Guarded::spawn(&mut command)?;
    let said = child
        .0
        .stderr
        .take()
        .map(|stderr| channels::pump(stderr, Output::Kept));

    let Some(channels) = listeners.accept(&mut child, stop)? else {
        let end = match stop.is_asked() {
            true => End::Stopped,
            false => End::Died {
                status: child.wait(&command)?,
                said: text(said.map_or_else(Vec::new, |said| said.join().unwrap_or_default())),
            },
        };
        return Ok(Outcome {
            end,
            report: Report::default(),
            stdout: Vec::new(),
            stderr: Vec::new(),
        });
    };
    let writer = channels
        .com1
        .try_clone()
        .context(|| "set up a socket".into())?;
    let stdout = channels::pump(channels.com1, streams.stdout);
    let stderr = channels::pump(channels.stderr, streams.stderr);
    let samples = channels
        .samples
        .zip(streams.samples)
        .map(|(channel, to)| channels::pump(channel, Output::To(to)));
    let mut watch = Watch {
        records: records(channels.control),
        report: Report::default(),
        input: Some((streams.input, writer)),
        boot_line: streams.boot_line,
        stop,
        deadline: config.timeout.map(|timeout| started + timeout),
    };
    let waited = watch.until_end()?;
    // Whether it is still there or not: after this it has ended, and so have
    // the channels.
    let status = match waited {
        Waited::ForEnd => wait_briefly(&mut child)?,
        Waited::TooLong | Waited::UntilStopped => None,
    };
    drop(child);
    let stdout = stdout.join().unwrap_or_default();
    let stderr = stderr.join().unwrap_or_default();
    if let Some(samples) = samples {
        // Nothing of them is kept.
        let _ = samples.join();
    }
    let said = text(said.map_or_else(Vec::new, |said| said.join().unwrap_or_default()));
    if streams.verbose && !said.is_empty() {
        eprintln!("xtask: QEMU said: {said}");
    }
    let end = match (watch.report.exit, waited, status) {
        (Some(status), _, _) => End::Exited(status),
        // Too early for an exit record, but not without a word.
        (None, Waited::ForEnd, _) if matches!(watch.report.death, Some(Death::Refused(_))) => {
            End::Exited(REFUSED)
        }
        (None, Waited::UntilStopped, _) => End::Stopped,
        (None, Waited::TooLong, _) => End::TimedOut(config.timeout.unwrap_or_default()),
        (None, Waited::ForEnd, Some(status)) => End::Died { status, said },
        (None, Waited::ForEnd, None) => {
            return Err(Error::failed("QEMU closed its channels but does not end"));
        }
    };
    Ok(Outcome {
        end,
        report: watch.report,
        stdout,
        stderr,
    })
}

/// What has ended the waiting for a guest.
#[derive(Clone, Copy)]
enum Waited {
    /// The guest's end.
    ForEnd,
    /// Its time was up.
    TooLong,
    /// It was asked to end.
    UntilStopped,
}

/// Listens to the control channel.
struct Watch<'a> {
    records: Receiver<String>,
    report: Report,
    /// The input, and where to send it, until it is being sent.
    input: Option<(Input, UnixStream)>,
    boot_line: Option<Note>,
    stop: &'a Stop,
    deadline: Option<Instant>,
}

impl Watch<'_> {
    /// Waits for the end of the guest, or of the waiting.
    fn until_end(&mut self) -> Result<Waited> {
        loop {
            let left = self
                .deadline
                .map(|deadline| deadline.saturating_duration_since(Instant::now()));
            match self
                .records
                .recv_timeout(left.map_or(TICK, |left| left.min(TICK)))
            {
                Ok(record) => self.take(&record),
                Err(RecvTimeoutError::Disconnected) => return Ok(Waited::ForEnd),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if crate::interrupt::status().is_some() {
                return Err(Error::interrupted());
            }
            if self.stop.is_asked() {
                return Ok(Waited::UntilStopped);
            }
            if self
                .deadline
                .is_some_and(|deadline| deadline <= Instant::now())
            {
                return Ok(Waited::TooLong);
            }
        }
    }

    fn take(&mut self, record: &str) {
        let news = self.report.take(record);
        if news == News::Booted
            && let Some(note) = &self.boot_line
            && let Some(boot) = &self.report.boot
        {
            note(&boot.line());
        }
        match news {
            // Sent before, it would be lost when the kernel sets up the port.
            News::InputReady | News::Booted => {
                if let Some((input, com1)) = self.input.take() {
                    channels::feed(input, com1);
                }
            }
            // The guest is done; QEMU has to end by itself, and soon.
            News::Exiting => self.deadline = Some(Instant::now() + ENDING),
            News::None => {}
        }
    }
}

/// The control channel's lines, one message each, until it is closed.
fn records(control: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut reader = BufReader::new(control);
        let mut line = Vec::new();
        while reader
            .read_until(b'\n', &mut line)
            .is_ok_and(|count| count > 0)
        {
            if sender
                .send(String::from_utf8_lossy(&line).into_owned())
                .is_err()
            {
                return;
            }
            line.clear();
        }
    });
    receiver
}

/// Gives QEMU, whose channels are closed, the time to end.
fn wait_briefly(child: &mut Guarded) -> Result<Option<ExitStatus>> {
    let deadline = Instant::now() + ENDING;
    loop {
        let status = child.0.try_wait().context(|| "wait for QEMU".into())?;
        if status.is_some() || deadline <= Instant::now() {
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A folder for the sockets that no one else may enter. A socket's path is
/// short by nature, so a long TMPDIR is not used.
pub fn private_folder() -> Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("darner-");
    let usual = std::env::temp_dir();
    let made = match usual.as_os_str().len() < 60 {
        true => builder.tempdir_in(usual),
        false => builder.tempdir_in("/tmp"),
    };
    made.context(|| "make a temporary folder".into())
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).trim().to_owned()
}
