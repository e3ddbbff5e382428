//! Reply-only ports: answers that call a function.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use super::error::Refused;
use super::id::{MessageId, new_origin};
use super::reply_to::{ReplyTo, Sink};
use super::{Message, Outcome, Terms};
use crate::machine::Park;
use crate::port::{Port, Put};

/// Sends messages whose answers call a function, in the context of whoever answers.
///
/// Nothing waits here. So a message that is overdue is answered with
/// [`Error::TimedOut`](super::Error::TimedOut) when its receiver next touches it, not
/// at the deadline; and messages cannot be aborted.
pub struct ReplyOnly<Reply> {
    sink: Arc<Sink<Reply>>,
    origin: u64,
    sequence: AtomicU64,
}

impl<Reply> ReplyOnly<Reply> {
    /// Answers are given to `function`, once each, with the names of their messages.
    /// It is called in thread context or in a message handler, wherever the message
    /// is answered or dropped, and so must not block. Allocates.
    pub fn new(function: impl Fn(MessageId, Outcome<Reply>) + Send + Sync + 'static) -> Self {
        Self {
            sink: Arc::new(function),
            origin: new_origin(),
            sequence: AtomicU64::new(0),
        }
    }

    /// Sends `request` to `port`. The answer may be given before this returns.
    /// Thread context or a message handler, as far as the port's agent allows.
    ///
    /// # Errors
    /// [`Error::QueueFull`](super::Error::QueueFull) or
    /// [`Error::Closed`](super::Error::Closed), with the request; then there is no
    /// answer.
    pub fn send<M: Park, Request>(
        &self,
        port: &(impl Port<M, Request, Reply> + ?Sized),
        request: Request,
        terms: Terms,
    ) -> Result<MessageId, Refused<Request>> {
        let id = MessageId {
            origin: self.origin,
            sequence: self.sequence.fetch_add(1, Ordering::Relaxed),
            slot: 0,
        };
        match port.put(request) {
            Put::Done(reply) => (self.sink)(id, Ok(reply)),
            Put::Queue(request) => {
                let reply_to = ReplyTo::sink(self.sink.clone(), id, terms.deadline);
                port.queue(Message::new(request, reply_to, terms.urgent))
                    .or_else(Refused::withdraw)?;
            }
        }
        Ok(id)
    }
}
