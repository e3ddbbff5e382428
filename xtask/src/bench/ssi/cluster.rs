//! Running clusters, and reading what they print.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::app::App;
use crate::bench::guests::Guests;
use crate::command::shown;
use crate::error::{Context, Error, Result};

/// How long a run may take, in seconds.
const PATIENCE: &str = "600";

/// Starts clusters.
pub struct Clusters<'a> {
    guests: &'a Guests<'a>,
    xtask: PathBuf,
}

/// What a run has left.
pub struct Said {
    stdout: String,
    stderr: String,
    /// What its nodes have counted, where that was asked for.
    counted: Option<Value>,
}

impl<'a> Clusters<'a> {
    /// By this very program.
    pub fn new(guests: &'a Guests<'a>) -> Result<Self> {
        let xtask = std::env::current_exe().context(|| "find this program".into())?;
        Ok(Self { guests, xtask })
    }

    /// Whether there is a program of that name.
    pub fn has(&self, app: &str) -> bool {
        App::find(&self.guests.set().root, app).is_ok()
    }

    /// Runs a cluster: its options, and the program with its arguments. It has to end with 0.
    pub fn run(&self, nodes: u16, options: &[&str], app: &[&str]) -> Result<Said> {
        self.ran(nodes, options, app, None)
    }

    /// As [`Self::run`], one system whose nodes count.
    pub fn counted(&self, nodes: u16, options: &[&str], app: &[&str]) -> Result<Said> {
        let file = self.guests.folder().join("counted.json");
        let path = file.display().to_string();
        let options = [options, &["--stats-json", &path]].concat();
        let mut said = self.ran(nodes, &options, app, Some(&file))?;
        std::fs::remove_file(&file).context(|| format!("remove {path}"))?;
        said.counted.get_or_insert(Value::Null);
        Ok(said)
    }

    /// As [`Self::counted`], with a trace of what the nodes did.
    pub fn traced(&self, nodes: u16, options: &[&str], app: &[&str]) -> Result<(Said, Value)> {
        let file = self.folder().join("trace.json");
        let path = file.display().to_string();
        let said = self.counted(nodes, &[options, &["--trace", &path]].concat(), app)?;
        let text = std::fs::read_to_string(&file).context(|| format!("read {path}"))?;
        std::fs::remove_file(&file).context(|| format!("remove {path}"))?;
        let trace = serde_json::from_str(&text).context(|| format!("read {path}"))?;
        Ok((said, trace))
    }

    /// Where files of a run may go.
    pub fn folder(&self) -> &Path {
        self.guests.folder()
    }

    fn ran(
        &self,
        nodes: u16,
        options: &[&str],
        app: &[&str],
        counted: Option<&PathBuf>,
    ) -> Result<Said> {
        let (name, args) = app.split_first().expect("a program is named");
        let mut command = Command::new(&self.xtask);
        command
            .current_dir(&self.guests.set().root)
            .args(["cluster", "--nodes", &nodes.to_string()])
            .args(["--timeout", PATIENCE])
            .args(options)
            .arg(name)
            .arg("--")
            .args(args);
        eprintln!("xtask: {nodes} nodes: {}", app.join(" "));
        let Output {
            status,
            stdout,
            stderr,
        } = command
            .output()
            .context(|| format!("run `{}`", shown(&command)))?;
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&stdout), text(&stderr));
        if !status.success() {
            return Err(Error::failed(format!(
                "`{}` failed ({status}): {stdout}{stderr}",
                shown(&command)
            )));
        }
        let counted = match counted {
            None => None,
            Some(file) => {
                let text =
                    std::fs::read_to_string(file).context(|| format!("read {}", file.display()))?;
                Some(serde_json::from_str(&text).context(|| format!("read {}", file.display()))?)
            }
        };
        Ok(Said {
            stdout,
            stderr,
            counted,
        })
    }
}

impl Said {
    /// The number behind a name on standard output, whichever node printed it.
    pub fn number(&self, name: &str) -> Result<f64> {
        number(&self.stdout, name).ok_or_else(|| {
            let stdout = &self.stdout;
            Error::failed(format!("found no line `{name} NUMBER` in: {stdout}"))
        })
    }

    /// How long the program says that it took, in ms: `123 ms with 2 thread(s)`.
    pub fn took_ms(&self) -> Result<f64> {
        took_ms(&self.stderr).ok_or_else(|| {
            let stderr = &self.stderr;
            Error::failed(format!("found no line `NUMBER ms with …` in: {stderr}"))
        })
    }

    /// How long the first node took to its first output, in seconds.
    pub fn booted(&self) -> Result<f64> {
        let ms = booted_ms(&self.stderr).ok_or_else(|| {
            let stderr = &self.stderr;
            Error::failed(format!("found no line `booted in NUMBER ms` in: {stderr}"))
        })?;
        Ok(ms / 1000.0)
    }

    /// What all nodes together have counted of something.
    pub fn sum(&self, count: &str) -> Result<f64> {
        let nodes = self
            .counted
            .as_ref()
            .and_then(|all| all["nodes"].as_array());
        let counts = nodes.into_iter().flatten().map(|node| node[count].as_f64());
        let counts: Option<Vec<f64>> = counts.collect();
        match counts {
            Some(counts) if !counts.is_empty() => Ok(counts.into_iter().sum()),
            _ => Err(Error::failed(format!(
                "found no `{count}` of each node in: {:?}",
                self.counted
            ))),
        }
    }
}

impl Said {
    /// Messages about pages that all nodes have sent, but for those of some names.
    pub fn messages(&self, but: &[&str]) -> Result<f64> {
        let nodes = self
            .counted
            .as_ref()
            .and_then(|all| all["nodes"].as_array());
        let kinds = nodes.into_iter().flatten();
        let kinds = kinds.filter_map(|node| node["messages_sent"].as_object());
        let counts: Vec<f64> = kinds
            .flatten()
            .filter(|(name, _)| !but.contains(&name.as_str()))
            .filter_map(|(_, count)| count.as_f64())
            .collect();
        match counts.is_empty() {
            true => Err(Error::failed(format!(
                "found no messages in: {:?}",
                self.counted
            ))),
            false => Ok(counts.into_iter().sum()),
        }
    }
}

fn number(stdout: &str, name: &str) -> Option<f64> {
    stdout.lines().find_map(|line| {
        let line = line.split_once("] ").map_or(line, |(_, line)| line);
        line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok()
    })
}

fn took_ms(stderr: &str) -> Option<f64> {
    stderr.lines().find_map(|line| {
        let (before, _) = line.split_once(" ms with ")?;
        before.rsplit(' ').next()?.parse().ok()
    })
}

fn booted_ms(stderr: &str) -> Option<f64> {
    stderr.lines().find_map(|line| {
        let (_, time) = line.split_once("[n0] booted in ")?;
        time.split_once(" ms")?.0.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Said, booted_ms, number, took_ms};

    #[test]
    fn numbers_are_found_behind_their_names() {
        let stdout = "picture\n[n1] rpc_median_ns 7\nrpc_median 5\nfault_median_ns x\n";
        assert_eq!(number(stdout, "rpc_median_ns"), Some(7.0));
        assert_eq!(number(stdout, "rpc_median"), Some(5.0));
        assert_eq!(number(stdout, "fault_median_ns"), None);
    }

    #[test]
    fn times_are_found_in_what_is_said() {
        let stderr = "[n1] booted in 9 ms (x)\n[n0] booted in 1244 ms (firmware 280.0)\n\
                      [n0] drawn: 284 ms with 2 thread(s)\n";
        assert_eq!(booted_ms(stderr), Some(1244.0));
        assert_eq!(took_ms(stderr), Some(284.0));
        assert_eq!(took_ms("in 3 ms without"), None);
    }

    #[test]
    fn counts_are_those_of_all_nodes() {
        let said = |counted| Said {
            stdout: String::new(),
            stderr: String::new(),
            counted: Some(counted),
        };
        let nodes = said(json!({ "nodes": [{ "hold_waits": 3 }, { "hold_waits": 4 }] }));
        assert_eq!(nodes.sum("hold_waits").ok(), Some(7.0));
        assert!(nodes.sum("steals").is_err());
        assert!(said(json!({ "nodes": [] })).sum("steals").is_err());
    }
}
