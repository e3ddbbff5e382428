//! The queue of a port.

use alloc::collections::VecDeque;

use super::queue_port::Bounds;
use super::waiters::{Spare, Ticket, Waiters};
use crate::critical::MayBlock;
use crate::machine::Park;
use crate::message::{Error, Message, Refused};
use crate::spin::SpinLock;
use crate::sync::atomic::{AtomicUsize, Ordering};

/// Messages on their way to the receivers of one port, shared by all CPUs.
pub(crate) struct Queue<M: Park, Request, Reply> {
    bounds: Bounds,
    receivers: AtomicUsize,
    state: SpinLock<M, State<M, Request, Reply>>,
}

struct State<M: Park, Request, Reply> {
    urgent: Lane<M, Request, Reply>,
    normal: Lane<M, Request, Reply>,
    /// Receivers that wait for a message.
    receivers: Waiters<M>,
    closed: bool,
}

/// Messages of the same urgency.
struct Lane<M: Park, Request, Reply> {
    messages: VecDeque<Message<M, Request, Reply>>,
    places: usize,
    /// Senders that wait for a place.
    senders: Waiters<M>,
}

/// A message that has left a lane, and who waits for its place.
struct Popped<M: Park, Request, Reply> {
    message: Message<M, Request, Reply>,
    sender: Option<M::Thread>,
}

/// Why there is no message.
pub(crate) enum NoMessage {
    /// None has come.
    Empty,
    /// None will come.
    Closed,
}

impl<M: Park, Request, Reply> Lane<M, Request, Reply> {
    fn new(places: usize) -> Self {
        Self {
            messages: VecDeque::with_capacity(places),
            places,
            senders: Waiters::new(),
        }
    }

    fn is_full(&self) -> bool {
        self.messages.len() >= self.places
    }

    fn pop(&mut self) -> Option<Popped<M, Request, Reply>> {
        let message = self.messages.pop_front()?;
        let sender = self.senders.notify();
        Some(Popped { message, sender })
    }
}

impl<M: Park, Request, Reply> State<M, Request, Reply> {
    fn lane(&mut self, urgent: bool) -> &mut Lane<M, Request, Reply> {
        if urgent {
            &mut self.urgent
        } else {
            &mut self.normal
        }
    }

    fn is_empty(&self) -> bool {
        self.urgent.messages.is_empty() && self.normal.messages.is_empty()
    }

    /// Whoever waits and has not been notified.
    fn anyone(&mut self) -> Option<M::Thread> {
        self.receivers
            .notify()
            .or_else(|| self.urgent.senders.notify())
            .or_else(|| self.normal.senders.notify())
    }
}

impl<M: Park, Request, Reply> Queue<M, Request, Reply> {
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            receivers: AtomicUsize::new(1),
            state: SpinLock::new(State {
                urgent: Lane::new(bounds.urgent),
                normal: Lane::new(bounds.normal),
                receivers: Waiters::new(),
                closed: false,
            }),
        }
    }

    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Queues a message, or gives it back.
    pub fn push(
        &self,
        message: Message<M, Request, Reply>,
    ) -> Result<(), Refused<Message<M, Request, Reply>>> {
        let mut state = self.state.lock();
        let closed = state.closed;
        let lane = state.lane(message.is_urgent());
        if closed || lane.is_full() {
            drop(state);
            return Err(Refused {
                error: if closed {
                    Error::Closed
                } else {
                    Error::QueueFull
                },
                returned: message,
            });
        }
        lane.messages.push_back(message);
        let receiver = state.receivers.notify();
        drop(state);
        wake::<M>(receiver);
        Ok(())
    }

    /// Queues a message, after waiting for room until its deadline; or gives it back.
    pub fn push_waiting(
        &self,
        leave: &MayBlock<M>,
        message: Message<M, Request, Reply>,
    ) -> Result<(), Refused<Message<M, Request, Reply>>> {
        let message = match self.push(message) {
            Err(refused) if refused.error == Error::QueueFull => refused.returned,
            result => return result,
        };
        let deadline = message.deadline();
        let me = M::current();
        let mut ticket = None;
        let mut spare = Spare::none();
        loop {
            let overdue = deadline.is_some_and(|deadline| M::now() >= deadline);
            let mut state = self.state.lock();
            let closed = state.closed;
            let lane = state.lane(message.is_urgent());
            if closed || overdue || !lane.is_full() {
                // Leave, with the message or without.
                let waiter = ticket.and_then(|ticket| lane.senders.remove(ticket));
                let error = if closed {
                    Error::Closed
                } else if lane.is_full() {
                    Error::TimedOut
                } else {
                    lane.messages.push_back(message);
                    let receiver = state.receivers.notify();
                    drop(state);
                    drop(waiter);
                    wake::<M>(receiver);
                    return Ok(());
                };
                drop(state);
                drop(waiter);
                return Err(Refused {
                    error,
                    returned: message,
                });
            }
            match ticket {
                Some(ticket) => lane.senders.wait_on(ticket),
                None => match lane.senders.add(&me, &mut spare) {
                    Ok(new) => ticket = Some(new),
                    Err(waiters) => {
                        drop(state);
                        spare = Spare::with_capacity(waiters);
                        continue;
                    }
                },
            }
            drop(state);
            M::park(leave, deadline);
        }
    }

    /// Takes the next message.
    pub fn pop(&self) -> Result<Message<M, Request, Reply>, NoMessage> {
        let mut state = self.state.lock();
        let nothing = if state.closed {
            NoMessage::Closed
        } else {
            NoMessage::Empty
        };
        let urgent = state.urgent.pop();
        let Popped { message, sender } = urgent.or_else(|| state.normal.pop()).ok_or(nothing)?;
        drop(state);
        wake::<M>(sender);
        Ok(message)
    }

    /// Has the next message wake the calling receiver; whether there is something to
    /// see already.
    pub fn arm(&self, ticket: &mut Option<Ticket>) -> bool {
        let me = M::current();
        let mut spare = Spare::none();
        loop {
            let mut state = self.state.lock();
            if state.closed || !state.is_empty() {
                return true;
            }
            match *ticket {
                Some(ticket) => {
                    state.receivers.wait_on(ticket);
                    return false;
                }
                None => match state.receivers.add(&me, &mut spare) {
                    Ok(new) => {
                        *ticket = Some(new);
                        return false;
                    }
                    Err(waiters) => {
                        drop(state);
                        spare = Spare::with_capacity(waiters);
                    }
                },
            }
        }
    }

    /// Undoes [`Queue::arm`]; another receiver is woken if there is something left.
    pub fn disarm(&self, ticket: &mut Option<Ticket>) {
        let Some(ticket) = ticket.take() else {
            return;
        };
        let mut state = self.state.lock();
        let waiter = state.receivers.remove(ticket);
        let next = if state.is_empty() {
            None
        } else {
            state.receivers.notify()
        };
        drop(state);
        drop(waiter);
        wake::<M>(next);
    }

    /// Takes no more messages, answers those that are here, wakes everyone.
    pub fn close(&self) {
        self.state.lock().closed = true;
        while let Ok(message) = self.pop() {
            message.fail(Error::Closed);
        }
        loop {
            let waiter = self.state.lock().anyone();
            match waiter {
                Some(thread) => M::unpark(&thread),
                None => break,
            }
        }
    }

    pub fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    /// Counts another receiver.
    pub fn add_receiver(&self) {
        self.receivers.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a receiver less; the last one closes the queue.
    pub fn remove_receiver(&self) {
        if self.receivers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.close();
        }
    }
}

/// Unparks a thread, with no lock held.
fn wake<M: Park>(thread: Option<M::Thread>) {
    if let Some(thread) = thread {
        M::unpark(&thread);
    }
}
