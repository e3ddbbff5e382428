//! Memory: a block made and dropped, alone and on all CPUs at the same time.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use crate::counter;

const ROUNDS: u32 = 20_000;
/// Blocks that each thread makes and drops.
const BLOCKS: u32 = 2_000_000;
/// Blocks that a thread has at a time.
const KEPT: usize = 64;

fn pair<const BYTES: usize>() {
    // Its content does not matter, and the compiler does not know that nobody needs it.
    drop(black_box(Box::<[u8; BYTES]>::new_uninit()));
}

/// Ticks of a `Box` of 64 bytes, made and dropped.
pub fn pair_64() -> f64 {
    counter::per_round(ROUNDS, pair::<64>)
}

/// Ticks of a `Box` of 16 KiB, made and dropped.
pub fn pair_16k() -> f64 {
    counter::per_round(ROUNDS, pair::<16384>)
}

/// Blocks a second, in thousands, that a thread for each CPU makes and drops, of several
/// sizes, some of them at a time.
pub fn throughput() -> f64 {
    let threads = thread::available_parallelism().map_or(1, |cpus| cpus.get() as u32);
    let start = Barrier::new(threads as usize + 1);
    let seconds = thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    churn();
                })
            })
            .collect();
        start.wait();
        let begin = Instant::now();
        for thread in running {
            thread.join().expect("it only makes blocks");
        }
        begin.elapsed().as_secs_f64()
    });
    f64::from(threads) * f64::from(BLOCKS) / seconds / 1000.0
}

fn churn() {
    let mut kept: [Vec<u8>; KEPT] = [const { Vec::new() }; KEPT];
    let mut random = 1u32;
    for _ in 0..BLOCKS {
        // Marsaglia, "Xorshift RNGs" (2003).
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        let bytes = 16 + (random >> 8) as usize % 497;
        kept[random as usize % KEPT] = black_box(Vec::with_capacity(bytes));
    }
}
