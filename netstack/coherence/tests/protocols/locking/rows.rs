//! Exactly how many messages locks take.

use super::{At, Op, SIZES, World, object, op, span};
use crate::surroundings::{Counted, row};
use darner_coherence::locks::{Denial, Event, Mode, Patience, Want, Wants};
use darner_coherence::ranges::Span;
use darner_coherence::{Epoch, NodeId, Token, View};

const HOME: u16 = 0;
const ONE: u16 = 1;
const OTHER: u16 = 2;

/// What is said until nothing is under way.
fn counted(world: &mut World, what: impl FnOnce(&mut World)) -> Counted {
    world.around.counted = Some(Counted::default());
    what(world);
    world.settle();
    assert_eq!(world.wrong, None);
    world.around.counted.take().expect("it was counted")
}

/// Messages, and recalls among them, of what happens until nothing is under way.
fn cost(world: &mut World, what: impl FnOnce(&mut World)) -> (u32, u32) {
    world.recalls = Some(0);
    let messages = counted(world, what).messages;
    (messages, world.recalls.take().expect("they were counted"))
}

/// Has a thread of a node lock, and says what it cost until it holds the lock.
fn lock_counted(world: &mut World, node: u16, ops: Op) -> (usize, Counted) {
    let thread = world.spawn(node, vec![ops]);
    let cost = counted(world, |world| world.execute(thread));
    assert_eq!(world.threads[thread].at, At::Holds);
    (thread, cost)
}

fn lock(world: &mut World, node: u16, ops: Op) -> (usize, u32) {
    let (thread, cost) = lock_counted(world, node, ops);
    (thread, cost.messages)
}

fn unlock(world: &mut World, thread: usize) -> u32 {
    cost(world, |world| world.execute(thread)).0
}

fn lock_and_unlock(world: &mut World, node: u16, span: Span) -> u32 {
    let (thread, messages) = lock(world, node, op(span, Mode::Exclusive));
    messages + unlock(world, thread)
}

pub fn row_14_lock_hand_off() {
    let range = span(HOME, 100, 200);
    for (name, from, to, messages) in [
        ("14", ONE, OTHER, 3),
        ("14_from_home", HOME, ONE, 2),
        ("14_to_home", ONE, HOME, 2),
    ] {
        let mut world = World::new(3, SIZES);
        // Another node has bytes of the object, so that leases are exact.
        lock_and_unlock(&mut world, OTHER, span(HOME, 0, 1));
        lock_and_unlock(&mut world, from, range);
        let (thread, taken) = lock_counted(&mut world, to, op(range, Mode::Exclusive));
        row(name, &taken, (messages, messages));
        assert_eq!(unlock(&mut world, thread), 0);
    }
}

/// One node waits for the other's lock: no message goes to and fro until it is free.
pub fn row_14_lock_hand_off_contended() {
    let range = span(HOME, 100, 200);
    let mut world = World::new(3, SIZES);
    lock_and_unlock(&mut world, OTHER, span(HOME, 0, 1));
    let (held, _) = lock(&mut world, ONE, op(range, Mode::Exclusive));
    let waits = world.spawn(OTHER, vec![op(range, Mode::Exclusive)]);
    let (asked, _) = cost(&mut world, |world| world.execute(waits));
    assert_eq!(world.threads[waits].at, At::Waits);
    assert_eq!(asked + unlock(&mut world, held), 3);
    assert_eq!(world.threads[waits].at, At::Holds);
}

pub fn row_15_range_lock_uncontended() {
    let mut world = World::new(3, SIZES);
    let range = span(HOME, 100, 200);
    let whole = |world: &mut World| {
        counted(world, |world| {
            lock_and_release(world, ONE, range);
        })
    };
    row("15", &whole(&mut world), (2, 2));
    row("15_leased", &whole(&mut world), (0, 0));
    let (shared, messages) = lock(&mut world, ONE, op(range, Mode::Shared));
    assert_eq!(messages, 0, "leased");
    assert_eq!(unlock(&mut world, shared), 0);
}

/// Has a thread of a node lock and unlock, whatever is counted.
fn lock_and_release(world: &mut World, node: u16, span: Span) {
    let thread = world.spawn(node, vec![op(span, Mode::Exclusive)]);
    world.execute(thread);
    world.settle();
    assert_eq!(world.threads[thread].at, At::Holds);
    world.execute(thread);
}

pub fn row_15_range_lock_at_home() {
    let mut world = World::new(3, SIZES);
    assert_eq!(lock_and_unlock(&mut world, HOME, span(HOME, 0, 9)), 0);
}

/// As the row on several ranges at once: one message each, and one answer.
pub fn row_15_several_ranges() {
    let mut world = World::new(3, SIZES);
    let want = |start: u64| Want {
        span: span(HOME, start, start + 5),
        mode: Mode::Exclusive,
    };
    let wants = Wants::new(&[want(0), want(10), want(20)]).expect("ranges");
    let several = Op {
        wants,
        patience: Patience::Forever,
    };
    let (thread, messages) = lock(&mut world, ONE, several.clone());
    assert_eq!(messages, 4);
    assert_eq!(unlock(&mut world, thread), 0);
    assert_eq!(lock(&mut world, ONE, several).1, 0, "leased");
}

/// Two nodes write every other block of a file, each its own.
pub fn row_16_strided_writers() {
    const BLOCKS: u64 = 64;
    const BYTES: u64 = 100;
    let mut world = World::new(3, SIZES);
    let block = |number: u64| span(HOME, number * BYTES, (number + 1) * BYTES);
    let writer = |number: u64| if number.is_multiple_of(2) { ONE } else { OTHER };
    let write = |world: &mut World, number: u64| {
        cost(world, |world| {
            lock_and_release(world, writer(number), block(number));
        })
    };
    let warm_up: Vec<(u32, u32)> = (0..2).map(|number| write(&mut world, number)).collect();
    // Alone at first; then the other comes, and what came along goes back.
    assert_eq!(warm_up, [(2, 0), (4, 1)]);
    world.recalls = Some(0);
    let first = counted(&mut world, |world| {
        for number in 2..BLOCKS {
            lock_and_release(world, writer(number), block(number));
        }
    });
    assert_eq!(u64::from(first.messages), 2 * (BLOCKS - 2));
    let again = counted(&mut world, |world| {
        for number in 0..BLOCKS {
            lock_and_release(world, writer(number), block(number));
        }
    });
    let revokes = world.recalls.take().expect("they were counted");
    println!("\nrow 16_revokes messages {revokes}");
    assert_eq!(revokes, 0);
    row("16", &again, (0, 0));
    let whole = world.nodes[0]
        .home()
        .records()
        .within(Span::whole(object(HOME)));
    assert_eq!(whole.count() as u64, BLOCKS);
}

/// Blocks that one node has side by side are one record.
pub fn neighbours_are_one_record() {
    let mut world = World::new(3, SIZES);
    lock_and_unlock(&mut world, OTHER, span(HOME, 0, 10));
    for start in [10, 30, 20] {
        lock_and_unlock(&mut world, ONE, span(HOME, start, start + 10));
    }
    assert_eq!(world.nodes[0].home().records().len(), 2);
    assert_eq!(world.nodes[1].agent().leases().len(), 1);
}

pub fn readers_share() {
    let mut world = World::new(4, SIZES);
    let range = span(HOME, 0, 10);
    let readers = [ONE, OTHER, 3].map(|node| lock(&mut world, node, op(range, Mode::Shared)));
    assert_eq!(readers.map(|(_, messages)| messages), [2, 2, 2]);
    for (thread, _) in readers {
        unlock(&mut world, thread);
    }
    // One request; a recall and an answer for each of the other two.
    assert_eq!(lock_and_unlock(&mut world, ONE, range), 5);
}

/// Whoever only tries is told at once that a lock is in the way, and that none is.
pub fn trying_does_not_wait() {
    let mut world = World::new(3, SIZES);
    let range = span(HOME, 0, 10);
    let try_it = |world: &mut World, node: u16| {
        let wants = Wants::one(range, Mode::Exclusive);
        let patience = Patience::Try;
        let thread = world.spawn(node, vec![Op { wants, patience }]);
        world.execute(thread);
        world.settle();
        thread
    };
    let (held, _) = lock(&mut world, ONE, op(range, Mode::Exclusive));
    for node in [ONE, OTHER, HOME] {
        let thread = try_it(&mut world, node);
        assert_eq!(world.threads[thread].denials, [Denial::WouldBlock]);
    }
    unlock(&mut world, held);
    for node in [ONE, HOME, OTHER] {
        let thread = try_it(&mut world, node);
        assert_eq!(world.threads[thread].at, At::Holds, "{node}");
        unlock(&mut world, thread);
    }
    assert_eq!(world.wrong, None);
}

/// Locks that have no byte in common do not wait for each other, whatever leases were.
pub fn disjoint_locks_do_not_wait() {
    let mut world = World::new(3, SIZES);
    let (_held, _) = lock(&mut world, ONE, op(span(HOME, 0, 10), Mode::Exclusive));
    lock_and_unlock(&mut world, OTHER, span(HOME, 10, 20));
    lock_and_unlock(&mut world, HOME, span(HOME, 20, 30));
    assert_eq!(world.locks_exclude(), Ok(()));
}

/// A node joins: locks that are held stay, and it can have others.
pub fn a_node_joins() {
    let mut world = World::with_members(4, 3, 4, SIZES);
    // The home that these objects name is not there before it joins.
    let (low, high) = (span(3, 0, 10), span(3, 10, 20));
    let (held, _) = lock(&mut world, ONE, op(low, Mode::Exclusive));
    let early = world.spawn(3, vec![op(high, Mode::Exclusive)]);
    world.execute(early);
    assert_eq!(world.threads[early].denials, [Denial::Expelled]);
    world.join(NodeId(3));
    let waits = world.spawn(OTHER, vec![op(low, Mode::Shared)]);
    world.execute(waits);
    for node in [OTHER, 3, ONE, HOME] {
        world.tell(NodeId(node));
    }
    world.settle();
    assert_eq!(world.threads[held].at, At::Holds);
    assert_eq!(world.threads[waits].at, At::Waits);
    let (late, messages) = lock(&mut world, 3, op(high, Mode::Exclusive));
    assert_eq!(messages, 0, "it is the home");
    for thread in [held, late, waits] {
        unlock(&mut world, thread);
    }
    world.check_end();
    assert_eq!(world.wrong, None);
}

/// What came along is given back by a node that asks for other bytes at the same time, and
/// would have all of it come along again.
pub fn race_of_what_comes_along() {
    let mut world = World::new(3, SIZES);
    let (home, one, other) = (NodeId(HOME), NodeId(ONE), NodeId(OTHER));
    let lock = |world: &mut World, node: u16, start: u64| {
        let range = span(HOME, start, start + 1);
        let thread = world.spawn(node, vec![op(range, Mode::Exclusive)]);
        world.execute(thread);
    };
    for start in [10, 40, 20] {
        lock(&mut world, ONE, start);
    }
    lock(&mut world, OTHER, 40);
    world.deliver(one, home);
    world.deliver(other, home);
    world.deliver(one, home);
    world.deliver(home, one);
    world.deliver(home, one);
    while let Some(&step) = world.ready().last() {
        world.step(step);
        world.check();
    }
    world.check_end();
    assert_eq!(world.wrong, None);
}

/// A thread waits for bytes of which its node has a part, which another node takes meanwhile.
pub fn race_of_a_part_that_is_recalled() {
    let mut world = World::new(3, SIZES);
    lock_and_unlock(&mut world, ONE, span(HOME, 0, 1));
    lock_and_unlock(&mut world, OTHER, span(HOME, 1, 2));
    let taken = world.spawn(OTHER, vec![op(span(HOME, 0, 1), Mode::Exclusive)]);
    world.execute(taken);
    world.deliver(NodeId(OTHER), NodeId(HOME));
    let both = world.spawn(ONE, vec![op(span(HOME, 0, 2), Mode::Exclusive)]);
    world.execute(both);
    while let Some(&step) = world.ready().last() {
        world.step(step);
        world.check();
    }
    world.check_end();
    assert_eq!(world.wrong, None);
}

/// While a node does not serve, none of its threads gets a lock, not even under a lease, and nobody acts on one; after that
/// all is as it was.
pub fn a_node_that_stops_acts_on_nothing() {
    let mut world = World::new(3, SIZES);
    let (held, free) = (span(HOME, 0, 10), span(HOME, 20, 30));
    lock_and_unlock(&mut world, ONE, free);
    let (holder, _) = lock(&mut world, ONE, op(held, Mode::Exclusive));
    let acts = |world: &World, thread: usize| {
        let token = Token(thread as u64);
        world.node(NodeId(ONE)).may_act(token)
    };
    assert!(acts(&world, holder));
    world.event(NodeId(ONE), Event::Stopped);
    assert!(!acts(&world, holder));
    let waits = world.spawn(ONE, vec![op(free, Mode::Exclusive)]);
    assert_eq!(cost(&mut world, |world| world.execute(waits)), (0, 0));
    assert_eq!(world.threads[waits].at, At::Waits);
    world.event(NodeId(ONE), Event::Serving);
    assert_eq!(world.threads[waits].at, At::Holds);
    assert!(acts(&world, waits) && acts(&world, holder));
}

/// What a node held that is no member any more is held no more, and its threads are told. Nor is it when the
/// node is a member again.
pub fn the_expelled_hold_nothing() {
    let mut world = World::new(3, SIZES);
    let range = span(HOME, 0, 10);
    let (thread, _) = lock(&mut world, ONE, op(range, Mode::Exclusive));
    let view = |epoch, members: &[u16]| View {
        epoch: Epoch(epoch),
        members: members.iter().copied().map(NodeId).collect(),
        ..world.around.latest.clone()
    };
    let (without, again) = (view(2, &[HOME, OTHER]), view(3, &[HOME, ONE, OTHER]));
    for node in [HOME, ONE, OTHER] {
        world.event(NodeId(node), Event::View(without.clone()));
    }
    world.settle();
    assert_eq!(world.threads[thread].denials, [Denial::Expelled]);
    assert!(!world.node(NodeId(ONE)).may_act(Token(thread as u64)));
    lock(&mut world, OTHER, op(range, Mode::Exclusive));
    for node in [HOME, ONE, OTHER] {
        world.event(NodeId(node), Event::View(again.clone()));
    }
    world.settle();
    assert_eq!(world.locks_exclude(), Ok(()));
}

/// All of them.
#[cfg(feature = "mutants")]
pub const ROWS: &[(&str, fn())] = &[
    ("row_14_lock_hand_off", row_14_lock_hand_off),
    (
        "row_14_lock_hand_off_contended",
        row_14_lock_hand_off_contended,
    ),
    (
        "row_15_range_lock_uncontended",
        row_15_range_lock_uncontended,
    ),
    ("row_15_range_lock_at_home", row_15_range_lock_at_home),
    ("row_15_several_ranges", row_15_several_ranges),
    ("row_16_strided_writers", row_16_strided_writers),
    ("neighbours_are_one_record", neighbours_are_one_record),
    ("readers_share", readers_share),
    ("trying_does_not_wait", trying_does_not_wait),
    ("disjoint_locks_do_not_wait", disjoint_locks_do_not_wait),
    ("a_node_joins", a_node_joins),
    ("race_of_what_comes_along", race_of_what_comes_along),
    (
        "race_of_a_part_that_is_recalled",
        race_of_a_part_that_is_recalled,
    ),
    (
        "a_node_that_stops_acts_on_nothing",
        a_node_that_stops_acts_on_nothing,
    ),
    ("the_expelled_hold_nothing", the_expelled_hold_nothing),
];
