//! The part of the command line that makes a node one of a cluster.

use alloc::vec::Vec;
use core::net::IpAddr;

use darner_coherence::NodeId;
use darner_link::{BadKey, ClusterKey};

use super::links::Sealer;

/// The most nodes of a cluster: as many as there are slices.
pub const MOST: u16 = 64;
/// How long a node that says nothing is waited for unless the command line says, in ns.
const SILENCE: u64 = 2_000_000_000;
/// What the command line may say of that, in seconds.
const SILENCES: core::ops::RangeInclusive<u64> = 1..=3_600;

/// What the command line says: `cluster=I/N`, `cluster.address=IP` for each node in order, and
/// `cluster.key=HEX`, which is nobody else's business: it is not logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterConfig {
    /// This node.
    pub me: NodeId,
    /// How many there may be.
    pub nodes: u16,
    /// The program begins when so many, the lowest, are there: `cluster.founders=N`.
    pub founders: u16,
    /// Where each of them is.
    pub addresses: Vec<IpAddr>,
    /// How long a node that says nothing is waited for, in ns: `cluster.silence=SECONDS`. The same
    /// on all nodes.
    pub silence: u64,
    /// What encrypts on the links: `cluster.cipher=portable` or `vectors`. Whatever is faster, if not given.
    pub cipher: Option<Sealer>,
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
            founders: nodes,
            addresses: Vec::new(),
            silence: SILENCE,
            cipher: None,
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

    /// Sets how many nodes the program waits for.
    pub fn take_founders(&mut self, value: &str) -> bool {
        let founders = value.parse().ok();
        let founders = founders.filter(|founders| (1..=self.nodes).contains(founders));
        self.founders = founders.unwrap_or(self.founders);
        founders.is_some()
    }

    /// Sets how long a node that says nothing is waited for.
    pub fn take_silence(&mut self, value: &str) -> bool {
        let seconds = value.parse().ok();
        let seconds = seconds.filter(|seconds| SILENCES.contains(seconds));
        self.silence = seconds.map_or(self.silence, |seconds: u64| seconds * 1_000_000_000);
        seconds.is_some()
    }

    /// Sets what encrypts on the links.
    pub fn take_cipher(&mut self, value: &str) -> bool {
        let cipher = Sealer::parse(value);
        self.cipher = cipher.or(self.cipher);
        cipher.is_some()
    }

    /// Whether this node is one of those that the program waits for.
    pub fn is_founder(&self) -> bool {
        self.me.0 < self.founders
    }

    /// Whether each node has its address.
    pub fn is_complete(&self) -> bool {
        self.addresses.len() == usize::from(self.nodes)
    }
}
