//! What programs see of sockets, over the loopback interface.

use std::ffi::CString;
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ptr::{null, null_mut};
use std::thread;

use hermit_abi::*;

use super::tests::begin;
use crate::abi::event::sys_poll;
use crate::abi::files::{sys_close, sys_dup, sys_ioctl, sys_read, sys_write};
use crate::abi::sockets::*;

/// An address in the form that calls take.
fn raw(address: SocketAddr) -> address::Raw {
    address::Raw::from(address)
}

fn with_raw(address: SocketAddr, call: impl FnOnce(*const sockaddr, socklen_t) -> i32) -> i32 {
    let raw = raw(address);
    let bytes = raw.bytes();
    call(bytes.as_ptr().cast(), bytes.len() as socklen_t)
}

/// The address that a call gives.
fn address_by(call: impl FnOnce(*mut sockaddr, *mut socklen_t) -> i32) -> Result<SocketAddr, i32> {
    // SAFETY: integers.
    let mut storage: sockaddr_storage = unsafe { zeroed() };
    let mut len = size_of::<sockaddr_storage>() as socklen_t;
    let result = call((&raw mut storage).cast(), &raw mut len);
    if result < 0 {
        return Err(result);
    }
    address::read((&raw const storage).cast(), len).map_err(|errno| -errno.0)
}

fn bind(socket: i32, address: SocketAddr) -> i32 {
    with_raw(address, |name, len| sys_bind(socket, name, len))
}

fn connect(socket: i32, address: SocketAddr) -> i32 {
    with_raw(address, |name, len| sys_connect(socket, name, len))
}

fn local(socket: i32) -> SocketAddr {
    address_by(|into, len| sys_getsockname(socket, into, len)).unwrap()
}

fn peer(socket: i32) -> Result<SocketAddr, i32> {
    address_by(|into, len| sys_getpeername(socket, into, len))
}

fn any_v4() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

fn listener(address: SocketAddr) -> (i32, SocketAddr) {
    let family = if address.is_ipv4() { AF_INET } else { AF_INET6 };
    let socket = sys_socket(family, SOCK_STREAM, 0);
    assert!(socket >= 0);
    assert_eq!(bind(socket, address), 0);
    assert_eq!(sys_listen(socket, 8), 0);
    (socket, local(socket))
}

/// Both ends of a connection.
fn pair(address: SocketAddr) -> (i32, i32) {
    let (listener, at) = listener(address);
    let family = if at.is_ipv4() { AF_INET } else { AF_INET6 };
    let one = sys_socket(family, SOCK_STREAM, 0);
    assert_eq!(connect(one, at), 0);
    let other = sys_accept(listener, null_mut(), null_mut());
    assert!(other >= 0);
    assert_eq!(peer(one), Ok(at));
    assert_eq!(peer(other), Ok(local(one)));
    assert_eq!(sys_close(listener), 0);
    (one, other)
}

fn read(socket: i32, len: usize) -> Result<Vec<u8>, isize> {
    let mut bytes = vec![0xee; len];
    let count = sys_read(socket, bytes.as_mut_ptr(), len);
    bytes.truncate(usize::try_from(count).map_err(|_| count)?);
    Ok(bytes)
}

fn write(socket: i32, bytes: &[u8]) -> isize {
    sys_write(socket, bytes.as_ptr(), bytes.len())
}

fn set_nonblocking(socket: i32) {
    let mut on = 1i32;
    assert_eq!(sys_ioctl(socket, FIONBIO, (&raw mut on).cast()), 0);
}

fn poll(fd: i32, events: i16, timeout_ms: i32) -> i16 {
    let mut line = pollfd {
        fd,
        events,
        revents: 0,
    };
    assert!(sys_poll(&raw mut line, 1, timeout_ms) >= 0);
    line.revents
}

fn close(sockets: &[i32]) {
    for &socket in sockets {
        assert_eq!(sys_close(socket), 0);
    }
}

#[test]
fn bytes_go_both_ways() {
    let _one = begin();
    for address in [any_v4(), (Ipv6Addr::LOCALHOST, 0).into()] {
        let (one, other) = pair(address);
        assert_eq!(write(one, b"to the other"), 12);
        assert_eq!(read(other, 100).unwrap(), b"to the other");
        assert_eq!(write(other, b"and back"), 8);
        assert_eq!(read(one, 3).unwrap(), b"and");
        assert_eq!(read(one, 100).unwrap(), b" back");
        close(&[one, other]);
    }
}

#[test]
fn a_large_write_waits_for_the_reader() {
    let _one = begin();
    let (one, other) = pair(any_v4());
    let content: Vec<u8> = (0..8 << 20).map(|n: u32| (n ^ (n >> 8)) as u8).collect();
    let expected = content.clone();
    let writer = thread::spawn(move || {
        assert_eq!(write(one, &content), content.len() as isize);
        assert_eq!(sys_close(one), 0);
    });
    let mut got = Vec::new();
    loop {
        let bytes = read(other, 100_000).unwrap();
        if bytes.is_empty() {
            break;
        }
        got.extend(bytes);
    }
    assert!(got == expected, "{} bytes came", got.len());
    writer.join().unwrap();
    close(&[other]);
}

#[test]
fn looking_takes_nothing() {
    let _one = begin();
    let (one, other) = pair(any_v4());
    write(one, b"abc");
    let mut bytes = [0; 8];
    for _ in 0..2 {
        assert_eq!(sys_recv(other, bytes.as_mut_ptr(), 8, MSG_PEEK), 3);
    }
    assert_eq!(read(other, 8).unwrap(), b"abc");
    close(&[one, other]);
}

#[test]
fn a_half_closed_connection_still_answers() {
    let _one = begin();
    let (one, other) = pair(any_v4());
    write(one, b"question");
    assert_eq!(sys_shutdown(one, SHUT_WR), 0);
    assert_eq!(write(one, b"more"), -(EPIPE as isize));
    assert_eq!(read(other, 100).unwrap(), b"question");
    assert_eq!(read(other, 100).unwrap(), b"");
    assert_eq!(write(other, b"answer"), 6);
    assert_eq!(read(one, 100).unwrap(), b"answer");
    assert_eq!(sys_shutdown(one, SHUT_RD), 0);
    assert_eq!(read(one, 100).unwrap(), b"");
    assert_eq!(sys_shutdown(one, 7), -EINVAL);
    close(&[one, other]);
}

#[test]
fn nobody_listens() {
    let _one = begin();
    let (listener, at) = listener(any_v4());
    close(&[listener]);
    let socket = sys_socket(AF_INET, SOCK_STREAM, 0);
    assert_eq!(connect(socket, at), -ECONNREFUSED);
    close(&[socket]);

    let socket = sys_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_eq!(connect(socket, at), -EINPROGRESS);
    let events = poll(socket, POLLOUT, 10_000);
    assert_eq!(events & (POLLOUT | POLLHUP), POLLOUT | POLLHUP);
    let (mut error, mut len) = (0i32, 4);
    let at = (&raw mut error).cast();
    assert_eq!(
        sys_getsockopt(socket, SOL_SOCKET, SO_ERROR, at, &raw mut len),
        0
    );
    assert_eq!(error, ECONNREFUSED);
    close(&[socket]);
}

#[test]
fn what_is_closed_with_bytes_unread_is_reset() {
    let _one = begin();
    let (one, other) = pair(any_v4());
    write(one, b"never read");
    assert_eq!(poll(other, POLLIN, 10_000), POLLIN);
    close(&[other]);
    assert_eq!(read(one, 100), Err(-(ECONNRESET as isize)));
    assert_eq!(read(one, 100).unwrap(), b"");
    assert_eq!(write(one, b"x"), -(EPIPE as isize));
    close(&[one]);
}

#[test]
fn calls_that_do_not_block() {
    let _one = begin();
    let (listener, at) = listener(any_v4());
    set_nonblocking(listener);
    assert_eq!(sys_accept(listener, null_mut(), null_mut()), -EAGAIN);
    assert_eq!(poll(listener, POLLIN, 0), 0);
    let one = sys_socket(AF_INET, SOCK_STREAM, 0);
    assert_eq!(connect(one, at), 0);
    assert_eq!(connect(one, at), -EISCONN);
    assert_eq!(poll(listener, POLLIN, 10_000), POLLIN);
    let other = sys_accept(listener, null_mut(), null_mut());
    set_nonblocking(one);
    assert_eq!(read(one, 1), Err(-(EAGAIN as isize)));
    assert_eq!(poll(one, POLLIN | POLLOUT, 0), POLLOUT);
    // Until nothing more fits anywhere.
    let mut sent = 0;
    loop {
        match write(one, &[7; 10_000]) {
            count if count > 0 => sent += count as usize,
            end if end == -(EAGAIN as isize) && poll(one, POLLOUT, 200) == 0 => break,
            end => assert!(end == -(EAGAIN as isize), "{end}"),
        }
    }
    let mut got = 0;
    while got < sent {
        got += read(other, 1 << 20).unwrap().len();
    }
    assert_eq!(poll(one, POLLOUT, 10_000), POLLOUT);
    close(&[listener, one, other]);
}

#[test]
fn a_limit_on_waiting() {
    let _one = begin();
    let (one, other) = pair(any_v4());
    let limit = timeval {
        tv_sec: 0,
        tv_usec: 50_000,
    };
    let at = (&raw const limit).cast();
    let len = size_of::<timeval>() as socklen_t;
    assert_eq!(sys_setsockopt(one, SOL_SOCKET, SO_RCVTIMEO, at, len), 0);
    let begun = std::time::Instant::now();
    assert_eq!(read(one, 1), Err(-(EAGAIN as isize)));
    assert!(begun.elapsed().as_millis() >= 50);
    close(&[one, other]);
}

#[test]
fn addresses_that_are_taken() {
    let _one = begin();
    let (first, at) = listener(any_v4());
    let second = sys_socket(AF_INET, SOCK_STREAM, 0);
    assert_eq!(bind(second, at), -EADDRINUSE);
    assert_eq!(
        bind(second, "192.0.2.99:80".parse().unwrap()),
        -EADDRNOTAVAIL
    );
    assert_eq!(bind(second, "[::1]:0".parse().unwrap()), -EAFNOSUPPORT);
    close(&[first]);
    assert_eq!(bind(second, at), 0);
    assert_eq!(bind(second, at), -EINVAL);
    close(&[second]);
}

#[test]
fn datagrams() {
    let _one = begin();
    let (one, other) = (
        sys_socket(AF_INET, SOCK_DGRAM, 0),
        sys_socket(AF_INET, SOCK_DGRAM, 0),
    );
    assert_eq!(bind(one, any_v4()), 0);
    assert_eq!(bind(other, any_v4()), 0);
    let (at_one, at_other) = (local(one), local(other));
    for text in [&b"hello"[..], b"", &[3; 20_000]] {
        let sent = with_raw(at_other, |name, len| {
            sys_sendto(one, text.as_ptr().cast(), text.len(), 0, name, len) as i32
        });
        assert_eq!(sent, text.len() as i32);
        let mut bytes = vec![0; 30_000];
        for flags in [MSG_PEEK, 0] {
            let mut count = 0;
            let from = address_by(|into, len| {
                count = sys_recvfrom(other, bytes.as_mut_ptr(), bytes.len(), flags, into, len);
                count as i32
            });
            assert_eq!(from, Ok(at_one));
            assert_eq!(&bytes[..count as usize], text);
        }
    }
    assert_eq!(peer(one), Err(-ENOTCONN));
    assert_eq!(connect(one, at_other), 0);
    assert_eq!(peer(one), Ok(at_other));
    assert_eq!(write(one, b"by itself"), 9);
    assert_eq!(read(other, 4).unwrap(), b"by i");
    set_nonblocking(other);
    assert_eq!(read(other, 4), Err(-(EAGAIN as isize)));
    let long = vec![0; 70_000];
    assert_eq!(write(one, &long), -(EMSGSIZE as isize));
    close(&[one, other]);
}

#[test]
fn a_datagram_to_nobody_comes_back_as_an_error() {
    let _one = begin();
    let (one, other) = (
        sys_socket(AF_INET, SOCK_DGRAM, 0),
        sys_socket(AF_INET, SOCK_DGRAM, 0),
    );
    assert_eq!(bind(other, any_v4()), 0);
    let at = local(other);
    close(&[other]);
    assert_eq!(connect(one, at), 0);
    assert_eq!(write(one, b"anybody?"), 8);
    assert_eq!(read(one, 10), Err(-(ECONNREFUSED as isize)));
    close(&[one]);
}

#[test]
fn duplicates_are_the_same_socket() {
    let _one = begin();
    let (one, other) = pair(any_v4());
    let copy = sys_dup(one);
    close(&[one]);
    assert_eq!(write(copy, b"still"), 5);
    assert_eq!(read(other, 10).unwrap(), b"still");
    close(&[copy]);
    assert_eq!(read(other, 10).unwrap(), b"");
    close(&[other]);
}

#[test]
fn a_byte_is_read_by_one_of_many() {
    let _one = begin();
    let (one, other) = pair(any_v4());
    let readers: Vec<_> = (0..4)
        .map(|_| {
            thread::spawn(move || {
                let mut count = 0;
                while !read(other, 7).unwrap().is_empty() {
                    count += 1;
                }
                count
            })
        })
        .collect();
    for _ in 0..100 {
        assert_eq!(write(one, &[1; 700]), 700);
    }
    assert_eq!(sys_shutdown(one, SHUT_WR), 0);
    let reads: usize = readers
        .into_iter()
        .map(|reader| reader.join().unwrap())
        .sum();
    assert!(reads >= 100 * 700 / 7);
    close(&[one, other]);
}

#[test]
fn names() {
    let _one = begin();
    let look_up = |name: &str, family: i32| {
        let name = CString::new(name).unwrap();
        // SAFETY: integers and null pointers.
        let mut hints: addrinfo = unsafe { zeroed() };
        (hints.ai_family, hints.ai_socktype) = (family, SOCK_STREAM);
        let mut list = null_mut();
        let code = sys_getaddrinfo(name.as_ptr(), null(), &raw const hints, &raw mut list);
        if code != 0 {
            return Err(code);
        }
        let (mut found, mut next) = (Vec::new(), list);
        while !next.is_null() {
            // SAFETY: `getaddrinfo` has made the list.
            let info = unsafe { *next };
            found.push(address::read(info.ai_addr, info.ai_addrlen).unwrap().ip());
            next = info.ai_next;
        }
        sys_freeaddrinfo(list);
        Ok(found)
    };
    let v4 = Ipv4Addr::LOCALHOST;
    assert_eq!(look_up("127.0.0.1", AF_UNSPEC), Ok(vec![v4.into()]));
    assert_eq!(look_up("127.0.0.1", AF_INET6), Err(EAI_NONAME));
    assert_eq!(look_up("localhost", AF_INET), Ok(vec![v4.into()]));
    let both = look_up("localhost", AF_UNSPEC).unwrap();
    assert!(both.contains(&v4.into()) && both.contains(&Ipv6Addr::LOCALHOST.into()));
    assert_eq!(look_up("no-server.example", AF_INET), Err(EAI_AGAIN));
    sys_freeaddrinfo(null_mut());
}

#[test]
fn what_is_no_socket() {
    let _one = begin();
    assert_eq!(sys_listen(0, 1), -ENOTSOCK);
    assert_eq!(sys_listen(900, 1), -EBADF);
    assert_eq!(sys_socket(77, SOCK_STREAM, 0), -EAFNOSUPPORT);
    assert_eq!(sys_socket(AF_INET, 77, 0), -EINVAL);
    assert_eq!(
        sys_socket(AF_INET, SOCK_STREAM, IPPROTO_UDP),
        -EPROTONOSUPPORT
    );
    let socket = sys_socket(AF_INET, SOCK_STREAM, 0);
    assert_eq!(read(socket, 1), Err(-(ENOTCONN as isize)));
    assert_eq!(write(socket, b"x"), -(ENOTCONN as isize));
    assert_eq!(sys_bind(socket, null(), 0), -EINVAL);
    assert_eq!(sys_bind(socket, null(), 16), -EFAULT);
    assert_eq!(sys_accept(socket, null_mut(), null_mut()), -EINVAL);
    assert_eq!(sys_shutdown(socket, SHUT_WR), -ENOTCONN);
    close(&[socket]);
}

#[test]
fn options() {
    let _one = begin();
    let socket = sys_socket(AF_INET, SOCK_STREAM, 0);
    let set =
        |level, name, value: i32| sys_setsockopt(socket, level, name, (&raw const value).cast(), 4);
    let get = |level, name| {
        let (mut value, mut len) = (-1i32, 4);
        let at = (&raw mut value).cast();
        let result = sys_getsockopt(socket, level, name, at, &raw mut len);
        if result < 0 { result } else { value }
    };
    assert_eq!(get(IPPROTO_TCP, TCP_NODELAY), 0);
    assert_eq!(set(IPPROTO_TCP, TCP_NODELAY, 1), 0);
    assert_eq!(get(IPPROTO_TCP, TCP_NODELAY), 1);
    assert_eq!(get(IPPROTO_IP, IP_TTL), 64);
    assert_eq!(set(IPPROTO_IP, IP_TTL, 0), -EINVAL);
    assert_eq!(set(IPPROTO_IP, IP_TTL, 17), 0);
    assert_eq!(get(IPPROTO_IP, IP_TTL), 17);
    assert_eq!(set(SOL_SOCKET, 0x7777, 1), -ENOPROTOOPT);
    assert_eq!(get(SOL_SOCKET, 0x7777), -ENOPROTOOPT);
    assert_eq!(get(SOL_SOCKET, SO_ERROR), 0);
    close(&[socket]);
}

#[test]
fn connecting_without_waiting() {
    let _one = begin();
    let (listener, at) = listener(any_v4());
    let one = sys_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    // Even though it may be there already.
    assert_eq!(connect(one, at), -EINPROGRESS);
    assert_eq!(poll(one, POLLIN | POLLOUT, 10_000), POLLOUT);
    assert_eq!(peer(one), Ok(at));
    assert_eq!(connect(one, at), -EISCONN);
    close(&[one, listener]);
}

#[test]
fn what_cannot_be_sent_is_refused_at_once() {
    let _one = begin();
    let socket = sys_socket(AF_INET, SOCK_DGRAM, 0);
    assert_eq!(bind(socket, any_v4()), 0);
    let send_to = |to: &str| {
        let send = |name, len| sys_sendto(socket, null(), 0, 0, name, len) as i32;
        with_raw(to.parse().unwrap(), send)
    };
    for _ in 0..2 {
        assert_eq!(send_to("127.255.255.255:9"), -EACCES);
        assert_eq!(send_to("127.0.0.1:9"), 0);
        assert_eq!(send_to("127.0.0.1:0"), -EINVAL);
    }
    let on = 1i32;
    let at = (&raw const on).cast();
    assert_eq!(sys_setsockopt(socket, SOL_SOCKET, SO_BROADCAST, at, 4), 0);
    assert_eq!(send_to("127.255.255.255:9"), 0);
    let off = 0i32;
    let at = (&raw const off).cast();
    assert_eq!(sys_setsockopt(socket, SOL_SOCKET, SO_BROADCAST, at, 4), 0);
    assert_eq!(send_to("127.255.255.255:9"), -EACCES);
    assert_eq!(send_to("192.0.2.1:9"), -ENETUNREACH);
    close(&[socket]);
}

#[test]
fn a_negative_backlog_is_a_large_one() {
    let _one = begin();
    let socket = sys_socket(AF_INET, SOCK_STREAM, 0);
    assert_eq!(bind(socket, any_v4()), 0);
    assert_eq!(sys_listen(socket, -1), 0);
    let at = local(socket);
    let ones: Vec<_> = (0..10)
        .map(|_| {
            let one = sys_socket(AF_INET, SOCK_STREAM, 0);
            assert_eq!(connect(one, at), 0);
            one
        })
        .collect();
    close(&ones);
    close(&[socket]);
}
