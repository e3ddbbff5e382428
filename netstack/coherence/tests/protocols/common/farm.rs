//! A farm of registers, used by threads of all nodes; their history as clients see it.

use super::World;
use super::build::Plan;
use super::schedule::Outside;
use super::stroll::{End, any_disturbance, any_plan, stroll};
use super::threads::{At, Op, Outcome, Variable};
use darner_coherence::{NodeId, PageIndex, Token};
use fastrand::Rng;
use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};
use std::collections::BTreeMap;

/// Pages that have registers, and registers of each.
const PAGES: u64 = 4;
const LANES: u8 = 2;

/// What the farm should be: a number for each register.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Farm(BTreeMap<Variable, u16>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FarmOp {
    Read(Variable),
    Write(Variable, u16),
}

impl SequentialSpec for Farm {
    type Op = FarmOp;
    type Ret = Option<u16>;

    fn invoke(&mut self, op: &FarmOp) -> Option<u16> {
        match *op {
            FarmOp::Read(register) => Some(self.0.get(&register).copied().unwrap_or(0)),
            FarmOp::Write(register, value) => {
                self.0.insert(register, value);
                None
            }
        }
    }
}

/// Whether nodes die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deaths {
    None,
    Some,
}

/// Something that a client sees.
enum Event {
    Invoked(usize),
    /// With what it returned; nothing if the page was lost, so that it was not done.
    Returned(usize, Option<Option<u16>>),
}

/// One operation of a client.
struct Operation {
    client: Token,
    op: FarmOp,
    lost: bool,
}

/// All that the clients see.
#[derive(Default)]
struct History {
    operations: Vec<Operation>,
    events: Vec<Event>,
    open: BTreeMap<Token, usize>,
    /// How many outcomes of each client have been noted.
    noted: BTreeMap<Token, usize>,
}

impl History {
    /// Notes what has begun and what has ended.
    fn look_at(&mut self, world: &World) {
        for thread in &world.threads {
            let noted = self.noted.entry(thread.token).or_default();
            if let Some(&outcome) = thread.outcomes.get(*noted) {
                *noted += 1;
                let operation = match self.open.remove(&thread.token) {
                    Some(operation) => operation,
                    // It has begun and ended in this step.
                    None => self.begin(thread.token, thread.done.as_ref()),
                };
                self.end(operation, outcome);
            } else if thread.at == At::Waits && !self.open.contains_key(&thread.token) {
                let operation = self.begin(thread.token, thread.ops.last());
                self.open.insert(thread.token, operation);
            }
        }
    }

    fn begin(&mut self, client: Token, op: Option<&Op>) -> usize {
        let op = match op {
            Some(&Op::Load(register)) => FarmOp::Read(register),
            Some(&Op::Store(register, value)) => FarmOp::Write(register, value),
            other => panic!("clients load and store, not {other:?}"),
        };
        self.operations.push(Operation {
            client,
            op,
            lost: false,
        });
        let operation = self.operations.len() - 1;
        self.events.push(Event::Invoked(operation));
        operation
    }

    fn end(&mut self, operation: usize, outcome: Outcome) {
        self.operations[operation].lost = outcome == Outcome::Lost;
        let returned = match outcome {
            Outcome::Loaded(value) => Some(Some(value)),
            Outcome::Stored => Some(None),
            Outcome::Lost => None,
        };
        self.events.push(Event::Returned(operation, returned));
    }

    /// Whether there is an order in which it could have happened one after the other.
    fn is_linearizable(&self) -> bool {
        let mut tester = LinearizabilityTester::new(Farm::default());
        for event in &self.events {
            let (&Event::Invoked(operation) | &Event::Returned(operation, _)) = event;
            let Operation { client, op, lost } = &self.operations[operation];
            let accepted = match event {
                _ if *lost => continue,
                Event::Invoked(_) => tester.on_invoke(client.0, op.clone()),
                Event::Returned(_, returned) => tester.on_return(client.0, returned.flatten()),
            };
            accepted.expect("a client does one thing at a time");
        }
        tester.is_consistent()
    }
}

/// What came of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Linearizable { done: usize, lost: usize },
    NotLinearizable,
    Endless,
}

/// Runs clients on any cluster, in any order.
pub fn run(deaths: Deaths, rng: &mut Rng) -> Verdict {
    let nodes = rng.u16(3..=4);
    let plan: Plan = any_plan(rng, nodes, PAGES / 2);
    let mut world = plan.build();
    let mut value = 0;
    for _ in 0..rng.usize(2..=5) {
        let ops = (0..rng.usize(1..=5)).map(|_| any_op(rng, &mut value));
        let ops = ops.collect();
        world.spawn(NodeId(rng.u16(..nodes)), ops);
    }
    let outside = any_outside(deaths, rng, nodes);
    let mut history = History::default();
    let end = stroll(&mut world, rng, &outside, |world| history.look_at(world));
    if end == End::Never {
        return Verdict::Endless;
    }
    if history.is_linearizable() {
        let lost = history.operations.iter().filter(|op| op.lost).count();
        let done = history.operations.len() - lost;
        Verdict::Linearizable { done, lost }
    } else {
        Verdict::NotLinearizable
    }
}

fn any_op(rng: &mut Rng, value: &mut u16) -> Op {
    let register = Variable {
        page: PageIndex(rng.u64(..PAGES)),
        lane: rng.u8(..LANES),
    };
    if rng.bool() {
        *value += 1;
        Op::Store(register, *value)
    } else {
        Op::Load(register)
    }
}

fn any_outside(deaths: Deaths, rng: &mut Rng, nodes: u16) -> Vec<Outside> {
    let mut outside: Vec<_> = (0..rng.usize(..6))
        .map(|_| any_disturbance(rng, nodes, PAGES))
        .collect();
    if deaths == Deaths::Some {
        for _ in 0..rng.usize(1..=2) {
            let at = rng.usize(..=outside.len());
            let node = rng.u16(..nodes);
            outside.insert(at, Outside::Kill { node });
        }
    }
    outside
}
