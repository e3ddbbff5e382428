//! The links between nodes: reliable, each in order, and none in step with another.
//!
//! A packet is under way until its time has come. When a link is blocked, what is under way
//! waits, and is sent again when the link is free: the connections below do this.

use crate::chance::{Chance, Stream};
use crate::plan::Plan;
use crate::time::Moment;
use darner_coherence::{Epoch, Message, NodeId, Packet, PageIndex, locks, parking};
use std::collections::VecDeque;

/// What pages a packet carries.
#[derive(Clone, Debug, Default)]
pub(crate) enum Load {
    #[default]
    Nothing,
    Page(PageIndex, u64),
    Pages(Box<[(PageIndex, u64)]>),
}

impl Load {
    /// These pages.
    pub(crate) fn of(mut pages: impl Iterator<Item = (PageIndex, u64)>) -> Self {
        let Some(first) = pages.next() else {
            return Self::Nothing;
        };
        match pages.next() {
            None => Self::Page(first.0, first.1),
            Some(second) => Self::Pages([first, second].into_iter().chain(pages).collect()),
        }
    }

    /// What it has of a page.
    pub(crate) fn get(&self, page: PageIndex) -> Option<u64> {
        match self {
            Self::Nothing => None,
            Self::Page(carried, value) => (*carried == page).then_some(*value),
            Self::Pages(pages) => {
                let found = pages.iter().find(|(carried, _)| *carried == page);
                found.map(|&(_, value)| value)
            }
        }
    }
}

/// A packet under way: all that two nodes say to each other goes over one link.
#[derive(Clone, Debug)]
pub(crate) enum UnderWay {
    Pages { packet: Packet, load: Load },
    Locks(locks::Packet),
    Parking(parking::Packet),
}

impl UnderWay {
    /// The view in which it was sent.
    pub(crate) fn epoch(&self) -> Epoch {
        match self {
            Self::Pages { packet, .. } => packet.epoch,
            Self::Locks(packet) => packet.epoch,
            Self::Parking(packet) => packet.epoch,
        }
    }

    /// What it says about pages.
    pub(crate) fn message(&self) -> Option<&Message> {
        match self {
            Self::Pages { packet, .. } => Some(&packet.message),
            Self::Locks(_) | Self::Parking(_) => None,
        }
    }
}

/// One direction between two nodes.
#[derive(Clone, Debug)]
struct Link<T> {
    packets: VecDeque<T>,
    /// When the last of them arrives.
    last: Moment,
    /// How often the link was made anew.
    era: u32,
    /// For how many reasons nothing passes.
    blocks: u16,
    /// How many packets should have arrived while it was blocked.
    owed: u32,
    chance: Chance,
}

/// When a packet arrives: the event that is to deliver the link's next one then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) at: Moment,
    pub(crate) from: NodeId,
    pub(crate) to: NodeId,
    pub(crate) era: u32,
}

/// All links.
#[derive(Clone, Debug)]
pub(crate) struct Links<T> {
    nodes: u16,
    links: Vec<Link<T>>,
}

impl<T> Links<T> {
    pub(crate) fn new(plan: &Plan) -> Self {
        let pairs = (0..plan.nodes).flat_map(|from| (0..plan.nodes).map(move |to| (from, to)));
        let link = |(from, to)| Link {
            packets: VecDeque::new(),
            last: Moment(0),
            era: 0,
            blocks: 0,
            owed: 0,
            chance: Chance::new(plan.seed, Stream::Link(from, to)),
        };
        Self {
            nodes: plan.nodes,
            links: pairs.map(link).collect(),
        }
    }

    fn link(&mut self, from: NodeId, to: NodeId) -> &mut Link<T> {
        &mut self.links[usize::from(from.0) * usize::from(self.nodes) + usize::from(to.0)]
    }

    /// Sends a packet.
    pub(crate) fn send(
        &mut self,
        now: Moment,
        plan: &Plan,
        (from, to): (NodeId, NodeId),
        under_way: T,
    ) -> Arrival {
        let link = self.link(from, to);
        let at = now
            .after(plan.network.delay(&mut link.chance))
            .max(link.last);
        link.last = at;
        link.packets.push_back(under_way);
        let era = link.era;
        Arrival { at, from, to, era }
    }

    /// The packet that arrives, if one does.
    pub(crate) fn arrive(&mut self, from: NodeId, to: NodeId, era: u32) -> Option<T> {
        let link = self.link(from, to);
        if link.era != era {
            return None;
        }
        if link.blocks > 0 {
            link.owed += 1;
            return None;
        }
        link.packets.pop_front()
    }

    /// Lets nothing pass any more, in one direction.
    pub(crate) fn block(&mut self, from: NodeId, to: NodeId) {
        self.link(from, to).blocks += 1;
    }

    /// Takes one reason away why nothing passes; what waited is sent again.
    pub(crate) fn unblock(
        &mut self,
        now: Moment,
        plan: &Plan,
        from: NodeId,
        to: NodeId,
    ) -> Vec<Arrival> {
        let link = self.link(from, to);
        link.blocks -= 1;
        if link.blocks > 0 {
            return Vec::new();
        }
        let era = link.era;
        let owed = std::mem::take(&mut link.owed);
        let mut again = || {
            let at = now
                .after(plan.network.delay(&mut link.chance))
                .max(link.last);
            link.last = at;
            Arrival { at, from, to, era }
        };
        (0..owed).map(|_| again()).collect()
    }

    /// A node has died: what was sent to it is gone, and of what it sent, some of the last.
    pub(crate) fn died(&mut self, node: NodeId) {
        for other in (0..self.nodes).map(NodeId) {
            self.renew(other, node);
            let link = self.link(node, other);
            let kept = link.chance.within(0..link.packets.len() as u64 + 1);
            link.packets.truncate(kept as usize);
        }
    }

    /// A node has been started anew, with new connections.
    pub(crate) fn started(&mut self, node: NodeId) {
        for other in (0..self.nodes).map(NodeId) {
            self.renew(node, other);
        }
    }

    /// Nothing that was sent in this direction is heard any more.
    pub(crate) fn renew(&mut self, from: NodeId, to: NodeId) {
        let link = self.link(from, to);
        link.packets.clear();
        link.era += 1;
        link.owed = 0;
    }

    /// Whether nothing passes in this direction.
    pub(crate) fn is_blocked(&self, from: NodeId, to: NodeId) -> bool {
        self.links[usize::from(from.0) * usize::from(self.nodes) + usize::from(to.0)].blocks > 0
    }

    /// Whether nothing is under way.
    pub(crate) fn is_empty(&self) -> bool {
        self.links.iter().all(|link| link.packets.is_empty())
    }

    /// All packets under way.
    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        self.links.iter().flat_map(|link| &link.packets)
    }

    /// All packets under way to a node.
    pub(crate) fn to(&self, node: NodeId) -> impl Iterator<Item = &T> {
        let nodes = usize::from(self.nodes);
        let links = self.links.iter().skip(node.0.into()).step_by(nodes);
        links.flat_map(|link| &link.packets)
    }

    /// All packets under way to or from a node.
    pub(crate) fn of(&self, node: NodeId) -> impl Iterator<Item = &T> {
        let nodes = usize::from(self.nodes);
        let first = usize::from(node.0) * nodes;
        let from = &self.links[first..first + nodes];
        from.iter()
            .flat_map(|link| &link.packets)
            .chain(self.to(node))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Wishes;

    const ENDS: (NodeId, NodeId) = (NodeId(0), NodeId(1));

    fn links() -> (Plan, Links<UnderWay>) {
        let wishes = Wishes {
            nodes: Some(3),
            ..Wishes::default()
        };
        let plan = Plan::drawn(1, 1, &wishes);
        let links = Links::new(&plan);
        (plan, links)
    }

    fn packet(number: u32) -> UnderWay {
        UnderWay::Pages {
            packet: Packet {
                epoch: Epoch(number),
                message: Message::Resume,
            },
            load: Load::Nothing,
        }
    }

    fn arrived(links: &mut Links<UnderWay>, era: u32) -> Option<u32> {
        let arrived = links.arrive(ENDS.0, ENDS.1, era);
        arrived.map(|under_way| under_way.epoch().0)
    }

    #[test]
    fn a_link_keeps_the_order() {
        let (plan, mut links) = links();
        let mut times =
            (0..100).map(|number| links.send(Moment(0), &plan, ENDS, packet(number)).at);
        assert!(times.by_ref().is_sorted());
        drop(times);
        for number in 0..100 {
            assert_eq!(arrived(&mut links, 0), Some(number));
        }
        assert_eq!(arrived(&mut links, 0), None);
    }

    #[test]
    fn what_meets_a_block_is_sent_again() {
        let (plan, mut links) = links();
        links.send(Moment(0), &plan, ENDS, packet(7));
        links.block(ENDS.0, ENDS.1);
        assert_eq!(arrived(&mut links, 0), None);
        let again = links.unblock(Moment(10), &plan, ENDS.0, ENDS.1);
        assert_eq!(again.len(), 1);
        assert_eq!(arrived(&mut links, 0), Some(7));
    }

    #[test]
    fn what_was_sent_to_the_dead_is_gone() {
        let (plan, mut links) = links();
        links.send(Moment(0), &plan, ENDS, packet(7));
        links.died(ENDS.1);
        assert_eq!(arrived(&mut links, 0), None);
        assert_eq!(arrived(&mut links, 1), None);
    }
}
