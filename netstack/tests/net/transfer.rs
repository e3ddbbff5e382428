//! Bytes through TCP, over good and bad wires.

use crate::sim::card::CardOptions;
use crate::sim::pair::{Pair, any_v6, v4, v6};
use crate::sim::program::connect;
use crate::sim::pump::{Pattern, Pump};
use crate::sim::wire::Faults;
use crate::sim::{MILLISECOND, SECOND};
use std::net::SocketAddr;

/// Bytes in each direction: fewer where they take longer.
const BYTES: u64 = if cfg!(debug_assertions) {
    8 << 20
} else {
    64 << 20
};

/// Both directions at once.
fn transfer(mut pair: Pair, remote: SocketAddr, bytes: u64) {
    let world = &mut pair.world;
    let listener = world.host_mut(pair.b).listen(any_v6(7), 4);
    let (near, far) = connect(world, (pair.a, pair.b), &listener, remote);
    let (there, back) = (Pattern::new(1), Pattern::new(2));
    let mut near = Pump::new(near, (there.clone(), bytes), (back.clone(), bytes));
    let mut far = Pump::new(far, (back, bytes), (there, bytes));
    world.run_until("all bytes", 1_000_000 * SECOND, |world| {
        let near = near.run(world);
        let far = far.run(world);
        near && far
    });
    near.conn.close(world);
    far.conn.close(world);
    world.host_mut(pair.b).close(listener.state.id);
    world.pass(120 * SECOND);
    for host in [pair.a, pair.b] {
        let sockets = world.host_mut(host).snapshot().sockets;
        assert!(sockets.is_empty(), "{sockets:?}");
    }
}

fn lossy(loss: f64) -> Faults {
    Faults {
        delay: MILLISECOND,
        bandwidth: 1_000_000_000,
        queue: 1000,
        loss,
        duplication: 0.01,
        reordering: 0.02,
        lateness: MILLISECOND,
        corruption: 0.0,
    }
}

#[test]
fn without_faults() {
    transfer(Pair::new(1, Faults::NONE), v4(2, 7), BYTES);
}

#[test]
fn over_ipv6() {
    transfer(Pair::new(2, Faults::NONE), v6(2, 7), BYTES);
}

#[test]
fn with_cards_that_do_all_they_can() {
    let (a, b) = (CardOptions::offloading(1), CardOptions::offloading(2));
    transfer(Pair::with_cards(3, Faults::NONE, a, b), v4(2, 7), BYTES);
    transfer(Pair::with_cards(4, Faults::NONE, a, b), v6(2, 7), BYTES);
}

#[test]
fn between_a_card_that_does_all_and_one_that_does_nothing() {
    let (a, b) = (CardOptions::offloading(1), CardOptions::plain(2));
    transfer(Pair::with_cards(5, lossy(0.01), a, b), v4(2, 7), BYTES);
}

#[test]
fn duplicated_and_out_of_order() {
    transfer(Pair::new(6, lossy(0.0)), v4(2, 7), BYTES);
}

#[test]
fn with_one_percent_lost() {
    transfer(Pair::new(7, lossy(0.01)), v4(2, 7), BYTES);
}

#[test]
fn with_five_percent_lost() {
    transfer(Pair::new(8, lossy(0.05)), v6(2, 7), BYTES);
}

/// With each frame's checksum verified at both cards, and each byte by its reader.
fn gib(seed: u64, loss: f64) {
    transfer(Pair::new(seed, lossy(loss)), v4(2, 7), 1 << 30);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "minutes, unless it is optimised")]
fn a_gib_each_way_duplicated_and_out_of_order() {
    gib(20, 0.0);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "minutes, unless it is optimised")]
fn a_gib_each_way_with_one_percent_lost() {
    gib(21, 0.01);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "minutes, unless it is optimised")]
fn a_gib_each_way_with_five_percent_lost() {
    gib(22, 0.05);
}

#[test]
fn with_bits_that_change() {
    let faults = Faults {
        corruption: 0.01,
        ..lossy(0.0)
    };
    transfer(Pair::new(9, faults), v4(2, 7), BYTES / 4);
}

#[test]
fn through_a_card_of_four_frames() {
    let mut card = CardOptions::plain(1);
    card.tx_ring = 4;
    let faults = Faults {
        bandwidth: 100_000_000,
        ..Faults::NONE
    };
    let pair = Pair::with_cards(10, faults, card, CardOptions::plain(2));
    transfer(pair, v4(2, 7), BYTES / 4);
}

#[test]
fn through_a_queue_of_ten_frames() {
    let faults = Faults {
        bandwidth: 10_000_000,
        queue: 10,
        delay: 5 * MILLISECOND,
        ..Faults::NONE
    };
    transfer(Pair::new(11, faults), v4(2, 7), BYTES / 8);
}

#[test]
fn with_jumbo_frames_and_small_ones() {
    for mtu in [1280, 9000] {
        let cards = [1, 2].map(|number| CardOptions {
            mtu,
            ..CardOptions::plain(number)
        });
        let pair = Pair::with_cards(mtu.into(), lossy(0.001), cards[0], cards[1]);
        transfer(pair, v4(2, 7), BYTES / 4);
    }
}

#[test]
fn many_seeds_of_a_bad_wire() {
    for seed in 100..120 {
        let faults = Faults {
            loss: 0.1,
            duplication: 0.1,
            reordering: 0.2,
            corruption: 0.05,
            ..lossy(0.0)
        };
        transfer(Pair::new(seed, faults), v4(2, 7), 50_000);
    }
}
