//! Litmus tests: small programs of which it is known what they may see in a sequentially
//! consistent memory (the names are those of Alglave, Maranget and Tautschnig, 2014).

use super::build::Plan;
use super::stroll::{End, any_disturbance, any_plan, stroll};
use super::threads::{Op, Outcome, Variable};
use darner_coherence::{NodeId, PageIndex};
use fastrand::Rng;
use std::collections::BTreeSet;

/// An instruction on one of two variables.
#[derive(Clone, Copy, Debug)]
pub enum Instruction {
    Load(usize),
    Store(usize, u16),
}

use Instruction::{Load, Store};

const X: usize = 0;
const Y: usize = 1;

/// A program.
pub struct Litmus {
    pub name: &'static str,
    pub threads: &'static [&'static [Instruction]],
    /// What is loaded when all threads have ended.
    pub afterwards: &'static [usize],
    /// What must not be loaded: all that is loaded, thread by thread.
    pub forbidden: &'static [u16],
}

/// All of them.
pub static ALL: [Litmus; 7] = [
    Litmus {
        name: "SB",
        threads: &[&[Store(X, 1), Load(Y)], &[Store(Y, 1), Load(X)]],
        afterwards: &[],
        forbidden: &[0, 0],
    },
    Litmus {
        name: "MP",
        threads: &[&[Store(X, 1), Store(Y, 1)], &[Load(Y), Load(X)]],
        afterwards: &[],
        forbidden: &[1, 0],
    },
    Litmus {
        name: "LB",
        threads: &[&[Load(X), Store(Y, 1)], &[Load(Y), Store(X, 1)]],
        afterwards: &[],
        forbidden: &[1, 1],
    },
    Litmus {
        name: "WRC",
        threads: &[&[Store(X, 1)], &[Load(X), Store(Y, 1)], &[Load(Y), Load(X)]],
        afterwards: &[],
        forbidden: &[1, 1, 0],
    },
    Litmus {
        name: "IRIW",
        threads: &[
            &[Store(X, 1)],
            &[Store(Y, 1)],
            &[Load(X), Load(Y)],
            &[Load(Y), Load(X)],
        ],
        afterwards: &[],
        forbidden: &[1, 0, 1, 0],
    },
    Litmus {
        name: "CoRR",
        threads: &[&[Store(X, 1)], &[Load(X), Load(X)]],
        afterwards: &[],
        forbidden: &[1, 0],
    },
    Litmus {
        name: "2+2W",
        threads: &[&[Store(X, 1), Store(Y, 2)], &[Store(Y, 1), Store(X, 2)]],
        afterwards: &[X, Y],
        forbidden: &[1, 1],
    },
];

/// Where the two variables are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    OnePage,
    TwoPages,
    TwoHomes,
}

impl Placement {
    pub const ALL: [Self; 3] = [Self::OnePage, Self::TwoPages, Self::TwoHomes];

    fn variable(self, number: usize) -> Variable {
        let (page, lane) = match (self, number) {
            (_, X) => (0, 0),
            (Self::OnePage, _) => (0, 1),
            (Self::TwoPages, _) => (1, 0),
            (Self::TwoHomes, _) => (SLICE, 0),
        };
        let page = PageIndex(page);
        Variable { page, lane }
    }

    fn op(self, instruction: Instruction) -> Op {
        match instruction {
            Load(number) => Op::Load(self.variable(number)),
            Store(number, value) => Op::Store(self.variable(number), value),
        }
    }
}

/// Pages of each home.
const SLICE: u64 = 2;

impl Litmus {
    /// All that may be loaded: the threads one after the other, in every order.
    pub fn allowed(&self) -> BTreeSet<Vec<u16>> {
        let mut all = BTreeSet::new();
        let at = vec![0; self.threads.len()];
        let loaded = vec![Vec::new(); self.threads.len()];
        self.interleave(&at, [0, 0], &loaded, &mut all);
        all
    }

    fn interleave(
        &self,
        at: &[usize],
        memory: [u16; 2],
        loaded: &[Vec<u16>],
        all: &mut BTreeSet<Vec<u16>>,
    ) {
        let mut ended = true;
        for (thread, instructions) in self.threads.iter().enumerate() {
            let Some(&instruction) = instructions.get(at[thread]) else {
                continue;
            };
            ended = false;
            let (mut at, mut memory, mut loaded) = (at.to_vec(), memory, loaded.to_vec());
            at[thread] += 1;
            match instruction {
                Load(number) => loaded[thread].push(memory[number]),
                Store(number, value) => memory[number] = value,
            }
            self.interleave(&at, memory, &loaded, all);
        }
        if ended {
            let last = self.afterwards.iter().map(|&number| memory[number]);
            all.insert(loaded.iter().flatten().copied().chain(last).collect());
        }
    }

    /// Runs the program once, on any cluster, with any pages cached anywhere, in any order;
    /// what it loads, if it ends.
    pub fn run(&self, placement: Placement, rng: &mut Rng) -> Option<Vec<u16>> {
        let nodes = rng.u16(2..=self.threads.len().max(3) as u16);
        let plan = any_plan(rng, nodes, SLICE);
        let mut world = plan.build();
        warm_up(&mut world, placement, &plan, rng)?;
        for instructions in self.threads {
            let ops = instructions
                .iter()
                .map(|&instruction| placement.op(instruction));
            world.spawn(NodeId(rng.u16(..nodes)), ops.collect());
        }
        let outside: Vec<_> = (0..rng.usize(..4))
            .map(|_| any_disturbance(rng, nodes, 2 * SLICE))
            .collect();
        let end = stroll(&mut world, rng, &outside, |_| ());
        let loads = self
            .afterwards
            .iter()
            .map(|&number| placement.op(Load(number)));
        world.spawn(NodeId(rng.u16(..nodes)), loads.collect());
        let afterwards = stroll(&mut world, rng, &[], |_| ());
        let ended = end == End::All && afterwards == End::All;
        ended.then(|| loaded(&world))
    }
}

/// Has nodes read and write what is zero, and forgets the threads that did.
fn warm_up(
    world: &mut super::World,
    placement: Placement,
    plan: &Plan,
    rng: &mut Rng,
) -> Option<()> {
    for node in 0..plan.nodes {
        let op = |rng: &mut Rng| {
            let number = rng.usize(..2);
            match rng.u8(..3) {
                0 => placement.op(Store(number, 0)),
                _ => placement.op(Load(number)),
            }
        };
        let ops = (0..rng.usize(..3)).map(|_| op(rng)).collect();
        world.spawn(NodeId(node), ops);
    }
    let end = stroll(world, rng, &[], |_| ());
    for thread in &mut world.threads {
        thread.outcomes.clear();
    }
    (end == End::All).then_some(())
}

fn loaded(world: &super::World) -> Vec<u16> {
    let outcomes = world.threads.iter().flat_map(|thread| &thread.outcomes);
    outcomes
        .filter_map(|outcome| match outcome {
            Outcome::Loaded(value) => Some(*value),
            Outcome::Stored | Outcome::Lost => None,
        })
        .collect()
}
