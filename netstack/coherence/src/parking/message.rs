//! What nodes say to each other about waiting threads.

use super::place::{Place, Ticket};
use crate::ids::Epoch;

/// A message, and the view in which it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Packet {
    /// The sender's view.
    pub epoch: Epoch,
    /// What is said.
    pub message: Message,
}

/// Threads of one node: bit n stands for the ticket `first` + n. Bit 0 is always set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tickets {
    /// The first.
    pub first: Ticket,
    /// Which others.
    pub mask: u32,
}

/// What nodes say to each other about waiting threads. All are of fixed size and carry nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// To a home: a thread waits for the word to change.
    Wait {
        /// Where.
        place: Place,
        /// The thread.
        ticket: Ticket,
        /// How many wake-ups there had been before the thread looked at the word, if that is known.
        generation: Option<u64>,
    },
    /// To a home: the thread does not want to wait any more.
    Withdraw {
        /// Where it began to wait.
        place: Place,
        /// The thread.
        ticket: Ticket,
    },
    /// To a home: wake those that have waited longest.
    Wake {
        /// Where.
        place: Place,
        /// At most so many.
        count: u32,
        /// Who is to be told how many there were.
        ticket: Option<Ticket>,
    },
    /// To a home: wake those that have waited longest, and have others wait elsewhere.
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
        ticket: Option<Ticket>,
    },
    /// To a home: a thread has come to a barrier.
    Arrive {
        /// Where.
        place: Place,
        /// The thread.
        ticket: Ticket,
        /// How many come to it.
        parties: u32,
    },
    /// To an agent: these threads wait, but there were wake-ups that they may have missed. Have them look at the word again.
    Recheck {
        /// Where.
        place: Place,
        /// Which.
        tickets: Tickets,
        /// How many wake-ups there were so far.
        generation: u64,
    },
    /// To an agent: these threads are woken, or all have come to their barrier.
    Woken {
        /// Where.
        place: Place,
        /// Which.
        tickets: Tickets,
        /// How many wake-ups there were so far.
        generation: u64,
    },
    /// To an agent: the thread waits no more, and was not woken.
    Withdrawn {
        /// The thread.
        ticket: Ticket,
    },
    /// To an agent: the thread cannot wait.
    Refuse {
        /// The thread.
        ticket: Ticket,
        /// Why.
        why: Refusal,
    },
    /// To an agent: so many threads were woken, or wait elsewhere.
    Woke {
        /// Who wanted to know.
        ticket: Ticket,
        /// How many.
        count: u32,
    },
    /// To every member, when a view has changed: all I said in the old view came before this.
    Entered,
}

/// Why a thread cannot wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// As many threads wait as there is room for.
    NoRoom,
    /// Others came to the barrier with another number of parties.
    Mismatch,
}

impl Message {
    /// Whether the receiver's home has to do with it, not its agent.
    pub(super) fn is_for_home(&self) -> bool {
        matches!(
            self,
            Self::Wait { .. }
                | Self::Withdraw { .. }
                | Self::Wake { .. }
                | Self::Requeue { .. }
                | Self::Arrive { .. }
                | Self::Entered
        )
    }
}

impl Tickets {
    /// How many tickets one message can name.
    pub(super) const SPAN: u32 = u32::BITS;

    /// One thread.
    pub(super) fn one(ticket: Ticket) -> Self {
        Self {
            first: ticket,
            mask: 1,
        }
    }

    /// With another, if it is not too far from the first.
    pub(super) fn with(self, ticket: Ticket) -> Option<Self> {
        let distance = ticket.0.wrapping_sub(self.first.0);
        (distance < Self::SPAN).then(|| Self {
            mask: self.mask | 1 << distance,
            ..self
        })
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Ticket> {
        let named = (0..Self::SPAN).filter(move |bit| self.mask >> bit & 1 == 1);
        named.map(move |bit| Ticket(self.first.0.wrapping_add(bit)))
    }
}
