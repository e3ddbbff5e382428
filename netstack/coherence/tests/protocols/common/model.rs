//! The cluster as a model: everything that can happen, in every order.

use super::World;
use super::build::Plan;
use super::schedule::Outside;
use super::threads::{At, Op};
use super::{Shootdown, Step};
use darner_coherence::{Access, Adaptation, NodeId, PageIndex, Rights};
use stateright::{Model, Property};

/// A bounded part of all that can happen.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub plan: Plan,
    /// The instructions and discards that each node may begin, and how often.
    pub ops: Vec<Op>,
    pub begun: u8,
    /// What may happen from outside, each at any time, and how many of them.
    pub outside: Vec<Outside>,
    pub happened: u8,
    /// The most faults that one instruction may take: one for each page, one more if they are
    /// not in order, and again for both whenever pages are taken from under it.
    pub most_faults: u32,
    /// What has been done before, one after the other, by which node.
    pub before: Vec<(usize, Op)>,
}

/// A state of the model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub world: World,
    begun: u8,
    happened: u8,
}

/// A transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Begin(usize, usize),
    Execute(usize),
    Step(Step),
    Outside(usize),
    /// A node is told of the next view.
    Tell(NodeId),
}

pub const P0: PageIndex = PageIndex(0);
pub const P1: PageIndex = PageIndex(1);

/// One access to one page.
pub fn touch(page: PageIndex, access: Access) -> Op {
    Op::Touch(vec![(page, access)])
}

/// One instruction that writes both pages.
pub fn both(first: PageIndex, second: PageIndex) -> Op {
    Op::Touch(vec![(first, Access::Write), (second, Access::Write)])
}

impl Cluster {
    /// Three nodes, of which the first two are home to a page each.
    pub fn new(ops: Vec<Op>, begun: u8, outside: Vec<Outside>, happened: u8) -> Self {
        let plan = Plan {
            slice: 1,
            shootdown: Shootdown::AtOnce,
            ..Plan::default()
        };
        let takes = u32::from(happened)
            + if ops.iter().any(|op| matches!(op, Op::Discard(..))) {
                u32::from(begun)
            } else {
                0
            };
        Self {
            plan,
            ops,
            begun,
            outside,
            happened,
            most_faults: 3 + 2 * takes,
            before: Vec::new(),
        }
    }

    /// Reads, writes, instructions that write both pages, discards, evictions and moves.
    pub fn everything(begun: u8, happened: u8) -> Self {
        let mut ops = vec![both(P0, P1), both(P1, P0), Op::Discard(P0, 2)];
        for page in [P0, P1] {
            ops.extend([touch(page, Access::Read), touch(page, Access::Write)]);
        }
        Self::new(ops, begun, evictions_and_moves(), happened)
    }

    /// Reads and writes of one page that the first node has written and both others have read, again and again, while nodes
    /// let each other go on.
    pub fn adapting(begun: u8, happened: u8) -> Self {
        let releases = (0..3).map(|node| Outside::Release { node }).collect();
        let ops = vec![touch(P0, Access::Read), touch(P0, Access::Write)];
        let mut cluster = Self::new(ops, begun, releases, happened);
        cluster.plan.adaptation = Adaptation::Eager;
        let write = (0, touch(P0, Access::Write));
        let reads = [1, 2].map(|node| (node, touch(P0, Access::Read)));
        cluster.before.push(write.clone());
        cluster.before.extend(reads);
        cluster.before.push(write);
        cluster
    }

    /// Reads and writes of one page, evictions and moves.
    pub fn one_page(begun: u8, happened: u8) -> Self {
        let outside = evictions_and_moves()
            .into_iter()
            .filter(|outside| match *outside {
                Outside::Evict { page, .. } | Outside::MoveHome { page, .. } => page == 0,
                Outside::Pressure { .. }
                | Outside::Prefetch { .. }
                | Outside::Release { .. }
                | Outside::Cede { .. }
                | Outside::Depart { .. }
                | Outside::Leave { .. }
                | Outside::Kill { .. } => false,
            });
        Self::new(
            vec![touch(P0, Access::Read), touch(P0, Access::Write)],
            begun,
            outside.collect(),
            happened,
        )
    }

    /// Reads and writes of one page, any of the three nodes' death, and with it evictions and moves.
    pub fn deaths(begun: u8, happened: u8) -> Self {
        let mut cluster = Self::one_page(begun, happened);
        let deaths = (0..3).map(|node| Outside::Kill { node });
        cluster.outside = match happened {
            1 => deaths.collect(),
            _ => deaths.chain(cluster.outside).collect(),
        };
        cluster
    }
}

fn evictions_and_moves() -> Vec<Outside> {
    let mut all = Vec::new();
    for node in 0..3 {
        for page in 0..2 {
            all.push(Outside::Evict { node, page });
            all.push(Outside::MoveHome {
                page,
                pages: 1,
                to: node,
            });
        }
    }
    all
}

fn is_safe(state: &State, check: fn(&World) -> Result<(), String>) -> bool {
    check(&state.world).is_ok()
}

/// Whether nothing can happen that was not begun anew.
fn is_over(state: &State) -> bool {
    let world = &state.world;
    world.ready().is_empty() && world.runnable().is_empty() && world.untold.is_empty()
}

impl Model for Cluster {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut world = self.plan.build();
        for node in 0..self.plan.nodes {
            world.spawn(NodeId(node), Vec::new());
        }
        for (thread, op) in &self.before {
            world.threads[*thread].ops.push(op.clone());
            world.threads[*thread].at = At::Runs;
            world.finish();
        }
        vec![State {
            world,
            begun: 0,
            happened: 0,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let world = &state.world;
        actions.extend(world.ready_in_time().into_iter().map(Action::Step));
        actions.extend(world.runnable().into_iter().map(Action::Execute));
        actions.extend(world.untold.keys().copied().map(Action::Tell));
        if state.begun < self.begun {
            let idle =
                (0..world.threads.len()).filter(|&thread| world.threads[thread].at == At::Done);
            actions.extend(
                idle.flat_map(|thread| {
                    (0..self.ops.len()).map(move |op| Action::Begin(thread, op))
                }),
            );
        }
        if state.happened < self.happened {
            actions.extend((0..self.outside.len()).map(Action::Outside));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Begin(thread, op) => {
                state.begun += 1;
                state.world.threads[thread].ops.push(self.ops[op].clone());
                state.world.threads[thread].at = At::Runs;
                state.world.execute(thread);
            }
            Action::Execute(thread) => state.world.execute(thread),
            Action::Step(step) => state.world.step(step),
            Action::Tell(node) => state.world.tell(node),
            Action::Outside(index) => {
                state.world.outside(self.outside[index]);
                if state.world == last.world {
                    return None;
                }
                state.happened += 1;
            }
        }
        state.world.not_moved.clear();
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("one writer or many readers", |_, state| {
                is_safe(state, World::one_writer_or_many_readers)
            }),
            Property::always("every read returns the last write", |_, state: &State| {
                state.world.wrong.is_none() && is_safe(state, World::copies_are_current)
            }),
            Property::always("directory covers caches", |_, state| {
                is_safe(state, World::directory_covers_caches)
            }),
            Property::always("what lives is kept", |_, state| {
                is_safe(state, World::what_lives_is_kept)
            }),
            Property::always("nothing is said that was not asked", |_, state: &State| {
                state.world.refused.is_empty()
            }),
            Property::always(
                "no instruction faults again and again",
                |model: &Self, state: &State| {
                    state
                        .world
                        .threads
                        .iter()
                        .all(|thread| thread.faults <= model.most_faults)
                },
            ),
            Property::always("nothing waits for ever", |_, state: &State| {
                !is_over(state)
                    || state.world.all_done() && state.world.live().all(|node| node.is_quiet())
            }),
            Property::eventually("every fault completes", |model: &Self, state: &State| {
                state.begun == model.begun && state.world.all_done()
            }),
            Property::sometimes("many read", |_, state: &State| {
                let reads = |&node: &u16| state.world.rights(NodeId(node), P0) == Rights::Read;
                (0..3).filter(reads).count() > 1
            }),
            Property::sometimes("a third node writes", |_, state: &State| {
                state.world.rights(NodeId(2), P0) == Rights::Write
            }),
        ]
    }
}
