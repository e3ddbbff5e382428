//! Who is in the cluster, transactions between nodes, and ports on other nodes.
//!
//! [`Node`] is all three for one node. It does no I/O: it takes [`Event`]s and the time, and returns [`Action`]s. The
//! same events at the same times have the same actions.
//!
//! * [`Membership`] agrees with the other members on [`View`]s, and says when the node serves and when it has to stop.
//!   The algorithm, and why it is right, are in `membership.rs`.
//! * [`Transactions`] end exactly once at each side, whatever dies (`transaction.rs`).
//! * [`Ports`] keep a copy of each request to a port elsewhere until it has an answer or cannot have one (`port.rs`).
//!
//! # What the environment does
//!
//! * It makes links where [`Action::Connect`] says, at most one between two lives of nodes, proves who is at the other end, and says
//!   [`Event::LinkUp`] at both ends. A link delivers in order, or is lost, and then [`Event::LinkDown`] is said. Between different links there is no order.
//! * It says [`Event::TimeOver`] at the time of the last [`Action::SetTimer`]; later is no harm to safety, for
//!   [`Membership::serves`] goes by the time. Whoever was paused asks that before it says anything to the outside.
//! * It gives each life of a node a higher [`Incarnation`] than the one before.
//! * It gives each [`MembershipNotice::View`] to the coherence protocol ([`View::for_coherence`]), all of them and in
//!   order: so a node that was restarted has been seen to be gone. A slot's slice is discarded by its first member before it is used.
//!
//! # Bounds
//!
//! [`SLOTS`] nodes; [`Limits`] for transactions and requests; views of the past: 16.
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
pub use view::{FirstSlot, Member, Slot, Standing, TieBreak, View};
