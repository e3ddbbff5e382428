//! The terminal while a screen is drawn on it.
//!
//! xtask prints from many places, and so do the nodes through it. All that goes to its standard output and
//! error comes here meanwhile: both are pipes, and the terminal is written to by the screen alone. What came
//! is shown there, kept, and printed when the terminal is as it was before.

use std::fs::File;
use std::io::{self, IsTerminal, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::panic;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ratatui::crossterm::ExecutableCommand;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use rustix::stdio::{dup2_stderr, dup2_stdout};

use super::kept::{Kept, Stream};
use crate::error::{Context, Error, Result};

/// How long a panic waits for what was printed before it.
const PATIENCE: Duration = Duration::from_millis(200);

/// Refuses a standard output or error that is no terminal.
pub fn check() -> Result<()> {
    let is_terminal = [
        ("standard output", io::stdout().is_terminal()),
        ("standard error", io::stderr().is_terminal()),
    ];
    match is_terminal.iter().find(|(_, is_terminal)| !is_terminal) {
        None => Ok(()),
        Some((stream, _)) => Err(Error::usage(format!(
            "found --top, which draws on a terminal, and {stream} that is none; run it in a terminal without \
             redirection, or take --stats (a table at the end) or --stats-json FILE instead"
        ))),
    }
}

/// The terminal, taken until this is dropped; also a panic gives it back.
pub struct Taken(Arc<Terminal>);

struct Terminal {
    stdout: OwnedFd,
    stderr: OwnedFd,
    kept: Arc<Mutex<Kept>>,
    /// Those who read what is printed, until the terminal is given back.
    readers: Mutex<Option<[JoinHandle<()>; 2]>>,
}

impl Taken {
    /// Takes the terminal; `show` is told what is printed from now on.
    pub fn take(show: impl Fn(Stream, &[u8]) + Clone + Send + 'static) -> Result<Self> {
        let about = || "draw on the terminal and read its keys (--top)".into();
        let save = |stream: &dyn AsFd| stream.as_fd().try_clone_to_owned();
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let kept = Arc::new(Mutex::new(Kept::new().context(about)?));
        let (out, to_out) = io::pipe().context(about)?;
        let (error, to_error) = io::pipe().context(about)?;
        let terminal = Arc::new(Terminal {
            stdout: save(&stdout).context(about)?,
            stderr: save(&stderr).context(about)?,
            readers: Mutex::new(Some([
                read(out, Stream::Out, kept.clone(), show.clone()),
                read(error, Stream::Error, kept.clone(), show),
            ])),
            kept,
        });
        let taken = Self(terminal.clone());
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            terminal.give_back(PATIENCE);
            before(panic);
        }));
        // From here on it is given back whatever happens.
        taken.0.begin(to_out, to_error).context(about)?;
        Ok(taken)
    }

    /// The terminal, to be written to.
    pub fn file(&self) -> Result<File> {
        self.0.file().context(|| "write to the terminal".into())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.give_back(Duration::MAX);
    }
}

impl Terminal {
    fn file(&self) -> io::Result<File> {
        self.stdout.try_clone().map(File::from)
    }

    /// Makes it a screen, and has all that xtask prints go to the pipes. They end when nobody can write to
    /// them any more, so nobody else keeps these ends.
    fn begin(&self, out: PipeWriter, error: PipeWriter) -> io::Result<()> {
        enable_raw_mode()?;
        self.file()?.execute(EnterAlternateScreen)?.execute(Hide)?;
        io::stdout().flush()?;
        dup2_stdout(&out)?;
        dup2_stderr(&error)?;
        Ok(())
    }

    /// Makes the terminal what it was, and prints what was kept: of what is printed at this moment, what
    /// comes within that time. Once.
    fn give_back(&self, patience: Duration) {
        let readers = self.readers.try_lock().ok();
        let Some(readers) = readers.and_then(|mut readers| readers.take()) else {
            return;
        };
        // Whatever fails, the rest is tried.
        if let Ok(mut file) = self.file() {
            let _ = file
                .execute(LeaveAlternateScreen)
                .and_then(|file| file.execute(Show).map(drop));
        }
        let _ = disable_raw_mode();
        let _ = io::stdout().flush();
        let _ = dup2_stdout(&self.stdout);
        let _ = dup2_stderr(&self.stderr);
        let begun = Instant::now();
        for reader in readers {
            while !reader.is_finished() && begun.elapsed() < patience {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        let kept = match patience {
            Duration::MAX => Some(self.kept.lock().unwrap_or_else(PoisonError::into_inner)),
            // It may be held by the thread that has panicked.
            _ => self.kept.try_lock().ok(),
        };
        let printed = kept.map(|mut kept| kept.print(io::stdout(), io::stderr()));
        if let Some(Err(error)) = printed {
            eprintln!("xtask: --top: not all that was printed could be kept: {error}");
        }
    }
}

/// Reads what is printed until nobody can print there any more.
fn read(
    mut from: PipeReader,
    stream: Stream,
    kept: Arc<Mutex<Kept>>,
    show: impl Fn(Stream, &[u8]) + Send + 'static,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut buffer = [0; 16384];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => {
                    let bytes = &buffer[..count];
                    show(stream, bytes);
                    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                    kept.push(stream, bytes);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    })
}
