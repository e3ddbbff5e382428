//! Listening.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crate::pair::v4;
use tour::{Check, Outcome, ensure, kind, same};

pub const CHECKS: &[Check] = &[
    Check::new("an address in use", in_use),
    Check::new("an address of nobody's", not_available),
    Check::new("the address it is bound to", bound),
    Check::new("any address", any),
    Check::new("both families", dual_stack),
    Check::new("again while connections are in TIME-WAIT", again),
    Check::new("connections wait in order", order),
    Check::new("the backlog", backlog),
    Check::new("closed before accepting", closed),
];

fn in_use() -> Outcome {
    let listener = TcpListener::bind(v4())?;
    let at = listener.local_addr()?;
    let in_use = ErrorKind::AddrInUse;
    same!(kind(TcpListener::bind(at))?, in_use);
    let any = (Ipv4Addr::UNSPECIFIED, at.port());
    same!(kind(TcpListener::bind(any))?, in_use);
    // Another address is another place.
    TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), at.port()))?;
    drop(listener);
    TcpListener::bind(at)?;
    Ok(format!("{in_use:?}"))
}

fn not_available() -> Outcome {
    let not_available = ErrorKind::AddrNotAvailable;
    for at in ["192.0.2.1:0", "[2001:db8::1]:0"] {
        same!(kind(TcpListener::bind(at))?, not_available);
    }
    Ok(format!("{not_available:?}"))
}

fn bound() -> Outcome {
    let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), 0))?;
    let at = listener.local_addr()?;
    let elsewhere = (Ipv4Addr::LOCALHOST, at.port());
    same!(
        kind(TcpStream::connect(elsewhere))?,
        ErrorKind::ConnectionRefused
    );
    let one = TcpStream::connect(at)?;
    let (other, from) = listener.accept()?;
    same!(other.local_addr()?, at);
    same!(from, one.local_addr()?);
    Ok("is honoured".into())
}

fn any() -> Outcome {
    let listener = TcpListener::bind("0.0.0.0:0")?;
    let port = listener.local_addr()?.port();
    for last in 1..4 {
        let to = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), port));
        let _one = TcpStream::connect(to)?;
        same!(listener.accept()?.0.local_addr()?, to);
    }
    let v6 = (Ipv6Addr::LOCALHOST, port);
    same!(kind(TcpStream::connect(v6))?, ErrorKind::ConnectionRefused);
    Ok("of IPv4 only".into())
}

fn dual_stack() -> Outcome {
    let listener = TcpListener::bind("[::]:0")?;
    let port = listener.local_addr()?.port();
    let one = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let (other, from) = listener.accept()?;
    let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped();
    same!(from, SocketAddr::from((mapped, one.local_addr()?.port())));
    same!(other.local_addr()?, SocketAddr::from((mapped, port)));
    TcpStream::connect((Ipv6Addr::LOCALHOST, port))?;
    same!(listener.accept()?.1.ip(), Ipv6Addr::LOCALHOST);
    // And to a mapped address.
    TcpStream::connect((mapped, port))?;
    same!(listener.accept()?.1.ip(), mapped);
    Ok(format!("IPv4 as {mapped}"))
}

fn again() -> Outcome {
    let listener = TcpListener::bind(v4())?;
    let at = listener.local_addr()?;
    for _ in 0..3 {
        let mut one = TcpStream::connect(at)?;
        // Who closes first has to wait.
        drop(listener.accept()?.0);
        same!(one.read(&mut [0; 1])?, 0);
    }
    drop(listener);
    let listener = TcpListener::bind(at)?;
    TcpStream::connect(at)?;
    listener.accept()?;
    Ok("the port is free".into())
}

fn order() -> Outcome {
    const CONNECTIONS: u8 = 20;
    let listener = TcpListener::bind(v4())?;
    let at = listener.local_addr()?;
    let mut ones = Vec::new();
    for number in 0..CONNECTIONS {
        let mut one = TcpStream::connect(at)?;
        one.write_all(&[number])?;
        ones.push(one);
    }
    for (number, one) in ones.iter().enumerate() {
        let (mut other, from) = listener.accept()?;
        same!(from, one.local_addr()?);
        let mut byte = [0];
        other.read_exact(&mut byte)?;
        same!(usize::from(byte[0]), number);
    }
    Ok(format!("{CONNECTIONS} connections, bytes first"))
}

/// std has room for 128 connections that nobody has accepted.
fn backlog() -> Outcome {
    const ROOM: usize = 128;
    const LIMIT: Duration = Duration::from_secs(2);
    let listener = TcpListener::bind(v4())?;
    let at = listener.local_addr()?;
    let mut waiting = Vec::new();
    let error = loop {
        match TcpStream::connect_timeout(&at, LIMIT) {
            Ok(stream) if waiting.len() <= ROOM => waiting.push(stream),
            Ok(_) => return Err(format!("found room for {}", waiting.len()).into()),
            Err(error) => break error.kind(),
        }
    };
    same!(error, ErrorKind::TimedOut);
    ensure!(waiting.len() >= ROOM, "found room for {}", waiting.len());
    for _ in 0..2 {
        listener.accept()?;
    }
    TcpStream::connect_timeout(&at, 10 * LIMIT)?;
    Ok(format!("is {ROOM}; more wait for room"))
}

fn closed() -> Outcome {
    let listener = TcpListener::bind(v4())?;
    let mut one = TcpStream::connect(listener.local_addr()?)?;
    drop(listener);
    let reset = ErrorKind::ConnectionReset;
    same!(kind(one.read(&mut [0; 1]))?, reset);
    Ok(format!("{reset:?}"))
}
