//! The tests that crates of the registry bring. Which crates, and what is left
//! out of their tests, says ci/crate-tests.toml; ci/crate-tests pins them.

mod list;
mod lock;
mod package;
mod repository;
mod rewritten;

use super::list::read;
use super::run::{self, Place};
use crate::error::Result;
use crate::test::case::{Case, Verdict};
use crate::test::suite::Suite;
use crate::workspace;
use list::TestSuite;

/// Machines that are one system.
const NODES: u16 = 3;

/// One for each crate.
pub fn cases() -> Result<Vec<Case>> {
    let suites = suites()?.into_iter().filter(|tests| tests.on_machine);
    let case = |tests: TestSuite| case(tests.name.clone(), tests, Place::Machine);
    Ok(suites.map(case).collect())
}

/// One for each crate whose tests also run on several machines that are one system.
pub fn deep_cases() -> Result<Vec<Case>> {
    let suites = suites()?.into_iter().filter(TestSuite::is_on_system);
    let case = |tests: TestSuite| {
        let name = format!("system/deep/{}/{NODES}x1", tests.name);
        case(name, tests, Place::System { nodes: NODES })
    };
    Ok(suites.map(case).collect())
}

fn suites() -> Result<Vec<TestSuite>> {
    read::<TestSuite>(&workspace::root()?.join("ci/crate-tests.toml"))
}

fn case(name: String, tests: TestSuite, place: Place) -> Case {
    let repository = tests.repository.clone();
    // Some look at the time that something took, which other tests would lengthen.
    let case = Case::alone(name, move |suite| test(suite, &tests, place));
    match repository {
        Some(repository) => case.needing(move || repository.fetched()),
        None => case,
    }
}

/// Builds all test programs of a crate at once, and runs one after the other.
fn test(suite: &Suite, tests: &TestSuite, place: Place) -> Verdict {
    let programs = suite.build(|set| run::timed(&tests.name, || package::build(set, tests)))?;
    for program in &programs {
        let name = format!("{}/{}", tests.name, program.name);
        let (skips, turns) = (
            tests.skips(&program.name, place),
            tests.turns(&program.name),
        );
        run::run(suite, &name, program, place, &skips, turns)?;
    }
    Ok(())
}
