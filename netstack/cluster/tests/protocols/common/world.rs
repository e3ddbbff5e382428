//! Nodes, their clocks and links, and what can happen to them.

use super::links::{Item, Links};
use super::users::Users;
use darner_cluster::{
    Action, Address, ClusterId, Config, EndReason, Event, Identity, Incarnation, Limits, Member,
    MembershipNotice, Nanos, Node, NodeId, Notice, Standing, Start, TieBreak, Times, View,
};
use std::collections::BTreeMap;

/// How a world is made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Plan {
    pub nodes: u16,
    pub tie_break: TieBreak,
    pub times: Times,
    pub limits: Limits,
    /// How fast each node's clock goes, in thousandths.
    pub rates: Vec<u64>,
}

/// A machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    pub node: Option<Node>,
    pub incarnation: u64,
    offset: u64,
    rate: u64,
    timer: Option<Nanos>,
    /// Until when nothing runs on it.
    pub paused_until: u64,
    /// What its user was told.
    pub told_serving: bool,
    pub ended: Option<EndReason>,
    epoch: u32,
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub plan: Plan,
    pub now: u64,
    pub hosts: Vec<Host>,
    pub links: Links,
    /// All views that some node has entered.
    pub views: BTreeMap<u32, View>,
    pub users: Users,
    /// The first thing that was wrong.
    pub wrong: Option<String>,
}

fn address(node: u16) -> Address {
    Address {
        ip: [0; 16],
        port: node,
    }
}

impl World {
    /// Node 0 founds a cluster; no other has started.
    pub fn new(plan: Plan) -> Self {
        let host = |node: u16| Host {
            node: None,
            incarnation: 0,
            offset: 0,
            rate: plan.rates.get(usize::from(node)).copied().unwrap_or(1000),
            timer: None,
            paused_until: 0,
            told_serving: false,
            ended: None,
            epoch: 0,
        };
        let mut world = Self {
            now: 0,
            hosts: (0..plan.nodes).map(host).collect(),
            links: Links::default(),
            views: BTreeMap::new(),
            users: Users::default(),
            wrong: None,
            plan,
        };
        let (cluster, tie_break) = (ClusterId(7), world.plan.tie_break);
        world.start(0, 0, Start::Found { cluster, tie_break });
        world
    }

    pub fn identity(&self, node: u16) -> Identity {
        Identity {
            node: NodeId(node),
            incarnation: Incarnation(self.hosts[usize::from(node)].incarnation),
        }
    }

    fn start(&mut self, node: u16, offset: u64, start: Start) {
        let host = &mut self.hosts[usize::from(node)];
        host.incarnation += 1;
        host.offset = offset;
        host.timer = None;
        host.told_serving = false;
        host.ended = None;
        host.epoch = 0;
        let config = Config {
            me: Member {
                node: NodeId(node),
                incarnation: Incarnation(host.incarnation),
                address: address(node),
                standing: Standing::Active,
            },
            start,
            times: self.plan.times,
            limits: self.plan.limits,
        };
        host.node = Some(Node::new(&config));
        self.handle(node, Event::Started);
    }

    /// Starts a node that does not run. It asks all others to be taken in.
    pub fn join(&mut self, node: u16, offset: u64) {
        if self.hosts[usize::from(node)].node.is_none() {
            let seeds = (0..self.plan.nodes).filter(|&seed| seed != node);
            let seeds = seeds.map(address).collect();
            self.start(node, offset, Start::Join { seeds });
        }
    }

    pub fn crash(&mut self, node: u16, told: bool) {
        let who = self.identity(node);
        if self.hosts[usize::from(node)].node.take().is_some() {
            self.links.died(who, told);
            self.users.died(who);
        }
    }

    /// What a node's clock shows.
    pub fn clock(&self, node: u16) -> Nanos {
        let host = &self.hosts[usize::from(node)];
        Nanos(host.offset + self.now * host.rate / 1000)
    }

    pub fn runs(&self, node: u16) -> bool {
        let host = &self.hosts[usize::from(node)];
        host.node.is_some() && host.paused_until <= self.now
    }

    pub fn serves(&self, node: u16) -> bool {
        let now = self.clock(node);
        let runs = self.runs(node);
        let node = self.hosts[usize::from(node)].node.as_ref();
        runs && node.is_some_and(|node| node.membership().serves(now))
    }

    pub fn handle(&mut self, node: u16, event: Event) {
        self.with(node, |node, now, actions| node.handle(now, event, actions));
    }

    /// Does something at a node, and what it wants done for it.
    pub fn with<T>(
        &mut self,
        node: u16,
        what: impl FnOnce(&mut Node, Nanos, &mut Vec<Action>) -> T,
    ) -> Option<T> {
        self.with_first(node, what, |_, _| {})
    }

    /// As [`World::with`], and sees to the result before the actions.
    pub fn with_first<T>(
        &mut self,
        node: u16,
        what: impl FnOnce(&mut Node, Nanos, &mut Vec<Action>) -> T,
        first: impl FnOnce(&mut Users, &T),
    ) -> Option<T> {
        let now = self.clock(node);
        let mut actions = Vec::new();
        let machine = self.hosts[usize::from(node)].node.as_mut()?;
        let result = what(machine, now, &mut actions);
        first(&mut self.users, &result);
        for action in actions {
            self.act(node, action);
        }
        Some(result)
    }

    fn act(&mut self, node: u16, action: Action) {
        match action {
            Action::Send { to, packet } => self.links.send(node, to.0, packet),
            Action::Connect { to } => {
                if self.runs(to.port) {
                    self.links
                        .connect(self.identity(node), self.identity(to.port));
                }
            }
            Action::Disconnect { peer } => self.links.close(node, peer),
            Action::SetTimer { at } => self.hosts[usize::from(node)].timer = Some(at),
            Action::Notify(Notice::Membership(notice)) => self.told(node, notice),
            Action::Notify(Notice::Transaction(notice)) => {
                let who = self.identity(node);
                self.users.transaction(who, notice, &mut self.wrong);
            }
            Action::Notify(Notice::Port(notice)) => {
                let who = self.identity(node);
                self.users.port(who, notice, &mut self.wrong);
            }
        }
    }

    fn told(&mut self, node: u16, notice: MembershipNotice) {
        let host = &mut self.hosts[usize::from(node)];
        if host.ended.is_some() {
            self.wrong
                .get_or_insert(format!("node {node} was told after its end: {notice:?}"));
            return;
        }
        match notice {
            MembershipNotice::View(view) => self.entered(node, view),
            MembershipNotice::Serving { .. } if !host.told_serving => host.told_serving = true,
            MembershipNotice::Stopped { .. } if host.told_serving => host.told_serving = false,
            MembershipNotice::JoinRefused { .. } => {}
            MembershipNotice::Ended { why } if !host.told_serving => host.ended = Some(why),
            out_of_turn => {
                self.wrong
                    .get_or_insert(format!("node {node} was told {out_of_turn:?}"));
            }
        }
    }

    fn entered(&mut self, node: u16, view: View) {
        let host = &mut self.hosts[usize::from(node)];
        if host.epoch != 0 && view.epoch.0 != host.epoch + 1 {
            let wrong = format!(
                "node {node} went from view {} to {}",
                host.epoch, view.epoch.0
            );
            self.wrong.get_or_insert(wrong);
        }
        host.epoch = view.epoch.0;
        let epoch = view.epoch.0;
        let known = self.views.entry(epoch).or_insert_with(|| view.clone());
        if *known != view {
            let wrong = format!("two views {epoch}: {known:?} and {view:?}");
            self.wrong.get_or_insert(wrong);
        }
    }

    /// Delivers what is next from one node to another.
    pub fn deliver(&mut self, (from, to): (u16, u16)) {
        let Some(item) = self.links.take((from, to)) else {
            return;
        };
        let event = match item {
            Item::Up(peer) => Event::LinkUp { peer },
            Item::Down(peer) => Event::LinkDown { peer },
            Item::Packet(packet) => Event::Received {
                from: NodeId(from),
                packet,
            },
        };
        self.handle(to, event);
    }

    /// What can be delivered now.
    pub fn deliverable(&self) -> Vec<(u16, u16)> {
        let mut all = self.links.deliverable();
        all.retain(|&(_, to)| self.hosts[usize::from(to)].paused_until <= self.now);
        all
    }

    /// When the next timer goes off.
    pub fn next_timer(&self) -> Option<u64> {
        let at = |host: &Host| {
            let timer = host.timer.filter(|_| host.node.is_some())?;
            let since = timer.0.saturating_sub(host.offset);
            // Not before the clock shows it.
            let at = (since.saturating_mul(1000)).div_ceil(host.rate);
            Some(at.max(host.paused_until))
        };
        self.hosts.iter().filter_map(at).min()
    }

    /// Lets time pass until then, and timers go off.
    pub fn pass(&mut self, until: u64) {
        self.now = self.now.max(until);
        for node in 0..self.plan.nodes {
            let clock = self.clock(node);
            let runs = self.runs(node);
            let host = &mut self.hosts[usize::from(node)];
            if runs && host.timer.is_some_and(|at| at <= clock) {
                host.timer = None;
                self.handle(node, Event::TimeOver);
            }
        }
    }

    /// Nodes that run.
    pub fn running(&self) -> Vec<u16> {
        let runs = |&node: &u16| self.hosts[usize::from(node)].node.is_some();
        (0..self.plan.nodes).filter(runs).collect()
    }
}
