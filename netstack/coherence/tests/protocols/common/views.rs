//! Nodes that die, and views that the others are told of.

use super::build::Plan;
use super::{Machine, World};
use darner_coherence::{
    Epoch, Event, Grant, Message, Node, NodeId, PageIndex, Slices, State, View,
};
use std::collections::BTreeSet;

/// How many pages tests use.
const PAGES: u64 = 8;

/// A page that lives if these nodes do until the view has changed: one of them has it, or
/// it is on its way between them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vouch {
    pub epoch: Epoch,
    pub page: PageIndex,
    pub nodes: BTreeSet<NodeId>,
}

impl World {
    /// A node dies, its links with it, and the others are to be told, unless fewer than two
    /// would remain.
    pub fn kill_and_tell(&mut self, node: NodeId) {
        let Some(view) = self.latest.clone() else {
            return;
        };
        if !view.members.contains(&node) || view.members.len() < 3 {
            return;
        }
        for page in (0..PAGES).map(PageIndex) {
            if self.is_at_risk(node, page, &view) {
                self.lost.insert(page);
            }
        }
        if self.is_changing() {
            self.lost.extend(&self.moved);
        }
        self.vouched.retain(|vouch| !vouch.nodes.contains(&node));
        self.machines[usize::from(node.0)] = Machine {
            dead: true,
            ..Machine::default()
        };
        self.links
            .retain(|&(from, to), _| from != node && to != node);
        self.threads.retain(|thread| thread.node != node);
        self.untold.remove(&node);
        let members: Vec<NodeId> = view
            .members
            .iter()
            .copied()
            .filter(|&member| member != node)
            .collect();
        let heir = members[usize::from(node.0) % members.len()];
        let slices = (0..PAGES).map(|page| {
            let home = view.slices.home(PageIndex(page));
            (PageIndex(page), if home == node { heir } else { home })
        });
        let slices = Slices::new(slices.collect()).expect("slices in order");
        let next = View {
            epoch: Epoch(view.epoch.0 + 1),
            members,
            slices,
        };
        self.announce(next);
    }

    /// All slices of a node are to be others', and all are to be told. It stays a member.
    pub fn cede_and_tell(&mut self, node: NodeId) {
        let Some(mut view) = self.latest.clone() else {
            return;
        };
        let others = || view.members.iter().copied().filter(|&other| other != node);
        if !view.members.contains(&node) || others().count() == 0 {
            return;
        }
        let heir = others().cycle().nth(usize::from(node.0)).expect("another");
        let ceded = (0..PAGES).map(PageIndex);
        let ceded: Vec<PageIndex> = ceded
            .filter(|&page| view.slices.home(page) == node)
            .collect();
        if self.is_changing() {
            self.lost.extend(&self.moved);
            self.lost.extend(&ceded);
        }
        self.moved.extend(ceded);
        let slices = (0..PAGES).map(PageIndex).map(|page| {
            let home = view.slices.home(page);
            (page, if home == node { heir } else { home })
        });
        view.slices = Slices::new(slices.collect()).expect("slices in order");
        view.epoch.0 += 1;
        self.announce(view);
    }

    /// A node that was told to depart has nothing left, and leaves: that loses nothing.
    pub fn leave_and_tell(&mut self, node: NodeId) {
        let Some(mut view) = self.latest.clone() else {
            return;
        };
        if self.is_changing() || !self.nodes[usize::from(node.0)].has_nothing() {
            return;
        }
        let owes = |other: &&Node| other.home().would_miss(node);
        let busy = self.live().find(owes).map(Node::id);
        if let Some(busy) = busy {
            return self.complain(format!("{busy:?} would miss {node:?}, which has nothing"));
        }
        self.machines[usize::from(node.0)] = Machine {
            dead: true,
            ..Machine::default()
        };
        self.links
            .retain(|&(from, to), _| from != node && to != node);
        view.members.retain(|&member| member != node);
        view.epoch.0 += 1;
        self.announce(view);
    }

    /// A node that had died becomes a member again, as one that knows nothing, and all are to be told.
    pub fn comes_back(&mut self, plan: &Plan, node: NodeId) {
        let Some(mut view) = self.latest.clone() else {
            return;
        };
        self.machines[usize::from(node.0)] = Machine::default();
        self.nodes[usize::from(node.0)] = plan.node(node, view.clone());
        view.epoch.0 += 1;
        view.members.push(node);
        view.members.sort_unstable();
        self.announce(view);
    }

    fn announce(&mut self, next: View) {
        for &member in &next.members {
            self.untold
                .entry(member)
                .or_default()
                .push_back(next.clone());
        }
        self.latest = Some(next);
    }

    /// Whether the bytes of a page may die with a node: it has them, they are on their way
    /// to or from it, it has asked for them, or it is their home, or will be.
    fn is_at_risk(&self, node: NodeId, page: PageIndex, view: &View) -> bool {
        let machine = &self.machines[usize::from(node.0)];
        let carries = |message: &Message| match message {
            Message::Grant(Grant {
                page: first, mask, ..
            }) => page >= *first && page.0 - first.0 < 16 && mask >> (page.0 - first.0) & 1 == 1,
            Message::WriteBack { page: carried, .. }
            | Message::Recalled { page: carried, .. }
            | Message::Adopt { page: carried, .. } => *carried == page,
            _ => false,
        };
        let links = self
            .links
            .iter()
            .filter(|&(&(from, to), _)| from == node || to == node);
        let mut on_the_way = links
            .flat_map(|(_, link)| link)
            .map(|in_flight| &in_flight.packet.message);
        let dead = &self.nodes[usize::from(node.0)];
        machine.frames.contains_key(&page)
            || dead.agent().has_bytes(page)
            || dead.agent().awaits(page)
            || dead.home().owns(page)
            || view.slices.home(page) == node
            || self
                .nodes
                .iter()
                .any(|other| other.home().owns(page) && other.home().may_hold(node, page))
            || on_the_way.any(carries)
    }

    /// A node learns of the next view.
    pub fn tell(&mut self, node: NodeId) {
        let Some(views) = self.untold.get_mut(&node) else {
            return;
        };
        let view = views.pop_front();
        if views.is_empty() {
            self.untold.remove(&node);
        }
        if let Some(view) = view {
            self.vouch(node, &view);
            self.event(node, Event::View(view));
        }
    }

    /// Notes what a node has that is about to be told of a view.
    fn vouch(&mut self, node: NodeId, view: &View) {
        let epoch = view.epoch;
        let world = &*self;
        let pages = || (0..PAGES).map(PageIndex);
        let here = pages().filter_map(|page| Some((page, world.who_has(node, page, view)?)));
        let coming = view.members.iter().flat_map(|&from| {
            pages()
                .filter(move |&page| world.adopts(from, node, page))
                .map(move |page| (page, BTreeSet::from([from, node])))
        });
        let vouched: Vec<_> = here.chain(coming).collect();
        self.vouched.extend(
            vouched
                .into_iter()
                .map(|(page, nodes)| Vouch { epoch, page, nodes }),
        );
    }

    /// Who has to live for a page to live, if this node has it, as far as it can know: a copy that
    /// it may use, or, as the home, bytes that are current.
    fn who_has(&self, node: NodeId, page: PageIndex, view: &View) -> Option<BTreeSet<NodeId>> {
        let this = &self.nodes[usize::from(node.0)];
        let agent = this.agent();
        if agent.is_leaving(page) {
            return None;
        }
        if agent.held().any(|(held, _)| held == page) {
            return Some(BTreeSet::from([node]));
        }
        let home = this.home();
        if !home.is_quiet_about_views() || !home.keeps(page, &view.members) {
            return None;
        }
        match home.record(page).state {
            State::Idle | State::Shared { .. } => Some(BTreeSet::from([node])),
            // It has dropped its copy in silence, or will say that it has one. What it writes back may die on
            // the way.
            State::Exclusive { owner } => {
                let agent = self.nodes[usize::from(owner.0)].agent();
                let settled = view.members.contains(&owner)
                    && !home.is_busy(page)
                    && !agent.awaits(page)
                    && !agent.is_leaving(page);
                settled.then(|| BTreeSet::from([node, owner]))
            }
            State::Owned { .. } | State::Lost => None,
        }
    }

    /// Whether a page is on its way to its new home.
    fn adopts(&self, from: NodeId, to: NodeId, page: PageIndex) -> bool {
        let link = self.links.get(&(from, to));
        let keeps = !self.nodes[usize::from(to.0)].agent().is_leaving(page);
        keeps && link.into_iter().flatten().any(|came| {
            matches!(came.packet.message, Message::Adopt { page: adopted, .. } if adopted == page)
        })
    }

    fn is_changing(&self) -> bool {
        !self.untold.is_empty() || self.live().any(|node| !node.home().is_quiet_about_views())
    }

    /// Whether a view changes, and somebody has yet to be told of two. What homes claim of pages that had
    /// moved is not said twice.
    pub fn is_changing_twice(&self) -> bool {
        self.untold.values().any(|views| views.len() > 1)
    }

    pub fn live(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| !self.dead(node.id()))
    }
}
