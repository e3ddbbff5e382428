//! Paxos: a member that promises and accepts.

use super::inside::Inside;
use crate::ids::Nanos;
use crate::message::{Ballot, MembershipMessage};
use crate::mutants::mutated;
use crate::outbox::Outbox;
use crate::view::View;

/// What a member has promised and accepted of the view that follows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Acceptor {
    /// The highest ballot that it takes part in.
    promised: Ballot,
    /// What it has accepted in its highest ballot, and when it first accepted.
    accepted: Option<(Ballot, View, Nanos)>,
    /// What it will accept when those who are not in it have stopped, and since when it waits.
    parked: Option<(Ballot, View, Nanos)>,
}

impl Acceptor {
    /// Since when nothing is granted any more.
    pub(super) fn wedged_at(&self) -> Option<Nanos> {
        let since = |held: &Option<(Ballot, View, Nanos)>| held.as_ref().map(|held| held.2);
        since(&self.accepted).or_else(|| since(&self.parked))
    }

    /// Whether a view may be decided that this member has accepted.
    pub(super) fn has_accepted(&self) -> bool {
        self.accepted.is_some()
    }

    /// The highest ballot that this member has promised.
    pub(super) fn promised(&self) -> Ballot {
        self.promised
    }
}

impl Inside {
    pub(super) fn prepare(&mut self, now: Nanos, ballot: Ballot, out: &mut Outbox) {
        if self.refuses(now, ballot, out) {
            return;
        }
        if self
            .acceptor
            .parked
            .as_ref()
            .is_some_and(|parked| parked.0 < ballot)
        {
            self.acceptor.parked = None;
        }
        let accepted = self.acceptor.accepted.as_ref();
        let accepted = accepted.filter(|_| !mutated!(AcceptedNotReported));
        let answer = MembershipMessage::Promise {
            ballot,
            hears: self.hears(now),
            accepted: accepted.map(|(ballot, view, _)| (*ballot, view.clone())),
        };
        self.say(ballot.node, answer, out);
    }

    pub(super) fn asked_to_accept(
        &mut self,
        now: Nanos,
        ballot: Ballot,
        view: View,
        out: &mut Outbox,
    ) {
        let follows = view.epoch.0 == self.view.epoch.0 + 1 && view.cluster == self.view.cluster;
        if !follows || !view.is_sound() || self.refuses(now, ballot, out) {
            return;
        }
        let known = self
            .acceptor
            .parked
            .as_ref()
            .is_some_and(|parked| parked.0 == ballot);
        if !known {
            self.acceptor.parked = Some((ballot, view, now));
        }
        self.accept_parked(now, out);
    }

    /// Refuses what is below what was promised; or promises.
    fn refuses(&mut self, now: Nanos, ballot: Ballot, out: &mut Outbox) -> bool {
        let promised = self.acceptor.promised;
        let low = ballot < promised && !mutated!(PromiseBroken);
        if low {
            let answer = MembershipMessage::Outbid { ballot, promised };
            self.say(ballot.node, answer, out);
        } else {
            if ballot > promised && ballot.node != self.me.node {
                // It gets the time that it needs: those who accept may have to wait for a lease.
                self.reason_since = Some(now + self.times.lease);
            }
            self.acceptor.promised = ballot;
            self.round = self.round.max(ballot.round);
        }
        low
    }

    /// When what is parked can be accepted: when nobody who is not in it can serve.
    pub(super) fn acceptable_at(&self) -> Option<Nanos> {
        let (_, view, since) = self.acceptor.parked.as_ref()?;
        let gone = self.view.gone_in(view);
        let granted = gone.iter().filter_map(|node| self.peers.get(&node));
        let granted = granted.map(|peer| peer.granted_until);
        let evicted = gone.contains(self.me.node) && !self.is_leaving();
        // What this node grants itself: answers of others may still come that make it count.
        let wedged = self.acceptor.wedged_at().unwrap_or(*since);
        let waits = evicted && !mutated!(OwnLeaseNotAwaited);
        let own = waits.then(|| wedged + self.times.lease);
        let last = granted.chain(own).max();
        let last = last.filter(|_| !mutated!(LeaseNotAwaited));
        Some(last.unwrap_or(*since))
    }

    pub(super) fn accept_parked(&mut self, now: Nanos, out: &mut Outbox) {
        if self.acceptable_at().is_none_or(|at| now < at) {
            return;
        }
        let Some((ballot, view, since)) = self.acceptor.parked.take() else {
            return;
        };
        let since = self.acceptor.wedged_at().unwrap_or(since);
        self.acceptor.accepted = Some((ballot, view, since));
        self.say(ballot.node, MembershipMessage::Accepted { ballot }, out);
    }
}
