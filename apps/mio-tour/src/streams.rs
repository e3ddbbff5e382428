//! Connections.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener as Blocking, TcpStream as BlockingStream};
use std::thread;

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Poll, Token};

use crate::until::{now, soon, until};
use tour::{Check, Outcome, ensure, kind, same};

pub const CHECKS: &[Check] = &[
    Check::new("begun", connect),
    Check::new("refused", refused),
    Check::new("accepted", accept),
    Check::new("bytes to read", readable),
    Check::new("room to write", writable),
    Check::new("the end of input", end_of_input),
    Check::new("broken off", reset),
    Check::new("IPv6", v6),
];

const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);
const STREAM: Token = Token(5);

/// A connection whose first end is registered, and is connected.
fn pair(poll: &mut Poll) -> Result<(TcpStream, BlockingStream), Box<dyn std::error::Error>> {
    let listener = Blocking::bind("127.0.0.1:0")?;
    let mut stream = TcpStream::connect(listener.local_addr()?)?;
    poll.registry().register(&mut stream, STREAM, BOTH)?;
    until(poll, |event| event.token() == STREAM && event.is_writable())?;
    let (other, _) = listener.accept()?;
    Ok((stream, other))
}

fn connect() -> Outcome {
    let mut poll = Poll::new()?;
    let (stream, other) = pair(&mut poll)?;
    same!(stream.take_error()?.map(|error| error.kind()), None);
    same!(stream.peer_addr()?, other.local_addr()?);
    same!(stream.local_addr()?, other.peer_addr()?);
    stream.set_nodelay(true)?;
    same!(stream.nodelay()?, true);
    Ok("writable, then it has a peer".into())
}

fn refused() -> Outcome {
    let mut poll = Poll::new()?;
    let nobody: SocketAddr = Blocking::bind("127.0.0.1:0")?.local_addr()?;
    let mut stream = TcpStream::connect(nobody)?;
    poll.registry().register(&mut stream, STREAM, BOTH)?;
    until(&mut poll, |event| {
        event.token() == STREAM && event.is_error()
    })?;
    let error = stream.take_error()?.ok_or("found no error")?;
    same!(error.kind(), ErrorKind::ConnectionRefused);
    same!(kind(stream.peer_addr())?, ErrorKind::NotConnected);
    Ok("ConnectionRefused, by take_error".into())
}

fn accept() -> Outcome {
    const CONNECTIONS: usize = 3;
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
    let at = listener.local_addr()?;
    poll.registry()
        .register(&mut listener, Token(1), Interest::READABLE)?;
    same!(soon(&mut poll)?, 0);
    for _ in 0..2 {
        let ones: Result<Vec<_>, _> = (0..CONNECTIONS)
            .map(|_| BlockingStream::connect(at))
            .collect();
        let ones = ones?;
        let mut accepted = Vec::new();
        while accepted.len() < CONNECTIONS {
            until(&mut poll, |event| {
                event.token() == Token(1) && event.is_readable()
            })?;
            while let Some((stream, from)) = now(listener.accept())? {
                same!(from, ones[accepted.len()].local_addr()?);
                accepted.push(stream);
            }
        }
        // They do not block.
        same!(kind(accepted[0].read(&mut [0; 8]))?, ErrorKind::WouldBlock);
        same!(soon(&mut poll)?, 0);
    }
    Ok("readable while somebody waits".into())
}

fn readable() -> Outcome {
    const TIMES: u8 = 20;
    let mut poll = Poll::new()?;
    let (mut stream, mut other) = pair(&mut poll)?;
    for number in 0..TIMES {
        let mut buffer = [0; 64];
        same!(kind(stream.read(&mut buffer))?, ErrorKind::WouldBlock);
        other.write_all(&[number; 50])?;
        let mut got = 0;
        while got < 50 {
            until(&mut poll, |event| {
                event.token() == STREAM && event.is_readable()
            })?;
            while let Some(count) = now(stream.read(&mut buffer))? {
                ensure!(count > 0, "found the end of input");
                ensure!(
                    buffer[..count].iter().all(|&byte| byte == number),
                    "other bytes"
                );
                got += count;
            }
        }
    }
    Ok(format!("{TIMES} times, each until there is nothing"))
}

fn writable() -> Outcome {
    const SIZE: usize = 4 << 20;
    let mut poll = Poll::new()?;
    let (mut stream, mut other) = pair(&mut poll)?;
    let (mut sent, mut waits) = (0, 0);
    let mut reader = None;
    while sent < SIZE {
        let piece = vec![(sent >> 16) as u8; 1 << 16];
        match now(stream.write(&piece[sent % piece.len()..]))? {
            Some(count) => sent += count,
            None => {
                // Nobody reads before it is full.
                reader.get_or_insert_with(|| {
                    let other = other.try_clone();
                    thread::spawn(move || {
                        let mut got = Vec::new();
                        other?.read_to_end(&mut got).map(|_| got)
                    })
                });
                waits += 1;
                until(&mut poll, |event| {
                    event.token() == STREAM && event.is_writable()
                })?;
            }
        }
    }
    ensure!(waits > 0, "{SIZE} bytes were sent, and nobody reads");
    stream.shutdown(Shutdown::Write)?;
    let reader = reader.ok_or("there is no reader")?;
    let got = reader.join().map_err(|_| "the reader panicked")??;
    same!(got.len(), SIZE);
    let wrong = (0..SIZE).find(|&at| got[at] != (at >> 16) as u8);
    same!(wrong, None);
    other.write_all(b"x")?;
    until(&mut poll, |event| event.is_readable())?;
    Ok(format!("{SIZE} bytes, when there is some"))
}

fn end_of_input() -> Outcome {
    let mut poll = Poll::new()?;
    let (mut stream, mut other) = pair(&mut poll)?;
    let mut buffer = [0; 8];
    same!(kind(stream.read(&mut buffer))?, ErrorKind::WouldBlock);
    other.write_all(b"last")?;
    drop(other);
    let mut got = 0;
    loop {
        until(&mut poll, |event| {
            event.token() == STREAM && event.is_readable()
        })?;
        let end = loop {
            match now(stream.read(&mut buffer))? {
                Some(0) => break true,
                Some(count) => got += count,
                None => break false,
            }
        };
        if end {
            break;
        }
    }
    same!(got, 4);
    same!(stream.write(b"still")?, 5);
    Ok("readable, after all bytes".into())
}

fn reset() -> Outcome {
    let mut poll = Poll::new()?;
    let (mut stream, other) = pair(&mut poll)?;
    stream.write_all(b"never read")?;
    other.peek(&mut [0; 1])?;
    same!(kind(stream.read(&mut [0; 8]))?, ErrorKind::WouldBlock);
    drop(other);
    until(&mut poll, |event| {
        event.token() == STREAM && event.is_readable()
    })?;
    let reset = ErrorKind::ConnectionReset;
    same!(kind(stream.read(&mut [0; 8]))?, reset);
    Ok(format!("readable, then {reset:?}"))
}

fn v6() -> Outcome {
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind("[::1]:0".parse()?)?;
    poll.registry()
        .register(&mut listener, Token(1), Interest::READABLE)?;
    let mut stream = TcpStream::connect(listener.local_addr()?)?;
    poll.registry().register(&mut stream, STREAM, BOTH)?;
    let (mut came, mut connected) = (false, false);
    while !came || !connected {
        until(&mut poll, |event| {
            came |= event.token() == Token(1);
            connected |= event.token() == STREAM && event.is_writable();
            true
        })?;
    }
    let (other, from) = listener.accept()?;
    same!(from, stream.local_addr()?);
    same!(other.local_addr()?, stream.peer_addr()?);
    Ok("the same".into())
}
