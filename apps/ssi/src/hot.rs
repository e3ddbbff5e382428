//! Nodes that write one variable, so that its page is what all of them wait for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use darner::{PageAligned, nodes, spawn_on};

/// What `cargo xtask cluster --top` is to name.
static WANTED_BY_ALL: PageAligned<AtomicU64> = PageAligned(AtomicU64::new(0));

/// For so long; then the program ends with that status.
pub fn run(seconds: u64, status: i32) -> Result<(), String> {
    println!("all write for {seconds} s");
    let threads: Vec<_> = nodes()
        .map(|node| {
            spawn_on(node, move || {
                let begun = Instant::now();
                let mut turns = 0;
                while begun.elapsed() < Duration::from_secs(seconds) {
                    WANTED_BY_ALL.fetch_add(1, Ordering::Relaxed);
                    turns += 1;
                }
                turns
            })
        })
        .collect();
    let mut turns = 0;
    for thread in threads {
        turns += thread.join().map_err(|_| "a thread panicked")?;
    }
    match WANTED_BY_ALL.load(Ordering::Relaxed) {
        counted if counted == turns => println!("all turns are counted"),
        counted => return Err(format!("counted {counted}, expected {turns}")),
    }
    std::process::exit(status)
}
