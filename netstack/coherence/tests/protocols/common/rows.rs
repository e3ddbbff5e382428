//! Exactly how many messages, hops and copies of pages each operation takes.

use super::build::Plan;
use super::schedule::Outside;
use super::threads::{Op, Outcome, Variable};
use super::{Counts, Expected, World};
use darner_coherence::{Access, Event, NodeId, PageIndex, Rights};

/// Messages, hops until the thread goes on, copies of pages on the wire.
type Cost = (u32, u32, u32);

const HOME: NodeId = NodeId(0);
const READER: NodeId = NodeId(1);
const OWNER: NodeId = NodeId(2);
const PAGE: PageIndex = PageIndex(5);

fn cluster(nodes: u16) -> World {
    Plan {
        nodes,
        hold: 0,
        ..Plan::default()
    }
    .build()
}

fn touch(world: &mut World, node: NodeId, access: Access) {
    let thread = world.spawn(node, vec![Op::Touch(vec![(PAGE, access)])]);
    while !world.all_done() {
        if world.runnable().contains(&thread) {
            world.execute(thread);
        }
        if let Some(&step) = world.ready().first() {
            world.step(step);
            world.check();
        }
    }
    world.run();
    assert_eq!(world.wrong, None);
}

/// Puts bytes other than zeros into the page at its home.
fn filled(nodes: u16) -> World {
    let mut world = cluster(nodes);
    touch(&mut world, HOME, Access::Write);
    world.event(HOME, Event::Evict { page: PAGE });
    world.run();
    world
}

fn cost(world: &mut World, what: impl FnOnce(&mut World)) -> Cost {
    for machine in &mut world.machines {
        machine.depth = 0;
    }
    world.counts = Counts::default();
    world.counting = true;
    what(world);
    world.run();
    world.counting = false;
    assert_eq!(world.wrong, None);
    (world.counts.messages, 0, world.counts.pages)
}

/// What an access costs. Hops are those until the thread has its rights.
fn access(world: &mut World, node: NodeId, access: Access) -> Cost {
    let mut hops = 0;
    let (messages, _, pages) = cost(world, |world| {
        let thread = world.spawn(node, vec![Op::Touch(vec![(PAGE, access)])]);
        while !world.all_done() {
            if world.runnable().contains(&thread) {
                world.execute(thread);
                hops = world.machines[usize::from(node.0)].depth;
                continue;
            }
            let step = *world.ready().first().expect("the fault is not forgotten");
            world.step(step);
            world.check();
        }
    });
    (messages, hops, pages)
}

/// What two operations cost, one after the other; hops of a thread add up.
fn sum(one: Cost, other: Cost) -> Cost {
    (one.0 + other.0, one.1 + other.1, one.2 + other.2)
}

/// Says what a row costs, which must be this. `xtask bench coherence` reads what is said.
fn row(name: &str, cost: Cost, expected: Cost) {
    let (messages, hops, copies) = cost;
    println!("\nrow {name} messages {messages} hops {hops} copies {copies}");
    assert_eq!(cost, expected, "row {name}");
}

fn sharers(world: &mut World, count: u16) {
    for node in 2..2 + count {
        touch(world, NodeId(node), Access::Read);
    }
}

pub fn row_01_read_miss_clean_at_home() {
    let mut world = filled(3);
    let cost = access(&mut world, READER, Access::Read);
    row("01", cost, (2, 2, 1));
}

pub fn row_02_read_miss_held_elsewhere() {
    let mut world = filled(3);
    touch(&mut world, OWNER, Access::Write);
    let cost = access(&mut world, READER, Access::Read);
    row("02", cost, (4, 3, 1));
}

pub fn row_02_read_miss_held_elsewhere_unwritten() {
    let mut world = filled(3);
    touch(&mut world, OWNER, Access::Read);
    let cost = access(&mut world, READER, Access::Read);
    row("02_unwritten", cost, (4, 3, 1));
}

/// The second reader has the home fetch the bytes, and so all that come after it are served by the home.
pub fn row_02_readers_after_the_first() {
    let mut world = filled(6);
    touch(&mut world, OWNER, Access::Write);
    touch(&mut world, READER, Access::Read);
    let cost = access(&mut world, NodeId(3), Access::Read);
    row("02_second", cost, (4, 4, 2));
    for node in 4..6 {
        let cost = access(&mut world, NodeId(node), Access::Read);
        row("02_third", cost, (2, 2, 1));
    }
    assert_eq!(world.rights(OWNER, PAGE), Rights::Read);
}

pub fn row_03_write_miss_unshared() {
    let mut world = filled(3);
    let cost = access(&mut world, READER, Access::Write);
    row("03", cost, (2, 2, 1));
}

pub fn row_04_write_miss_with_sharers() {
    for k in 2..8 {
        let mut world = filled(10);
        sharers(&mut world, k);
        let cost = access(&mut world, READER, Access::Write);
        row(&format!("04_k{k}"), cost, (2 * u32::from(k) + 2, 3, 1));
    }
}

pub fn row_05_write_miss_held_elsewhere() {
    let mut world = filled(3);
    touch(&mut world, OWNER, Access::Write);
    let cost = access(&mut world, READER, Access::Write);
    row("05", cost, (4, 3, 1));
}

pub fn row_06_upgrade_with_sharers() {
    for k in 1..8 {
        let mut world = filled(10);
        sharers(&mut world, k);
        touch(&mut world, READER, Access::Read);
        let cost = access(&mut world, READER, Access::Write);
        row(&format!("06_k{k}"), cost, (2 * u32::from(k) + 2, 3, 0));
    }
}

pub fn row_07_upgrade_at_home() {
    for k in 1..8 {
        let mut world = filled(10);
        sharers(&mut world, k);
        touch(&mut world, HOME, Access::Read);
        let cost = access(&mut world, HOME, Access::Write);
        row(&format!("07_k{k}"), cost, (2 * u32::from(k), 2, 0));
    }
}

pub fn row_08_private_page_read_then_written() {
    let mut world = filled(3);
    let read = access(&mut world, READER, Access::Read);
    let written = access(&mut world, READER, Access::Write);
    row("08", sum(read, written), (2, 2, 1));
    assert_eq!(written, (0, 0, 0));
}

pub fn row_09_migratory_hand_off() {
    let mut world = filled(6);
    for node in 2..6 {
        touch(&mut world, NodeId(node), Access::Read);
        touch(&mut world, NodeId(node), Access::Write);
    }
    let read = access(&mut world, READER, Access::Read);
    let written = access(&mut world, READER, Access::Write);
    row("09", sum(read, written), (4, 3, 1));
    assert_eq!(written, (0, 0, 0));
}

pub fn row_10_page_homed_here_and_never_shared() {
    let mut world = cluster(3);
    let read = access(&mut world, HOME, Access::Read);
    let written = access(&mut world, HOME, Access::Write);
    let evicted = cost(&mut world, |world| {
        world.event(HOME, Event::Evict { page: PAGE });
    });
    let again = access(&mut world, HOME, Access::Write);
    let all = sum(sum(read, written), sum(evicted, again));
    row("10", all, (0, 0, 0));
}

pub fn row_11_evict_clean() {
    let mut world = filled(3);
    touch(&mut world, READER, Access::Read);
    let evicted = cost(&mut world, |world| {
        world.event(READER, Event::Evict { page: PAGE });
    });
    row("11", evicted, (0, 0, 0));
    assert_eq!(world.rights(READER, PAGE), Rights::None);
}

pub fn row_12_evict_dirty() {
    let mut world = filled(3);
    touch(&mut world, READER, Access::Write);
    let evicted = cost(&mut world, |world| {
        world.event(READER, Event::Evict { page: PAGE });
    });
    row("12", evicted, (2, 0, 1));
    assert_eq!(world.rights(READER, PAGE), Rights::None);
}

/// A holder asks to write, gives the page away before that is heard, and others share what the
/// next writer made of it: the holder's bytes are old.
pub fn race_upgrade_of_a_holder_that_gave_the_page_away() {
    let mut world = cluster(3);
    touch(&mut world, READER, Access::Write);
    touch(&mut world, OWNER, Access::Read);
    world.event(OWNER, Event::Evict { page: PAGE });
    let write = || vec![Op::Touch(vec![(PAGE, Access::Write)])];
    let upgrade = world.spawn(READER, write());
    let writer = world.spawn(OWNER, write());
    let reader = world.spawn(HOME, vec![Op::Touch(vec![(PAGE, Access::Read)])]);
    world.execute(upgrade);
    world.execute(writer);
    world.deliver(OWNER, HOME);
    world.execute(reader);
    world.deliver(HOME, READER);
    world.deliver(READER, OWNER);
    world.execute(writer);
    while !world.all_done() {
        match world.runnable().first() {
            Some(&thread) => world.execute(thread),
            None => {
                let step = *world
                    .ready()
                    .first()
                    .expect("something happens until all are done");
                world.step(step);
            }
        }
        world.check();
    }
    world.run();
    assert_eq!(world.wrong, None);
}

/// A holder of bytes that the home does not have lets them go; before they arrive, another that shares them writes, and
/// lets its own go: what comes last is older.
pub fn race_an_old_write_back_comes_after_a_new_one() {
    let mut world = cluster(3);
    touch(&mut world, OWNER, Access::Write);
    touch(&mut world, READER, Access::Read);
    world.event(OWNER, Event::Evict { page: PAGE });
    let writer = world.spawn(READER, vec![Op::Touch(vec![(PAGE, Access::Write)])]);
    world.execute(writer);
    for (from, to) in [
        (READER, HOME),
        (HOME, OWNER),
        (HOME, READER),
        (OWNER, READER),
    ] {
        world.deliver(from, to);
    }
    world.execute(writer);
    assert!(world.all_done());
    world.event(READER, Event::Evict { page: PAGE });
    world.deliver(READER, HOME);
    world.run();
    touch(&mut world, HOME, Access::Read);
}

/// A page whose home has moved to node 1, with bytes other than zeros.
fn moved(nodes: u16) -> World {
    let mut world = filled(nodes);
    world.outside(Outside::MoveHome {
        page: PAGE.0,
        pages: 1,
        to: 1,
    });
    world.run();
    world
}

const VARIABLE: Variable = Variable {
    page: PAGE,
    lane: 0,
};

/// A node dies, all others are told, and all that was begun ends.
fn survive(world: &mut World, dead: NodeId) {
    world.kill_and_tell(dead);
    while let Some(&node) = world.untold.keys().next() {
        world.tell(node);
    }
    world.run();
    while !world.all_done() {
        for thread in world.runnable() {
            world.execute(thread);
        }
        world.run();
    }
    assert_eq!(world.wrong, None);
}

pub fn race_a_moved_page_that_its_owner_has_dropped_outlives_another_node() {
    let mut world = moved(4);
    let before = world.expect(PAGE);
    touch(&mut world, NodeId(2), Access::Read);
    world.event(NodeId(2), Event::Evict { page: PAGE });
    world.run();
    survive(&mut world, NodeId(3));
    let thread = world.spawn(NodeId(2), vec![Op::Load(VARIABLE)]);
    world.execute(thread);
    survive(&mut world, NodeId(3));
    let Expected::Known(value) = before else {
        panic!("the page was written");
    };
    let outcomes = &world.threads[thread].outcomes;
    assert_eq!(outcomes, &[Outcome::Loaded(value as u16)]);
}

pub fn race_a_moved_page_is_lost_with_the_node_that_gave_it_away() {
    let mut world = moved(4);
    touch(&mut world, NodeId(3), Access::Write);
    let thread = world.spawn(NodeId(2), vec![Op::Store(VARIABLE, 7)]);
    world.execute(thread);
    for (from, to) in [(2, 0), (0, 2), (2, 1), (1, 3), (3, 1)] {
        world.deliver(NodeId(from), NodeId(to));
    }
    survive(&mut world, NodeId(3));
    let outcomes = &world.threads[thread_of(&world, NodeId(2))].outcomes;
    assert_eq!(outcomes, &[Outcome::Lost]);
}

/// What was asked for ahead is there when it is touched; to ask for what is there or on its way costs nothing.
pub fn prefetched_pages_cost_their_request_only() {
    let mut world = Plan {
        nodes: 3,
        hold: 0,
        run: 16,
        ..Plan::default()
    }
    .build();
    touch(&mut world, HOME, Access::Write);
    world.event(HOME, Event::Evict { page: PAGE });
    world.run();
    let ahead = |access| Event::Prefetch {
        first: PAGE,
        pages: 1,
        access,
    };
    let asked = cost(&mut world, |world| {
        world.event(READER, ahead(Access::Read));
        world.event(READER, ahead(Access::Read));
    });
    assert_eq!(asked, (2, 0, 1));
    let touched = access(&mut world, READER, Access::Read);
    assert_eq!(touched, (0, 0, 0));
    assert_eq!(
        cost(&mut world, |world| world.event(READER, ahead(Access::Read))),
        (0, 0, 0)
    );
    // All that is wanted comes, whoever has it; and is not mapped before it is touched.
    let pages = 4;
    let first = PageIndex(PAGE.0 + 1);
    world.spawn(HOME, vec![Op::Touch(vec![(first, Access::Write)])]);
    world.finish();
    let event = Event::Prefetch {
        first,
        pages,
        access: Access::Read,
    };
    let (messages, ..) = cost(&mut world, |world| world.event(READER, event));
    assert_eq!(messages, 2 * pages as u32);
    let agent = world.nodes[usize::from(READER.0)].agent();
    for page in (0..pages).map(|distance| first.plus(distance)) {
        assert!(agent.has_bytes(page));
        assert_eq!(agent.mapped(page), Rights::None);
    }
}

/// Pages that the home has written, and that are read one after the other, come in runs as those that nobody has.
pub fn streams_of_what_the_home_has_written_come_in_runs() {
    const PAGES: u64 = 96;
    let mut world = Plan {
        nodes: 3,
        slice: 256,
        hold: 0,
        run: 16,
        ..Plan::default()
    }
    .build();
    let touch = |page, access| Op::Touch(vec![(PageIndex(page), access)]);
    let written = (0..PAGES + 32).map(|page| touch(page, Access::Write));
    world.spawn(HOME, written.collect());
    world.finish();
    let (messages, ..) = cost(&mut world, |world| {
        let read = (0..PAGES).map(|page| touch(page, Access::Read));
        world.spawn(READER, read.collect());
        world.finish();
    });
    // The first 33 alone, the others in nine runs.
    assert_eq!(messages, 2 * 42);
    // What was only made way for is the home's to write at once.
    assert_eq!(world.rights(HOME, PageIndex(PAGES + 6)), Rights::Read);
    let again = cost(&mut world, |world| {
        world.spawn(HOME, vec![touch(PAGES + 6, Access::Write)]);
        world.finish();
    });
    assert_eq!(again, (0, 0, 0));
}

pub fn race_a_write_back_is_lost_with_the_home_that_it_went_by_way_of() {
    let plan = Plan {
        nodes: 4,
        hold: 0,
        // Agents remember where the last page is that they have found.
        known: 0,
        ..Plan::default()
    };
    let mut world = plan.build();
    world.outside(Outside::MoveHome {
        page: PAGE.0,
        pages: 2,
        to: 1,
    });
    world.run();
    touch(&mut world, OWNER, Access::Write);
    let next = Variable {
        page: PAGE.plus(1),
        lane: 0,
    };
    let other = world.spawn(OWNER, vec![Op::Load(next)]);
    finish(&mut world, other);
    world.event(OWNER, Event::Evict { page: PAGE });
    survive(&mut world, HOME);
    let reader = world.spawn(NodeId(3), vec![Op::Load(VARIABLE)]);
    finish(&mut world, reader);
    assert_eq!(world.threads[reader].outcomes, [Outcome::Lost]);
}

/// A thread does what it is to do.
fn finish(world: &mut World, thread: usize) {
    while !world.all_done() {
        if world.runnable().contains(&thread) {
            world.execute(thread);
        }
        world.run();
    }
    assert_eq!(world.wrong, None);
}

/// The last thread of a node.
fn thread_of(world: &World, node: NodeId) -> usize {
    let last = world.threads.iter().rposition(|thread| thread.node == node);
    last.expect("a thread of that node")
}

/// All of them.
#[cfg(feature = "mutants")]
pub const ROWS: &[(&str, fn())] = &[
    (
        "streams_of_what_the_home_has_written_come_in_runs",
        streams_of_what_the_home_has_written_come_in_runs,
    ),
    (
        "row_01_read_miss_clean_at_home",
        row_01_read_miss_clean_at_home,
    ),
    (
        "row_02_read_miss_held_elsewhere",
        row_02_read_miss_held_elsewhere,
    ),
    (
        "row_02_read_miss_held_elsewhere_unwritten",
        row_02_read_miss_held_elsewhere_unwritten,
    ),
    (
        "row_02_readers_after_the_first",
        row_02_readers_after_the_first,
    ),
    ("row_03_write_miss_unshared", row_03_write_miss_unshared),
    (
        "row_04_write_miss_with_sharers",
        row_04_write_miss_with_sharers,
    ),
    (
        "row_05_write_miss_held_elsewhere",
        row_05_write_miss_held_elsewhere,
    ),
    ("row_06_upgrade_with_sharers", row_06_upgrade_with_sharers),
    ("row_07_upgrade_at_home", row_07_upgrade_at_home),
    (
        "row_08_private_page_read_then_written",
        row_08_private_page_read_then_written,
    ),
    ("row_09_migratory_hand_off", row_09_migratory_hand_off),
    (
        "row_10_page_homed_here_and_never_shared",
        row_10_page_homed_here_and_never_shared,
    ),
    ("row_11_evict_clean", row_11_evict_clean),
    ("row_12_evict_dirty", row_12_evict_dirty),
    (
        "prefetched_pages_cost_their_request_only",
        prefetched_pages_cost_their_request_only,
    ),
    (
        "race_upgrade_of_a_holder_that_gave_the_page_away",
        race_upgrade_of_a_holder_that_gave_the_page_away,
    ),
    (
        "race_an_old_write_back_comes_after_a_new_one",
        race_an_old_write_back_comes_after_a_new_one,
    ),
    (
        "race_a_moved_page_that_its_owner_has_dropped_outlives_another_node",
        race_a_moved_page_that_its_owner_has_dropped_outlives_another_node,
    ),
    (
        "race_a_moved_page_is_lost_with_the_node_that_gave_it_away",
        race_a_moved_page_is_lost_with_the_node_that_gave_it_away,
    ),
    (
        "race_a_write_back_is_lost_with_the_home_that_it_went_by_way_of",
        race_a_write_back_is_lost_with_the_home_that_it_went_by_way_of,
    ),
];
