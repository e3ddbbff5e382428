//! A node's agent: its waiting threads, as their homes know them.
//!
//! Only its node's [`Parking`](super::Parking) calls it.

use super::event::{Action, Ending, Reason};
use super::message::{Message, Refusal, Tickets};
use super::place::{Generation, Place, Ticket};
use super::{Limits, Out, Said, refuse, refuse_unasked};
use crate::event::{View, Violation};
use crate::ids::{NodeId, Time, Token};
use crate::mutants::mutated;
use alloc::vec::Vec;

/// The waiting threads of a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Agent {
    view: View,
    most: usize,
    sleepers: Vec<Sleeper>,
    wakers: Vec<Waker>,
    last: Ticket,
    /// How many wake-ups there were at some places, by their hash.
    known: Vec<Option<Known>>,
    /// When the timer goes off.
    timer: Option<Time>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Known {
    place: Place,
    home: NodeId,
    count: u64,
}

/// A thread that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Sleeper {
    token: Token,
    ticket: Ticket,
    place: Place,
    home: NodeId,
    what: What,
    deadline: Option<Time>,
    /// Why it does not want to wait any more. Its home knows whether it was woken before.
    withdrawing: Option<Reason>,
}

/// What a thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum What {
    Wake,
    Barrier,
}

/// A thread that wants to know how many it woke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Waker {
    token: Token,
    ticket: Ticket,
    home: NodeId,
    said: Message,
}

impl Agent {
    pub(super) fn new(view: View, limits: Limits) -> Self {
        Self {
            view,
            most: limits.threads,
            sleepers: Vec::with_capacity(limits.threads),
            wakers: Vec::new(),
            last: Ticket::default(),
            known: alloc::vec![None; limits.known.max(1)],
            timer: None,
        }
    }

    /// Whether no thread of this node waits.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.sleepers.is_empty() && self.wakers.is_empty()
    }

    /// How many wake-ups are known. To be asked for before a thread looks at the word.
    #[must_use]
    pub fn generation(&self, place: Place) -> Generation {
        let home = self.home(place);
        let known = self.known[place.bucket(self.known.len())];
        let count = known
            .filter(|known| known.place == place && known.home == home)
            .map(|known| known.count);
        Generation { home, count }
    }

    fn home(&self, place: Place) -> NodeId {
        self.view.slices.home(place.page())
    }

    fn learn(&mut self, place: Place, home: NodeId, count: u64) {
        let bucket = place.bucket(self.known.len());
        self.known[bucket] = Some(Known { place, home, count });
    }

    fn next_ticket(&mut self) -> Ticket {
        self.last = self.last.next();
        self.last
    }

    pub(super) fn wait(
        &mut self,
        now: Time,
        token: Token,
        place: Place,
        generation: Generation,
        deadline: Option<Time>,
        out: &mut Out,
    ) {
        let home = self.home(place);
        let known = generation.count.filter(|_| generation.home == home);
        if let Some(ticket) = self.enter(token, place, What::Wake, deadline, out) {
            out.send(
                home,
                Message::Wait {
                    place,
                    ticket,
                    generation: known,
                },
            );
            self.expire(now, out);
        }
    }

    pub(super) fn arrive(
        &mut self,
        now: Time,
        token: Token,
        place: Place,
        parties: u32,
        deadline: Option<Time>,
        out: &mut Out,
    ) {
        let home = self.home(place);
        if let Some(ticket) = self.enter(token, place, What::Barrier, deadline, out) {
            out.send(
                home,
                Message::Arrive {
                    place,
                    ticket,
                    parties,
                },
            );
            self.expire(now, out);
        }
    }

    fn enter(
        &mut self,
        token: Token,
        place: Place,
        what: What,
        deadline: Option<Time>,
        out: &mut Out,
    ) -> Option<Ticket> {
        if self.sleepers.len() >= self.most {
            let how = Ending::NoRoom;
            out.push(Action::Ended { token, how });
            return None;
        }
        let ticket = self.next_ticket();
        self.sleepers.push(Sleeper {
            token,
            ticket,
            place,
            home: self.home(place),
            what,
            deadline,
            withdrawing: None,
        });
        Some(ticket)
    }

    pub(super) fn withdraw(&mut self, token: Token, why: Reason, out: &mut Out) {
        let mut sleepers = self.sleepers.iter_mut();
        let waits = |sleeper: &&mut Sleeper| sleeper.token == token;
        let Some(sleeper) = sleepers.find(waits) else {
            return;
        };
        if sleeper.withdrawing.is_some() {
            return;
        }
        sleeper.withdrawing = Some(why);
        let &mut Sleeper {
            place,
            ticket,
            home,
            ..
        } = sleeper;
        out.send(home, Message::Withdraw { place, ticket });
        if mutated!(WithdrawalNotAwaited) {
            self.end(ticket, Ending::Withdrawn(why), out);
        }
    }

    /// Says a [`Message::Wake`] or [`Message::Requeue`], made for the ticket that is to be told.
    pub(super) fn wake(
        &mut self,
        place: Place,
        token: Option<Token>,
        say: impl FnOnce(Option<Ticket>) -> Message,
        out: &mut Out,
    ) {
        let home = self.home(place);
        let ticket = token.map(|_| self.next_ticket());
        let said = say(ticket);
        if let (Some(token), Some(ticket)) = (token, ticket) {
            self.wakers.push(Waker {
                token,
                ticket,
                home,
                said,
            });
        }
        out.send(home, said);
    }

    pub(super) fn receive(&mut self, from: NodeId, message: Message, said: Said, out: &mut Out) {
        match message {
            Message::Recheck {
                place,
                tickets,
                generation,
            } => {
                self.learn(place, from, generation);
                self.recheck(from, tickets, said, out);
            }
            Message::Woken {
                place,
                tickets,
                generation,
            } => {
                self.learn(place, from, generation);
                for ticket in tickets.iter() {
                    self.end_at(from, ticket, Ending::Woken, said, out);
                }
            }
            Message::Withdrawn { ticket } => {
                let why = self.find(from, ticket).and_then(|found| found.withdrawing);
                match why {
                    Some(why) => self.end(ticket, Ending::Withdrawn(why), out),
                    None => refuse_unasked(from, said, out),
                }
            }
            Message::Refuse { ticket, why } => {
                let how = match why {
                    Refusal::NoRoom => Ending::NoRoom,
                    Refusal::Mismatch => Ending::Mismatch,
                };
                self.end_at(from, ticket, how, said, out);
            }
            Message::Woke { ticket, count } => self.woke(from, ticket, count, said, out),
            _ => refuse(from, Violation::OutOfPlace, out),
        }
    }

    fn find(&self, home: NodeId, ticket: Ticket) -> Option<&Sleeper> {
        self.sleepers
            .iter()
            .find(|sleeper| sleeper.home == home && sleeper.ticket == ticket)
    }

    fn recheck(&mut self, home: NodeId, tickets: Tickets, said: Said, out: &mut Out) {
        for ticket in tickets.iter() {
            match self.find(home, ticket) {
                Some(sleeper) if sleeper.withdrawing.is_none() => {
                    let token = sleeper.token;
                    out.push(Action::Recheck { token });
                }
                Some(_) => {}
                None => refuse_unasked(home, said, out),
            }
        }
    }

    fn end_at(&mut self, home: NodeId, ticket: Ticket, how: Ending, said: Said, out: &mut Out) {
        if self.find(home, ticket).is_some() {
            self.end(ticket, how, out);
        } else {
            refuse_unasked(home, said, out);
        }
    }

    fn end(&mut self, ticket: Ticket, how: Ending, out: &mut Out) {
        let mut sleepers = self.sleepers.iter();
        let Some(index) = sleepers.position(|sleeper| sleeper.ticket == ticket) else {
            return;
        };
        let token = self.sleepers.remove(index).token;
        out.push(Action::Ended { token, how });
    }

    fn woke(&mut self, home: NodeId, ticket: Ticket, count: u32, said: Said, out: &mut Out) {
        let told = |waker: &Waker| waker.ticket == ticket && waker.home == home;
        let Some(index) = self.wakers.iter().position(told) else {
            return refuse_unasked(home, said, out);
        };
        let token = self.wakers.remove(index).token;
        out.push(Action::Woke { token, count });
    }

    pub(super) fn time_over(&mut self, now: Time, out: &mut Out) {
        self.timer = None;
        self.expire(now, out);
    }

    fn expire(&mut self, now: Time, out: &mut Out) {
        for index in 0..self.sleepers.len() {
            let sleeper = self.sleepers[index];
            if sleeper.deadline.is_some_and(|at| at <= now) {
                self.withdraw(sleeper.token, Reason::TimedOut, out);
            }
        }
    }

    /// Has the timer go off when the first thread has waited long enough.
    pub(super) fn arm(&mut self, out: &mut Out) {
        let waiting = self.sleepers.iter();
        let waiting = waiting.filter(|sleeper| sleeper.withdrawing.is_none());
        let Some(at) = waiting.filter_map(|sleeper| sleeper.deadline).min() else {
            return;
        };
        if self.timer.is_none_or(|timer| at < timer) {
            self.timer = Some(at);
            out.push(Action::SetTimer { at });
        }
    }

    /// Ends the waiting at homes that died, or that the words have no longer, and says again what they may not have heard.
    pub(super) fn view_changed(&mut self, view: &View, out: &mut Out) {
        self.view = view.clone();
        let stays = |home: NodeId, place: Place| view.slices.home(place.page()) == home;
        let left = |sleeper: &&Sleeper| !stays(sleeper.home, sleeper.place);
        while let Some(&sleeper) = self.sleepers.iter().find(left) {
            let how = match sleeper.withdrawing {
                Some(why) if sleeper.what == What::Wake => Ending::Withdrawn(why),
                _ => Ending::HomeDied,
            };
            self.end(sleeper.ticket, how, out);
        }
        for index in 0..self.wakers.len() {
            let Waker { home, said, .. } = self.wakers[index];
            if let Message::Wake { place, .. } | Message::Requeue { place, .. } = said
                && !stays(home, place)
            {
                self.wakers[index].home = self.home(place);
                out.send(self.home(place), said);
            }
        }
    }
}
