//! Where answers are kept: the state of every message that a mailbox has out.
//!
//! Pure bookkeeping, without a lock or a clock. A message changes from *open* to
//! *answered* once, here and nowhere else; so it has one answer, whoever tries to
//! give it.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;

use super::Outcome;
use super::error::Error;
use super::hands::Hands;
use super::id::MessageId;
use super::reply_to::Standing;
use crate::machine::{Nanos, Park};

/// A fixed number of slots; see the module.
pub(crate) struct Slots<M: Park, Reply> {
    origin: u64,
    slots: Box<[Slot<M, Reply>]>,
    free: Vec<u32>,
    /// Answered slots that the mailbox collects, oldest first.
    answered: VecDeque<u32>,
    /// Slots in use that the mailbox collects.
    by_mailbox: usize,
    /// How many of these are open and have a deadline.
    timed: usize,
    /// Of the last message.
    sequence: u64,
    /// The thread that waits for any answer.
    owner: Option<M::Thread>,
}

struct Slot<M: Park, Reply> {
    /// Which message it is, or was, for.
    sequence: u64,
    collector: Collector<M>,
    state: State<M, Reply>,
}

/// Who collects an answer.
pub(crate) enum Collector<M: Park> {
    /// The mailbox, among others.
    Mailbox,
    /// The message's own handle; the thread, when it waits.
    Handle(Option<M::Thread>),
}

enum State<M: Park, Reply> {
    Free,
    Open {
        deadline: Option<Nanos>,
        place: Place<M>,
    },
    Answered(Outcome<Reply>),
}

/// Where an open message is.
enum Place<M: Park> {
    /// In a port's queue, or on the way to one.
    Port,
    /// With a receiver.
    Receiver {
        hands: Arc<Hands<M>>,
        /// A notice has been sent.
        told: bool,
    },
}

/// What is left to do when the slots are no longer locked.
#[must_use]
pub(crate) struct Effects<M: Park> {
    /// The sender, if it waits.
    sender: Option<M::Thread>,
    /// The receiver, if there is a notice for it and it waits.
    receiver: Option<M::Thread>,
    /// Only to be dropped.
    _watcher: Option<M::Thread>,
    /// Only to be dropped.
    _hands: Option<Arc<Hands<M>>>,
}

impl<M: Park> Effects<M> {
    const NONE: Self = Self {
        sender: None,
        receiver: None,
        _watcher: None,
        _hands: None,
    };

    /// Thread context or a message handler; no lock is held.
    pub fn carry_out(self) {
        for thread in [&self.sender, &self.receiver].into_iter().flatten() {
            M::unpark(thread);
        }
    }
}

/// Who ended a message.
#[derive(Clone, Copy)]
enum By {
    /// Who holds it, and so knows.
    Holder,
    /// Its sender, or time: the holder is to be told of this message.
    Other(MessageId),
}

impl<M: Park> Place<M> {
    /// Clears up after a message that was here. A notice that was sent already is
    /// enough, and has the message's place.
    fn ended(self, by: By) -> Effects<M> {
        let Self::Receiver { hands, told } = self else {
            return Effects::NONE;
        };
        let receiver = match by {
            _ if told => None,
            By::Other(id) => hands.leave_notice(id),
            By::Holder => {
                hands.release();
                None
            }
        };
        Effects {
            receiver,
            _hands: Some(hands),
            ..Effects::NONE
        }
    }
}

impl<M: Park, Reply> Slots<M, Reply> {
    pub fn new(origin: u64, capacity: u32) -> Self {
        Self {
            origin,
            slots: (0..capacity)
                .map(|_| Slot {
                    sequence: 0,
                    collector: Collector::Mailbox,
                    state: State::Free,
                })
                .collect(),
            free: (0..capacity).rev().collect(),
            answered: VecDeque::with_capacity(capacity as usize),
            by_mailbox: 0,
            timed: 0,
            sequence: 0,
            owner: None,
        }
    }

    /// Opens a slot for a message that is on its way to a port; `None` when all are
    /// in use.
    pub fn open(&mut self, deadline: Option<Nanos>, collector: Collector<M>) -> Option<MessageId> {
        let index = self.free.pop()?;
        self.sequence += 1;
        if matches!(collector, Collector::Mailbox) {
            self.by_mailbox += 1;
            self.timed += usize::from(deadline.is_some());
        }
        self.slots[index as usize] = Slot {
            sequence: self.sequence,
            collector,
            state: State::Open {
                deadline,
                place: Place::Port,
            },
        };
        Some(MessageId {
            origin: self.origin,
            sequence: self.sequence,
            slot: index,
        })
    }

    /// Gives an open message of the mailbox, which has none, a deadline.
    pub fn set_deadline(&mut self, id: MessageId, by: Nanos) {
        if let Some(slot) = self.slot(id)
            && let State::Open { deadline, .. } = &mut slot.state
        {
            *deadline = Some(by);
            self.timed += 1;
        }
    }

    fn slot(&mut self, id: MessageId) -> Option<&mut Slot<M, Reply>> {
        let of_us = id.origin == self.origin;
        let slot = self.slots.get_mut(id.slot as usize)?;
        (of_us && slot.sequence == id.sequence).then_some(slot)
    }

    fn place(&mut self, id: MessageId) -> Option<&mut Place<M>> {
        match &mut self.slot(id)?.state {
            State::Open { place, .. } => Some(place),
            _ => None,
        }
    }

    /// Ends an open message; where it was. Its slot is to be settled or freed next.
    fn end(&mut self, id: MessageId) -> Option<Place<M>> {
        let slot = self.slot(id)?;
        match mem::replace(&mut slot.state, State::Free) {
            State::Open { deadline, place } => {
                if matches!(slot.collector, Collector::Mailbox) {
                    self.timed -= usize::from(deadline.is_some());
                }
                Some(place)
            }
            other => {
                slot.state = other;
                None
            }
        }
    }

    /// Puts the answer of a message that has just ended into its slot; whom to wake.
    fn settle(&mut self, id: MessageId, outcome: Outcome<Reply>) -> Option<M::Thread> {
        let slot = &mut self.slots[id.slot as usize];
        slot.state = State::Answered(outcome);
        match &mut slot.collector {
            Collector::Handle(watcher) => watcher.take(),
            Collector::Mailbox => {
                self.answered.push_back(id.slot);
                self.owner.take()
            }
        }
    }

    /// Frees the slot of a message that has just ended or been collected. Who
    /// watched it, to be dropped without the lock.
    fn free(&mut self, id: MessageId) -> Option<M::Thread> {
        self.free.push(id.slot);
        match &mut self.slots[id.slot as usize].collector {
            Collector::Handle(watcher) => watcher.take(),
            Collector::Mailbox => {
                self.by_mailbox -= 1;
                None
            }
        }
    }

    /// Frees the slot of a message that no port took; `false` when it has been
    /// answered meanwhile, which makes it count as sent.
    pub fn withdraw(&mut self, id: MessageId) -> bool {
        let was_open = self.end(id).is_some();
        if was_open {
            // Nobody has had the handle, so nobody watches it.
            self.free(id);
        }
        was_open
    }

    /// Moves a message from its port to a receiver; `false` when it is over.
    pub fn take(&mut self, id: MessageId, hands: &Arc<Hands<M>>) -> bool {
        match self.place(id) {
            Some(place) => {
                hands.reserve();
                *place = Place::Receiver {
                    hands: hands.clone(),
                    told: false,
                };
                true
            }
            None => false,
        }
    }

    /// Moves a message from its receiver to a port. The hands that it was in still
    /// have its place reserved.
    pub fn leave_hands(&mut self, id: MessageId) -> Result<Option<Arc<Hands<M>>>, Error> {
        let place = self.place(id).ok_or(Error::Over)?;
        if let Place::Receiver { told: true, .. } = place {
            return Err(Error::Aborted);
        }
        match mem::replace(place, Place::Port) {
            Place::Port => Ok(None),
            Place::Receiver { hands, .. } => Ok(Some(hands)),
        }
    }

    /// Undoes [`Slots::leave_hands`]; gives the hands back when the message is over.
    pub fn return_to_hands(
        &mut self,
        id: MessageId,
        hands: Arc<Hands<M>>,
    ) -> Result<(), Arc<Hands<M>>> {
        match self.place(id) {
            Some(place) => {
                *place = Place::Receiver { hands, told: false };
                Ok(())
            }
            None => Err(hands),
        }
    }

    /// Answers a message; gives the answer back when the message is over. One that
    /// is dropped after its sender asked to abort it, is aborted.
    pub fn answer(
        &mut self,
        id: MessageId,
        outcome: Outcome<Reply>,
    ) -> Result<Effects<M>, Outcome<Reply>> {
        let Some(place) = self.end(id) else {
            return Err(outcome);
        };
        let outcome = match (outcome, &place) {
            (Err(Error::Dropped), Place::Receiver { told: true, .. }) => Err(Error::Aborted),
            (outcome, _) => outcome,
        };
        Ok(Effects {
            sender: self.settle(id, outcome),
            ..place.ended(By::Holder)
        })
    }

    /// Answers a message that is with a port with `Aborted`; tells the receiver of
    /// one that has been taken.
    pub fn abort(&mut self, id: MessageId) -> Effects<M> {
        match self.place(id) {
            Some(Place::Receiver { told: true, .. }) | None => Effects::NONE,
            Some(Place::Receiver { hands, told }) => {
                *told = true;
                Effects {
                    receiver: hands.leave_notice(id),
                    ..Effects::NONE
                }
            }
            Some(Place::Port) => self.end_with(id, Error::Aborted),
        }
    }

    /// Answers an open message with `TimedOut`, and tells its receiver.
    pub fn expire(&mut self, id: MessageId) -> Effects<M> {
        self.end_with(id, Error::TimedOut)
    }

    fn end_with(&mut self, id: MessageId, error: Error) -> Effects<M> {
        match self.end(id) {
            Some(place) => Effects {
                sender: self.settle(id, Err(error)),
                ..place.ended(By::Other(id))
            },
            None => Effects::NONE,
        }
    }

    /// How the message stands.
    pub fn standing(&mut self, id: MessageId) -> Standing {
        match self.place(id) {
            Some(Place::Receiver { told: true, .. }) => Standing::Aborted,
            Some(_) => Standing::Awaited,
            None => Standing::Over,
        }
    }

    /// The answer for a handle, whose slot is then free. If there is none, and the
    /// message is `overdue`, that is the answer; otherwise the next answer wakes
    /// `watcher`, if there is one, who gets the slot's previous watcher to drop.
    pub fn collect(
        &mut self,
        id: MessageId,
        overdue: bool,
        watcher: &mut Option<M::Thread>,
    ) -> Option<(Outcome<Reply>, Effects<M>)> {
        if overdue && let Some(place) = self.end(id) {
            let effects = Effects {
                _watcher: self.free(id),
                ..place.ended(By::Other(id))
            };
            return Some((Err(Error::TimedOut), effects));
        }
        if let Some(outcome) = self.take_answer(id) {
            return Some((outcome, Effects::NONE));
        }
        if watcher.is_some() {
            self.watch(id, watcher);
        }
        None
    }

    /// The answer of a message that has one; its slot is then free.
    fn take_answer(&mut self, id: MessageId) -> Option<Outcome<Reply>> {
        let slot = self.slot(id)?;
        match mem::replace(&mut slot.state, State::Free) {
            State::Answered(outcome) => {
                // The watcher left when the answer came.
                self.free(id);
                Some(outcome)
            }
            other => {
                slot.state = other;
                None
            }
        }
    }

    /// Whether the answer for a handle is there; if it is not, it will wake
    /// `watcher`, who gets the previous one to drop.
    pub fn watch(&mut self, id: MessageId, watcher: &mut Option<M::Thread>) -> bool {
        match self.slot(id) {
            Some(Slot {
                state: State::Open { .. },
                collector: Collector::Handle(current),
                ..
            }) => {
                mem::swap(current, watcher);
                false
            }
            _ => true,
        }
    }

    /// Frees a slot whatever its state. What it held is the caller's to drop.
    pub fn abandon(&mut self, id: MessageId) -> (Option<Outcome<Reply>>, Effects<M>) {
        match self.end(id) {
            Some(place) => {
                let effects = Effects {
                    _watcher: self.free(id),
                    ..place.ended(By::Other(id))
                };
                (None, effects)
            }
            None => (self.take_answer(id), Effects::NONE),
        }
    }

    /// The message in slot `index`, if the mailbox has it out or must collect it.
    pub fn of_mailbox(&self, index: u32) -> Option<MessageId> {
        let slot = &self.slots[index as usize];
        let in_use = !matches!(slot.state, State::Free);
        (in_use && matches!(slot.collector, Collector::Mailbox)).then(|| self.id_of(index))
    }

    fn id_of(&self, index: u32) -> MessageId {
        MessageId {
            origin: self.origin,
            sequence: self.slots[index as usize].sequence,
            slot: index,
        }
    }

    /// The oldest answer for the mailbox, whose slot is then free.
    pub fn next_answer(&mut self) -> Option<(MessageId, Outcome<Reply>)> {
        let index = self.answered.pop_front()?;
        let id = self.id_of(index);
        Some((id, self.take_answer(id)?))
    }

    /// The earliest deadline among open messages of the mailbox.
    pub fn earliest(&self) -> Option<(Nanos, MessageId)> {
        if self.timed == 0 {
            return None;
        }
        let deadlines = (0..).zip(&self.slots).filter_map(|(index, slot)| {
            match (&slot.state, &slot.collector) {
                (State::Open { deadline, .. }, Collector::Mailbox) => {
                    deadline.map(|deadline| (deadline, index))
                }
                _ => None,
            }
        });
        let (deadline, index) = deadlines.min()?;
        Some((deadline, self.id_of(index)))
    }

    /// Has the next answer for the mailbox wake `thread`; whether one is there. The
    /// previous thread is the caller's to drop.
    pub fn watch_all(&mut self, thread: &mut Option<M::Thread>) -> bool {
        if !self.answered.is_empty() {
            return true;
        }
        mem::swap(&mut self.owner, thread);
        false
    }

    /// Whether the mailbox has no message out and no answer to collect.
    pub fn is_idle(&self) -> bool {
        self.by_mailbox == 0
    }
}
