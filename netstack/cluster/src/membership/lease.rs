//! Whether this member serves.

use super::Turn;
use super::inside::Inside;
use crate::event::{EndReason, MembershipNotice, StopReason};
use crate::ids::{Nanos, SlotSet};
use crate::mutants::mutated;
use crate::outbox::Outbox;
use alloc::vec::Vec;
use core::cmp::Reverse;

/// What the user was told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Told {
    /// Nothing, since the node became a member.
    Nothing { since: Nanos },
    /// That it serves.
    Serving,
    /// That it does not, since then.
    Stopped { since: Nanos },
}

impl Inside {
    /// Until when this node may serve, by what it knows.
    pub(super) fn lease_end(&self, now: Nanos) -> Nanos {
        let own = self.acceptor.wedged_at().unwrap_or(now);
        let own = if mutated!(OwnGrantAfterAccepting) {
            now
        } else {
            own
        };
        let others = self.peers.iter();
        let stamps = others.filter_map(|(&node, peer)| Some((peer.echoed?, node)));
        let mut stamps: Vec<_> = stamps.chain([(own, self.me.node)]).collect();
        stamps.sort_unstable_by_key(|&stamp| Reverse(stamp));
        let mut granters = SlotSet::EMPTY;
        let decisive = stamps.into_iter().find(|&(_, node)| {
            granters = granters.with(node);
            self.view.is_quorum(granters)
        });
        let lease = self.times.lease.since(self.times.drift);
        let earned = decisive.map_or(Nanos(0), |(stamp, _)| stamp + lease);
        self.inherited_lease.max(earned)
    }

    /// Whether this node serves.
    pub(super) fn serves(&self, now: Nanos) -> bool {
        let leased = now < self.lease_end(now) || mutated!(LeaseNeverEnds);
        leased && !self.is_leaving()
    }

    pub(super) fn told_serving(&self) -> bool {
        self.told == Told::Serving
    }

    /// When what the user was told may not be true any more.
    pub(super) fn told_until(&self, now: Nanos) -> Nanos {
        let alone = self.view.is_quorum(SlotSet::of(self.me.node));
        match self.told {
            Told::Serving if alone && self.acceptor.wedged_at().is_none() => Nanos::NEVER,
            Told::Serving => self.lease_end(now),
            Told::Nothing { since } | Told::Stopped { since } => since + self.times.give_up,
        }
    }

    /// Tells the user whether this node serves, if that has changed, and gives up if it has not
    /// for long.
    pub(super) fn tell(&mut self, now: Nanos, out: &mut Outbox) -> Turn {
        match (self.told, self.serves(now)) {
            (Told::Nothing { .. } | Told::Stopped { .. }, true) => {
                self.told = Told::Serving;
                let epoch = self.view.epoch;
                out.notify(MembershipNotice::Serving { epoch });
            }
            (Told::Serving, false) => {
                self.told = Told::Stopped { since: now };
                let why = if self.is_leaving() {
                    StopReason::Leaving
                } else {
                    StopReason::NoMajority
                };
                out.notify(MembershipNotice::Stopped { why });
            }
            (Told::Nothing { since } | Told::Stopped { since }, false)
                if now >= since + self.times.give_up =>
            {
                return Turn::End(if self.is_leaving() {
                    EndReason::Left
                } else {
                    EndReason::NoMajority
                });
            }
            _ => {}
        }
        if self.has_left() {
            return Turn::End(EndReason::Left);
        }
        Turn::Stay
    }
}
