//! Where the variables of many runs lie.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::tests::{VARIABLES, Variable};

/// Bytes of a page, which is what moves between machines.
const PAGE: usize = 4096;
/// Words of a cache line, which is what moves between CPUs: each variable has its own.
const LINE: usize = 8;
/// Runs that have a page in common: few, so that pages have to move.
const ON_PAGE: usize = 8;
/// Runs of which the variables are there at the same time.
pub const RUNS: usize = 128;
/// Enough pages for each place.
const PAGES: usize = RUNS / ON_PAGE * VARIABLES;

/// How the variables of a run lie to each other.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// On one page.
    SamePage,
    /// Each on another.
    OtherPage,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SamePage => "one page",
            Self::OtherPage => "two pages",
        })
    }
}

#[repr(align(4096))]
struct Page([AtomicU64; PAGE / 8]);

/// The variables of [`RUNS`] runs.
pub struct Arena(Vec<Page>);

impl Arena {
    /// All are 0.
    pub fn new() -> Self {
        let page = |_| Page([const { AtomicU64::new(0) }; PAGE / 8]);
        Self((0..PAGES).map(page).collect())
    }

    /// A variable of a run.
    pub fn variable(&self, place: Place, run: usize, variable: Variable) -> &AtomicU64 {
        let (group, in_group, variable) = (run / ON_PAGE, run % ON_PAGE, variable as usize);
        let (page, line) = match place {
            Place::SamePage => (group, in_group * VARIABLES + variable),
            Place::OtherPage => (group * VARIABLES + variable, in_group),
        };
        &self.0[page].0[line * LINE]
    }

    /// What a run has left in its variables, which are 0 again.
    pub fn take(&self, place: Place, run: usize) -> [u64; VARIABLES] {
        [Variable::X, Variable::Y]
            .map(|one| self.variable(place, run, one).swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn variables_are_apart_and_on_pages_as_they_should() {
        let arena = Arena::new();
        for place in [Place::SamePage, Place::OtherPage] {
            let mut seen = Vec::new();
            for run in 0..RUNS {
                let [x, y] = [Variable::X, Variable::Y]
                    .map(|one| arena.variable(place, run, one) as *const _ as usize);
                let is_same = matches!(place, Place::SamePage);
                assert_eq!(x / PAGE == y / PAGE, is_same);
                seen.extend([x / 64, y / 64]);
            }
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), RUNS * VARIABLES);
        }
    }
}
