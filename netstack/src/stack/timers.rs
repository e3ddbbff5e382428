//! When something has to be looked at again.
//!
//! Each thing has at most one deadline, which it keeps itself, and changes through
//! [`Timers::set`].

use alloc::collections::BTreeSet;

use crate::Nanos;
use crate::socket::SocketId;

/// What has a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A connection or a UDP socket.
    Socket(SocketId),
    /// An interface: its addresses, fragments and group memberships.
    Netif(usize),
    /// An interface's unanswered questions for hardware addresses.
    Neighbours(usize),
    /// An interface's card, which had no room.
    Card(usize),
    /// Pieces of packets.
    Reassembly,
    /// Connections in TIME-WAIT.
    TimeWait,
    /// A name that is being looked up.
    Lookup(u64),
}

/// All deadlines, soonest first.
#[derive(Default)]
pub(super) struct Timers {
    deadlines: BTreeSet<(Nanos, Timer)>,
}

impl Timers {
    /// Replaces a deadline; `slot` is where its owner keeps it.
    pub fn set(&mut self, slot: &mut Option<Nanos>, deadline: Option<Nanos>, timer: Timer) {
        if *slot == deadline {
            return;
        }
        if let Some(old) = slot.take() {
            self.deadlines.remove(&(old, timer));
        }
        if let Some(new) = deadline {
            self.deadlines.insert((new, timer));
        }
        *slot = deadline;
    }

    /// The soonest deadline.
    pub fn first(&self) -> Option<Nanos> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Takes one that is due. Its owner's slot is to be cleared.
    pub fn pop(&mut self, now: Nanos) -> Option<Timer> {
        let first = self.deadlines.first().copied()?;
        if first.0 > now {
            return None;
        }
        self.deadlines.remove(&first);
        Some(first.1)
    }
}
