//! The part of the command line that makes a node one of a cluster.

use alloc::vec::Vec;
use core::net::IpAddr;

use darner_coherence::NodeId;
use darner_link::{BadKey, ClusterKey};

/// The most nodes of a cluster: as many as there are slices.
const MOST: u16 = 64;

/// What the command line says: `cluster=I/N`, `cluster.address=IP` for each node in order, and
/// `cluster.key=HEX`, which is nobody else's business: it is not logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterConfig {
    /// This node.
    pub me: NodeId,
    /// How many there are.
    pub nodes: u16,
    /// Where each of them is.
    pub addresses: Vec<IpAddr>,
    /// What all of them have, and nobody else.
    pub key: Option<Result<ClusterKey, BadKey>>,
}

impl ClusterConfig {
    /// From the value of `cluster=`.
    pub fn parse(value: &str) -> Option<Self> {
        let (me, nodes) = value.split_once('/')?;
        let (me, nodes) = (me.parse().ok()?, nodes.parse().ok()?);
        (me < nodes && nodes <= MOST).then_some(Self {
            me: NodeId(me),
            nodes,
            addresses: Vec::new(),
            key: None,
        })
    }

    /// Adds the address of the next node.
    pub fn take_address(&mut self, value: &str) -> bool {
        match value.parse() {
            Ok(address) => {
                self.addresses.push(address);
                true
            }
            Err(_) => false,
        }
    }

    /// Takes the key.
    pub fn take_key(&mut self, value: &str) {
        self.key = Some(ClusterKey::from_hex(value));
    }

    /// Whether each node has its address.
    pub fn is_complete(&self) -> bool {
        self.addresses.len() == usize::from(self.nodes)
    }
}
