//! The echo of every node with every other.
//!
//! Each node serves, and sends to all others: first datagrams, then a stream over a
//! connection that was there before both. The end of that connection tells the
//! server that this peer has all its echoes. So a node is done, and may go, when its
//! own echoes are back and the connections of all others have ended.

use std::io::{ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::send::{self, Load, Protocol, Sent};
use crate::serve::Server;

/// The port that all nodes serve at, as RFC 862 has it.
const PORT: u16 = 7;
/// How long a node may take to start.
const STARTING: Duration = Duration::from_secs(60);
/// How long to wait before a node that refused a connection is asked again.
const PAUSE: Duration = Duration::from_millis(50);
/// How long to wait for the end of a connection of which all bytes have come back.
const FAREWELL: Duration = Duration::from_secs(5);

/// How long the other nodes may still take when this one has all its echoes.
const PEERS: Duration = Duration::from_secs(120);

/// What is sent to each peer: bytes of a message, and how many.
const STREAM: (usize, usize) = (64 << 10, 16);
/// See [`STREAM`].
const DATAGRAMS: (usize, usize) = (1000, 100);

/// The nodes, and which of them this one is.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    node: usize,
    nodes: Vec<SocketAddr>,
}

impl Cluster {
    /// What the environment says: this node's number, from 0, in `DARNER_NODE`, and all
    /// nodes' addresses, with commas between, in `DARNER_ADDRESSES`.
    pub fn from_env() -> Result<Option<Self>, String> {
        let read = |name| std::env::var(name).ok();
        match (read("DARNER_NODE"), read("DARNER_ADDRESSES")) {
            (Some(node), Some(addresses)) => Self::parse(&node, &addresses).map(Some),
            _ => Ok(None),
        }
    }

    /// See [`Self::from_env`].
    pub fn parse(node: &str, addresses: &str) -> Result<Self, String> {
        let nodes: Vec<SocketAddr> = addresses
            .split(',')
            .map(|word| address(word.trim()))
            .collect::<Result<_, _>>()?;
        match node.parse() {
            Ok(node) if node < nodes.len() => Ok(Self { node, nodes }),
            _ => Err(format!(
                "DARNER_NODE: expected a number below {}, found `{node}`",
                nodes.len()
            )),
        }
    }

    /// Does this node's part; whether all echoes were right.
    pub fn run(&self) -> Result<bool, String> {
        let server = Server::start(&self.listening().to_string())?;
        let peers: Vec<usize> = (0..self.nodes.len())
            .filter(|&number| number != self.node)
            .collect();
        let outcomes: Vec<Result<Echoes, String>> = thread::scope(|scope| {
            let running: Vec<_> = peers
                .iter()
                .map(|&peer| scope.spawn(move || self.exchange(peer)))
                .collect();
            running
                .into_iter()
                .map(|thread| thread.join().expect("sending does not panic"))
                .collect()
        });
        let mut all_right = true;
        for (peer, outcome) in peers.iter().zip(outcomes) {
            let line = match outcome {
                Ok(echoes) => {
                    all_right &= echoes.tcp.errors + echoes.udp.errors == 0;
                    format!("tcp {}; udp {}", echoes.tcp, echoes.udp)
                }
                Err(error) => {
                    all_right = false;
                    format!("failed: {error}")
                }
            };
            println!("node {} to node {peer}: {line}", self.node);
        }
        // A peer whose echoes failed says so itself, and its connection ends all the same.
        if !server.wait_for(PEERS, |totals| totals.connections >= peers.len()) {
            let ended = server.totals().connections;
            return Err(format!(
                "expected the end of {} connections, found that of {ended} within {} s",
                peers.len(),
                PEERS.as_secs()
            ));
        }
        Ok(all_right)
    }

    /// Where this node listens: at its port on all interfaces.
    fn listening(&self) -> SocketAddr {
        let own = self.nodes[self.node];
        match own.ip() {
            // A test has all nodes on one machine, with an address or a port for each.
            ip if ip.is_loopback() => own,
            IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, own.port()).into(),
            IpAddr::V6(_) => (std::net::Ipv6Addr::UNSPECIFIED, own.port()).into(),
        }
    }

    fn exchange(&self, peer: usize) -> Result<Echoes, String> {
        let address = self.nodes[peer];
        let seed = (self.node * self.nodes.len() + peer) as u64;
        let stream = connect(address)?;
        let echoes = || {
            let udp = send::datagrams(address, &load(Protocol::Udp, DATAGRAMS), seed)?;
            let tcp = send::stream_of(&stream, &load(Protocol::Tcp, STREAM), seed)?;
            stream.shutdown(Shutdown::Write)?;
            stream.set_read_timeout(Some(FAREWELL))?;
            Ok(Echoes { tcp, udp })
        };
        let echoes = echoes().map_err(|error: std::io::Error| format!("{address}: {error}"))?;
        // The peer ends its side too, if it is still there: it may have gone as soon as
        // it knew that this node is done, and its last segment may be lost.
        match (&stream).read(&mut [0]) {
            Ok(1..) => Err(format!("{address}: found bytes behind the last message")),
            Ok(0) | Err(_) => Ok(echoes),
        }
    }
}

/// What came of both protocols.
struct Echoes {
    tcp: Sent,
    udp: Sent,
}

fn load(protocol: Protocol, (bytes, count): (usize, usize)) -> Load {
    Load {
        protocol,
        bytes,
        count,
        connections: 1,
    }
}

/// An address with or without a port.
fn address(word: &str) -> Result<SocketAddr, String> {
    let with_port = word.parse().ok();
    with_port
        .or_else(|| Some((word.parse::<IpAddr>().ok()?, PORT).into()))
        .ok_or_else(|| format!("DARNER_ADDRESSES: expected IP addresses, found `{word}`"))
}

/// Connects to a node, which may not have started yet.
fn connect(address: SocketAddr) -> Result<TcpStream, String> {
    let deadline = Instant::now() + STARTING;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let error = match TcpStream::connect_timeout(&address, left.max(PAUSE)) {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        let may_come = matches!(
            error.kind(),
            ErrorKind::ConnectionRefused
                | ErrorKind::HostUnreachable
                | ErrorKind::NetworkUnreachable
                | ErrorKind::TimedOut
                | ErrorKind::ConnectionReset
        );
        if !may_come || deadline <= Instant::now() {
            return Err(format!("{address}: {error}"));
        }
        thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_understood() {
        let cluster = Cluster::parse("1", "192.0.2.1, 192.0.2.2:70,2001:db8::1").unwrap();
        assert_eq!(cluster.nodes[0].to_string(), "192.0.2.1:7");
        assert_eq!(cluster.nodes[1].to_string(), "192.0.2.2:70");
        assert_eq!(cluster.nodes[2].to_string(), "[2001:db8::1]:7");
        assert_eq!(cluster.listening().to_string(), "0.0.0.0:70");
        let error = Cluster::parse("3", "192.0.2.1").unwrap_err();
        assert!(error.contains("below 1"), "{error}");
        let error = Cluster::parse("0", "somewhere").unwrap_err();
        assert!(error.contains("somewhere"), "{error}");
    }

    #[test]
    fn all_pairs_of_three_nodes() {
        // Addresses of this process's own, which no connection of another test comes from.
        let [.., high, low] = std::process::id().to_be_bytes();
        let nodes: Vec<SocketAddr> = (1..=3)
            .map(|number| SocketAddr::from(([127, high, low, number], 7007)))
            .collect();
        let running: Vec<_> = (0..3)
            .map(|node| {
                let nodes = nodes.clone();
                thread::spawn(move || Cluster { node, nodes }.run())
            })
            .collect();
        for thread in running {
            assert_eq!(thread.join().unwrap(), Ok(true));
        }
    }
}
