//! Running out of memory.

use std::hint::black_box;
use std::process::ExitCode;

use crate::Outcome;

/// The largest block tried, and the smallest.
const LARGEST: usize = 1 << 46;
const SMALLEST: usize = 16;

/// Takes all memory in ever smaller blocks, then allocates as if there were some.
pub fn exhaust() -> Outcome {
    let mut taken: usize = 0;
    let mut size = LARGEST;
    while size >= SMALLEST {
        let mut block = Vec::<u8>::new();
        if block.try_reserve_exact(size).is_ok() {
            taken += size;
            // Never given back, and kept track of nowhere: that would need memory.
            std::mem::forget(black_box(block));
        } else {
            size /= 2;
        }
    }
    println!("{taken} bytes taken");
    black_box(Box::new([0_u8; 4096]));
    Err("the allocation after the last one worked".into())
}

/// Asks for too much in the way that reports failure, then goes on.
pub fn try_reserve() -> Outcome {
    let mut block = Vec::<u8>::new();
    match black_box(&mut block).try_reserve_exact(isize::MAX as usize / 2) {
        Ok(()) => Err("half the address space was granted".into()),
        Err(error) => {
            println!("refused: {error}");
            block.extend(0..100);
            println!("{} bytes are no problem", black_box(&block).len());
            Ok(ExitCode::SUCCESS)
        }
    }
}
