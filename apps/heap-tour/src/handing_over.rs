//! What one thread allocates another frees.

use std::sync::mpsc::sync_channel;
use std::thread;

use crate::Outcome;
use crate::blocks::{Block, Random};
use crate::numbers::{NOT_LOOKED_AT, heap, wait_for};

/// Each with a producer and a consumer.
const PAIRS: usize = 4;
/// Blocks that a producer sends.
const BLOCKS: usize = 3000;
/// Blocks that may be under way in a channel.
const UNDER_WAY: usize = 100;

/// What std may keep of its own, in bytes: less than one in a thousand of all blocks.
const KEPT: u64 = 16 << 10;

/// Nothing is lost, whoever frees it.
pub fn run() -> Outcome {
    // The first time std allocates things that it keeps.
    hand_over()?;
    if heap().is_none() {
        return Ok(NOT_LOOKED_AT.into());
    }
    // The least that there is once all has come home, which takes those CPUs that it belongs to a
    // moment or two.
    let before = wait_for("memory to come home", |stats| {
        stats.program.is_some_and(|heap| heap.totals.in_use <= KEPT)
    })?;
    let before = before.program.map(|heap| heap.totals).unwrap_or_default();
    hand_over()?;
    let after = wait_for("as much memory to be in use as before", |stats| {
        stats.program.is_some_and(|heap| heap.totals.in_use <= KEPT)
    })?;
    let totals = after.program.map(|heap| heap.totals).unwrap_or_default();
    let remote = totals.remote_frees - before.remote_frees;
    if (remote > 0) != (after.cpus > 1) {
        return Err(format!("{remote} remote frees on {} CPUs", after.cpus));
    }
    if totals.refused > 0 {
        return Err(format!("{} frees were refused", totals.refused));
    }
    Ok(format!(
        "{} blocks, {remote} remote frees, {} notifications; {} bytes in use before and {} after",
        PAIRS * BLOCKS,
        totals.notifications - before.notifications,
        before.in_use,
        totals.in_use
    ))
}

fn hand_over() -> Result<(), String> {
    let received: Result<usize, String> = thread::scope(|scope| {
        let consumers: Vec<_> = (0..PAIRS)
            .map(|pair| {
                let (sender, receiver) = sync_channel::<Block>(UNDER_WAY);
                scope.spawn(move || {
                    let mut random = Random::new(pair as u64);
                    // A consumer that has seen enough says so itself.
                    (0..BLOCKS).try_for_each(|_| sender.send(Block::new(&mut random)))
                });
                scope.spawn(move || {
                    receiver
                        .iter()
                        .try_fold(0, |count, block| block.is_intact().then_some(count + 1))
                })
            })
            .collect();
        consumers
            .into_iter()
            .map(|consumer| {
                let count = consumer.join().map_err(|_| "a consumer panicked")?;
                count.ok_or("found a block that another has written into".into())
            })
            .sum()
    });
    match received? {
        count if count == PAIRS * BLOCKS => Ok(()),
        count => Err(format!("{count} of {} blocks arrived", PAIRS * BLOCKS)),
    }
}
