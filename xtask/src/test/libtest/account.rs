//! Adds up what became of every test of a program.

use super::output::Summary;

/// What became of the tests that a program lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    summary: Summary,
    /// Left out by the list.
    skipped: usize,
    /// Left out for having to panic.
    must_panic: usize,
}

impl Account {
    /// Of a run of a program that lists `listed` tests, `skipped` of which were
    /// to be left out. An error if a test failed, or if one is unaccounted for.
    pub fn draw(listed: usize, skipped: usize, summary: Summary) -> Result<Self, String> {
        if !summary.is_ok || summary.failed != 0 {
            return Err(format!("{} tests failed", summary.failed));
        }
        if summary.passed == 0 {
            return Err("no test was run".into());
        }
        let told = summary.passed + summary.ignored + summary.measured;
        if told != summary.running {
            return Err(format!(
                "libtest set out to run {} tests and tells of {told}",
                summary.running
            ));
        }
        if summary.running + summary.filtered_out != listed {
            return Err(format!(
                "libtest lists {listed} tests, ran {} and left out {}",
                summary.running, summary.filtered_out
            ));
        }
        let must_panic = summary.filtered_out.checked_sub(skipped).ok_or_else(|| {
            format!(
                "libtest left out {} tests, expected at least the {skipped} to skip",
                summary.filtered_out
            )
        })?;
        Ok(Self {
            summary,
            skipped,
            must_panic,
        })
    }

    /// Of two runs that share out a program's tests, of which `skipped` were in neither.
    pub fn and(self, other: Self, skipped: usize) -> Self {
        let summary = Summary {
            passed: self.summary.passed + other.summary.passed,
            ignored: self.summary.ignored + other.summary.ignored,
            ..self.summary
        };
        Self {
            summary,
            skipped,
            must_panic: self.must_panic + other.must_panic,
        }
    }
}

impl std::fmt::Display for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Summary {
            passed,
            failed,
            ignored,
            ..
        } = self.summary;
        write!(
            f,
            "{passed} passed, {failed} failed, {ignored} ignored, {} skipped, {} must panic",
            self.skipped, self.must_panic
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Account, Summary};

    fn summary() -> Summary {
        Summary {
            is_ok: true,
            running: 7,
            passed: 4,
            ignored: 3,
            filtered_out: 12,
            ..Summary::default()
        }
    }

    #[test]
    fn all_tests_are_told_of() {
        let account = Account::draw(19, 10, summary()).unwrap();
        assert_eq!(
            account.to_string(),
            "4 passed, 0 failed, 3 ignored, 10 skipped, 2 must panic"
        );
    }

    #[test]
    fn a_test_that_is_lost_is_an_error() {
        assert!(Account::draw(20, 10, summary()).is_err());
        assert!(Account::draw(19, 13, summary()).is_err());
        let lost = Summary {
            passed: 3,
            ..summary()
        };
        assert!(Account::draw(19, 10, lost).is_err());
    }

    #[test]
    fn tests_of_two_runs_are_added_up() {
        let first = Account::draw(19, 10, summary()).unwrap();
        let rest = Summary {
            running: 5,
            passed: 5,
            ignored: 0,
            filtered_out: 14,
            ..summary()
        };
        let second = Account::draw(19, 14, rest).unwrap();
        assert_eq!(
            first.and(second, 5).to_string(),
            "9 passed, 0 failed, 3 ignored, 5 skipped, 2 must panic"
        );
    }

    #[test]
    fn a_failure_is_an_error() {
        let failed = Summary {
            passed: 3,
            failed: 1,
            ..summary()
        };
        assert!(Account::draw(19, 10, failed).is_err());
        let denied = Summary {
            is_ok: false,
            ..summary()
        };
        assert!(Account::draw(19, 10, denied).is_err());
        let nothing = Summary {
            running: 3,
            passed: 0,
            ..summary()
        };
        assert!(Account::draw(15, 10, nothing).is_err());
    }
}
