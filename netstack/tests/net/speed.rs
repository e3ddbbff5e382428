//! How much of a wire's speed a connection uses.

use crate::sim::MILLISECOND;
use crate::sim::SECOND;
use crate::sim::pair::{Pair, any_v4, v4};
use crate::sim::program::connect;
use crate::sim::pump::{Pattern, Pump};
use crate::sim::wire::Faults;

/// Bits per second of the wire.
const BANDWIDTH: u64 = 100_000_000;

/// Bytes per second of virtual time, in one direction.
fn speed(seed: u64, loss: f64, bytes: u64) -> u64 {
    let faults = Faults {
        delay: 5 * MILLISECOND,
        bandwidth: BANDWIDTH,
        loss,
        ..Faults::NONE
    };
    let mut pair = Pair::new(seed, faults);
    let world = &mut pair.world;
    let listener = world.host_mut(pair.b).listen(any_v4(7), 4);
    let (near, far) = connect(world, (pair.a, pair.b), &listener, v4(2, 7));
    let pattern = Pattern::new(seed);
    let mut near = Pump::new(near, (pattern.clone(), bytes), (pattern.clone(), 0));
    let mut far = Pump::new(far, (pattern.clone(), 0), (pattern, bytes));
    let begun = world.now;
    world.run_until("all bytes", 3600 * SECOND, |world| {
        let near = near.run(world);
        far.run(world) && near
    });
    bytes * SECOND / (world.now - begun)
}

#[test]
fn a_long_wire_is_filled() {
    let bytes = if cfg!(debug_assertions) {
        16 << 20
    } else {
        64 << 20
    };
    let speed = speed(1, 0.0, bytes);
    let bound = BANDWIDTH / 8;
    eprintln!("100 Mbit/s, 10 ms: {speed} bytes/s of {bound}");
    assert!(speed > bound * 3 / 4, "{speed} bytes/s of {bound}");
}

#[test]
fn a_long_wire_that_loses_frames_is_used() {
    let bytes = if cfg!(debug_assertions) {
        4 << 20
    } else {
        32 << 20
    };
    let speed = speed(2, 0.01, bytes);
    // What Reno can have (Mathis et al., 1997): 1.22 segments per round trip, by the root of
    // the loss.
    let reno = 1460.0 * 1.22 / 0.01 / 0.01_f64.sqrt();
    eprintln!("100 Mbit/s, 10 ms, 1 % lost: {speed} bytes/s, Reno {reno:.0}");
    assert!(speed as f64 > reno / 4.0, "{speed} bytes/s");
}
