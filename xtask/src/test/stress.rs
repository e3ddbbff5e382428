//! Threads in great numbers and under load, on more and fewer CPUs than the host has.

use super::case::{Case, Company};
use super::scenario::Scenario;

/// All of them.
pub fn cases() -> Vec<Case> {
    let load = |cpus: u32| {
        Scenario::new(format!("stress/{cpus}cpu"), "stress", &[])
            .cpus(cpus)
            .memory(512)
            .prints("all held")
            .case()
    };
    // Most of the memory is stacks, of which the host has to back a page or two each.
    let crowd = |cpus: u32| {
        let args = ["threads", "100000"];
        let case = Scenario::new(format!("stress/100000-threads/{cpus}cpu"), "stress", &args)
            .cpus(cpus)
            .memory(10 << 10)
            .prints("100000 at the same time")
            .case();
        // The host may not have so much for two.
        Case {
            company: Company::Nobody,
            ..case
        }
    };
    [1, 2, 4, 8]
        .into_iter()
        .flat_map(|cpus| [load(cpus), crowd(cpus)])
        .collect()
}
