//! The home of words: who waits for them to change.
//!
//! Only its node's [`Parking`](super::Parking) calls it.

use super::message::{Message, Refusal, Tickets};
use super::place::{Place, Ticket};
use super::queues::{Kind, Queues, Waiter};
use super::{Limits, Out, Said, refuse};
use crate::event::{View, Violation};
use crate::ids::NodeId;
use crate::mutants::mutated;
use alloc::vec::Vec;

/// Whose threads have come to barriers and died: never a member.
const NOBODY: NodeId = NodeId(u16::MAX);

/// The threads that wait at a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Home {
    me: NodeId,
    view: View,
    queues: Queues,
    /// How many wake-ups there were, by the hash of their places.
    generations: Vec<u64>,
    /// How often threads were moved: some may wait elsewhere than their nodes know.
    moved: bool,
    /// Members that may still say what they said in an earlier view.
    outside: Vec<NodeId>,
    /// Those taken out of queues by what is being handled.
    taken: Vec<Waiter>,
}

impl Home {
    pub(super) fn new(me: NodeId, view: View, limits: Limits) -> Self {
        Self {
            me,
            view,
            queues: Queues::new(limits.waiters),
            generations: alloc::vec![0; limits.generations.max(1)],
            moved: false,
            outside: Vec::new(),
            taken: Vec::with_capacity(limits.waiters as usize),
        }
    }

    /// Whether no thread waits here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// Whether all members are known to be in the view.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.outside.is_empty()
    }

    pub(super) fn receive(&mut self, from: NodeId, message: Message, said: Said, out: &mut Out) {
        let place = match message {
            Message::Wait { place, .. }
            | Message::Withdraw { place, .. }
            | Message::Wake { place, .. }
            | Message::Requeue { place, .. }
            | Message::Arrive { place, .. } => Some(place),
            _ => None,
        };
        if place.is_some_and(|place| self.view.slices.home(place.page()) != self.me) {
            // Who did not know yet looks again, or asks the home that it has now, when it does.
            return match said {
                Said::Now => refuse(from, Violation::NotHome, out),
                Said::Before => {}
            };
        }
        match message {
            Message::Wait {
                place,
                ticket,
                generation,
            } => self.wait(from, place, ticket, generation, out),
            Message::Withdraw { place, ticket } => self.withdraw(from, place, ticket, out),
            Message::Wake {
                place,
                count,
                ticket,
            } => {
                let count = self.wake(place, count, out);
                self.tell(from, ticket, count, out);
            }
            Message::Requeue {
                place,
                count,
                moved,
                to,
                ticket,
            } => {
                let woken = self.wake(place, count.into(), out);
                let moved = self.requeue(place, moved, to, out);
                self.tell(from, ticket, woken + moved, out);
            }
            Message::Arrive {
                place,
                ticket,
                parties,
            } => self.arrive(from, place, ticket, parties, out),
            Message::Entered => self.entered(from, out),
            _ => refuse(from, Violation::OutOfPlace, out),
        }
    }

    fn generation(&mut self, place: Place) -> &mut u64 {
        let bucket = place.bucket(self.generations.len());
        &mut self.generations[bucket]
    }

    fn wait(
        &mut self,
        node: NodeId,
        place: Place,
        ticket: Ticket,
        known: Option<u64>,
        out: &mut Out,
    ) {
        let waiter = Waiter {
            place,
            node,
            ticket,
            kind: Kind::Wake,
        };
        if self.queues.push(waiter).is_err() {
            let why = Refusal::NoRoom;
            return out.send(node, Message::Refuse { ticket, why });
        }
        let generation = *self.generation(place);
        if known != Some(generation) && !mutated!(GenerationNotCompared) {
            let tickets = Tickets::one(ticket);
            let recheck = Message::Recheck {
                place,
                tickets,
                generation,
            };
            out.send(node, recheck);
        }
    }

    fn withdraw(&mut self, node: NodeId, place: Place, ticket: Ticket, out: &mut Out) {
        let is_it = |waiter: &Waiter| waiter.node == node && waiter.ticket == ticket;
        self.queues.take(place, 1, is_it, &mut self.taken);
        if self.taken.is_empty() && self.moved {
            self.queues.take_all(is_it, &mut self.taken);
        }
        // Who is not here was woken, and is told so.
        if self.taken.pop().is_some() {
            out.send(node, Message::Withdrawn { ticket });
        }
    }

    /// Wakes those that have waited longest, and says how many.
    fn wake(&mut self, place: Place, count: u32, out: &mut Out) -> u32 {
        *self.generation(place) += u64::from(!mutated!(WakesNotCounted));
        let here = |waiter: &Waiter| waiter.place == place && waiter.kind == Kind::Wake;
        self.queues
            .take(place, count as usize, here, &mut self.taken);
        let woken = self.taken.len() as u32;
        self.release(out);
        woken
    }

    fn requeue(&mut self, place: Place, count: u32, to: Place, out: &mut Out) -> u32 {
        let here = |waiter: &Waiter| waiter.place == place && waiter.kind == Kind::Wake;
        self.queues
            .take(place, count as usize, here, &mut self.taken);
        let moved = self.taken.len() as u32;
        if self.view.slices.home(to.page()) != self.me {
            self.release(out);
            return moved;
        }
        for waiter in self.taken.drain(..) {
            // There is as much room as there was before.
            let _ = self.queues.push(Waiter {
                place: to,
                ..waiter
            });
            self.moved = true;
        }
        moved
    }

    fn tell(&mut self, node: NodeId, ticket: Option<Ticket>, count: u32, out: &mut Out) {
        if let Some(ticket) = ticket {
            out.send(node, Message::Woke { ticket, count });
        }
    }

    fn arrive(&mut self, node: NodeId, place: Place, ticket: Ticket, parties: u32, out: &mut Out) {
        let mut there = 0;
        for waiter in self.queues.near(place).filter(|other| other.place == place) {
            match waiter.kind {
                Kind::Wake => {}
                Kind::Barrier { parties: same } if same == parties => there += 1,
                Kind::Barrier { .. } => {
                    let why = Refusal::Mismatch;
                    return out.send(node, Message::Refuse { ticket, why });
                }
            }
        }
        let waiter = Waiter {
            place,
            node,
            ticket,
            kind: Kind::Barrier { parties },
        };
        let missing = parties - u32::from(mutated!(OneMissingAtBarrier) && parties > 1);
        if there + 1 < missing {
            if self.queues.push(waiter).is_err() {
                let why = Refusal::NoRoom;
                out.send(node, Message::Refuse { ticket, why });
            }
            return;
        }
        let here = |waiter: &Waiter| waiter.place == place && waiter.kind != Kind::Wake;
        self.queues.take(place, usize::MAX, here, &mut self.taken);
        self.taken.push(waiter);
        self.release(out);
    }

    /// Tells the nodes of those that were taken out that they are woken.
    fn release(&mut self, out: &mut Out) {
        self.tell_taken(out, |place, tickets, generation| Message::Woken {
            place,
            tickets,
            generation,
        });
    }

    /// Says something to the nodes of those that were taken out, once for as many as
    /// one message can name.
    fn tell_taken(&mut self, out: &mut Out, say: fn(Place, Tickets, u64) -> Message) {
        self.taken
            .sort_unstable_by_key(|waiter| (waiter.node, waiter.place, waiter.ticket));
        let mut rest = core::mem::take(&mut self.taken);
        let mut next = 0;
        while let Some(&first) = rest.get(next) {
            let mut tickets = Tickets::one(first.ticket);
            next += 1;
            while let Some(also) = rest.get(next)
                && (also.node, also.place) == (first.node, first.place)
                && let Some(more) = tickets.with(also.ticket)
            {
                tickets = more;
                next += 1;
            }
            let generation = *self.generation(first.place);
            if self.view.members.binary_search(&first.node).is_ok() {
                out.send(first.node, say(first.place, tickets, generation));
            }
        }
        rest.clear();
        self.taken = rest;
    }

    /// Forgets the threads that wait for words whose home this is no longer, and those of nodes that died, but for their coming to
    /// barriers: these are nobody's from now on, as a node may come back.
    pub(super) fn view_changed(&mut self, view: &View) {
        self.view = view.clone();
        self.outside = view.members.clone();
        let is_moved = |waiter: &Waiter| view.slices.home(waiter.place.page()) != self.me;
        self.queues.take_all(is_moved, &mut self.taken);
        self.taken.clear();
        let is_dead = |waiter: &Waiter| view.members.binary_search(&waiter.node).is_err();
        self.queues.take_all(is_dead, &mut self.taken);
        for waiter in self.taken.drain(..) {
            if waiter.kind != Kind::Wake {
                // There is as much room as there was before.
                let _ = self.queues.push(Waiter {
                    node: if mutated!(DeadKeepPlacesAtBarriers) {
                        waiter.node
                    } else {
                        NOBODY
                    },
                    ..waiter
                });
            }
        }
    }

    /// A member has said all that it said in earlier views. When all have, whatever was said to a home that
    /// died, or by a node that died, is lost for good: all look at their words again.
    fn entered(&mut self, node: NodeId, out: &mut Out) {
        let outside = self.outside.len();
        self.outside.retain(|&other| other != node);
        if self.outside.len() == outside {
            return refuse(node, Violation::OutOfPlace, out);
        }
        if !self.outside.is_empty() || mutated!(NotRecheckedAfterView) {
            return;
        }
        for generation in &mut self.generations {
            *generation += 1;
        }
        let waits = |waiter: &Waiter| waiter.kind == Kind::Wake;
        self.taken.extend(self.queues.iter().filter(waits));
        self.tell_taken(out, |place, tickets, generation| Message::Recheck {
            place,
            tickets,
            generation,
        });
    }
}
