//! For nodes that are lost meanwhile. The first thread that is started is on node 1.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::Outcome;

/// How long a program waits for what happens to it.
fn seconds(argument: Option<&str>) -> Result<Duration, String> {
    let number = argument.ok_or("found no number of seconds")?;
    let seconds = number.parse();
    let seconds = seconds.map_err(|error| format!("found {number} seconds: {error}"))?;
    Ok(Duration::from_secs(seconds))
}

/// Sleeps, here and in another thread.
pub fn lone_node(argument: Option<&str>) -> Outcome {
    let span = seconds(argument)?;
    let other = std::thread::spawn(move || std::thread::sleep(span));
    other.join().map_err(|_| "the other thread has panicked")?;
    println!("slept");
    Ok(ExitCode::SUCCESS)
}

/// Has another thread fill some memory, and reads it later.
pub fn heap(argument: Option<&str>) -> Outcome {
    let span = seconds(argument)?;
    let filled = std::thread::spawn(|| vec![7_u8; 100_000]).join();
    let filled = filled.map_err(|_| "the other thread has panicked")?;
    std::thread::sleep(span);
    let sum: u64 = filled.iter().map(|&byte| u64::from(byte)).sum();
    println!("{sum}");
    Ok(ExitCode::SUCCESS)
}

#[repr(align(4096))]
struct Page(AtomicU64);

static WRITTEN_BY_ANOTHER_THREAD: Page = Page(AtomicU64::new(0));

/// Has another thread write a variable, and reads it later.
pub fn variable(argument: Option<&str>) -> Outcome {
    let span = seconds(argument)?;
    let writer = std::thread::spawn(|| WRITTEN_BY_ANOTHER_THREAD.0.store(7, Ordering::SeqCst));
    writer.join().map_err(|_| "the other thread has panicked")?;
    std::thread::sleep(span);
    println!("{}", WRITTEN_BY_ANOTHER_THREAD.0.load(Ordering::SeqCst));
    Ok(ExitCode::SUCCESS)
}
