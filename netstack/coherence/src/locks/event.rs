//! What happens to a node's range locks, and what it wants done.

use super::message::Packet;
use super::want::Wants;
use crate::event::{View, Violation};
use crate::ids::{NodeId, Time, Token};

/// What happens to a node.
#[expect(
    clippy::large_enum_variant,
    reason = "an event is handled where it is made, and not kept"
)]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A thread wants to lock ranges.
    Lock {
        /// Names the lock from now until it is denied, or unlocked.
        token: Token,
        /// What it wants.
        wants: Wants,
        /// How long it waits.
        patience: Patience,
    },
    /// A lock that was granted is not needed any more. Others are ignored.
    Unlock {
        /// Which.
        token: Token,
    },
    /// A thread does not wait any longer. A lock that was granted stays.
    Cancel {
        /// Which lock it waited for.
        token: Token,
    },
    /// A packet arrived, whole and in the order in which `from` sent it.
    Received {
        /// Who sent it.
        from: NodeId,
        /// What was sent.
        packet: Packet,
    },
    /// The time of an [`Action::SetTimer`] has come.
    TimeOver,
    /// The members of the cluster are others than before.
    View(View),
    /// This node does not serve: others may decide a view without it at any time. A node serves until it is told this.
    Stopped,
    /// It serves again.
    Serving,
}

/// How long a thread waits for a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Patience {
    /// As long as it takes.
    Forever,
    /// Until then.
    Until(Time),
    /// Only for messages: not for other locks.
    Try,
}

/// What a node wants done, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Send a packet.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        packet: Packet,
    },
    /// A lock is granted: all of its ranges.
    Granted {
        /// Which.
        token: Token,
    },
    /// A lock is not granted: none of its ranges. Or it is held no more, for the node was [expelled](Denial::Expelled).
    Denied {
        /// Which.
        token: Token,
        /// Why.
        why: Denial,
    },
    /// Say [`Event::TimeOver`] when the time has come. There is one timer: this replaces an earlier one.
    SetTimer {
        /// When.
        at: Time,
    },
    /// A peer said what the protocol does not allow; it was ignored.
    Refused {
        /// Who said it.
        from: NodeId,
        /// What is wrong with it.
        why: Violation,
    },
}

/// Why a lock is not granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Denial {
    /// Another lock is in the way, or is being waited for, and the thread did not want to wait.
    WouldBlock,
    /// The time is over.
    TimedOut,
    /// [`Event::Cancel`] said so.
    Cancelled,
    /// This node or the home has as many locks and requests as it has room for.
    NoRoom,
    /// The token names another lock of this node.
    TokenInUse,
    /// This node is not a member of the view. What its threads held may be others' now.
    Expelled,
}
