//! What a segment costs, and that other connections make it no dearer.
//!
//! Run with `cargo test --release -p darner-netstack --test cost -- --ignored --nocapture`.

mod support;

use std::time::{Duration, Instant};

use darner_netstack::{Request, Stream};
use ringbuf::traits::{Consumer, Observer, Producer};
use support::{Flag, SECOND, Setup, World};

/// Nanoseconds of one segment on the sending and the receiving side, with that many other
/// connections open.
fn cost(others: usize, setup: &Setup) -> (u64, u64) {
    let setup = Setup {
        memory: 4 << 30,
        ..setup.clone()
    };
    let mut world = World::with(&[setup.clone(), setup]);
    let listener = world.listen(1, "0.0.0.0:80", 4096);
    let (mut client, mut server) = world.pair(0, &listener, "10.0.0.2:80");
    let idle: Vec<_> = (0..others)
        .map(|_| world.connect(0, "10.0.0.2:80"))
        .collect();
    world.advance(SECOND);
    let data = vec![7; 65_536];
    let mut sink = vec![0; 65_536];
    let mut spent: [Vec<Duration>; 2] = Default::default();
    let (mut sent, mut frames) = (0, 0);
    let total = 100 << 20;
    while sent < total {
        sent += client.to_send.push_slice(&data);
        attend(&mut world, 0, &client);
        for (node, spent) in spent.iter_mut().enumerate() {
            let began = Instant::now();
            while world.nodes[node].stack.step(world.now).more {}
            spent.push(began.elapsed());
            frames += world.carry_all();
        }
        while !server.received.is_empty() {
            server.received.pop_slice(&mut sink);
        }
        attend(&mut world, 1, &server);
        world.now += 10_000;
    }
    drop(idle);
    let segments = (total / 1460) as u32;
    println!("{others} others: {frames} frames for {segments} segments");
    // The median, since the machine has other things to do as well.
    let each = spent.map(|mut spent| {
        spent.sort_unstable();
        let rounds = spent.len() as u32;
        (spent[spent.len() / 2] * rounds / segments).as_nanos() as u64
    });
    (each[0], each[1])
}

fn attend(world: &mut World, node: usize, stream: &Stream<Flag>) {
    if stream.state.wants_attention() {
        world.ask(node, Request::Attend(stream.state.id));
    }
}

#[test]
#[ignore = "a measurement"]
fn a_segment_costs_the_same_among_a_thousand_connections() {
    let plain = Setup::default();
    let offloading = Setup {
        tx_checksum: true,
        segmentation: 60_000,
        good_checksums: true,
        ..Setup::default()
    };
    for (name, setup) in [("plain", plain), ("offloading", offloading)] {
        let alone = cost(0, &setup);
        let among = cost(1000, &setup);
        println!("{name} card: {alone:?} ns alone, {among:?} ns among 1,000 (sender, receiver)");
        assert!(among.0 < 2 * alone.0 + 200);
        assert!(among.1 < 2 * alone.1 + 200);
    }
}
