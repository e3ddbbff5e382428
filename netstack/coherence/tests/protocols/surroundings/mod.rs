//! What is around the nodes of a cluster in one process: links, timers, deaths, and views that they have
//! yet to be told of.

use darner_coherence::{NodeId, Time, View, Violation};
use std::collections::{BTreeMap, VecDeque};

/// Something that can happen by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    Deliver(NodeId, NodeId),
    TimeOver(NodeId),
    /// A thread goes on.
    Execute(usize),
    /// A node is told of the next view.
    Tell(NodeId),
}

/// What was said since it is counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Counted {
    pub messages: u32,
    /// The longest chain of messages, each sent because of the one before.
    pub hops: u32,
    /// The longest chain that has reached each node.
    depths: BTreeMap<NodeId, u32>,
    on_their_way: BTreeMap<(NodeId, NodeId), VecDeque<u32>>,
}

impl Counted {
    fn post(&mut self, from: NodeId, to: NodeId) {
        let depth = 1 + self.depths.get(&from).copied().unwrap_or(0);
        self.messages += 1;
        self.hops = self.hops.max(depth);
        let link = self.on_their_way.entry((from, to)).or_default();
        link.push_back(depth);
    }

    fn take(&mut self, from: NodeId, to: NodeId) {
        let depth = next(&mut self.on_their_way, (from, to)).unwrap_or(0);
        let deepest = self.depths.entry(to).or_default();
        *deepest = depth.max(*deepest);
    }
}

/// Links on which packets are `P`, and what else nodes meet with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Surroundings<P> {
    pub links: BTreeMap<(NodeId, NodeId), VecDeque<P>>,
    pub now: Time,
    pub latest: View,
    /// What is said while it is counted.
    pub counted: Option<Counted>,
    dead: Vec<bool>,
    timers: BTreeMap<NodeId, Time>,
    untold: BTreeMap<NodeId, VecDeque<View>>,
}

impl<P> Surroundings<P> {
    /// Those of so many nodes, whose view this is.
    pub fn new(nodes: u16, view: View) -> Self {
        Self {
            links: BTreeMap::new(),
            now: Time(0),
            latest: view,
            counted: None,
            dead: vec![false; nodes.into()],
            timers: BTreeMap::new(),
            untold: BTreeMap::new(),
        }
    }

    pub fn is_dead(&self, node: NodeId) -> bool {
        self.dead[usize::from(node.0)]
    }

    /// Whether a node may refuse what another said: what that said before it died may come late.
    pub fn may_refuse(&self, from: NodeId, why: Violation) -> bool {
        why == Violation::Stranger && self.is_dead(from)
    }

    pub fn post(&mut self, from: NodeId, to: NodeId, packet: P) {
        if let Some(counted) = &mut self.counted {
            counted.post(from, to);
        }
        if !self.is_dead(to) {
            self.links.entry((from, to)).or_default().push_back(packet);
        }
    }

    /// The next packet on a link.
    pub fn take(&mut self, from: NodeId, to: NodeId) -> Option<P> {
        if let Some(counted) = &mut self.counted {
            counted.take(from, to);
        }
        next(&mut self.links, (from, to))
    }

    pub fn set_timer(&mut self, node: NodeId, at: Time) {
        self.timers.insert(node, at);
    }

    /// The time of a node's timer comes; whether it has one.
    pub fn time_comes(&mut self, node: NodeId) -> bool {
        let Some(at) = self.timers.remove(&node) else {
            return false;
        };
        self.now = self.now.max(at);
        true
    }

    /// A node dies, unless it is dead or hardly anybody lives; whether it does. It is no member of the
    /// latest view then, which is to be announced.
    pub fn kill(&mut self, node: NodeId) -> bool {
        let living = self.dead.iter().filter(|&&dead| !dead).count();
        if self.is_dead(node) || living <= 2 {
            return false;
        }
        self.dead[usize::from(node.0)] = true;
        self.links.retain(|&(_, to), _| to != node);
        self.timers.remove(&node);
        self.untold.remove(&node);
        self.latest.members.retain(|&member| member != node);
        true
    }

    /// A node that has died is there again, and is a member of the latest view, which is to be announced.
    pub fn revive(&mut self, node: NodeId) {
        self.dead[usize::from(node.0)] = false;
        self.latest.members.push(node);
        self.latest.members.sort_unstable();
    }

    /// The latest view has changed, and all members will be told.
    pub fn announce(&mut self) {
        self.latest.epoch.0 += 1;
        for &member in &self.latest.members {
            let views = self.untold.entry(member).or_default();
            views.push_back(self.latest.clone());
        }
    }

    /// The next view that a node is told of.
    pub fn next_view(&mut self, node: NodeId) -> Option<View> {
        next(&mut self.untold, node)
    }

    /// What can happen next, apart from what threads do.
    pub fn steps(&self) -> impl Iterator<Item = Step> {
        let links = self.links.keys().map(|&(from, to)| Step::Deliver(from, to));
        let timers = self.timers.keys().map(|&node| Step::TimeOver(node));
        let untold = self.untold.keys().map(|&node| Step::Tell(node));
        links.chain(timers).chain(untold)
    }
}

/// Takes the first of what waits under a key, which is forgotten with the last.
fn next<K: Copy + Ord, V>(waiting: &mut BTreeMap<K, VecDeque<V>>, key: K) -> Option<V> {
    let queue = waiting.get_mut(&key)?;
    let first = queue.pop_front();
    if queue.is_empty() {
        waiting.remove(&key);
    }
    first
}

/// Says what a row costs, which must be this: messages and hops. What waits and locks say carries no pages.
/// `xtask bench coherence` reads what is said.
pub fn row(name: &str, counted: &Counted, expected: (u32, u32)) {
    let &Counted { messages, hops, .. } = counted;
    println!("\nrow {name} messages {messages} hops {hops} copies 0");
    assert_eq!((messages, hops), expected, "row {name}");
}
