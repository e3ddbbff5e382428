//! `xtask cluster --top` on a terminal, as its user sees it: a pseudo terminal, whose screen is kept here.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::AsFd;
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};
use rustix::termios::{InputModes, LocalModes, OutputModes, tcgetattr};

use super::case::{Case, Verdict};
use super::command_line::{expect, xtask};
use super::suite::Suite;
use crate::command::Guarded;
use crate::error::{Context, Error};
use crate::kernel::Profile;

const ROWS: u16 = 30;
const COLUMNS: u16 = 120;
/// How long a cluster may take to do what is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// All of them.
pub fn cases() -> Vec<Case> {
    vec![
        Case::new("top/hot-variable", hot_variable),
        Case::new("top/quit", quit),
        Case::new("top/no-terminal", |suite| {
            let words = ["cluster", "--nodes", "2", "--top", "hello"];
            expect(&xtask(suite, &words)?, 2, "--stats (a table at the end)")
        }),
        Case::new("top/separate", |suite| {
            let words = ["cluster", "--nodes", "2", "--top", "--separate", "hello"];
            expect(&xtask(suite, &words)?, 2, "--separate")
        }),
    ]
}

/// The variable that all nodes write is named, both nodes have a part in it, and what the program prints is
/// shown, and stays; the status is the program's.
fn hot_variable(suite: &Suite) -> Verdict {
    // Built before time counts.
    suite.program("ssi", Profile::Release)?;
    let words = [
        "--nodes",
        "2",
        "--timeout",
        "100",
        "ssi",
        "--",
        "hot",
        "5",
        "7",
    ];
    let mut session = Session::begin(suite, &words)?;
    session.until("ssi on 2 nodes", |screen| screen.contains("ssi on 2 nodes"))?;
    session.expect_taken()?;
    session.until("what the program prints", |screen| {
        screen.contains("[n0] all write for 5 s")
    })?;
    session.until("the variable that all write", |screen| {
        screen.lines().any(|line| {
            let is_shared = line.contains(" n0 ") && line.contains("% n1 ");
            is_shared && line.contains("  ssi::hot::WANTED_BY_ALL")
        })
    })?;
    session.press(b"s")?;
    session.until("the other order", |screen| {
        screen.contains("have waited for so far") && screen.contains("sort pages by now")
    })?;
    let (status, left) = session.end()?;
    if status.code() != Some(7) {
        Err(format!("found {status}, expected status 7:\n{left}"))?;
    }
    for line in [
        "all write for 5 s",
        "all turns are counted",
        "[n0] xtask: exit status 7",
    ] {
        if !left.lines().any(|found| found.trim_end() == line) {
            Err(format!(
                "expected the line `{line}` to be left, found:\n{left}"
            ))?;
        }
    }
    Ok(())
}

/// A key ends it as Ctrl-C would, also while the machines have not come up yet.
fn quit(suite: &Suite) -> Verdict {
    suite.program("faults", Profile::Release)?;
    let words = ["--nodes", "1", "faults", "--", "hang-idle"];
    let mut session = Session::begin(suite, &words)?;
    session.until("faults on 1 node", |screen| {
        screen.contains("faults on 1 node")
    })?;
    session.expect_taken()?;
    session.press(b"q")?;
    let (status, left) = session.end()?;
    match status.code() == Some(130) && left.contains("xtask: interrupted") {
        true => Ok(()),
        false => Err(format!("found {status}, expected status 130, and:\n{left}"))?,
    }
}

/// xtask on a terminal of its own.
struct Session {
    child: Guarded,
    pty: Pty,
    before: Modes,
    output: Receiver<Vec<u8>>,
    screen: vt100::Parser,
}

/// How a terminal treats what passes it.
type Modes = (InputModes, OutputModes, LocalModes);

impl Session {
    /// Runs `xtask cluster --top` with these words.
    fn begin(suite: &Suite, words: &[&str]) -> Result<Self, Error> {
        let about = || "make a pseudo terminal".into();
        let (pty, pts) = open().context(about)?;
        pty.resize(Size::new(ROWS, COLUMNS)).context(about)?;
        let before = modes(&pty)?;
        let xtask = std::env::current_exe().context(|| "find xtask's own executable".into())?;
        let child: Child = Command::new(xtask)
            .args([&["cluster", "--top"], words].concat())
            .current_dir(&suite.set.root)
            .spawn(pts)
            .context(|| "run xtask".into())?;
        let (sender, output) = mpsc::channel();
        let from = pty.as_fd().try_clone_to_owned().context(about)?;
        std::thread::spawn(move || {
            let (mut from, mut buffer) = (File::from(from), [0; 4096]);
            // That nobody has the other side open any more is an error.
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        let size = |number| NonZeroU16::new(number).unwrap_or(NonZeroU16::MIN);
        Ok(Self {
            child: Guarded(child),
            pty,
            before,
            output,
            screen: vt100::Parser::new(size(ROWS), size(COLUMNS), 0),
        })
    }

    /// Waits until the screen shows something.
    fn until(&mut self, what: &str, is_shown: impl Fn(&str) -> bool) -> Result<(), Error> {
        let begun = Instant::now();
        while !is_shown(&self.screen.screen().contents()) {
            let left = PATIENCE.saturating_sub(begun.elapsed());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.screen.process(&bytes),
                Err(error) => {
                    return Err(Error::failed(format!(
                        "expected {what} on the screen, found ({error}):\n{}",
                        self.screen.screen().contents()
                    )));
                }
            }
        }
        Ok(())
    }

    /// Keys come as they are pressed, and nothing of the terminal's own is written over.
    fn expect_taken(&self) -> Result<(), Error> {
        let (_, _, local) = modes(&self.pty)?;
        let is_raw = !local.intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
        match is_raw && self.screen.screen().alternate_screen() {
            true => Ok(()),
            false => Err(Error::failed(format!(
                "expected a terminal without a mode of its own, and its other screen, found {local:?}"
            ))),
        }
    }

    fn press(&mut self, keys: &[u8]) -> Result<(), Error> {
        self.pty.write_all(keys).context(|| "press a key".into())
    }

    /// Waits for the end; the status, and what is left on the screen. The terminal is what it was.
    fn end(mut self) -> Result<(ExitStatus, String), Error> {
        // Nobody has the terminal open any more then.
        let begun = Instant::now();
        loop {
            match self
                .output
                .recv_timeout(PATIENCE.saturating_sub(begun.elapsed()))
            {
                Ok(bytes) => self.screen.process(&bytes),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    return Err(Error::failed(format!(
                        "expected xtask to end, found:\n{}",
                        self.screen.screen().contents()
                    )));
                }
            }
        }
        let status = self.child.0.wait().context(|| "wait for xtask".into())?;
        let (after, screen) = (modes(&self.pty)?, self.screen.screen());
        if after != self.before || screen.alternate_screen() || screen.hide_cursor() {
            return Err(Error::failed(format!(
                "expected the terminal as it was, {:?}, found {after:?}, showing:\n{}",
                self.before,
                screen.contents()
            )));
        }
        Ok((status, screen.contents()))
    }
}

fn modes(pty: &Pty) -> Result<Modes, Error> {
    let all = tcgetattr(pty).context(|| "read a terminal's modes".into())?;
    Ok((all.input_modes, all.output_modes, all.local_modes))
}
