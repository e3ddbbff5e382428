//! The other members, and whether they live.

use super::inside::Inside;
use crate::ids::{Nanos, SlotSet};
use crate::message::{MembershipMessage, Wish};
use crate::mutants::mutated;
use crate::outbox::Outbox;
use darner_coherence::NodeId;

/// Another member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Peer {
    /// When it was last heard; or met, if it was not heard since.
    pub(super) heard: Nanos,
    /// Whether it was heard in this view, which is when it was answered.
    pub(super) greeted: bool,
    /// Whom it heard then.
    pub(super) hears: SlotSet,
    /// Its last stamp that was granted in this view.
    pub(super) stamp: Option<Nanos>,
    /// Until when no view without it is accepted.
    pub(super) granted_until: Nanos,
    /// This node's last stamp that it has granted in this view.
    pub(super) echoed: Option<Nanos>,
}

impl Inside {
    /// Notes who the other members are, in a view that has just been entered.
    pub(super) fn meet(&mut self, now: Nanos) {
        let before = core::mem::take(&mut self.peers);
        let others = self.view.members.iter().map(|member| member.node);
        for node in others.filter(|&node| node != self.me.node) {
            let old = before.get(&node);
            // All members may still have leases of the view before.
            let granted_until = if mutated!(LaggardsNotAwaited) {
                old.map_or(now, |peer| peer.granted_until)
            } else {
                now + self.times.lease
            };
            let peer = Peer {
                heard: old.map_or(now, |peer| peer.heard),
                greeted: false,
                hears: SlotSet::EMPTY,
                stamp: None,
                granted_until,
                echoed: None,
            };
            self.peers.insert(node, peer);
        }
    }

    /// The others are taken to be heard now.
    pub(super) fn listen_anew(&mut self, now: Nanos) {
        for peer in self.peers.values_mut() {
            peer.heard = now;
        }
    }

    /// Says to all that this node lives, and asks for links that are missing.
    pub(super) fn heartbeat(&mut self, now: Nanos, out: &mut Outbox) {
        self.heartbeat_at = now + self.times.heartbeat;
        for node in self.view.nodes().without(self.me.node).iter() {
            self.beat(now, node, out);
        }
        self.dial(out);
    }

    /// Says to one member that this node lives.
    pub(super) fn beat(&mut self, now: Nanos, to: NodeId, out: &mut Outbox) {
        let message = MembershipMessage::Heartbeat {
            sent: now,
            granted: self.peers.get(&to).and_then(|peer| peer.stamp),
            hears: self.hears(now),
        };
        self.say(to, message, out);
    }

    /// A member lives.
    pub(super) fn heard(
        &mut self,
        now: Nanos,
        from: NodeId,
        sent: Nanos,
        granted: Option<Nanos>,
        hears: SlotSet,
        out: &mut Outbox,
    ) {
        let grants = self.grants(from);
        let until = now + self.times.lease;
        let Some(peer) = self.peers.get_mut(&from) else {
            return;
        };
        peer.heard = now;
        // Links are in order, but nothing here depends on it.
        peer.echoed = peer.echoed.max(granted.filter(|&stamp| stamp <= now));
        peer.hears = hears;
        if grants && peer.stamp < Some(sent) {
            peer.stamp = Some(sent);
            peer.granted_until = until;
        }
        if !core::mem::replace(&mut peer.greeted, true) {
            self.beat(now, from, out);
        }
    }

    /// Whether a member is promised that no view without it is accepted for a while.
    fn grants(&self, node: NodeId) -> bool {
        let wedged = self.acceptor.wedged_at().is_some() && !mutated!(GrantsAfterAccepting);
        let leaves = self.wishes.get(&node) == Some(&Wish::Leave);
        !wedged && !leaves && !self.partial.has_to_go(node)
    }

    /// Members that are heard, this one included.
    pub(super) fn hears(&self, now: Nanos) -> SlotSet {
        let is_heard = |peer: &Peer| now.since(peer.heard) <= self.times.suspect;
        let heard = self.peers.iter().filter(|(_, peer)| is_heard(peer));
        let heard: SlotSet = heard.map(|(&node, _)| node).collect();
        heard.minus(self.partial.gone()).with(self.me.node)
    }
}
