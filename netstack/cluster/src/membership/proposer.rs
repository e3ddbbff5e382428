//! Paxos: a member that proposes the view that follows.

use super::inside::Inside;
use crate::ids::{Nanos, SlotSet};
use crate::message::{Ballot, MembershipMessage, Wish};
use crate::mutants::mutated;
use crate::outbox::Outbox;
use crate::view::{Member, Standing, View};
use alloc::vec::Vec;
use darner_coherence::NodeId;

/// A proposal under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Proposal {
    ballot: Ballot,
    stage: Stage,
    again_at: Nanos,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// Promises are awaited.
    Preparing {
        promised: SlotSet,
        /// Whom those hear who have promised.
        hears: SlotSet,
        /// What was accepted in the highest ballot.
        accepted: Option<(Ballot, View)>,
    },
    /// The view is to be accepted.
    Accepting { accepted: SlotSet, view: View },
}

impl Proposal {
    /// When it has to be said again to those who have not answered.
    pub(super) fn again_at(&self) -> Nanos {
        self.again_at
    }
}

impl Inside {
    /// Proposes, if there is a reason and it is this member's turn; or goes on with it.
    pub(super) fn consider(&mut self, now: Nanos, out: &mut Outbox) {
        let hears = self.hears(now);
        if !self.view.is_quorum(hears) || !self.has_reason(hears) {
            self.proposal = None;
            self.reason_since = None;
            return;
        }
        let since = *self.reason_since.get_or_insert(now);
        let before = hears.iter().take_while(|&node| node < self.me.node).count();
        let turn = since + self.times.patience.times(before as u64);
        match &self.proposal {
            Some(proposal) if now >= proposal.again_at => self.say_again(now, out),
            None if now >= turn => self.propose(now, out),
            _ => {}
        }
    }

    fn has_reason(&self, hears: SlotSet) -> bool {
        self.acceptor.has_accepted()
            || self.proposal.as_ref().is_some_and(Proposal::is_accepting)
            || !self.is_same(&self.wanted(hears))
    }

    fn propose(&mut self, now: Nanos, out: &mut Outbox) {
        self.round = self
            .round
            .max(self.acceptor.promised().round)
            .saturating_add(1);
        let ballot = Ballot {
            round: self.round,
            node: self.me.node,
        };
        self.proposal = Some(Proposal {
            ballot,
            stage: Stage::Preparing {
                promised: SlotSet::EMPTY,
                hears: SlotSet::EMPTY,
                accepted: None,
            },
            again_at: now + self.times.retry,
        });
        self.say_to_all(
            self.view.nodes(),
            &MembershipMessage::Prepare { ballot },
            out,
        );
    }

    fn say_again(&mut self, now: Nanos, out: &mut Outbox) {
        let Some(proposal) = &mut self.proposal else {
            return;
        };
        proposal.again_at = now + self.times.retry;
        let ballot = proposal.ballot;
        let (done, message) = match &proposal.stage {
            Stage::Preparing { promised, .. } => (*promised, MembershipMessage::Prepare { ballot }),
            Stage::Accepting { accepted, view } => {
                let view = view.clone();
                (*accepted, MembershipMessage::Accept { ballot, view })
            }
        };
        self.say_to_all(self.view.nodes().minus(done), &message, out);
    }

    pub(super) fn promised(
        &mut self,
        now: Nanos,
        from: NodeId,
        ballot: Ballot,
        theirs: SlotSet,
        value: Option<(Ballot, View)>,
        out: &mut Outbox,
    ) {
        let Some(proposal) = self.proposal.as_mut().filter(|mine| mine.ballot == ballot) else {
            return;
        };
        let Stage::Preparing {
            promised,
            hears,
            accepted,
        } = &mut proposal.stage
        else {
            return;
        };
        *promised = promised.with(from);
        *hears = hears.union(theirs);
        let higher = |(a, _): &(Ballot, View), (b, _): &(Ballot, View)| a > b;
        match (&accepted, value) {
            (Some(best), Some(value)) if !higher(&value, best) => {}
            (_, Some(value)) if value.1.epoch.0 == self.view.epoch.0 + 1 => *accepted = Some(value),
            _ => {}
        }
        if !self.view.is_quorum(*promised) {
            return;
        }
        let (hears, accepted) = (*hears, accepted.take());
        match accepted {
            Some((_, view)) => self.ask_to_accept(now, ballot, view, out),
            None => {
                let mine = self.hears(now);
                let hears = if mutated!(OwnEarsOnly) {
                    mine
                } else {
                    mine.union(hears)
                };
                let members = self.wanted(hears);
                if self.is_same(&members) {
                    self.proposal = None;
                    // Others hear whom this node does not: in a while they may not.
                    self.reason_since = Some(now + self.times.retry);
                } else {
                    self.ask_to_accept(now, ballot, self.view.next(members), out);
                }
            }
        }
    }

    fn ask_to_accept(&mut self, now: Nanos, ballot: Ballot, view: View, out: &mut Outbox) {
        let message = MembershipMessage::Accept {
            ballot,
            view: view.clone(),
        };
        self.proposal = Some(Proposal {
            ballot,
            stage: Stage::Accepting {
                accepted: SlotSet::EMPTY,
                view,
            },
            again_at: now + self.times.retry,
        });
        self.say_to_all(self.view.nodes(), &message, out);
    }

    pub(super) fn accepted(&mut self, from: NodeId, ballot: Ballot, out: &mut Outbox) {
        let Some(proposal) = self.proposal.as_mut().filter(|mine| mine.ballot == ballot) else {
            return;
        };
        let Stage::Accepting { accepted, view } = &mut proposal.stage else {
            return;
        };
        *accepted = accepted.with(from);
        if !self.view.is_quorum(*accepted) && !mutated!(DecidesAlone) {
            return;
        }
        let decided = MembershipMessage::Decided { view: view.clone() };
        self.proposal = None;
        self.say_to_all(self.view.nodes(), &decided, out);
    }

    pub(super) fn outbid(&mut self, now: Nanos, ballot: Ballot, promised: Ballot) {
        self.round = self.round.max(promised.round);
        if self
            .proposal
            .as_ref()
            .is_some_and(|mine| mine.ballot == ballot)
        {
            self.proposal = None;
            // Whoever has the higher ballot gets the time that it needs.
            self.reason_since = Some(now + self.times.patience);
        }
    }

    /// The members as they should be, if these are all that live.
    fn wanted(&self, hears: SlotSet) -> Vec<Member> {
        let stays = |member: &&Member| {
            let leaves = self.wishes.get(&member.node) == Some(&Wish::Leave);
            let outlived = self.joiners.contains_key(&member.node) && mutated!(SlotHandedOver);
            hears.contains(member.node) && !leaves && !outlived
        };
        // One after the other, or all at once: a home that gets a slice from one that drains has to have heard what is in it
        // before it drains itself.
        let drains = |member: &Member| member.standing == Standing::Draining;
        let has_turn = !self.view.members.iter().any(drains);
        let with_standing = |member: &Member| match self.wishes.get(&member.node) {
            Some(Wish::Drain) if has_turn => Member {
                standing: Standing::Draining,
                ..*member
            },
            _ => *member,
        };
        let staying = self.view.members.iter().filter(stays).map(with_standing);
        let joining = self.joiners.values().map(|joiner| joiner.member);
        let free =
            |member: &Member| self.view.member(member.node).is_none() || mutated!(SlotHandedOver);
        let mut wanted: Vec<Member> = joining.filter(free).chain(staying).collect();
        wanted.sort_unstable();
        // Somebody has to be left to say that all have left.
        if wanted.is_empty() {
            wanted.extend(
                self.view
                    .members
                    .iter()
                    .find(|member| hears.contains(member.node)),
            );
        }
        wanted
    }

    fn is_same(&self, wanted: &[Member]) -> bool {
        self.view.members == wanted
    }
}

impl Proposal {
    fn is_accepting(&self) -> bool {
        matches!(self.stage, Stage::Accepting { .. })
    }
}
