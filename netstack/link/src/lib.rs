//! Links between the nodes of a cluster, without I/O: bytes that have come go in, messages come
//! out; messages go in, bytes to be sent come out. Nothing waits, no clock is read, no random
//! number is drawn: time (ns, monotonic) and a [`Seed`] are arguments.
//!
//! A [`Link`] is one connection. Its ends prove to each other that they have the cluster's key
//! (Noise, `NNpsk0`), before anything else is looked at; then each says who it is, and each
//! refuses the other for a [`Reason`] or not. What is refused is told to the other end, so that both
//! can print a [`Refusal`].
//!
//! A [`Session`] is what two nodes have said to each other over any number of links, one after
//! the other: when a link is lost, what may not have arrived is sent again over the next one.
//! Messages come out as they were put in: in order, each exactly once.
//!
//! `docs/link.md` shows the bytes. Whatever bytes come, nothing here panics, and memory grows with
//! what has come, never with what was announced.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod cipher;
mod envelope;
mod fields;
mod greeting;
#[cfg(test)]
mod hostile;
mod identity;
mod inbound;
mod inbox;
mod key;
mod link;
mod noise;
mod outbox;
mod output;
mod reason;
mod session;
mod welcome;

pub use cipher::Sealer;
pub use identity::{Channel, CpuFeatures, Identity, Peer};
pub use key::{BadKey, ClusterKey, Seed};
pub use link::{HANDSHAKE_TIME, Link, Role};
pub use outbox::SendError;
pub use reason::{Part, Reason, Refusal};
pub use session::{Limits, Message, Session};

/// The version of what is described here.
pub const VERSION: u16 = 1;

/// The most bytes that a message has.
pub const LONGEST_MESSAGE: usize = 1 << 20;
