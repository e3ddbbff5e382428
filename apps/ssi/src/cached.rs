//! What a page costs the kernels beyond its bytes: that of the node which has a copy, and that of its home.

use std::sync::Arc;

use darner::{PAGE_BYTES, PageVec, spawn_on};

use crate::other;

const WORDS: usize = PAGE_BYTES / size_of::<u64>();

/// Bytes of RAM that the calling thread's machine has spent.
fn spent() -> u64 {
    let memory = darner::stats().memory;
    memory.total - memory.free
}

pub fn measure(pages: usize) -> Result<(), String> {
    let node = other()?;
    let memory: PageVec<u64> = (0..(pages * WORDS) as u64).collect();
    let memory = Arc::new(memory);
    let home_before = spent();
    let of_reader = spawn_on(node, move || {
        let before = spent();
        let sum: u64 = memory.iter().step_by(WORDS).sum();
        let expected = (pages * (pages - 1) / 2 * WORDS) as u64;
        if sum != expected {
            return Err(format!("found {sum}, expected {expected}"));
        }
        let copies = (pages * PAGE_BYTES) as u64;
        Ok((spent() - before).saturating_sub(copies))
    })
    .join()
    .map_err(|_| "the reader panicked")??;
    let of_home = spent().saturating_sub(home_before);
    println!("pages {pages}");
    println!("reader_bytes {of_reader}");
    println!("home_bytes {of_home}");
    Ok(())
}
