//! What happens to the waiting threads of a node, and what it wants done.

use super::message::Packet;
use super::place::{Generation, Place};
use crate::event::{View, Violation};
use crate::ids::{NodeId, Time, Token};

/// What happens to a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A thread has looked at a word, and waits for it to change.
    Wait {
        /// Names the thread until [`Action::Ended`].
        token: Token,
        /// Where.
        place: Place,
        /// What was known before it looked.
        generation: Generation,
        /// How long it waits at most.
        deadline: Option<Time>,
    },
    /// A thread comes to a barrier.
    Arrive {
        /// Names the thread until [`Action::Ended`].
        token: Token,
        /// Where.
        place: Place,
        /// How many come to it.
        parties: u32,
        /// How long it waits at most.
        deadline: Option<Time>,
    },
    /// A thread does not want to wait any more. It still is to wait for [`Action::Ended`].
    Withdraw {
        /// Which.
        token: Token,
        /// Why.
        why: Reason,
    },
    /// Wake the threads that have waited longest.
    Wake {
        /// Where.
        place: Place,
        /// At most so many.
        count: u32,
        /// Who is to be told how many there were.
        token: Option<Token>,
    },
    /// Wake the threads that have waited longest, and have others wait elsewhere. They
    /// are woken if the other place has another home.
    Requeue {
        /// Where.
        place: Place,
        /// Wake at most so many.
        count: u16,
        /// Have at most so many wait elsewhere.
        moved: u32,
        /// Where then.
        to: Place,
        /// Who is to be told how many there were of both.
        token: Option<Token>,
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
}

/// Why a thread does not want to wait any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The word has changed.
    Changed,
    /// It was called off.
    Cancelled,
    /// The time is over.
    TimedOut,
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
    /// Have a thread look at its word again. If it has changed, say [`Event::Withdraw`].
    Recheck {
        /// Which.
        token: Token,
    },
    /// A thread waits no more.
    Ended {
        /// Which.
        token: Token,
        /// How it ended.
        how: Ending,
    },
    /// So many threads were woken, or wait elsewhere.
    Woke {
        /// Who wanted to know.
        token: Token,
        /// How many.
        count: u32,
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

/// How waiting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// It was woken, or all have come to the barrier.
    Woken,
    /// It did not want to wait any more, and was not woken.
    Withdrawn(Reason),
    /// The home of the word died, or it has another one now: the thread is to look at the word again.
    HomeDied,
    /// This node or the home has as many waiting threads as it has room for.
    NoRoom,
    /// Others came to the barrier with another number of parties.
    Mismatch,
}
