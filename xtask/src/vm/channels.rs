//! The sockets between xtask and QEMU: COM1, standard error, control, and samples where they are asked for.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use super::command_line::{COM1, CONTROL, SAMPLES, STDERR};
use super::stop::Stop;
use crate::command::Guarded;
use crate::error::{Context, Error, Result};

/// Sockets that wait for QEMU.
pub struct Listeners {
    always: [UnixListener; 3],
    samples: Option<UnixListener>,
}

/// The connected channels.
pub struct Channels {
    /// The program's standard output, and its standard input back.
    pub com1: UnixStream,
    /// The program's standard error and the kernel's messages.
    pub stderr: UnixStream,
    /// The control records.
    pub control: UnixStream,
    /// Samples of what the node does.
    pub samples: Option<UnixStream>,
}

impl Listeners {
    /// Makes the sockets in the VM's folder, that for samples among them or not.
    pub fn bind(folder: &Path, is_sampled: bool) -> Result<Self> {
        let bind = |name: &str| -> Result<UnixListener> {
            let path = folder.join(name);
            let listener = UnixListener::bind(&path)
                .context(|| format!("make the socket {}", path.display()))?;
            listener
                .set_nonblocking(true)
                .context(|| "set up a socket".into())?;
            Ok(listener)
        };
        Ok(Self {
            always: [bind(COM1)?, bind(STDERR)?, bind(CONTROL)?],
            samples: is_sampled.then(|| bind(SAMPLES)).transpose()?,
        })
    }

    /// Takes QEMU's connections; `None` when QEMU ends, or is to end, before it makes
    /// them.
    pub fn accept(self, qemu: &mut Guarded, stop: &Stop) -> Result<Option<Channels>> {
        let mut accept = |listener: UnixListener| -> Result<Option<UnixStream>> {
            loop {
                match listener.accept() {
                    Ok((stream, _)) => {
                        stream
                            .set_nonblocking(false)
                            .context(|| "set up a socket".into())?;
                        return Ok(Some(stream));
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(error) => {
                        return Err(Error::failed(format!(
                            "cannot take QEMU's connection: {error}"
                        )));
                    }
                }
                let ended = qemu.0.try_wait().context(|| "wait for QEMU".into())?;
                if ended.is_some() || stop.is_asked() {
                    return Ok(None);
                }
                if crate::interrupt::status().is_some() {
                    return Err(Error::interrupted());
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        let [com1, stderr, control] = self.always;
        let always = (accept(com1)?, accept(stderr)?, accept(control)?);
        let (Some(com1), Some(stderr), Some(control)) = always else {
            return Ok(None);
        };
        let samples = match self.samples {
            None => None,
            Some(listener) => match accept(listener)? {
                None => return Ok(None),
                samples => samples,
            },
        };
        Ok(Some(Channels {
            com1,
            stderr,
            control,
            samples,
        }))
    }
}

/// Where a guest's output goes.
pub enum Output {
    /// To xtask's own standard output.
    Stdout,
    /// To xtask's own standard error.
    Stderr,
    /// There.
    To(Box<dyn Write + Send>),
    /// Kept in memory.
    Kept,
    /// The same, but nothing is read before so much time has passed.
    KeptAfter(Duration),
}

/// Moves all that comes from `source` to where it goes, as it comes; gives what
/// was kept.
pub fn pump(mut source: impl Read + Send + 'static, mut output: Output) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let (mut kept, mut buffer) = (Vec::new(), [0; 16384]);
        if let Output::KeptAfter(time) = output {
            std::thread::sleep(time);
        }
        loop {
            let bytes = match source.read(&mut buffer) {
                // QEMU's end may come as an error, too.
                Ok(0) | Err(_) => return kept,
                Ok(count) => &buffer[..count],
            };
            // A reader of ours that has gone away must not stop the guest.
            let _ = match &mut output {
                Output::Stdout => write_all(std::io::stdout(), bytes),
                Output::Stderr => write_all(std::io::stderr(), bytes),
                Output::To(writer) => writer.write_all(bytes),
                Output::Kept | Output::KeptAfter(_) => {
                    kept.extend_from_slice(bytes);
                    Ok(())
                }
            };
        }
    })
}

fn write_all(mut to: impl Write, bytes: &[u8]) -> std::io::Result<()> {
    to.write_all(bytes)?;
    to.flush()
}

/// Where a guest's input comes from.
pub enum Input {
    /// xtask's own standard input.
    Stdin,
    /// These bytes, then the end.
    Bytes(Vec<u8>),
    /// What this has to say.
    From(Box<dyn Read + Send>),
}

/// Feeds the guest in frames: a length in two bytes, little-endian, then the
/// content. A frame of length 0 is the end of the input.
pub fn feed(input: Input, mut com1: UnixStream) {
    std::thread::spawn(move || {
        // An error is the end of QEMU, which is noticed elsewhere.
        let _ = match input {
            Input::Stdin => frames(std::io::stdin(), &mut com1),
            Input::Bytes(bytes) => frames(&bytes[..], &mut com1),
            Input::From(source) => frames(source, &mut com1),
        };
    });
}

fn frames(mut source: impl Read, to: &mut impl Write) -> std::io::Result<()> {
    let mut buffer = [0; 2 + 4096];
    loop {
        let count = source.read(&mut buffer[2..]).unwrap_or(0);
        buffer[..2].copy_from_slice(&(count as u16).to_le_bytes());
        to.write_all(&buffer[..2 + count])?;
        if count == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn input_is_framed_and_ended() {
        let mut sent = Vec::new();
        super::frames(&b"hi"[..], &mut sent).unwrap();
        assert_eq!(sent, b"\x02\0hi\0\0");
    }
}
