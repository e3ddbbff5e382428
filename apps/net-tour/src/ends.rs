//! How connections begin not to be, and how they end.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use crate::pair::{nobody, pair, v4};
use tour::{Check, Outcome, kind, same};

pub const CHECKS: &[Check] = &[
    Check::new("nobody listens", refused),
    Check::new("the end of input", end_of_input),
    Check::new("half closed", half_closed),
    Check::new("no more output", no_more_output),
    Check::new("no more input", no_more_input),
    Check::new("neither", neither),
    Check::new("closed with bytes unread", reset),
    Check::new("closed with bytes unsent", closed_unsent),
    Check::new("a descriptor that is closed twice over", clones),
];

/// Time for a segment to arrive whose arrival nothing tells.
const ARRIVAL: Duration = Duration::from_millis(100);

fn refused() -> Outcome {
    let at = nobody()?;
    let refused = ErrorKind::ConnectionRefused;
    same!(kind(TcpStream::connect(at))?, refused);
    let limit = Duration::from_secs(10);
    same!(kind(TcpStream::connect_timeout(&at, limit))?, refused);
    Ok(format!("{refused:?}"))
}

fn end_of_input() -> Outcome {
    let (mut one, mut other) = pair(v4())?;
    one.write_all(b"last words")?;
    drop(one);
    let mut text = String::new();
    other.read_to_string(&mut text)?;
    same!(text, "last words");
    same!(other.read(&mut [0; 8])?, 0);
    Ok("after all bytes".into())
}

fn half_closed() -> Outcome {
    let (mut one, mut other) = pair(v4())?;
    one.write_all(b"question")?;
    one.shutdown(Shutdown::Write)?;
    let mut text = String::new();
    other.read_to_string(&mut text)?;
    same!(text, "question");
    thread::sleep(ARRIVAL);
    other.write_all(b"answer")?;
    drop(other);
    let mut text = String::new();
    one.read_to_string(&mut text)?;
    same!(text, "answer");
    Ok("still answers".into())
}

fn no_more_output() -> Outcome {
    let (mut one, _other) = pair(v4())?;
    one.shutdown(Shutdown::Write)?;
    let broken = ErrorKind::BrokenPipe;
    same!(kind(one.write(b"x"))?, broken);
    one.shutdown(Shutdown::Write)?;
    Ok(format!("{broken:?}"))
}

fn no_more_input() -> Outcome {
    let (mut one, mut other) = pair(v4())?;
    one.shutdown(Shutdown::Read)?;
    same!(one.read(&mut [0; 8])?, 0);
    one.write_all(b"x")?;
    same!(other.read(&mut [0; 8])?, 1);

    // Somebody who already waits.
    let reader = other.try_clone()?;
    let waiting = thread::spawn(move || (&reader).read(&mut [0; 8]));
    thread::sleep(ARRIVAL);
    other.shutdown(Shutdown::Read)?;
    same!(waiting.join().map_err(|_| "the reader panicked")??, 0);
    Ok("is the end of input".into())
}

fn neither() -> Outcome {
    let (mut one, mut other) = pair(v4())?;
    one.shutdown(Shutdown::Both)?;
    same!(one.read(&mut [0; 8])?, 0);
    same!(kind(one.write(b"x"))?, ErrorKind::BrokenPipe);
    same!(other.read(&mut [0; 8])?, 0);
    other.shutdown(Shutdown::Write)?;
    thread::sleep(ARRIVAL);
    let not_connected = ErrorKind::NotConnected;
    same!(kind(one.peer_addr())?, not_connected);
    same!(kind(one.shutdown(Shutdown::Both))?, not_connected);
    Ok(format!("then {not_connected:?}"))
}

fn reset() -> Outcome {
    let (mut one, other) = pair(v4())?;
    one.write_all(b"never read")?;
    other.peek(&mut [0; 1])?;
    drop(other);
    let reset = ErrorKind::ConnectionReset;
    same!(kind(one.read(&mut [0; 8]))?, reset);
    same!(one.read(&mut [0; 8])?, 0);
    same!(kind(one.write(b"x"))?, ErrorKind::BrokenPipe);

    let (mut one, other) = pair(v4())?;
    one.write_all(b"never read")?;
    other.peek(&mut [0; 1])?;
    drop(other);
    thread::sleep(ARRIVAL);
    let error = one.take_error()?.ok_or("found no error")?;
    same!(error.kind(), reset);
    same!(one.take_error()?.map(|error| error.kind()), None);
    Ok(format!("{reset:?}"))
}

fn closed_unsent() -> Outcome {
    const SIZE: usize = 300_000;
    let (mut one, mut other) = pair(v4())?;
    one.write_all(&vec![7; SIZE])?;
    drop(one);
    let mut got = Vec::new();
    other.read_to_end(&mut got)?;
    same!(got.len(), SIZE);
    Ok(format!("{SIZE} bytes still come"))
}

fn clones() -> Outcome {
    let (one, mut other) = pair(v4())?;
    let clone = one.try_clone()?;
    drop(one);
    (&clone).write_all(b"still")?;
    let mut buffer = [0; 8];
    same!(other.read(&mut buffer)?, 5);
    drop(clone);
    same!(other.read(&mut buffer)?, 0);
    Ok("closes with the last".into())
}
