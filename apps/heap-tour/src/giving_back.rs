//! Memory that is free goes back to the machine, without anybody asking for it.

use std::thread;
use std::time::{Duration, Instant};

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
/// A CPU that idles gives memory back after a second; a host that is busy takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is freed just before a CPU goes idle comes back though nothing wakes it up any more.
///
/// On one CPU there is no other that could look without waking it.
pub fn quiet() -> Outcome {
    // A CPU that has just given back what it had does not at once do so again.
    thread::sleep(Duration::from_millis(1));
    drop(allocate(1, LITTLE));
    let Some(before) = heap() else {
        return Ok(NOT_LOOKED_AT.into());
    };
    if before.idle < LITTLE as u64 / 2 {
        return Err(format!("found {} idle, expected more", mib(before.idle)));
    }
    let is_back = move |idle: u64| idle < before.idle / 8;
    if thread::available_parallelism().map_or(1, usize::from) == 1 {
        wait_for("idle memory to be given back", |stats| {
            stats.program.is_some_and(|heap| is_back(heap.totals.idle))
        })?;
        return Ok(format!("{} idle were given back", mib(before.idle)));
    }
    let watcher = thread::spawn(move || {
        let begin = Instant::now();
        loop {
            let idle = heap().map_or(0, |heap| heap.idle);
            if is_back(idle) || begin.elapsed() > PATIENCE {
                return (idle, begin.elapsed());
            }
            std::hint::spin_loop();
        }
    });
    match watcher.join() {
        Ok((idle, after)) if is_back(idle) => Ok(format!(
            "{} were idle, {} after {after:.1?}",
            mib(before.idle),
            mib(idle)
        )),
        Ok((idle, after)) => Err(format!("{} are still idle after {after:.1?}", mib(idle))),
        Err(_) => Err("the thread that looks panicked".into()),
    }
}

/// Blocks of one size, of many zones.
const ALIKE: usize = 16 << 10;
/// Their size.
const SIZE: usize = 1000;
/// How far apart those are that go first: nearer than the blocks of a zone are many.
const APART: usize = 16;

/// A thread frees a few blocks of each zone and ends, and its CPU idles; then another
/// thread frees the rest. That the first CPU knows of zones with room does not keep it from
/// being told.
pub fn left_alone() -> Outcome {
    let before = heap();
    let allocator = thread::spawn(|| {
        let mut blocks: Vec<Box<[u8]>> = (0..ALIKE).map(|_| vec![1; SIZE].into()).collect();
        let mut number = 0;
        blocks.retain(|_| {
            number += 1;
            number % APART != 0
        });
        blocks
    });
    let blocks = allocator.join().map_err(|_| "a thread panicked")?;
    // Until its CPU has given back what it can: it is not to come to that by itself.
    thread::sleep(Duration::from_millis(1500));
    let full = heap();
    drop(blocks);
    let (Some(before), Some(full)) = (before, full) else {
        return Ok(NOT_LOOKED_AT.into());
    };
    let grown = full.committed.saturating_sub(before.committed);
    if grown < (ALIKE * SIZE) as u64 / 2 {
        return Err(format!(
            "found {} more committed, expected more",
            mib(grown)
        ));
    }
    let after = wait_for("zones to be given back", |stats| {
        stats
            .program
            .is_some_and(|heap| heap.totals.committed <= full.committed - grown / 4 * 3)
    })?;
    let rest = after.program.map_or(0, |heap| heap.totals.committed);
    Ok(format!(
        "of {} committed {} are left",
        mib(full.committed),
        mib(rest)
    ))
}
