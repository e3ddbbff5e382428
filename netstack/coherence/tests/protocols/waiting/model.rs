//! Waiting places as a model: everything that can happen, in every order.

use super::{At, Op, Step, World, word};
use darner_coherence::parking::{Ending, Limits};
use darner_coherence::{NodeId, Time};
use stateright::{Model, Property};

/// A bounded part of all that can happen.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub nodes: u16,
    pub threads: Vec<(u16, Vec<Op>)>,
    /// How many nodes die.
    pub deaths: u8,
    pub mortal: Vec<u16>,
}

/// A state of the model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub world: World,
    deaths: u8,
}

/// A transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Step(Step),
    Kill(u16),
}

const TIGHT: Limits = Limits {
    waiters: 4,
    generations: 1,
    threads: 4,
    known: 1,
};

impl Cluster {
    /// Two that take what two put, one of them not for ever.
    pub fn takers_and_putters() -> Self {
        let place = word(0, 0);
        Self {
            nodes: 3,
            threads: vec![
                (1, vec![Op::Take(place)]),
                (2, vec![Op::TakeUntil(place, Time(5))]),
                (2, vec![Op::Put(place)]),
                (0, vec![Op::Put(place)]),
            ],
            deaths: 0,
            mortal: vec![],
        }
    }

    /// One that takes again and again, and one that puts.
    pub fn again_and_again(rounds: usize) -> Self {
        let place = word(0, 0);
        Self {
            nodes: 3,
            threads: vec![
                (1, vec![Op::Take(place); rounds]),
                (2, vec![Op::Put(place); rounds]),
            ],
            deaths: 0,
            mortal: vec![],
        }
    }

    /// A barrier, time and again.
    pub fn barrier(rounds: usize) -> Self {
        let meet = vec![Op::Meet(word(0, 0), 3); rounds];
        Self {
            nodes: 3,
            threads: (0..3).map(|node| (node, meet.clone())).collect(),
            deaths: 0,
            mortal: vec![],
        }
    }

    /// Threads are moved from one place to another.
    pub fn moved() -> Self {
        let (one, other) = (word(0, 0), word(0, 1));
        Self {
            nodes: 3,
            threads: vec![
                (1, vec![Op::TakeVia(one, other)]),
                (2, vec![Op::TakeVia(one, other)]),
                (0, vec![Op::Move(one, other)]),
                (1, vec![Op::Move(one, other)]),
            ],
            deaths: 0,
            mortal: vec![],
        }
    }

    /// The home of the word dies, or one that puts.
    pub fn a_death() -> Self {
        let place = word(0, 0);
        Self {
            nodes: 4,
            threads: vec![
                (1, vec![Op::Take(place)]),
                (2, vec![Op::Put(place)]),
                (3, vec![Op::Put(place)]),
            ],
            deaths: 1,
            mortal: vec![0, 3],
        }
    }
}

impl Model for Cluster {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut world = World::new(self.nodes, TIGHT);
        for (node, ops) in &self.threads {
            world.spawn(*node, ops.clone());
        }
        vec![State { world, deaths: 0 }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.extend(state.world.ready().into_iter().map(Action::Step));
        if state.deaths < self.deaths {
            actions.extend(self.mortal.iter().copied().map(Action::Kill));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Step(step) => state.world.step(step),
            Action::Kill(node) => {
                state.deaths += 1;
                state.world.kill(NodeId(node));
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "a thread is woken once, and nothing is refused",
                |_, state: &State| state.world.wrong.is_none(),
            ),
            Property::always("no wake-up is lost", |_, state: &State| {
                !state.world.ready().is_empty() || state.world.nobody_waits_in_vain().is_ok()
            }),
            Property::always("nobody passes a barrier early", |_, state: &State| {
                let met = |thread: &super::Thread| thread.met;
                let most = state.world.threads.iter().map(met).max().unwrap_or(0);
                // Who is one round behind was let through, and does not know it yet.
                state.world.threads.iter().all(|thread| {
                    let behind = most - thread.met;
                    behind == 0 || behind == 1 && thread.at != At::Runs
                })
            }),
            Property::always("whoever can end does", |model: &Self, state: &State| {
                let waits = |thread: &super::Thread| thread.at != At::Done;
                let meets =
                    |thread: &super::Thread| matches!(thread.ops.front(), Some(Op::Meet(..)));
                let left: Vec<&super::Thread> = state
                    .world
                    .threads
                    .iter()
                    .filter(|thread| waits(thread))
                    .collect();
                !state.world.ready().is_empty()
                    || model.deaths == 0 && left.is_empty()
                    || model.deaths > 0 && !left.iter().any(|thread| meets(thread))
            }),
            Property::sometimes("a thread waits", |_, state: &State| {
                state
                    .world
                    .threads
                    .iter()
                    .any(|thread| thread.at == At::Waits)
            }),
            Property::sometimes("a thread is woken", |_, state: &State| {
                let mut threads = state.world.threads.iter();
                threads.any(|thread| thread.endings.contains(&Ending::Woken))
            }),
        ]
    }
}
