//! Nodes that die, and views that the others are told of.

use super::{Machine, World};
use darner_coherence::{Epoch, Event, Grant, Message, NodeId, PageIndex, Slices, View};

/// How many pages tests use.
const PAGES: u64 = 8;

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
            || self.nodes.iter().any(|other| other.home().is_moving(page))
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
            self.event(node, Event::View(view));
        }
    }
}
