//! Members that want to leave.

use super::inside::Inside;
use crate::ids::Nanos;
use crate::message::{MembershipMessage, Wish};
use crate::outbox::Outbox;
use darner_coherence::NodeId;

impl Inside {
    pub(super) fn want_to_drain(&mut self, out: &mut Outbox) {
        self.wishes.entry(self.me.node).or_insert(Wish::Drain);
        self.repeat_wish(out);
    }

    pub(super) fn want_to_leave(&mut self, out: &mut Outbox) {
        self.wishes.insert(self.me.node, Wish::Leave);
        self.repeat_wish(out);
    }

    /// Whether this node has stopped for good.
    pub(super) fn is_leaving(&self) -> bool {
        self.wishes.get(&self.me.node) == Some(&Wish::Leave)
    }

    /// Whether this node leaves and there is nobody else.
    pub(super) fn has_left(&self) -> bool {
        self.is_leaving() && self.peers.is_empty()
    }

    pub(super) fn repeat_wish(&mut self, out: &mut Outbox) {
        if let Some(&wish) = self.wishes.get(&self.me.node) {
            let others = self.view.nodes().without(self.me.node);
            self.say_to_all(others, &MembershipMessage::Wish { wish }, out);
        }
    }

    pub(super) fn wished(&mut self, from: NodeId, wish: Wish) {
        let known = self.wishes.entry(from).or_insert(wish);
        *known = (*known).max(wish);
        if *known == Wish::Leave
            && let Some(peer) = self.peers.get_mut(&from)
        {
            // It has stopped, and will not serve again.
            peer.granted_until = Nanos(0);
            peer.stamp = None;
        }
    }
}
