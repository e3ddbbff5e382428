//! Why the network said no.

use core::fmt;

/// Why a request failed, or a socket ended. The ABI maps each to one errno.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Error {
    /// Another socket has that address and port.
    AddressInUse,
    /// No interface has that address.
    AddressNotAvailable,
    /// All ports that could be chosen are in use.
    NoPorts,
    /// Nobody listens there (RST, or ICMP port unreachable).
    ConnectionRefused,
    /// The other end broke the connection off (RST).
    ConnectionReset,
    /// The connection was broken off on this side.
    ConnectionAborted,
    /// The other end does not answer.
    TimedOut,
    /// No interface leads there.
    NetworkUnreachable,
    /// The host does not answer address resolution, or a router says that it cannot be reached.
    HostUnreachable,
    /// An interface that could lead there is still waiting for its address. Not an end: wait
    /// for [`crate::stack::Configured`] and ask again.
    NotConfigured,
    /// The socket is not connected.
    NotConnected,
    /// A broadcast, and the socket has not been allowed to send any (`SO_BROADCAST`).
    BroadcastNotAllowed,
    /// A datagram is larger than UDP or the socket's buffer allows.
    MessageTooLong,
    /// No memory.
    NoMemory,
    /// The socket or the address is not of the right family or kind for this.
    Invalid,
    /// There is no such name.
    NameNotFound,
    /// The name exists, and has no address of the family that was asked for.
    NoAddress,
    /// No name server, or none that answers.
    NameServerFailed,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AddressInUse => "address in use",
            Self::AddressNotAvailable => "no interface has that address",
            Self::NoPorts => "no free port",
            Self::ConnectionRefused => "connection refused",
            Self::ConnectionReset => "connection reset",
            Self::ConnectionAborted => "connection aborted",
            Self::TimedOut => "timed out",
            Self::NetworkUnreachable => "network unreachable",
            Self::HostUnreachable => "host unreachable",
            Self::NotConfigured => "the interface has no address yet",
            Self::NotConnected => "not connected",
            Self::BroadcastNotAllowed => "broadcasts have not been allowed",
            Self::MessageTooLong => "message too long",
            Self::NoMemory => "no memory",
            Self::Invalid => "invalid argument",
            Self::NameNotFound => "no such name",
            Self::NoAddress => "the name has no address of that family",
            Self::NameServerFailed => "no name server answers",
        })
    }
}

impl core::error::Error for Error {}
