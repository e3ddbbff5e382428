//! Datagrams: either end of a flow of them. Each begins with its number, as far as it is
//! large enough.

use std::io::{self, ErrorKind};
use std::net::UdpSocket;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use crate::protocol::Moved;

/// After how long without a datagram the end of the flow is thought of.
pub const SILENCE: Duration = Duration::from_millis(200);
/// Bytes of a number.
const NUMBER: usize = size_of::<u64>();

/// Sends datagrams to the peer of a connected socket, for so long, as fast as they go.
pub fn send(socket: &UdpSocket, bytes: usize, time: Duration) -> Moved {
    let mut datagram = vec![0; bytes];
    let mut moved = Moved::default();
    let begin = Instant::now();
    while begin.elapsed() < time {
        number(&mut datagram, moved.packets);
        // Where there is no room for it, or nobody there, it is lost before it is sent.
        if socket.send(&datagram).is_ok() {
            moved.packets += 1;
            moved.bytes += bytes as u64;
        }
    }
    moved.time = begin.elapsed();
    moved
}

fn number(datagram: &mut [u8], number: u64) {
    let bytes = datagram.len().min(NUMBER);
    datagram[..bytes].copy_from_slice(&number.to_le_bytes()[..bytes]);
}

/// Receives datagrams. Whenever none has come for a while, `in_silence` is told how many came
/// so far and says whether it is the end.
pub fn receive(
    socket: &UdpSocket,
    mut in_silence: impl FnMut(u64) -> ControlFlow<()>,
) -> io::Result<Moved> {
    socket.set_read_timeout(Some(SILENCE))?;
    let mut buffer = vec![0; 64 << 10];
    let mut moved = Moved::default();
    let mut highest = 0;
    let mut times: Option<(Instant, Instant)> = None;
    loop {
        let bytes = match socket.recv(&mut buffer) {
            Ok(bytes) => bytes,
            Err(error) if is_silence(&error) => match in_silence(moved.packets) {
                ControlFlow::Continue(()) => continue,
                ControlFlow::Break(()) => break,
            },
            // What was sent to a peer that had gone.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => continue,
            Err(error) => return Err(error),
        };
        let now = Instant::now();
        times.get_or_insert((now, now)).1 = now;
        moved.packets += 1;
        moved.bytes += bytes as u64;
        if let Some(number) = buffer[..bytes].first_chunk::<NUMBER>() {
            let number = u64::from_le_bytes(*number);
            moved.wrong += u64::from(number < highest);
            highest = highest.max(number);
        }
    }
    moved.time = times.map(|(first, last)| last - first).unwrap_or_default();
    Ok(moved)
}

/// Sends datagrams back to where they come from. See [`receive`].
pub fn echo(
    socket: &UdpSocket,
    mut in_silence: impl FnMut(u64) -> ControlFlow<()>,
) -> io::Result<Moved> {
    socket.set_read_timeout(Some(SILENCE))?;
    let mut buffer = vec![0; 64 << 10];
    let mut moved = Moved::default();
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((bytes, from)) => {
                moved.packets += u64::from(socket.send_to(&buffer[..bytes], from).is_ok());
                moved.bytes += bytes as u64;
            }
            Err(error) if is_silence(&error) => {
                if in_silence(moved.packets).is_break() {
                    return Ok(moved);
                }
            }
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether an error only says that nothing came in time.
pub fn is_silence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}
