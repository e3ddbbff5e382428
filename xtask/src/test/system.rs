//! Several machines that are one system: a program does on them what it does on one, and on
//! Linux.

use std::fs;

use serde_json::Value;

use super::case::{Case, Failure, Verdict};
use super::command_line::{expect, xtask};
use super::matrix::on_host;
use super::suite::Suite;

/// Some of everything: machines × CPUs of each.
pub const SHAPES: [(u16, u32); 5] = [(1, 1), (1, 4), (2, 2), (3, 1), (4, 2)];

/// How long a program may take, in seconds: many times what it needs where it has the host for itself.
const PATIENCE: u32 = 150;

/// Parts of `stress`, and how much of them: where every turn of a lock may cost messages.
const STRESS: [(&str, &str); 9] = [
    ("threads", "200"),
    ("spawn", "100"),
    ("mutex", "500"),
    ("condvar", "100"),
    ("barrier", "30"),
    ("channel", "50"),
    ("park", "50"),
    ("sleep", "3"),
    ("timeout", "20"),
];

/// All of them.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (nodes, cpus) in SHAPES {
        let name = move |app: &str| format!("system/{app}/{nodes}x{cpus}");
        cases.push(Case::alone(name("mandelbrot"), move |suite| {
            let args = ["--size", "96"];
            let said = run(suite, nodes, cpus, &["mandelbrot"], &args)?;
            same(&said, &on_host(suite, "mandelbrot", &args)?)
        }));
        if (nodes, cpus) == (1, 4) || (nodes, cpus) == (4, 2) {
            continue;
        }
        cases.push(Case::alone(name("wordcount"), move |suite| {
            let text = suite.set.root.join("LICENSE-APACHE").display().to_string();
            let share = format!("{text}:/text");
            let words = ["wordcount", "--file", &share];
            let said = run(suite, nodes, cpus, &words, &["/text"])?;
            same(&said, &on_host(suite, "wordcount", &[&text])?)
        }));
    }
    for (nodes, cpus) in [(2, 2), (3, 1)] {
        let name = format!("system/std-tour/{nodes}x{cpus}");
        cases.push(Case::alone(name, move |suite| tour(suite, nodes, cpus)));
    }
    for (name, faults) in [("loss", "loss=1%,delay=20ms±20ms"), ("reset", "reset=3%")] {
        let name = format!("system/wordcount/{name}");
        cases.push(Case::new(name, move |suite| {
            let text = suite.set.root.join("LICENSE-APACHE").display().to_string();
            let share = format!("{text}:/text");
            let words = ["wordcount", "--file", &share, "--faults", faults];
            let said = run(suite, 2, 1, &words, &["/text"])?;
            same(&said, &on_host(suite, "wordcount", &[&text])?)
        }));
    }
    // As long as the silence is not too long, nobody is given up, and the program goes on.
    cases.push(Case::new("system/mandelbrot/partition", |suite| {
        let args = ["--size", "700"];
        let words = ["mandelbrot", "--faults", "partition=0|1@1500ms..5s"];
        let said = run(suite, 2, 1, &words, &args)?;
        same(&said, &on_host(suite, "mandelbrot", &args)?)
    }));
    cases.push(Case::alone("system/cluster-tour/1", one_node));
    cases.push(Case::alone("system/cluster-tour/3x1", counted));
    cases.push(Case::alone("system/stress/2x1", stress));
    cases.push(Case::alone("system/status", status));
    for (name, lost, args, status, report) in LOSSES {
        cases.push(Case::new(format!("system/loss/{name}"), move |suite| {
            lose(suite, lost, args, status, report)
        }));
    }
    cases
}

/// Runs a program, which has to end with 0; gives what it has printed.
fn run(
    suite: &Suite,
    nodes: u16,
    cpus: u32,
    words: &[&str],
    args: &[&str],
) -> Result<String, Failure> {
    run_within(suite, PATIENCE, (nodes, cpus), words, args)
}

/// As [`run`], if it takes no longer than some seconds.
pub fn run_within(
    suite: &Suite,
    seconds: u32,
    (nodes, cpus): (u16, u32),
    words: &[&str],
    args: &[&str],
) -> Result<String, Failure> {
    let (nodes, cpus, seconds) = (nodes.to_string(), cpus.to_string(), seconds.to_string());
    let before = [
        "cluster",
        "--nodes",
        &nodes,
        "--smp",
        &cpus,
        "--timeout",
        &seconds,
    ];
    let output = xtask(suite, &[&before, words, &["--"], args].concat())?;
    expect(&output, 0, "booted in ")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// An error unless it said what it says on Linux.
pub fn same(said: &str, expected: &[u8]) -> Verdict {
    match said.as_bytes() == expected {
        true => Ok(()),
        false => Err(format!(
            "found:\n{said}\nexpected what it prints on Linux:\n{}",
            String::from_utf8_lossy(expected)
        ))?,
    }
}

fn tour(suite: &Suite, nodes: u16, cpus: u32) -> Verdict {
    let said = run(suite, nodes, cpus, &["std-tour"], &[])?;
    match said.contains("all well") && !said.contains("FAILED") {
        true => Ok(()),
        false => Err(format!("found:\n{said}"))?,
    }
}

/// What a program asks for beyond `std` it gets on a machine alone, too.
fn one_node(suite: &Suite) -> Verdict {
    let output = xtask(suite, &["run", "--timeout", "60", "cluster-tour"])?;
    expect(&output, 0, "booted in ")?;
    let said = String::from_utf8_lossy(&output.stdout);
    same(&said, &on_host(suite, "cluster-tour", &[])?)
}

/// The same on three; and what the nodes have counted is told when the program has ended.
fn counted(suite: &Suite) -> Verdict {
    let file = suite.path("counted.json");
    let path = file.display().to_string();
    let words = ["cluster-tour", "--stats-json", &path];
    let said = run(suite, 3, 1, &words, &[])?;
    same(&said, &on_host(suite, "cluster-tour", &[])?)?;
    let counted: Value = serde_json::from_str(&fs::read_to_string(&file)?)?;
    let nodes = counted["nodes"].as_array().map_or(&[][..], Vec::as_slice);
    if nodes.len() != 3 {
        Err(format!("found {counted:#}, expected three nodes"))?;
    }
    for node in nodes {
        let is_right = node["read_faults_away"].as_u64() > Some(0)
            && node["silent_upgrades_own"].as_u64() > Some(0)
            && node["messages_received"]["grant"].as_u64() > Some(0)
            && node["fault_ns_50_percent"].as_u64() > Some(0)
            && node["steals_before_retire"] == 0;
        if !is_right {
            Err(format!(
                "found {node:#}, expected numbers, and no page stolen"
            ))?;
        }
    }
    Ok(())
}

fn stress(suite: &Suite) -> Verdict {
    for (part, amount) in STRESS {
        let said = run(suite, 2, 1, &["stress"], &[part, amount])?;
        if !said.contains("all held") {
            Err(format!("found:\n{said}"))?;
        }
    }
    Ok(())
}

/// The program's status is the command's, whichever node ends it.
fn status(suite: &Suite) -> Verdict {
    let of = |args: &[&str], status, said: &str| {
        let words = ["cluster", "--nodes", "2", "--timeout", "60", "faults", "--"];
        expect(&xtask(suite, &[&words, args].concat())?, status, said)
    };
    of(&["exit", "7"], 7, "")?;
    of(&["exit-in-thread", "9"], 9, "")?;
    of(&["panic"], 101, "panics.rs:")?;
    // On the other node: the first thread that is started comes up there.
    of(&["thread-panic"], 101, "[n1] ")?;
    of(&["null"], 139, "null pointer dereference")
}

/// What is lost, of three nodes of which one cannot be reached any more from the sixth second on; what
/// the program is told to do; the status, and what is said.
const LOSSES: [(&str, u16, [&str; 2], u8, &str); 4] = [
    ("nothing", 2, ["lone-node", "18"], 0, "node 2 is gone"),
    (
        "thread",
        1,
        ["lone-node", "40"],
        75,
        "node 1 is gone (it has not been heard of for too long), and with it 1 of",
    ),
    (
        "variable",
        1,
        ["lost-variable", "18"],
        75,
        "the variable is `faults::losses::WRITTEN_BY_ANOTHER_THREAD`",
    ),
    ("first", 0, ["lone-node", "40"], 75, "node 0 is gone"),
];

/// A node that cannot be reached any more is given up. The program goes on if nothing of it was
/// there, or else ends with a report.
fn lose(suite: &Suite, lost: u16, [what, seconds]: [&str; 2], status: u8, report: &str) -> Verdict {
    let down = format!("down={lost}@6s..");
    let words = [
        "cluster",
        "--nodes",
        "3",
        "--silence",
        "5",
        "--timeout",
        "60",
    ];
    let words = [
        &words[..],
        &["--faults", &down, "faults", "--", what, seconds],
    ];
    let output = xtask(suite, &words.concat())?;
    expect(&output, status.into(), report)?;
    let said = String::from_utf8_lossy(&output.stdout);
    match status != 0 || said.ends_with("\nslept\n") {
        true => Ok(()),
        false => Err(format!("found:\n{said}\nexpected it to end with: slept"))?,
    }
}
