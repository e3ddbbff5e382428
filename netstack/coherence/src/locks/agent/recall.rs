//! What others are to have.

use super::super::Out;
use super::super::lease::{Lease, Need};
use super::super::message::{Answer, Message};
use super::super::want::{Mode, Want};
use super::{Agent, Standing};
use crate::ids::{NodeId, RequestId};
use crate::mutants::mutated;
use crate::ranges::Span;
use alloc::vec::Vec;

/// A range that another node is to have when nothing that comes before is in its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Recall {
    pub home: NodeId,
    pub want: Want,
    pub to: NodeId,
    pub id: RequestId,
    pub acks: u16,
    /// This node's requests up to here come before.
    pub seen: RequestId,
}

impl Agent {
    pub(super) fn recalled(&mut self, recall: Recall, answer: Answer, out: &mut Out) {
        self.recalls.push(recall);
        self.advance(out);
        if answer == Answer::AtOnce && self.recalls.contains(&recall) {
            let (home, id) = (recall.home, recall.id);
            out.send(recall.to, Message::Busy { home, id });
        }
    }

    pub(super) fn cede_what_is_free(&mut self, out: &mut Out) {
        let mut index = 0;
        while let Some(&recall) = self.recalls.get(index) {
            if self.is_in_the_way(&recall) {
                index += 1;
                continue;
            }
            self.recalls.remove(index);
            self.give_up(recall.want);
            let Recall { home, id, acks, .. } = recall;
            out.send(recall.to, Message::Cede { home, id, acks });
            self.return_what_came_along(recall, out);
        }
    }

    /// Whether a lock, or a request that comes before, is in the way of a recall.
    fn is_in_the_way(&self, recall: &Recall) -> bool {
        let before = |home: NodeId, id: RequestId| {
            home == recall.home && id.at_or_before(recall.seen) && !mutated!(PlacesNotKept)
        };
        let held = self
            .holds
            .iter()
            .any(|hold| hold.wants.conflicts(recall.want) && !mutated!(LocksNotAwaited));
        let asked = self
            .asked
            .iter()
            .any(|asked| before(asked.home, asked.id) && asked.wants.conflicts(recall.want));
        let ready = self.waiters.iter().any(|waiter| {
            let Standing::Ready(id) = waiter.standing else {
                return false;
            };
            let home = self.home_of(&waiter.wants);
            home.is_some_and(|home| before(home, id)) && waiter.wants.conflicts(recall.want)
        });
        held || asked || ready
    }

    /// Keeps no lease that another node's lock conflicts with.
    fn give_up(&mut self, want: Want) {
        if mutated!(LeaseKeptWhenCeded) {
            return;
        }
        let rest = |known: Option<Lease>| match want.mode {
            Mode::Exclusive => None,
            Mode::Shared => known.map(|lease| Lease {
                mode: Mode::Shared,
                ..lease
            }),
        };
        if self.leases.update(want.span, rest).is_err() {
            self.make_place();
            self.leases.replace(want.span, None);
        }
    }

    /// Gives the home what this node had of an object because nobody else was there.
    ///
    /// Not while it asks for other bytes: all may have come along with these once more.
    fn return_what_came_along(&mut self, recall: Recall, out: &mut Out) {
        let whole = Span::whole(recall.want.span.object());
        let any = Mode::Exclusive.of(whole);
        if self.asked.iter().any(|asked| asked.wants.conflicts(any))
            && !mutated!(ReturnedWhileAsking)
        {
            return;
        }
        let spare: Vec<Span> = self
            .leases
            .within(whole)
            .filter(|&(span, lease)| lease.need == Need::CameAlong && !self.is_in_use(span))
            .map(|(span, _)| span)
            .collect();
        for span in spare {
            self.leases.replace(span, None);
            out.send(recall.home, Message::Return { span });
        }
    }

    /// Whether a thread has a lock in a range, or asks for one.
    fn is_in_use(&self, span: Span) -> bool {
        let any = Mode::Exclusive.of(span);
        let mut waiting = self.waiters.iter().map(|waiter| &waiter.wants);
        let mut asked = self.asked.iter().map(|asked| &asked.wants);
        let mut held = self.holds.iter().map(|hold| &hold.wants);
        let used = held.any(|wants| wants.conflicts(any))
            || asked.any(|wants| wants.conflicts(any))
            || waiting.any(|wants| wants.conflicts(any));
        used && !mutated!(UseNotNoticed)
    }

    pub(super) fn trim(&mut self, home: NodeId, span: Span, out: &mut Out) {
        if self.is_in_use(span) {
            return out.send(home, Message::InUse { span });
        }
        self.give_up(Mode::Exclusive.of(span));
        out.send(home, Message::Return { span });
    }
}
