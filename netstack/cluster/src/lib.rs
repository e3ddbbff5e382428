//! Who is in the cluster, transactions between nodes, and ports on other nodes.
// A mutant that is left out is the constant `false`, in conditions that are the code's own.
#![cfg_attr(
    not(feature = "mutants"),
    allow(clippy::nonminimal_bool, clippy::overly_complex_bool_expr)
)]
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod config;
mod event;
mod ids;
mod membership;
mod message;
pub mod mutants;
mod node;
mod outbox;
mod port;
mod transaction;
mod view;

pub use config::{Config, Limits, Start, Times};

pub use darner_coherence::{Epoch, NodeId};
pub use event::{Action, EndReason, Event, MembershipNotice, Notice, StopReason};
pub use ids::{Address, ClusterId, Identity, Incarnation, Nanos, SLOTS, SlotSet};
pub use membership::Membership;
pub use message::{
    AbortReason, Answer, Ballot, JoinRefusal, MembershipMessage, Message, Origin, Packet, Payload,
    PortId, PortMessage, Rest, Step, TransactionId, TransactionMessage, Wish,
};
pub use node::Node;
pub use port::{MOST_MOVES, NoTicket, PortFailure, PortNotice, Ports, RequestId, Ticket};
pub use transaction::{
    BeginError, Closed, Ending, Handle, Opening, TransactionNotice, Transactions,
};
pub use view::{Member, Slot, Standing, TieBreak, View};
