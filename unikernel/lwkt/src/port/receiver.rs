//! The receiving end of a port.

use alloc::sync::Arc;
use core::marker::PhantomData;

use super::queue::{NoMessage, Queue};
use super::queue_port::QueuePort;
use super::source::{Readiness, Source};
use super::waiters::Ticket;
use crate::critical::MayBlock;
use crate::machine::{Nanos, Park};
use crate::message::{Error, Hands, Message, MessageId};

/// Marks the receiver of a thread port: there is only the one.
pub enum Sole {}

/// Marks a receiver of a spin port: it can be cloned.
pub enum Many {}

/// Takes messages from a port. When the last receiver of a port is dropped, the port
/// is closed; see [`QueuePort::close`]. Messages that it has taken live on.
///
/// A thread that ends drops its receiver, and with it closes its port. Whoever ends
/// threads without dropping what they own has to close their ports.
pub struct Receiver<M: Park, Request, Reply, Kind = Sole> {
    queue: Arc<Queue<M, Request, Reply>>,
    hands: Arc<Hands<M>>,
    /// While it waits.
    ticket: Option<Ticket>,
    _kind: PhantomData<fn() -> Kind>,
}

/// What a receiver gets.
pub enum Received<M: Park, Request, Reply> {
    /// A message, now the receiver's to answer.
    Message(Message<M, Request, Reply>),
    /// About a message that this receiver has taken: its sender wants the work
    /// stopped, ran out of time or does not wait any more;
    /// [`Message::standing`] tells. The receiver may have answered or forwarded it
    /// already. Comes at most once for each message taken.
    Abort(MessageId),
}

impl<M: Park, Request, Reply, Kind> Receiver<M, Request, Reply, Kind> {
    pub(super) fn of(queue: Arc<Queue<M, Request, Reply>>) -> Self {
        let hands = Arc::new(Hands::new(queue.bounds().kept));
        Self {
            queue,
            hands,
            ticket: None,
            _kind: PhantomData,
        }
    }

    /// The port, for senders.
    pub fn port(&self) -> QueuePort<M, Request, Reply> {
        QueuePort::of(self.queue.clone())
    }

    /// The next thing that is there: news about messages already taken first, then
    /// urgent messages. Thread context or a message handler.
    ///
    /// # Errors
    /// [`Error::Closed`], and [`Error::HandsFull`] when the receiver may take no more
    /// before it has answered some.
    pub fn get(&mut self) -> Result<Option<Received<M, Request, Reply>>, Error> {
        if let Some(id) = self.hands.next_notice() {
            return Ok(Some(Received::Abort(id)));
        }
        if self.hands.are_full() {
            return Err(Error::HandsFull);
        }
        loop {
            match self.queue.pop() {
                Ok(message) => {
                    if let Some(message) = message.take(&self.hands) {
                        return Ok(Some(Received::Message(message)));
                    }
                }
                Err(NoMessage::Empty) => return Ok(None),
                Err(NoMessage::Closed) => return Err(Error::Closed),
            }
        }
    }

    /// Waits for what [`Receiver::get`] would return, at most until `deadline`. Thread
    /// context.
    ///
    /// # Errors
    /// As of `get`, and [`Error::TimedOut`].
    pub fn wait(
        &mut self,
        leave: &MayBlock<M>,
        deadline: Option<Nanos>,
    ) -> Result<Received<M, Request, Reply>, Error> {
        let result = loop {
            match self.get() {
                Ok(None) => {}
                Ok(Some(received)) => break Ok(received),
                Err(error) => break Err(error),
            }
            if let Readiness::Ready = self.arm() {
                continue;
            }
            if deadline.is_some_and(|deadline| M::now() >= deadline) {
                break Err(Error::TimedOut);
            }
            M::park(leave, deadline);
        };
        self.disarm();
        result
    }
}

impl<M: Park, Request, Reply, Kind> Source<M> for Receiver<M, Request, Reply, Kind> {
    fn arm(&mut self) -> Readiness {
        let ready = self.hands.are_full()
            || self.hands.arm(M::current())
            || self.queue.arm(&mut self.ticket);
        if ready {
            Readiness::Ready
        } else {
            Readiness::Wait(None)
        }
    }

    fn disarm(&mut self) {
        self.hands.disarm();
        self.queue.disarm(&mut self.ticket);
    }
}

/// Another receiver of the same port, with nothing taken. Allocates.
impl<M: Park, Request, Reply> Clone for Receiver<M, Request, Reply, Many> {
    fn clone(&self) -> Self {
        self.queue.add_receiver();
        Self::of(self.queue.clone())
    }
}

impl<M: Park, Request, Reply, Kind> Drop for Receiver<M, Request, Reply, Kind> {
    fn drop(&mut self) {
        self.queue.disarm(&mut self.ticket);
        self.queue.remove_receiver();
    }
}
