//! What most checks begin with: addresses, and two ends of a connection.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};

/// A port that the system chooses, of IPv4's loopback.
pub fn v4() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// A port that the system chooses, of IPv6's loopback.
pub fn v6() -> SocketAddr {
    (Ipv6Addr::LOCALHOST, 0).into()
}

/// Both ends of a connection, the one that was begun first.
pub fn pair(at: SocketAddr) -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind(at)?;
    let one = TcpStream::connect(listener.local_addr()?)?;
    let (other, _) = listener.accept()?;
    Ok((one, other))
}

/// An address where nobody listens.
pub fn nobody() -> io::Result<SocketAddr> {
    TcpListener::bind(v4())?.local_addr()
}

/// Bytes that tell where they belong.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len)
        .map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8)
        .collect()
}
