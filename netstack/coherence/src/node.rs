//! A node: its home and its agent, and what passes between them.

use crate::adaptation::Adaptation;
use crate::agent::{Agent, AgentLimits};
use crate::event::{Action, Event, View, Violation};
use crate::home::{Home, HomeLimits, Inherited};
use crate::ids::{Epoch, NodeId, PageIndex, Time};
use crate::message::{Message, Packet};
use crate::outbox::{Local, Outbox};
use crate::sharers::Grouping;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::mem;

/// What a node is made with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// Its number.
    pub me: NodeId,
    /// One more than the highest number that any node of the cluster will have.
    pub nodes: u16,
    /// The first view.
    pub view: View,
    /// Sizes of the home's tables.
    pub home: HomeLimits,
    /// Sizes and times of the agent.
    pub agent: AgentLimits,
}

/// The coherence protocol at one node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    me: NodeId,
    view: View,
    home: Home,
    agent: Agent,
    /// Members whose last message of the old view has not come.
    draining: BTreeSet<NodeId>,
    /// Packets of a view that this node has not been told of.
    early: Vec<(NodeId, Packet)>,
}

impl Node {
    /// A node that has no copies, and as a home has all zeros.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let Config {
            me,
            nodes,
            view,
            home,
            agent,
        } = config;
        let grouping = Grouping::new(nodes);
        Self {
            me,
            home: Home::new(
                me,
                view.members.clone(),
                grouping,
                view.slices.clone(),
                home,
            ),
            agent: Agent::new(me, view.slices.clone(), agent),
            view,
            draining: BTreeSet::new(),
            early: Vec::new(),
        }
    }

    /// Says how far the node goes by how pages were used; at first not at all.
    pub fn set_adaptation(&mut self, adaptation: Adaptation) {
        self.home.set_adaptation(adaptation);
        self.agent.set_adaptation(adaptation);
    }

    /// Says that all nodes have the same bytes of these pages to begin with, so that reading
    /// them needs no message. All nodes have to say so, before anything else happens.
    pub fn replicate(&mut self, first: PageIndex, pages: u64, actions: &mut Vec<Action>) {
        let mut out = Outbox::new(self.me, self.view.epoch, actions);
        for distance in 0..pages {
            if self.home.owns(first.plus(distance)) {
                self.home.replicate(first.plus(distance), 1);
            }
        }
        self.agent.replicate(first, pages, &mut out);
    }

    /// The node's number.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.me
    }

    /// The view that the node is in.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.view.epoch
    }

    /// The home.
    #[must_use]
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// The agent.
    #[must_use]
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.home.is_quiet()
            && self.agent.is_quiet()
            && self.draining.is_empty()
            && self.early.is_empty()
    }

    /// Whether this node can leave without being missed: it has no page, is the home of none, and nothing is under way.
    #[must_use]
    pub fn has_nothing(&self) -> bool {
        self.is_quiet() && self.agent.has_nothing() && self.home.has_nothing()
    }

    /// Takes note of an event, and adds what is to be done for it.
    pub fn handle(&mut self, now: Time, event: Event, actions: &mut Vec<Action>) {
        let mut out = Outbox::new(self.me, self.view.epoch, actions);
        match event {
            Event::Fault {
                token,
                page,
                access,
            } => self.agent.fault(now, token, page, access, &mut out),
            Event::Retired { token } => self.agent.retired(token),
            Event::Prefetch {
                first,
                pages,
                access,
            } => self.agent.prefetch(first, pages, access, &mut out),
            Event::Received { from, packet } => self.received(now, from, packet, &mut out),
            Event::Protected { page, dirt } => self.agent.protected(now, page, dirt, &mut out),
            Event::TimeOver { page } => self.agent.time_over(now, page, &mut out),
            Event::Pressure { pages } => self.agent.relieve(now, pages, &mut out),
            Event::Release => {
                self.agent.release_all(now, &mut out);
                self.home.push_all(&mut out);
            }
            Event::Depart { pages } => {
                self.agent.depart(now, pages, &mut out);
                self.home.depart(pages, &mut out);
            }
            Event::Departed { node } => self.home.departed(node),
            Event::Evict { page } => self.agent.evict(now, page, &mut out),
            Event::Discard {
                token,
                first,
                pages,
            } => self.agent.discard(now, token, first, pages, &mut out),
            Event::MoveHome { first, pages, to } => {
                self.home.move_range(first, pages, to, &mut out)
            }
            Event::View(view) => self.view_changed(now, view, &mut out),
        }
        self.run_local(now, &mut out);
    }

    fn run_local(&mut self, now: Time, out: &mut Outbox) {
        while let Some(local) = out.take_local() {
            match local {
                Local::Message(message) => self.dispatch(now, self.me, message, out),
                Local::HomeLeft { page, to } => self.agent.home_left(page, to, out),
                Local::HomeCame { page } => self.agent.home_came(page),
            }
        }
    }

    fn received(&mut self, now: Time, from: NodeId, packet: Packet, out: &mut Outbox) {
        if packet.epoch > self.view.epoch {
            return self.early.push((from, packet));
        }
        if packet.message.is_hint() && packet.epoch < self.view.epoch {
            return;
        }
        if !self.view.members.contains(&from) {
            return out.refuse(from, Violation::Stranger);
        }
        if packet.epoch == self.view.epoch {
            return self.dispatch(now, from, packet.message, out);
        }
        if self.draining.contains(&from) {
            if packet.message.is_for_home() {
                self.home.drain(from, packet.message, out);
            } else {
                self.agent.drain(now, from, packet.message, out);
            }
        }
    }

    fn dispatch(&mut self, now: Time, from: NodeId, message: Message, out: &mut Outbox) {
        if message == Message::Drained {
            self.drained(from, out);
        } else if message.is_for_home() {
            self.home.receive(from, message, out);
        } else {
            if message == Message::Resume {
                self.home.resumed(from);
            }
            self.agent.receive(now, from, message, out);
        }
    }

    fn view_changed(&mut self, now: Time, view: View, out: &mut Outbox) {
        if view.epoch <= self.view.epoch {
            return;
        }
        self.draining = view.members.iter().copied().collect();
        self.home.view_changed(&view);
        self.agent.view_changed(&view, self.home.coming());
        self.view = view;
        out.set_epoch(self.view.epoch);
        for &member in &self.view.members {
            out.send(member, Message::Drained);
        }
        self.run_local(now, out);
        for (from, packet) in mem::take(&mut self.early) {
            self.received(now, from, packet, out);
        }
    }

    /// All that a member said in the old view has come.
    fn drained(&mut self, from: NodeId, out: &mut Outbox) {
        if !self.draining.remove(&from) {
            return out.refuse(from, Violation::OutOfPlace);
        }
        if !self.draining.is_empty() {
            return;
        }
        self.agent.drop_claims(out);
        let adopted = self.home.drained(|page| self.agent.awaits_bytes(page));
        for &(page, inherited) in &adopted {
            match inherited {
                Inherited::Current(serial) => self.agent.take_over(page, serial, out),
                Inherited::Claimed { owner, granted } => {
                    self.agent.claim(page, owner, granted, out);
                }
                Inherited::Old => {}
            }
        }
        self.agent.settle_copies(out);
        for (page, _) in adopted {
            if !self.agent.has_bytes(page) && !self.home.owns(page) {
                out.push(Action::Free { page });
            }
        }
        self.home.tell_ceded(out);
        self.agent.report(&self.view.members, out);
    }
}
