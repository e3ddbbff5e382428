//! Options of sockets.

use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};
use std::time::Duration;

use crate::pair::{pair, v4};
use tour::{Check, Outcome, kind, same};

pub const CHECKS: &[Check] = &[
    Check::new("segments at once", nodelay),
    Check::new("time to live", ttl),
    Check::new("limits of time", limits),
    Check::new("no time at all", zero),
    Check::new("of UDP", datagrams),
    Check::new("no error", no_error),
];

fn nodelay() -> Outcome {
    let (one, _other) = pair(v4())?;
    same!(one.nodelay()?, false);
    one.set_nodelay(true)?;
    same!(one.nodelay()?, true);
    same!(one.try_clone()?.nodelay()?, true);
    one.set_nodelay(false)?;
    same!(one.nodelay()?, false);
    Ok("set and unset".into())
}

fn ttl() -> Outcome {
    let listener = TcpListener::bind(v4())?;
    same!(listener.ttl()?, 64);
    listener.set_ttl(9)?;
    same!(listener.ttl()?, 9);
    let (one, _other) = pair(v4())?;
    one.set_ttl(255)?;
    same!(one.ttl()?, 255);
    for ttl in [0, 256] {
        same!(kind(one.set_ttl(ttl))?, ErrorKind::InvalidInput);
    }
    same!(one.ttl()?, 255);
    Ok("1 to 255".into())
}

fn limits() -> Outcome {
    let (one, other) = pair(v4())?;
    same!(one.read_timeout()?, None);
    for limit in [Duration::from_secs(2), Duration::from_secs(1 << 30)] {
        one.set_read_timeout(Some(limit))?;
        same!(one.read_timeout()?, Some(limit));
        one.set_write_timeout(Some(limit))?;
        same!(one.try_clone()?.write_timeout()?, Some(limit));
    }
    one.set_read_timeout(None)?;
    same!(one.read_timeout()?, None);
    same!(other.write_timeout()?, None);
    Ok("are the socket's own".into())
}

fn zero() -> Outcome {
    let (one, _other) = pair(v4())?;
    let at = one.peer_addr()?;
    let udp = UdpSocket::bind(v4())?;
    let none = Some(Duration::ZERO);
    let invalid = ErrorKind::InvalidInput;
    same!(kind(one.set_read_timeout(none))?, invalid);
    same!(kind(one.set_write_timeout(none))?, invalid);
    same!(kind(udp.set_read_timeout(none))?, invalid);
    let connected = std::net::TcpStream::connect_timeout(&at, Duration::ZERO);
    same!(kind(connected)?, invalid);
    Ok(format!("{invalid:?}"))
}

fn datagrams() -> Outcome {
    let socket = UdpSocket::bind(v4())?;
    same!(socket.broadcast()?, false);
    socket.set_broadcast(true)?;
    same!(socket.broadcast()?, true);
    same!(socket.multicast_ttl_v4()?, 1);
    socket.set_multicast_ttl_v4(32)?;
    same!(socket.multicast_ttl_v4()?, 32);
    same!(socket.multicast_loop_v4()?, true);
    socket.set_multicast_loop_v4(false)?;
    same!(socket.multicast_loop_v4()?, false);
    socket.set_ttl(3)?;
    same!(socket.ttl()?, 3);
    Ok("broadcast, multicast, time to live".into())
}

fn no_error() -> Outcome {
    let (one, _other) = pair(v4())?;
    same!(one.take_error()?.map(|error| error.kind()), None);
    let listener = TcpListener::bind(v4())?;
    same!(listener.take_error()?.map(|error| error.kind()), None);
    let udp = UdpSocket::bind(v4())?;
    same!(udp.take_error()?.map(|error| error.kind()), None);
    Ok("where there is none".into())
}
