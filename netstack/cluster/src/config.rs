//! What a node is started with.

use crate::ids::{Address, ClusterId, Nanos};
use crate::view::{Member, TieBreak};
use alloc::vec::Vec;

/// How a node comes to be in a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Start {
    /// It is the first of a cluster.
    Found {
        /// The cluster's number: random.
        cluster: ClusterId,
        /// What half of the members may do.
        tie_break: TieBreak,
    },
    /// It joins one.
    Join {
        /// Where members may be reached; they are asked in turn.
        seeds: Vec<Address>,
    },
}

/// Spans of time. All nodes of a cluster have to have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Times {
    /// Between two heartbeats.
    pub heartbeat: Nanos,
    /// How long a node is not heard before it is taken for dead.
    pub suspect: Nanos,
    /// For how long members promise not to have a node replaced that they hear: for so long it serves
    /// without hearing from them.
    pub lease: Nanos,
    /// By how much two clocks may drift apart within a lease. A node stops serving so much earlier.
    pub drift: Nanos,
    /// After how long a question is asked again.
    pub retry: Nanos,
    /// How much longer each next member waits before it proposes what a lower one has not.
    pub patience: Nanos,
    /// How long two members may not hear each other, though others hear both, before one of them has to go.
    pub partial: Nanos,
    /// How long a node that does not serve waits for a majority, and a joining one to be taken in.
    pub give_up: Nanos,
}

const MILLISECOND: u64 = 1_000_000;

impl Default for Times {
    /// For a local network: the dead are replaced within two seconds.
    fn default() -> Self {
        Self {
            heartbeat: Nanos(100 * MILLISECOND),
            suspect: Nanos(1_000 * MILLISECOND),
            lease: Nanos(800 * MILLISECOND),
            drift: Nanos(8 * MILLISECOND),
            retry: Nanos(150 * MILLISECOND),
            patience: Nanos(300 * MILLISECOND),
            partial: Nanos(3_000 * MILLISECOND),
            give_up: Nanos(30_000 * MILLISECOND),
        }
    }
}

impl Times {
    /// What is wrong with them, if anything.
    ///
    /// # Errors
    ///
    /// A sentence that says which span has to be longer or shorter than which.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.heartbeat.0 == 0 || self.retry.0 == 0 {
            Err("`heartbeat` and `retry` must be longer than nothing")
        } else if self.heartbeat >= self.lease {
            Err("`lease` must be longer than `heartbeat`, or no node ever serves for long")
        } else if self.drift >= self.lease {
            Err("`lease` must be longer than `drift`, or no node ever serves")
        } else if self.heartbeat >= self.suspect {
            Err("`suspect` must be longer than `heartbeat`, or all take each other for dead")
        } else if self.partial < self.suspect {
            Err("`partial` must not be shorter than `suspect`")
        } else {
            Ok(())
        }
    }
}

/// What a node is started with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// Who it is. Its standing is [`Standing::Active`](crate::Standing::Active).
    pub me: Member,
    /// How it comes to be in a cluster.
    pub start: Start,
    /// Spans of time.
    pub times: Times,
    /// Bounds.
    pub limits: Limits,
}

/// How much of something there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Transactions on one link.
    pub transactions: usize,
    /// Requests of a node to one other that have no answer.
    pub requests: usize,
    /// Ports whose present place is remembered.
    pub places: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            transactions: 1024,
            requests: 1024,
            places: 256,
        }
    }
}
