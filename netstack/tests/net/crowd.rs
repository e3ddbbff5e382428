//! Many connections at once, and memory that ends.

use crate::sim::card::CardOptions;
use crate::sim::memory::connect_until_memory_ends;
use crate::sim::pair::{Pair, any_v6, fixed, v4};
use crate::sim::program::Conn;
use crate::sim::pump::{Pattern, Pump};
use crate::sim::wire::Faults;
use crate::sim::{SECOND, World};

const CROWD: usize = 1000;

/// As many connections as that, each with so many bytes in both directions.
fn crowd(seed: u64, faults: Faults, bytes: u64) {
    let (a, b) = (CardOptions::plain(1), CardOptions::plain(2));
    let mut pair = Pair::with_memory(seed, faults, [a, b], 256 << 20);
    let world = &mut pair.world;
    let listener = world.host_mut(pair.b).listen(any_v6(7), 2 * CROWD);
    let (there, back) = (Pattern::new(1), Pattern::new(2));
    let mut pumps: Vec<Pump> = (0..CROWD)
        .map(|_| {
            let conn = Conn::begin(world, pair.a, v4(2, 7)).unwrap();
            Pump::new(conn, (there.clone(), bytes), (back.clone(), bytes)).with_buffer(4096)
        })
        .collect();
    let mut done = vec![false; 2 * CROWD];
    let limit = world.now + 600 * SECOND;
    // So many programs look less often than something happens.
    while !done.iter().all(|&done| done) {
        world.pass(SECOND / 2000);
        assert!(world.now < limit, "some connections have not got all bytes");
        while let Some(conn) = Conn::accept(pair.b, &listener) {
            let pump = Pump::new(conn, (back.clone(), bytes), (there.clone(), bytes));
            pumps.push(pump.with_buffer(4096));
        }
        for (pump, done) in pumps.iter_mut().zip(&mut done) {
            *done = *done || pump.run(world);
        }
    }
    let counters = world.host_mut(pair.b).snapshot().counters;
    assert_eq!(counters.accepts, CROWD as u64);
    for pump in pumps {
        pump.conn.close(world);
    }
    world.host_mut(pair.b).close(listener.state.id);
    world.pass(120 * SECOND);
    for host in [pair.a, pair.b] {
        let snapshot = world.host_mut(host).snapshot();
        assert!(snapshot.sockets.is_empty(), "{:?}", snapshot.sockets);
    }
}

#[test]
fn a_thousand_at_once() {
    crowd(1, Faults::NONE, 4000);
}

#[test]
fn a_thousand_at_once_on_a_bad_wire() {
    let faults = Faults {
        loss: 0.02,
        duplication: 0.01,
        reordering: 0.01,
        lateness: 1_000_000,
        queue: 500,
        ..Faults::NONE
    };
    crowd(2, faults, 3000);
}

#[test]
fn memory_that_was_used_up_is_there_again() {
    let mut world = World::new(3);
    let wire = world.wire(Faults::NONE);
    let host = world.host(4 << 20);
    world.plug(host, wire, CardOptions::plain(1), fixed(1));
    let first = connect_until_memory_ends(&mut world, host);
    assert!(first >= 8, "{first}");
    for _ in 0..3 {
        assert_eq!(connect_until_memory_ends(&mut world, host), first);
    }
}
