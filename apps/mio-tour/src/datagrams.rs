//! Datagrams.

use std::io::ErrorKind;

use mio::net::UdpSocket;
use mio::{Interest, Poll, Token};

use crate::until::{soon, until};
use tour::{Check, Outcome, kind, same};

pub const CHECKS: &[Check] = &[
    Check::new("there and back", there_and_back),
    Check::new("with one peer", connected),
];

fn registered(poll: &Poll, token: Token) -> Result<UdpSocket, Box<dyn std::error::Error>> {
    let mut socket = UdpSocket::bind("127.0.0.1:0".parse()?)?;
    let both = Interest::READABLE.add(Interest::WRITABLE);
    poll.registry().register(&mut socket, token, both)?;
    Ok(socket)
}

fn there_and_back() -> Outcome {
    const TIMES: usize = 50;
    let mut poll = Poll::new()?;
    let sockets = [registered(&poll, Token(0))?, registered(&poll, Token(1))?];
    until(&mut poll, |event| event.is_writable())?;
    let mut buffer = [0; 64];
    for socket in &sockets {
        same!(kind(socket.recv_from(&mut buffer))?, ErrorKind::WouldBlock);
    }
    for turn in 0..TIMES {
        let (from, to) = (&sockets[turn % 2], &sockets[(turn + 1) % 2]);
        let text = format!("datagram {turn}");
        from.send_to(text.as_bytes(), to.local_addr()?)?;
        let token = Token((turn + 1) % 2);
        until(&mut poll, |event| {
            event.token() == token && event.is_readable()
        })?;
        same!(to.recv_from(&mut buffer)?, (text.len(), from.local_addr()?));
        same!(&buffer[..text.len()], text.as_bytes());
        same!(kind(to.recv(&mut buffer))?, ErrorKind::WouldBlock);
    }
    Ok(format!("{TIMES} times"))
}

fn connected() -> Outcome {
    let mut poll = Poll::new()?;
    let (one, other) = (registered(&poll, Token(0))?, registered(&poll, Token(1))?);
    let stranger = UdpSocket::bind("127.0.0.1:0".parse()?)?;
    one.connect(other.local_addr()?)?;
    until(&mut poll, |event| event.is_writable())?;
    let mut buffer = [0; 64];
    same!(kind(one.recv(&mut buffer))?, ErrorKind::WouldBlock);
    same!(kind(other.recv(&mut buffer))?, ErrorKind::WouldBlock);
    stranger.send_to(b"not for you", one.local_addr()?)?;
    soon(&mut poll)?;
    same!(kind(one.recv(&mut buffer))?, ErrorKind::WouldBlock);
    one.send(b"question")?;
    until(&mut poll, |event| {
        event.token() == Token(1) && event.is_readable()
    })?;
    same!(other.peek(&mut buffer)?, 8);
    same!(other.recv(&mut buffer)?, 8);
    Ok("others are not heard".into())
}
