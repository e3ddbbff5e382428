//! Litmus tests: a few threads, a few accesses each, and a result that no order of the accesses
//! explains. It must not come, however often they are run.
//!
//! ```text
//! cargo xtask cluster --nodes 3 litmus -- --runs 100000
//! cargo xtask cluster --nodes 2 --smp 2 litmus -- --test IRIW
//! ```
//!
//! The order is that of x86: each thread's stores become visible to all others at once and in its
//! order, and loads are done in order. A cluster has to keep it between machines, too; there it is pages
//! that move, so each test runs with its variables on the same page and on different ones. The results
//! that did come, and how often, go to standard error: a test says the more, the more of them there are.

use std::process::ExitCode;

#[cfg(target_os = "hermit")]
use hermit as _;

mod arena;
mod runner;
mod tests;

use arena::Place;
use parallel::Arguments;
use tests::{TESTS, Test};

struct Options {
    threads: usize,
    runs: usize,
    seed: u64,
    test: Option<String>,
}

impl Options {
    fn read(given: &mut Arguments) -> Self {
        Self {
            threads: given.threads(),
            runs: given.number("runs", "of each test, in each place", 2000, 1..=1 << 40),
            seed: given.seed(),
            test: given.text("test", "only this test"),
        }
    }
}

fn main() -> ExitCode {
    parallel::main("litmus", Options::read, run)
}

fn run(options: Options) -> Result<(), String> {
    let mut forbidden = 0;
    for test in chosen(options.test.as_deref())? {
        // With more threads than it has, they take turns: each is on another CPU.
        let threads = options.threads.max(test.threads.len());
        for place in [Place::SamePage, Place::OtherPage] {
            let name = format!("{} on {place}", test.name);
            let results = parallel::timed(&name, threads, || {
                runner::run(test, place, options.runs, threads, options.seed)
            });
            eprint!("{results}");
            let found = results.count(test.forbidden);
            println!("{name}: {} runs, {found} forbidden", options.runs);
            forbidden += found;
        }
    }
    match forbidden {
        0 => Ok(()),
        _ => Err(format!("{forbidden} results that no order explains")),
    }
}

/// The test of that name, or all.
fn chosen(name: Option<&str>) -> Result<&'static [Test], String> {
    let Some(name) = name else {
        return Ok(TESTS);
    };
    let at = TESTS.iter().position(|test| test.name == name);
    let names: Vec<&str> = TESTS.iter().map(|test| test.name).collect();
    let at = at.ok_or_else(|| {
        let names = names.join(", ");
        format!("--test: expected one of {names}, found {name:?}")
    })?;
    Ok(&TESTS[at..=at])
}
