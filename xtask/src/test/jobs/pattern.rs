//! Regular expressions for lines, that may speak of the machines that were killed.

use std::fmt;

use regex::Regex;
use serde::Deserialize;

/// Stands for the numbers of the machines that were killed: any of them matches.
const KILLED: &str = "{killed}";

/// What a line has to contain, as the `regex` crate has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(String);

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let pattern = Self(text);
        match pattern.compiled(&[0]) {
            Ok(_) => Ok(pattern),
            Err(error) => Err(format!("expected a regular expression: {error}")),
        }
    }
}

impl Pattern {
    /// Whether it speaks of machines that were killed.
    pub fn needs_killed(&self) -> bool {
        self.0.contains(KILLED)
    }

    /// Whether some line of the text matches.
    pub fn is_in(&self, text: &str, killed: &[u16]) -> bool {
        let compiled = self.compiled(killed);
        compiled.is_ok_and(|regex| text.lines().any(|line| regex.is_match(line)))
    }

    fn compiled(&self, killed: &[u16]) -> Result<Regex, regex::Error> {
        let numbers: Vec<String> = killed.iter().map(ToString::to_string).collect();
        // Of nobody it is true that nothing matches.
        let any = match &numbers[..] {
            [] => r"[^\s\S]".into(),
            numbers => format!("(?:{})", numbers.join("|")),
        };
        Regex::new(&self.0.replace(KILLED, &any))
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    fn pattern(text: &str) -> Pattern {
        Pattern::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn lines_are_looked_at_one_by_one() {
        let text = "first\nsecond line\n";
        assert!(pattern("^second").is_in(text, &[]));
        assert!(pattern("line$").is_in(text, &[]));
        assert!(!pattern("first.*second").is_in(text, &[]));
    }

    #[test]
    fn those_who_were_killed_have_numbers() {
        let lost = pattern("lost: node {killed} ");
        assert!(lost.needs_killed());
        assert!(lost.is_in("lost: node 12 is", &[1, 12]));
        assert!(!lost.is_in("lost: node 2 is", &[1, 12]));
        assert!(!lost.is_in("lost: node 2 is", &[]));
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        let error = Pattern::try_from("a(b".to_owned()).unwrap_err();
        assert!(error.contains("expected a regular expression"), "{error}");
    }
}
