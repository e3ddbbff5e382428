//! A member: what it keeps, and to which part of it what arrives is given.

use super::acceptor::Acceptor;
use super::admission::Joiner;
use super::connectivity::Partial;
use super::lease::Told;
use super::peers::Peer;
use super::proposer::Proposal;
use super::{Turn, say};
use crate::config::Times;
use crate::event::{Action, EndReason};
use crate::ids::{Identity, Nanos, SlotSet};
use crate::message::{MembershipMessage, Wish};
use crate::mutants::mutated;
use crate::outbox::Outbox;
use crate::view::{Member, View};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use darner_coherence::{Epoch, NodeId};

/// How many views are remembered for members that lag.
const HISTORY: usize = 16;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Inside {
    pub(super) me: Member,
    pub(super) times: Times,
    pub(super) view: View,
    /// The last views, this one included.
    history: VecDeque<View>,
    /// The other members.
    pub(super) peers: BTreeMap<NodeId, Peer>,
    /// To whom there are links.
    linked: BTreeSet<Identity>,
    pub(super) acceptor: Acceptor,
    pub(super) proposal: Option<Proposal>,
    /// The highest round of a ballot that was seen in this view.
    pub(super) round: u32,
    /// Since when there is a reason for another view.
    pub(super) reason_since: Option<Nanos>,
    pub(super) joiners: BTreeMap<NodeId, Joiner>,
    /// What members want, this one included.
    pub(super) wishes: BTreeMap<NodeId, Wish>,
    /// Until when this node may serve by what was granted in earlier views.
    pub(super) inherited_lease: Nanos,
    pub(super) told: Told,
    pub(super) partial: Partial,
    pub(super) heartbeat_at: Nanos,
    /// Messages to itself.
    local: VecDeque<MembershipMessage>,
}

impl Inside {
    pub(super) fn new(
        me: Member,
        times: Times,
        view: View,
        linked: BTreeSet<Identity>,
        now: Nanos,
    ) -> Self {
        let mut inside = Self {
            me,
            times,
            history: VecDeque::from([view.clone()]),
            peers: BTreeMap::new(),
            view,
            linked,
            acceptor: Acceptor::default(),
            proposal: None,
            round: 0,
            reason_since: None,
            joiners: BTreeMap::new(),
            wishes: BTreeMap::new(),
            inherited_lease: Nanos(0),
            told: Told::Nothing { since: now },
            partial: Partial::default(),
            heartbeat_at: now,
            local: VecDeque::new(),
        };
        inside.meet(now);
        inside
    }

    /// Enters the view that follows.
    pub(super) fn install(&mut self, now: Nanos, view: View, out: &mut Outbox) {
        self.inherited_lease = self.lease_end(now);
        for node in self.view.gone_in(&view).iter() {
            let farewell = MembershipMessage::Decided { view: view.clone() };
            self.say(node, farewell, out);
        }
        self.view = view;
        self.history.push_back(self.view.clone());
        if self.history.len() > HISTORY {
            self.history.pop_front();
        }
        self.acceptor = Acceptor::default();
        self.proposal = None;
        self.round = 0;
        self.reason_since = None;
        self.partial = Partial::default();
        self.local.clear();
        let view = &self.view;
        self.wishes.retain(|&node, _| view.member(node).is_some());
        self.meet(now);
        self.welcome(out);
        self.greet(now, out);
    }

    /// What is due at the beginning of a view.
    pub(super) fn greet(&mut self, now: Nanos, out: &mut Outbox) {
        self.heartbeat(now, out);
        self.repeat_wish(out);
    }

    pub(super) fn say(&mut self, to: NodeId, message: MembershipMessage, out: &mut Outbox) {
        if to == self.me.node {
            self.local.push_back(message);
        } else if let Some(member) = self.view.member(to) {
            say(member.identity(), message, out);
        }
    }

    /// Says it to all members, this one included.
    pub(super) fn say_to_all(
        &mut self,
        those: SlotSet,
        message: &MembershipMessage,
        out: &mut Outbox,
    ) {
        for node in those.iter() {
            self.say(node, message.clone(), out);
        }
    }

    pub(super) fn link_up(&mut self, now: Nanos, peer: Identity, out: &mut Outbox) {
        self.linked.insert(peer);
        if self.view.has(peer) {
            self.beat(now, peer.node, out);
        }
    }

    pub(super) fn link_down(&mut self, peer: Identity) {
        self.linked.remove(&peer);
    }

    /// Asks for links that are missing. Of two members the one with the higher number asks.
    pub(super) fn dial(&self, out: &mut Outbox) {
        let mine = |member: &&Member| member.node < self.me.node;
        let missing = |member: &&Member| !self.linked.contains(&member.identity());
        for member in self.view.members.iter().filter(mine).filter(missing) {
            out.push(Action::Connect { to: member.address });
        }
    }

    pub(super) fn receive(
        &mut self,
        now: Nanos,
        from: Identity,
        epoch: Epoch,
        message: MembershipMessage,
        out: &mut Outbox,
    ) -> Turn {
        match message {
            MembershipMessage::Join { member } => self.asked_to_admit(now, from, member, out),
            MembershipMessage::JoinRefused {
                joiner,
                incarnation,
                why,
            } => self.pass_refusal_on(joiner, incarnation, why, out),
            MembershipMessage::Decided { view } => return self.decided(view),
            MembershipMessage::Removed if epoch > self.view.epoch => {
                return Turn::End(self.end_reason());
            }
            MembershipMessage::Removed => {}
            _ if epoch < self.view.epoch && !mutated!(OldViewHeard) => {
                self.enlighten(from, epoch, out);
            }
            _ if epoch > self.view.epoch => self.ask_what_happened(now, from, &message, out),
            _ if !self.view.has(from) && !mutated!(StrangerHeard) => {}
            message => self.dispatch(now, from.node, message, out),
        }
        self.settle(now, out)
    }

    /// Handles what this node says to itself.
    pub(super) fn settle(&mut self, now: Nanos, out: &mut Outbox) -> Turn {
        while let Some(message) = self.local.pop_front() {
            if let MembershipMessage::Decided { view } = message {
                return self.decided(view);
            }
            self.dispatch(now, self.me.node, message, out);
        }
        Turn::Stay
    }

    fn dispatch(&mut self, now: Nanos, from: NodeId, message: MembershipMessage, out: &mut Outbox) {
        match message {
            // Whoever has a ballot says so itself.
            MembershipMessage::Prepare { ballot } | MembershipMessage::Accept { ballot, .. }
                if ballot.node != from => {}
            MembershipMessage::Wish { wish } => self.wished(from, wish),
            MembershipMessage::Heartbeat {
                sent,
                granted,
                hears,
            } => self.heard(now, from, sent, granted, hears, out),
            MembershipMessage::Prepare { ballot } => self.prepare(now, ballot, out),
            MembershipMessage::Promise {
                ballot,
                hears,
                accepted,
            } => self.promised(now, from, ballot, hears, accepted, out),
            MembershipMessage::Accept { ballot, view } => {
                self.asked_to_accept(now, ballot, view, out);
            }
            MembershipMessage::Accepted { ballot } => self.accepted(from, ballot, out),
            MembershipMessage::Outbid { ballot, promised } => self.outbid(now, ballot, promised),
            MembershipMessage::Join { .. }
            | MembershipMessage::JoinRefused { .. }
            | MembershipMessage::Decided { .. }
            | MembershipMessage::Removed => {}
        }
    }

    fn decided(&mut self, view: View) -> Turn {
        let follows = view.epoch.0 == self.view.epoch.0 + 1 && view.cluster == self.view.cluster;
        if follows && view.is_sound() {
            Turn::Enter(view)
        } else {
            Turn::Stay
        }
    }

    fn end_reason(&self) -> EndReason {
        if self.is_leaving() {
            EndReason::Left
        } else {
            EndReason::Evicted
        }
    }

    /// Tells a node that is in an old view what was agreed on since.
    fn enlighten(&self, who: Identity, epoch: Epoch, out: &mut Outbox) {
        let known = self
            .history
            .front()
            .is_some_and(|view| view.epoch.0 <= epoch.0 + 1);
        if !known {
            if !self.view.has(who) {
                say(who, MembershipMessage::Removed, out);
            }
            return;
        }
        for view in self.history.iter().filter(|view| view.epoch > epoch) {
            let last = !view.has(who);
            say(who, MembershipMessage::Decided { view: view.clone() }, out);
            if last {
                return;
            }
        }
    }

    /// A node is in a later view: a heartbeat from the old one has it tell.
    fn ask_what_happened(
        &self,
        now: Nanos,
        who: Identity,
        message: &MembershipMessage,
        out: &mut Outbox,
    ) {
        if matches!(message, MembershipMessage::Heartbeat { .. }) {
            let ask = MembershipMessage::Heartbeat {
                sent: now,
                granted: None,
                hears: SlotSet::EMPTY,
            };
            say(who, ask, out);
        }
    }

    /// When something is due.
    pub(super) fn deadline(&self, now: Nanos) -> Nanos {
        let beat = if self.peers.is_empty() && self.joiners.is_empty() {
            Nanos::NEVER
        } else {
            self.heartbeat_at
        };
        let parked = self.acceptable_at().unwrap_or(Nanos::NEVER);
        let again = self
            .proposal
            .as_ref()
            .map_or(Nanos::NEVER, Proposal::again_at);
        beat.min(parked).min(again).min(self.told_until(now))
    }

    /// Does what is due.
    pub(super) fn advance(&mut self, now: Nanos, out: &mut Outbox) -> Turn {
        if now >= self.heartbeat_at {
            self.heartbeat(now, out);
            self.repeat_wish(out);
        }
        self.forget_joiners(now);
        self.look_at_connections(now);
        self.accept_parked(now, out);
        self.consider(now, out);
        let turn = self.settle(now, out);
        if !matches!(turn, Turn::Stay) {
            return turn;
        }
        self.tell(now, out)
    }
}
