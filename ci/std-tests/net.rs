//! The tests that std keeps inside its module `net`, as a program of their own.
//!
//! They call std `crate`, so this crate has the same modules as far as they need.
//! `library` is the folder with the sources of the standard library; the test run puts
//! this file beside it.

#![feature(core_io_borrowed_buf, io_error_uncategorized, ip, read_buf, tcp_linger)]

#[cfg(unix)]
use std::os;
use std::{collections, env, fmt, io, mem, sync, thread, time};

mod net {
    use std::fmt;
    use std::ops::Deref;
    #[cfg(target_os = "hermit")]
    pub use std::os::hermit::io::AsRawFd;
    #[cfg(unix)]
    use std::os::fd::AsRawFd;

    pub use std::net::*;

    pub use crate::net_test as test;

    /// std's, with the inside that the test of its `Debug` looks into.
    pub struct UdpSocket(pub Inner);

    pub struct Inner(std::net::UdpSocket);

    impl UdpSocket {
        pub fn bind(address: impl ToSocketAddrs) -> std::io::Result<Self> {
            std::net::UdpSocket::bind(address).map(|socket| Self(Inner(socket)))
        }
    }

    impl Deref for UdpSocket {
        type Target = std::net::UdpSocket;

        fn deref(&self) -> &Self::Target {
            &self.0.0
        }
    }

    impl fmt::Debug for UdpSocket {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            fmt::Debug::fmt(&**self, f)
        }
    }

    impl Inner {
        pub fn socket(&self) -> &Self {
            self
        }

        pub fn as_raw(&self) -> i32 {
            self.0.as_raw_fd()
        }
    }
}

#[path = "library/std/src/net/test.rs"]
pub mod net_test;

#[path = "library/std/src/net/ip_addr/tests.rs"]
mod ip_addr;
#[path = "library/std/src/net/socket_addr/tests.rs"]
mod socket_addr;
#[path = "library/std/src/net/tcp/tests.rs"]
mod tcp;
#[path = "library/std/src/net/udp/tests.rs"]
mod udp;

#[path = "library/std/src/sys/net/connection/socket/tests.rs"]
mod socket;

/// What std calls so inside, by the way to it from outside.
fn lookup_host(host: &str, port: u16) -> io::Result<impl Iterator<Item = net::SocketAddr>> {
    net::ToSocketAddrs::to_socket_addrs(&(host, port))
}
