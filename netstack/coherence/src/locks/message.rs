//! What nodes say to each other about range locks.

use super::want::{Mode, Want};
use crate::ids::{Epoch, NodeId, RequestId};
use crate::ranges::Span;

/// A message, and the view in which it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Packet {
    /// The sender's view.
    pub epoch: Epoch,
    /// What is said.
    pub message: Message,
}

/// When a request is to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// When the ranges are free.
    WhenFree,
    /// At once if a lock is in the way, with [`Message::Busy`].
    AtOnce,
}

/// Bytes of the object that was asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Extent {
    /// The first.
    pub start: u64,
    /// The one after the last.
    pub end: u64,
}

/// What nodes say to each other about range locks. All are of fixed size and carry nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// To a home: lease me this range, and with it those named in the next `left` messages, which are parts of the
    /// same request.
    Ask {
        /// The request.
        id: RequestId,
        /// One of its ranges.
        want: Want,
        /// How many more there are.
        left: u8,
        /// When to answer.
        answer: Answer,
    },
    /// To a home: the sender has, and asks for, nothing in this range any more.
    Return {
        /// The range.
        span: Span,
    },
    /// To a home: the sender cannot do as [`Message::Trim`] says.
    InUse {
        /// The range.
        span: Span,
    },
    /// To a home, when a view has changed: the sender holds a lock.
    Report {
        /// One of its ranges.
        want: Want,
    },
    /// To every member, when a view has changed: these were all my reports to you.
    ReportsEnd,
    /// To an agent: it has all that it asked for.
    Grant {
        /// The request.
        id: RequestId,
        /// What the lease is of, if that is more than was asked for.
        extent: Option<Extent>,
    },
    /// To an agent: it will not have what it asked for, for the home has no room to wait in.
    Deny {
        /// The request.
        id: RequestId,
    },
    /// To an agent: let another node have a range, when no lock of yours is in its way.
    Recall {
        /// The range, and how it will be locked.
        want: Want,
        /// Who is to have it.
        to: NodeId,
        /// For which request.
        id: RequestId,
        /// How many [`Message::Cede`] the request needs in all.
        acks: u16,
        /// All requests of the receiver up to this one come before.
        seen: RequestId,
        /// When to answer.
        answer: Answer,
    },
    /// To an agent: give up this range, if it is not in use.
    Trim {
        /// The range.
        span: Span,
    },
    /// To the node that asked: the sender is not in the way of its request any more.
    Cede {
        /// The home that it asked.
        home: NodeId,
        /// The request.
        id: RequestId,
        /// How many of these the request needs in all.
        acks: u16,
    },
    /// To the node that asked: a lock is in the way of its request.
    Busy {
        /// The home that it asked.
        home: NodeId,
        /// The request.
        id: RequestId,
    },
}

impl Message {
    /// Whether the receiver's home has to do with it, not its agent.
    pub(super) fn is_for_home(&self) -> bool {
        matches!(
            self,
            Self::Ask { .. }
                | Self::Return { .. }
                | Self::InUse { .. }
                | Self::Report { .. }
                | Self::ReportsEnd
        )
    }
}

impl Mode {
    /// The range, to be locked so.
    #[must_use]
    pub fn of(self, span: Span) -> Want {
        Want { span, mode: self }
    }
}
