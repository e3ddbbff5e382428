//! [`Slots`] behind a lock, shared by a mailbox and whoever owes it an answer.

use alloc::sync::Arc;

use super::Outcome;
use super::error::Error;
use super::hands::Hands;
use super::id::{MessageId, new_origin};
use super::reply_to::Standing;
use super::slots::{Collector, Effects, Slots};
use crate::machine::{Nanos, Park};
use crate::spin::SpinLock;

/// See the module. Every function locks, changes the slots, unlocks, and only then
/// wakes threads; what the slots held is dropped by the caller.
pub(crate) struct Table<M: Park, Reply> {
    capacity: u32,
    slots: SpinLock<M, Slots<M, Reply>>,
}

impl<M: Park, Reply> Table<M, Reply> {
    pub fn new(capacity: u32) -> Self {
        Self {
            capacity,
            slots: SpinLock::new(Slots::new(new_origin(), capacity)),
        }
    }

    /// See [`Slots::open`].
    pub fn open(&self, deadline: Option<Nanos>, collector: Collector<M>) -> Option<MessageId> {
        self.slots.lock().open(deadline, collector)
    }

    /// See [`Slots::set_deadline`].
    pub fn set_deadline(&self, id: MessageId, deadline: Nanos) {
        self.slots.lock().set_deadline(id, deadline);
    }

    /// See [`Slots::withdraw`].
    pub fn withdraw(&self, id: MessageId) -> bool {
        self.slots.lock().withdraw(id)
    }

    /// See [`Slots::take`].
    pub fn take(&self, id: MessageId, hands: &Arc<Hands<M>>) -> bool {
        self.slots.lock().take(id, hands)
    }

    /// See [`Slots::leave_hands`].
    pub fn leave_hands(&self, id: MessageId) -> Result<Option<Arc<Hands<M>>>, Error> {
        self.slots.lock().leave_hands(id)
    }

    /// See [`Slots::return_to_hands`]; frees the place of a message that is over.
    pub fn return_to_hands(&self, id: MessageId, hands: Arc<Hands<M>>) {
        let result = self.slots.lock().return_to_hands(id, hands);
        if let Err(hands) = result {
            hands.release();
        }
    }

    /// Answers a message; gives the answer back when the message is over.
    pub fn answer(&self, id: MessageId, outcome: Outcome<Reply>) -> Result<(), Outcome<Reply>> {
        let result = self.slots.lock().answer(id, outcome);
        result.map(|effects| effects.carry_out())
    }

    /// See [`Slots::abort`].
    pub fn abort(&self, id: MessageId) {
        let effects = self.slots.lock().abort(id);
        effects.carry_out();
    }

    /// See [`Slots::standing`].
    pub fn standing(&self, id: MessageId) -> Standing {
        self.slots.lock().standing(id)
    }

    /// See [`Slots::collect`].
    pub fn collect(
        &self,
        id: MessageId,
        overdue: bool,
        mut watcher: Option<M::Thread>,
    ) -> Option<Outcome<Reply>> {
        let collected = self.slots.lock().collect(id, overdue, &mut watcher);
        let (outcome, effects) = collected?;
        effects.carry_out();
        Some(outcome)
    }

    /// Has the answer for a handle wake `watcher`; whether it is there already.
    pub fn watch(&self, id: MessageId, mut watcher: Option<M::Thread>) -> bool {
        self.slots.lock().watch(id, &mut watcher)
    }

    /// Forgets a message whatever its state.
    pub fn abandon(&self, id: MessageId) {
        let (outcome, effects): (_, Effects<M>) = self.slots.lock().abandon(id);
        effects.carry_out();
        drop(outcome);
    }

    /// Forgets all that the mailbox has out or has not collected.
    pub fn abandon_mailbox(&self) {
        for index in 0..self.capacity {
            let id = self.slots.lock().of_mailbox(index);
            if let Some(id) = id {
                self.abandon(id);
            }
        }
    }

    /// The oldest answer for the mailbox, after answering what is overdue.
    pub fn next_answer(&self) -> Option<(MessageId, Outcome<Reply>)> {
        loop {
            let mut slots = self.slots.lock();
            if let Some(answer) = slots.next_answer() {
                return Some(answer);
            }
            let (deadline, id) = slots.earliest()?;
            if M::now() < deadline {
                return None;
            }
            let effects = slots.expire(id);
            drop(slots);
            effects.carry_out();
        }
    }

    /// Has the next answer for the mailbox wake `thread`, and says when to look if
    /// none comes. An error when there is something to collect already.
    pub fn watch_all(&self, thread: M::Thread) -> Result<Option<Nanos>, Ready> {
        let mut thread = Some(thread);
        let mut slots = self.slots.lock();
        if slots.watch_all(&mut thread) {
            return Err(Ready);
        }
        match slots.earliest() {
            Some((deadline, _)) if M::now() >= deadline => Err(Ready),
            Some((deadline, _)) => Ok(Some(deadline)),
            None => Ok(None),
        }
    }

    /// Undoes [`Table::watch_all`].
    pub fn unwatch_all(&self) {
        let mut nobody = None;
        self.slots.lock().watch_all(&mut nobody);
    }

    /// See [`Slots::is_idle`].
    pub fn is_idle(&self) -> bool {
        self.slots.lock().is_idle()
    }
}

/// There is something to collect.
pub(crate) struct Ready;
