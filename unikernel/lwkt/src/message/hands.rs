//! The messages that a receiver has taken and not answered.

use alloc::collections::VecDeque;
use core::mem;

use super::id::MessageId;
use crate::machine::Park;
use crate::spin::SpinLock;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What a receiver keeps, as far as others need to know: how many messages, and
/// which of them their senders want stopped.
///
/// Every message in the hands has a *place* reserved among the notices. The notice
/// takes the place over, and frees it when it is collected; a message that is
/// answered without a notice frees it at once. So notices always find room.
pub(crate) struct Hands<M: Park> {
    places: usize,
    /// Only the receiver adds to it.
    reserved: AtomicUsize,
    /// Whether there are notices: spares the receiver the lock.
    noticed: AtomicBool,
    state: SpinLock<M, State<M>>,
}

struct State<M: Park> {
    /// Oldest first; never more than `places`.
    notices: VecDeque<MessageId>,
    /// The receiver, when it waits.
    receiver: Option<M::Thread>,
}

impl<M: Park> Hands<M> {
    pub fn new(places: usize) -> Self {
        Self {
            places,
            reserved: AtomicUsize::new(0),
            noticed: AtomicBool::new(false),
            state: SpinLock::new(State {
                notices: VecDeque::with_capacity(places),
                receiver: None,
            }),
        }
    }

    /// Whether there is no place for another message. The receiver asks before it
    /// takes one.
    pub fn are_full(&self) -> bool {
        self.reserved.load(Ordering::Relaxed) >= self.places
    }

    /// Reserves the place of a message that the receiver takes.
    pub fn reserve(&self) {
        self.reserved.fetch_add(1, Ordering::Relaxed);
    }

    /// Frees the place of a message that left without a notice.
    pub fn release(&self) {
        self.reserved.fetch_sub(1, Ordering::Relaxed);
    }

    /// Leaves a notice about a message whose place is reserved; the receiver, if it
    /// waits, is to be unparked. Called with the lock of the message's slots held: so
    /// the notice is there before anyone can find that the message is over.
    #[must_use]
    pub fn leave_notice(&self, id: MessageId) -> Option<M::Thread> {
        let mut state = self.state.lock();
        debug_assert!(state.notices.len() < self.places, "a notice has a place");
        state.notices.push_back(id);
        self.noticed.store(true, Ordering::Release);
        state.receiver.take()
    }

    /// Takes the oldest notice, and frees its place.
    pub fn next_notice(&self) -> Option<MessageId> {
        if !self.noticed.load(Ordering::Acquire) {
            return None;
        }
        let id = {
            let mut state = self.state.lock();
            let id = state.notices.pop_front();
            self.noticed
                .store(!state.notices.is_empty(), Ordering::Relaxed);
            id?
        };
        self.release();
        Some(id)
    }

    /// Has the next notice wake `thread`; whether there is one already.
    pub fn arm(&self, thread: M::Thread) -> bool {
        let mut waiting = Some(thread);
        let mut state = self.state.lock();
        if !state.notices.is_empty() {
            return true;
        }
        mem::swap(&mut state.receiver, &mut waiting);
        false
    }

    /// Undoes [`Hands::arm`].
    pub fn disarm(&self) {
        let previous = self.state.lock().receiver.take();
        drop(previous);
    }
}
