//! What is tested, and how much of it.

use std::process::ExitCode;
use std::time::Instant;

use crate::{interrupts, kernel, reclaim};

/// A test of the kernel.
struct Test {
    name: &'static str,
    /// How much is done on so many CPUs.
    amount: fn(u64) -> u64,
    /// What the number is that it finds.
    found: &'static str,
    /// What runs it.
    run: fn(&str, u64) -> Result<u64, String>,
}

/// All there are.
const TESTS: &[Test] = &[
    Test {
        name: "ipi-storm",
        amount: |cpus| match (cpus, cfg!(debug_assertions)) {
            (4, false) => 10_000_000,
            (_, false) => 1_000_000,
            (_, true) => 100_000,
        },
        found: "messages ran, none was lost, in order",
        run: kernel::run,
    },
    Test {
        name: "rendezvous",
        amount: |_| 1000,
        found: "meetings of all CPUs",
        run: kernel::run,
    },
    Test {
        name: "passive",
        amount: |_| 20,
        found: "ns was the longest delay on a busy CPU",
        run: kernel::run,
    },
    Test {
        name: "migrate",
        amount: |_| 10_000,
        found: "migrations",
        run: kernel::run,
    },
    Test {
        name: "tlb",
        amount: |cpus| 800 / cpus,
        found: "messages ran beside the shootdowns, no translation was stale",
        run: kernel::run,
    },
    Test {
        name: "interrupts",
        amount: |cpus| (20 / cpus).max(2),
        found: "preemptions of kernel code by interrupt threads",
        run: interrupts::run,
    },
    Test {
        name: "reclaim",
        amount: |cpus| 20_000 / (cpus * cpus),
        found: "blocks were made while magazines were emptied, none had two owners",
        run: reclaim::run,
    },
    Test {
        name: "clock",
        amount: |_| 2,
        found: "readings of the clock",
        run: kernel::run,
    },
    Test {
        name: "virtqueue",
        // The indices wrap three times.
        amount: |_| 200_000,
        found: "buffers went and came back",
        run: kernel::run,
    },
    Test {
        name: "counters",
        amount: |_| match cfg!(debug_assertions) {
            false => 8000,
            true => 1600,
        },
        found: "updates of counters, none was lost or made twice",
        run: kernel::run,
    },
];

/// Runs the tests of these names, or all; 1 if one of them failed.
pub fn run(names: &[&str]) -> ExitCode {
    if let Some(unknown) = names
        .iter()
        .find(|&&name| TESTS.iter().all(|test| test.name != name))
    {
        eprintln!("found no test `{unknown}`");
        eprintln!("usage: kernel-tests [TEST...], or kernel-tests measure NAME...; tests:");
        for test in TESTS {
            eprintln!("  {}", test.name);
        }
        return ExitCode::from(2);
    }
    let chosen = TESTS
        .iter()
        .filter(|test| names.is_empty() || names.contains(&test.name));
    let failed = chosen.filter(|test| !test.run()).count();
    ExitCode::from(u8::from(failed > 0))
}

impl Test {
    /// Runs it and prints one line; whether all was well.
    fn run(&self) -> bool {
        let cpus = std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u64);
        let begin = Instant::now();
        let result = (self.run)(self.name, (self.amount)(cpus));
        let ms = begin.elapsed().as_millis();
        match &result {
            Ok(found) => println!("ok     {} ({found} {}; {ms} ms)", self.name, self.found),
            Err(error) => println!("FAILED {}: {error} ({ms} ms)", self.name),
        }
        result.is_ok()
    }
}
