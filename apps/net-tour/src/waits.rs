//! Calls that do not wait, and calls that do not wait for ever.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::pair::{pair, v4};
use tour::{Check, Outcome, ensure, kind, same};

pub const CHECKS: &[Check] = &[
    Check::new("not at all", nonblocking),
    Check::new("not for a connection", accept),
    Check::new("not for room", no_room),
    Check::new("a while for bytes", read_limit),
    Check::new("a while for room", write_limit),
    Check::new("a while for a connection", connect_limit),
];

const LIMIT: Duration = Duration::from_millis(150);

fn nonblocking() -> Outcome {
    let (mut one, mut other) = pair(v4())?;
    let would_block = ErrorKind::WouldBlock;
    one.set_nonblocking(true)?;
    same!(kind(one.read(&mut [0; 8]))?, would_block);
    same!(kind(one.peek(&mut [0; 8]))?, would_block);
    // All clones, not the other end.
    same!(kind((&one.try_clone()?).read(&mut [0; 8]))?, would_block);
    one.write_all(b"x")?;
    same!(other.read(&mut [0; 8])?, 1);
    one.set_nonblocking(false)?;
    other.write_all(b"y")?;
    same!(one.read(&mut [0; 8])?, 1);
    Ok(format!("{would_block:?}"))
}

fn accept() -> Outcome {
    let listener = TcpListener::bind(v4())?;
    listener.set_nonblocking(true)?;
    same!(kind(listener.accept())?, ErrorKind::WouldBlock);
    let _one = TcpStream::connect(listener.local_addr()?)?;
    listener.set_nonblocking(false)?;
    listener.accept()?;
    listener.set_nonblocking(true)?;
    same!(kind(listener.accept())?, ErrorKind::WouldBlock);
    Ok("nobody has come".into())
}

/// Writes until there is no room; how many bytes there was room for.
fn fill(one: &mut TcpStream) -> Result<usize, std::io::Error> {
    let mut sent = 0;
    loop {
        match one.write(&[7; 10_000]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(sent),
            Err(error) => return Err(error),
        }
    }
}

fn no_room() -> Outcome {
    let (mut one, mut other) = pair(v4())?;
    one.set_nonblocking(true)?;
    let mut sent = fill(&mut one)?;
    // Bytes may still be on their way, which makes room.
    loop {
        std::thread::sleep(LIMIT);
        match fill(&mut one)? {
            0 => break,
            more => sent += more,
        }
    }
    drop(one);
    let mut got = Vec::new();
    other.read_to_end(&mut got)?;
    same!(got.len(), sent);
    ensure!(
        got.iter().all(|&byte| byte == 7),
        "found bytes that nobody sent"
    );
    Ok("what there was room for arrives".into())
}

fn read_limit() -> Outcome {
    let (mut one, mut other) = pair(v4())?;
    one.set_read_timeout(Some(LIMIT))?;
    let begin = Instant::now();
    let would_block = ErrorKind::WouldBlock;
    same!(kind(one.read(&mut [0; 8]))?, would_block);
    ensure!(
        begin.elapsed() >= LIMIT,
        "waited only {:?}",
        begin.elapsed()
    );
    other.write_all(b"x")?;
    one.set_read_timeout(Some(Duration::from_secs(60)))?;
    same!(one.read(&mut [0; 8])?, 1);
    Ok(format!("{would_block:?}"))
}

fn write_limit() -> Outcome {
    let (mut one, other) = pair(v4())?;
    one.set_write_timeout(Some(LIMIT))?;
    let begin = Instant::now();
    same!(
        kind(one.write_all(&vec![7; 32 << 20]))?,
        ErrorKind::WouldBlock
    );
    ensure!(
        begin.elapsed() >= LIMIT,
        "waited only {:?}",
        begin.elapsed()
    );
    drop(other);
    Ok("then WouldBlock".into())
}

fn connect_limit() -> Outcome {
    let listener = TcpListener::bind(v4())?;
    let mut one = TcpStream::connect_timeout(&listener.local_addr()?, Duration::from_secs(60))?;
    let (mut other, _) = listener.accept()?;
    // It blocks again.
    other.write_all(b"x")?;
    same!(one.read(&mut [0; 8])?, 1);
    Ok("is long enough".into())
}
