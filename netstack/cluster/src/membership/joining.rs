//! Before a node is a member: it asks seeds, in turn, until one takes it in.

use super::{Turn, say};
use crate::config::Times;
use crate::event::{Action, EndReason, MembershipNotice};
use crate::ids::{Address, Identity, Nanos};
use crate::message::{JoinRefusal, MembershipMessage};
use crate::outbox::Outbox;
use crate::view::Member;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Joining {
    seeds: Vec<Address>,
    /// The seed that is asked next.
    turn: usize,
    linked: BTreeSet<Identity>,
    since: Nanos,
    ask_at: Nanos,
    refused: Option<JoinRefusal>,
}

impl Joining {
    pub(super) fn new(seeds: Vec<Address>, now: Nanos) -> Self {
        Self {
            seeds,
            turn: 0,
            linked: BTreeSet::new(),
            since: now,
            ask_at: now,
            refused: None,
        }
    }

    pub(super) fn deadline(&self, times: &Times) -> Nanos {
        self.ask_at.min(self.since + times.give_up)
    }

    pub(super) fn link_up(&mut self, me: Member, peer: Identity, out: &mut Outbox) {
        self.linked.insert(peer);
        say(peer, MembershipMessage::Join { member: me }, out);
    }

    /// To whom there are links.
    pub(super) fn linked(&self) -> BTreeSet<Identity> {
        self.linked.clone()
    }

    pub(super) fn link_down(&mut self, peer: Identity) {
        self.linked.remove(&peer);
    }

    pub(super) fn receive(
        &mut self,
        me: Member,
        message: MembershipMessage,
        out: &mut Outbox,
    ) -> Turn {
        match message {
            MembershipMessage::Decided { view } if view.is_sound() && view.has(me.identity()) => {
                return Turn::Enter(view);
            }
            MembershipMessage::JoinRefused {
                joiner,
                incarnation,
                why,
            } if joiner == me.node && incarnation == me.incarnation => {
                if self.refused != Some(why) {
                    out.notify(MembershipNotice::JoinRefused { why });
                }
                self.refused = Some(why);
                if why != JoinRefusal::SlotTaken {
                    return Turn::End(EndReason::NotTakenIn { why: Some(why) });
                }
            }
            _ => {}
        }
        Turn::Stay
    }

    pub(super) fn advance(
        &mut self,
        now: Nanos,
        me: Member,
        times: &Times,
        out: &mut Outbox,
    ) -> Turn {
        if now >= self.since + times.give_up {
            return Turn::End(EndReason::NotTakenIn { why: self.refused });
        }
        if now >= self.ask_at {
            self.ask_at = now + times.retry;
            for &peer in &self.linked {
                say(peer, MembershipMessage::Join { member: me }, out);
            }
            if let Some(&to) = self.seeds.get(self.turn) {
                out.push(Action::Connect { to });
                self.turn = (self.turn + 1) % self.seeds.len();
            }
        }
        Turn::Stay
    }
}
