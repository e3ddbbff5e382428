//! What can go wrong with a message.

use core::fmt;

/// Why a message was not taken, or how it ended without a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The port's queue has no room; nothing was sent.
    QueueFull,
    /// All slots of the mailbox are in use; nothing was sent.
    MailboxFull,
    /// The port has no receiver any more.
    Closed,
    /// The receiver dropped the message.
    Dropped,
    /// The sender aborted the message, and no reply had been given.
    Aborted,
    /// The deadline came first.
    TimedOut,
    /// The receiver has as many unanswered messages as it may keep.
    HandsFull,
    /// The message has been answered: its sender aborted it, ran out of time, or
    /// does not wait any more.
    Over,
    /// The mailbox has no message out, so no answer can come.
    NothingSent,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::QueueFull => {
                "the port's queue is full: send the message again later, or use the variant \
                 that waits for room"
            }
            Self::MailboxFull => {
                "every slot of the mailbox holds a message that is out or an answer: collect \
                 answers first, or make the mailbox larger"
            }
            Self::Closed => {
                "the port is closed, its receiver has ended: look the service up again, or \
                 do without it"
            }
            Self::Dropped => {
                "the receiver dropped the message instead of answering: it ended, or has a \
                 mistake; it may or may not have acted on the message"
            }
            Self::Aborted => "the message was aborted: send it again if it is still wanted",
            Self::TimedOut => {
                "the deadline came before the answer: send again with a later one; the \
                 receiver may or may not have acted on the message"
            }
            Self::HandsFull => {
                "the receiver keeps as many unanswered messages as it may: answer, forward \
                 or drop some before taking more, or give the port larger bounds"
            }
            Self::Over => {
                "the message has been answered already, nobody waits for it: drop it, and \
                 undo what it started"
            }
            Self::NothingSent => {
                "the mailbox has no message out, waiting would never end: send one first"
            }
        })
    }
}

impl core::error::Error for Error {}

/// What was not taken, handed back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Refused<T> {
    /// Why.
    pub error: Error,
    /// The message, or its request, as it was.
    pub returned: T,
}

/// The content may have no `Debug`.
impl<T> fmt::Debug for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Display for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T> core::error::Error for Refused<T> {}

/// A reply that nobody waits for any more, handed back to the receiver: what it took
/// for the sender (the bytes of a stream, say) it can put back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Late<Reply>(pub Reply);

impl<Reply> fmt::Debug for Late<Reply> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Late").finish_non_exhaustive()
    }
}

impl<Reply> fmt::Display for Late<Reply> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the reply came too late, its message is over: undo what it reports")
    }
}

impl<Reply> core::error::Error for Late<Reply> {}
