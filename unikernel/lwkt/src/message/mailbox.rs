//! Mailboxes: where a sender's messages are answered.

use alloc::sync::Arc;

use super::error::{Error, Refused};
use super::id::MessageId;
use super::pending::Pending;
use super::reply_to::ReplyTo;
use super::slots::Collector;
use super::table::Table;
use super::{Message, Outcome, QueueResult, Terms};
use crate::critical::MayBlock;
use crate::machine::{Nanos, Park};
use crate::port::{Port, Put, Readiness, Source, earlier};

/// A sender's reply port: a slot for the answer of each message that it has out.
///
/// The number of slots bounds how many messages can be out at once, and is why an
/// answer always has room and takes no memory. A mailbox may be shared: each thread
/// then waits for its own [`Mailbox::call`]s and [`Pending`]s.
///
/// Dropped, it forgets what [`Mailbox::send`] sent, as [`Pending`] does.
pub struct Mailbox<M: Park, Reply> {
    table: Arc<Table<M, Reply>>,
}

/// What became of a message that was put.
pub enum Sent<M: Park, Reply> {
    /// The port's agent has replied already.
    Done(Reply),
    /// The message is queued.
    Queued(Pending<M, Reply>),
}

/// An answer, and the message that it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<Reply> {
    /// As [`Mailbox::send`] returned it.
    pub id: MessageId,
    /// The reply, or why there is none.
    pub outcome: Outcome<Reply>,
}

impl<M: Park, Reply> Mailbox<M, Reply> {
    /// A mailbox with `slots` slots. Allocates; nothing else here does.
    ///
    /// # Panics
    /// When `slots` is 0 or does not fit into 32 bits.
    pub fn new(slots: usize) -> Self {
        assert!(slots > 0, "a mailbox without slots cannot send anything");
        let slots = u32::try_from(slots).expect("a mailbox has less than 2^32 slots");
        Self {
            table: Arc::new(Table::new(slots)),
        }
    }

    /// Sends `request` and waits for the reply. Thread context.
    ///
    /// When the port's agent replies at once, that is all that happens: no slot, no
    /// queue, no lock. Otherwise this waits until the queue has room and then until
    /// the message is answered. Waiting for an answer from the calling thread itself
    /// never ends. LWKT calls this `domsg`.
    ///
    /// # Errors
    /// [`Error::MailboxFull`] or [`Error::Closed`] when the message was not sent;
    /// [`Error::Dropped`], [`Error::Closed`] or [`Error::Aborted`] when there was no
    /// reply.
    #[inline(always)]
    pub fn call<Request>(
        &self,
        leave: &MayBlock<M>,
        port: &(impl Port<M, Request, Reply> + ?Sized),
        request: Request,
    ) -> Outcome<Reply> {
        self.call_with(leave, port, request, Terms::NONE)
    }

    /// As [`Mailbox::call`], on terms.
    ///
    /// # Errors
    /// Also [`Error::TimedOut`] when the deadline came first.
    #[inline(always)]
    pub fn call_with<Request>(
        &self,
        leave: &MayBlock<M>,
        port: &(impl Port<M, Request, Reply> + ?Sized),
        request: Request,
        terms: Terms,
    ) -> Outcome<Reply> {
        match port.put(request) {
            Put::Done(reply) => Ok(reply),
            Put::Queue(request) => self.call_queued(leave, port, request, terms),
        }
    }

    #[cold]
    #[inline(never)]
    fn call_queued<Request>(
        &self,
        leave: &MayBlock<M>,
        port: &(impl Port<M, Request, Reply> + ?Sized),
        request: Request,
        terms: Terms,
    ) -> Outcome<Reply> {
        match self.queue(request, terms, |message| port.queue_waiting(leave, message)) {
            Ok(pending) => pending.wait(leave),
            Err(refused) => Err(refused.error),
        }
    }

    /// Sends `request` and does not wait: either the port's agent has replied when
    /// this returns, or the message is queued. Thread context or a message handler,
    /// as far as the agent allows.
    ///
    /// # Errors
    /// The request comes back when the message was not sent: [`Error::QueueFull`],
    /// [`Error::MailboxFull`] or [`Error::Closed`].
    pub fn put<Request>(
        &self,
        port: &(impl Port<M, Request, Reply> + ?Sized),
        request: Request,
        terms: Terms,
    ) -> Result<Sent<M, Reply>, Refused<Request>> {
        match port.put(request) {
            Put::Done(reply) => Ok(Sent::Done(reply)),
            Put::Queue(request) => self
                .queue(request, terms, |message| port.queue(message))
                .map(Sent::Queued),
        }
    }

    /// As [`Mailbox::put`], but waits while the queue is full, at most until the
    /// message's deadline. Thread context.
    ///
    /// # Errors
    /// The request comes back when the message was not sent: [`Error::TimedOut`],
    /// [`Error::MailboxFull`] or [`Error::Closed`].
    pub fn put_waiting<Request>(
        &self,
        leave: &MayBlock<M>,
        port: &(impl Port<M, Request, Reply> + ?Sized),
        request: Request,
        terms: Terms,
    ) -> Result<Sent<M, Reply>, Refused<Request>> {
        match port.put(request) {
            Put::Done(reply) => Ok(Sent::Done(reply)),
            Put::Queue(request) => self
                .queue(request, terms, |message| port.queue_waiting(leave, message))
                .map(Sent::Queued),
        }
    }

    /// Sends `request` and has the answer come to the mailbox, also one that the
    /// port's agent gives at once. Thread context or a message handler, as far as the
    /// agent allows. LWKT calls this `sendmsg`.
    ///
    /// # Errors
    /// As of [`Mailbox::put`]; then there is no answer.
    pub fn send<Request>(
        &self,
        port: &(impl Port<M, Request, Reply> + ?Sized),
        request: Request,
        terms: Terms,
    ) -> Result<MessageId, Refused<Request>> {
        self.post(port, request, terms, |message| port.queue(message))
    }

    /// As [`Mailbox::send`], but waits while the queue is full, at most until the
    /// message's deadline. Thread context.
    ///
    /// # Errors
    /// As of [`Mailbox::put_waiting`]; then there is no answer.
    pub fn send_waiting<Request>(
        &self,
        leave: &MayBlock<M>,
        port: &(impl Port<M, Request, Reply> + ?Sized),
        request: Request,
        terms: Terms,
    ) -> Result<MessageId, Refused<Request>> {
        self.post(port, request, terms, |message| {
            port.queue_waiting(leave, message)
        })
    }

    /// The oldest answer to what was sent, if there is one. Messages that are overdue
    /// are answered here. Takes time proportional to the number of slots when
    /// messages with deadlines are out. Thread context or a message handler.
    pub fn get(&self) -> Option<Answer<Reply>> {
        let (id, outcome) = self.table.next_answer()?;
        Some(Answer { id, outcome })
    }

    /// Waits for an answer to anything that was sent, at most until `deadline`.
    /// Thread context.
    ///
    /// # Errors
    /// [`Error::TimedOut`], and [`Error::NothingSent`] when there is nothing to wait
    /// for.
    pub fn wait(
        &mut self,
        leave: &MayBlock<M>,
        deadline: Option<Nanos>,
    ) -> Result<Answer<Reply>, Error> {
        let result = loop {
            if let Some(answer) = self.get() {
                break Ok(answer);
            }
            if self.table.is_idle() {
                break Err(Error::NothingSent);
            }
            let Readiness::Wait(alarm) = self.arm() else {
                continue;
            };
            if deadline.is_some_and(|deadline| M::now() >= deadline) {
                break Err(Error::TimedOut);
            }
            M::park(leave, earlier(alarm, deadline));
        };
        self.disarm();
        result
    }

    /// Asks for a message that was sent to be aborted; see [`Pending::abort`]. Its
    /// answer still comes. Does nothing if the message is not out.
    pub fn abort(&self, id: MessageId) {
        self.table.abort(id);
    }

    /// Queues a message whose answer its handle collects.
    fn queue<Request>(
        &self,
        request: Request,
        terms: Terms,
        queue: impl FnOnce(Message<M, Request, Reply>) -> QueueResult<M, Request, Reply>,
    ) -> Result<Pending<M, Reply>, Refused<Request>> {
        let Some(reply_to) = self.open(terms.deadline, Collector::Handle(None)) else {
            return Err(Refused {
                error: Error::MailboxFull,
                returned: request,
            });
        };
        let id = reply_to.id();
        queue(Message::new(request, reply_to, terms.urgent))
            .or_else(Refused::withdraw)
            .map(|()| Pending::new(self.table.clone(), id, terms.deadline))
    }

    /// Sends a message whose answer the mailbox collects.
    fn post<Request>(
        &self,
        port: &(impl Port<M, Request, Reply> + ?Sized),
        request: Request,
        terms: Terms,
        queue: impl FnOnce(Message<M, Request, Reply>) -> QueueResult<M, Request, Reply>,
    ) -> Result<MessageId, Refused<Request>> {
        // What the agent replies at once is never late: the deadline counts from when
        // the message is queued.
        let Some(mut reply_to) = self.open(None, Collector::Mailbox) else {
            return Err(Refused {
                error: Error::MailboxFull,
                returned: request,
            });
        };
        let id = reply_to.id();
        match port.put(request) {
            Put::Done(reply) => reply_to
                .reply(reply)
                .unwrap_or_else(|_| unreachable!("nobody knows the message yet")),
            Put::Queue(request) => {
                if let Some(deadline) = terms.deadline {
                    reply_to.set_deadline(deadline);
                }
                queue(Message::new(request, reply_to, terms.urgent)).or_else(Refused::withdraw)?;
            }
        }
        Ok(id)
    }

    fn open(&self, deadline: Option<Nanos>, collector: Collector<M>) -> Option<ReplyTo<M, Reply>> {
        let id = self.table.open(deadline, collector)?;
        Some(ReplyTo::mailbox(self.table.clone(), id, deadline))
    }
}

impl<M: Park, Reply> Source<M> for Mailbox<M, Reply> {
    fn arm(&mut self) -> Readiness {
        match self.table.watch_all(M::current()) {
            Ok(alarm) => Readiness::Wait(alarm),
            Err(_) => Readiness::Ready,
        }
    }

    fn disarm(&mut self) {
        self.table.unwatch_all();
    }
}

impl<M: Park, Reply> Drop for Mailbox<M, Reply> {
    fn drop(&mut self) {
        self.table.abandon_mailbox();
    }
}
