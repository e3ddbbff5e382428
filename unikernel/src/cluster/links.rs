//! The links to the other nodes: to each, one connection for the protocol of coherence and one
//! for calls.
//!
//! A node connects to all that come before it, and is connected to by those that come after.
//! The first bytes on a connection say who calls, and what for.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;

use darner_cluster::Incarnation;
use darner_coherence::NodeId;
use darner_netstack::request::StreamOptions;
use darner_netstack::socket::Phase;
use darner_netstack::{Listener, Reply, Request, Stack, Stream};
use darner_wire::Deframer;
use ringbuf::traits::{Consumer, Observer, Producer};

use super::config::ClusterConfig;
use super::record::{BYTES, Record, Sent};
use crate::net::WaitPoint;
use crate::time::{catch_up, monotonic_ns};

/// Where nodes listen for each other.
pub const PORT: u16 = 7_447;
/// Bytes that a connection keeps in each direction.
const BUFFER: usize = 256 << 10;
/// When to try again to connect to a node that was not there, in ns.
const RETRY: u64 = 20_000_000;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Channel {
    /// The protocol of coherence.
    Coherence = 0,
    /// Calls.
    Calls = 1,
}

/// The first bytes on a connection, from both ends.
const HELLO: [u8; 8] = *b"darner\x01\x00";
const HELLO_BYTES: usize = 32;
/// Before each packet is when it was sent, by the sender's monotonic clock in ns.
const TIME_BYTES: usize = 8;

/// What a node says first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hello {
    node: u16,
    channel: u8,
    cpus: u16,
    /// Which life of the node it is.
    incarnation: u64,
    /// When, by its monotonic clock, in ns.
    time: u64,
}

impl Hello {
    fn encode(self) -> [u8; HELLO_BYTES] {
        let mut bytes = [0; HELLO_BYTES];
        bytes[..8].copy_from_slice(&HELLO);
        bytes[8..10].copy_from_slice(&self.node.to_le_bytes());
        bytes[10] = self.channel;
        bytes[12..14].copy_from_slice(&self.cpus.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.incarnation.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.time.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; HELLO_BYTES]) -> Option<Self> {
        let (rest, time) = bytes.split_last_chunk()?;
        let (_, incarnation) = rest.split_last_chunk()?;
        (bytes[..8] == HELLO).then(|| Self {
            node: u16::from_le_bytes([bytes[8], bytes[9]]),
            channel: bytes[10],
            cpus: u16::from_le_bytes([bytes[12], bytes[13]]),
            incarnation: u64::from_le_bytes(*incarnation),
            time: u64::from_le_bytes(*time),
        })
    }
}

/// One connection.
struct Connection {
    stream: Stream<WaitPoint>,
    /// What there was no room for in the stream.
    unsent: VecDeque<u8>,
    /// The other end's first bytes, as far as they have come.
    hello: Vec<u8>,
    /// Something was put in or taken out that the stack does not know of.
    changed: bool,
}

impl Connection {
    fn new(stream: Stream<WaitPoint>, hello: Hello) -> Self {
        let mut connection = Self {
            stream,
            unsent: VecDeque::new(),
            hello: Vec::new(),
            changed: false,
        };
        connection.send(&hello.encode());
        connection
    }

    fn send(&mut self, bytes: &[u8]) {
        let count = match self.unsent.is_empty() {
            true => self.stream.to_send.push_slice(bytes),
            false => 0,
        };
        self.unsent.extend(&bytes[count..]);
        self.changed |= count > 0;
    }

    fn flush(&mut self) {
        while !self.unsent.is_empty() {
            let (first, _) = self.unsent.as_slices();
            let count = self.stream.to_send.push_slice(first);
            if count == 0 {
                return;
            }
            self.unsent.drain(..count);
            self.changed = true;
        }
    }

    /// The other end's first bytes, once they are all there.
    fn take_hello(&mut self) -> Option<Option<Hello>> {
        let missing = HELLO_BYTES - self.hello.len();
        let (bytes, _) = self.stream.received.as_slices();
        let count = missing.min(bytes.len());
        self.hello.extend_from_slice(&bytes[..count]);
        self.stream.received.skip(count);
        let bytes = self.hello.first_chunk()?;
        Some(Hello::decode(bytes))
    }

    fn is_over(&self) -> bool {
        self.stream.state.phase() == Phase::Over
            || self.stream.state.is_end_of_input() && self.stream.received.is_empty()
    }
}

/// What a node is linked by.
#[derive(Default)]
struct Peer {
    connections: [Option<Connection>; 2],
    /// What was sent before there were connections.
    early: [Vec<u8>; 2],
    /// Which life of the node they are to.
    incarnation: u64,
    /// The node is gone, for good.
    is_closed: bool,
    deframer: Deframer,
    /// When the packet that comes now was sent, as far as that has come.
    time: Vec<u8>,
    /// A record that has not come whole.
    record: Vec<u8>,
    cpus: u16,
}

/// What a link has brought.
#[derive(Clone, Copy, Debug)]
pub enum Came {
    /// A packet of the protocol, in the buffer that was given.
    Packet,
    /// A call or an answer.
    Record(Record),
    /// The node does not answer any more.
    Gone,
    /// What it sends makes no sense.
    Garbage,
}

/// All links of a node.
pub struct Links {
    me: NodeId,
    cpus: u16,
    incarnation: u64,
    addresses: Vec<core::net::IpAddr>,
    peers: Vec<Peer>,
    /// Connections of which it is not known yet who calls.
    unknown: Vec<Connection>,
    /// Connections that this node has begun.
    outgoing: Vec<(NodeId, Channel, Connection)>,
    /// Connections to nodes that are gone, to be closed.
    closing: Vec<Connection>,
    listener: Option<Listener<WaitPoint>>,
    retry: u64,
}

impl Links {
    /// None yet.
    pub fn new(config: &ClusterConfig, cpus: u16, incarnation: Incarnation) -> Self {
        Self {
            me: config.me,
            cpus,
            incarnation: incarnation.0,
            addresses: config.addresses.clone(),
            peers: (0..config.nodes).map(|_| Peer::default()).collect(),
            unknown: Vec::new(),
            outgoing: Vec::new(),
            closing: Vec::new(),
            listener: None,
            retry: 0,
        }
    }

    /// Which life of a node there is a link to. `None`: there is none.
    pub fn incarnation(&self, node: NodeId) -> Option<Incarnation> {
        let peer = self.peers.get(usize::from(node.0))?;
        peer.is_linked().then_some(Incarnation(peer.incarnation))
    }

    /// Whether nothing is to be waited for: the node is linked, or will not be any more.
    pub fn is_settled(&self, node: NodeId) -> bool {
        let peer = &self.peers[usize::from(node.0)];
        peer.is_closed || peer.is_linked()
    }

    /// CPUs of a node; 0 while it is not linked.
    pub fn cpus(&self, node: NodeId) -> u16 {
        match node == self.me {
            true => self.cpus,
            false => self.peers[usize::from(node.0)].cpus,
        }
    }

    /// Closes the links to a node, for good.
    pub fn close(&mut self, node: NodeId) {
        let peer = &mut self.peers[usize::from(node.0)];
        let closed = peer.connections.iter_mut().filter_map(Option::take);
        self.closing.extend(closed);
        peer.early = [Vec::new(), Vec::new()];
        peer.is_closed = true;
    }

    /// Goes on making links. When to be called again at the latest, if any are to be made from here.
    pub fn make(&mut self, stack: &mut Stack<WaitPoint>, now: u64) -> Option<u64> {
        for connection in self.closing.drain(..) {
            // Nobody is there who would say that it has all come.
            let close = Request::Close {
                socket: connection.stream.state.id,
                linger: Some(Duration::ZERO),
            };
            let _ = stack.request(close, now);
        }
        self.listen(stack, now);
        let accepted = self.listener.as_ref();
        while let Some(stream) = accepted.and_then(|listener| listener.state.accept()) {
            let hello = self.hello(Channel::Coherence);
            self.unknown.push(Connection::new(stream, hello));
        }
        self.settle_unknown();
        self.settle_outgoing(stack, now);
        let below = &self.peers[..usize::from(self.me.0)];
        if below.iter().all(|peer| peer.is_closed || peer.is_linked()) {
            return None;
        }
        if now >= self.retry {
            self.connect(stack, now);
            self.retry = now + RETRY;
        }
        Some(self.retry)
    }

    fn hello(&self, channel: Channel) -> Hello {
        Hello {
            node: self.me.0,
            channel: channel as u8,
            cpus: self.cpus,
            incarnation: self.incarnation,
            time: monotonic_ns(),
        }
    }

    fn listen(&mut self, stack: &mut Stack<WaitPoint>, now: u64) {
        if self.listener.is_some() {
            return;
        }
        let bind = Request::Bind {
            local: SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)),
            reuse: true,
            only_v6: false,
        };
        let Reply::Bound(binding) = stack.request(bind, now) else {
            return;
        };
        let listen = Request::Listen {
            binding,
            backlog: 2 * self.peers.len(),
            options: options(),
        };
        if let Reply::Listening(listener) = stack.request(listen, now) {
            self.listener = Some(listener);
        }
    }

    /// Connects to those before this node that there is no connection to, nor one in the making.
    fn connect(&mut self, stack: &mut Stack<WaitPoint>, now: u64) {
        for node in (0..self.me.0).map(NodeId) {
            for channel in [Channel::Coherence, Channel::Calls] {
                let peer = &self.peers[usize::from(node.0)];
                let is_made = peer.connections[channel as usize].is_some();
                let is_begun = self
                    .outgoing
                    .iter()
                    .any(|&(to, of, _)| (to, of) == (node, channel));
                if is_made || is_begun || peer.is_closed {
                    continue;
                }
                let connect = Request::Connect {
                    binding: None,
                    remote: SocketAddr::from((self.addresses[usize::from(node.0)], PORT)),
                    options: options(),
                };
                if let Reply::Stream(stream) = stack.request(connect, now) {
                    let connection = Connection::new(stream, self.hello(channel));
                    self.outgoing.push((node, channel, connection));
                }
            }
        }
    }

    /// Finds out who calls.
    fn settle_unknown(&mut self) {
        let mut index = 0;
        while index < self.unknown.len() {
            match self.unknown[index].take_hello() {
                None => index += 1,
                Some(hello) => {
                    let connection = self.unknown.swap_remove(index);
                    let Some(hello) = hello else { continue };
                    self.admit(hello, connection);
                }
            }
        }
    }

    fn settle_outgoing(&mut self, stack: &mut Stack<WaitPoint>, now: u64) {
        let mut index = 0;
        while index < self.outgoing.len() {
            let (node, channel, connection) = &mut self.outgoing[index];
            let (node, channel) = (*node, *channel);
            if connection.is_over() {
                let (_, _, connection) = self.outgoing.swap_remove(index);
                let _ = stack.request(
                    Request::Close {
                        socket: connection.stream.state.id,
                        linger: None,
                    },
                    now,
                );
                continue;
            }
            match connection.take_hello() {
                None => index += 1,
                Some(hello) => {
                    let (_, _, connection) = self.outgoing.swap_remove(index);
                    if let Some(hello) = hello.filter(|hello| hello.node == node.0) {
                        let channel = channel as u8;
                        self.admit(Hello { channel, ..hello }, connection);
                    }
                }
            }
        }
    }

    fn admit(&mut self, hello: Hello, connection: Connection) {
        let Some(peer) = self.peers.get_mut(usize::from(hello.node)) else {
            return;
        };
        let Some(place) = peer.connections.get_mut(usize::from(hello.channel)) else {
            return;
        };
        let is_wanted = hello.node != self.me.0 && place.is_none() && !peer.is_closed;
        let is_first = peer.incarnation == 0;
        if is_wanted && (is_first || peer.incarnation == hello.incarnation) {
            catch_up(hello.time);
            let mut connection = connection;
            connection.send(&core::mem::take(
                &mut peer.early[usize::from(hello.channel)],
            ));
            *place = Some(connection);
            peer.cpus = hello.cpus;
            peer.incarnation = hello.incarnation;
        }
    }

    /// Sends a packet, in pieces: this is the first, and [`Self::send_more`] what follows.
    pub fn send(&mut self, to: NodeId, bytes: &[u8]) {
        self.put(to, Channel::Coherence, &monotonic_ns().to_le_bytes());
        self.put(to, Channel::Coherence, bytes);
    }

    /// Sends more of a packet.
    pub fn send_more(&mut self, to: NodeId, bytes: &[u8]) {
        self.put(to, Channel::Coherence, bytes);
    }

    /// Sends a call or an answer.
    pub fn send_record(&mut self, to: NodeId, record: &Record) {
        let sent = Sent {
            time: monotonic_ns(),
            record: *record,
        };
        self.put(to, Channel::Calls, &sent.encode());
    }

    fn put(&mut self, to: NodeId, channel: Channel, bytes: &[u8]) {
        let Some(peer) = self.peers.get_mut(usize::from(to.0)) else {
            return;
        };
        match &mut peer.connections[channel as usize] {
            Some(connection) => connection.send(bytes),
            None if peer.is_closed => {}
            None => peer.early[channel as usize].extend_from_slice(bytes),
        }
    }

    /// The next thing that has come, and from whom. A packet is put into `packet`. After
    /// [`Came::Gone`] and [`Came::Garbage`] the link is to be closed.
    pub fn next(&mut self, packet: &mut Vec<u8>) -> Option<(NodeId, Came)> {
        for (node, peer) in (0..).map(NodeId).zip(&mut self.peers) {
            match peer.next(packet) {
                Ok(Some(came)) => return Some((node, came)),
                Ok(None) => {}
                Err(Garbage) => return Some((node, Came::Garbage)),
            }
            if peer.connections.iter().flatten().any(Connection::is_over) {
                return Some((node, Came::Gone));
            }
        }
        None
    }

    /// Hands over to the stack what there is to be sent. Whether there was anything that it has
    /// to look at.
    pub fn flush(&mut self, stack: &mut Stack<WaitPoint>, now: u64) -> Progress {
        let mut progress = Progress::Nothing;
        let peers = self.peers.iter_mut();
        let linked = peers.flat_map(|peer| peer.connections.iter_mut().flatten());
        let begun = self
            .outgoing
            .iter_mut()
            .map(|(_, _, connection)| connection);
        for connection in linked.chain(begun).chain(&mut self.unknown) {
            connection.flush();
            if core::mem::take(&mut connection.changed) {
                let _ = stack.request(Request::Attend(connection.stream.state.id), now);
                progress = Progress::Something;
            }
        }
        progress
    }
}

/// Whether anything was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There was something to do.
    Something,
    /// There was not.
    Nothing,
}

/// What has come makes no sense.
struct Garbage;

impl Peer {
    fn is_linked(&self) -> bool {
        self.connections.iter().all(Option::is_some)
    }

    fn next(&mut self, packet: &mut Vec<u8>) -> Result<Option<Came>, Garbage> {
        let [coherence, calls] = &mut self.connections;
        if let Some(connection) = coherence {
            while let (bytes, _) = connection.stream.received.as_slices()
                && !bytes.is_empty()
            {
                connection.changed = true;
                let missing = TIME_BYTES - self.time.len();
                if missing > 0 {
                    let count = missing.min(bytes.len());
                    self.time.extend_from_slice(&bytes[..count]);
                    connection.stream.received.skip(count);
                    continue;
                }
                let mut rest = bytes;
                let found = self.deframer.next(&mut rest).map_err(|_| Garbage)?;
                let count = bytes.len() - rest.len();
                let is_found = found.is_some();
                if let Some(found) = found {
                    packet.clear();
                    packet.extend_from_slice(found);
                }
                connection.stream.received.skip(count);
                if is_found {
                    catch_up(
                        self.time
                            .first_chunk()
                            .map_or(0, |&time| u64::from_le_bytes(time)),
                    );
                    self.time.clear();
                    return Ok(Some(Came::Packet));
                }
            }
        }
        if let Some(connection) = calls {
            while let (bytes, _) = connection.stream.received.as_slices()
                && !bytes.is_empty()
            {
                let count = (BYTES - self.record.len()).min(bytes.len());
                self.record.extend_from_slice(&bytes[..count]);
                connection.stream.received.skip(count);
                connection.changed = true;
                if let Some(whole) = self.record.first_chunk() {
                    let sent = Sent::decode(whole).map_err(|_| Garbage)?;
                    self.record.clear();
                    catch_up(sent.time);
                    return Ok(Some(Came::Record(sent.record)));
                }
            }
        }
        Ok(None)
    }
}

fn options() -> StreamOptions {
    StreamOptions {
        nodelay: true,
        receive_buffer: Some(BUFFER),
        send_buffer: Some(BUFFER),
        ..StreamOptions::default()
    }
}
