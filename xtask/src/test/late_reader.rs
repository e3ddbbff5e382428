//! What a device still holds when the program ends is not lost.
//!
//! COM1 is a socket, which takes only so much that nobody reads. The program prints a
//! little more, and ends: the rest is in QEMU's model of the device then, and goes
//! with QEMU unless the kernel waits for it.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::case::Case;
use super::scenario::Scenario;

/// How long nobody reads: the program has ended by then, as far as it is up to it.
const LATE: Duration = Duration::from_secs(3);
/// Bytes that the device holds: half of its FIFO.
const HELD: usize = 8;

/// All of them.
pub fn cases() -> Vec<Case> {
    let taken = capacity().unwrap_or(0);
    let wanted = taken + HELD;
    let text = |word: &str| {
        format!("Hello from Darner!\nYou said: {word}\n1 CPUs, one thread each: [0]\n")
    };
    let word = "x".repeat(wanted.saturating_sub(text("").len()));
    let expected = text(&word);
    vec![
        Scenario::new("exit/late-reader", "hello", &[&word])
            .unread_for(LATE)
            .output(move |_| match expected.len() == wanted {
                true => Ok(expected.clone().into_bytes()),
                false => Err(format!(
                    "a socket takes {taken} bytes only: too few to test this"
                )),
            })
            .case(),
    ]
}

/// How many bytes a socket takes that are written one by one, as QEMU does, and not read.
fn capacity() -> std::io::Result<usize> {
    let (mut near, _far) = UnixStream::pair()?;
    near.set_nonblocking(true)?;
    Ok((0..).take_while(|_| near.write(&[0]).is_ok()).count())
}
