//! Agents: a port's code in the sender's thread.

use super::{Port, Put};
use crate::critical::MayBlock;
use crate::machine::Park;
use crate::message::{Message, Refused};

/// What a port does with a request there and then, in the sender's context.
///
/// It must not block; what would have to is queued. It may run on many CPUs at once.
/// Functions `Fn(Request) -> Put<Request, Reply>` are agents.
pub trait Agent<Request, Reply> {
    /// Replies, or has the request queued.
    fn put(&self, request: Request) -> Put<Request, Reply>;
}

impl<Request, Reply, F: Fn(Request) -> Put<Request, Reply>> Agent<Request, Reply> for F {
    #[inline(always)]
    fn put(&self, request: Request) -> Put<Request, Reply> {
        self(request)
    }
}

/// The agent that queues everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Enqueue;

impl<Request, Reply> Agent<Request, Reply> for Enqueue {
    #[inline(always)]
    fn put(&self, request: Request) -> Put<Request, Reply> {
        Put::Queue(request)
    }
}

/// A port without a queue: a function that answers every request, in the sender's
/// context. It must not block.
#[derive(Clone, Copy, Debug)]
pub struct PutOnly<F>(F);

impl<F> PutOnly<F> {
    /// The port of `function`.
    pub const fn new(function: F) -> Self {
        Self(function)
    }
}

impl<M: Park, Request, Reply, F: Fn(Request) -> Reply> Port<M, Request, Reply> for PutOnly<F> {
    #[inline(always)]
    fn put(&self, request: Request) -> Put<Request, Reply> {
        Put::Done((self.0)(request))
    }

    /// Nobody needs to, for nothing is left to be queued; answers the message all the
    /// same.
    fn queue(
        &self,
        message: Message<M, Request, Reply>,
    ) -> Result<(), Refused<Message<M, Request, Reply>>> {
        let (request, reply_to) = message.into_parts();
        // A late reply is nobody's.
        let _ = reply_to.reply((self.0)(request));
        Ok(())
    }

    fn queue_waiting(
        &self,
        _leave: &MayBlock<M>,
        message: Message<M, Request, Reply>,
    ) -> Result<(), Refused<Message<M, Request, Reply>>> {
        self.queue(message)
    }
}
