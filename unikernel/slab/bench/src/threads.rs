//! Workloads of several threads.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Instant;

use crate::random::Random;
use crate::{Allocator, Block};

/// Threads that allocate in `larson`, and pairs of threads in the others.
const THREADS: usize = 2;

/// Blocks are handed from thread to thread in batches of so many.
const BATCH: usize = 1000;

/// One thread allocates, another frees: blocks of 16 to 256 bytes.
pub fn producer_consumer(allocator: Allocator) -> f64 {
    pairs(allocator, 1, 20_000, |random| random.size(4) + 8)
}

/// Two threads allocate, two free what either has: blocks of 8 to 1024 bytes. (xmalloc,
/// of Lever and Boreham, as in mimalloc-bench.)
pub fn xmalloc(allocator: Allocator) -> f64 {
    pairs(allocator, THREADS, 8_000, |random| random.size(7))
}

fn pairs(
    allocator: Allocator,
    pairs: usize,
    batches: usize,
    size: fn(&mut Random) -> usize,
) -> f64 {
    let (senders, receivers): (Vec<SyncSender<_>>, Vec<Receiver<Vec<Block>>>) =
        (0..pairs).map(|_| sync_channel(8)).unzip();
    let start = Instant::now();
    thread::scope(|scope| {
        for receiver in receivers {
            scope.spawn(move || {
                for batch in receiver {
                    batch.into_iter().for_each(|block| allocator.free(block));
                }
            });
        }
        for seed in 1..=pairs {
            let senders = senders.clone();
            scope.spawn(move || {
                let mut random = Random::new(seed as u64);
                for turn in 0..batches {
                    let batch = (0..BATCH)
                        .map(|_| allocator.block(size(&mut random)))
                        .collect();
                    senders[turn % senders.len()]
                        .send(batch)
                        .expect("a receiver");
                }
            });
        }
        drop(senders);
    });
    (pairs * batches * BATCH) as f64 / start.elapsed().as_secs_f64()
}

/// Threads that replace random blocks of 8 to 1000 bytes, then end, and leave their
/// blocks to the next. (Larson and Krishnan, 1998.)
pub fn larson(allocator: Allocator) -> f64 {
    const BLOCKS: usize = 1000;
    const TURNS: usize = 100_000;
    const GENERATIONS: usize = 60;
    let start = Instant::now();
    thread::scope(|scope| {
        for seed in 1..=THREADS {
            scope.spawn(move || {
                let mut blocks: Vec<Block> = (0..BLOCKS).map(|_| allocator.block(8)).collect();
                for generation in 0..GENERATIONS {
                    let replace = move || {
                        let mut random = Random::new((seed * GENERATIONS + generation) as u64);
                        for _ in 0..TURNS {
                            let block = &mut blocks[random.below(BLOCKS)];
                            allocator
                                .free(std::mem::replace(block, Block(std::ptr::null_mut(), 0)));
                            *block = allocator.block(8 + random.below(993));
                        }
                        blocks
                    };
                    blocks = thread::spawn(replace).join().expect("the next generation");
                }
                blocks.into_iter().for_each(|block| allocator.free(block));
            });
        }
    });
    (THREADS * GENERATIONS * TURNS) as f64 / start.elapsed().as_secs_f64()
}
