//! Threads in great numbers and under load, on more and fewer CPUs than the host has.

use super::case::Case;
use super::scenario::Scenario;

/// All of them.
pub fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = [1, 2, 4, 8]
        .map(|cpus| {
            Scenario::new(format!("stress/{cpus}cpu"), "stress", &[])
                .cpus(cpus)
                .memory(512)
                .prints("all held")
                .case()
        })
        .into();
    cases.push(
        // Most of the memory is stacks, of which the host has to back a page or two each.
        Scenario::new("stress/100000-threads", "stress", &["threads", "100000"])
            .cpus(2)
            .memory(10 << 10)
            .prints("100000 at the same time")
            .case(),
    );
    cases
}
