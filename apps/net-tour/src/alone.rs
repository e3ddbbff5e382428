//! What is so where nothing but the loopback interface leads anywhere.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::Duration;

use tour::{Check, Outcome, kind, same};

pub const CHECKS: &[Check] = &[
    Check::new("no way to connect", connect),
    Check::new("no way for a datagram", datagram),
    Check::new("groups", groups),
    Check::new("a name without a name server", name),
];

/// Addresses of documents: nobody has them.
fn elsewhere() -> [SocketAddr; 2] {
    let v6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    [(Ipv4Addr::new(192, 0, 2, 1), 80).into(), (v6, 80).into()]
}

/// `ENETUNREACH`, for which std has a kind on Linux only.
const UNREACHABLE: i32 = 101;

fn code<T>(result: std::io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

fn connect() -> Outcome {
    let unreachable = Some(UNREACHABLE);
    for at in elsewhere() {
        same!(code(TcpStream::connect(at)), unreachable);
        let limit = Duration::from_secs(60);
        same!(code(TcpStream::connect_timeout(&at, limit)), unreachable);
    }
    Ok("the network is unreachable".into())
}

fn datagram() -> Outcome {
    let unreachable = Some(UNREACHABLE);
    for (from, to) in ["0.0.0.0:0", "[::]:0"].into_iter().zip(elsewhere()) {
        let socket = UdpSocket::bind(from)?;
        same!(code(socket.send_to(b"anybody?", to)), unreachable);
        same!(code(socket.connect(to)), unreachable);
    }
    Ok("the network is unreachable".into())
}

fn groups() -> Outcome {
    let (group, here) = (Ipv4Addr::new(239, 1, 2, 3), Ipv4Addr::LOCALHOST);
    let member = UdpSocket::bind("0.0.0.0:0")?;
    member.set_read_timeout(Some(Duration::from_secs(60)))?;
    member.join_multicast_v4(&group, &here)?;
    let sender = UdpSocket::bind((here, 0))?;
    let to = (group, member.local_addr()?.port());
    sender.send_to(b"to all members", to)?;
    let mut buffer = [0; 16];
    same!(member.recv_from(&mut buffer)?, (14, sender.local_addr()?));
    member.leave_multicast_v4(&group, &here)?;
    let leave_again = member.leave_multicast_v4(&group, &here);
    same!(kind(leave_again)?, ErrorKind::AddrNotAvailable);
    let no_group = member.join_multicast_v4(&Ipv4Addr::new(10, 0, 0, 1), &here);
    same!(kind(no_group)?, ErrorKind::InvalidInput);
    Ok("joined, heard and left".into())
}

fn name() -> Outcome {
    match "nobody.invalid:80".to_socket_addrs() {
        Ok(found) => Err(format!("found {:?}", found.collect::<Vec<_>>()).into()),
        Err(_) => Ok("is unknown".into()),
    }
}
