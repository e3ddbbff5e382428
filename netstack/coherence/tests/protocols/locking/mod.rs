//! Range locks of a cluster in one process: nodes, links, and threads that lock and unlock.

pub mod fairness;
pub mod model;
pub mod rows;
pub mod schedule;

use darner_coherence::locks::{
    Action, Config, Denial, Event, Lease, Limits, Locks, Message, Mode, Packet, Patience, Wants,
};
use darner_coherence::ranges::{ObjectId, Span};
use darner_coherence::{Epoch, NodeId, PageIndex, Slices, Token, View, Violation};
use std::collections::VecDeque;

pub use crate::surroundings::Step;
use crate::surroundings::Surroundings;

/// A lock that a thread takes and gives back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Op {
    pub wants: Wants,
    pub patience: Patience,
}

/// Where a thread is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum At {
    /// About to lock.
    Runs,
    Waits,
    Holds,
    Done,
}

/// A thread.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Thread {
    pub node: NodeId,
    pub ops: VecDeque<Op>,
    pub at: At,
    /// Conflicting locks that were granted while it waited.
    pub overtaken: u32,
    pub denials: Vec<Denial>,
}

/// The cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub nodes: Vec<Locks>,
    pub around: Surroundings<Packet>,
    pub threads: Vec<Thread>,
    /// Recalls, while they are counted.
    pub recalls: Option<u32>,
    pub wrong: Option<String>,
}

pub const SIZES: Limits = Limits {
    records: 256,
    parked: 64,
    leases: 256,
    locks: 64,
};

pub fn object(home: u16) -> ObjectId {
    ObjectId {
        home: NodeId(home),
        number: 7,
    }
}

pub fn span(home: u16, start: u64, end: u64) -> Span {
    Span::new(object(home), start, end).expect("at least a byte")
}

pub fn op(span: Span, mode: Mode) -> Op {
    Op {
        wants: Wants::one(span, mode),
        patience: Patience::Forever,
    }
}

impl World {
    pub fn new(nodes: u16, limits: Limits) -> Self {
        Self::numbered(nodes, nodes, limits)
    }

    /// A cluster in which nodes may have numbers up to `numbers`.
    pub fn numbered(nodes: u16, numbers: u16, limits: Limits) -> Self {
        Self::with_members(nodes, nodes, numbers, limits)
    }

    /// A cluster of which only the first nodes are members.
    pub fn with_members(nodes: u16, members: u16, numbers: u16, limits: Limits) -> Self {
        let view = View {
            epoch: Epoch(1),
            members: (0..members).map(NodeId).collect(),
            slices: Slices::new(vec![(PageIndex(0), NodeId(0))]).expect("a slice"),
        };
        let make = |me: u16| {
            Locks::new(Config {
                me: NodeId(me),
                nodes: numbers.max(nodes),
                view: view.clone(),
                limits,
            })
        };
        Self {
            nodes: (0..nodes).map(make).collect(),
            around: Surroundings::new(nodes, view),
            threads: Vec::new(),
            recalls: None,
            wrong: None,
        }
    }

    pub fn spawn(&mut self, node: u16, ops: Vec<Op>) -> usize {
        let at = if ops.is_empty() { At::Done } else { At::Runs };
        self.threads.push(Thread {
            node: NodeId(node),
            ops: ops.into(),
            at,
            overtaken: 0,
            denials: Vec::new(),
        });
        self.threads.len() - 1
    }

    pub fn complain(&mut self, what: String) {
        self.wrong.get_or_insert(what);
    }

    pub fn node(&self, node: NodeId) -> &Locks {
        &self.nodes[usize::from(node.0)]
    }

    pub fn event(&mut self, node: NodeId, event: Event) {
        if self.around.is_dead(node) {
            return;
        }
        let mut actions = Vec::new();
        self.nodes[usize::from(node.0)].handle(self.around.now, event, &mut actions);
        for action in actions {
            self.act(node, action);
        }
    }

    fn act(&mut self, node: NodeId, action: Action) {
        match action {
            Action::Send { to, packet } => self.send(node, to, packet),
            Action::Granted { token } => self.granted(node, token),
            Action::Denied { token, why } => self.denied(node, token, why),
            Action::SetTimer { at } => {
                self.around.set_timer(node, at);
            }
            Action::Refused { from, why } => self.refused(node, from, why),
        }
    }

    fn refused(&mut self, node: NodeId, from: NodeId, why: Violation) {
        if !self.around.may_refuse(from, why) {
            self.complain(format!("{node:?} refused what {from:?} said: {why:?}"));
        }
    }

    fn send(&mut self, from: NodeId, to: NodeId, packet: Packet) {
        if let Some(recalls) = &mut self.recalls {
            *recalls += u32::from(matches!(packet.message, Message::Recall { .. }));
        }
        self.around.post(from, to, packet);
    }

    fn thread_of(&mut self, node: NodeId, token: Token) -> Option<&mut Thread> {
        let thread = self.threads.get_mut(token.0 as usize)?;
        (thread.node == node && thread.at == At::Waits).then_some(thread)
    }

    fn granted(&mut self, node: NodeId, token: Token) {
        let Some(thread) = self.thread_of(node, token) else {
            return self.complain(format!("{token:?} was granted and did not wait"));
        };
        thread.at = At::Holds;
        let wants = thread.ops[0].wants.clone();
        for other in &mut self.threads {
            if other.at == At::Waits && other.ops[0].wants.conflict(&wants) {
                other.overtaken += 1;
            }
        }
    }

    fn denied(&mut self, node: NodeId, token: Token, why: Denial) {
        let thread = self.threads.get_mut(token.0 as usize);
        let told = thread.filter(|thread| {
            let lost = thread.at == At::Holds && why == Denial::Expelled;
            thread.node == node && (thread.at == At::Waits || lost)
        });
        match told {
            Some(thread) => {
                thread.denials.push(why);
                thread.next();
            }
            None => self.complain(format!("{token:?} was denied and does not wait")),
        }
    }

    /// Has a thread lock or unlock.
    pub fn execute(&mut self, index: usize) {
        let thread = &mut self.threads[index];
        let (node, token) = (thread.node, Token(index as u64));
        match thread.at {
            At::Runs => {
                thread.at = At::Waits;
                thread.overtaken = 0;
                let Op { wants, patience } = thread.ops[0].clone();
                let lock = Event::Lock {
                    token,
                    wants,
                    patience,
                };
                self.event(node, lock);
            }
            At::Holds => {
                thread.next();
                self.event(node, Event::Unlock { token });
            }
            At::Waits | At::Done => {}
        }
    }

    pub fn cancel(&mut self, index: usize) {
        let node = self.threads[index].node;
        let token = Token(index as u64);
        self.event(node, Event::Cancel { token });
    }

    pub fn deliver(&mut self, from: NodeId, to: NodeId) {
        if let Some(packet) = self.around.take(from, to) {
            self.event(to, Event::Received { from, packet });
        }
    }

    /// The time of a node's timer comes.
    pub fn time_over(&mut self, node: NodeId) {
        if self.around.time_comes(node) {
            self.event(node, Event::TimeOver);
        }
    }

    /// A node dies, and the others will be told.
    pub fn kill(&mut self, node: NodeId) {
        if !self.around.kill(node) {
            return;
        }
        for thread in &mut self.threads {
            if thread.node == node {
                thread.at = At::Done;
            }
        }
        self.around.announce();
    }

    /// A node joins, and all will be told.
    pub fn join(&mut self, node: NodeId) {
        self.around.latest.members.push(node);
        self.around.latest.members.sort_unstable();
        self.around.announce();
    }

    pub fn tell(&mut self, node: NodeId) {
        if let Some(view) = self.around.next_view(node) {
            self.event(node, Event::View(view));
        }
    }

    /// All that can happen next.
    pub fn ready(&self) -> Vec<Step> {
        let runs = |&thread: &usize| matches!(self.threads[thread].at, At::Runs | At::Holds);
        let threads = (0..self.threads.len()).filter(runs).map(Step::Execute);
        self.around.steps().chain(threads).collect()
    }

    pub fn step(&mut self, step: Step) {
        match step {
            Step::Deliver(from, to) => self.deliver(from, to),
            Step::TimeOver(node) => self.time_over(node),
            Step::Execute(thread) => self.execute(thread),
            Step::Tell(node) => self.tell(node),
        }
    }

    /// Delivers all that is on the way.
    pub fn settle(&mut self) {
        while let Some(&(from, to)) = self.around.links.keys().next() {
            self.deliver(from, to);
            self.check();
        }
    }

    fn holders(&self) -> impl Iterator<Item = (usize, &Thread)> {
        let holds = |(_, thread): &(usize, &Thread)| thread.at == At::Holds;
        self.threads.iter().enumerate().filter(holds)
    }

    /// No two locks that are held conflict.
    pub fn locks_exclude(&self) -> Result<(), String> {
        for (index, one) in self.holders() {
            for (other, two) in self.holders() {
                if index < other && one.ops[0].wants.conflict(&two.ops[0].wants) {
                    return Err(format!("{one:?} and {two:?}"));
                }
            }
        }
        Ok(())
    }

    fn leases(&self) -> impl Iterator<Item = (NodeId, Span, Lease)> {
        let living = self
            .nodes
            .iter()
            .filter(|node| !self.around.is_dead(node.id()));
        living.flat_map(|node| {
            let leases = node.agent().leases().iter();
            leases.map(|(span, lease)| (node.id(), span, lease))
        })
    }

    /// No two leases of different nodes conflict.
    pub fn leases_exclude(&self) -> Result<(), String> {
        for (node, span, lease) in self.leases() {
            for (other, also, another) in self.leases() {
                if node < other && lease.mode.of(span).conflicts(another.mode.of(also)) {
                    return Err(format!(
                        "leases of {node:?} and {other:?}: {span:?}, {also:?}"
                    ));
                }
            }
        }
        Ok(())
    }

    pub fn check(&mut self) {
        let checks = [self.locks_exclude(), self.leases_exclude()];
        for what in checks.into_iter().filter_map(Result::err) {
            self.complain(what);
        }
    }

    /// Homes know of all leases, when nothing is under way.
    fn homes_know_leases(&self) -> Result<(), String> {
        for (node, span, lease) in self.leases() {
            let home = span.object().home_among(&self.around.latest.members);
            let home = self.node(home.expect("somebody lives")).home();
            for offset in [span.start(), span.end() - 1] {
                if !home.may_hold(node, span.object(), offset, lease.mode) {
                    return Err(format!("nobody knows of {node:?} having {span:?}"));
                }
            }
        }
        Ok(())
    }

    /// What is wrong when nothing can happen any more.
    pub fn check_end(&mut self) {
        if let Some(thread) = self.threads.iter().find(|thread| thread.at != At::Done) {
            let what = format!("a thread waits for ever: {thread:?}");
            self.complain(what);
        }
        let living = self
            .nodes
            .iter()
            .filter(|node| !self.around.is_dead(node.id()));
        let busy: Vec<NodeId> = living
            .filter(|node| !node.is_quiet())
            .map(Locks::id)
            .collect();
        if !busy.is_empty() {
            self.complain(format!("{busy:?} wait for something for ever"));
        } else if let Err(what) = self.homes_know_leases() {
            self.complain(what);
        }
    }
}

impl Thread {
    fn next(&mut self) {
        self.ops.pop_front();
        self.at = if self.ops.is_empty() {
            At::Done
        } else {
            At::Runs
        };
    }
}
