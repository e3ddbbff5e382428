//! Ports with a queue.

use alloc::sync::Arc;

use super::agent::{Agent, Enqueue};
use super::queue::Queue;
use super::receiver::{Many, Receiver, Sole};
use super::{Port, Put};
use crate::critical::MayBlock;
use crate::machine::Park;
use crate::message::{Message, Refused};

/// How many messages a port holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub(super) normal: usize,
    pub(super) urgent: usize,
    pub(super) kept: usize,
}

impl Bounds {
    /// `messages` places in the queue, and as many in the urgent queue; a receiver may
    /// keep as many messages unanswered.
    ///
    /// # Panics
    /// When `messages` is 0.
    pub const fn new(messages: usize) -> Self {
        assert!(messages > 0, "a queue without places takes no message");
        Self {
            normal: messages,
            urgent: messages,
            kept: messages,
        }
    }

    /// The same, but `messages` places in the urgent queue.
    ///
    /// # Panics
    /// When `messages` is 0.
    pub const fn urgent(self, messages: usize) -> Self {
        assert!(messages > 0, "a queue without places takes no message");
        Self {
            urgent: messages,
            ..self
        }
    }

    /// The same, but each receiver may keep `messages` messages that it has not
    /// answered.
    ///
    /// # Panics
    /// When `messages` is 0.
    pub const fn kept(self, messages: usize) -> Self {
        assert!(messages > 0, "a receiver without places takes no message");
        Self {
            kept: messages,
            ..self
        }
    }
}

/// A port for one receiving thread, and its receiver. Allocates.
#[allow(clippy::type_complexity, reason = "a pair, like that of a channel")]
pub fn thread_port<M: Park, Request, Reply>(
    bounds: Bounds,
) -> (
    QueuePort<M, Request, Reply>,
    Receiver<M, Request, Reply, Sole>,
) {
    let queue = Arc::new(Queue::new(bounds));
    (QueuePort::of(queue.clone()), Receiver::of(queue))
}

/// A port for any number of receiving threads, and the first receiver. Each message
/// goes to one of them. Allocates.
#[allow(clippy::type_complexity, reason = "a pair, like that of a channel")]
pub fn spin_port<M: Park, Request, Reply>(
    bounds: Bounds,
) -> (
    QueuePort<M, Request, Reply>,
    Receiver<M, Request, Reply, Many>,
) {
    let queue = Arc::new(Queue::new(bounds));
    (QueuePort::of(queue.clone()), Receiver::of(queue))
}

/// A port with a queue: a counted reference to it, for senders.
///
/// The port stays open until its last [`Receiver`] is dropped or someone
/// [closes](QueuePort::close) it; that no sender is left does not close it.
pub struct QueuePort<M: Park, Request, Reply, A = Enqueue> {
    queue: Arc<Queue<M, Request, Reply>>,
    agent: A,
}

impl<M: Park, Request, Reply> QueuePort<M, Request, Reply> {
    pub(super) fn of(queue: Arc<Queue<M, Request, Reply>>) -> Self {
        Self {
            queue,
            agent: Enqueue,
        }
    }
}

impl<M: Park, Request, Reply, A> QueuePort<M, Request, Reply, A> {
    /// The same port with another agent, to be given to senders.
    pub fn with_agent<B: Agent<Request, Reply>>(
        &self,
        agent: B,
    ) -> QueuePort<M, Request, Reply, B> {
        QueuePort {
            queue: self.queue.clone(),
            agent,
        }
    }

    /// Closes the port: what is queued is answered with
    /// [`Error::Closed`](crate::message::Error::Closed), later messages are refused,
    /// receivers and waiting senders end their wait. Thread context or a message
    /// handler; requests that are queued are dropped here.
    pub fn close(&self) {
        self.queue.close();
    }

    /// Whether the port has been closed.
    pub fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }
}

impl<M: Park, Request, Reply, A: Clone> Clone for QueuePort<M, Request, Reply, A> {
    fn clone(&self) -> Self {
        Self {
            queue: self.queue.clone(),
            agent: self.agent.clone(),
        }
    }
}

impl<M: Park, Request, Reply, A: Agent<Request, Reply>> Port<M, Request, Reply>
    for QueuePort<M, Request, Reply, A>
{
    #[inline(always)]
    fn put(&self, request: Request) -> Put<Request, Reply> {
        self.agent.put(request)
    }

    fn queue(
        &self,
        message: Message<M, Request, Reply>,
    ) -> Result<(), Refused<Message<M, Request, Reply>>> {
        self.queue.push(message)
    }

    fn queue_waiting(
        &self,
        leave: &MayBlock<M>,
        message: Message<M, Request, Reply>,
    ) -> Result<(), Refused<Message<M, Request, Reply>>> {
        self.queue.push_waiting(leave, message)
    }
}
