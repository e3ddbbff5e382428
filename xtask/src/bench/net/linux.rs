//! Linux as a guest.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;

use super::image::PROGRAM;
use super::kernel::Linux;
use super::running::Running;
use crate::command::Guarded;
use crate::error::{Error, Result};
use crate::vm::{self, Config};

/// Boots Linux with what is in an archive of [`super::image`], on the very machine that
/// Darner would get, and starts its program.
///
/// `mitigations=off`: Darner has none of those for the faults of processors that it would
/// share with other programs, and on an emulated one they only cost.
pub fn start(
    qemu: &Path,
    config: &Config,
    linux: &Linux,
    archive: &Path,
    address: &str,
    args: &[&str],
) -> Result<Running> {
    let mut command = vm::hardware(qemu, config)?;
    command.args(["-serial", "stdio", "-kernel"]);
    command.arg(linux.image()).arg("-initrd").arg(archive);
    let words = [
        "console=ttyS0 quiet panic=-1 mitigations=off",
        &format!("address={address}"),
        "--",
        PROGRAM,
        &args.join(" "),
    ];
    command.arg("-append").arg(words.join(" "));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    let mut child = Guarded::spawn(&mut command)?;
    let stdout = (child.0.stdout.take())
        .ok_or_else(|| Error::failed("QEMU was started without its output"))?;
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        // Until QEMU ends, or nobody listens any more.
        for line in BufReader::new(stdout).split(b'\n').map_while(|it| it.ok()) {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    Ok(Running::new(lines, child))
}
