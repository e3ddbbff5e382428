//! Nodes that go by how pages were used: any schedule is as right as of nodes that do not.

use crate::common::World;
use crate::common::adapting::{scenario_adapting, scenario_adapting_with_deaths};
use crate::common::build::Plan;
use crate::common::schedule::{cases, explain, play};
use crate::common::threads::{At, Op};
use darner_coherence::{Access, Adaptation, Event, NodeId, PageIndex, Rights};
use proptest::prelude::*;

const HOME: NodeId = NodeId(0);
const READER: NodeId = NodeId(1);
const PAGE: PageIndex = PageIndex(5);

proptest! {
    #![proptest_config(ProptestConfig { cases: cases() / 4, failure_persistence: None, max_shrink_iters: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn any_schedule_is_coherent_and_ends(scenario in scenario_adapting()) {
        prop_assert!(play(&scenario).is_ok(), "{}", explain(&scenario));
    }

    #[test]
    fn any_death_is_survived(scenario in scenario_adapting_with_deaths()) {
        prop_assert!(play(&scenario).is_ok(), "{}", explain(&scenario));
    }
}

/// Has a thread of a node touch the page; the messages that it took.
fn touch(world: &mut World, node: NodeId, access: Access) -> u32 {
    let before = world.counts.messages;
    let index = usize::from(node.0);
    world.threads[index]
        .ops
        .push(Op::Touch(vec![(PAGE, access)]));
    world.threads[index].at = At::Runs;
    world.finish();
    assert_eq!(world.wrong, None);
    world.counts.messages - before
}

/// A thread of a node waits for others; the messages that it took, hints not counted.
fn release(world: &mut World, node: NodeId) -> u32 {
    let before = world.counts.messages;
    world.event(node, Event::Release);
    world.finish();
    assert_eq!(world.wrong, None);
    world.counts.messages - before
}

fn cluster(adaptation: Adaptation) -> World {
    let mut world = Plan {
        hold: 0,
        adaptation,
        ..Plan::default()
    }
    .build();
    for node in 0..3 {
        world.spawn(NodeId(node), Vec::new());
    }
    world.counting = true;
    world
}

/// The messages of a round: written, let go, read, let go.
fn round(world: &mut World) -> u32 {
    let written = touch(world, HOME, Access::Write) + release(world, HOME);
    written + touch(world, READER, Access::Read) + release(world, READER)
}

#[test]
fn what_is_produced_for_a_reader_takes_one_message_in_the_end() {
    let mut world = cluster(Adaptation::Careful);
    let rounds: Vec<u32> = (0..10).map(|_| round(&mut world)).collect();
    assert_eq!(rounds, [2, 4, 3, 1, 1, 1, 1, 1, 1, 1]);
    let mut fixed = cluster(Adaptation::Off);
    let rounds: Vec<u32> = (0..4).map(|_| round(&mut fixed)).collect();
    assert_eq!(rounds, [2, 4, 4, 4]);
}

#[test]
fn what_nobody_reads_any_more_is_not_pushed_any_more() {
    let mut world = cluster(Adaptation::Careful);
    for _ in 0..10 {
        round(&mut world);
    }
    let mut pushed = 0;
    for _ in 0..100 {
        pushed += touch(&mut world, HOME, Access::Write) + release(&mut world, HOME);
        release(&mut world, READER);
    }
    assert!(pushed <= 12, "{pushed} messages");
}

#[test]
fn a_page_lives_where_it_is_touched_first() {
    let mut world = cluster(Adaptation::Careful);
    touch(&mut world, READER, Access::Write);
    world.event(READER, Event::Evict { page: PAGE });
    world.finish();
    assert!(world.nodes[1].home().owns(PAGE));
    assert_eq!(touch(&mut world, READER, Access::Write), 0);
}

#[test]
fn a_home_follows_a_steady_writer() {
    let mut world = cluster(Adaptation::Careful);
    touch(&mut world, HOME, Access::Write);
    for _ in 0..5 {
        touch(&mut world, READER, Access::Write);
        touch(&mut world, NodeId(2), Access::Read);
    }
    assert!(world.nodes[1].home().owns(PAGE));
    assert_eq!(world.rights(NodeId(2), PAGE), Rights::Read);
}
