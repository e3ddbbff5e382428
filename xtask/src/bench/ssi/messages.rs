//! How many messages about pages programs cost on 4 and 8 machines, beside what the simulator needs for the same faults
//! at the same times (`darner-traces --replay`).

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::cluster::Clusters;
use crate::bench::figure::{Figure, Goal};
use crate::command;
use crate::error::{Context, Error, Result};

/// Programs, and their arguments: so little work that no trace overflows.
const PROGRAMS: [(&str, &[&str]); 4] = [
    ("sor", &["--size", "192", "--rounds", "12"]),
    ("is", &["--keys", "100000"]),
    ("lu", &["--blocks", "6"]),
    ("ep", &["--log2-pairs", "18"]),
];

/// What is said when nodes become a cluster, before the program begins.
const FORMING: [&str; 4] = ["report", "drained", "reports_end", "resume"];

/// All figures. `simulator`: the program `darner-traces`.
pub fn messages(clusters: &Clusters<'_>, simulator: &Path) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for nodes in [4, 8] {
        for (app, args) in PROGRAMS {
            let program = [&[app], args].concat();
            let (said, trace) = clusters.traced(nodes, &["--mem", "128"], &program)?;
            let lines = clusters.folder().join("faults.txt");
            std::fs::write(&lines, faults(&trace)?)
                .context(|| format!("write {}", lines.display()))?;
            let mut replay = Command::new(simulator);
            replay.args(["--nodes", &nodes.to_string(), "--replay"]);
            let replayed = command::output(replay.arg(&lines))?;
            let simulated = total(&replayed)?;
            let real = said.messages(&FORMING)?;
            let name = format!("ssi/{app}_messages_{nodes}");
            let off = (real - simulated).abs() / simulated.max(1.0) * 100.0;
            figures.push(Figure::new(name.clone(), real, "messages").peer("simulator", simulated));
            figures.push(Figure::new(format!("{name}_off"), off, "%").goal(Goal::AtMost(5.0)));
        }
    }
    Ok(figures)
}

/// What a trace says of pages, as the simulator reads it.
fn faults(trace: &Value) -> Result<String> {
    let overwritten = trace["otherData"]["overwritten"].as_u64();
    if overwritten != Some(0) {
        return Err(Error::failed(format!(
            "found {overwritten:?} events overwritten in a trace, expected none: the program does too much"
        )));
    }
    let mut lines = String::new();
    let events = trace["traceEvents"].as_array().into_iter().flatten();
    for event in events.filter(|event| event["cat"] == "pages") {
        let ns = event["ts"].as_f64().unwrap_or_default().max(0.0) * 1000.0;
        let args = &event["args"];
        let (node, what) = (&event["pid"], event["name"].as_str().unwrap_or_default());
        let _ = writeln!(
            lines,
            "{ns:.0} {node} {what} {} {}",
            args["page"], args["pages"]
        );
    }
    Ok(lines)
}

/// All messages that the simulator has counted.
fn total(said: &str) -> Result<f64> {
    let counts = said.lines().map(|line| {
        let count = line.strip_prefix("message ")?.split(' ').nth(1)?;
        count.parse::<f64>().ok()
    });
    let total: Option<f64> = counts.sum();
    total.ok_or_else(|| Error::failed(format!("found no `message NAME COUNT` in: {said}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{faults, total};

    #[test]
    fn a_trace_becomes_lines() {
        let trace = json!({
            "otherData": { "overwritten": 0 },
            "traceEvents": [
                { "cat": "pages", "ts": 1.5, "pid": 2, "name": "read", "args": { "page": 77, "pages": 1 } },
                { "cat": "thread", "ts": 3.0, "pid": 1, "name": "thread 1" },
            ],
        });
        assert_eq!(faults(&trace).ok().as_deref(), Some("1500 2 read 77 1\n"));
        let overwritten = json!({ "otherData": { "overwritten": 3 }, "traceEvents": [] });
        assert!(faults(&overwritten).is_err());
    }

    #[test]
    fn messages_are_added_up() {
        assert_eq!(total("message Get 3\nmessage Grant 4\n").ok(), Some(7.0));
        assert!(total("nothing").is_err());
    }
}
