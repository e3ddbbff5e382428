//! Links: in order, or lost; between different pairs in any order.

use darner_cluster::{Identity, Packet};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What is on its way on a link.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Item {
    Up(Identity),
    Packet(Packet),
    Down(Identity),
}

/// Two nodes, the lower one first.
pub fn pair(a: u16, b: u16) -> (u16, u16) {
    (a.min(b), a.max(b))
}

/// All links.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Links {
    /// What is under way, by sender and receiver.
    queues: BTreeMap<(u16, u16), VecDeque<Item>>,
    /// The links there are, and between whom.
    up: BTreeMap<(u16, u16), (Identity, Identity)>,
    /// Who knows of its link to whom.
    ready: BTreeSet<(u16, u16)>,
    /// Pairs that cannot have a link.
    pub cut: BTreeSet<(u16, u16)>,
    /// Pairs between which nothing arrives for now, and nobody is told so.
    pub stalled: BTreeSet<(u16, u16)>,
    /// Who died, and who has a link to it and was not told.
    untold: Vec<(Identity, u16)>,
}

impl Links {
    pub fn send(&mut self, from: u16, to: u16, packet: Packet) {
        if self.ready.contains(&(from, to)) {
            self.queue(from, to).push_back(Item::Packet(packet));
        }
    }

    fn queue(&mut self, from: u16, to: u16) -> &mut VecDeque<Item> {
        self.queues.entry((from, to)).or_default()
    }

    /// Makes a link, if that can be.
    pub fn connect(&mut self, a: Identity, b: Identity) {
        let key = pair(a.node.0, b.node.0);
        let ends = if a.node < b.node { (a, b) } else { (b, a) };
        let impossible = self.cut.contains(&key) || self.stalled.contains(&key);
        if a.node == b.node || impossible || self.up.get(&key) == Some(&ends) {
            return;
        }
        self.up.insert(key, ends);
        for (from, to) in [(a, b), (b, a)] {
            self.ready.remove(&(from.node.0, to.node.0));
            let queue = self.queue(from.node.0, to.node.0);
            queue.retain(|item| matches!(item, Item::Down(_)));
            queue.push_back(Item::Up(from));
        }
    }

    /// Loses a link, and what was on it.
    pub fn lose(&mut self, a: u16, b: u16) {
        let Some((low, high)) = self.up.remove(&pair(a, b)) else {
            return;
        };
        for (from, to) in [(low, high), (high, low)] {
            self.ready.remove(&(from.node.0, to.node.0));
            let queue = self.queue(from.node.0, to.node.0);
            let announced = queue.iter().rposition(|item| matches!(item, Item::Up(_)));
            match announced {
                Some(at) => queue.truncate(at),
                None => {
                    queue.retain(|item| matches!(item, Item::Down(_)));
                    queue.push_back(Item::Down(from));
                }
            }
        }
    }

    /// `by` closes its link to `peer`, after what it has sent.
    pub fn close(&mut self, by: u16, peer: Identity) {
        let key = pair(by, peer.node.0);
        let Some(&(low, high)) = self.up.get(&key) else {
            return;
        };
        let (me, other) = if low.node.0 == by {
            (low, high)
        } else {
            (high, low)
        };
        if other != peer {
            return;
        }
        self.up.remove(&key);
        self.ready.remove(&(by, peer.node.0));
        self.ready.remove(&(peer.node.0, by));
        self.queue(peer.node.0, by).clear();
        self.queue(by, peer.node.0).push_back(Item::Down(me));
    }

    /// A node dies. What it has sent may still arrive; the others learn of it from their links if `told`.
    pub fn died(&mut self, who: Identity, told: bool) {
        let node = who.node.0;
        let mine: Vec<_> = self
            .up
            .keys()
            .copied()
            .filter(|&(a, b)| a == node || b == node)
            .collect();
        for key in mine {
            self.up.remove(&key);
            let other = if key.0 == node { key.1 } else { key.0 };
            self.ready.remove(&(other, node));
            self.ready.remove(&(node, other));
            if told {
                self.queue(node, other).push_back(Item::Down(who));
            } else {
                self.untold.push((who, other));
            }
        }
        for (&(_, to), queue) in &mut self.queues {
            if to == node {
                queue.clear();
            }
        }
    }

    /// Those who were not told of a death notice that their links are dead.
    pub fn notice_deaths(&mut self) {
        for (who, other) in std::mem::take(&mut self.untold) {
            self.queue(who.node.0, other).push_back(Item::Down(who));
        }
    }

    /// Queues that have something that can arrive.
    pub fn deliverable(&self) -> Vec<(u16, u16)> {
        let open = |&(&(from, to), queue): &(&(u16, u16), &VecDeque<Item>)| {
            !queue.is_empty() && !self.stalled.contains(&pair(from, to))
        };
        self.queues
            .iter()
            .filter(open)
            .map(|(&key, _)| key)
            .collect()
    }

    pub fn front(&self, key: (u16, u16)) -> Option<&Item> {
        self.queues.get(&key).and_then(VecDeque::front)
    }

    pub fn take(&mut self, key: (u16, u16)) -> Option<Item> {
        let queue = self.queues.get_mut(&key)?;
        let item = queue.pop_front();
        if queue.is_empty() {
            self.queues.remove(&key);
        }
        if let Some(Item::Up(_)) = item
            && self.up.contains_key(&pair(key.0, key.1))
        {
            self.ready.insert((key.1, key.0));
        }
        item
    }
}
