//! `xtask cluster --top` on a terminal, as its user sees it: a pseudo terminal, whose screen is kept here.

use std::io::Read;
use std::num::NonZeroU16;
use std::os::fd::AsFd;
use std::process::Child;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};
use rustix::termios::{LocalModes, tcgetattr};

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

/// xtask on a terminal of its own.
struct Session {
    child: Guarded,
    pty: Pty,
    output: Receiver<Vec<u8>>,
    screen: vt100::Parser,
}

impl Session {
    /// Runs a program with that command line on two nodes.
    fn begin(suite: &Suite, words: &[&str]) -> Result<Self, Error> {
        let about = || "make a pseudo terminal".into();
        let (pty, pts) = open().context(about)?;
        pty.resize(Size::new(ROWS, COLUMNS)).context(about)?;
        let xtask = std::env::current_exe().context(|| "find xtask's own executable".into())?;
        let child: Child = Command::new(xtask)
            .args([&["cluster", "--nodes", "2", "--top"], words].concat())
            .current_dir(&suite.set.root)
            .spawn(pts)
            .context(|| "run xtask".into())?;
        let (sender, output) = mpsc::channel();
        let from = pty.as_fd().try_clone_to_owned().context(about)?;
        std::thread::spawn(move || {
            let (mut from, mut buffer) = (std::fs::File::from(from), [0; 4096]);
            // The end of all who have the other side open is an error.
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
            output,
            screen: vt100::Parser::new(size(ROWS), size(COLUMNS), 0),
        })
    }
}
