//! Sockets of a kernel that was built without a network: every function says ENOSYS.

use core::ffi::{c_char, c_void};

use hermit_abi::{ENOSYS, addrinfo, sockaddr, socklen_t};

use super::user::{Errno, answer};

/// The answer of all of them.
fn no_network() -> i32 {
    answer(Err(Errno(ENOSYS)))
}

/// Starts the network.
pub extern "C" fn sys_network_init() -> i32 {
    no_network()
}

/// Looks a host name up.
pub extern "C" fn sys_getaddrbyname(_name: *const c_char, _inaddr: *mut u8, _len: usize) -> i32 {
    no_network()
}

/// Takes a connection from a listening socket.
pub extern "C" fn sys_accept(_s: i32, _addr: *mut sockaddr, _addrlen: *mut socklen_t) -> i32 {
    no_network()
}

/// Gives a socket its own address.
pub extern "C" fn sys_bind(_s: i32, _name: *const sockaddr, _namelen: socklen_t) -> i32 {
    no_network()
}

/// Connects a socket to an address.
pub extern "C" fn sys_connect(_s: i32, _name: *const sockaddr, _namelen: socklen_t) -> i32 {
    no_network()
}

/// Receives from a connected socket.
pub extern "C" fn sys_recv(_socket: i32, _buf: *mut u8, _len: usize, _flags: i32) -> isize {
    no_network() as isize
}

/// Receives, and tells from whom.
pub extern "C" fn sys_recvfrom(
    _socket: i32,
    _buf: *mut u8,
    _len: usize,
    _flags: i32,
    _addr: *mut sockaddr,
    _addrlen: *mut socklen_t,
) -> isize {
    no_network() as isize
}

/// Tells the other end's address.
pub extern "C" fn sys_getpeername(_s: i32, _name: *mut sockaddr, _namelen: *mut socklen_t) -> i32 {
    no_network()
}

/// Tells a socket's own address.
pub extern "C" fn sys_getsockname(_s: i32, _name: *mut sockaddr, _namelen: *mut socklen_t) -> i32 {
    no_network()
}

/// Reads a socket's option.
pub extern "C" fn sys_getsockopt(
    _s: i32,
    _level: i32,
    _optname: i32,
    _optval: *mut c_void,
    _optlen: *mut socklen_t,
) -> i32 {
    no_network()
}

/// Changes a socket's option.
pub extern "C" fn sys_setsockopt(
    _s: i32,
    _level: i32,
    _optname: i32,
    _optval: *const c_void,
    _optlen: socklen_t,
) -> i32 {
    no_network()
}

/// Makes a socket wait for connections.
pub extern "C" fn sys_listen(_s: i32, _backlog: i32) -> i32 {
    no_network()
}

/// Sends by a connected socket.
pub extern "C" fn sys_send(_s: i32, _mem: *const c_void, _len: usize, _flags: i32) -> isize {
    no_network() as isize
}

/// Sends to an address.
pub extern "C" fn sys_sendto(
    _s: i32,
    _mem: *const c_void,
    _len: usize,
    _flags: i32,
    _to: *const sockaddr,
    _tolen: socklen_t,
) -> isize {
    no_network() as isize
}

/// Ends one or both directions of a connection.
pub extern "C" fn sys_shutdown(_sockfd: i32, _how: i32) -> i32 {
    no_network()
}

/// The former name of [`sys_shutdown`].
pub extern "C" fn sys_shutdown_socket(_s: i32, _how: i32) -> i32 {
    no_network()
}

/// Makes a socket.
pub extern "C" fn sys_socket(_domain: i32, _type: i32, _protocol: i32) -> i32 {
    no_network()
}

/// Looks host and service names up.
pub extern "C" fn sys_getaddrinfo(
    _nodename: *const c_char,
    _servname: *const c_char,
    _hints: *const addrinfo,
    _res: *mut *mut addrinfo,
) -> i32 {
    no_network()
}

/// Gives back what [`sys_getaddrinfo`] made: nothing, so there is nothing to do.
pub extern "C" fn sys_freeaddrinfo(_ai: *mut addrinfo) {}
