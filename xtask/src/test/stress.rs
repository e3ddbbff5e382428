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
        Scenario::new("stress/10000-threads", "stress", &["threads", "10000"])
            .cpus(2)
            .memory(2048)
            .prints("10000 at the same time")
            .case(),
    );
    cases
}
