//! Requests and answers in turn, where frames are lost: nothing follows what is lost that would have
//! the other end ask for it.

use darner_netstack::request::StreamOptions;

use crate::sim::pair::{Pair, any_v6, v4, v6};
use crate::sim::program::{Conn, Read, Written, accept};
use crate::sim::wire::Faults;
use crate::sim::{MILLISECOND, SECOND};
use std::net::SocketAddr;

/// Requests, each with an answer.
const ROUNDS: u64 = 1000;
const BYTES: usize = 100;

fn lossy(loss: f64) -> Faults {
    Faults {
        delay: 10 * MILLISECOND,
        bandwidth: 1_000_000_000,
        queue: 1000,
        loss,
        duplication: 0.0,
        reordering: 0.0,
        lateness: 0,
        corruption: 0.0,
    }
}

/// How long all rounds take, in ns.
fn rounds(seed: u64, loss: f64, remote: SocketAddr) -> u64 {
    let mut pair = Pair::new(seed, lossy(loss));
    let world = &mut pair.world;
    let listener = world.host_mut(pair.b).listen(any_v6(7), 4);
    let options = StreamOptions {
        nodelay: true,
        ..StreamOptions::default()
    };
    let mut near = Conn::begin_with(world, pair.a, remote, options).expect("a way there");
    let mut far = accept(world, pair.b, &listener);
    let begin = world.now;
    let mut buffer = [0; BYTES];
    for _ in 0..ROUNDS {
        for is_answer in [false, true] {
            let (from, to) = match is_answer {
                false => (&mut near, &mut far),
                true => (&mut far, &mut near),
            };
            let mut sent = 0;
            let mut got = 0;
            world.run_until("all bytes", 1000 * SECOND, |world| {
                if sent < BYTES
                    && let Written::Bytes(count) = from.write(world, &[7; BYTES][sent..])
                {
                    sent += count;
                }
                if let Read::Bytes(count) = to.read(world, &mut buffer) {
                    got += count;
                }
                got == BYTES
            });
        }
    }
    world.now - begin
}

#[test]
fn a_lost_frame_costs_a_fifth_of_a_second() {
    for (seed, remote) in [(1, v4(2, 7)), (2, v6(2, 7))] {
        let without = rounds(seed, 0.0, remote);
        let with = rounds(seed, 0.01, remote);
        // One frame each way per round, and acknowledgements, whose loss costs nothing.
        let lost = ROUNDS * 2 / 100;
        let each = (with - without) / lost;
        assert!(
            each < 350 * MILLISECOND,
            "{} ms for each lost frame",
            each / MILLISECOND
        );
    }
}

#[test]
fn nothing_is_sent_twice_where_nothing_is_lost() {
    let rounds = rounds(3, 0.0, v4(2, 7)) / ROUNDS;
    // There and back, and no more than a little besides.
    assert!(rounds < 21 * MILLISECOND, "{rounds} ns for each");
}
