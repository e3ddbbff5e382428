//! Nodes that fight for the same pages, by instructions that need one page and by some that need two.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex};

use darner::{PAGE_BYTES, PageAligned, PageVec, nodes, spawn_on};

/// Where a copy of this length is across the border of two pages.
const ACROSS: std::ops::Range<usize> = PAGE_BYTES - 24..PAGE_BYTES + 40;

pub fn measure(turns: usize) -> Result<(), String> {
    let count = nodes().len();
    let counter = Arc::new(PageAligned(AtomicU64::new(0)));
    let across: PageVec<u8> = (0..2 * PAGE_BYTES).map(|_| 0).collect();
    let across = Arc::new(PageAligned(Mutex::new(across)));
    let begin = Arc::new(PageAligned(Barrier::new(count)));
    let threads: Vec<_> = nodes()
        .map(|node| {
            let (counter, across, begin) = (counter.clone(), across.clone(), begin.clone());
            spawn_on(node, move || {
                begin.wait();
                for turn in 0..turns {
                    counter.fetch_add(1, Ordering::Relaxed);
                    let mut across = across.lock().map_err(|_| "a thread panicked")?;
                    let value = across[PAGE_BYTES - 1];
                    if across[ACROSS].iter().any(|&byte| byte != value) {
                        return Err("a copy across two pages was seen half done");
                    }
                    across[ACROSS].copy_from_slice(&[turn as u8; 64]);
                }
                Ok(())
            })
        })
        .collect();
    for thread in threads {
        thread.join().map_err(|_| "a thread panicked")??;
    }
    let counted = counter.load(Ordering::Relaxed);
    println!("counted {counted}");
    match counted == (turns * count) as u64 {
        true => Ok(()),
        false => Err(format!("counted {counted}, expected {}", turns * count)),
    }
}
