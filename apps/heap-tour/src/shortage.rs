//! Memory that runs short. For small machines.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;

use crate::Outcome;
use crate::numbers::{NOT_LOOKED_AT, heap, mib};

/// Bytes of blocks that all memory is taken in: runs of pages, and chunks of two classes.
const SIZES: [usize; 3] = [256 << 10, 4000, 256];

/// Bytes that may be missing the second time. How much the kernel needs meanwhile, for stacks
/// of threads that have ended and tables of pages, is not always the same; where no more
/// was left than that, one block fewer fits.
const SPARE: usize = 256 << 10;

/// What a thread that takes memory needs.
const STACK_BYTES: usize = 64 << 10;

/// Blocks that were got by asking, not by insisting.
type Blocks = Vec<Vec<u8>>;

/// For each size: all CPUs take all memory there is, which ends in an error for each; what
/// they give back can be taken again, by one.
pub fn recover() -> Outcome {
    if heap().is_none() {
        return Ok(NOT_LOOKED_AT.into());
    }
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut found = Vec::new();
    for size in SIZES {
        let taken = take_by(threads, size)?;
        let count: usize = taken.iter().map(Vec::len).sum();
        let total = (count * size) as u64;
        let reached = darner::stats();
        drop(taken);
        let again = take(size, count);
        if (count - again.len()) * size > SPARE {
            return Err(format!(
                "{count} blocks of {size} bytes were had, and {} then",
                again.len()
            ));
        }
        // A heap that fails early would pass all that.
        if total < reached.memory.total / 4 {
            return Err(format!(
                "had {} of {} in blocks of {size} bytes",
                mib(total),
                mib(reached.memory.total)
            ));
        }
        found.push(format!("{} of {size} bytes", count));
    }
    Ok(format!("twice {}", found.join(", ")))
}

/// So many threads take blocks until each finds no more memory.
fn take_by(threads: usize, size: usize) -> Result<Vec<Blocks>, String> {
    // None begins before all have their stacks, and none gives back before all have ended.
    let (begin, end) = (Barrier::new(threads), Barrier::new(threads));
    thread::scope(|scope| {
        let threads: Result<Vec<_>, String> = (0..threads)
            .map(|_| {
                let (begin, end) = (&begin, &end);
                let taker = move || {
                    begin.wait();
                    let blocks = take(size, usize::MAX);
                    end.wait();
                    blocks
                };
                let thread = thread::Builder::new().stack_size(STACK_BYTES);
                thread
                    .spawn_scoped(scope, taker)
                    .map_err(|error| format!("a thread did not start: {error}"))
            })
            .collect();
        threads?
            .into_iter()
            .map(|thread| thread.join().map_err(|_| "a thread panicked".into()))
            .collect()
    })
}

/// Takes up to `count` blocks, and writes all of them, until there is no more memory.
fn take(size: usize, count: usize) -> Blocks {
    let mut blocks = Blocks::new();
    while blocks.len() < count {
        let mut block = Vec::new();
        if blocks.try_reserve(1).is_err() || block.try_reserve_exact(size).is_err() {
            break;
        }
        block.resize(size, blocks.len() as u8);
        blocks.push(black_box(block));
    }
    blocks
}

/// 4096 bytes, one of which leads to the next.
struct Link {
    _next: Option<Box<Link>>,
    _bytes: [u8; 4096 - size_of::<usize>()],
}

/// Ends by itself: the last allocation does not work.
pub fn exhaust() -> Outcome {
    if heap().is_none() {
        return Ok(NOT_LOOKED_AT.into());
    }
    println!("about to run out of memory");
    let mut first = None;
    loop {
        first = Some(Box::new(Link {
            _next: black_box(first.take()),
            _bytes: [1; _],
        }));
    }
}

/// Ends by itself: the only allocation does not work.
pub fn too_much() -> Outcome {
    if heap().is_none() {
        return Ok(NOT_LOOKED_AT.into());
    }
    println!("about to run out of memory");
    black_box(Vec::<u8>::with_capacity(1 << 30));
    Err("a block larger than all memory was allocated".into())
}
