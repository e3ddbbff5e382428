//! Threads that wait for a queue.

use alloc::collections::VecDeque;
use core::mem;

use crate::machine::Park;

/// Threads that wait for the same thing, in the order in which they came. Kept under
/// the lock of what they wait for.
///
/// A waiter stays in until it leaves by itself, with what it waited for or without.
/// Whoever provides something notifies a waiter that is not notified yet. A notified
/// waiter that finds nothing, because another thread was faster, says so and waits on;
/// one that leaves although there is something, has the next one notified. So while
/// there is something to have, and somebody waits, a waiter is on its way to it.
pub(crate) struct Waiters<M: Park> {
    list: VecDeque<Waiter<M>>,
    last_ticket: u64,
}

pub(crate) struct Waiter<M: Park> {
    ticket: Ticket,
    thread: M::Thread,
    notified: bool,
}

/// A waiter's place in the list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

/// Memory for a longer list, got while the lock is not held.
pub(crate) struct Spare<M: Park>(VecDeque<Waiter<M>>);

impl<M: Park> Spare<M> {
    /// No memory.
    pub fn none() -> Self {
        Self(VecDeque::new())
    }

    /// Memory for `waiters` waiters. Allocates.
    pub fn with_capacity(waiters: usize) -> Self {
        Self(VecDeque::with_capacity(waiters))
    }
}

impl<M: Park> Waiters<M> {
    /// Nobody. Has room for a few.
    pub fn new() -> Self {
        Self {
            list: VecDeque::with_capacity(4),
            last_ticket: 0,
        }
    }

    /// Adds `thread` at the end. `Err(n)`: the list needs memory for `n` waiters first,
    /// in `spare`, which is left with what is to be freed.
    pub fn add(&mut self, thread: &M::Thread, spare: &mut Spare<M>) -> Result<Ticket, usize> {
        if self.list.len() == self.list.capacity() {
            if spare.0.capacity() <= self.list.capacity() {
                return Err(2 * self.list.capacity().max(1));
            }
            spare.0.append(&mut self.list);
            mem::swap(&mut spare.0, &mut self.list);
        }
        self.last_ticket += 1;
        let ticket = Ticket(self.last_ticket);
        self.list.push_back(Waiter {
            ticket,
            thread: thread.clone(),
            notified: false,
        });
        Ok(ticket)
    }

    /// Notes that a waiter found nothing, and waits on.
    pub fn wait_on(&mut self, ticket: Ticket) {
        if let Some(waiter) = self.list.iter_mut().find(|waiter| waiter.ticket == ticket) {
            waiter.notified = false;
        }
    }

    /// Takes a waiter out. It is the caller's to drop, without the lock.
    pub fn remove(&mut self, ticket: Ticket) -> Option<Waiter<M>> {
        let index = self
            .list
            .iter()
            .position(|waiter| waiter.ticket == ticket)?;
        self.list.remove(index)
    }

    /// The first waiter that is not notified yet, and now is: to be unparked.
    #[inline]
    pub fn notify(&mut self) -> Option<M::Thread> {
        let waiter = self.list.iter_mut().find(|waiter| !waiter.notified)?;
        waiter.notified = true;
        Some(waiter.thread.clone())
    }
}
