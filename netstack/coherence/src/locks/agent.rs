//! A node's agent: the locks of its threads, and the leases under which it grants them.
//!
//! Only its node's [`Locks`](super::Locks) calls it. Threads that want the same bytes are served as they came. A thread
//! gets a place in the home's order when what it wants is not leased, or recalled; those before it that
//! have none get one first, so both orders are the same.

mod recall;
mod request;
mod view;

use super::event::{Action, Denial, Patience};
use super::lease::{Lease, Need};
use super::message::Message;
use super::want::{Mode, Want, Wants};
use super::{Limits, Out, refuse};
use crate::event::Violation;
use crate::ids::{NodeId, RequestId, Time, Token};
use crate::mutants::{guard, mutated};
use crate::ranges::{RangeTable, Room, Span};
use alloc::vec::Vec;
use recall::Recall;
use request::Asked;

/// The locks, leases and requests of a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Agent {
    me: NodeId,
    members: Vec<NodeId>,
    most_locks: usize,
    leases: RangeTable<Lease>,
    holds: Vec<Hold>,
    /// As they came.
    waiters: Vec<Waiter>,
    asked: Vec<Asked>,
    recalls: Vec<Recall>,
    /// By home: the last request sent.
    sent: Vec<RequestId>,
    /// When the timer goes off.
    timer: Option<Time>,
    /// Whether locks count.
    serves: bool,
}

/// A lock that is held.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Hold {
    token: Token,
    wants: Wants,
}

/// A thread that waits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Waiter {
    token: Token,
    wants: Wants,
    patience: Patience,
    standing: Standing,
}

/// The place of a waiting thread in the order of the home.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Standing {
    /// None: the node has a lease on what it wants, or will have.
    Follows,
    /// It has asked.
    Asked(RequestId),
    /// It was told that it is next, but for locks of this node.
    Ready(RequestId),
}

impl Standing {
    fn place(self) -> Option<RequestId> {
        match self {
            Self::Follows => None,
            Self::Asked(id) | Self::Ready(id) => Some(id),
        }
    }
}

impl Agent {
    pub(super) fn new(me: NodeId, nodes: u16, members: Vec<NodeId>, limits: Limits) -> Self {
        Self {
            me,
            members,
            most_locks: limits.locks,
            leases: RangeTable::new(limits.leases),
            holds: Vec::with_capacity(limits.locks),
            waiters: Vec::with_capacity(limits.locks),
            asked: Vec::with_capacity(limits.locks),
            recalls: Vec::new(),
            sent: alloc::vec![RequestId::default(); nodes.into()],
            timer: None,
            serves: true,
        }
    }

    /// What may be locked here without asking.
    #[must_use]
    pub fn leases(&self) -> &RangeTable<Lease> {
        &self.leases
    }

    /// The locks that are held here.
    pub fn held(&self) -> impl Iterator<Item = (Token, &Wants)> {
        self.holds.iter().map(|hold| (hold.token, &hold.wants))
    }

    pub(super) fn may_act(&self, token: Token) -> bool {
        let holds = self.holds.iter().any(|hold| hold.token == token);
        holds && guard!(StoppedHoldersAct, self.serves)
    }

    pub(super) fn stop(&mut self) {
        self.serves = false;
    }

    pub(super) fn serve(&mut self, out: &mut Out) {
        self.serves = true;
        self.advance(out);
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.waiters.is_empty() && self.asked.is_empty() && self.recalls.is_empty()
    }

    pub(super) fn lock(
        &mut self,
        now: Time,
        token: Token,
        wants: Wants,
        patience: Patience,
        out: &mut Out,
    ) {
        let deny = |why| Action::Denied { token, why };
        let names = |other: Token| other == token;
        if self.holds.iter().any(|hold| names(hold.token))
            || self.waiters.iter().any(|waiter| names(waiter.token))
        {
            return out.push(deny(Denial::TokenInUse));
        }
        if self.members.binary_search(&self.me).is_err() {
            return out.push(deny(Denial::Expelled));
        }
        if self.holds.len() + self.waiters.len() >= self.most_locks
            || self.asked.len() >= self.most_locks
        {
            return out.push(deny(Denial::NoRoom));
        }
        let blocked = self.holds.iter().any(|hold| hold.wants.conflict(&wants))
            || self
                .waiters
                .iter()
                .any(|other| other.wants.conflict(&wants))
            || self.asked.iter().any(|asked| asked.wants.conflict(&wants));
        if patience == Patience::Try && blocked {
            return out.push(deny(Denial::WouldBlock));
        }
        self.waiters.push(Waiter {
            token,
            wants,
            patience,
            standing: Standing::Follows,
        });
        self.advance(out);
        self.expire(now, out);
    }

    pub(super) fn unlock(&mut self, token: Token, out: &mut Out) {
        self.holds.retain(|hold| hold.token != token);
        self.advance(out);
    }

    pub(super) fn cancel(&mut self, token: Token, out: &mut Out) {
        self.deny(token, Denial::Cancelled, out);
        self.advance(out);
    }

    pub(super) fn time_over(&mut self, now: Time, out: &mut Out) {
        self.timer = None;
        self.expire(now, out);
        self.advance(out);
    }

    pub(super) fn receive(&mut self, from: NodeId, message: Message, out: &mut Out) {
        match message {
            Message::Grant { id, extent } => self.granted(from, id, extent, out),
            Message::Cede { home, id, acks } => self.ceded(from, home, id, acks, out),
            Message::Busy { home, id } => self.busy(home, id, out),
            Message::Deny { id } => self.denied(from, id, out),
            Message::Recall {
                want,
                to,
                id,
                acks,
                seen,
                answer,
            } => {
                let recall = Recall {
                    home: from,
                    want,
                    to,
                    id,
                    acks,
                    seen,
                };
                self.recalled(recall, answer, out);
            }
            Message::Trim { span } => self.trim(from, span, out),
            _ => refuse(from, Violation::OutOfPlace, out),
        }
    }

    /// Does what can be done: first what others ask, then what threads here want.
    fn advance(&mut self, out: &mut Out) {
        self.cede_what_is_free(out);
        self.grant_what_is_free(out);
        self.ask_for_the_rest(out);
    }

    fn grant_what_is_free(&mut self, out: &mut Out) {
        let mut index = 0;
        while index < self.waiters.len() {
            if self.may_grant(index) {
                let Waiter { token, wants, .. } = self.waiters.remove(index);
                self.mark_wanted(&wants);
                self.holds.push(Hold { token, wants });
                out.push(Action::Granted { token });
            } else {
                index += 1;
            }
        }
        let in_vain = |waiter: &&Waiter| {
            waiter.patience == Patience::Try && matches!(waiter.standing, Standing::Ready(_))
        };
        while let Some(waiter) = self.waiters.iter().find(in_vain) {
            self.deny(waiter.token, Denial::WouldBlock, out);
        }
    }

    fn may_grant(&self, index: usize) -> bool {
        let waiter = &self.waiters[index];
        let wants = waiter.wants.as_slice();
        let held = |hold: &Hold| hold.wants.conflict(&waiter.wants);
        let earlier = |other: &Waiter| other.wants.conflict(&waiter.wants);
        let leased = match waiter.standing {
            Standing::Asked(_) => false,
            Standing::Ready(_) => true,
            Standing::Follows => wants.iter().all(|&want| self.has_lease(want)),
        };
        leased
            && guard!(GrantedWhileStopped, self.serves)
            && !self.holds.iter().any(held)
            && !self.waiters[..index].iter().any(earlier)
    }

    /// Whether all of a range is leased, and nobody else is to have it.
    fn has_lease(&self, want: Want) -> bool {
        let recalled = |recall: &Recall| recall.want.conflicts(want);
        self.leases
            .covers(want.span, |lease| lease.mode >= want.mode)
            && (mutated!(RecallsIgnored) || !self.recalls.iter().any(recalled))
    }

    /// What came along is wanted now.
    fn mark_wanted(&mut self, wants: &Wants) {
        for want in wants.as_slice() {
            let wanted = |lease: Lease| Lease {
                need: Need::Wanted,
                ..lease
            };
            // A full table says less exactly what was wanted.
            let _ = self.leases.update(want.span, |known| known.map(wanted));
        }
    }

    /// Sees to it that two leases can be entered or given up.
    fn make_place(&mut self) {
        while let Room::Recall(span, _) = self.leases.make_room(2) {
            // The home takes this node for a holder that it is not, and asks in vain.
            self.leases.replace(span, None);
        }
    }

    fn home_of(&self, wants: &Wants) -> Option<NodeId> {
        let object = wants.as_slice()[0].span.object();
        object.home_among(&self.members)
    }

    /// Enters a lease.
    fn lease(&mut self, span: Span, mode: Mode, need: Need) {
        let more = |known: Option<Lease>| {
            Some(known.map_or(Lease { mode, need }, |known| Lease {
                mode: known.mode.max(mode),
                need: known.need.max(need),
            }))
        };
        self.make_place();
        if self.leases.update(span, more).is_err() {
            self.leases.replace(span, Some(Lease { mode, need }));
        }
    }

    fn deny(&mut self, token: Token, why: Denial, out: &mut Out) {
        let waiting = self.waiters.len();
        self.waiters.retain(|waiter| waiter.token != token);
        if self.waiters.len() < waiting {
            out.push(Action::Denied { token, why });
        }
    }

    /// Has no thread wait longer than it wanted to.
    fn expire(&mut self, now: Time, out: &mut Out) {
        let over = |waiter: &&Waiter| matches!(waiter.patience, Patience::Until(at) if at <= now);
        while let Some(waiter) = self.waiters.iter().find(over) {
            self.deny(waiter.token, Denial::TimedOut, out);
        }
    }

    /// Has the timer go off when the first thread has waited long enough.
    pub(super) fn arm(&mut self, out: &mut Out) {
        let deadlines = self
            .waiters
            .iter()
            .filter_map(|waiter| match waiter.patience {
                Patience::Until(at) => Some(at),
                Patience::Forever | Patience::Try => None,
            });
        let Some(at) = deadlines.min() else { return };
        if self.timer.is_none_or(|timer| at < timer) {
            self.timer = Some(at);
            out.push(Action::SetTimer { at });
        }
    }
}
