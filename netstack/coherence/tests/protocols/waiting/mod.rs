//! Waiting places of a cluster in one process: nodes, links, words, and threads that wait for them.

pub mod model;
pub mod rows;
pub mod schedule;

use darner_coherence::parking::{
    Action, Config, Ending, Event, Generation, Limits, Packet, Parking, Place, Reason,
};
use darner_coherence::{Epoch, NodeId, PageIndex, Slices, Time, Token, View};
use std::collections::{BTreeMap, VecDeque};

pub use crate::surroundings::Step;
use crate::surroundings::Surroundings;

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Takes one from the count at a place, and waits as long as it is zero.
    Take(Place),
    /// The same, but not for ever.
    TakeUntil(Place, Time),
    /// Adds one to the count at a place, and wakes one thread.
    Put(Place),
    /// Sets the count at a place to so many, and wakes all threads.
    PutAll(Place, u64),
    /// As [`Op::Take`], of the count at the second place, but waits at the first.
    TakeVia(Place, Place),
    /// Adds one to the count at the second place, has a thread that waits at the first wait there,
    /// and wakes one there.
    Move(Place, Place),
    /// Comes to a barrier.
    Meet(Place, u32),
}

/// Where a thread is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum At {
    /// About to do what it does next.
    Runs,
    /// It has looked at its word, which was zero.
    Looked(Generation),
    /// About to wake others.
    Changed,
    Waits,
    /// To look at its word again.
    Rechecks,
    Done,
}

/// A thread.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Thread {
    pub node: NodeId,
    pub ops: VecDeque<Op>,
    pub at: At,
    /// How often it came through a barrier.
    pub met: u32,
    pub endings: Vec<Ending>,
}

/// The cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub nodes: Vec<Parking>,
    pub around: Surroundings<Packet>,
    pub threads: Vec<Thread>,
    /// Cluster memory.
    pub words: BTreeMap<Place, u64>,
    pub wrong: Option<String>,
}

pub const SIZES: Limits = Limits {
    waiters: 64,
    generations: 64,
    threads: 64,
    known: 64,
};

/// A word whose home is this node.
pub fn word(home: u16, number: u64) -> Place {
    Place(u64::from(home) * 4096 + number * 4)
}

fn slices(members: &[NodeId], nodes: u16) -> Slices {
    let home = |node: u16| {
        let next = members.partition_point(|member| member.0 < node);
        *members.get(next).unwrap_or(&members[0])
    };
    let slices = (0..nodes).map(|node| (PageIndex(node.into()), home(node)));
    Slices::new(slices.collect()).expect("in order")
}

impl World {
    pub fn new(nodes: u16, limits: Limits) -> Self {
        let members: Vec<NodeId> = (0..nodes).map(NodeId).collect();
        let view = View {
            epoch: Epoch(1),
            slices: slices(&members, nodes),
            members,
        };
        let make = |me: u16| {
            Parking::new(Config {
                me: NodeId(me),
                view: view.clone(),
                limits,
            })
        };
        Self {
            nodes: (0..nodes).map(make).collect(),
            around: Surroundings::new(nodes, view),
            threads: Vec::new(),
            words: BTreeMap::new(),
            wrong: None,
        }
    }

    pub fn spawn(&mut self, node: u16, ops: Vec<Op>) -> usize {
        let at = if ops.is_empty() { At::Done } else { At::Runs };
        self.threads.push(Thread {
            node: NodeId(node),
            ops: ops.into(),
            at,
            met: 0,
            endings: Vec::new(),
        });
        self.threads.len() - 1
    }

    pub fn complain(&mut self, what: String) {
        self.wrong.get_or_insert(what);
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
            Action::Send { to, packet } => self.around.post(node, to, packet),
            Action::Recheck { token } => match self.waiting(token) {
                Some(thread) => thread.at = At::Rechecks,
                None => self.complain(format!("{token:?} is to look again, and does not wait")),
            },
            Action::Ended { token, how } => match self.waiting(token) {
                Some(thread) => thread.ended(how),
                None => self.complain(format!("{token:?} was woken and did not wait")),
            },
            Action::Woke { .. } => {}
            Action::SetTimer { at } => {
                self.around.set_timer(node, at);
            }
            Action::Refused { from, why } => {
                if !self.around.may_refuse(from, why) {
                    self.complain(format!("{node:?} refused what {from:?} said: {why:?}"));
                }
            }
        }
    }

    fn waiting(&mut self, token: Token) -> Option<&mut Thread> {
        let thread = &mut self.threads[token.0 as usize];
        matches!(thread.at, At::Waits | At::Rechecks).then_some(thread)
    }

    /// One step of a thread.
    pub fn execute(&mut self, index: usize) {
        let Thread { node, at, .. } = self.threads[index];
        let op = self.threads[index].ops[0];
        let token = Token(index as u64);
        match (at, op) {
            (At::Runs, Op::Take(place) | Op::TakeUntil(place, _)) => {
                self.look(index, place, place);
            }
            (At::Runs, Op::TakeVia(place, counted)) => self.look(index, place, counted),
            (At::Looked(generation), Op::Take(place) | Op::TakeVia(place, _)) => {
                self.wait(index, place, generation, None);
            }
            (At::Looked(generation), Op::TakeUntil(place, at)) => {
                self.wait(index, place, generation, Some(at));
            }
            (
                At::Rechecks,
                Op::Take(counted) | Op::TakeUntil(counted, _) | Op::TakeVia(_, counted),
            ) => {
                self.threads[index].at = At::Waits;
                if self.count(counted) > 0 {
                    let why = Reason::Changed;
                    self.event(node, Event::Withdraw { token, why });
                }
            }
            (At::Runs, Op::Put(place) | Op::Move(_, place)) => {
                *self.words.entry(place).or_default() += 1;
                self.threads[index].at = At::Changed;
            }
            (At::Runs, Op::PutAll(place, count)) => {
                self.words.insert(place, count);
                self.threads[index].at = At::Changed;
            }
            (At::Changed, Op::Put(place)) => self.wake(index, place, 1),
            (At::Changed, Op::PutAll(place, _)) => self.wake(index, place, u32::MAX),
            (At::Changed, Op::Move(from, to)) => {
                let requeue = Event::Requeue {
                    place: from,
                    count: 0,
                    moved: 1,
                    to,
                    token: None,
                };
                self.event(node, requeue);
                self.wake(index, to, 1);
            }
            (At::Runs, Op::Meet(place, parties)) => {
                self.threads[index].at = At::Waits;
                let arrive = Event::Arrive {
                    token,
                    place,
                    parties,
                    deadline: None,
                };
                self.event(node, arrive);
            }
            _ => {}
        }
    }

    pub fn count(&self, place: Place) -> u64 {
        self.words.get(&place).copied().unwrap_or(0)
    }

    /// Looks at a count, and may go on to wait at a place.
    fn look(&mut self, index: usize, place: Place, counted: Place) {
        let node = self.threads[index].node;
        let generation = self.nodes[usize::from(node.0)].agent().generation(place);
        match self.words.get_mut(&counted) {
            Some(count) if *count > 0 => {
                *count -= 1;
                self.threads[index].next();
            }
            _ => self.threads[index].at = At::Looked(generation),
        }
    }

    fn wait(&mut self, index: usize, place: Place, generation: Generation, deadline: Option<Time>) {
        self.threads[index].at = At::Waits;
        let wait = Event::Wait {
            token: Token(index as u64),
            place,
            generation,
            deadline,
        };
        self.event(self.threads[index].node, wait);
    }

    fn wake(&mut self, index: usize, place: Place, count: u32) {
        self.threads[index].next();
        let wake = Event::Wake {
            place,
            count,
            token: None,
        };
        self.event(self.threads[index].node, wake);
    }

    pub fn deliver(&mut self, from: NodeId, to: NodeId) {
        if let Some(packet) = self.around.take(from, to) {
            self.event(to, Event::Received { from, packet });
        }
    }

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
        let latest = &mut self.around.latest;
        latest.slices = slices(&latest.members, self.nodes.len() as u16);
        self.around.announce();
    }

    /// A node that has died becomes a member again, as one that knows nothing, and all will be told.
    pub fn comes_back(&mut self, node: NodeId) {
        self.nodes[usize::from(node.0)] = Parking::new(Config {
            me: node,
            view: self.around.latest.clone(),
            limits: SIZES,
        });
        self.around.revive(node);
        self.around.announce();
    }

    pub fn tell(&mut self, node: NodeId) {
        if let Some(view) = self.around.next_view(node) {
            self.event(node, Event::View(view));
        }
    }

    pub fn ready(&self) -> Vec<Step> {
        let runs = |&thread: &usize| !matches!(self.threads[thread].at, At::Waits | At::Done);
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

    pub fn run(&mut self) {
        let mut steps = 0;
        while let Some(&step) = self.ready().first() {
            self.step(step);
            steps += 1;
            assert!(steps < 100_000, "it does not come to an end");
        }
        assert_eq!(self.wrong, None);
    }

    /// Nobody waits for what is there, when nothing can happen any more.
    pub fn nobody_waits_in_vain(&self) -> Result<(), String> {
        for thread in &self.threads {
            let place = match (thread.at, thread.ops.front()) {
                (
                    At::Waits,
                    Some(&(Op::Take(place) | Op::TakeUntil(place, _) | Op::TakeVia(_, place))),
                ) => place,
                _ => continue,
            };
            if self.count(place) > 0 {
                return Err(format!(
                    "{thread:?} waits, and there are {}",
                    self.count(place)
                ));
            }
        }
        Ok(())
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

    fn ended(&mut self, how: Ending) {
        self.endings.push(how);
        match (self.ops[0], how) {
            (Op::Meet(..), Ending::Woken) => {
                self.met += 1;
                self.next();
            }
            (Op::Meet(..), _)
            | (_, Ending::Withdrawn(Reason::TimedOut | Reason::Cancelled) | Ending::NoRoom) => {
                self.next();
            }
            _ => self.at = At::Runs,
        }
    }
}
