//! The list of test programs, ci/std-tests.toml, and what it leaves out.

use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::test::libtest::list::Listed;
use crate::test::libtest::skip::Skip;

/// One test program.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestSuite {
    /// What it is called here.
    pub name: String,
    /// Its first file, as seen from the sources' folder `library`.
    source: Option<PathBuf>,
    /// Or a first file of the repository's folder ci/std-tests, for tests that are inside
    /// of std's own modules.
    frame: Option<PathBuf>,
    /// Unstable features that it uses without naming them.
    #[serde(default)]
    pub features: Vec<String>,
    /// What is left out of it.
    #[serde(default)]
    pub skip: Vec<Skip>,
}

/// Where a test program begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First<'a> {
    /// With a file of the sources' folder `library`.
    Source(&'a Path),
    /// With a file of ours, which has a link `library` to that folder beside it.
    Frame(&'a Path),
}

impl TestSuite {
    /// Its first file.
    pub fn first(&self) -> Result<First<'_>> {
        match (&self.source, &self.frame) {
            (Some(source), None) => Ok(First::Source(source)),
            (None, Some(frame)) => Ok(First::Frame(frame)),
            _ => Err(Error::usage(format!(
                "suite `{}`: expected either a `source` or a `frame`",
                self.name
            ))),
        }
    }
}

impl Listed for TestSuite {
    fn check(&self, before: &[Self]) -> Result<()> {
        if before.iter().any(|other| other.name == self.name) {
            return Err(Error::usage(format!("found two suites `{}`", self.name)));
        }
        let refused = |what: &str| Err(Error::usage(format!("suite `{}`: {what}", self.name)));
        // It names folders, a package and one of cargo's targets.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if self.name.is_empty() || !self.name.chars().all(is_plain) {
            return refused("expected a name of letters, digits, `-` and `_`");
        }
        let is_inside = |part: Component| matches!(part, Component::Normal(_));
        let (First::Source(first) | First::Frame(first)) = self.first()?;
        if first.as_os_str().is_empty() || !first.components().all(is_inside) {
            return refused(
                "expected a source below the folder `library`, or a frame below ci/std-tests",
            );
        }
        match self.skip.iter().find_map(|skip| skip.check().err()) {
            Some(what) => refused(&what),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{First, TestSuite};
    use crate::test::libtest::list::{self, parse};

    const LIST: &str = r#"
        [[suite]]
        name = "sync"
        source = "std/tests/sync/lib.rs"
        features = ["sync_poison_mod"]

        [[suite.skip]]
        name = "::poisons"
        count = 2
        why = "a panic ends the program"

        [[suite.skip]]
        name = "mutex::poisons"
        why = "the same once more"

        [[suite]]
        name = "time"
        source = "std/tests/time.rs"

        [[suite]]
        name = "inner"
        frame = "inner.rs"
    "#;

    fn suites() -> Vec<TestSuite> {
        parse(LIST).unwrap()
    }

    #[test]
    fn the_list_is_read() {
        let suites = suites();
        assert_eq!(suites.len(), 3);
        assert_eq!(
            suites[0].first().unwrap(),
            First::Source(Path::new("std/tests/sync/lib.rs"))
        );
        assert_eq!(
            suites[2].first().unwrap(),
            First::Frame(Path::new("inner.rs"))
        );
        assert_eq!(suites[0].features, ["sync_poison_mod"]);
        assert_eq!(suites[0].skip[0].count, 2);
        assert_eq!(suites[0].skip[1].count, 1);
        assert!(suites[1].features.is_empty() && suites[1].skip.is_empty());
    }

    #[test]
    fn the_repositorys_list_is_sound() {
        let root = crate::workspace::root().unwrap();
        assert!(
            !list::read::<TestSuite>(&root.join("ci/std-tests.toml"))
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn what_cannot_have_been_meant_is_refused() {
        for (from, to) in [
            ("features", "feature"),
            ("why = ", "because = "),
            ("name = \"time\"", "name = \"sync\""),
            ("name = \"time\"", "name = \"../time\""),
            ("std/tests/time.rs", "/std/tests/time.rs"),
            ("std/tests/time.rs", "std/../../time.rs"),
            ("frame = \"inner.rs\"", "frame = \"../inner.rs\""),
            ("frame = \"inner.rs\"", ""),
            ("frame =", "source = \"inner.rs\"\nframe ="),
            ("count = 2", "count = 0"),
            ("a panic ends the program", " "),
            ("::poisons\"\n        count", "\"\n        count"),
        ] {
            let text = LIST.replacen(from, to, 1);
            assert_ne!(text, LIST, "{from} is not in the list");
            assert!(parse::<TestSuite>(&text).is_err(), "{from} -> {to}");
        }
    }
}
