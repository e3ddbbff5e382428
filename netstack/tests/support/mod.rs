//! Nodes on a wire, in a time of their own.
#![allow(dead_code)]

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use darner_netstack::config::{V4, V6};
use darner_netstack::nic::{Capabilities, Counters, Nic, Receive, RxChecksum, Transmit, TxOffload};
use darner_netstack::request::{DatagramOptions, Snapshot, StreamOptions};
use darner_netstack::socket::Phase;
use darner_netstack::{
    Datagram, Datagrams, Error, InterfaceConfig, Listener, Nanos, Reply, Request, SocketId, Stack,
    Stream, Wait,
};
use ringbuf::traits::{Consumer, Observer, Producer};

pub const SECOND: Nanos = 1_000_000_000;
pub const MEMORY: usize = 64 << 20;

/// Counts how often it has been woken.
#[derive(Default)]
pub struct Flag(pub AtomicU32);

impl Wait for Flag {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Flag {
    pub fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a card and its end of the wire have in common.
#[derive(Default)]
pub struct Port {
    pub to_node: VecDeque<(Vec<u8>, bool)>,
    pub from_node: VecDeque<(Vec<u8>, TxOffload)>,
    /// Frames that fit into the card until the wire takes them.
    pub room: usize,
    /// Calls of the card but for looking whether there is a frame.
    pub touched: u64,
    pub interrupts: bool,
    good_checksums: bool,
    counters: Counters,
}

type Shared = Arc<Mutex<Port>>;

struct Card {
    capabilities: Capabilities,
    port: Shared,
    rx: Rx,
    tx: Tx,
}

struct Rx(Shared, Option<(Vec<u8>, bool)>);
struct Tx(Shared);

impl Nic for Card {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }
    fn halves(&mut self) -> (&mut dyn Receive, &mut dyn Transmit) {
        (&mut self.rx, &mut self.tx)
    }
    fn set_interrupts(&mut self, on: bool) -> bool {
        let mut port = self.port.lock().unwrap();
        port.touched += 1;
        port.interrupts = on;
        on && (!port.to_node.is_empty() || self.rx.1.is_some())
    }
    fn counters(&self) -> Counters {
        self.port.lock().unwrap().counters
    }
}

impl Receive for Rx {
    fn first(&mut self) -> Option<(&mut [u8], RxChecksum)> {
        if self.1.is_none() {
            self.1 = self.0.lock().unwrap().to_node.pop_front();
        }
        let (frame, good) = self.1.as_mut()?;
        let checksum = if *good {
            RxChecksum::Good
        } else {
            RxChecksum::Unknown
        };
        Some((frame, checksum))
    }
    fn release(&mut self) {
        self.1 = None;
        let mut port = self.0.lock().unwrap();
        port.touched += 1;
        port.counters.rx_frames += 1;
    }
}

impl Transmit for Tx {
    fn has_room(&mut self) -> bool {
        let port = self.0.lock().unwrap();
        port.from_node.len() < port.room
    }
    fn send(&mut self, length: usize, fill: &mut dyn FnMut(&mut [u8]) -> TxOffload) {
        let mut frame = vec![0; length];
        let offload = fill(&mut frame);
        let mut port = self.0.lock().unwrap();
        assert!(port.from_node.len() < port.room, "sent without room");
        port.touched += 1;
        port.counters.tx_frames += 1;
        port.counters.tx_bytes += length as u64;
        port.from_node.push_back((frame, offload));
    }
    fn kick(&mut self) {
        self.0.lock().unwrap().touched += 1;
    }
    fn call_when_taken(&mut self) -> bool {
        self.0.lock().unwrap().from_node.len() > 1
    }
}

/// A node with one card.
pub struct Node {
    pub stack: Stack<Flag>,
    pub port: Shared,
    pub deadline: Option<Nanos>,
    pub v4: Ipv4Addr,
    pub v6: Ipv6Addr,
}

/// How a node's card is.
#[derive(Clone)]
pub struct Setup {
    pub memory: usize,
    pub tx_checksum: bool,
    pub segmentation: usize,
    pub mtu: u16,
    /// The card has looked at the checksums of what arrives.
    pub good_checksums: bool,
    pub config: Option<InterfaceConfig>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            memory: MEMORY,
            tx_checksum: false,
            segmentation: 0,
            mtu: 1500,
            good_checksums: false,
            config: None,
        }
    }
}

/// What happens to a frame on the wire.
pub type Filter = Box<dyn FnMut(usize, &[u8]) -> bool>;

/// Nodes on one wire.
pub struct World {
    pub nodes: Vec<Node>,
    pub now: Nanos,
    /// Says of each frame, by the node it comes from, whether it arrives.
    pub filter: Option<Filter>,
    pub frames: u64,
    /// The frames that were sent, if they are wanted.
    pub log: Option<Vec<(usize, Vec<u8>)>>,
}

impl World {
    /// `count` nodes: 10.0.0.1, fd00::1 and so on.
    pub fn new(count: usize) -> Self {
        Self::with(&vec![Setup::default(); count])
    }

    pub fn with(setups: &[Setup]) -> Self {
        let mut world = Self {
            nodes: Vec::new(),
            now: SECOND,
            filter: None,
            frames: 0,
            log: None,
        };
        for setup in setups {
            world.add(setup);
        }
        world.settle();
        world
    }

    /// One more node.
    pub fn add(&mut self, setup: &Setup) {
        let index = self.nodes.len();
        self.nodes.push(node(index, setup, self.now));
    }

    /// Lets all happen that happens without time going on.
    pub fn settle(&mut self) {
        for _ in 0..1_000_000 {
            let mut busy = false;
            for node in &mut self.nodes {
                let step = node.stack.step(self.now);
                node.deadline = step.deadline;
                busy |= step.more;
                assert!(
                    step.more || step.deadline.is_none_or(|at| at > self.now),
                    "a deadline that is over"
                );
            }
            busy |= self.carry();
            if !busy {
                return;
            }
        }
        panic!("it goes on and on");
    }

    /// Carries all frames that were sent, and says how many those were.
    pub fn carry_all(&mut self) -> u64 {
        let before = self.frames;
        self.carry();
        self.frames - before
    }

    fn carry(&mut self) -> bool {
        let mut carried = false;
        for from in 0..self.nodes.len() {
            let sent: Vec<_> = {
                let mut port = self.nodes[from].port.lock().unwrap();
                port.from_node.drain(..).collect()
            };
            for (frame, offload) in sent {
                carried = true;
                self.frames += 1;
                if let Some(log) = &mut self.log {
                    log.push((from, frame.clone()));
                }
                if self
                    .filter
                    .as_mut()
                    .is_some_and(|filter| !filter(from, &frame))
                {
                    continue;
                }
                self.deliver(from, frame, offload);
            }
        }
        carried
    }

    fn deliver(&mut self, from: usize, frame: Vec<u8>, offload: TxOffload) {
        for (frame, good) in offloaded(frame, offload) {
            for (to, node) in self.nodes.iter().enumerate() {
                if to != from {
                    let mut port = node.port.lock().unwrap();
                    let good = good || port.good_checksums;
                    port.to_node.push_back((frame.clone(), good));
                }
            }
        }
    }

    /// Puts a frame before a node.
    pub fn inject(&mut self, to: usize, frame: Vec<u8>) {
        let mut port = self.nodes[to].port.lock().unwrap();
        let good = port.good_checksums;
        port.to_node.push_back((frame, good));
    }

    /// Lets time go on, with all that happens meanwhile.
    pub fn advance(&mut self, by: Nanos) {
        let end = self.now + by;
        self.settle();
        while let Some(next) = self.nodes.iter().filter_map(|node| node.deadline).min()
            && next <= end
        {
            self.now = self.now.max(next);
            self.settle();
        }
        self.now = end;
        self.settle();
    }

    pub fn ask(&mut self, node: usize, request: Request<Flag>) -> Reply<Flag> {
        self.nodes[node].stack.request(request, self.now)
    }

    pub fn bind(
        &mut self,
        node: usize,
        at: &str,
        reuse: bool,
    ) -> Result<darner_netstack::request::Binding, Error> {
        let local = at.parse().unwrap();
        match self.ask(
            node,
            Request::Bind {
                local,
                reuse,
                only_v6: false,
            },
        ) {
            Reply::Bound(binding) => Ok(binding),
            Reply::Failed(error) => Err(error),
            _ => panic!("not an answer to that"),
        }
    }

    pub fn try_listen(
        &mut self,
        node: usize,
        at: &str,
        backlog: usize,
    ) -> Result<Listener<Flag>, Error> {
        let binding = self.bind(node, at, true)?;
        let options = StreamOptions::default();
        match self.ask(
            node,
            Request::Listen {
                binding,
                backlog,
                options,
            },
        ) {
            Reply::Listening(listener) => Ok(listener),
            Reply::Failed(error) => Err(error),
            _ => panic!("not an answer to that"),
        }
    }

    pub fn listen(&mut self, node: usize, at: &str, backlog: usize) -> Listener<Flag> {
        self.try_listen(node, at, backlog).unwrap()
    }

    pub fn try_connect(
        &mut self,
        node: usize,
        to: &str,
        options: StreamOptions,
    ) -> Result<Stream<Flag>, Error> {
        let remote: SocketAddr = to.parse().unwrap();
        match self.ask(
            node,
            Request::Connect {
                binding: None,
                remote,
                options,
            },
        ) {
            Reply::Stream(stream) => Ok(stream),
            Reply::Failed(error) => Err(error),
            _ => panic!("not an answer to that"),
        }
    }

    pub fn connect(&mut self, node: usize, to: &str) -> Stream<Flag> {
        self.try_connect(node, to, StreamOptions::default())
            .unwrap()
    }

    /// A connection from one node to another's listener.
    pub fn pair(
        &mut self,
        from: usize,
        listener: &Listener<Flag>,
        to: &str,
    ) -> (Stream<Flag>, Stream<Flag>) {
        let client = self.connect(from, to);
        self.settle();
        assert_eq!(client.state.phase(), Phase::Connected);
        let server = listener.state.accepted.pop().expect("a connection");
        (client, server)
    }

    /// Writes what there is room for.
    pub fn write(&mut self, node: usize, stream: &mut Stream<Flag>, data: &[u8]) -> usize {
        let written = stream.to_send.push_slice(data);
        if stream.state.wants_attention() {
            self.ask(node, Request::Attend(stream.state.id));
        }
        written
    }

    /// Reads what there is.
    pub fn read(&mut self, node: usize, stream: &mut Stream<Flag>) -> Vec<u8> {
        let mut data = vec![0; stream.received.occupied_len()];
        let read = stream.received.pop_slice(&mut data);
        data.truncate(read);
        if read > 0 && stream.state.wants_room(&stream.received) {
            self.ask(node, Request::Attend(stream.state.id));
        }
        data
    }

    pub fn shutdown(&mut self, node: usize, stream: &Stream<Flag>) {
        stream.state.end_output();
        if stream.state.wants_attention() {
            self.ask(node, Request::Attend(stream.state.id));
        }
    }

    pub fn close(&mut self, node: usize, socket: SocketId, linger: Option<Duration>) {
        self.ask(node, Request::Close { socket, linger });
    }

    pub fn try_udp(
        &mut self,
        node: usize,
        at: &str,
        reuse: bool,
    ) -> Result<Datagrams<Flag>, Error> {
        let local = at.parse().unwrap();
        match self.ask(
            node,
            Request::BindDatagrams {
                local,
                reuse,
                only_v6: false,
            },
        ) {
            Reply::Datagrams(datagrams) => Ok(datagrams),
            Reply::Failed(error) => Err(error),
            _ => panic!("not an answer to that"),
        }
    }

    pub fn udp(&mut self, node: usize, at: &str) -> Datagrams<Flag> {
        self.try_udp(node, at, false).unwrap()
    }

    pub fn send(&mut self, node: usize, socket: &Datagrams<Flag>, to: &str, data: &[u8]) {
        let peer = to.parse().unwrap();
        let data = data.into();
        assert!(socket.state.send(Datagram { peer, data }).is_ok());
        if socket.state.wants_attention() {
            self.ask(node, Request::Attend(socket.state.id));
        }
    }

    pub fn datagram_options(
        &mut self,
        node: usize,
        socket: &Datagrams<Flag>,
        options: DatagramOptions,
    ) {
        let id = socket.state.id;
        let reply = self.ask(node, Request::SetDatagramOptions(id, options));
        assert!(matches!(reply, Reply::Done));
    }

    pub fn snapshot(&mut self, node: usize) -> Snapshot {
        match self.ask(node, Request::Snapshot) {
            Reply::Snapshot(snapshot) => snapshot,
            _ => panic!("not an answer to that"),
        }
    }

    /// The states of a node's connections.
    pub fn states(&mut self, node: usize) -> Vec<&'static str> {
        let sockets = self.snapshot(node).sockets;
        let tcp = sockets.iter().filter(|socket| socket.protocol == "tcp");
        tcp.map(|socket| socket.state).collect()
    }
}

pub fn config(index: usize) -> InterfaceConfig {
    InterfaceConfig {
        v4: V4::Static {
            address: Ipv4Addr::new(10, 0, 0, index as u8 + 1),
            prefix: 24,
            gateway: None,
        },
        v6: V6::Static {
            address: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, index as u16 + 1),
            prefix: 64,
            gateway: None,
        },
        ..InterfaceConfig::default()
    }
}

fn node(index: usize, setup: &Setup, now: Nanos) -> Node {
    let port = Arc::new(Mutex::new(Port {
        room: 256,
        good_checksums: setup.good_checksums,
        ..Port::default()
    }));
    let capabilities = Capabilities {
        mac: [2, 0, 0, 0, 0, index as u8 + 1],
        mtu: setup.mtu,
        tx_checksum: setup.tx_checksum,
        segmentation: setup.segmentation,
    };
    let card = Card {
        capabilities,
        port: port.clone(),
        rx: Rx(port.clone(), None),
        tx: Tx(port.clone()),
    };
    let mut stack = Stack::new(index as u64 + 1, setup.memory, now);
    let config = setup.config.clone().unwrap_or_else(|| config(index));
    stack.add(Box::new(card), config, now);
    Node {
        stack,
        port,
        deadline: None,
        v4: Ipv4Addr::new(10, 0, 0, index as u8 + 1),
        v6: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, index as u16 + 1),
    }
}

/// The frames that a card makes of one, each with whether its checksum is known to be right.
fn offloaded(mut frame: Vec<u8>, offload: TxOffload) -> Vec<(Vec<u8>, bool)> {
    let Some(checksum) = offload.checksum else {
        assert!(offload.segmentation.is_none());
        return vec![(frame, false)];
    };
    let (start, at) = (
        usize::from(checksum.start),
        usize::from(checksum.start + checksum.offset),
    );
    let Some(cut) = offload.segmentation else {
        let sum = !fold(sum(&frame[start..]));
        frame[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        return vec![(frame, false)];
    };
    assert!(!cut.v6);
    let (headers, payload) = frame.split_at(usize::from(cut.headers));
    let total = payload.len();
    let mut done = 0;
    let mut frames = Vec::new();
    for piece in payload.chunks(usize::from(cut.size.get())) {
        let mut frame = [headers, piece].concat();
        let length = (frame.len() - 14) as u16;
        frame[16..18].copy_from_slice(&length.to_be_bytes());
        frame[24..26].fill(0);
        let header = !fold(sum(&frame[14..34]));
        frame[24..26].copy_from_slice(&header.to_be_bytes());
        let sequence = u32::from_be_bytes(frame[38..42].try_into().unwrap());
        let sequence = sequence.wrapping_add(done as u32);
        frame[38..42].copy_from_slice(&sequence.to_be_bytes());
        done += piece.len();
        if done < total {
            // No FIN, no PSH.
            frame[47] &= !9;
        }
        // The pseudo header has the length of the whole.
        let whole = (total + headers.len() - start) as u32;
        let own = (frame.len() - start) as u32;
        let pseudo = u16::from_be_bytes([frame[at], frame[at + 1]]);
        let pseudo = fold(u32::from(pseudo) + (0xffff - whole) + own);
        frame[at..at + 2].copy_from_slice(&pseudo.to_be_bytes());
        let sum = !fold(sum(&frame[start..]));
        frame[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        frames.push((frame, false));
    }
    frames
}

pub fn sum(data: &[u8]) -> u32 {
    data.chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)))
        .fold(0, |sum, word| u32::from(fold(sum + word)))
}

pub fn fold(sum: u32) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    ((once & 0xffff) + (once >> 16)) as u16
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}
