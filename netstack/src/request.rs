//! What programs ask of the stack, and what they are told.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use crate::error::Error;
use crate::nic;
use crate::socket::{Datagrams, Farewell, Listener, Lookup, SocketId, Stream};

/// A request. All are answered at once.
pub enum Request<W> {
    /// Reserves a port for TCP, before `listen` or `connect`. Port 0: a free one is chosen.
    /// An unspecified IP address stands for all of the node; of IPv6, for both families
    /// unless `only_v6`. [`Reply::Bound`].
    Bind {
        /// Where.
        local: SocketAddr,
        /// Whether connections that are over but for TIME-WAIT do not count (`SO_REUSEADDR`).
        reuse: bool,
        /// Of IPv6: not IPv4 as well.
        only_v6: bool,
    },
    /// Gives up what was reserved and not used. [`Reply::Done`].
    Unbind(Binding),
    /// Listens where a port was reserved. [`Reply::Listening`].
    Listen {
        /// Where.
        binding: Binding,
        /// Connections that may wait to be accepted.
        backlog: usize,
        /// Options that accepted connections begin with.
        options: StreamOptions,
    },
    /// Connects, from a reserved port or a free one. [`Reply::Stream`], which is still
    /// connecting.
    Connect {
        /// From where; `None`: the stack chooses.
        binding: Option<Binding>,
        /// To where.
        remote: SocketAddr,
        /// What to begin with.
        options: StreamOptions,
    },
    /// Changes options of a connection. [`Reply::Done`].
    SetStreamOptions(SocketId, StreamOptions),
    /// Makes a UDP socket, bound as for [`Request::Bind`]. [`Reply::Datagrams`].
    BindDatagrams {
        /// Where.
        local: SocketAddr,
        /// Whether another socket may have the same (`SO_REUSEADDR`).
        reuse: bool,
        /// Of IPv6: not IPv4 as well.
        only_v6: bool,
    },
    /// Has a UDP socket talk with one peer only; `None`: with all again. [`Reply::Done`].
    /// The answer is [`Reply::Local`]: the address that datagrams to the peer come from.
    ConnectDatagrams(SocketId, Option<SocketAddr>),
    /// Whether a datagram of a UDP socket could be sent there now: there is a way, and the
    /// options allow it. What fails later is the socket's error. [`Reply::Done`].
    CheckDatagrams(SocketId, SocketAddr),
    /// Changes options of a UDP socket. [`Reply::Done`].
    SetDatagramOptions(SocketId, DatagramOptions),
    /// Joins or leaves a multicast group, on the interface of that address, or on all.
    /// [`Reply::Done`].
    Multicast {
        /// The group.
        group: IpAddr,
        /// Which interface; unspecified: all.
        interface: IpAddr,
        /// Join rather than leave.
        join: bool,
    },
    /// The sockets' program side has changed something: look. Wants no answer.
    Attend(SocketId),
    /// The program has no use for the socket any more. Wants no answer. A connection
    /// sends what it still has, then a FIN; or an RST if received bytes were not read, or if
    /// `linger` is zero.
    Close {
        /// Which.
        socket: SocketId,
        /// `SO_LINGER`: `Some(0)` breaks the connection off at once.
        linger: Option<Duration>,
    },
    /// Looks a name up. [`Reply::Done`]; the lookup is finished later.
    Resolve {
        /// The name.
        name: String,
        /// Addresses of which families.
        family: Family,
        /// Where the answer goes.
        lookup: Arc<Lookup<W>>,
    },
    /// What there is. [`Reply::Snapshot`].
    Snapshot,
    /// The program ends. All sockets are closed as by [`Request::Close`]; when all that was to
    /// be sent has arrived, or is given up, the farewell is over. [`Reply::Done`].
    Finish(Arc<Farewell<W>>),
}

/// Answers to [`Request`]s.
pub enum Reply<W> {
    /// It is done.
    Done,
    /// A port is reserved.
    Bound(Binding),
    /// It listens.
    Listening(Listener<W>),
    /// A connection.
    Stream(Stream<W>),
    /// A UDP socket.
    Datagrams(Datagrams<W>),
    /// An address.
    Local(SocketAddr),
    /// What there is.
    Snapshot(Snapshot),
    /// It failed.
    Failed(Error),
}

/// A reserved TCP port. Given back by being used, or by [`Request::Unbind`].
#[derive(Debug, PartialEq, Eq)]
pub struct Binding {
    pub(crate) id: SocketId,
    pub(crate) local: SocketAddr,
}

impl Binding {
    /// What is reserved, with the port that was chosen.
    pub fn local(&self) -> SocketAddr {
        self.local
    }
}

/// Options of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamOptions {
    /// Small segments are sent at once (`TCP_NODELAY`).
    pub nodelay: bool,
    /// Time between probes of an idle connection (`SO_KEEPALIVE`); `None`: none.
    pub keep_alive: Option<Duration>,
    /// Time to live, or hop limit, of packets sent.
    pub ttl: u8,
    /// Bytes to keep for the program; `None`: as many as there is memory for (`SO_RCVBUF`).
    /// Fixed once connected.
    pub receive_buffer: Option<usize>,
    /// Bytes to keep for the other end (`SO_SNDBUF`). The same.
    pub send_buffer: Option<usize>,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self {
            nodelay: false,
            keep_alive: None,
            ttl: 64,
            receive_buffer: None,
            send_buffer: None,
        }
    }
}

/// Options of a UDP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatagramOptions {
    /// Time to live, or hop limit, of packets sent.
    pub ttl: u8,
    /// The same to multicast groups.
    pub multicast_ttl: u8,
    /// What is sent to multicast groups comes to members on this node, too.
    pub multicast_loop: bool,
    /// May send to broadcast addresses (`SO_BROADCAST`).
    pub broadcast: bool,
}

impl Default for DatagramOptions {
    fn default() -> Self {
        Self {
            ttl: 64,
            multicast_ttl: 1,
            multicast_loop: true,
            broadcast: false,
        }
    }
}

/// Which addresses of a name are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
    /// Both, IPv6 first where there is a route for it.
    Any,
}

/// What there is: for reports.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Interfaces, loopback first.
    pub interfaces: Vec<InterfaceInfo>,
    /// Sockets and connections.
    pub sockets: Vec<SocketInfo>,
    /// Name servers.
    pub dns: Vec<IpAddr>,
    /// What the stack has counted.
    pub counters: StackCounters,
}

/// An interface.
#[derive(Clone, Debug)]
pub struct InterfaceInfo {
    /// `lo`, `net0`, ...
    pub name: String,
    /// Its hardware address; loopback has none.
    pub mac: Option<[u8; 6]>,
    /// Its addresses with the lengths of their prefixes.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Where packets for elsewhere go.
    pub gateways: Vec<IpAddr>,
    /// Bytes of the largest IP packet.
    pub mtu: u16,
    /// What the card has counted.
    pub counters: nic::Counters,
}

/// A socket.
#[derive(Clone, Debug)]
pub struct SocketInfo {
    /// Its name.
    pub id: SocketId,
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// As RFC 9293 calls it (`ESTABLISHED`), or `-` for UDP.
    pub state: &'static str,
    /// This end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: Option<SocketAddr>,
    /// Bytes that the program has not read.
    pub receive_queue: usize,
    /// Bytes that the other end has not confirmed.
    pub send_queue: usize,
}

/// What the stack has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StackCounters {
    /// Connections that programs have begun.
    pub connects: u64,
    /// Connections that others have begun, and that were established.
    pub accepts: u64,
    /// SYNs that were dropped because the backlog was full or there was no memory.
    pub refused_for_room: u64,
    /// Connections that ended by RST or because the other end did not answer.
    pub broken: u64,
    /// Frames that were dropped because a checksum was wrong.
    pub bad_checksums: u64,
    /// Frames that could not be parsed.
    pub malformed: u64,
    /// Datagrams that were dropped because a socket's queue was full.
    pub datagrams_dropped: u64,
    /// Frames that could not be sent because a card had no room.
    pub no_room: u64,
    /// Runs of the protocol thread.
    pub steps: u64,
}
