//! Running other programs: what was run is part of every error.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::error::{Context, Error, Result};

/// Runs `command` to its end with its standard output sent to standard error:
/// xtask's own standard output belongs to the guest's program.
pub fn run(command: &mut Command) -> Result<()> {
    let mut child = Guarded::spawn(command.stdin(Stdio::null()).stdout(std::io::stderr()))?;
    let status = child.wait(command)?;
    if status.success() {
        return Ok(());
    }
    Err(Error::failed(format!(
        "`{}` failed ({status})",
        shown(command)
    )))
}

/// A child process that does not outlive its owner.
pub struct Guarded(pub Child);

impl Guarded {
    /// Starts `command`.
    pub fn spawn(command: &mut Command) -> Result<Self> {
        command
            .spawn()
            .map(Self)
            .context(|| format!("start `{}`", name(command)))
    }

    /// Waits for the end of the child, unless a signal asks xtask to end.
    pub fn wait(&mut self, command: &Command) -> Result<ExitStatus> {
        self.wait_within(command, Duration::MAX)
    }

    /// As [`Self::wait`]; an error if the child has not ended when `limit` is over.
    pub fn wait_within(&mut self, command: &Command, limit: Duration) -> Result<ExitStatus> {
        let begin = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(status) = self
                .0
                .try_wait()
                .context(|| format!("wait for `{}`", name(command)))?
            {
                return Ok(status);
            }
            #[cfg(feature = "full")]
            if crate::interrupt::status().is_some() {
                return Err(Error::interrupted());
            }
            if begin.elapsed() >= limit {
                return Err(Error::failed(format!(
                    "`{}` was not done after {} s",
                    shown(command),
                    limit.as_secs()
                )));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // Both fail only for a child that has ended and been waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs `command` to its end and gives its standard output.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .context(|| format!("start `{}`", name(command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Error::failed(format!(
            "`{}` failed ({}): {}",
            shown(command),
            output.status,
            said.trim()
        )));
    }
    String::from_utf8(output.stdout).context(|| format!("read the output of `{}`", name(command)))
}

/// Whether a program called `name` can be found by the shell.
pub fn exists(name: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| is_executable(&dir.join(name))))
}

/// Whether `path` is a file that may be executed.
pub fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// The command as one would type it.
pub fn shown(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(quoted)
        .collect::<Vec<_>>()
        .join(" ")
}

/// One word, quoted for the shell where it has to be.
pub fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}
