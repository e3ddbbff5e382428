//! `xtask test`: everything that must hold, on the host and in VMs. With `--deep`, what takes too
//! long for every change as well.

mod bench;
mod case;
mod cluster;
mod command_line;
mod diagnostics;
mod failing;
mod host;
mod image;
mod jobs;
mod kernel;
mod late_reader;
mod libtest;
mod lint;
mod matrix;
mod memory;
mod misfits;
mod network_flags;
mod runner;
mod scenario;
mod screen;
mod serving;
mod strangers;
mod stress;
mod suite;
mod system;

use crate::error::{Error, Result};
use crate::workspace;
use case::{Case, Company};
use jobs::{Choice, Seeds};
use suite::Suite;

/// Does what the command line after `test` says; status 1 if a test failed, or none was run.
pub fn run(mut parser: lexopt::Parser) -> Result<u8> {
    use lexopt::prelude::*;
    let (mut filters, mut list, mut depth) = (Vec::new(), false, Depth::Usual);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("list") => list = true,
            Long("deep") => depth = Depth::Deep,
            Value(filter) => filters.push(filter.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let mut cases = all(depth)?;
    if !filters.is_empty() {
        cases.retain(|case| {
            filters
                .iter()
                .any(|filter| case.name.contains(filter.as_str()))
        });
    }
    if list {
        for case in &cases {
            println!("{}", case.name);
        }
        return Ok(0);
    }
    if cases.is_empty() {
        return Err(Error::usage(format!(
            "found no test whose name contains {}; `cargo xtask test --list` lists them, with --deep all",
            filters.join(" or ")
        )));
    }
    run_all(&cases)
}

/// Does what the command line after `ci` says; status 1 if a job failed.
pub fn ci(mut parser: lexopt::Parser) -> Result<u8> {
    use lexopt::prelude::*;
    let (mut names, mut list, mut deep) = (Vec::new(), false, false);
    let mut seeds = Seeds::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("list") => list = true,
            Long("deep") => deep = true,
            Long("seed") => seeds.first = Some(parser.value()?.parse()?),
            Long("runs") => seeds.count = Some(parser.value()?.parse()?),
            Value(name) => names.push(name.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    if seeds.count == Some(0) {
        return Err(Error::usage("found --runs 0, expected at least 1"));
    }
    let choice = match (&names[..], deep) {
        ([], false) => Choice::Usual,
        ([], true) => Choice::All,
        (names, _) => Choice::Named(names),
    };
    let cases = jobs::cases(&workspace::root()?, choice, seeds)?;
    if list {
        for (case, about) in &cases {
            println!("{:<24} {about}", case.name);
        }
        return Ok(0);
    }
    let cases: Vec<Case> = cases.into_iter().map(|(case, _)| case).collect();
    run_all(&cases)
}

fn run_all(cases: &[Case]) -> Result<u8> {
    let suite = Suite::new()?;
    let tally = runner::run(&suite, cases)?;
    println!("{tally}");
    Ok(u8::from(!tally.is_success()))
}

/// How much is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    /// What every change has to pass.
    Usual,
    /// That, and what takes hours.
    Deep,
}

fn all(depth: Depth) -> Result<Vec<Case>> {
    let mut cases = host::cases();
    cases.extend(lint::cases());
    cases.extend(image::cases());
    cases.extend(matrix::cases());
    cases.extend(late_reader::cases());
    cases.extend(kernel::cases());
    cases.extend(failing::cases());
    cases.extend(stress::cases());
    cases.extend(memory::cases());
    cases.extend(command_line::cases());
    cases.extend(diagnostics::cases());
    cases.extend(network_flags::cases());
    cases.extend(serving::cases());
    cases.extend(cluster::cases());
    cases.extend(system::cases());
    cases.extend(screen::cases());
    let choice = match depth {
        Depth::Usual => Choice::Usual,
        Depth::Deep => Choice::All,
    };
    let jobs = jobs::cases(&workspace::root()?, choice, Seeds::default())?;
    cases.extend(jobs.into_iter().map(|(case, _)| case));
    cases.extend(strangers::cases());
    cases.extend(misfits::cases());
    cases.extend(bench::cases());
    cases.extend(libtest::crates()?);
    if depth == Depth::Deep {
        cases.extend(libtest::deep_crates()?);
    }
    let (guests, mut cases): (Vec<_>, Vec<_>) = cases
        .into_iter()
        .partition(|case| case.company == Company::Guests);
    cases.extend(spread(libtest::std_tests()?, guests));
    Ok(cases)
}

/// `few` evenly among `many`: each of these tests is a build of its own, which would leave
/// those without anything to run wait for each other.
fn spread<T>(few: Vec<T>, many: Vec<T>) -> Vec<T> {
    let between = many.len() / few.len().max(1);
    let (mut all, mut many) = (Vec::new(), many.into_iter());
    for one in few {
        all.extend(many.by_ref().take(between));
        all.push(one);
    }
    all.extend(many);
    all
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn few_are_spread_among_many() {
        assert_eq!(spread(vec![8, 9], vec![1, 2, 3]), [1, 8, 2, 9, 3]);
        assert_eq!(spread(vec![7, 8, 9], vec![1]), [7, 8, 9, 1]);
        assert_eq!(spread(vec![8], vec![]), [8]);
        assert_eq!(spread(vec![], vec![1, 2]), [1, 2]);
    }
}
