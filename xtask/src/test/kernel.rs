//! The kernel's tests of itself, by the program `kernel-tests`.

use super::case::Case;
use super::scenario::Scenario;

/// As the program knows them.
const TESTS: [&str; 9] = [
    "ipi-storm",
    "rendezvous",
    "passive",
    "migrate",
    "tlb",
    "interrupts",
    "reclaim",
    "clock",
    "counters",
];

/// Each on 1, 2, 4 and 8 CPUs.
pub fn cases() -> Vec<Case> {
    let host = std::thread::available_parallelism().map_or(1, usize::from);
    TESTS
        .into_iter()
        .flat_map(|test| [1, 2, 4, 8].map(|cpus| (test, cpus)))
        .map(|(test, cpus)| {
            Scenario::new(format!("kernel/{test}/{cpus}cpu"), "kernel-tests", &[test])
                .cpus(cpus)
                // Half of these tests is waiting for other CPUs.
                .in_turns(cpus as usize > host)
                .prints(format!("ok     {test} ("))
                .case()
        })
        .collect()
}
