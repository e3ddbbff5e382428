//! What a thread was given stays until it is done with the instruction that wanted it, and no longer.

use crate::common::build::Plan;
use crate::common::{Step, World};
use darner_coherence::{Access, Event, NodeId, PageIndex, Rights, Token};

const HOME: NodeId = NodeId(0);
const NODE: NodeId = NodeId(1);
const OTHER: NodeId = NodeId(2);
const THREAD: Token = Token(70);
const FIRST: PageIndex = PageIndex(5);
const SECOND: PageIndex = PageIndex(9);

/// All that happens by itself, except that nothing of the thread's node comes to the home.
fn run_without_the_home(world: &mut World) {
    let others = |step: &Step| *step != Step::Deliver(NODE, HOME);
    while let Some(step) = world.ready().into_iter().find(others) {
        world.step(step);
    }
}

/// A thread gets a page, and waits for another one while a second node wants to write the first. Whether that
/// one gets it meanwhile.
fn is_given_away(retired: bool) -> bool {
    let mut world = Plan {
        hold: 100,
        ..Plan::default()
    }
    .build();
    world.fault(NODE, THREAD, FIRST, Access::Write);
    world.run();
    assert_eq!(world.rights(NODE, FIRST), Rights::Write);
    if retired {
        world.event(NODE, Event::Retired { token: THREAD });
    }
    world.fault(NODE, THREAD, SECOND, Access::Read);
    world.fault(OTHER, Token(71), FIRST, Access::Write);
    run_without_the_home(&mut world);
    assert_eq!(world.rights(NODE, SECOND), Rights::None);
    world.rights(OTHER, FIRST) == Rights::Write
}

#[test]
fn what_an_instruction_was_given_stays_while_it_waits_for_more() {
    assert!(!is_given_away(false));
}

#[test]
fn what_an_instruction_was_given_stays_no_longer_than_it_runs() {
    assert!(is_given_away(true));
}
