//! Messages: a request, and the duty to answer it.
//!
//! A message has one owner at a time: the sender, the queue of a [port](crate::port),
//! a receiver. Ownership moves with the value, so nobody can touch a message that is
//! another's. Every message that a port has taken is answered exactly once:
//!
//! | what happens | the sender gets |
//! |---|---|
//! | [`Message::reply`], before the deadline | the reply |
//! | the message is dropped, wherever it is | [`Error::Dropped`] |
//! | the port closes, or its last receiver is dropped, before the message is taken | [`Error::Closed`] |
//! | [`Pending::abort`] while it waits in a queue | [`Error::Aborted`] |
//! | [`Pending::abort`] after it was taken | what the receiver replies; [`Error::Aborted`] if it drops the message |
//! | the deadline comes first | [`Error::TimedOut`] |
//!
//! What comes second changes nothing: a reply that is too late goes back to the
//! receiver as [`Late`], so what it took for the sender is not lost. A message that
//! ended while it waited in a queue takes up its place there until a receiver gets to
//! it, and is never handed out.
//!
//! # Sending
//!
//! Answers are kept in the sender's [`Mailbox`], which has a slot for every message
//! that is out. The ways of sending (the names in parentheses are LWKT's):
//!
//! * [`Mailbox::call`] (`domsg`) waits for the reply.
//! * [`Mailbox::put`] says whether the message was done at once or is queued; a
//!   queued one has a handle, [`Pending`], to wait for this answer or abort it.
//! * [`Mailbox::send`] (`sendmsg`) has the answer come to the mailbox, where
//!   [`Mailbox::wait`] gets whichever comes first.
//! * [`ReplyOnly::send`] has the answer call a function (a reply-only port).
//! * [`Port::tell`] wants no answer.
//!
//! # Receiving
//!
//! The receiver holds a [`Message`] and can keep it as long as it likes. It
//! [replies](Message::reply) (`replymsg`), [forwards](Message::forward) it to another
//! port (`forwardmsg`) or drops it. Splitting it ([`Message::into_parts`]) leaves the
//! duty to answer with the [`ReplyTo`]. When a sender aborts a message that has been
//! taken, runs out of time or goes away, the receiver gets a separate message about
//! that, [`Received::Abort`](crate::port::Received), with the [`MessageId`]; the
//! message itself stays where it is until it is answered or dropped. (Chasing the
//! original through forwards and requeueing it was tried by DragonFly in 2004, and
//! given up in 2007.)
//!
//! # How it stays exactly one
//!
//! Whether a message is open or answered is a state in its slot, under the lock of the
//! mailbox; reply, abort, deadline, forward and drop all change that state and
//! nothing else, and the first to do so wins. The lock is held for some instructions;
//! threads are woken, requests and replies dropped and functions called without it. Of
//! other locks only that of a receiver's notices is taken inside.

#![deny(unsafe_code)]

mod error;
mod hands;
mod id;
mod mailbox;
mod pending;
mod reply_only;
mod reply_to;
mod slots;
mod table;

use alloc::sync::Arc;
use core::fmt;

pub use error::{Error, Late, Refused};
pub(crate) use hands::Hands;
pub use id::MessageId;
pub use mailbox::{Answer, Mailbox, Sent};
pub use pending::{Aborter, Pending};
pub use reply_only::ReplyOnly;
pub use reply_to::{ReplyTo, Standing};

use crate::critical::MayBlock;
use crate::machine::{Nanos, Park};
use crate::port::{Port, Put};

/// How a message ended: with the receiver's reply, or without.
pub type Outcome<Reply> = Result<Reply, Error>;

/// On what terms a message is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    deadline: Option<Nanos>,
    urgent: bool,
}

impl Terms {
    /// No deadline, not urgent.
    pub const NONE: Self = Self {
        deadline: None,
        urgent: false,
    };

    /// To be answered before `deadline`.
    pub const fn by(deadline: Nanos) -> Self {
        Self {
            deadline: Some(deadline),
            urgent: false,
        }
    }

    /// The same, but goes to the urgent queue: receivers get what is there first.
    pub const fn urgently(self) -> Self {
        Self {
            urgent: true,
            ..self
        }
    }
}

/// A request with the duty to answer it; see the module. Dropped, it is answered with
/// [`Error::Dropped`], after the request has been dropped.
pub struct Message<M: Park, Request, Reply> {
    request: Request,
    reply_to: ReplyTo<M, Reply>,
    urgent: bool,
}

/// The request may have no `Debug`.
impl<M: Park, Request, Reply> fmt::Debug for Message<M, Request, Reply> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("id", &self.id())
            .field("deadline", &self.deadline())
            .field("urgent", &self.urgent)
            .finish_non_exhaustive()
    }
}

pub(crate) type QueueResult<M, Request, Reply> = Result<(), Refused<Message<M, Request, Reply>>>;

impl<M: Park, Request, Reply> Message<M, Request, Reply> {
    /// A request whose answer is `reply_to`'s: to put together what
    /// [`Message::into_parts`] took apart, or to forward another request in place of
    /// the one that came.
    pub fn new(request: Request, reply_to: ReplyTo<M, Reply>, urgent: bool) -> Self {
        Self {
            request,
            reply_to,
            urgent,
        }
    }

    /// The message's name, as the sender and [`Received::Abort`](crate::port::Received)
    /// know it.
    pub fn id(&self) -> MessageId {
        self.reply_to.id()
    }

    /// What is asked.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// What is asked, to work on in place.
    pub fn request_mut(&mut self) -> &mut Request {
        &mut self.request
    }

    /// When the answer is to be there, if the sender said so.
    pub fn deadline(&self) -> Option<Nanos> {
        self.reply_to.deadline()
    }

    /// Whether the message belongs in the urgent queue.
    pub fn is_urgent(&self) -> bool {
        self.urgent
    }

    /// How the message stands with its sender. Thread context or a message handler.
    pub fn standing(&self) -> Standing {
        self.reply_to.standing()
    }

    /// Takes the request and the duty to answer it apart.
    pub fn into_parts(self) -> (Request, ReplyTo<M, Reply>) {
        (self.request, self.reply_to)
    }

    /// Drops the request and answers the message; see [`ReplyTo::reply`].
    ///
    /// # Errors
    /// The reply comes back when the message is over.
    pub fn reply(self, reply: Reply) -> Result<(), Late<Reply>> {
        let (request, reply_to) = self.into_parts();
        drop(request);
        reply_to.reply(reply)
    }

    /// Hands the message on to `port`, with its deadline and its urgency. If the
    /// port's agent replies at once, that is the message's reply; it is dropped if
    /// the message is over by then. Thread context or a message handler, as far as
    /// the agent allows.
    ///
    /// # Errors
    /// The message comes back, still to be answered: [`Error::QueueFull`],
    /// [`Error::Closed`], [`Error::Aborted`] (its sender wants it stopped), or
    /// [`Error::Over`].
    pub fn forward(
        self,
        port: &(impl Port<M, Request, Reply> + ?Sized),
    ) -> Result<(), Refused<Self>> {
        self.forward_by(port, |message| port.queue(message))
    }

    /// As [`Message::forward`], but waits while the queue is full, at most until the
    /// message's deadline. Thread context.
    ///
    /// # Errors
    /// As of [`Message::forward`], with [`Error::TimedOut`] in place of `QueueFull`.
    pub fn forward_waiting(
        self,
        leave: &MayBlock<M>,
        port: &(impl Port<M, Request, Reply> + ?Sized),
    ) -> Result<(), Refused<Self>> {
        self.forward_by(port, |message| port.queue_waiting(leave, message))
    }

    fn forward_by(
        self,
        port: &(impl Port<M, Request, Reply> + ?Sized),
        queue: impl FnOnce(Self) -> QueueResult<M, Request, Reply>,
    ) -> Result<(), Refused<Self>> {
        let Self {
            request,
            reply_to,
            urgent,
        } = self;
        let request = match port.put(request) {
            Put::Done(reply) => {
                // Late or not, the work has been done, and not here.
                let _ = reply_to.reply(reply);
                return Ok(());
            }
            Put::Queue(request) => request,
        };
        // The message counts as the port's before it is: a receiver there may take it
        // before `queue` returns.
        let left = reply_to.leave_hands();
        let message = Self::new(request, reply_to, urgent);
        let hands = match left {
            Ok(hands) => hands,
            Err(error) => {
                return Err(Refused {
                    error,
                    returned: message,
                });
            }
        };
        let result = queue(message);
        if let Some(hands) = hands {
            match &result {
                Ok(()) => hands.release(),
                Err(refused) => refused.returned.reply_to.return_to_hands(hands),
            }
        }
        result
    }

    /// A request that wants no answer.
    pub(crate) fn unanswered(request: Request, terms: Terms) -> Self {
        Self::new(request, ReplyTo::nobody(terms.deadline), terms.urgent)
    }

    /// Drops the request and ends the message with `error`.
    pub(crate) fn fail(self, error: Error) {
        let (request, reply_to) = self.into_parts();
        drop(request);
        reply_to.fail(error);
    }

    /// Gives a message that comes out of a queue to a receiver; `None` when it is
    /// over, or overdue and so answered.
    pub(crate) fn take(self, hands: &Arc<Hands<M>>) -> Option<Self> {
        if self.reply_to.is_overdue() {
            self.fail(Error::TimedOut);
            return None;
        }
        self.reply_to.take(hands).then_some(self)
    }
}

impl<M: Park, Request, Reply> Refused<Message<M, Request, Reply>> {
    /// The same refusal of the request alone, whose message wanted no answer.
    pub(crate) fn request(self) -> Refused<Request> {
        Refused {
            error: self.error,
            returned: self.returned.into_parts().0,
        }
    }

    /// Takes a refused message back from its sender's slot. It counts as sent when it
    /// has been answered meanwhile.
    fn withdraw(self) -> Result<(), Refused<Request>> {
        let (request, reply_to) = self.returned.into_parts();
        if reply_to.withdraw() {
            Err(Refused {
                error: self.error,
                returned: request,
            })
        } else {
            Ok(())
        }
    }
}
