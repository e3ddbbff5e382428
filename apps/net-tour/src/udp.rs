//! Datagrams.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use crate::pair::{pattern, v4, v6};
use tour::{Check, Outcome, ensure, kind, same};

pub const CHECKS: &[Check] = &[
    Check::new("there and back", there_and_back),
    Check::new("sizes", sizes),
    Check::new("peek", peek),
    Check::new("with one peer", connected),
    Check::new("to nobody", nobody),
    Check::new("without a peer", no_peer),
    Check::new("both families", dual_stack),
    Check::new("an address in use", in_use),
    Check::new("an address of nobody's", not_available),
    Check::new("waits", waits),
    Check::new("broadcast", broadcast),
    Check::new("many at once", many),
    Check::new("from clones", clones),
];

/// Two sockets, each with its address.
fn two(at: SocketAddr) -> std::io::Result<[(UdpSocket, SocketAddr); 2]> {
    let one = UdpSocket::bind(at)?;
    let other = UdpSocket::bind(at)?;
    let addresses = (one.local_addr()?, other.local_addr()?);
    // What is lost is to be told, not to be waited for.
    for socket in [&one, &other] {
        socket.set_read_timeout(Some(Duration::from_secs(60)))?;
    }
    Ok([(one, addresses.0), (other, addresses.1)])
}

fn there_and_back() -> Outcome {
    for at in [v4(), v6()] {
        let [(one, at_one), (other, at_other)] = two(at)?;
        same!(one.send_to(b"hello", at_other)?, 5);
        let mut buffer = [0; 16];
        same!(other.recv_from(&mut buffer)?, (5, at_one));
        same!(&buffer[..5], b"hello");
        other.send_to(b"and back", at_one)?;
        same!(one.recv_from(&mut buffer)?, (8, at_other));
    }
    Ok("IPv4 and IPv6".into())
}

fn sizes() -> Outcome {
    let [(one, at_one), (other, at_other)] = two(v4())?;
    let mut buffer = vec![0; 70_000];
    for size in [0, 1, 1_472, 1_473, 20_000, 65_507] {
        let content = pattern(size);
        same!(one.send_to(&content, at_other)?, size);
        same!(other.recv_from(&mut buffer)?, (size, at_one));
        ensure!(buffer[..size] == content, "other bytes of {size}");
    }
    let error = one.send_to(&buffer[..65_508], at_other);
    // No kind of its own: EMSGSIZE.
    same!(error.err().and_then(|error| error.raw_os_error()), Some(90));
    // What there is no room for is lost, and the next one is whole.
    one.send_to(b"one long", at_other)?;
    one.send_to(b"two", at_other)?;
    same!(other.recv(&mut buffer[..3])?, 3);
    same!(&buffer[..3], b"one");
    same!(other.recv(&mut buffer[..8])?, 3);
    same!(&buffer[..3], b"two");
    Ok("0 to 65507 bytes".into())
}

fn peek() -> Outcome {
    let [(one, at_one), (other, at_other)] = two(v4())?;
    one.send_to(b"first", at_other)?;
    one.send_to(b"second", at_other)?;
    let mut buffer = [0; 16];
    for _ in 0..2 {
        same!(other.peek_from(&mut buffer)?, (5, at_one));
        same!(other.peek(&mut buffer[..2])?, 2);
    }
    same!(other.recv(&mut buffer)?, 5);
    same!(other.peek(&mut buffer)?, 6);
    same!(other.recv(&mut buffer)?, 6);
    Ok("takes nothing".into())
}

fn connected() -> Outcome {
    let [(one, at_one), (other, at_other)] = two(v4())?;
    let stranger = UdpSocket::bind(v4())?;
    one.connect(at_other)?;
    same!(one.peer_addr()?, at_other);
    stranger.send_to(b"not for you", at_one)?;
    other.send_to(b"for you", at_one)?;
    let mut buffer = [0; 16];
    same!(one.recv(&mut buffer)?, 7);
    same!(one.send(b"thanks")?, 6);
    same!(other.recv_from(&mut buffer)?, (6, at_one));
    // Another one.
    one.connect(stranger.local_addr()?)?;
    one.send(b"you too")?;
    same!(stranger.recv_from(&mut buffer)?, (7, at_one));
    Ok("others are not heard".into())
}

fn nobody() -> Outcome {
    let [(one, _), (other, at_other)] = two(v4())?;
    drop(other);
    one.connect(at_other)?;
    one.send(b"anybody?")?;
    let refused = ErrorKind::ConnectionRefused;
    same!(kind(one.recv(&mut [0; 8]))?, refused);
    // Once.
    one.set_nonblocking(true)?;
    same!(kind(one.recv(&mut [0; 8]))?, ErrorKind::WouldBlock);
    Ok(format!("{refused:?}"))
}

fn no_peer() -> Outcome {
    let socket = UdpSocket::bind(v4())?;
    let not_connected = ErrorKind::NotConnected;
    same!(kind(socket.peer_addr())?, not_connected);
    // No kind of its own: EDESTADDRREQ.
    let error = socket.send(b"x").err();
    same!(error.and_then(|error| error.raw_os_error()), Some(89));
    Ok(format!("{not_connected:?}"))
}

fn dual_stack() -> Outcome {
    let both = UdpSocket::bind("[::]:0")?;
    let port = both.local_addr()?.port();
    let mut buffer = [0; 16];
    let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped();
    for (at, from) in [(v4(), mapped), (v6(), Ipv6Addr::LOCALHOST)] {
        let one = UdpSocket::bind(at)?;
        one.send_to(b"hello", (at.ip(), port))?;
        let from = SocketAddr::from((from, one.local_addr()?.port()));
        same!(both.recv_from(&mut buffer)?, (5, from));
        both.send_to(b"back", from)?;
        same!(one.recv_from(&mut buffer)?, (4, (at.ip(), port).into()));
    }
    Ok(format!("IPv4 as {mapped}"))
}

fn in_use() -> Outcome {
    let socket = UdpSocket::bind(v4())?;
    let at = socket.local_addr()?;
    same!(kind(UdpSocket::bind(at))?, ErrorKind::AddrInUse);
    UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 2), at.port()))?;
    drop(socket);
    UdpSocket::bind(at)?;
    Ok("until it is closed".into())
}

fn not_available() -> Outcome {
    let not_available = ErrorKind::AddrNotAvailable;
    same!(kind(UdpSocket::bind("192.0.2.1:0"))?, not_available);
    Ok(format!("{not_available:?}"))
}

fn waits() -> Outcome {
    const LIMIT: Duration = Duration::from_millis(150);
    let socket = UdpSocket::bind(v4())?;
    socket.set_read_timeout(Some(LIMIT))?;
    let begin = Instant::now();
    let would_block = ErrorKind::WouldBlock;
    same!(kind(socket.recv(&mut [0; 8]))?, would_block);
    ensure!(
        begin.elapsed() >= LIMIT,
        "waited only {:?}",
        begin.elapsed()
    );
    socket.set_nonblocking(true)?;
    same!(kind(socket.recv_from(&mut [0; 8]))?, would_block);
    Ok(format!("{would_block:?}"))
}

fn broadcast() -> Outcome {
    let all = Ipv4Addr::new(127, 255, 255, 255);
    let receiver = UdpSocket::bind("0.0.0.0:0")?;
    receiver.set_read_timeout(Some(Duration::from_secs(60)))?;
    let to = (all, receiver.local_addr()?.port());
    let sender = UdpSocket::bind(v4())?;
    let denied = ErrorKind::PermissionDenied;
    same!(kind(sender.send_to(b"all", to))?, denied);
    sender.set_broadcast(true)?;
    sender.send_to(b"all", to)?;
    let mut buffer = [0; 8];
    same!(receiver.recv_from(&mut buffer)?, (3, sender.local_addr()?));
    Ok(format!("{denied:?} unless asked for"))
}

fn many() -> Outcome {
    const DATAGRAMS: u32 = 100;
    let [(one, _), (other, at_other)] = two(v4())?;
    for number in 0..DATAGRAMS {
        one.send_to(&number.to_be_bytes(), at_other)?;
    }
    let mut buffer = [0; 4];
    for number in 0..DATAGRAMS {
        same!(other.recv(&mut buffer)?, 4);
        same!(u32::from_be_bytes(buffer), number);
    }
    Ok(format!("{DATAGRAMS} in order"))
}

fn clones() -> Outcome {
    let [(one, at_one), (other, at_other)] = two(v4())?;
    let clone = one.try_clone()?;
    let sender = thread::spawn(move || clone.send_to(b"from a clone", at_other));
    let mut buffer = [0; 16];
    same!(other.recv_from(&mut buffer)?, (12, at_one));
    sender.join().map_err(|_| "the sender panicked")??;
    drop(one);
    Ok("the same address".into())
}
