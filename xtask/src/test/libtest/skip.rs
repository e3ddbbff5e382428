//! Tests that are left out of a run, each for a reason.

use serde::Deserialize;

/// Tests that are left out.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skip {
    /// The part of their names that they have in common.
    pub name: String,
    /// How many they are.
    #[serde(default = "one")]
    pub count: usize,
    /// Why they are left out.
    why: String,
}

fn one() -> usize {
    1
}

impl Skip {
    /// Refuses what cannot have been meant.
    pub fn check(&self) -> Result<(), String> {
        match self.name.is_empty() || self.count == 0 || self.why.trim().is_empty() {
            true => Err("a skip needs a name, a reason, and a count above 0".into()),
            false => Ok(()),
        }
    }

    /// Whether libtest's `--skip` with this name leaves out the test.
    fn matches(&self, test: &str) -> bool {
        test.contains(&self.name)
    }
}

/// How many of the tests `skips` leave out. An error unless every one of them
/// stands for exactly as many as it says.
pub fn skipped(skips: &[Skip], tests: &[String]) -> Result<usize, String> {
    for skip in skips {
        let found: Vec<&str> = tests
            .iter()
            .filter(|test| skip.matches(test))
            .map(String::as_str)
            .collect();
        if found.len() != skip.count {
            return Err(format!(
                "the skip `{}` stands for {} tests, expected {}: {}",
                skip.name,
                found.len(),
                skip.count,
                found.join(", ")
            ));
        }
    }
    let is_skipped = |test: &&String| skips.iter().any(|skip| skip.matches(test));
    Ok(tests.iter().filter(is_skipped).count())
}

/// How many of the tests that `skips` do not leave out have one of the `names` in theirs. An
/// error if one of these stands for none.
pub fn named(names: &[String], skips: &[Skip], tests: &[String]) -> Result<usize, String> {
    let mut left: Vec<&String> = tests
        .iter()
        .filter(|test| !skips.iter().any(|skip| skip.matches(test)))
        .collect();
    let all = left.len();
    if let Some(name) = names
        .iter()
        .find(|name| !left.iter().any(|test| test.contains(*name)))
    {
        return Err(format!("found no test whose name contains `{name}`"));
    }
    left.retain(|test| !names.iter().any(|name| test.contains(name)));
    Ok(all - left.len())
}

#[cfg(test)]
mod tests {
    use super::{Skip, named, skipped};

    fn skip(name: &str, count: usize) -> Skip {
        Skip {
            name: name.into(),
            count,
            why: "a panic ends the program".into(),
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_test_counts_once_however_often_it_is_named() {
        let tests = names(&["mutex::poisons", "rwlock::poisons", "rwlock::poison"]);
        let skips = [skip("::poisons", 2), skip("mutex::poisons", 1)];
        assert_eq!(skipped(&skips, &tests), Ok(2));
        assert_eq!(skipped(&[], &tests), Ok(0));
    }

    #[test]
    fn a_wrong_count_says_what_was_found() {
        let skips = [skip("::poisons", 2)];
        let tests = names(&["mutex::poisons", "rwlock::poisons", "once::poisons"]);
        let error = skipped(&skips, &tests).unwrap_err();
        for part in ["::poisons", "3 tests", "expected 2", "once::poisons"] {
            assert!(error.contains(part), "no `{part}` in: {error}");
        }
        assert!(skipped(&skips, &[]).unwrap_err().contains("0 tests"));
    }

    #[test]
    fn what_is_skipped_cannot_be_named() {
        let tests = names(&["stress", "stress_poisons", "smoke", "fairness"]);
        let skips = [skip("poisons", 1)];
        let count = |wanted: &[&str]| named(&names(wanted), &skips, &tests);
        assert_eq!(count(&["stress"]), Ok(1));
        assert_eq!(count(&["s", "fair"]), Ok(3));
        assert_eq!(count(&[]), Ok(0));
        assert!(count(&["stress", "poisons"]).is_err());
    }

    #[test]
    fn a_skip_says_what_and_why() {
        assert!(skip("a", 1).check().is_ok());
        assert!(skip("", 1).check().is_err());
        assert!(skip("a", 0).check().is_err());
        let why = " ".into();
        assert!(
            Skip {
                why,
                ..skip("a", 1)
            }
            .check()
            .is_err()
        );
    }
}
