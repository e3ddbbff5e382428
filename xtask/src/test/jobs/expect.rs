//! What must come of a run.

use serde::Deserialize;

use super::pattern::Pattern;
use super::said::Said;

/// One way in which a run may end.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The exit status.
    #[serde(default)]
    pub status: u8,
    /// What the program prints.
    #[serde(default)]
    pub stdout: Text,
    /// Lines of all nodes (`[n0] …`) and of xtask.
    #[serde(default)]
    pub stderr: Lines,
    /// Lines of each node that was not killed, without its name.
    #[serde(default)]
    pub survivors: Lines,
}

/// What a text must be.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// This, to the byte.
    pub equals: Option<String>,
    /// What the program prints somewhere else, to the byte.
    pub same_as: Option<Elsewhere>,
    /// Patterns; each must be found in a line.
    #[serde(default)]
    has: Vec<Pattern>,
    /// Patterns; none must be found in a line.
    #[serde(default)]
    lacks: Vec<Pattern>,
}

/// Where else programs run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Elsewhere {
    /// On this machine, as a process.
    Linux,
}

/// What lines there must be.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lines {
    /// Patterns; each must be found in a line.
    #[serde(default)]
    has: Vec<Pattern>,
    /// Patterns; none must be found in a line.
    #[serde(default)]
    lacks: Vec<Pattern>,
}

impl Expect {
    /// Whether it speaks of machines that were killed.
    pub fn needs_killed(&self) -> bool {
        let lists = [
            &self.stdout.has,
            &self.stdout.lacks,
            &self.stderr.has,
            &self.stderr.lacks,
            &self.survivors.has,
            &self.survivors.lacks,
        ];
        lists
            .iter()
            .any(|patterns| patterns.iter().any(Pattern::needs_killed))
    }

    /// Whether this is what has come of a run on so many nodes, or why not. `linux` is what the
    /// program prints on Linux, where that is asked for.
    pub fn judge(&self, said: &Said, nodes: u16, linux: Option<&[u8]>) -> Result<(), String> {
        if said.status != Some(self.status.into()) {
            let found = said
                .status
                .map_or("a signal".into(), |status| status.to_string());
            return Err(format!("found status {found}, expected {}", self.status));
        }
        let equals = self.stdout.equals.as_deref().map(str::as_bytes);
        let linux = self.stdout.same_as.and(linux);
        for (what, expected) in [("", equals), (" on Linux", linux)] {
            if let Some(expected) = expected.filter(|expected| *expected != said.stdout) {
                return Err(format!(
                    "found on standard output:\n{}\nexpected what it prints{what}:\n{}",
                    String::from_utf8_lossy(&said.stdout),
                    String::from_utf8_lossy(expected)
                ));
            }
        }
        let killed = said.killed(nodes);
        let stdout = String::from_utf8_lossy(&said.stdout);
        let Text { has, lacks, .. } = &self.stdout;
        look("standard output", &stdout, (has, lacks), &killed)?;
        let Lines { has, lacks } = &self.stderr;
        look("standard error", &said.stderr, (has, lacks), &killed)?;
        let Lines { has, lacks } = &self.survivors;
        for node in (0..nodes).filter(|node| !killed.contains(node)) {
            let text = said.of_node(node);
            look(&format!("what n{node} says"), &text, (has, lacks), &killed)?;
        }
        Ok(())
    }
}

fn look(
    what: &str,
    text: &str,
    (has, lacks): (&[Pattern], &[Pattern]),
    killed: &[u16],
) -> Result<(), String> {
    let is_found = |pattern: &&Pattern| pattern.is_in(text, killed);
    if let Some(missing) = has.iter().find(|pattern| !is_found(pattern)) {
        return Err(format!("no line of {what} matches `{missing}`:\n{text}"));
    }
    match lacks.iter().find(is_found) {
        Some(found) => Err(format!("a line of {what} matches `{found}`:\n{text}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Expect, Said};

    fn expect(text: &str) -> Expect {
        toml::from_str(text).unwrap()
    }

    fn said(status: i32, stdout: &str, stderr: &str) -> Said {
        Said {
            status: Some(status),
            stdout: stdout.into(),
            stderr: stderr.into(),
        }
    }

    fn judge(text: &str, said: &Said) -> Result<(), String> {
        expect(text).judge(said, 3, Some(b"from linux"))
    }

    #[test]
    fn each_part_can_fail() {
        let ended = said(
            75,
            "from linux",
            "[n0] lost: node 1 is\n[n1] xtask: killed (--kill)\n[n2] x",
        );
        for (text, wrong) in [
            ("status = 75", ""),
            ("status = 0", "status 75, expected 0"),
            ("status = 75\nstdout.same_as = 'linux'", ""),
            ("status = 75\nstdout.equals = 'from linux'", ""),
            (
                "status = 75\nstdout.equals = 'from'",
                "expected what it prints:",
            ),
            ("status = 75\nstdout.has = ['^from']", ""),
            (
                "status = 75\nstdout.has = ['^linux']",
                "no line of standard output",
            ),
            (
                "status = 75\nstdout.lacks = ['linux']",
                "a line of standard output",
            ),
            ("status = 75\nstderr.has = ['n0. lost: node {killed} ']", ""),
            (
                "status = 75\nstderr.lacks = ['node {killed}']",
                "a line of standard error",
            ),
            (
                "status = 75\nsurvivors.has = ['lost: node {killed} ']",
                "what n2 says",
            ),
            ("status = 75\nsurvivors.lacks = ['^x$']", "what n2 says"),
            ("status = 75\nsurvivors.lacks = ['killed']", ""),
        ] {
            match (judge(text, &ended), wrong) {
                (Ok(()), "") => {}
                (Err(found), wrong) if !wrong.is_empty() && found.contains(wrong) => {}
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
        let other = said(0, "from here", "");
        let error = judge("stdout.same_as = 'linux'", &other).unwrap_err();
        assert!(error.contains("expected what it prints on Linux:\nfrom linux"));
    }
}
