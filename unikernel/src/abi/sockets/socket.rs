//! What a socket's descriptor stands for.

use alloc::boxed::Box;
use core::net::SocketAddr;

use darner_netstack::request::{Binding, Reply};
use darner_netstack::socket::Phase;
use darner_netstack::{Error, Listener, Request};
use hermit_abi::{
    EACCES, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, EALREADY, ECONNABORTED, ECONNREFUSED,
    ECONNRESET, EDESTADDRREQ, EHOSTUNREACH, EINVAL, EIO, EISCONN, EMSGSIZE, ENETUNREACH, ENOMEM,
    ENOTCONN, EOPNOTSUPP, EPROTONOSUPPORT, ETIMEDOUT, IPPROTO_TCP, IPPROTO_UDP, POLLHUP,
    SOCK_DGRAM, SOCK_STREAM,
};
use spin::Once;

use super::super::descriptors::{self, Object};
use super::super::event::{READABLE, WRITABLE};
use super::super::user::{Errno, UserBuffer};
use super::address::Family;
use super::connection::{Connection, Shut};
use super::datagrams::DatagramSocket;
use super::options::Options;
use crate::net::{self, WaitPoint};
use crate::sync::RwLock;
use crate::time::monotonic_ns;

/// The most connections that may wait to be accepted.
const BACKLOG: usize = 4096;

impl From<Error> for Errno {
    fn from(error: Error) -> Self {
        Self(match error {
            Error::AddressInUse => EADDRINUSE,
            Error::AddressNotAvailable => EADDRNOTAVAIL,
            // As other systems say it.
            Error::NoPorts => EADDRINUSE,
            Error::ConnectionRefused => ECONNREFUSED,
            Error::ConnectionReset => ECONNRESET,
            Error::ConnectionAborted => ECONNABORTED,
            Error::TimedOut => ETIMEDOUT,
            Error::NetworkUnreachable | Error::NotConfigured => ENETUNREACH,
            Error::HostUnreachable => EHOSTUNREACH,
            Error::NotConnected => ENOTCONN,
            Error::BroadcastNotAllowed => EACCES,
            Error::MessageTooLong => EMSGSIZE,
            Error::NoMemory => ENOMEM,
            Error::Invalid => EINVAL,
            // Names have error numbers of their own.
            Error::NameNotFound | Error::NoAddress | Error::NameServerFailed => EIO,
        })
    }
}

/// Streams or datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// TCP.
    Stream,
    /// UDP.
    Datagram,
}

impl Kind {
    /// The kind that a program asks for.
    pub fn from_numbers(kind: i32, protocol: i32) -> Result<Self, Errno> {
        match (kind, protocol) {
            (SOCK_STREAM, 0 | IPPROTO_TCP) => Ok(Self::Stream),
            (SOCK_DGRAM, 0 | IPPROTO_UDP) => Ok(Self::Datagram),
            (SOCK_STREAM | SOCK_DGRAM, _) => Err(Errno(EPROTONOSUPPORT)),
            _ => Err(Errno(EINVAL)),
        }
    }
}

/// Whether what is received stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// It is the reader's.
    Away,
    /// It stays for the next reader.
    Look,
}

/// How long a call may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Not at all.
    None,
    /// Until then (monotonic ns), or for ever.
    Until(Option<u64>),
}

impl Patience {
    /// That of a socket whose calls block or not, and for how many ns (0: for ever).
    pub fn new(nonblocking: bool, limit_ns: u64) -> Self {
        match (nonblocking, limit_ns) {
            (true, _) => Self::None,
            (false, 0) => Self::Until(None),
            (false, limit) => Self::Until(Some(monotonic_ns().saturating_add(limit))),
        }
    }
}

/// A socket. It begins as nothing in particular and becomes one of three things, once.
pub struct Socket {
    kind: Kind,
    /// Its address family.
    pub family: Family,
    /// What the program has set.
    pub options: Options,
    /// The port that it has been given before it became anything. Held while it becomes
    /// something.
    becoming: RwLock<Option<Binding>>,
    connection: Once<Connection>,
    listener: Once<Listener<WaitPoint>>,
    datagrams: Once<DatagramSocket>,
}

impl Socket {
    /// A new one. It needs no network yet.
    pub fn new(kind: Kind, family: Family) -> Self {
        Self {
            kind,
            family,
            options: Options::new(),
            becoming: RwLock::new(None),
            connection: Once::new(),
            listener: Once::new(),
            datagrams: Once::new(),
        }
    }

    fn accepted(connection: Connection, family: Family, options: &Options) -> Self {
        let socket = Self::new(Kind::Stream, family);
        socket.options.inherit(options);
        socket.connection.call_once(|| connection);
        socket
    }

    /// The connection that it is.
    pub fn connection(&self) -> Option<&Connection> {
        self.connection.get()
    }

    /// The UDP socket that it is.
    pub fn datagrams(&self) -> Option<&DatagramSocket> {
        self.datagrams.get()
    }

    /// Gives it an address of this node's.
    pub fn bind(&self, local: SocketAddr) -> Result<(), Errno> {
        if !self.family.accepts(local) {
            return Err(Errno(EAFNOSUPPORT));
        }
        let mut becoming = self.becoming.write();
        if becoming.is_some() || self.is_something() {
            return Err(Errno(EINVAL));
        }
        if self.kind == Kind::Datagram {
            return self.bind_datagrams(local);
        }
        configured_for(local);
        let request = Request::Bind {
            local,
            reuse: self.options.reuse(),
            only_v6: self.options.only_v6(),
        };
        match net::call(request)? {
            Reply::Bound(binding) => *becoming = Some(binding),
            _ => unreachable!("the answer fits the request"),
        }
        Ok(())
    }

    fn is_something(&self) -> bool {
        self.connection.is_completed()
            || self.listener.is_completed()
            || self.datagrams.is_completed()
    }

    /// With `becoming` held.
    fn bind_datagrams(&self, local: SocketAddr) -> Result<(), Errno> {
        configured_for(local);
        let request = Request::BindDatagrams {
            local,
            reuse: self.options.reuse(),
            only_v6: self.options.only_v6(),
        };
        let Reply::Datagrams(datagrams) = net::call(request)? else {
            unreachable!("the answer fits the request");
        };
        let socket = self.datagrams.call_once(|| DatagramSocket::from(datagrams));
        socket.set_options(self.options.datagram())
    }

    /// The UDP socket that it is, on a free port if it has not been bound.
    fn bound_datagrams(&self) -> Result<&DatagramSocket, Errno> {
        if let Some(datagrams) = self.datagrams.get() {
            return Ok(datagrams);
        }
        let becoming = self.becoming.write();
        if !self.datagrams.is_completed() {
            self.bind_datagrams(self.family.unspecified())?;
        }
        drop(becoming);
        self.datagrams.get().ok_or(Errno(EINVAL))
    }

    /// Waits for connections from now on.
    pub fn listen(&self, backlog: i32) -> Result<(), Errno> {
        if self.kind != Kind::Stream {
            return Err(Errno(EOPNOTSUPP));
        }
        let mut becoming = self.becoming.write();
        if self.listener.is_completed() {
            // The backlog stays what it is.
            return Ok(());
        }
        if self.is_something() {
            return Err(Errno(EINVAL));
        }
        let binding = match becoming.take() {
            Some(binding) => binding,
            None => self.any_port()?,
        };
        let request = Request::Listen {
            binding,
            // A negative one stands for as many as possible.
            backlog: usize::try_from(backlog)
                .unwrap_or(BACKLOG)
                .clamp(1, BACKLOG),
            options: self.options.stream(),
        };
        match net::call(request)? {
            Reply::Listening(listener) => drop(self.listener.call_once(|| listener)),
            _ => unreachable!("the answer fits the request"),
        }
        Ok(())
    }

    fn any_port(&self) -> Result<Binding, Errno> {
        let request = Request::Bind {
            local: self.family.unspecified(),
            reuse: false,
            only_v6: self.options.only_v6(),
        };
        match net::call(request)? {
            Reply::Bound(binding) => Ok(binding),
            _ => unreachable!("the answer fits the request"),
        }
    }

    /// Takes a connection that has come: its descriptor and the other end's address.
    pub fn accept(&self, nonblocking: bool) -> Result<(i32, SocketAddr), Errno> {
        let listener = self.listener.get().ok_or(Errno(EINVAL))?;
        let patience = Patience::new(nonblocking, self.options.receive_limit());
        let state = &listener.state;
        let stream = patience.wait(&state.waiters, || state.accept())?;
        let remote = stream.state.remote;
        let connection = Connection::from(stream);
        let socket = Self::accepted(connection, self.family, &self.options);
        let descriptor = descriptors::add(Object::Socket(Box::new(socket)), false, false)?;
        Ok((descriptor, remote))
    }

    /// Connects it.
    pub fn connect(&self, remote: SocketAddr, nonblocking: bool) -> Result<(), Errno> {
        if !self.family.accepts(remote) {
            return Err(Errno(EAFNOSUPPORT));
        }
        if self.kind == Kind::Datagram {
            return self.connect_datagrams(remote);
        }
        if let Some(connection) = self.connection.get() {
            return Err(Errno(match connection.phase() {
                Phase::Connecting => EALREADY,
                Phase::Connected | Phase::Over => EISCONN,
            }));
        }
        let mut becoming = self.becoming.write();
        if self.is_something() {
            return Err(Errno(EISCONN));
        }
        configured_for(remote);
        let request = Request::Connect {
            binding: becoming.take(),
            remote,
            options: self.options.stream(),
        };
        let connection = match net::call(request)? {
            Reply::Stream(stream) => self.connection.call_once(|| Connection::from(stream)),
            _ => unreachable!("the answer fits the request"),
        };
        drop(becoming);
        connection.connected(Patience::new(nonblocking, self.options.send_limit()))
    }

    fn connect_datagrams(&self, peer: SocketAddr) -> Result<(), Errno> {
        let datagrams = self.bound_datagrams()?;
        configured_for(peer);
        match net::call(Request::ConnectDatagrams(datagrams.id(), Some(peer)))? {
            Reply::Local(local) => datagrams.set_connected(local, peer),
            _ => unreachable!("the answer fits the request"),
        }
        Ok(())
    }

    /// This end's address.
    pub fn local(&self) -> SocketAddr {
        if let Some(connection) = self.connection.get() {
            return connection.local();
        }
        if let Some(listener) = self.listener.get() {
            return listener.state.local;
        }
        if let Some(datagrams) = self.datagrams.get() {
            return datagrams.local();
        }
        let becoming = self.becoming.read();
        becoming
            .as_ref()
            .map_or(self.family.unspecified(), Binding::local)
    }

    /// The other end's address.
    pub fn peer(&self) -> Result<SocketAddr, Errno> {
        if let Some(connection) = self.connection.get() {
            return connection.remote();
        }
        let datagrams = self.datagrams.get();
        datagrams
            .and_then(DatagramSocket::peer)
            .ok_or(Errno(ENOTCONN))
    }

    /// Receives bytes or a datagram, and tells from whom.
    pub fn receive(
        &self,
        buffer: &UserBuffer<'_>,
        take: Take,
        nonblocking: bool,
    ) -> Result<(usize, Option<SocketAddr>), Errno> {
        let patience = Patience::new(nonblocking, self.options.receive_limit());
        if let Some(connection) = self.connection.get() {
            let count = connection.receive(buffer, take, patience)?;
            return Ok((count, None));
        }
        match self.kind {
            Kind::Stream => Err(Errno(ENOTCONN)),
            Kind::Datagram => {
                let (count, peer) = self.bound_datagrams()?.receive(buffer, take, patience)?;
                Ok((count, Some(peer)))
            }
        }
    }

    /// Sends bytes, or a datagram to `to` or the only peer.
    pub fn send(
        &self,
        buffer: &UserBuffer<'_>,
        to: Option<SocketAddr>,
        nonblocking: bool,
    ) -> Result<usize, Errno> {
        let patience = Patience::new(nonblocking, self.options.send_limit());
        if let Some(connection) = self.connection.get() {
            // A connection has one peer; what else is named is not looked at.
            return connection.send(buffer, patience);
        }
        match self.kind {
            Kind::Stream => Err(Errno(ENOTCONN)),
            Kind::Datagram if to.is_none() && self.datagrams.get().is_none() => {
                Err(Errno(EDESTADDRREQ))
            }
            Kind::Datagram => {
                if to.is_some_and(|to| !self.family.accepts(to)) {
                    return Err(Errno(EAFNOSUPPORT));
                }
                if let Some(to) = to {
                    configured_for(to);
                }
                self.bound_datagrams()?.send(buffer, to, patience)
            }
        }
    }

    /// Ends one or both directions.
    pub fn shut_down(&self, input: Shut, output: Shut) -> Result<(), Errno> {
        if let Some(connection) = self.connection.get() {
            return connection.shut_down(input, output);
        }
        Err(Errno(ENOTCONN))
    }

    /// The error that came for it, once.
    pub fn take_error(&self) -> Option<Errno> {
        match (self.connection.get(), self.datagrams.get()) {
            (Some(connection), _) => connection.take_error(),
            (None, Some(datagrams)) => datagrams.take_error(),
            (None, None) => None,
        }
    }

    /// What could be done without blocking, as `POLL*` bits.
    pub fn ready(&self) -> i16 {
        if let Some(connection) = self.connection.get() {
            return connection.ready();
        }
        if let Some(datagrams) = self.datagrams.get() {
            return datagrams.ready();
        }
        match (self.listener.get(), self.kind) {
            (Some(listener), _) if listener.state.accepted.is_empty() => 0,
            (Some(_), _) => READABLE,
            (None, Kind::Stream) => WRITABLE | POLLHUP,
            (None, Kind::Datagram) => WRITABLE,
        }
    }
}

impl Drop for Socket {
    /// With its last descriptor. Thread context, no lock held.
    fn drop(&mut self) {
        if let Some(binding) = self.becoming.write().take() {
            net::tell(Request::Unbind(binding));
        }
        let listener = self.listener.get().map(|listener| listener.state.id);
        let connection = self.connection.get().map(Connection::id);
        let datagrams = self.datagrams.get().map(DatagramSocket::id);
        if let Some(socket) = listener.or(connection).or(datagrams) {
            let linger = self.options.linger();
            net::tell(Request::Close { socket, linger });
        }
    }
}

/// Waits until interfaces have their addresses, if `address` is one that needs that.
fn configured_for(address: SocketAddr) {
    let ip = address.ip();
    if !ip.is_loopback() && !ip.is_unspecified() {
        net::wait_configured();
    }
}
