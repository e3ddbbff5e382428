//! Nodes that ask a member to be taken in.

use super::inside::Inside;
use super::say;
use crate::ids::{Identity, Incarnation, Nanos, SLOTS};
use crate::message::{JoinRefusal, MembershipMessage};
use crate::mutants::mutated;
use crate::outbox::Outbox;
use crate::view::{Member, Standing};
use darner_coherence::NodeId;

/// A node that is to be taken in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Joiner {
    pub(super) member: Member,
    /// When it asked last.
    asked: Nanos,
    /// Whether it has a link to this node.
    direct: bool,
}

impl Inside {
    pub(super) fn asked_to_admit(
        &mut self,
        now: Nanos,
        from: Identity,
        member: Member,
        out: &mut Outbox,
    ) {
        let direct = from == member.identity();
        if !direct && !self.view.has(from) {
            return;
        }
        if self.view.has(member.identity()) {
            if direct {
                let view = self.view.clone();
                say(from, MembershipMessage::Decided { view }, out);
            }
            return;
        }
        if let Some(why) = self.refusal(now, &member) {
            let refusal = MembershipMessage::JoinRefused {
                joiner: member.node,
                incarnation: member.incarnation,
                why,
            };
            return say(from, refusal, out);
        }
        let member = Member {
            standing: Standing::Active,
            ..member
        };
        let known = self.joiners.get(&member.node);
        let asked_here = known.is_some_and(|known| known.direct && known.member == member);
        let joiner = Joiner {
            member,
            asked: now,
            direct: direct || asked_here,
        };
        self.joiners.insert(member.node, joiner);
        if direct {
            self.pass_wish_on(now, member, out);
        }
    }

    /// The lowest member that is heard will propose it first.
    fn pass_wish_on(&mut self, now: Nanos, member: Member, out: &mut Outbox) {
        let first = self.hears(now).iter().next();
        if let Some(first) = first.filter(|&first| first != self.me.node) {
            self.say(first, MembershipMessage::Join { member }, out);
        }
    }

    fn refusal(&self, now: Nanos, member: &Member) -> Option<JoinRefusal> {
        if member.node.0 >= SLOTS {
            return Some(JoinRefusal::NoSuchSlot);
        }
        if member.incarnation == Incarnation::ANY {
            return Some(JoinRefusal::NoIncarnation);
        }
        let last = self.view.slot(member.node).map(|slot| slot.last);
        let rival = self
            .joiners
            .get(&member.node)
            .map(|joiner| joiner.member.incarnation);
        if last.is_some_and(|last| member.incarnation <= last) && !mutated!(OutlivedReturns)
            || rival.is_some_and(|rival| member.incarnation < rival)
        {
            return Some(JoinRefusal::Outlived);
        }
        let taken =
            self.view.member(member.node).is_some() && self.hears(now).contains(member.node);
        taken.then_some(JoinRefusal::SlotTaken)
    }

    /// Gives a refusal to the node that asked, if it asked here.
    pub(super) fn pass_refusal_on(
        &mut self,
        joiner: NodeId,
        incarnation: Incarnation,
        why: JoinRefusal,
        out: &mut Outbox,
    ) {
        let to = Identity {
            node: joiner,
            incarnation,
        };
        let known = self.joiners.get(&joiner);
        if known.is_some_and(|known| known.direct && known.member.identity() == to) {
            let refusal = MembershipMessage::JoinRefused {
                joiner,
                incarnation,
                why,
            };
            say(to, refusal, out);
            self.joiners.remove(&joiner);
        }
    }

    /// Tells those who asked here that they have been taken in.
    pub(super) fn welcome(&mut self, out: &mut Outbox) {
        let view = &self.view;
        self.joiners.retain(|_, joiner| {
            let to = joiner.member.identity();
            let taken_in = view.has(to);
            if taken_in && joiner.direct {
                say(to, MembershipMessage::Decided { view: view.clone() }, out);
            }
            !taken_in
        });
    }

    /// Forgets those who have not asked again.
    pub(super) fn forget_joiners(&mut self, now: Nanos) {
        let patience = self.times.suspect.max(self.times.retry.times(3));
        self.joiners
            .retain(|_, joiner| now.since(joiner.asked) <= patience);
    }
}
