//! Nobody is overtaken again and again.

use super::{At, Op, SIZES, Step, World, op, span};
use darner_coherence::locks::Mode;

/// How often each of the others locks.
const ROUNDS: usize = 100;

/// For how many rounds a thread holds a lock at most.
const LONGEST: u32 = 8;

/// Has every link and thread go on in turn, until all are done. A thread keeps its lock until another
/// of its node holds one, if that is not too long. How often each thread was overtaken in the
/// worst of its waits.
fn in_turn(world: &mut World) -> Vec<u32> {
    let mut worst = vec![0; world.threads.len()];
    let mut held = vec![0; world.threads.len()];
    for round in 0.. {
        let ready = world.ready();
        if ready.is_empty() {
            break;
        }
        assert!(round < 100_000, "it does not come to an end");
        for step in ready {
            if let Step::Execute(thread) = step {
                let holds = world.threads[thread].at == At::Holds;
                held[thread] = if holds { held[thread] + 1 } else { 0 };
                if holds && held[thread] < LONGEST && !another_holds(world, thread) {
                    continue;
                }
            }
            world.step(step);
            for (worst, thread) in worst.iter_mut().zip(&world.threads) {
                *worst = thread.overtaken.max(*worst);
            }
        }
        world.check();
    }
    world.check_end();
    assert_eq!(world.wrong, None);
    worst
}

fn another_holds(world: &World, thread: usize) -> bool {
    let node = world.threads[thread].node;
    let threads = world.threads.iter().enumerate();
    let mut others = threads.filter(|&(other, _)| other != thread);
    others.any(|(_, other)| other.node == node && other.at == At::Holds)
}

fn again_and_again(of: Op) -> Vec<Op> {
    vec![of; ROUNDS]
}

/// Two threads of each node lock again and again, and one thread once, differently.
fn one_among(one: Mode, others: Mode) {
    let mut world = World::new(3, SIZES);
    let range = span(0, 10, 20);
    for node in [0, 0, 1, 1, 2, 2] {
        world.spawn(node, again_and_again(op(range, others)));
    }
    for node in [0, 1, 2] {
        world.spawn(node, vec![op(range, one); 5]);
    }
    let worst = in_turn(&mut world);
    // While its request is on the way some more go first; then those that came before, once each.
    assert!(worst.iter().all(|&times| times <= 24), "{worst:?}");
}

pub fn a_writer_among_readers() {
    one_among(Mode::Exclusive, Mode::Shared);
}

/// Readers that relieve each other do not keep a writer of another node out.
pub fn a_writer_elsewhere() {
    let mut world = World::new(3, SIZES);
    let range = span(0, 10, 20);
    for node in [1, 1, 1, 2, 2, 2] {
        world.spawn(node, again_and_again(op(range, Mode::Shared)));
    }
    world.spawn(0, vec![op(range, Mode::Exclusive); 5]);
    let worst = in_turn(&mut world);
    assert!(worst.iter().all(|&times| times <= 24), "{worst:?}");
}

pub fn a_reader_among_writers() {
    one_among(Mode::Shared, Mode::Exclusive);
}

pub fn writers_among_writers() {
    one_among(Mode::Exclusive, Mode::Exclusive);
}

/// A thread whose node has the lease waits behind threads of its node that must ask for more.
pub fn one_that_need_not_ask() {
    let mut world = World::new(2, SIZES);
    // Bytes that node 1 has, and bytes that node 0 takes back again and again.
    let (own, taken) = (span(0, 0, 10), span(0, 10, 20));
    let both = span(0, 0, 20);
    world.spawn(1, vec![op(own, Mode::Exclusive)]);
    world.spawn(0, vec![op(taken, Mode::Exclusive)]);
    in_turn(&mut world);
    for _ in 0..4 {
        world.spawn(1, again_and_again(op(both, Mode::Exclusive)));
    }
    world.spawn(0, again_and_again(op(taken, Mode::Exclusive)));
    world.spawn(1, vec![op(own, Mode::Exclusive); 10]);
    let worst = in_turn(&mut world);
    assert!(worst.iter().all(|&times| times <= 12), "{worst:?}");
}

/// All of them.
#[cfg(feature = "mutants")]
pub const FAIRNESS: &[(&str, fn())] = &[
    ("a_writer_among_readers", a_writer_among_readers),
    ("a_writer_elsewhere", a_writer_elsewhere),
    ("a_reader_among_writers", a_reader_among_writers),
    ("writers_among_writers", writers_among_writers),
    ("one_that_need_not_ask", one_that_need_not_ask),
];
