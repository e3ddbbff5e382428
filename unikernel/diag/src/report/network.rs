//! The network.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::{MOST_LISTED, Name};
use crate::source::NoMemory;

/// The network of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Interfaces, loopback first.
    pub interfaces: Vec<Interface>,
    /// How many sockets there are of each kind.
    pub socket_counts: Vec<SocketCount>,
    /// The first of its sockets.
    pub sockets: Vec<Socket>,
    /// How many sockets are not in the list, because it would be too long.
    pub sockets_omitted: u64,
    /// Name servers.
    pub dns: Vec<IpAddr>,
    /// What the stack has counted.
    pub counters: StackCounters,
}

impl Network {
    /// Makes room in the list for so many more sockets, as far as they are listed.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn reserve(&mut self, count: usize) -> Result<(), NoMemory> {
        let more = MOST_LISTED.saturating_sub(self.sockets.len()).min(count);
        Ok(self.sockets.try_reserve_exact(more)?)
    }

    /// Counts `socket`, and lists it if the list has room: as much as was reserved.
    ///
    /// # Errors
    /// When there is no memory to count it.
    pub fn add(&mut self, socket: Socket) -> Result<(), NoMemory> {
        let is_alike = |kind: &&mut SocketCount| {
            kind.protocol == socket.protocol && kind.state == socket.state
        };
        match self.socket_counts.iter_mut().find(is_alike) {
            Some(kind) => kind.count += 1,
            None => {
                self.socket_counts.try_reserve(1)?;
                self.socket_counts.push(SocketCount {
                    protocol: socket.protocol,
                    state: socket.state.clone(),
                    count: 1,
                });
            }
        }
        if self.sockets.len() < self.sockets.capacity().min(MOST_LISTED) {
            self.sockets.push(socket);
        } else {
            self.sockets_omitted += 1;
        }
        Ok(())
    }
}

/// How many sockets there are of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketCount {
    /// What they speak.
    pub protocol: Protocol,
    /// Their state, as in [`Socket::state`].
    pub state: Option<Name>,
    /// How many.
    pub count: u64,
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// `lo`, `net0`, ...
    pub name: String,
    /// Its hardware address, `02:00:00:00:00:01`; loopback has none.
    pub mac: Option<String>,
    /// Its addresses.
    pub addresses: Vec<Prefix>,
    /// Where packets for elsewhere go.
    pub gateways: Vec<IpAddr>,
    /// Bytes of the largest IP packet.
    pub mtu: u16,
    /// What its card has counted.
    pub counters: CardCounters,
}

/// An address, with the length of its network's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prefix {
    /// The address.
    pub address: IpAddr,
    /// Bits of the prefix.
    pub prefix: u8,
}

/// What a card has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardCounters {
    /// Frames received.
    pub rx_frames: u64,
    /// Bytes of these.
    pub rx_bytes: u64,
    /// Received frames that were of no use.
    pub rx_errors: u64,
    /// Frames sent.
    pub tx_frames: u64,
    /// Bytes of these.
    pub tx_bytes: u64,
    /// Interrupts.
    pub interrupts: u64,
}

/// A socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Socket {
    /// Its number.
    pub id: u64,
    /// What it speaks.
    pub protocol: Protocol,
    /// As RFC 9293 calls it (`ESTABLISHED`); UDP has none.
    pub state: Option<Name>,
    /// This end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: Option<SocketAddr>,
    /// Bytes that the program has not read.
    pub receive_queue: u64,
    /// Bytes that the other end has not confirmed.
    pub send_queue: u64,
}

/// What a socket speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// What the stack has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackCounters {
    /// Connections that programs have begun.
    pub connects: u64,
    /// Connections that others have begun, and that were established.
    pub accepts: u64,
    /// Connections that were refused because there was no room for them.
    pub refused_for_room: u64,
    /// Connections that broke.
    pub broken: u64,
    /// Frames with a wrong checksum.
    pub bad_checksums: u64,
    /// Frames that could not be parsed.
    pub malformed: u64,
    /// Datagrams that found a full queue.
    pub datagrams_dropped: u64,
    /// Frames that could not be sent because a card had no room.
    pub no_room: u64,
    /// Runs of the protocol thread.
    pub steps: u64,
}
