//! The list of crates, ci/crate-tests.toml, and what it leaves out.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::repository::Repository;
use crate::error::{Error, Result};
use crate::test::libtest::list::Listed;
use crate::test::libtest::run::{Place, Turns};
use crate::test::libtest::skip::Skip;

/// The tests of one crate: a program for each of its files of tests, and one,
/// `unit`, for those inside its library.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestSuite {
    /// What it is called here.
    pub name: String,
    /// The crate's package in the registry.
    pub package: String,
    /// Features that are off by default and on here.
    #[serde(default)]
    pub features: Vec<String>,
    /// Where its tests are, if its package comes without.
    pub repository: Option<Repository>,
    /// Dependencies that its manifest says tests have, and no test here has.
    #[serde(default)]
    pub without: Vec<String>,
    /// Programs that run several tests at a time.
    #[serde(default)]
    together: Vec<String>,
    /// By program: parts of the names of those of its tests that run several at a time.
    #[serde(default)]
    crowded: BTreeMap<String, Vec<String>>,
    /// Programs that are left out, and why.
    #[serde(default)]
    pub omit: BTreeMap<String, String>,
    /// By program: the tests that are left out of it.
    #[serde(default)]
    skip: BTreeMap<String, Vec<Skip>>,
    /// By program: those that are left out as well where several machines are one system. Without,
    /// the suite does not run there.
    on_system: Option<BTreeMap<String, Vec<Skip>>>,
    /// Whether it runs on one machine.
    #[serde(default = "yes")]
    pub on_machine: bool,
}

fn yes() -> bool {
    true
}

impl Listed for TestSuite {
    fn check(&self, before: &[Self]) -> Result<()> {
        if before
            .iter()
            .any(|other| other.name == self.name || other.package == self.package)
        {
            return Err(Error::usage(format!(
                "found two suites `{}` or of `{}`",
                self.name, self.package
            )));
        }
        let refused = |what: &str| Err(Error::usage(format!("suite `{}`: {what}", self.name)));
        let is_plain = |text: &str| {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            !text.is_empty() && text.chars().all(is_plain)
        };
        if !self.name.split('/').all(is_plain) {
            return refused("expected a name of letters, digits, `-`, `_`, with slashes between");
        }
        if !is_plain(&self.package) {
            return refused("expected the name of a package");
        }
        if self.omit.values().any(|why| why.trim().is_empty()) {
            return refused("a program is left out for a reason");
        }
        if let Some(what) = self
            .repository
            .as_ref()
            .and_then(|repository| repository.check().err())
        {
            return refused(&what);
        }
        let both = |program: &String| self.crowded.contains_key(program);
        if self.together.iter().any(both) || self.crowded.values().any(Vec::is_empty) {
            return refused("several at a time are either all of a program's tests, or some");
        }
        if !self.on_machine && self.on_system.is_none() {
            return refused("expected it to run on one machine, or on several");
        }
        let mut skips = self
            .skip
            .values()
            .chain(self.on_system.iter().flat_map(BTreeMap::values))
            .flatten();
        match skips.find_map(|skip| skip.check().err()) {
            Some(what) => refused(&what),
            None => Ok(()),
        }
    }
}

impl TestSuite {
    /// Of all programs of the crate, those to build. An error if the list names
    /// one that there is not, or if none is left.
    pub fn chosen(&self, all: &[String]) -> Result<Vec<String>> {
        let mut named = self
            .omit
            .keys()
            .chain(self.skip.keys())
            .chain(self.on_system.iter().flat_map(BTreeMap::keys))
            .chain(&self.together)
            .chain(self.crowded.keys());
        if let Some(name) = named.find(|name| !all.contains(name)) {
            return Err(Error::usage(format!(
                "suite `{}`: found no test program `{name}`, expected one of {}",
                self.name,
                all.join(", ")
            )));
        }
        let chosen: Vec<String> = all
            .iter()
            .filter(|name| !self.omit.contains_key(*name))
            .cloned()
            .collect();
        match chosen.is_empty() {
            true => Err(Error::usage(format!(
                "suite `{}`: all of its test programs are left out",
                self.name
            ))),
            false => Ok(chosen),
        }
    }

    /// How a program runs its tests.
    pub fn turns(&self, program: &str) -> Turns<'_> {
        match self.crowded.get(program) {
            Some(names) => Turns::AloneBut(names),
            None if self.together.iter().any(|name| name == program) => Turns::Together,
            None => Turns::Alone,
        }
    }

    /// Whether it runs where several machines are one system.
    pub fn is_on_system(&self) -> bool {
        self.on_system.is_some()
    }

    /// What is left out of a program.
    pub fn skips(&self, program: &str, place: Place) -> Vec<Skip> {
        let mut lists = vec![self.skip.get(program)];
        if place != Place::Machine {
            lists.push(self.on_system.as_ref().and_then(|more| more.get(program)));
        }
        lists.into_iter().flatten().flatten().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, TestSuite, Turns};
    use crate::test::libtest::list::{self, parse};

    const LIST: &str = r#"
        [[suite]]
        name = "knots/rope"
        package = "knots-rope"
        without = ["signals"]
        together = ["untie"]
        crowded.pull = ["stress"]
        omit.unit = "has none"

        [[suite.skip.tie]]
        name = "panics"
        why = "a panic ends the program"

        [[suite.on_system.tie]]
        name = "slips"
        why = "the rope is too long"

        [[suite]]
        name = "string"
        package = "string"

        [suite.repository]
        url = "https://strings.example/string"
        commit = "0123456789abcdef0123456789abcdef01234567"
        tests = ["pull"]
        append."util/mod.rs" = "util.rs"
    "#;

    fn suites() -> Vec<TestSuite> {
        parse(LIST).unwrap()
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn the_list_is_read() {
        let suites = suites();
        assert_eq!(suites.len(), 2);
        assert_eq!(suites[0].without, ["signals"]);
        assert_eq!(suites[0].turns("tie"), Turns::Alone);
        assert_eq!(suites[0].turns("untie"), Turns::Together);
        assert_eq!(
            suites[0].turns("pull"),
            Turns::AloneBut(&["stress".to_owned()])
        );
        let skips = |suite: usize, program, place| -> Vec<String> {
            let skips = suites[suite].skips(program, place).into_iter();
            skips.map(|skip| skip.name).collect()
        };
        let system = Place::System { nodes: 3 };
        assert_eq!(skips(0, "tie", Place::Machine), ["panics"]);
        assert_eq!(skips(0, "tie", system), ["panics", "slips"]);
        assert!(skips(0, "unit", system).is_empty());
        assert!(suites[0].is_on_system() && !suites[1].is_on_system());
        assert!(suites[1].without.is_empty() && skips(1, "tie", system).is_empty());
    }

    #[test]
    fn the_repositorys_list_is_sound() {
        let root = crate::workspace::root().unwrap();
        let suites = list::read::<TestSuite>(&root.join("ci/crate-tests.toml")).unwrap();
        assert!(!suites.is_empty());
    }

    #[test]
    fn what_cannot_have_been_meant_is_refused() {
        for (from, to) in [
            ("without", "with"),
            ("name = \"string\"", "name = \"knots/rope\""),
            ("package = \"string\"", "package = \"knots-rope\""),
            ("package = \"string\"", "package = \"../string\""),
            ("knots/rope", "knots//rope"),
            ("has none", ""),
            ("crowded.pull", "crowded.untie"),
            ("[\"stress\"]", "[]"),
            ("a panic ends the program", " "),
            ("the rope is too long", ""),
            (
                "package = \"string\"",
                "package = \"string\"\non_machine = false",
            ),
            ("https://", "--upload-pack=https://"),
            ("89abcdef0123", "89abcdeg0123"),
            ("0123456789", "123456789"),
            ("[\"pull\"]", "[\"../pull\"]"),
            ("[\"pull\"]", "[]"),
            ("util/mod.rs", "../util/mod.rs"),
            ("\"util.rs\"", "\"/util.rs\""),
        ] {
            let text = LIST.replacen(from, to, 1);
            assert_ne!(text, LIST, "{from} is not in the list");
            assert!(parse::<TestSuite>(&text).is_err(), "{from} -> {to}");
        }
    }

    #[test]
    fn programs_are_left_out_by_name() {
        let all = names(&["unit", "tie", "untie", "pull"]);
        assert_eq!(suites()[0].chosen(&all).unwrap(), ["tie", "untie", "pull"]);
        assert_eq!(suites()[1].chosen(&all).unwrap(), all);
    }

    #[test]
    fn what_is_left_out_exists_and_is_not_everything() {
        for all in [
            &["unit", "untie", "pull"][..],
            &["tie", "untie", "pull"],
            &["unit", "tie", "pull"],
            &["unit", "tie", "untie"],
            &[],
        ] {
            assert!(suites()[0].chosen(&names(all)).is_err(), "{all:?}");
        }
        assert!(suites()[1].chosen(&[]).is_err());
    }
}
