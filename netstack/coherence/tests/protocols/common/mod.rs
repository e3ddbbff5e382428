//! A cluster in one process: nodes, links, page tables, frames of one number each, and threads
//! that check what they read.

pub mod adapting;
pub mod build;
pub mod check;
pub mod farm;
#[cfg(feature = "mutants")]
pub mod guards;
pub mod litmus;
pub mod model;
pub mod rows;
pub mod schedule;
pub mod stroll;
pub mod threads;
pub mod views;

use darner_coherence::{
    Access, Action, Dirt, Event, Failure, MoveRefusal, Node, NodeId, Packet, PageIndex, Rights,
    Time, Token, View, Violation,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use threads::Thread;

/// A packet on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InFlight {
    pub packet: Packet,
    pub bytes: Vec<(PageIndex, u64)>,
    /// The longest chain of messages, each sent because of the one before, that ends in it.
    pub depth: u32,
}

/// What the hardware of a node has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Machine {
    pub frames: BTreeMap<PageIndex, u64>,
    pub rights: BTreeMap<PageIndex, Rights>,
    pub written: BTreeSet<PageIndex>,
    /// Rights that are being taken.
    pub protects: BTreeMap<PageIndex, Rights>,
    pub timers: BTreeMap<PageIndex, Time>,
    pub depth: u32,
    pub dead: bool,
}

/// What a page should read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Expected {
    Known(u64),
    /// Zero or this: it was written while it was being discarded.
    ZeroOr(u64),
}

/// When rights that are to be taken are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shootdown {
    AtOnce,
    Later,
}

/// What was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Counts {
    pub messages: u32,
    pub pages: u32,
}

/// The cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub nodes: Vec<Node>,
    pub machines: Vec<Machine>,
    pub links: BTreeMap<(NodeId, NodeId), VecDeque<InFlight>>,
    /// Hints, of whom and for whom: they come at any time, in any order.
    pub hints: Vec<(NodeId, NodeId, Packet)>,
    pub threads: Vec<Thread>,
    pub expected: BTreeMap<PageIndex, Expected>,
    /// Discards under way, and whether the page was written meanwhile.
    pub discarding: BTreeMap<PageIndex, (u32, bool)>,
    /// Threads that have waited for a page while it was discarded: they may be told late that it had no bytes.
    pub raced_a_discard: BTreeSet<usize>,
    /// Pages that may be lost, or may have been: a thread may be told late.
    pub lost: BTreeSet<PageIndex>,
    pub shootdown: Shootdown,
    pub counts: Counts,
    pub counting: bool,
    pub now: Time,
    /// The first thing that was seen to be wrong.
    pub wrong: Option<String>,
    pub refused: Vec<(NodeId, NodeId, Violation)>,
    pub not_moved: Vec<(PageIndex, MoveRefusal)>,
    last_value: u64,
    /// The latest view, and those views that nodes have not been told of yet.
    pub latest: Option<View>,
    pub untold: BTreeMap<NodeId, VecDeque<View>>,
    /// For the views that nodes have been told of: pages that are known to live.
    pub vouched: BTreeSet<views::Vouch>,
    /// Pages whose homes have been moved, or were to be.
    pub moved: BTreeSet<PageIndex>,
}

impl World {
    pub fn from_nodes(nodes: Vec<Node>, shootdown: Shootdown) -> Self {
        Self {
            machines: vec![Machine::default(); nodes.len()],
            nodes,
            links: BTreeMap::new(),
            hints: Vec::new(),
            threads: Vec::new(),
            expected: BTreeMap::new(),
            discarding: BTreeMap::new(),
            raced_a_discard: BTreeSet::new(),
            lost: BTreeSet::new(),
            shootdown,
            counts: Counts::default(),
            counting: false,
            now: Time(0),
            wrong: None,
            refused: Vec::new(),
            not_moved: Vec::new(),
            last_value: 0,
            latest: None,
            untold: BTreeMap::new(),
            vouched: BTreeSet::new(),
            moved: BTreeSet::new(),
        }
    }

    fn machine(&mut self, node: NodeId) -> &mut Machine {
        &mut self.machines[usize::from(node.0)]
    }

    pub fn rights(&self, node: NodeId, page: PageIndex) -> Rights {
        self.machines[usize::from(node.0)]
            .rights
            .get(&page)
            .copied()
            .unwrap_or_default()
    }

    /// Has something happen at a node, and everything done that it wants done.
    pub fn event(&mut self, node: NodeId, event: Event) {
        self.event_with(node, event, None);
    }

    fn event_with(&mut self, node: NodeId, event: Event, came: Option<InFlight>) {
        if self.machine(node).dead {
            return;
        }
        let mut actions = Vec::new();
        let now = self.now;
        self.nodes[usize::from(node.0)].handle(now, event, &mut actions);
        for action in actions {
            self.act(node, action, came.as_ref());
        }
        while self.shootdown == Shootdown::AtOnce {
            let Some(&page) = self.machine(node).protects.keys().next() else {
                break;
            };
            self.protected(node, page);
        }
    }

    /// Puts the same into a page's frame everywhere, before anything else happens.
    pub fn fill(&mut self, page: PageIndex, value: u64) {
        for machine in &mut self.machines {
            machine.frames.insert(page, value);
        }
        self.expected.insert(page, Expected::Known(value));
    }

    /// Has all nodes say that these pages are the same everywhere.
    pub fn replicate(&mut self, first: PageIndex, pages: u64) {
        for node in (0..self.nodes.len() as u16).map(NodeId) {
            let mut actions = Vec::new();
            self.nodes[usize::from(node.0)].replicate(first, pages, &mut actions);
            for action in actions {
                self.act(node, action, None);
            }
        }
    }

    fn act(&mut self, node: NodeId, action: Action, came: Option<&InFlight>) {
        match action {
            Action::Send { to, packet } => self.send(node, to, packet),
            Action::Hint { to, packet } => self.hints.push((node, to, packet)),
            Action::Store { page } => self.store(node, page, came),
            Action::Zero { page } | Action::Free { page } => {
                self.machine(node).frames.remove(&page);
            }
            Action::Map { page, rights } => {
                let machine = self.machine(node);
                machine.frames.entry(page).or_insert(0);
                machine.rights.insert(page, rights);
                machine.written.remove(&page);
            }
            Action::Protect { page, rights } => {
                self.machine(node).protects.insert(page, rights);
            }
            Action::Wake { token, result } => self.wake(token, result),
            Action::SetTimer { page, at } => {
                self.machine(node).timers.insert(page, at);
            }
            Action::Refused { from, why } => self.refused.push((node, from, why)),
            Action::NotMoved { page, why } => self.not_moved.push((page, why)),
        }
    }

    fn send(&mut self, from: NodeId, to: NodeId, mut packet: Packet) {
        let frames = &self.machines[usize::from(from.0)].frames;
        let pages: Vec<PageIndex> = packet.message.carried().collect();
        let bytes = pages
            .iter()
            .map(|&page| (page, frames.get(&page).copied().unwrap_or(0)))
            .collect();
        if pages.iter().all(|page| !frames.contains_key(page)) {
            packet.message = packet.message.of_zeros();
        }
        let depth = self.machine(from).depth + u32::from(self.counting);
        if self.counting {
            self.counts.messages += 1;
            self.counts.pages += packet.message.pages();
        }
        if !self.machine(to).dead {
            self.links
                .entry((from, to))
                .or_default()
                .push_back(InFlight {
                    packet,
                    bytes,
                    depth,
                });
        }
    }

    fn store(&mut self, node: NodeId, page: PageIndex, came: Option<&InFlight>) {
        let Some(came) = came else { return };
        let value = came
            .bytes
            .iter()
            .find(|&&(stored, _)| stored == page)
            .map(|&(_, value)| value);
        match value {
            Some(value) => {
                self.machine(node).frames.insert(page, value);
            }
            None => self.complain(format!("{node:?} stores {page:?}, which did not come")),
        }
    }

    /// Delivers a hint.
    pub fn hint(&mut self, index: usize) {
        let (from, to, packet) = self.hints.remove(index);
        self.event(to, Event::Received { from, packet });
    }

    pub fn complain(&mut self, what: String) {
        self.wrong.get_or_insert(what);
    }

    /// Delivers the next packet of a link.
    pub fn deliver(&mut self, from: NodeId, to: NodeId) {
        let Some(link) = self.links.get_mut(&(from, to)) else {
            return;
        };
        let came = link.pop_front();
        if link.is_empty() {
            self.links.remove(&(from, to));
        }
        if let Some(came) = came {
            let machine = self.machine(to);
            machine.depth = machine.depth.max(came.depth);
            let packet = came.packet.clone();
            self.event_with(to, Event::Received { from, packet }, Some(came));
        }
    }

    /// The CPUs of a node have all given up the rights that are being taken.
    pub fn protected(&mut self, node: NodeId, page: PageIndex) {
        let machine = self.machine(node);
        let Some(rights) = machine.protects.remove(&page) else {
            return;
        };
        machine.rights.insert(page, rights);
        let dirt = if machine.written.remove(&page) {
            Dirt::Dirty
        } else {
            Dirt::Clean
        };
        self.event(node, Event::Protected { page, dirt });
    }

    /// The time of a page's timer comes; for other pages, and afterwards, it is early still.
    pub fn time_over(&mut self, node: NodeId, page: PageIndex) {
        let Some(at) = self.machine(node).timers.remove(&page) else {
            return;
        };
        let now = self.now;
        self.now = at;
        self.event(node, Event::TimeOver { page });
        self.now = now;
    }

    pub fn fault(&mut self, node: NodeId, token: Token, page: PageIndex, access: Access) {
        self.event(
            node,
            Event::Fault {
                token,
                page,
                access,
            },
        );
    }

    fn wake(&mut self, token: Token, result: Result<(), Failure>) {
        self.woken(token, result);
    }

    pub fn dead(&self, node: NodeId) -> bool {
        self.machines[usize::from(node.0)].dead
    }

    /// All that can happen next, apart from what threads do.
    pub fn ready(&self) -> Vec<Step> {
        let mut steps: Vec<Step> = self
            .links
            .keys()
            .map(|&(from, to)| Step::Deliver(from, to))
            .chain((0..self.hints.len()).map(Step::Hint))
            .collect();
        for (machine, node) in self
            .machines
            .iter()
            .zip(0..)
            .map(|(machine, node)| (machine, NodeId(node)))
        {
            steps.extend(
                machine
                    .protects
                    .keys()
                    .map(|&page| Step::Protected(node, page)),
            );
            steps.extend(
                machine
                    .timers
                    .keys()
                    .map(|&page| Step::TimeOver(node, page)),
            );
        }
        steps
    }

    pub fn step(&mut self, step: Step) {
        match step {
            Step::Deliver(from, to) => self.deliver(from, to),
            Step::Hint(index) => self.hint(index),
            Step::Protected(node, page) => self.protected(node, page),
            Step::TimeOver(node, page) => self.time_over(node, page),
        }
    }

    /// Lets all that is under way come to its end, in one fixed order.
    pub fn run(&mut self) {
        let mut steps = 0;
        while let Some(&step) = self.ready().first() {
            self.step(step);
            self.check();
            steps += 1;
            assert!(
                steps < 100_000,
                "it does not come to an end: {:?}",
                self.ready()
            );
        }
    }
}

/// Something that can happen by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    Deliver(NodeId, NodeId),
    Hint(usize),
    Protected(NodeId, PageIndex),
    TimeOver(NodeId, PageIndex),
}
