//! The locks as a model: everything that can happen, in every order.

use super::{At, Op, Step, World, op, span};
use darner_coherence::NodeId;
use darner_coherence::locks::{Limits, Mode, Patience, Wants};
use stateright::{Model, Property};

/// A bounded part of all that can happen.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// The node of each thread.
    pub threads: Vec<u16>,
    pub nodes: u16,
    /// What a thread may lock, and how often in all.
    pub ops: Vec<Op>,
    pub begun: u8,
    /// How often a thread that waits gives up.
    pub cancels: u8,
    /// How many nodes die.
    pub deaths: u8,
}

/// A state of the model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub world: World,
    begun: u8,
    cancels: u8,
    deaths: u8,
}

/// A transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Begin(usize, usize),
    Step(Step),
    Cancel(usize),
    Kill(u16),
}

const TIGHT: Limits = Limits {
    records: 0,
    parked: 8,
    leases: 0,
    locks: 4,
};

fn low() -> Op {
    op(span(0, 0, 1), Mode::Exclusive)
}

fn read() -> Op {
    op(span(0, 0, 2), Mode::Shared)
}

fn both() -> Op {
    let (low, high) = (span(0, 0, 1), span(0, 2, 3));
    let wants = [Mode::Exclusive.of(low), Mode::Exclusive.of(high)];
    Op {
        wants: Wants::new(&wants).expect("two ranges"),
        patience: Patience::Forever,
    }
}

fn try_it() -> Op {
    Op {
        patience: Patience::Try,
        ..low()
    }
}

impl Cluster {
    /// A thread for each of three nodes, reading, writing, trying and giving up.
    pub fn a_thread_each(begun: u8, cancels: u8) -> Self {
        Self {
            threads: vec![0, 1, 2],
            nodes: 3,
            ops: vec![low(), read(), both(), try_it()],
            begun,
            cancels,
            deaths: 0,
        }
    }

    /// Two nodes with two threads each.
    pub fn two_threads_each(begun: u8) -> Self {
        Self {
            threads: vec![0, 0, 1, 1],
            nodes: 2,
            ops: vec![low(), read(), both()],
            begun,
            cancels: 0,
            deaths: 0,
        }
    }

    /// Three nodes of which one dies.
    pub fn a_death(begun: u8) -> Self {
        Self {
            threads: vec![0, 1, 2],
            nodes: 3,
            ops: vec![low(), read()],
            begun,
            cancels: 0,
            deaths: 1,
        }
    }
}

impl Model for Cluster {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut world = World::new(self.nodes, TIGHT);
        for &node in &self.threads {
            world.spawn(node, Vec::new());
        }
        vec![State {
            world,
            begun: 0,
            cancels: 0,
            deaths: 0,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let world = &state.world;
        actions.extend(world.ready().into_iter().map(Action::Step));
        let threads = || world.threads.iter().enumerate();
        if state.begun < self.begun {
            let idle = threads()
                .filter(|(_, thread)| thread.at == At::Done && !world.around.is_dead(thread.node));
            let ops = 0..self.ops.len();
            actions.extend(
                idle.flat_map(|(thread, _)| ops.clone().map(move |op| Action::Begin(thread, op))),
            );
        }
        if state.cancels < self.cancels {
            let waiting = threads().filter(|(_, thread)| thread.at == At::Waits);
            actions.extend(waiting.map(|(thread, _)| Action::Cancel(thread)));
        }
        if state.deaths < self.deaths {
            actions.extend((0..self.nodes).map(Action::Kill));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        let world = &mut state.world;
        match action {
            Action::Begin(thread, op) => {
                state.begun += 1;
                world.threads[thread].ops.push_back(self.ops[op].clone());
                world.threads[thread].at = At::Runs;
                world.execute(thread);
            }
            Action::Step(step) => world.step(step),
            Action::Cancel(thread) => {
                state.cancels += 1;
                world.cancel(thread);
            }
            Action::Kill(node) => {
                state.deaths += 1;
                world.kill(NodeId(node));
            }
        }
        for thread in &mut state.world.threads {
            thread.overtaken = 0;
            thread.denials.clear();
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no two locks that are held conflict", |_, state: &State| {
                state.world.locks_exclude().is_ok()
            }),
            Property::always("no two leases conflict", |_, state: &State| {
                state.world.leases_exclude().is_ok()
            }),
            Property::always(
                "each lock is granted or denied once, and nothing is refused",
                |_, state: &State| state.world.wrong.is_none(),
            ),
            Property::always("nothing waits for ever", |_, state: &State| {
                if !state.world.ready().is_empty() {
                    return true;
                }
                let mut world = state.world.clone();
                world.check_end();
                world.wrong.is_none()
            }),
            Property::eventually("each request ends", |model: &Self, state: &State| {
                let over = |thread: &super::Thread| thread.at == At::Done;
                state.begun == model.begun && state.world.threads.iter().all(over)
            }),
            Property::sometimes("two read", |_, state: &State| {
                let holds = |thread: &&super::Thread| thread.at == At::Holds;
                let shared = |thread: &&super::Thread| {
                    thread.ops[0].wants.as_slice()[0].mode == Mode::Shared
                };
                let threads = state.world.threads.iter();
                threads.filter(holds).filter(shared).count() > 1
            }),
        ]
    }
}
