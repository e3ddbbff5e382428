//! Rust's own tests of its standard library. Which ones, and what is left out
//! of them, says ci/std-tests.toml.

mod list;
mod package;

use super::list::read;
use super::run::{self, Place, Turns};
use crate::error::Result;
use crate::test::case::{Case, Verdict};
use crate::test::suite::Suite;
use crate::workspace;
use list::TestSuite;

/// One for each test program, the last of the list first: the longest are at its end.
pub fn cases() -> Result<Vec<Case>> {
    let suites = read::<TestSuite>(&workspace::root()?.join("ci/std-tests.toml"))?;
    Ok(suites
        .into_iter()
        .rev()
        .map(|tests| {
            Case::new(format!("std/{}", tests.name), move |suite| {
                test(suite, &tests)
            })
        })
        .collect())
}

/// Builds a test program and runs it.
fn test(suite: &Suite, tests: &TestSuite) -> Verdict {
    let name = format!("std/{}", tests.name);
    let program = suite.build(|set| run::timed(&name, || package::build(set, tests)))?;
    let place = Place::Machine;
    run::run(suite, &name, &program, place, &tests.skip, Turns::Together)
}
