//! Ports: where messages are put.
//!
//! Putting a message to a port is *semi-synchronous*: the port's [`Agent`] runs there
//! and then, in the sender's thread, and either replies or has the request queued.
//! Work that needs nothing of the receiver's thread is so done without a switch, a
//! queue or memory; in [`Mailbox::call`](crate::message::Mailbox::call) it costs a few
//! instructions more than calling the agent.
//!
//! | variant | made by | who receives |
//! |---|---|---|
//! | thread port | [`thread_port`] | one thread |
//! | spin port | [`spin_port`] | as many threads as [`Receiver::clone`]s |
//! | put-only | [`PutOnly`] | nobody: a function runs in the sender's thread |
//! | reply-only | [`ReplyOnly`](crate::message::ReplyOnly) | nobody: answers call a function |
//!
//! A program's own kind of port (one that stands for a port on another machine, say)
//! implements [`Port`].
//!
//! # Order
//!
//! Messages of one sender are received in the order in which it put them, the urgent
//! ones and the others each among themselves. That holds when the sender moves to
//! another CPU between two puts: a queue is one piece of memory behind one lock, and a
//! message is in it when `put` returns. (DragonFly sends messages for a thread port
//! through the queue between two CPUs, and so loses the order of a sender that moves;
//! it corrupted TCP streams in 2011.) A message that the agent completes at once
//! overtakes what the sender has queued before it; an agent for which that matters
//! has to see to it.
//!
//! # Bounds
//!
//! A queue has a fixed number of places, as has the receiver for messages that it
//! has taken and not answered ([`Bounds`]). A full queue gives the message back, or,
//! to a thread that asks for that, has it wait until there is room or its deadline
//! comes. Waiting threads are woken in the order in which they came; one that puts
//! without waiting may still be faster.
//!
//! # Memory and context
//!
//! Memory is taken when ports, receivers and mailboxes are made, and when more threads
//! than ever before wait for one port. Everything whose name does not say *wait* may
//! be used in a message handler, too. No lock is held while a thread waits, while an
//! agent runs, or while a request or a reply is dropped.
//!
//! # Example
//!
//! A server that keeps some of its clients waiting, and a client:
//!
//! ```
//! use darner_lwkt::MayBlock;
//! use darner_lwkt::message::{Error, Mailbox, Terms};
//! use darner_lwkt::port::{Bounds, Received, thread_port};
//! # mod host {
//! #     use darner_lwkt::{Machine, Nanos, Park};
//! #     use std::{cell::Cell, sync::OnceLock, thread, time::{Duration, Instant}};
//! #     pub struct Host;
//! #     thread_local!(static DEPTH: Cell<usize> = const { Cell::new(0) });
//! #     // SAFETY: there is one "CPU" for all threads, and no data of a CPU is used.
//! #     unsafe impl Machine for Host {
//! #         fn cpu() -> usize { 0 }
//! #         fn cpus() -> usize { 1 }
//! #         fn enter_critical() { DEPTH.set(DEPTH.get() + 1) }
//! #         fn exit_critical() { DEPTH.set(DEPTH.get() - 1) }
//! #         fn is_critical() -> bool { DEPTH.get() > 0 }
//! #         fn interrupt(_: usize) { unimplemented!() }
//! #         fn pause() { thread::yield_now() }
//! #         fn now() -> Nanos {
//! #             static START: OnceLock<Instant> = OnceLock::new();
//! #             START.get_or_init(Instant::now).elapsed().as_nanos() as Nanos
//! #         }
//! #     }
//! #     #[derive(Clone)]
//! #     pub struct Thread(thread::Thread);
//! #     impl PartialEq for Thread {
//! #         fn eq(&self, other: &Self) -> bool { self.0.id() == other.0.id() }
//! #     }
//! #     impl Park for Host {
//! #         type Thread = Thread;
//! #         fn current() -> Thread { Thread(thread::current()) }
//! #         fn park(_leave: &darner_lwkt::MayBlock<Self>, deadline: Option<Nanos>) {
//! #             match deadline {
//! #                 None => thread::park(),
//! #                 Some(at) => thread::park_timeout(Duration::from_nanos(at.saturating_sub(Self::now()))),
//! #             }
//! #         }
//! #         fn unpark(thread: &Thread) { thread.0.unpark() }
//! #     }
//! # }
//! # use host::Host;
//! # use darner_lwkt::Machine;
//! # fn main() {
//!
//! enum Request {
//!     Deposit(u64),
//!     /// Answered when so much is there.
//!     Withdraw(u64),
//! }
//!
//! let (bank, mut receiver) = thread_port::<Host, Request, u64>(Bounds::new(16));
//! let server = std::thread::spawn(move || {
//!     // SAFETY: this thread is in no critical section.
//!     let leave = unsafe { MayBlock::assume() };
//!     let (mut balance, mut kept) = (0, Vec::new());
//!     loop {
//!         match receiver.wait(&leave, None) {
//!             Ok(Received::Message(message)) => match *message.request() {
//!                 Request::Deposit(amount) => {
//!                     balance += amount;
//!                     let _ = message.reply(balance);
//!                 }
//!                 Request::Withdraw(_) => kept.push(message),
//!             },
//!             // Dropping a message answers it, too.
//!             Ok(Received::Abort(id)) => kept.retain(|message| message.id() != id),
//!             Err(_closed) => return balance,
//!         }
//!         // Whom the balance suffices for, in turn.
//!         for message in std::mem::take(&mut kept) {
//!             match *message.request() {
//!                 Request::Withdraw(amount) if amount <= balance => {
//!                     balance -= amount;
//!                     if message.reply(amount).is_err() {
//!                         balance += amount; // Nobody got it.
//!                     }
//!                 }
//!                 _ => kept.push(message),
//!             }
//!         }
//!     }
//! });
//!
//! // SAFETY: this thread is in no critical section.
//! let leave = unsafe { MayBlock::assume() };
//! let mailbox = Mailbox::new(4);
//! assert_eq!(mailbox.call(&leave, &bank, Request::Deposit(5)), Ok(5));
//! assert_eq!(mailbox.call(&leave, &bank, Request::Withdraw(3)), Ok(3));
//!
//! let soon = Terms::by(Host::now() + 20_000_000);
//! let refused = mailbox.call_with(&leave, &bank, Request::Withdraw(100), soon);
//! assert_eq!(refused, Err(Error::TimedOut));
//!
//! bank.close();
//! assert_eq!(server.join().unwrap(), 2);
//! assert_eq!(mailbox.call(&leave, &bank, Request::Deposit(1)), Err(Error::Closed));
//! # }
//! ```

#![deny(unsafe_code)]

mod agent;
mod queue;
mod queue_port;
mod receiver;
mod source;
#[cfg(test)]
#[allow(unsafe_code, reason = "only to say that threads may block")]
mod tests;
mod waiters;

use alloc::sync::Arc;

pub use agent::{Agent, Enqueue, PutOnly};
pub use queue_port::{Bounds, QueuePort, spin_port, thread_port};
pub use receiver::{Many, Received, Receiver, Sole};
pub(crate) use source::earlier;
pub use source::{Readiness, Source, wait_any};

use crate::critical::MayBlock;
use crate::machine::Park;
use crate::message::{Message, QueueResult, Refused, Terms};

/// What a port's agent made of a request.
pub enum Put<Request, Reply> {
    /// It is done, here is the reply.
    Done(Reply),
    /// It is for the receiver: to be queued.
    Queue(Request),
}

/// Where messages are put; see the module.
///
/// Senders use [`Mailbox`](crate::message::Mailbox) and
/// [`ReplyOnly`](crate::message::ReplyOnly), which call these.
pub trait Port<M: Park, Request, Reply> {
    /// Runs the port's agent on a request, in the caller's context. It does not
    /// block. What it says is to be queued is to be given to [`Port::queue`] next.
    fn put(&self, request: Request) -> Put<Request, Reply>;

    /// Queues a message. Thread context or a message handler.
    ///
    /// # Errors
    /// The message comes back: [`Error::QueueFull`](crate::message::Error::QueueFull)
    /// or [`Error::Closed`](crate::message::Error::Closed).
    fn queue(
        &self,
        message: Message<M, Request, Reply>,
    ) -> Result<(), Refused<Message<M, Request, Reply>>>;

    /// Queues a message; waits while there is no room, at most until the message's
    /// deadline. Thread context.
    ///
    /// # Errors
    /// The message comes back: [`Error::TimedOut`](crate::message::Error::TimedOut)
    /// or [`Error::Closed`](crate::message::Error::Closed).
    fn queue_waiting(
        &self,
        leave: &MayBlock<M>,
        message: Message<M, Request, Reply>,
    ) -> Result<(), Refused<Message<M, Request, Reply>>>;

    /// Sends a request that wants no answer; a reply is dropped. A message that is
    /// queued past its deadline is dropped, too. Thread context or a message handler,
    /// as far as the agent allows.
    ///
    /// # Errors
    /// As of [`Port::queue`], with the request.
    fn tell(&self, request: Request, terms: Terms) -> Result<(), Refused<Request>> {
        tell_by(self, request, terms, |message| self.queue(message))
    }

    /// As [`Port::tell`], but waits while there is no room, at most until the deadline.
    /// Thread context.
    ///
    /// # Errors
    /// As of [`Port::queue_waiting`], with the request.
    fn tell_waiting(
        &self,
        leave: &MayBlock<M>,
        request: Request,
        terms: Terms,
    ) -> Result<(), Refused<Request>> {
        tell_by(self, request, terms, |message| {
            self.queue_waiting(leave, message)
        })
    }
}

/// Sends a request that wants no answer, queueing it by `queue` unless it is done at once.
fn tell_by<M: Park, Request, Reply>(
    port: &(impl Port<M, Request, Reply> + ?Sized),
    request: Request,
    terms: Terms,
    queue: impl FnOnce(Message<M, Request, Reply>) -> QueueResult<M, Request, Reply>,
) -> Result<(), Refused<Request>> {
    match port.put(request) {
        Put::Done(_) => Ok(()),
        Put::Queue(request) => queue(Message::unanswered(request, terms)).map_err(Refused::request),
    }
}

impl<M: Park, Request, Reply, P: Port<M, Request, Reply> + ?Sized> Port<M, Request, Reply>
    for Arc<P>
{
    #[inline(always)]
    fn put(&self, request: Request) -> Put<Request, Reply> {
        (**self).put(request)
    }

    fn queue(
        &self,
        message: Message<M, Request, Reply>,
    ) -> Result<(), Refused<Message<M, Request, Reply>>> {
        (**self).queue(message)
    }

    fn queue_waiting(
        &self,
        leave: &MayBlock<M>,
        message: Message<M, Request, Reply>,
    ) -> Result<(), Refused<Message<M, Request, Reply>>> {
        (**self).queue_waiting(leave, message)
    }
}
