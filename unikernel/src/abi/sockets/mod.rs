//! Sockets: `sys_socket` to `sys_freeaddrinfo`.
//!
//! The functions here look at what the program passes and hand it to [`socket::Socket`],
//! which knows what may be done in which state. [`connection`] and [`datagrams`] move the
//! data, in the program's thread; all else is asked of the protocol thread ([`crate::net`]).

pub mod address;
mod baton;
mod connection;
mod datagrams;
mod names;
pub mod options;
pub mod socket;

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::ffi::{c_char, c_void};
use core::net::SocketAddr;

use hermit_abi::{
    EINVAL, ENOTSOCK, MSG_PEEK, SHUT_RD, SHUT_RDWR, SHUT_WR, SOCK_CLOEXEC, SOCK_NONBLOCK, addrinfo,
    sockaddr, socklen_t,
};

use self::address::Family;
use self::connection::Shut;
use self::options::Value;
use self::socket::{Kind, Socket, Take};
use super::descriptors::{self, Description, Object};
use super::user::{self, Errno, UserBuffer, UserSlice, answer, answer_size};

/// The socket that a descriptor stands for.
struct Open(Arc<Description>);

impl Open {
    fn get(descriptor: i32) -> Result<Self, Errno> {
        let description = descriptors::get(descriptor)?;
        match &description.object {
            Object::Socket(_) => Ok(Self(description)),
            _ => Err(Errno(ENOTSOCK)),
        }
    }

    fn socket(&self) -> &Socket {
        match &self.0.object {
            Object::Socket(socket) => socket,
            _ => unreachable!("looked at when it was opened"),
        }
    }

    fn nonblocking(&self) -> bool {
        self.0.nonblocking()
    }
}

fn socket(domain: i32, kind: i32, protocol: i32) -> Result<i32, Errno> {
    const FLAGS: i32 = SOCK_NONBLOCK | SOCK_CLOEXEC;
    let family = Family::from_number(domain)?;
    let socket = Socket::new(Kind::from_numbers(kind & !FLAGS, protocol)?, family);
    descriptors::add(
        Object::Socket(Box::new(socket)),
        kind & SOCK_NONBLOCK != 0,
        kind & SOCK_CLOEXEC != 0,
    )
}

fn bind(descriptor: i32, name: *const sockaddr, len: socklen_t) -> Result<i32, Errno> {
    let open = Open::get(descriptor)?;
    open.socket().bind(address::read(name, len)?)?;
    Ok(0)
}

fn connect(descriptor: i32, name: *const sockaddr, len: socklen_t) -> Result<i32, Errno> {
    let open = Open::get(descriptor)?;
    let remote = address::read(name, len)?;
    open.socket().connect(remote, open.nonblocking())?;
    Ok(0)
}

fn accept(descriptor: i32, address: *mut sockaddr, len: *mut socklen_t) -> Result<i32, Errno> {
    let open = Open::get(descriptor)?;
    let (accepted, remote) = open.socket().accept(open.nonblocking())?;
    if let Err(errno) = address::write(address, len, remote) {
        descriptors::close(accepted)?;
        return Err(errno);
    }
    Ok(accepted)
}

/// A range of the program's memory, and what is to be done with it.
struct Transfer {
    descriptor: i32,
    start: *const u8,
    len: usize,
    flags: i32,
}

fn receive(
    transfer: Transfer,
    address: *mut sockaddr,
    address_len: *mut socklen_t,
) -> Result<usize, Errno> {
    let open = Open::get(transfer.descriptor)?;
    let take = match transfer.flags {
        0 => Take::Away,
        MSG_PEEK => Take::Look,
        _ => return Err(Errno(EINVAL)),
    };
    let parts = [UserSlice::new(transfer.start, transfer.len)?];
    let buffer = UserBuffer::new(&parts);
    let (count, from) = open.socket().receive(&buffer, take, open.nonblocking())?;
    match from {
        Some(from) => address::write(address, address_len, from)?,
        // Who knows the connection knows from whom.
        None if !address.is_null() => {
            user::write(address_len, 0)?;
        }
        None => {}
    }
    Ok(count)
}

fn send(transfer: Transfer, to: Option<SocketAddr>) -> Result<usize, Errno> {
    let open = Open::get(transfer.descriptor)?;
    if transfer.flags != 0 {
        return Err(Errno(EINVAL));
    }
    let parts = [UserSlice::new(transfer.start, transfer.len)?];
    let buffer = UserBuffer::new(&parts);
    open.socket().send(&buffer, to, open.nonblocking())
}

fn name(
    descriptor: i32,
    into: *mut sockaddr,
    len: *mut socklen_t,
    of: impl FnOnce(&Socket) -> Result<SocketAddr, Errno>,
) -> Result<i32, Errno> {
    let open = Open::get(descriptor)?;
    address::write(into, len, of(open.socket())?)?;
    Ok(0)
}

fn shut_down(descriptor: i32, how: i32) -> Result<i32, Errno> {
    let open = Open::get(descriptor)?;
    let (input, output) = match how {
        SHUT_RD => (Shut::Yes, Shut::No),
        SHUT_WR => (Shut::No, Shut::Yes),
        SHUT_RDWR => (Shut::Yes, Shut::Yes),
        _ => return Err(Errno(EINVAL)),
    };
    open.socket().shut_down(input, output)?;
    Ok(0)
}

fn get_option(
    descriptor: i32,
    level: i32,
    option: i32,
    at: *mut c_void,
    len: *mut socklen_t,
) -> Result<i32, Errno> {
    let open = Open::get(descriptor)?;
    let room = user::read(len.cast_const())?;
    let value = Value { at, len: room };
    user::write(
        len,
        options::get_option(open.socket(), level, option, value)?,
    )?;
    Ok(0)
}

/// Starts the network. It starts by itself.
pub extern "C" fn sys_network_init() -> i32 {
    0
}

/// Looks a host name up: an address of 4 or 16 bytes (`len`).
pub extern "C" fn sys_getaddrbyname(name: *const c_char, inaddr: *mut u8, len: usize) -> i32 {
    answer(names::one_address(name, inaddr, len))
}

/// Takes a connection from a listening socket; blocks while there is none.
pub extern "C" fn sys_accept(s: i32, addr: *mut sockaddr, addrlen: *mut socklen_t) -> i32 {
    answer(accept(s, addr, addrlen))
}

/// Gives a socket its own address.
pub extern "C" fn sys_bind(s: i32, name: *const sockaddr, namelen: socklen_t) -> i32 {
    answer(bind(s, name, namelen))
}

/// Connects a socket to an address.
pub extern "C" fn sys_connect(s: i32, name: *const sockaddr, namelen: socklen_t) -> i32 {
    answer(connect(s, name, namelen))
}

/// Receives from a connected socket.
pub extern "C" fn sys_recv(socket: i32, buf: *mut u8, len: usize, flags: i32) -> isize {
    sys_recvfrom(
        socket,
        buf,
        len,
        flags,
        core::ptr::null_mut(),
        core::ptr::null_mut(),
    )
}

/// Receives, and tells from whom.
pub extern "C" fn sys_recvfrom(
    socket: i32,
    buf: *mut u8,
    len: usize,
    flags: i32,
    addr: *mut sockaddr,
    addrlen: *mut socklen_t,
) -> isize {
    let transfer = Transfer {
        descriptor: socket,
        start: buf,
        len,
        flags,
    };
    answer_size(receive(transfer, addr, addrlen))
}

/// Tells the other end's address.
pub extern "C" fn sys_getpeername(s: i32, into: *mut sockaddr, namelen: *mut socklen_t) -> i32 {
    answer(name(s, into, namelen, Socket::peer))
}

/// Tells a socket's own address.
pub extern "C" fn sys_getsockname(s: i32, into: *mut sockaddr, namelen: *mut socklen_t) -> i32 {
    answer(name(s, into, namelen, |socket| Ok(socket.local())))
}

/// Reads a socket's option.
pub extern "C" fn sys_getsockopt(
    s: i32,
    level: i32,
    optname: i32,
    optval: *mut c_void,
    optlen: *mut socklen_t,
) -> i32 {
    answer(get_option(s, level, optname, optval, optlen))
}

/// Changes a socket's option.
pub extern "C" fn sys_setsockopt(
    s: i32,
    level: i32,
    optname: i32,
    optval: *const c_void,
    optlen: socklen_t,
) -> i32 {
    let value = Value {
        at: optval.cast_mut(),
        len: optlen,
    };
    let set = |open: Open| options::set(open.socket(), level, optname, value);
    answer(Open::get(s).and_then(set).map(|()| 0))
}

/// Makes a socket wait for connections.
pub extern "C" fn sys_listen(s: i32, backlog: i32) -> i32 {
    let listen = |open: Open| open.socket().listen(backlog);
    answer(Open::get(s).and_then(listen).map(|()| 0))
}

/// Sends by a connected socket.
pub extern "C" fn sys_send(s: i32, mem: *const c_void, len: usize, flags: i32) -> isize {
    sys_sendto(s, mem, len, flags, core::ptr::null(), 0)
}

/// Sends to an address.
pub extern "C" fn sys_sendto(
    s: i32,
    mem: *const c_void,
    len: usize,
    flags: i32,
    to: *const sockaddr,
    tolen: socklen_t,
) -> isize {
    let transfer = Transfer {
        descriptor: s,
        start: mem.cast(),
        len,
        flags,
    };
    let to = match to.is_null() {
        true => Ok(None),
        false => address::read(to, tolen).map(Some),
    };
    answer_size(to.and_then(|to| send(transfer, to)))
}

/// Ends one or both directions of a connection.
pub extern "C" fn sys_shutdown(sockfd: i32, how: i32) -> i32 {
    answer(shut_down(sockfd, how))
}

/// The former name of [`sys_shutdown`].
pub extern "C" fn sys_shutdown_socket(s: i32, how: i32) -> i32 {
    answer(shut_down(s, how))
}

/// Makes a socket.
pub extern "C" fn sys_socket(domain: i32, kind: i32, protocol: i32) -> i32 {
    answer(socket(domain, kind, protocol))
}

/// Looks host and service names up: a list for [`sys_freeaddrinfo`], or an `EAI_*` number.
pub extern "C" fn sys_getaddrinfo(
    nodename: *const c_char,
    servname: *const c_char,
    hints: *const addrinfo,
    res: *mut *mut addrinfo,
) -> i32 {
    match names::look_up(nodename, servname, hints, res) {
        Ok(()) => 0,
        Err(names::Unknown(code)) => code,
    }
}

/// Gives back what [`sys_getaddrinfo`] made.
pub extern "C" fn sys_freeaddrinfo(ai: *mut addrinfo) {
    names::free(ai);
}
