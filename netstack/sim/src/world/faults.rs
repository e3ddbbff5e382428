//! Faults, and how the cluster gets over them.

use super::{Happening, Phase, Place, World};
use crate::fault::Fault;
use crate::network::Load;
use crate::time::{MILLISECOND, Moment};
use darner_coherence::{Event, NodeId, PageIndex};

/// How long it takes until the smaller side of a partition stops, in nanoseconds. It is less
/// than it takes until the larger side goes on without it.
const LEASE: u64 = 8 * MILLISECOND;

impl World {
    /// Draws what goes wrong next.
    pub(super) fn draw_fault(&mut self) {
        if let Some((at, fault)) = self
            .source
            .fault(&self.plan, self.now, self.disturbed_until)
        {
            self.next_fault = Some(fault);
            self.put(at, Happening::GoesWrong);
        }
    }

    pub(super) fn goes_wrong(&mut self) {
        if self.phase != Phase::Work {
            return;
        }
        if let Some(fault) = self.next_fault.take() {
            self.counts.faults += 1;
            self.remember_more(|| fault.to_string());
            self.strike(fault);
        }
        self.draw_fault();
    }

    fn strike(&mut self, fault: Fault) {
        match fault {
            Fault::Crash { node, lasts } => self.crash(node, lasts),
            Fault::Pause { node, lasts } => self.pause(node, lasts),
            Fault::Partition { side, lasts } => self.part(side, lasts),
            Fault::Cut { one, other, lasts } => self.cut(one, other, lasts),
            Fault::Jump { node, by } => self.jump(node, by),
            Fault::Pressure { node, pages } => {
                self.strike_node(node, Event::Pressure { pages });
            }
            Fault::Leave { node, drains } => self.drain(node, drains),
            Fault::Evict { node, page } => self.strike_node(node, Event::Evict { page }),
            Fault::Move { first, pages, to } => self.move_home(first, pages, to),
        }
    }

    fn strike_node(&mut self, node: NodeId, event: Event) {
        if self.machine(node).stands_until <= self.now && self.may_serve(node) {
            self.handle(node, event, &Load::Nothing);
        }
    }

    fn disturb(&mut self, until: Moment) {
        self.disturbed_until = self.disturbed_until.max(until);
    }

    fn crash(&mut self, node: NodeId, lasts: u64) {
        if !self.machine(node).is_up() || !self.can_do_without(|goes| goes == node) {
            return;
        }
        self.kill(node);
        match self.council {
            Some(_) => self.crash_council(node),
            None => self.put(self.suspicion(), Happening::Decided),
        }
        self.put(self.now.after(lasts), Happening::Started { node });
    }

    /// A node gives up all pages, and others become their homes. Then it leaves.
    fn drain(&mut self, node: NodeId, drains: u64) {
        if !self.machine(node).is_up() || !self.can_do_without(|goes| goes == node) {
            return;
        }
        if self.council.is_some() {
            // The view gives its slices to others; what else it has it gives up again and again.
            self.counsel(node, darner_cluster::Event::Drain);
            let at = self.place(node);
            return self.put(self.now.after(drains), Happening::Leaves { at });
        }
        let pages = self.plan.slice_of(node.0);
        let to = NodeId((node.0 + 1) % self.plan.nodes);
        self.move_home(PageIndex(pages.start), pages.end - pages.start, to);
        self.strike_node(node, Event::Pressure { pages: usize::MAX });
        let at = self.place(node);
        self.put(self.now.after(drains), Happening::Leaves { at });
    }

    pub(super) fn leaves(&mut self, at: Place) {
        let node = at.node;
        if !self.lives(at) || !self.can_do_without(|goes| goes == node) {
            return;
        }
        if self.council.is_some() {
            let pages = usize::MAX;
            self.strike_node(node, Event::Depart { pages });
            return self.counsel(node, darner_cluster::Event::Leave);
        }
        self.kill(node);
        self.decide();
        let again = self.now.after(MILLISECOND);
        self.put(again, Happening::Started { node });
    }

    fn pause(&mut self, node: NodeId, lasts: u64) {
        let until = self.now.after(lasts);
        let machine = self.machine_mut(node);
        if !machine.is_up() {
            return;
        }
        machine.stands_until = machine.stands_until.max(until);
        self.disturb(until);
        if self.council.is_none() {
            let at = self.place(node);
            self.put(self.suspicion(), Happening::Suspected { at });
        }
    }

    /// The others take a node that still stands for dead, and go on without it.
    pub(super) fn suspected(&mut self, at: Place) {
        let until = self.machine(at.node).stands_until;
        let member = self.views.latest.members.contains(&at.node);
        if self.lives(at)
            && member
            && until > self.now
            && self.can_do_without(|goes| goes == at.node)
        {
            self.kill(at.node);
            self.decide();
            self.put(until, Happening::Started { node: at.node });
        }
    }

    fn cut(&mut self, one: NodeId, other: NodeId, lasts: u64) {
        if one == other {
            return;
        }
        let until = self.now.after(lasts);
        self.disturb(until);
        self.lose_connection(one, other);
        self.block_both(one, other);
        self.put(until, Happening::Joined { one, other });
    }

    fn block_both(&mut self, one: NodeId, other: NodeId) {
        for (from, to) in [(one, other), (other, one)] {
            self.links.block(from, to);
            if let Some(council) = &mut self.council {
                council.block(from, to);
            }
        }
    }

    pub(super) fn join_links(&mut self, one: NodeId, other: NodeId) {
        for (from, to) in [(one, other), (other, one)] {
            let arrivals = self.links.unblock(self.now, &self.plan, from, to);
            for arrival in arrivals {
                self.put_arrival(arrival);
            }
            self.reopen(from, to);
        }
    }

    fn part(&mut self, side: u64, lasts: u64) {
        let nodes = (0..self.plan.nodes).map(NodeId);
        let is_one_side = nodes.clone().all(|node| is_in(side, node))
            || nodes.clone().all(|node| !is_in(side, node));
        if self.partition.is_some() || is_one_side {
            return;
        }
        self.partition = Some(side);
        for (one, other) in self.across(side) {
            self.block_both(one, other);
        }
        let until = self.now.after(lasts);
        self.disturb(until);
        self.put(until, Happening::Healed);
        if self.council.is_some() {
            return;
        }
        if lasts > LEASE {
            self.put(self.now.after(LEASE), Happening::Fenced);
        }
        if self.suspicion() < until {
            self.put(self.suspicion(), Happening::CutOff);
        }
    }

    fn across(&self, side: u64) -> Vec<(NodeId, NodeId)> {
        let nodes = (0..self.plan.nodes).map(NodeId);
        let (inside, outside): (Vec<NodeId>, Vec<NodeId>) =
            nodes.partition(|&node| is_in(side, node));
        let pairs = inside
            .into_iter()
            .flat_map(|one| outside.iter().map(move |&other| (one, other)));
        pairs.collect()
    }

    /// Those who have no majority with them.
    fn minority(&self) -> Vec<NodeId> {
        let Some(side) = self.partition else {
            return Vec::new();
        };
        let minority = |node: &NodeId| {
            let with_it = is_in(side, *node);
            self.machine(*node).is_up() && !self.can_do_without(|goes| is_in(side, goes) != with_it)
        };
        (0..self.plan.nodes).map(NodeId).filter(minority).collect()
    }

    /// Those who have no majority with them stop, for as long as that is so.
    pub(super) fn fence(&mut self) {
        let until = self.disturbed_until;
        for node in self.minority() {
            let machine = self.machine_mut(node);
            machine.stands_until = machine.stands_until.max(until);
        }
    }

    /// The others go on without them, if they are a majority.
    pub(super) fn cut_off(&mut self) {
        let minority = self.minority();
        if minority.is_empty() || !self.can_do_without(|goes| minority.contains(&goes)) {
            return;
        }
        for node in minority {
            self.kill(node);
            let again = self.disturbed_until.after(MILLISECOND);
            self.put(again, Happening::Started { node });
        }
        self.decide();
    }

    pub(super) fn heal(&mut self) {
        let Some(side) = self.partition.take() else {
            return;
        };
        for (one, other) in self.across(side) {
            self.join_links(one, other);
        }
    }

    fn jump(&mut self, node: NodeId, by: i64) {
        let now = self.now;
        let clock = &mut self.machine_mut(node).clock;
        clock.read(now);
        clock.jump(by);
        let stands = clock.stands_for(now);
        self.disturb(now.after(stands));
    }

    fn move_home(&mut self, first: PageIndex, pages: u64, to: NodeId) {
        if self.views.is_settling() {
            let risk = self.next_risk();
            for distance in 0..pages {
                self.oracle.endanger(first.plus(distance), risk);
            }
        }
        if let Some(home) = self.home_of(first) {
            let event = Event::MoveHome { first, pages, to };
            self.strike_node(home, event);
        }
    }
}

fn is_in(side: u64, node: NodeId) -> bool {
    node.0 < 64 && side >> node.0 & 1 == 1
}
