//! Going through a cluster at random, without a look at whether what it does is right: for
//! tests that judge by what the program sees.

use super::World;
use super::build::Plan;
use super::schedule::{Choice, Outside};
use super::{Shootdown, threads::At};
use fastrand::Rng;

/// A cluster of any kind, with pages enough for the slices of its first two nodes.
pub fn any_plan(rng: &mut Rng, nodes: u16, slice: u64) -> Plan {
    Plan {
        nodes,
        slice,
        records: [8, 1024][rng.usize(..2)],
        run: [1, 4][rng.usize(..2)],
        numbers: [0, 200][rng.usize(..2)],
        shootdown: [Shootdown::AtOnce, Shootdown::Later][rng.usize(..2)],
        ..Plan::default()
    }
}

/// Something that should not change what a program sees.
pub fn any_disturbance(rng: &mut Rng, nodes: u16, pages: u64) -> Outside {
    let node = rng.u16(..nodes);
    let page = rng.u64(..pages);
    match rng.u8(..4) {
        0 => Outside::MoveHome {
            page,
            pages: 1,
            to: node,
        },
        1 => Outside::Pressure { node, pages: 2 },
        _ => Outside::Evict { node, page },
    }
}

/// Whether all threads came to their end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    All,
    /// A thread waits for ever, or goes on for ever.
    Never,
}

/// Does what can be done in any order, and tells `seen` after each step.
pub fn stroll(
    world: &mut World,
    rng: &mut Rng,
    outside: &[Outside],
    mut seen: impl FnMut(&World),
) -> End {
    let mut outside = outside.iter().copied().peekable();
    for _ in 0..5_000 {
        let choices = world.choices(outside.peek().copied());
        let Some(&choice) = rng.choice(&choices) else {
            let done = world.threads.iter().all(|thread| thread.at == At::Done);
            return if done { End::All } else { End::Never };
        };
        if let Choice::Outside(_) = choice {
            outside.next();
        }
        world.choose(choice);
        seen(world);
    }
    End::Never
}
