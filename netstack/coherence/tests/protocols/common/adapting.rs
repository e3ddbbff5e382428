//! Nodes that go by how pages were used: homes that follow, copies that are pushed, and hints.

use super::World;
use super::build::Plan;
use super::schedule::{Outside, Scenario};
use super::threads::Op;
use darner_coherence::{Access, Adaptation, PageIndex};
use proptest::prelude::*;

/// Few pages, so that the same are used again and again, across the slices of two homes.
const PAGES: u64 = 2;

fn outside(nodes: u16) -> impl Strategy<Value = Outside> {
    prop_oneof![
        12 => (0..nodes).prop_map(|node| Outside::Release { node }),
        1 => (0..nodes, 0..PAGES).prop_map(|(node, page)| Outside::Evict { node, page }),
        1 => (0..PAGES, 0..nodes).prop_map(|(page, to)| Outside::MoveHome { page, pages: 1, to }),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let access = prop_oneof![2 => Just(Access::Read), 1 => Just(Access::Write)];
    prop_oneof![
        12 => (0..PAGES, access).prop_map(|(page, access)| Op::Touch(vec![(PageIndex(page), access)])),
        1 => (0..PAGES).prop_map(|page| Op::Discard(PageIndex(page), 1)),
    ]
}

/// Any scenario of nodes that adapt.
pub fn scenario_adapting() -> impl Strategy<Value = Scenario> {
    (2..4_u16, prop_oneof![Just(1_u8), Just(4)]).prop_flat_map(|(nodes, run)| {
        let plan = Plan {
            nodes,
            slice: 1,
            run,
            adaptation: Adaptation::Eager,
            ..Plan::default()
        };
        let threads = prop::collection::vec((0..nodes, prop::collection::vec(op(), 3..10)), 2..5);
        let outside = prop::collection::vec(outside(nodes), 0..30);
        let order = prop::collection::vec(any::<u16>(), 0..400);
        (threads, outside, order).prop_map(move |(threads, outside, order)| Scenario {
            plan,
            threads,
            outside,
            order,
        })
    })
}

/// The same, in which nodes die, at least two remaining.
pub fn scenario_adapting_with_deaths() -> impl Strategy<Value = Scenario> {
    (scenario_adapting(), any::<prop::sample::Index>(), 0..4_u16).prop_map(
        |(mut scenario, at, node)| {
            scenario.plan.nodes = 4;
            let at = at.index(scenario.outside.len() + 1);
            scenario.outside.insert(at, Outside::Kill { node });
            scenario
        },
    )
}

impl World {
    /// Lets all threads and all that is under way come to their end.
    pub fn finish(&mut self) {
        loop {
            if let Some(&thread) = self.runnable().first() {
                self.execute(thread);
            } else if let Some(&step) = self.ready().first() {
                self.step(step);
            } else {
                break;
            }
            self.check();
        }
    }
}
