//! The answer that a message's holder owes.

use alloc::sync::Arc;
use core::mem;

use super::Outcome;
use super::error::{Error, Late};
use super::hands::Hands;
use super::id::MessageId;
use super::table::Table;
use crate::machine::{Nanos, Park};

/// The duty, and the right, to answer one message: by [`ReplyTo::reply`], or with
/// [`Error::Dropped`] when this is dropped.
pub struct ReplyTo<M: Park, Reply> {
    to: Destination<M, Reply>,
    deadline: Option<Nanos>,
}

/// What is called with the answers of a [`super::ReplyOnly`].
pub(super) type Sink<Reply> = dyn Fn(MessageId, Outcome<Reply>) + Send + Sync;

enum Destination<M: Park, Reply> {
    /// Nobody asked, or the answer has been given.
    Nobody,
    Mailbox {
        table: Arc<Table<M, Reply>>,
        id: MessageId,
    },
    Sink {
        sink: Arc<Sink<Reply>>,
        id: MessageId,
    },
}

/// How a message stands with its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// An answer is awaited, or the sender never asked for one.
    Awaited,
    /// The sender wants the work stopped. It still awaits the answer.
    Aborted,
    /// The sender has been answered (it ran out of time, say) or waits no more.
    Over,
}

impl<M: Park, Reply> ReplyTo<M, Reply> {
    /// No answer is wanted.
    pub(crate) fn nobody(deadline: Option<Nanos>) -> Self {
        Self {
            to: Destination::Nobody,
            deadline,
        }
    }

    pub(super) fn mailbox(
        table: Arc<Table<M, Reply>>,
        id: MessageId,
        deadline: Option<Nanos>,
    ) -> Self {
        Self {
            to: Destination::Mailbox { table, id },
            deadline,
        }
    }

    pub(super) fn sink(sink: Arc<Sink<Reply>>, id: MessageId, deadline: Option<Nanos>) -> Self {
        Self {
            to: Destination::Sink { sink, id },
            deadline,
        }
    }

    /// The message's name.
    pub fn id(&self) -> MessageId {
        match &self.to {
            Destination::Nobody => MessageId::UNANSWERED,
            Destination::Mailbox { id, .. } | Destination::Sink { id, .. } => *id,
        }
    }

    /// When the answer is to be there, if the sender said so.
    pub fn deadline(&self) -> Option<Nanos> {
        self.deadline
    }

    /// Sets the deadline of a message of a mailbox that is not queued yet.
    pub(super) fn set_deadline(&mut self, deadline: Nanos) {
        self.deadline = Some(deadline);
        if let Destination::Mailbox { table, id } = &self.to {
            table.set_deadline(*id, deadline);
        }
    }

    /// Whether the deadline has come.
    pub(crate) fn is_overdue(&self) -> bool {
        self.deadline.is_some_and(|deadline| M::now() >= deadline)
    }

    /// How the message stands with its sender. Thread context or a message handler.
    pub fn standing(&self) -> Standing {
        match &self.to {
            Destination::Nobody | Destination::Sink { .. } => Standing::Awaited,
            Destination::Mailbox { table, id } => table.standing(*id),
        }
    }

    /// Answers the message, and wakes its sender if that waits. Thread context or a
    /// message handler; for messages sent by a [`super::ReplyOnly`] its function is
    /// called here.
    ///
    /// # Errors
    /// The reply comes back when the message is over: the deadline has come, the
    /// message was aborted, or the sender is gone. It has its answer already, and
    /// will not see this one.
    pub fn reply(mut self, reply: Reply) -> Result<(), Late<Reply>> {
        match self.answer(Ok(reply)) {
            Err(Ok(reply)) => Err(Late(reply)),
            _ => Ok(()),
        }
    }

    /// Ends the message with `error`, unless it is over.
    pub(crate) fn fail(mut self, error: Error) {
        // Nothing to undo: an error reports nothing.
        let _ = self.answer(Err(error));
    }

    /// Gives the answer, or gives it back.
    fn answer(&mut self, outcome: Outcome<Reply>) -> Result<(), Outcome<Reply>> {
        match mem::replace(&mut self.to, Destination::Nobody) {
            Destination::Nobody => Ok(()),
            Destination::Mailbox { table, id } => {
                if self.is_overdue() {
                    // Also when the message is over: then nothing changes.
                    let _ = table.answer(id, Err(Error::TimedOut));
                }
                table.answer(id, outcome)
            }
            Destination::Sink { sink, id } if self.is_overdue() => {
                sink(id, Err(Error::TimedOut));
                Err(outcome)
            }
            Destination::Sink { sink, id } => {
                sink(id, outcome);
                Ok(())
            }
        }
    }

    /// Takes the message back from a port that refused it; `false` when it has been
    /// answered meanwhile.
    pub(super) fn withdraw(mut self) -> bool {
        match mem::replace(&mut self.to, Destination::Nobody) {
            Destination::Nobody | Destination::Sink { .. } => true,
            Destination::Mailbox { table, id } => table.withdraw(id),
        }
    }

    /// Notes that a receiver takes the message; `false` when it is over.
    pub(super) fn take(&self, hands: &Arc<Hands<M>>) -> bool {
        match &self.to {
            Destination::Nobody | Destination::Sink { .. } => true,
            Destination::Mailbox { table, id } => table.take(*id, hands),
        }
    }

    /// Notes that the message leaves its receiver for a port.
    pub(super) fn leave_hands(&self) -> Result<Option<Arc<Hands<M>>>, Error> {
        match &self.to {
            Destination::Nobody | Destination::Sink { .. } => Ok(None),
            Destination::Mailbox { table, id } => table.leave_hands(*id),
        }
    }

    /// Undoes [`ReplyTo::leave_hands`].
    pub(super) fn return_to_hands(&self, hands: Arc<Hands<M>>) {
        if let Destination::Mailbox { table, id } = &self.to {
            table.return_to_hands(*id, hands);
        }
    }
}

impl<M: Park, Reply> Drop for ReplyTo<M, Reply> {
    fn drop(&mut self) {
        let _ = self.answer(Err(Error::Dropped));
    }
}
