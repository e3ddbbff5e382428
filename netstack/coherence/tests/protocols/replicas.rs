//! Pages of which all nodes have the same bytes to begin with.

use crate::common::build::{Plan, REPLICATED};
use crate::common::threads::{Op, Outcome, Variable};
use crate::common::{Counts, World};
use darner_coherence::{NodeId, PageIndex, Rights};

const PAGE: PageIndex = PageIndex(1);
const VARIABLE: Variable = Variable {
    page: PAGE,
    lane: 0,
};

fn cluster(nodes: u16) -> World {
    let mut world = Plan {
        nodes,
        replicated: 3,
        hold: 0,
        ..Plan::default()
    }
    .build();
    world.counting = true;
    world
}

/// Has a node do something, and everything come to its end; what was sent.
fn cost(world: &mut World, node: u16, op: Op) -> (Counts, Outcome) {
    world.counts = Counts::default();
    let thread = world.spawn(NodeId(node), vec![op]);
    while !world.all_done() {
        world.execute(thread);
        world.run();
    }
    assert_eq!(world.wrong, None);
    let outcome = *world.threads[thread].outcomes.last().expect("an outcome");
    (world.counts, outcome)
}

fn nothing() -> Counts {
    Counts::default()
}

#[test]
fn all_read_without_a_message() {
    for nodes in [2, 5, 80] {
        let mut world = cluster(nodes);
        for node in 0..nodes {
            assert_eq!(world.rights(NodeId(node), PAGE), Rights::Read);
            let loaded = Outcome::Loaded(REPLICATED as u16);
            assert_eq!(
                cost(&mut world, node, Op::Load(VARIABLE)),
                (nothing(), loaded)
            );
        }
    }
}

#[test]
fn the_first_writer_invalidates_all_others_and_needs_no_bytes() {
    for nodes in [3, 5, 80] {
        let mut world = cluster(nodes);
        let (counts, _) = cost(&mut world, 2, Op::Store(VARIABLE, 5));
        // A request and a grant; two for each that is neither the writer nor the home.
        let messages = 2 + 2 * (u32::from(nodes) - 2);
        assert_eq!(counts, Counts { messages, pages: 0 });
        for node in (0..nodes).filter(|&node| node != 2) {
            assert_eq!(world.rights(NodeId(node), PAGE), Rights::None, "{node}");
        }
        let (counts, loaded) = cost(&mut world, 1, Op::Load(VARIABLE));
        assert_eq!((counts.pages, loaded), (1, Outcome::Loaded(5)));
    }
}

#[test]
fn pages_that_are_not_written_stay() {
    let mut world = cluster(4);
    cost(&mut world, 3, Op::Store(VARIABLE, 5));
    let other = Variable {
        page: PageIndex(2),
        ..VARIABLE
    };
    let loaded = Outcome::Loaded(REPLICATED as u16);
    assert_eq!(cost(&mut world, 1, Op::Load(other)), (nothing(), loaded));
}
