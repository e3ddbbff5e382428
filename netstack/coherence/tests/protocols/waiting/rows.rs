//! Exactly how many messages waiting takes, and how it ends.

use super::{At, Op, SIZES, World, word};
use crate::surroundings::{Counted, row};
use darner_coherence::parking::{Ending, Event, Limits, Reason};
use darner_coherence::{NodeId, Time, Token};

const HOME: u16 = 0;

fn counted(world: &mut World, what: impl FnOnce(&mut World)) -> Counted {
    world.around.counted = Some(Counted::default());
    what(world);
    world.run();
    world.around.counted.take().expect("it was counted")
}

fn cost(world: &mut World, what: impl FnOnce(&mut World)) -> u32 {
    counted(world, what).messages
}

pub fn row_13_barrier() {
    for nodes in 2..40_u16 {
        let mut world = World::new(nodes, SIZES);
        let meet = vec![Op::Meet(word(HOME, 0), nodes.into()); 3];
        let first = counted(&mut world, |world| {
            for node in 0..nodes {
                world.spawn(node, meet[..1].to_vec());
            }
        });
        let messages = 2 * (u32::from(nodes) - 1);
        row(&format!("13_n{nodes}"), &first, (messages, 2));
        let again = cost(&mut world, |world| {
            for node in 0..nodes {
                world.spawn(node, meet.clone());
            }
        });
        assert_eq!(again, 3 * messages, "{nodes} nodes");
        assert!(world.threads.iter().all(|thread| thread.at == At::Done));
    }
}

/// Threads of one node are told with one message that a barrier opens.
pub fn barrier_of_many_threads() {
    let mut world = World::new(2, SIZES);
    for _ in 0..20 {
        world.spawn(1, vec![Op::Meet(word(HOME, 0), 20)]);
    }
    assert_eq!(cost(&mut world, |_| {}), 20 + 1);
}

pub fn barrier_mismatch() {
    let mut world = World::new(2, SIZES);
    world.spawn(1, vec![Op::Meet(word(HOME, 0), 2)]);
    world.run();
    let other = world.spawn(0, vec![Op::Meet(word(HOME, 0), 3)]);
    world.run();
    assert_eq!(world.threads[other].endings, [Ending::Mismatch]);
}

/// A lock of a word at a third node goes from thread to thread.
pub fn wait_and_wake() {
    let mut world = World::new(3, SIZES);
    let place = word(HOME, 0);
    let take = world.spawn(1, vec![Op::Take(place); 3]);
    // Nothing is known of the place yet: the thread is to look again.
    assert_eq!(cost(&mut world, |_| {}), 2);
    for _ in 0..2 {
        // A wake-up, which is passed on, and the next wait.
        world.spawn(2, vec![Op::Put(place)]);
        assert_eq!(cost(&mut world, |_| {}), 3);
        assert_eq!(world.threads[take].at, At::Waits);
    }
    world.spawn(2, vec![Op::Put(place)]);
    assert_eq!(cost(&mut world, |_| {}), 2);
    assert_eq!(world.threads[take].at, At::Done);
}

/// At the home itself nothing is said.
pub fn waiting_at_home() {
    let mut world = World::new(2, SIZES);
    world.spawn(HOME, vec![Op::Take(word(HOME, 0))]);
    assert_eq!(cost(&mut world, |_| {}), 0);
    world.spawn(HOME, vec![Op::Put(word(HOME, 0))]);
    assert_eq!(cost(&mut world, |_| {}), 0);
    assert!(world.threads.iter().all(|thread| thread.at == At::Done));
}

/// All threads of a node are woken with one message; the others in their order.
pub fn wake_all() {
    let mut world = World::new(3, SIZES);
    let place = word(HOME, 0);
    for node in [1, 2] {
        for _ in 0..20 {
            world.spawn(node, vec![Op::Take(place)]);
        }
    }
    world.run();
    let wake = Event::Wake {
        place,
        count: u32::MAX,
        token: None,
    };
    world.words.insert(place, 40);
    assert_eq!(cost(&mut world, |world| world.event(NodeId(HOME), wake)), 2);
    assert!(world.threads.iter().all(|thread| thread.at == At::Done));
}

/// Those that have waited longest are woken first.
pub fn first_come_first_served() {
    let mut world = World::new(4, SIZES);
    let place = word(HOME, 0);
    for node in [2, 1, 3] {
        world.spawn(node, vec![Op::Take(place)]);
        world.run();
    }
    for served in 0..3 {
        world.spawn(HOME, vec![Op::Put(place)]);
        world.run();
        let done = world
            .threads
            .iter()
            .take(3)
            .filter(|thread| thread.at == At::Done);
        assert_eq!(done.count(), served + 1);
        assert_eq!(world.threads[served].at, At::Done);
    }
}

/// Who gives up waits for its home, and is woken if that was first.
pub fn giving_up() {
    let mut world = World::new(2, SIZES);
    let place = word(HOME, 0);
    let late = world.spawn(1, vec![Op::TakeUntil(place, Time(5))]);
    let messages = cost(&mut world, |_| {});
    let timed_out = Ending::Withdrawn(Reason::TimedOut);
    assert_eq!(world.threads[late].endings, [timed_out]);
    assert_eq!(messages, 4);
    let woken = world.spawn(1, vec![Op::Take(place)]);
    world.run();
    world.words.insert(place, 1);
    let wake = Event::Wake {
        place,
        count: 1,
        token: None,
    };
    world.event(NodeId(HOME), wake);
    let token = Token(woken as u64);
    let why = Reason::Cancelled;
    world.event(NodeId(1), Event::Withdraw { token, why });
    world.run();
    assert_eq!(world.threads[woken].endings, [Ending::Woken]);
}

pub fn without_room() {
    let limits = Limits {
        waiters: 2,
        ..SIZES
    };
    let mut world = World::new(2, limits);
    for _ in 0..3 {
        world.spawn(1, vec![Op::Take(word(HOME, 0))]);
    }
    world.run();
    let refused = world
        .threads
        .iter()
        .filter(|thread| thread.endings == [Ending::NoRoom]);
    assert_eq!(refused.count(), 1);
}

/// Threads that were moved are woken where they wait then, and can give up there.
pub fn requeued() {
    let mut world = World::new(3, SIZES);
    let (from, to, far) = (word(HOME, 0), word(HOME, 1), word(2, 0));
    let threads = [0; 4].map(|_| {
        let thread = world.spawn(1, vec![Op::Take(from)]);
        world.run();
        thread
    });
    let requeue = |count, moved, to| Event::Requeue {
        place: from,
        count,
        moved,
        to,
        token: None,
    };
    world.event(NodeId(2), requeue(0, 2, to));
    world.run();
    let wake = |place| Event::Wake {
        place,
        count: 1,
        token: None,
    };
    let ended = |world: &World| threads.map(|thread| world.threads[thread].endings.len());
    assert_eq!(ended(&world), [0, 0, 0, 0]);
    world.words.insert(from, 2);
    world.event(NodeId(2), wake(to));
    world.run();
    assert_eq!(ended(&world), [1, 0, 0, 0]);
    let token = Token(threads[1] as u64);
    let why = Reason::Cancelled;
    world.event(NodeId(1), Event::Withdraw { token, why });
    world.run();
    assert_eq!(world.threads[threads[1]].endings, [Ending::Withdrawn(why)]);
    world.words.insert(from, 2);
    world.event(NodeId(2), requeue(0, u32::MAX, far));
    world.run();
    assert_eq!(ended(&world), [1, 1, 1, 1]);
}

/// Who came to a barrier and died counts, but is not told that it opens: its node may be back, and its
/// ticket another thread's.
pub fn who_came_and_died_is_not_told() {
    let mut world = World::new(3, SIZES);
    let barrier = word(HOME, 0);
    world.spawn(1, vec![Op::Meet(barrier, 2)]);
    world.run();
    world.kill(NodeId(1));
    world.run();
    world.comes_back(NodeId(1));
    world.run();
    let taker = world.spawn(1, vec![Op::Take(word(HOME, 1))]);
    world.run();
    let second = world.spawn(2, vec![Op::Meet(barrier, 2)]);
    world.run();
    assert_eq!(world.threads[second].met, 1);
    assert_eq!(world.threads[taker].endings, []);
}

/// All of them.
#[cfg(feature = "mutants")]
pub const ROWS: &[(&str, fn())] = &[
    ("row_13_barrier", row_13_barrier),
    ("barrier_of_many_threads", barrier_of_many_threads),
    ("barrier_mismatch", barrier_mismatch),
    ("wait_and_wake", wait_and_wake),
    ("waiting_at_home", waiting_at_home),
    ("wake_all", wake_all),
    ("first_come_first_served", first_come_first_served),
    ("giving_up", giving_up),
    ("without_room", without_room),
    ("requeued", requeued),
    (
        "who_came_and_died_is_not_told",
        who_came_and_died_is_not_told,
    ),
];
