//! Memory that is free goes back to the machine, without anybody asking for it.

use std::thread;
use std::time::Duration;

use crate::Outcome;
use crate::blocks::{Block, Random};
use crate::numbers::{NOT_LOOKED_AT, heap, mib, wait_for};

const THREADS: usize = 5;
/// Bytes of all threads' blocks.
const LARGE: usize = 128 << 20;

/// Threads allocate; then each frees nine tenths of what its neighbour has allocated.
///
/// Those that came first: a chunk here and there would keep its zone.
pub fn large_heap() -> Outcome {
    let before = heap();
    let mut heaps: Vec<Vec<Block>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|number| scope.spawn(move || allocate(number as u64, LARGE / THREADS)))
            .collect();
        threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .expect("a thread that allocates does not panic")
            })
            .collect()
    });
    let full = darner::stats();
    heaps.rotate_left(1);
    let is_intact = thread::scope(|scope| {
        let threads: Vec<_> = heaps
            .iter_mut()
            .map(|heap| {
                scope.spawn(|| {
                    heap.drain(..heap.len() / 10 * 9)
                        .all(|block| block.is_intact())
                })
            })
            .collect();
        threads
            .into_iter()
            .all(|thread| thread.join().is_ok_and(|intact| intact))
    });
    if !is_intact {
        return Err("found a block that another has written into".into());
    }
    let found = match (before, full.program) {
        (Some(before), Some(at_full)) => {
            let most = at_full.totals.committed;
            let grown = most - before.committed;
            if grown < LARGE as u64 {
                return Err(format!(
                    "{} are more than were committed",
                    mib(LARGE as u64)
                ));
            }
            // Nine tenths are free; zones that are in use in part keep something of it.
            let goal = most - grown / 4 * 3;
            let after = wait_for("memory to be given back", |stats| {
                stats
                    .program
                    .is_some_and(|heap| heap.totals.committed <= goal)
            })?;
            let rest = after.program.map_or(0, |heap| heap.totals.committed);
            let (fallen, risen) = (
                most - rest,
                after.memory.free.saturating_sub(full.memory.free),
            );
            // The rest is page tables and the stacks of threads, which come and go.
            if risen < fallen / 20 * 19 {
                return Err(format!(
                    "the heap gave {} back, the machine has {} more free",
                    mib(fallen),
                    mib(risen)
                ));
            }
            format!(
                "of {} committed {} are left; the machine has {} more free",
                mib(most),
                mib(rest),
                mib(risen)
            )
        }
        _ => NOT_LOOKED_AT.into(),
    };
    match heaps.iter().flatten().all(Block::is_intact) {
        true => Ok(found),
        false => Err("found a block that another has written into".into()),
    }
}

/// Blocks of `bytes` together.
fn allocate(seed: u64, bytes: usize) -> Vec<Block> {
    let mut random = Random::new(seed);
    let (mut blocks, mut allocated) = (Vec::new(), 0);
    while allocated < bytes {
        let block = Block::new(&mut random);
        allocated += block.len();
        blocks.push(block);
    }
    blocks
}

/// Less than the heap keeps for the next that wants it.
const LITTLE: usize = 12 << 20;
/// A CPU that idles gives memory back after a second.
const NAP: Duration = Duration::from_millis(2500);
/// A host that is busy with something else may sleep through a nap.
const NAPS: usize = 3;

/// What is freed just before all CPUs go idle comes back though nothing wakes them up any more.
pub fn quiet() -> Outcome {
    let mut kept = Vec::new();
    for seed in 0..NAPS {
        // A CPU that has just given back what it had does not at once do so again.
        thread::sleep(Duration::from_millis(1));
        drop(allocate(seed as u64, LITTLE));
        let Some(before) = heap() else {
            return Ok(NOT_LOOKED_AT.into());
        };
        thread::sleep(NAP);
        let after = heap().map_or(0, |heap| heap.idle);
        if before.idle < LITTLE as u64 / 2 {
            return Err(format!("found {} idle, expected more", mib(before.idle)));
        }
        if after < before.idle / 8 {
            return Ok(format!(
                "{} were idle, {} are",
                mib(before.idle),
                mib(after)
            ));
        }
        kept.push(mib(after));
    }
    Err(format!("kept while all CPUs idled: {}", kept.join(", ")))
}
