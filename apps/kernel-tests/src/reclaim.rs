//! Threads that allocate while all CPUs' magazines are emptied again and again.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::kernel;

/// Blocks that a thread has at a time.
const KEPT: usize = 16;

/// Has a thread for each CPU, and one more, make, fill, check and drop blocks, while magazines are emptied
/// `rounds` times. Gives how many blocks there were, none of which two threads had.
pub fn run(_name: &str, rounds: u64) -> Result<u64, String> {
    kernel::run("restart-addresses", 0)?;
    let threads = thread::available_parallelism().map_or(1, usize::from) + 1;
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let running: Vec<_> = (1..=threads)
            .map(|number| {
                scope.spawn({
                    let stop = &stop;
                    move || churn(number as u64, stop)
                })
            })
            .collect();
        let reclaimed = kernel::run("reclaim", rounds);
        stop.store(true, Ordering::Relaxed);
        let mut blocks = 0;
        for thread in running {
            blocks += thread.join().expect("the thread does not panic")?;
        }
        reclaimed.map(|_| blocks)
    })
}

/// Makes blocks of one small size until told to stop; each has the thread's mark in it all
/// the while.
fn churn(mark: u64, stop: &AtomicBool) -> Result<u64, String> {
    let mut kept: [Option<Box<[u64; 8]>>; KEPT] = [const { None }; KEPT];
    let mut blocks = 0;
    while !stop.load(Ordering::Relaxed) {
        for slot in &mut kept {
            let old = slot.replace(black_box(Box::new([mark; 8])));
            if let Some(old) = old
                && black_box(*old) != [mark; 8]
            {
                return Err(format!(
                    "found {old:?} in a block of thread {mark}: it has two owners"
                ));
            }
            blocks += 1;
        }
    }
    Ok(blocks)
}
