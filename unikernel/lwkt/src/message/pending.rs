//! Handles of messages that are out.

use alloc::sync::Arc;
use core::fmt;

use super::Outcome;
use super::id::MessageId;
use super::table::Table;
use crate::critical::MayBlock;
use crate::machine::{Nanos, Park};
use crate::port::{Readiness, Source, earlier};

/// A message that is out, and the right to its answer.
///
/// Dropped, it forgets the message: the receiver is told as if it was aborted, and a
/// reply goes back to the receiver as late.
#[must_use = "dropping the handle abandons the message"]
pub struct Pending<M: Park, Reply> {
    table: Arc<Table<M, Reply>>,
    id: MessageId,
    deadline: Option<Nanos>,
    /// The answer has been taken.
    collected: bool,
}

impl<M: Park, Reply> Pending<M, Reply> {
    pub(super) fn new(table: Arc<Table<M, Reply>>, id: MessageId, deadline: Option<Nanos>) -> Self {
        Self {
            table,
            id,
            deadline,
            collected: false,
        }
    }

    /// The message's name.
    pub fn id(&self) -> MessageId {
        self.id
    }

    /// Waits for the answer, at most until the message's deadline. Thread context.
    ///
    /// # Errors
    /// How the message ended without a reply: [`Error::Dropped`](super::Error),
    /// `Closed`, `Aborted` or `TimedOut`.
    pub fn wait(mut self, leave: &MayBlock<M>) -> Outcome<Reply> {
        loop {
            if let Some(outcome) = self.collect_until(leave, None) {
                return outcome;
            }
        }
    }

    /// Waits for the answer, at most until `until`. Thread context.
    ///
    /// # Errors
    /// This handle, when there is no answer yet: the message is still out.
    pub fn wait_until(mut self, leave: &MayBlock<M>, until: Nanos) -> Result<Outcome<Reply>, Self> {
        self.collect_until(leave, Some(until)).ok_or(self)
    }

    /// The answer, if it is there. Thread context or a message handler.
    ///
    /// # Errors
    /// This handle, when there is no answer yet.
    pub fn try_get(mut self) -> Result<Outcome<Reply>, Self> {
        self.collect(None).ok_or(self)
    }

    /// Asks for the message to be aborted; its answer is still to be waited for. A
    /// message that waits in a queue is answered with
    /// [`Error::Aborted`](super::Error::Aborted) at once. A receiver that has taken
    /// it is told by [`Received::Abort`](crate::port::Received), and answers as it
    /// sees fit. Does nothing if the message has been answered or aborted. Thread
    /// context or a message handler.
    pub fn abort(&self) {
        self.table.abort(self.id);
    }

    /// What another thread can abort the message with.
    pub fn aborter(&self) -> Aborter<M, Reply> {
        Aborter {
            table: self.table.clone(),
            id: self.id,
        }
    }

    fn collect(&mut self, watcher: Option<M::Thread>) -> Option<Outcome<Reply>> {
        let overdue = self.deadline.is_some_and(|deadline| M::now() >= deadline);
        let outcome = self.table.collect(self.id, overdue, watcher);
        self.collected |= outcome.is_some();
        outcome
    }

    /// Waits for the answer until `until`. `None` only when that has come.
    fn collect_until(
        &mut self,
        leave: &MayBlock<M>,
        until: Option<Nanos>,
    ) -> Option<Outcome<Reply>> {
        let alarm = earlier(self.deadline, until);
        loop {
            let too_late = until.is_some_and(|until| M::now() >= until);
            let watcher = (!too_late).then(M::current);
            if let Some(outcome) = self.collect(watcher) {
                return Some(outcome);
            }
            if too_late {
                self.disarm();
                return None;
            }
            M::park(leave, alarm);
        }
    }
}

impl<M: Park, Reply> fmt::Debug for Pending<M, Reply> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending")
            .field("id", &self.id)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl<M: Park, Reply> Source<M> for Pending<M, Reply> {
    fn arm(&mut self) -> Readiness {
        let overdue = self.deadline.is_some_and(|deadline| M::now() >= deadline);
        if overdue || self.table.watch(self.id, Some(M::current())) {
            Readiness::Ready
        } else {
            Readiness::Wait(self.deadline)
        }
    }

    fn disarm(&mut self) {
        self.table.watch(self.id, None);
    }
}

impl<M: Park, Reply> Drop for Pending<M, Reply> {
    fn drop(&mut self) {
        if !self.collected {
            self.table.abandon(self.id);
        }
    }
}

/// The right to ask for one message to be aborted; see [`Pending::abort`].
pub struct Aborter<M: Park, Reply> {
    table: Arc<Table<M, Reply>>,
    id: MessageId,
}

impl<M: Park, Reply> Aborter<M, Reply> {
    /// See [`Pending::abort`].
    pub fn abort(&self) {
        self.table.abort(self.id);
    }
}

impl<M: Park, Reply> Clone for Aborter<M, Reply> {
    fn clone(&self) -> Self {
        Self {
            table: self.table.clone(),
            id: self.id,
        }
    }
}
