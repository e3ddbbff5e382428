//! How long a request of 64 bytes takes that is answered with 4 KiB, by the link that `fault` is measured on: what it
//! carries, and nothing of what a fault needs besides.

use darner::spawn_on;

use crate::{other, tell};

pub fn measure(count: usize) -> Result<(), String> {
    let node = other()?;
    let first = darner::here();
    // From the node that faults, to the one that has the pages.
    let times = spawn_on(node, move || {
        let times = (0..count).map(|_| Some(first.round_trip()?.as_nanos() as u64));
        times.collect::<Option<Vec<u64>>>()
    })
    .join()
    .map_err(|_| "the thread panicked")?;
    tell("echo", times.ok_or("the first node does not answer")?);
    Ok(())
}
