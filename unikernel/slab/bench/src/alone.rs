//! Workloads of one thread.

use std::time::Instant;

use crate::random::Random;
use crate::{Allocator, Block};

/// Blocks of 64 bytes: a random one of those there are is freed, and another allocated.
pub fn churn_64(allocator: Allocator) -> f64 {
    churn(allocator, 1000, 30_000_000, |_| 64)
}

/// The same with sizes from 8 bytes to 16 KiB.
pub fn churn_mixed(allocator: Allocator) -> f64 {
    churn(allocator, 5000, 15_000_000, |random| random.size(11))
}

/// 100,000 blocks of 64 bytes are allocated, then freed in the same order, again and again.
pub fn burst_64(allocator: Allocator) -> f64 {
    const BLOCKS: usize = 100_000;
    const TURNS: usize = 200;
    let mut there = Vec::with_capacity(BLOCKS);
    let start = Instant::now();
    for _ in 0..TURNS {
        there.extend((0..BLOCKS).map(|_| allocator.block(64)));
        there.drain(..).for_each(|block| allocator.free(block));
    }
    (BLOCKS * TURNS) as f64 / start.elapsed().as_secs_f64()
}

/// As `churn_mixed`, with sizes from 16 KiB to 512 KiB.
pub fn churn_large(allocator: Allocator) -> f64 {
    churn(allocator, 100, 2_000_000, |random| random.size(5) << 11)
}

fn churn(
    allocator: Allocator,
    blocks: usize,
    turns: usize,
    size: impl Fn(&mut Random) -> usize,
) -> f64 {
    let mut random = Random::new(1);
    let mut there: Vec<Block> = (0..blocks)
        .map(|_| allocator.block(size(&mut random)))
        .collect();
    let start = Instant::now();
    for _ in 0..turns {
        let place = random.below(blocks);
        let new = allocator.block(size(&mut random));
        allocator.free(std::mem::replace(&mut there[place], new));
    }
    let speed = turns as f64 / start.elapsed().as_secs_f64();
    there.into_iter().for_each(|block| allocator.free(block));
    speed
}

/// The most memory of a program that grows, frees most of what it has, and grows with
/// other sizes: resident pages, in KiB, less those of the program before.
pub fn peak_rss(allocator: Allocator) -> f64 {
    let mut random = Random::new(3);
    let mut there: Vec<Block> = Vec::with_capacity(2_000_000);
    // Resident from the beginning, and so not counted.
    there.spare_capacity_mut().iter_mut().for_each(|slot| {
        slot.write(Block(std::ptr::null_mut(), 0));
    });
    let before = status("VmRSS:");
    for phase in 0..6 {
        let doublings = [4, 8, 5, 10, 3, 7][phase];
        let mut bytes: usize = there.iter().map(|block| block.1).sum();
        while bytes < 100 << 20 && there.len() < there.capacity() {
            let block = allocator.block(random.size(doublings));
            // A program writes what it allocates.
            // SAFETY: it is so long; the size stays where it is checked.
            unsafe { block.0.add(8).write_bytes(1, block.1 - 8) };
            bytes += block.1;
            there.push(block);
        }
        for _ in 0..there.len() / 4 * 3 {
            let place = random.below(there.len());
            allocator.free(there.swap_remove(place));
        }
    }
    let peak = status("VmHWM:");
    there.into_iter().for_each(|block| allocator.free(block));
    peak - before
}

/// A line of the process's status, in KiB.
fn status(line: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc/self/status");
    let words = status.lines().find_map(|found| found.strip_prefix(line));
    words
        .and_then(|words| words.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .expect("a number of KiB")
}
