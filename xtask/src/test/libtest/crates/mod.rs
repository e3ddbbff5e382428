//! The tests that crates of the registry bring. Which crates, and what is left
//! out of their tests, says ci/crate-tests.toml; ci/crate-tests pins them.

mod list;
mod lock;
mod package;
mod repository;
mod rewritten;

use super::list::read;
use super::run;
use crate::error::Result;
use crate::test::case::{Case, Verdict};
use crate::test::suite::Suite;
use crate::workspace;
use list::TestSuite;

/// One for each crate.
pub fn cases() -> Result<Vec<Case>> {
    let suites = read::<TestSuite>(&workspace::root()?.join("ci/crate-tests.toml"))?;
    Ok(suites.into_iter().map(case).collect())
}

fn case(tests: TestSuite) -> Case {
    let (name, repository) = (tests.name.clone(), tests.repository.clone());
    // Some look at the time that something took, which other tests would lengthen.
    let case = Case::alone(name, move |suite| test(suite, &tests));
    match repository {
        Some(repository) => case.needing(move || repository.fetched()),
        None => case,
    }
}

/// Builds all test programs of a crate at once, and runs one after the other.
fn test(suite: &Suite, tests: &TestSuite) -> Verdict {
    let programs = suite.build(|set| run::timed(&tests.name, || package::build(set, tests)))?;
    for program in &programs {
        let name = format!("{}/{}", tests.name, program.name);
        let skips = tests.skips(&program.name);
        run::run(suite, &name, program, skips, tests.turns(&program.name))?;
    }
    Ok(())
}
