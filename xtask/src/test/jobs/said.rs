//! What `xtask cluster` has said, and what can be learned from it.

use std::process::Output;

/// What xtask says of a machine that it killed by order.
const KILLED: &str = "xtask: killed (--kill)";
/// What it says if nothing was made to fail.
const NOTHING_FAILED: &str = "xtask: --after: ";

/// See the module.
pub struct Said {
    /// The exit status; `None` after a signal.
    pub status: Option<i32>,
    /// The program's standard output.
    pub stdout: Vec<u8>,
    /// Lines of all nodes, each with its node's name, and xtask's own.
    pub stderr: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Said {
    /// What one machine has said on standard error.
    pub fn of_node(&self, node: u16) -> String {
        let prefix = format!("[n{node}] ");
        let lines = self.stderr.lines();
        let mut text = String::new();
        for line in lines.filter_map(|line| line.strip_prefix(&prefix)) {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    /// Those of so many machines that were killed by order.
    pub fn killed(&self, nodes: u16) -> Vec<u16> {
        let is_killed = |node: &u16| self.of_node(*node).lines().any(|line| line == KILLED);
        (0..nodes).filter(is_killed).collect()
    }

    /// Whether faults were to begin with a line that has not come.
    pub fn nothing_failed(&self) -> bool {
        let mut lines = self.stderr.lines();
        lines.any(|line| line.starts_with(NOTHING_FAILED))
    }
}

#[cfg(test)]
mod tests {
    use super::Said;

    fn said(stderr: &str) -> Said {
        Said {
            status: Some(0),
            stdout: Vec::new(),
            stderr: stderr.into(),
        }
    }

    #[test]
    fn lines_belong_to_nodes() {
        let said = said("[n1] one\nxtask: hello\n[n11] eleven\n[n1] two\n");
        assert_eq!(said.of_node(1), "one\ntwo\n");
        assert_eq!(said.of_node(0), "");
    }

    #[test]
    fn the_killed_are_known() {
        let said = said("[n0] xtask: killed: it still ran\n[n2] xtask: killed (--kill)\n");
        assert_eq!(said.killed(3), [2]);
        assert!(!said.nothing_failed());
    }
}
