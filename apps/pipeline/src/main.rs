//! Stages that hand work on through bounded channels of `crossbeam-channel`.
//!
//! ```text
//! cargo xtask cluster --nodes 3 pipeline -- --blocks 400
//! ```
//!
//! One thread makes blocks of bytes, several work on them, one puts the results in order. A block is moved,
//! never copied: its bytes come to another machine when the thread there first touches them. Channels
//! are bounded, so no stage runs far ahead, and memory is too.

use std::collections::BTreeMap;
use std::process::ExitCode;

use crossbeam_channel::{Receiver, Sender, bounded};
#[cfg(target_os = "hermit")]
use hermit as _;

mod work;

use parallel::{Arguments, Checksum};
use work::{Block, Summary};

/// Blocks that wait between two stages, for each worker.
const WAITING: usize = 2;

struct Options {
    threads: usize,
    blocks: u64,
    bytes: usize,
    seed: u64,
}

impl Options {
    fn read(given: &mut Arguments) -> Self {
        Self {
            threads: given.threads(),
            blocks: given.number("blocks", "blocks to work on", 200, 1..=1 << 40),
            bytes: given.number("bytes", "bytes of a block", 16 << 10, 1..=1 << 24),
            seed: given.seed(),
        }
    }
}

fn main() -> ExitCode {
    parallel::main("pipeline", Options::read, run)
}

fn run(options: Options) -> Result<(), String> {
    let total = parallel::timed("piped", options.threads, || pipe(&options));
    println!(
        "{} blocks, {} bytes, {} runs",
        total.blocks, total.bytes, total.runs
    );
    println!("{}", total.checksum);
    match total.blocks == options.blocks {
        true => Ok(()),
        false => Err(format!("expected {} blocks", options.blocks)),
    }
}

/// What came out at the end.
#[derive(Debug, Default, PartialEq)]
struct Total {
    blocks: u64,
    bytes: usize,
    runs: usize,
    checksum: Checksum,
}

/// Runs all stages to their end: a stage ends when the one before has dropped its sender.
fn pipe(options: &Options) -> Total {
    let (to_packers, blocks) = bounded(WAITING * options.threads);
    let (to_end, packed) = bounded(WAITING * options.threads);
    std::thread::scope(|scope| {
        scope.spawn(|| make(options, to_packers));
        for _ in 0..options.threads {
            let (blocks, to_end) = (blocks.clone(), to_end.clone());
            scope.spawn(move || pack(&blocks, &to_end));
        }
        drop((blocks, to_end));
        collect(&packed)
    })
}

fn make(options: &Options, to_packers: Sender<Block>) {
    for number in 0..options.blocks {
        let block = Block::make(number, options.bytes, options.seed);
        // Nobody ends before there are no more blocks.
        if to_packers.send(block).is_err() {
            return;
        }
    }
}

fn pack(blocks: &Receiver<Block>, to_end: &Sender<Summary>) {
    for block in blocks {
        if to_end.send(block.pack()).is_err() {
            return;
        }
    }
}

/// Takes the results in the order of their blocks, in whatever order they come.
fn collect(packed: &Receiver<Summary>) -> Total {
    let mut early = BTreeMap::new();
    let mut total = Total::default();
    for summary in packed {
        early.insert(summary.number, summary);
        while let Some(next) = early.remove(&total.blocks) {
            total.blocks += 1;
            total.bytes += next.bytes;
            total.runs += next.runs.len();
            for (byte, length) in next.runs {
                total.checksum = total.checksum.with(&[byte, length]);
            }
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::{Options, pipe};

    #[test]
    fn any_number_of_threads_gives_the_same() {
        let total = |threads| {
            pipe(&Options {
                threads,
                blocks: 50,
                bytes: 700,
                seed: 4,
            })
        };
        let one = total(1);
        assert_eq!((one.blocks, one.bytes), (50, 50 * 700));
        for threads in [2, 3, 9] {
            assert_eq!(total(threads), one);
        }
    }
}
