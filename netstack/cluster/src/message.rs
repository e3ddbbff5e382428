//! What nodes say to each other about membership, transactions and ports.

use crate::ids::{Incarnation, Nanos, SlotSet};
use crate::view::{Member, View};
use darner_coherence::{Epoch, NodeId};

/// A message, and who says it to whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Packet {
    /// Which life of the sender says it.
    pub sender: Incarnation,
    /// Which life of the receiver is meant; [`Incarnation::ANY`] if the sender does not know.
    pub receiver: Incarnation,
    /// The sender's view; 0 if it has none. Only [`Message::Membership`] depends on it.
    pub epoch: Epoch,
    /// What is said.
    pub message: Message,
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// About who is in the cluster.
    Membership(MembershipMessage),
    /// A step of a transaction.
    Transaction(TransactionMessage),
    /// Between a proxy port and the port that it stands for.
    Port(PortMessage),
}

/// A number of a proposal for the next view: higher ones win.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ballot {
    /// Counts upwards.
    pub round: u32,
    /// Who proposes; so no two nodes use the same ballot.
    pub node: NodeId,
}

/// What is said about who is in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MembershipMessage {
    /// To any member: take this node in. Members pass it on to the one who will propose it.
    Join {
        /// The node that wants to join.
        member: Member,
    },
    /// The answer if that cannot be. It goes back the way that the wish came.
    JoinRefused {
        /// The node that wants to join.
        joiner: NodeId,
        /// Its life.
        incarnation: Incarnation,
        /// Why it cannot.
        why: JoinRefusal,
    },
    /// Of a member, to all: what it wants for itself.
    Wish {
        /// What it wants.
        wish: Wish,
    },
    /// Of a member, to all, now and then: I live.
    Heartbeat {
        /// When, by the sender's clock.
        sent: Nanos,
        /// The receiver's last heartbeat that the sender has granted: as of its `sent`, the
        /// receiver may serve for the length of a lease.
        granted: Option<Nanos>,
        /// Whom the sender hears.
        hears: SlotSet,
    },
    /// Paxos, phase 1: promise not to take part in lower ballots for the next view.
    Prepare {
        /// The ballot.
        ballot: Ballot,
    },
    /// The answer to [`MembershipMessage::Prepare`].
    Promise {
        /// The ballot.
        ballot: Ballot,
        /// Whom the sender hears.
        hears: SlotSet,
        /// The view that it has accepted in the highest ballot in which it accepted one.
        accepted: Option<(Ballot, View)>,
    },
    /// Paxos, phase 2: accept this as the next view.
    Accept {
        /// The ballot.
        ballot: Ballot,
        /// The view.
        view: View,
    },
    /// The answer to [`MembershipMessage::Accept`].
    Accepted {
        /// The ballot.
        ballot: Ballot,
    },
    /// The answer to either, if a higher ballot was promised.
    Outbid {
        /// The ballot that is too low.
        ballot: Ballot,
        /// The one that was promised.
        promised: Ballot,
    },
    /// This view was agreed on.
    Decided {
        /// The view.
        view: View,
    },
    /// To a node that still thinks that it is a member: it is not, and never will be in this life.
    Removed,
}

/// Why a node cannot join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JoinRefusal {
    /// Another life of it, or another node, has its number and is not known to be dead. It may try again.
    SlotTaken,
    /// A later life of it was a member, or this one was, and is not any more.
    Outlived,
    /// Its number is [`SLOTS`](crate::SLOTS) or more.
    NoSuchSlot,
    /// It has no incarnation.
    NoIncarnation,
}

/// What a member wants for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wish {
    /// To be given nothing new, until it leaves.
    Drain,
    /// To be a member no more. It has stopped serving, for good.
    Leave,
}

/// The number of a transaction: the how manieth that a node began on a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(pub u64);

/// Which end of a link began a transaction: so both may use the same numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// The one that says this message.
    Sender,
    /// The one that it is said to.
    Receiver,
}

/// What is carried: a command and its operands. What is longer moves as pages, and is named here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Payload {
    /// What is to be done, or was.
    pub command: u32,
    /// With what.
    pub words: [u64; 4],
}

/// A step of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransactionMessage {
    /// The transaction.
    pub id: TransactionId,
    /// Who began it.
    pub origin: Origin,
    /// The step.
    pub step: Step,
}

/// The steps of a transaction. Each side says any number of [`Step::Data`] and ends with one
/// [`Step::End`] or [`Step::Abort`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// It begins.
    Create {
        /// The transaction that it is part of: with that it ends.
        parent: Option<(TransactionId, Origin)>,
        /// How long it may take.
        allowance: Option<Nanos>,
        /// The first thing said in it.
        payload: Payload,
        /// Whether the sender will say more.
        rest: Rest,
    },
    /// Something more is said.
    Data {
        /// What.
        payload: Payload,
    },
    /// The sender's last word.
    End {
        /// What.
        payload: Payload,
    },
    /// The sender has given up, and listens no more.
    Abort {
        /// Why.
        why: AbortReason,
    },
}

/// Whether more is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rest {
    /// It is.
    More,
    /// This was all.
    Last,
}

/// Why a side gave a transaction up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AbortReason {
    /// Its user wanted to.
    Wanted,
    /// It took too long.
    Deadline,
    /// The transaction that it was part of has ended.
    ParentEnded,
    /// The other side has too many.
    Full,
    /// It answers an abort.
    Acknowledged,
}

/// A port of some node: the node where it began in the upper 16 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId(pub u64);

impl PortId {
    /// The port `number` (48 bits) of `node`.
    #[must_use]
    pub fn new(node: NodeId, number: u64) -> Self {
        Self(u64::from(node.0) << 48 | number & ((1 << 48) - 1))
    }

    /// Where it began.
    #[must_use]
    pub fn birthplace(self) -> NodeId {
        NodeId((self.0 >> 48) as u16)
    }
}

/// What proxy ports and ports say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PortMessage {
    /// To a port.
    Request {
        /// Counts the requests of the sender to this node.
        sequence: u64,
        /// How many answers of this node the sender has got.
        received: u64,
        /// The port.
        port: PortId,
        /// How long it may take.
        allowance: Option<Nanos>,
        /// What is asked.
        payload: Payload,
    },
    /// To a proxy.
    Answer {
        /// Counts the answers of the sender to this node.
        number: u64,
        /// The request.
        sequence: u64,
        /// What became of it.
        answer: Answer,
    },
    /// To a port: the sender does not wait for this any more.
    Cancel {
        /// The request.
        sequence: u64,
    },
    /// To a port: on a new link. Requests without answers follow, again.
    Resume {
        /// How many answers of this node the sender has got.
        received: u64,
    },
    /// To a port: as no request says so.
    Received {
        /// How many answers of this node the sender has got.
        received: u64,
    },
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// It was done.
    Reply(Payload),
    /// The port is on another node. It was not begun here.
    Moved {
        /// Which.
        to: NodeId,
    },
    /// There is no such port.
    NoPort,
    /// Too much is under way. It was not begun.
    Full,
    /// Whoever had it dropped it.
    Dropped,
}
