//! Addresses as text, and names.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};

use tour::{Check, Outcome, ensure, kind, same};

pub const CHECKS: &[Check] = &[
    Check::new("addresses as text", text),
    Check::new("what is no address", no_address),
    Check::new("this node's name for itself", localhost),
    Check::new("a connection by name", connect),
    Check::new("the first of several that answers", several),
];

fn text() -> Outcome {
    let one = |text: &str| -> Result<SocketAddr, std::io::Error> {
        Ok(text
            .to_socket_addrs()?
            .next()
            .expect("an address has itself"))
    };
    same!(
        one("127.0.0.1:80")?,
        SocketAddr::from((Ipv4Addr::LOCALHOST, 80))
    );
    same!(
        one("[::1]:80")?,
        SocketAddr::from((Ipv6Addr::LOCALHOST, 80))
    );
    let mut pair = ("10.1.2.3", 7).to_socket_addrs()?;
    same!(
        pair.next(),
        Some(SocketAddr::from((Ipv4Addr::new(10, 1, 2, 3), 7)))
    );
    same!(pair.next(), None);
    Ok("need no looking up".into())
}

fn no_address() -> Outcome {
    let invalid = ErrorKind::InvalidInput;
    for text in ["127.0.0.1", "127.0.0.1:port", "127.0.0.1:70000"] {
        same!(kind(text.to_socket_addrs())?, invalid);
    }
    same!(kind("local\0host:80".to_socket_addrs())?, invalid);
    Ok(format!("{invalid:?}"))
}

fn localhost() -> Outcome {
    let found: Vec<SocketAddr> = ("localhost", 80).to_socket_addrs()?.collect();
    let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, 80));
    ensure!(found.contains(&v4), "found {found:?}, expected {v4} in it");
    ensure!(
        found
            .iter()
            .all(|at| at.ip().is_loopback() && at.port() == 80),
        "found {found:?}, expected loopback only"
    );
    Ok("localhost is 127.0.0.1".into())
}

fn connect() -> Outcome {
    let listener = TcpListener::bind("localhost:0")?;
    let port = listener.local_addr()?.port();
    let mut one = TcpStream::connect(("localhost", port))?;
    let (mut other, _) = listener.accept()?;
    one.write_all(b"hello")?;
    let mut buffer = [0; 8];
    same!(other.read(&mut buffer)?, 5);
    Ok("localhost".into())
}

fn several() -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let at = listener.local_addr()?;
    let nobody = crate::pair::nobody()?;
    let one = TcpStream::connect(&[nobody, at, nobody][..])?;
    same!(one.peer_addr()?, at);
    let error = kind(TcpStream::connect(&[nobody, nobody][..]))?;
    same!(error, ErrorKind::ConnectionRefused);
    same!(kind(TcpStream::connect(&[][..]))?, ErrorKind::InvalidInput);
    Ok("is connected to".into())
}
