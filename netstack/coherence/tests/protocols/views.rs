//! Nodes that die, at any time: what the others read is what was written last, or they are told
//! that it is lost; and everything that is begun ends.

use crate::common::build::Plan;
use crate::common::schedule::{
    Outside, cases, config, crowd_with_deaths, explain, play, replicas_with_deaths,
    scenario_with_deaths, scenario_with_drains,
};
use crate::common::threads::{Op, Outcome, Variable};
use crate::common::{InFlight, World};
use darner_coherence::{Access, Event, Message, NodeId, PageIndex, State};
use proptest::prelude::*;
use std::collections::VecDeque;

const HOME: NodeId = NodeId(0);
const HOLDER: NodeId = NodeId(1);
const READER: NodeId = NodeId(2);
const PAGE: PageIndex = PageIndex(5);
const VARIABLE: Variable = Variable {
    page: PAGE,
    lane: 0,
};

proptest! {
    #![proptest_config(config(cases()))]

    #[test]
    fn a_death_loses_only_what_the_dead_had(scenario in scenario_with_deaths()) {
        prop_assert!(play(&scenario).is_ok(), "{}", explain(&scenario));
    }
}

proptest! {
    #![proptest_config(config(cases() / 5))]

    #[test]
    fn a_drain_loses_nothing(scenario in scenario_with_drains()) {
        prop_assert!(play(&scenario).is_ok(), "{}", explain(&scenario));
    }

    #[test]
    fn a_death_loses_no_replicas_that_others_have(scenario in replicas_with_deaths()) {
        prop_assert!(play(&scenario).is_ok(), "{}", explain(&scenario));
    }
}

proptest! {
    // A change of view of so many is some twenty thousand messages.
    #![proptest_config(config(cases() / 10_000))]

    #[test]
    fn a_death_in_a_crowd_loses_only_what_the_dead_had(scenario in crowd_with_deaths()) {
        prop_assert!(play(&scenario).is_ok(), "{}", explain(&scenario));
    }
}

/// A thread of a node does something, and everything comes to its end.
fn does(world: &mut World, node: NodeId, op: Op) -> Option<Outcome> {
    let thread = world.spawn(node, vec![op]);
    while !world.all_done() {
        if world.runnable().contains(&thread) {
            world.execute(thread);
        }
        world.run();
    }
    assert_eq!(world.wrong, None);
    world.threads[thread].outcomes.last().copied()
}

/// A node dies, and all others are told.
fn dies(world: &mut World, node: NodeId) {
    world.kill_and_tell(node);
    tell_all(world);
}

/// All are told of all views, before anything else happens.
fn tell_all(world: &mut World) {
    while let Some(&node) = world.untold.keys().next() {
        world.tell(node);
    }
}

/// A page that lives in a view in which its home has no bytes of it, but two others have.
fn owned_after_a_death() -> World {
    let mut world = Plan {
        nodes: 5,
        hold: 0,
        ..Plan::default()
    }
    .build();
    does(&mut world, HOLDER, Op::Store(VARIABLE, 7));
    dies(&mut world, NodeId(4));
    world.run();
    let loaded = does(&mut world, READER, Op::Load(VARIABLE));
    assert_eq!(loaded, Some(Outcome::Loaded(7)));
    let record = world.nodes[0].home().record(PAGE);
    assert!(matches!(record.state, State::Owned { holder, .. } if holder == HOLDER));
    world
}

#[test]
fn what_is_being_discarded_is_not_lost() {
    let mut world = owned_after_a_death();
    does(&mut world, HOME, Op::Discard(PAGE, 1));
    let loaded = does(&mut world, READER, Op::Load(VARIABLE));
    assert_eq!(loaded, Some(Outcome::Loaded(0)));
}

#[test]
fn what_is_half_discarded_when_the_view_changes_is_discarded_in_the_next() {
    let mut world = owned_after_a_death();
    let discard = world.spawn(HOME, vec![Op::Discard(PAGE, 1)]);
    world.execute(discard);
    world.deliver(HOME, HOLDER);
    world.deliver(HOLDER, HOME);
    world.check();
    assert_eq!(world.nodes[0].home().record(PAGE).state, State::Lost);
    dies(&mut world, NodeId(3));
    world.run();
    assert!(world.all_done());
    let loaded = does(&mut world, HOLDER, Op::Load(VARIABLE));
    assert_eq!(loaded, Some(Outcome::Loaded(0)));
}

/// A page whose home has moved from [`HOME`] to [`HOLDER`].
fn moved() -> (Plan, World) {
    let plan = Plan {
        nodes: 4,
        hold: 0,
        ..Plan::default()
    };
    let mut world = plan.build();
    world.event(
        HOME,
        Event::MoveHome {
            first: PAGE,
            pages: 1,
            to: HOLDER,
        },
    );
    world.run();
    assert!(world.nodes[1].home().owns(PAGE));
    (plan, world)
}

#[test]
fn what_the_owner_of_a_moved_page_had_written_is_lost_with_it_even_if_it_is_back_at_once() {
    let (plan, mut world) = moved();
    does(&mut world, READER, Op::Store(VARIABLE, 7));
    world.kill_and_tell(READER);
    world.comes_back(&plan, READER);
    tell_all(&mut world);
    world.run();
    let loaded = does(&mut world, HOME, Op::Load(VARIABLE));
    assert_eq!(loaded, Some(Outcome::Lost));
}

#[test]
fn what_was_to_move_to_a_node_that_died_stays_even_if_it_is_back_at_once() {
    let plan = Plan {
        nodes: 4,
        hold: 0,
        ..Plan::default()
    };
    let mut world = plan.build();
    does(&mut world, HOME, Op::Store(VARIABLE, 7));
    let moves = Event::MoveHome {
        first: PAGE,
        pages: 1,
        to: HOLDER,
    };
    world.event(HOME, moves);
    assert!(world.nodes[0].home().is_moving(PAGE));
    world.kill_and_tell(HOLDER);
    world.comes_back(&plan, HOLDER);
    tell_all(&mut world);
    world.run();
    let loaded = does(&mut world, READER, Op::Load(VARIABLE));
    assert_eq!(loaded, Some(Outcome::Loaded(7)));
}

#[test]
fn what_a_node_had_written_is_lost_with_it_even_if_it_is_back_at_once() {
    let plan = Plan {
        nodes: 4,
        hold: 0,
        ..Plan::default()
    };
    let mut world = plan.build();
    does(&mut world, READER, Op::Store(VARIABLE, 7));
    world.kill_and_tell(READER);
    world.comes_back(&plan, READER);
    tell_all(&mut world);
    world.run();
    let loaded = does(&mut world, NodeId(3), Op::Load(VARIABLE));
    assert_eq!(loaded, Some(Outcome::Lost));
}

#[test]
fn what_a_recall_has_brought_home_lives_though_the_view_changes_before_all_have_answered() {
    let mut world = owned_after_a_death();
    let moves = Event::MoveHome {
        first: PAGE,
        pages: 1,
        to: HOLDER,
    };
    world.event(HOME, moves);
    for (from, to) in [(HOME, HOLDER), (HOLDER, HOME), (HOME, READER)] {
        world.deliver(from, to);
    }
    dies(&mut world, NodeId(3));
    world.run();
    let loaded = does(&mut world, READER, Op::Load(VARIABLE));
    assert_eq!(loaded, Some(Outcome::Loaded(7)));
}

#[test]
fn a_home_keeps_the_frame_that_its_own_program_uses_when_a_holder_discards() {
    let plan = Plan {
        nodes: 5,
        hold: 0,
        ..Plan::default()
    };
    let mut world = plan.build();
    does(&mut world, HOLDER, Op::Store(VARIABLE, 7));
    does(&mut world, HOME, Op::Load(VARIABLE));
    dies(&mut world, NodeId(4));
    world.run();
    does(&mut world, HOLDER, Op::Discard(PAGE, 1));
    let loaded = does(&mut world, HOME, Op::Load(VARIABLE));
    assert_eq!(loaded, Some(Outcome::Loaded(0)));
}

/// The holder has dropped its bytes for a discard, and whoever discards dies before the home has heard it.
#[test]
fn what_was_dropped_for_a_discard_is_not_what_the_home_had_before() {
    let plan = Plan {
        nodes: 5,
        hold: 0,
        ..Plan::default()
    };
    let mut world = plan.build();
    does(&mut world, HOME, Op::Store(VARIABLE, 5));
    does(&mut world, HOLDER, Op::Store(VARIABLE, 7));
    let discard = world.spawn(READER, vec![Op::Discard(PAGE, 1)]);
    world.execute(discard);
    for (from, to) in [(READER, HOME), (HOME, HOLDER)] {
        world.deliver(from, to);
    }
    dies(&mut world, READER);
    world.run();
    let loaded = does(&mut world, NodeId(3), Op::Load(VARIABLE));
    assert_eq!(loaded, Some(Outcome::Lost));
}

#[test]
fn two_discards_of_a_node_outlive_a_change_of_view() {
    let plan = Plan {
        nodes: 4,
        hold: 0,
        ..Plan::default()
    };
    let mut world = plan.build();
    let pages = [PAGE, PAGE.plus(1)];
    let variable = |page| Variable { page, lane: 0 };
    for page in pages {
        does(&mut world, HOLDER, Op::Store(variable(page), 7));
    }
    for page in pages {
        let discard = world.spawn(READER, vec![Op::Discard(page, 1)]);
        world.execute(discard);
    }
    dies(&mut world, NodeId(3));
    world.run();
    assert!(world.all_done());
    for page in pages {
        let loaded = does(&mut world, HOLDER, Op::Load(variable(page)));
        assert_eq!(loaded, Some(Outcome::Loaded(0)));
    }
}

#[test]
fn a_directory_full_of_lost_pages_serves_others() {
    let plan = Plan {
        nodes: 4,
        hold: 0,
        records: 8,
        ..Plan::default()
    };
    let mut world = plan.build();
    let variable = |number: u64| Variable {
        page: PageIndex(2 * number),
        lane: 0,
    };
    for number in 0..12 {
        does(&mut world, HOLDER, Op::Store(variable(number), 7));
    }
    dies(&mut world, HOLDER);
    world.run();
    for number in 12..20 {
        let stored = does(&mut world, READER, Op::Store(variable(number), 8));
        assert_eq!(stored, Some(Outcome::Stored));
    }
}

/// Agents with no room for where pages are, and pages that have moved one beside the other.
#[test]
fn neighbours_that_have_moved_are_found_without_room_to_remember_them() {
    let plan = Plan {
        hold: 0,
        known: 0,
        ..Plan::default()
    };
    let mut world = plan.build();
    let moves = Event::MoveHome {
        first: PAGE,
        pages: 8,
        to: HOLDER,
    };
    world.event(HOME, moves);
    world.run();
    for distance in 0..8 {
        let variable = Variable {
            page: PAGE.plus(distance),
            lane: 0,
        };
        let stored = does(&mut world, READER, Op::Store(variable, 7));
        assert_eq!(stored, Some(Outcome::Stored));
    }
}

/// The home that has moved a page has yet to acknowledge a write-back to a node, which its new home
/// takes for a sharer, as it knows sharers by group.
#[test]
fn a_write_back_to_one_home_is_no_answer_to_another() {
    let plan = Plan {
        nodes: 4,
        hold: 0,
        numbers: 200,
        ..Plan::default()
    };
    let mut world = plan.build();
    does(&mut world, READER, Op::Store(VARIABLE, 7));
    world.event(READER, Event::Evict { page: PAGE });
    let moves = Event::MoveHome {
        first: PAGE,
        pages: 1,
        to: HOLDER,
    };
    world.event(HOME, moves);
    world.deliver(READER, HOME);
    let late = world.links.remove(&(HOME, READER)).expect("a recall");
    world.run();
    assert!(world.nodes[1].home().owns(PAGE));
    for node in [NodeId(3), HOLDER] {
        let loaded = does(&mut world, node, Op::Load(VARIABLE));
        assert_eq!(loaded, Some(Outcome::Loaded(7)));
    }
    does(&mut world, HOLDER, Op::Store(VARIABLE, 8));
    world.links.insert((HOME, READER), late);
    world.run();
    let loaded = does(&mut world, READER, Op::Load(VARIABLE));
    assert_eq!(loaded, Some(Outcome::Loaded(8)));
}

/// A node gives up all that it has, whatever comes of it meanwhile.
fn departs(world: &mut World, node: NodeId) {
    for _ in 0..8 {
        world.outside(Outside::Depart { node: node.0 });
        world.run();
    }
    let what = &world.nodes[usize::from(node.0)];
    assert!(what.has_nothing(), "{what:?}");
}

/// All slices of a node become others', and it leaves.
fn is_drained(world: &mut World, node: NodeId) {
    world.cede_and_tell(node);
    tell_all(world);
    world.run();
    departs(world, node);
    world.leave_and_tell(node);
    tell_all(world);
    world.run();
    assert_eq!(world.wrong, None);
    assert!(world.lost.is_empty());
}

#[test]
fn what_a_drained_node_was_the_home_of_is_as_it_was() {
    let mut world = Plan {
        nodes: 4,
        hold: 0,
        ..Plan::default()
    }
    .build();
    let variable = |page| Variable {
        page: PageIndex(page),
        lane: 0,
    };
    // Its own, another's, one that was only read, one that nobody has touched, one that was discarded.
    does(&mut world, HOME, Op::Store(variable(0), 7));
    does(&mut world, HOLDER, Op::Store(variable(1), 8));
    does(&mut world, HOLDER, Op::Load(variable(2)));
    does(&mut world, READER, Op::Store(variable(4), 9));
    does(&mut world, HOLDER, Op::Load(variable(4)));
    does(&mut world, READER, Op::Discard(PageIndex(4), 1));
    is_drained(&mut world, HOME);
    for (page, expected) in [(0, 7), (1, 8), (2, 0), (3, 0), (4, 0)] {
        for node in [READER, HOLDER] {
            let loaded = does(&mut world, node, Op::Load(variable(page)));
            assert_eq!(loaded, Some(Outcome::Loaded(expected)), "page {page}");
        }
        let stored = does(&mut world, READER, Op::Store(variable(page), 1));
        assert_eq!(stored, Some(Outcome::Stored));
    }
}

/// A node was the only one to have a page, has not written it, and has dropped it, which takes no message.
#[test]
fn what_a_drained_node_had_dropped_before_is_not_waited_for() {
    let mut world = Plan {
        nodes: 4,
        hold: 0,
        ..Plan::default()
    }
    .build();
    does(&mut world, READER, Op::Store(VARIABLE, 7));
    world.event(READER, Event::Evict { page: PAGE });
    world.run();
    world.cede_and_tell(HOLDER);
    tell_all(&mut world);
    world.run();
    does(&mut world, HOLDER, Op::Load(VARIABLE));
    world.event(HOLDER, Event::Evict { page: PAGE });
    departs(&mut world, HOLDER);
    assert!(world.nodes[usize::from(HOME.0)].home().would_miss(HOLDER));
    world.event(HOME, Event::Departed { node: HOLDER });
    assert!(!world.nodes[usize::from(HOME.0)].home().would_miss(HOLDER));
    world.leave_and_tell(HOLDER);
    tell_all(&mut world);
    world.run();
    let loaded = does(&mut world, READER, Op::Load(VARIABLE));
    assert_eq!(loaded, Some(Outcome::Loaded(7)));
}

#[test]
fn what_a_drained_node_could_have_written_is_not_taken_for_lost() {
    let mut world = Plan {
        nodes: 4,
        hold: 0,
        ..Plan::default()
    }
    .build();
    // A run of pages comes along, of which only the first is written.
    does(&mut world, HOLDER, Op::Store(VARIABLE, 7));
    is_drained(&mut world, HOLDER);
    for page in 0..8 {
        let variable = Variable {
            page: PageIndex(page),
            lane: 0,
        };
        let expected = if page == PAGE.0 { 7 } else { 0 };
        let loaded = does(&mut world, READER, Op::Load(variable));
        assert_eq!(loaded, Some(Outcome::Loaded(expected)), "page {page}");
    }
}

#[test]
fn what_is_all_zeros_is_said_again_if_another_view_comes_before_it_was_heard() {
    let mut world = Plan {
        nodes: 4,
        hold: 0,
        ..Plan::default()
    }
    .build();
    world.cede_and_tell(HOME);
    tell_all(&mut world);
    // All but the last member's reports come.
    while let Some(&(from, to)) = world.links.keys().find(|&&(from, _)| from != NodeId(3)) {
        world.deliver(from, to);
    }
    dies(&mut world, NodeId(3));
    world.run();
    for page in [PAGE, PageIndex(0)] {
        let variable = Variable { page, lane: 0 };
        let loaded = does(&mut world, READER, Op::Load(variable));
        assert_eq!(loaded, Some(Outcome::Loaded(0)));
    }
}

/// It has written the page back, which then was discarded, and has not heard that it came.
#[test]
fn what_a_node_gives_up_is_not_what_it_finds_as_the_new_home() {
    let mut world = Plan {
        nodes: 4,
        hold: 0,
        ..Plan::default()
    }
    .build();
    does(&mut world, HOLDER, Op::Store(VARIABLE, 7));
    world.event(HOLDER, Event::Evict { page: PAGE });
    world.deliver(HOLDER, HOME);
    let late = world.links.remove(&(HOME, HOLDER)).expect("an answer");
    does(&mut world, READER, Op::Discard(PAGE, 1));
    world.links.insert((HOME, HOLDER), late);
    world.cede_and_tell(HOME);
    tell_all(&mut world);
    world.run();
    assert_eq!(world.latest.as_ref().unwrap().slices.home(PAGE), HOLDER);
    let loaded = does(&mut world, READER, Op::Load(VARIABLE));
    assert_eq!(loaded, Some(Outcome::Loaded(0)));
}

/// The home of a slice has answered what a node claims of a page that had moved there, and the view changes again
/// before the answer has come.
#[test]
fn a_claim_that_was_heard_holds_though_the_view_changes_again() {
    let (plan, mut world) = moved();
    does(&mut world, HOLDER, Op::Store(VARIABLE, 7));
    world.event(HOLDER, Event::Evict { page: PAGE });
    does(&mut world, READER, Op::Load(VARIABLE));
    world.event(READER, Event::Evict { page: PAGE });
    world.run();
    let record = world.nodes[1].home().record(PAGE);
    assert_eq!(record.state, State::Exclusive { owner: READER });
    dies(&mut world, NodeId(3));
    let answered = |world: &World| {
        let mut link = world.links.get(&(HOME, HOLDER)).into_iter().flatten();
        link.any(|came| matches!(came.packet.message, Message::Keep { page: PAGE, .. }))
    };
    while !answered(&world) {
        world.step(world.ready()[0]);
    }
    world.comes_back(&plan, NodeId(3));
    tell_all(&mut world);
    world.run();
    let loaded = does(&mut world, READER, Op::Load(VARIABLE));
    assert_eq!(loaded, Some(Outcome::Loaded(7)));
}

/// The owner has dropped what it wrote, as another node discards the page; that node dies before it hears of it.
#[test]
fn what_was_dropped_for_a_discard_that_died_is_lost() {
    let plan = Plan {
        nodes: 4,
        hold: 0,
        ..Plan::default()
    };
    let mut world = plan.build();
    does(&mut world, READER, Op::Store(VARIABLE, 6));
    world.event(READER, Event::Evict { page: PAGE });
    does(&mut world, HOLDER, Op::Store(VARIABLE, 7));
    let discards = NodeId(3);
    let discard = world.spawn(discards, vec![Op::Discard(PAGE, 1)]);
    world.execute(discard);
    world.deliver(discards, HOME);
    world.deliver(HOME, HOLDER);
    dies(&mut world, discards);
    world.run();
    let loaded = does(&mut world, READER, Op::Load(VARIABLE));
    assert_eq!(loaded, Some(Outcome::Lost));
}

/// A node that was handed a page writes it back, and the view changes. The note of who had handed it over comes last.
#[test]
fn a_write_back_that_overtakes_a_note_is_taken_though_the_view_changes() {
    let plan = Plan {
        nodes: 4,
        hold: 0,
        ..Plan::default()
    };
    let mut world = plan.build();
    does(&mut world, HOLDER, Op::Store(VARIABLE, 6));
    let store = world.spawn(READER, vec![Op::Store(VARIABLE, 7)]);
    world.execute(store);
    for (from, to) in [(READER, HOME), (HOME, HOLDER), (HOLDER, READER)] {
        world.deliver(from, to);
    }
    world.execute(store);
    assert!(world.all_done());
    world.event(READER, Event::Evict { page: PAGE });
    dies(&mut world, NodeId(3));
    world.deliver(READER, HOME);
    world.run();
    let loaded = does(&mut world, HOLDER, Op::Load(VARIABLE));
    assert_eq!(loaded, Some(Outcome::Loaded(7)));
}

/// All that live read the same of a page, which its holder was discarding when it died.
fn agree(world: &mut World) {
    dies(world, HOLDER);
    world.finish();
    for node in [READER, NodeId(3), HOME] {
        let loaded = does(world, node, Op::Load(VARIABLE));
        assert_eq!(loaded, Some(Outcome::Loaded(7)));
    }
}

#[test]
fn a_holder_dies_that_was_discarding_what_others_have() {
    let mut world = owned_after_a_death();
    let discard = world.spawn(HOLDER, vec![Op::Discard(PAGE, 1)]);
    world.execute(discard);
    world.deliver(HOLDER, HOME);
    agree(&mut world);
}

#[test]
fn a_holder_dies_that_was_discarding_what_another_waits_for() {
    let mut world = owned_after_a_death();
    let reader = NodeId(3);
    let discard = world.spawn(HOLDER, vec![Op::Discard(PAGE, 1)]);
    world.execute(discard);
    let load = world.spawn(reader, vec![Op::Load(VARIABLE)]);
    world.execute(load);
    world.deliver(reader, HOME);
    world.deliver(HOLDER, HOME);
    world.deliver(HOME, reader);
    agree(&mut world);
}

/// A home with room for few entries.
fn small() -> World {
    let plan = Plan {
        nodes: 4,
        hold: 0,
        records: 8,
        ..Plan::default()
    };
    plan.build()
}

/// An instruction that writes two pages has them both in the end.
fn has_both(world: &mut World, pages: [u64; 2]) {
    let touched = pages.map(|page| (PageIndex(page), Access::Write));
    let thread = world.spawn(READER, vec![Op::Touch(touched.to_vec())]);
    for _ in 0..10 {
        if world.runnable().contains(&thread) {
            world.execute(thread);
        }
        world.run();
    }
    assert!(world.all_done(), "{:?}", world.threads[thread]);
}

#[test]
fn a_few_lost_pages_take_no_room_from_an_instruction() {
    let mut world = small();
    for number in 0..5 {
        let variable = Variable {
            page: PageIndex(2 * number),
            lane: 0,
        };
        does(&mut world, HOLDER, Op::Store(variable, 7));
    }
    dies(&mut world, HOLDER);
    world.run();
    has_both(&mut world, [40, 50]);
}

#[test]
fn the_pages_of_an_instruction_are_not_the_first_to_be_recalled_though_all_other_entries_are_longer()
 {
    let mut world = small();
    for page in [0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21] {
        let variable = Variable {
            page: PageIndex(page),
            lane: 0,
        };
        does(&mut world, HOLDER, Op::Store(variable, 7));
    }
    has_both(&mut world, [40, 50]);
}

/// A page moves to a node that still rebuilds its directory, and gives up a copy of that page that it has kept.
#[test]
fn what_moves_to_a_home_that_rebuilds_stays_there() {
    let mut world = Plan {
        nodes: 4,
        hold: 0,
        ..Plan::default()
    }
    .build();
    does(&mut world, HOME, Op::Store(VARIABLE, 7));
    does(&mut world, READER, Op::Load(VARIABLE));
    dies(&mut world, NodeId(3));
    // All but that one member has reported to the reader.
    let come = |world: &mut World| {
        let last = |(&link, flying): (&(NodeId, NodeId), &VecDeque<InFlight>)| {
            let ends =
                flying.front().map(|next| &next.packet.message) == Some(&Message::ReportsEnd);
            (link != (HOLDER, READER) || !ends).then_some(link)
        };
        while let Some((from, to)) = world.links.iter().find_map(last) {
            world.deliver(from, to);
        }
    };
    come(&mut world);
    let moves = Event::MoveHome {
        first: PAGE,
        pages: 1,
        to: READER,
    };
    world.event(HOME, moves);
    come(&mut world);
    world.event(READER, Event::Evict { page: PAGE });
    world.run();
    assert!(world.nodes[usize::from(READER.0)].home().owns(PAGE));
    let loaded = does(&mut world, HOLDER, Op::Load(VARIABLE));
    assert_eq!(loaded, Some(Outcome::Loaded(7)));
}
