//! `xtask cluster --separate` as its user meets it: what the nodes print and where, exit statuses,
//! that nothing is left; and nodes that talk through the switch.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use super::case::{Case, Verdict};
use super::command_line::{command, ends_by, expect, xtask};
use super::suite::Suite;
use crate::command::Guarded;
use crate::error::{Context, Error};
use crate::kernel::Profile;

/// All of them.
pub fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new("cluster/hello/2", |suite| hello(suite, 2)),
        Case::new("cluster/hello/3", |suite| hello(suite, 3)),
        Case::new("cluster/input", input),
        Case::new("cluster/failing-node", failing_node),
        Case::new("cluster/keep-going", keep_going),
        Case::new("cluster/timeout", timeout),
        Case::new("cluster/machine-dies", machine_dies),
        Case::new("cluster/interrupt", interrupt),
        Case::new("cluster/refused", refused),
    ];
    for (name, nodes, more) in [
        ("cluster/echo/2", "2", &[][..]),
        ("cluster/echo/3", "3", &[]),
        ("cluster/echo/3-on-2-cpus", "3", &["--smp", "2"]),
        // Some of everything.
        (
            "cluster/echo/faults",
            "2",
            &["--faults", "loss=1%,delay=1ms±0.5ms,reorder=2%,dup=1%"],
        ),
        (
            "cluster/echo/narrow",
            "2",
            &["--faults", "rate=20Mbit,queue=64KiB"],
        ),
    ] {
        cases.push(Case::new(name, move |suite| {
            let words = [&["--nodes", nodes, "--timeout", "120", "echo"], more].concat();
            echo(suite, name, nodes, &words)
        }));
    }
    cases
}

/// A cluster whose temporary files are in a folder of its own.
struct Cluster {
    command: Command,
    folder: PathBuf,
}

impl Cluster {
    fn new(suite: &Suite, name: &str, words: &[&str]) -> Result<Self, Error> {
        let folder = suite.path(&format!("c-{name}"));
        fs::create_dir(&folder).context(|| format!("make {}", folder.display()))?;
        let mut command = command(suite, &[&["cluster", "--separate"], words].concat())?;
        command.env("TMPDIR", &folder);
        Ok(Self { command, folder })
    }

    fn run(&mut self) -> Result<Output, Error> {
        self.command.output().context(|| "run xtask".into())
    }

    /// What is left in its folder.
    fn left(&self) -> Result<Vec<PathBuf>, Error> {
        let entries =
            fs::read_dir(&self.folder).context(|| format!("list {}", self.folder.display()))?;
        Ok(entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect())
    }

    fn expect_nothing_left(&self) -> Verdict {
        match &self.left()?[..] {
            [] => Ok(()),
            left => Err(format!("found {left:?}, expected nothing to be left"))?,
        }
    }
}

/// Every line has its node's name before it, and each node's are in order; a file has
/// them without.
fn hello(suite: &Suite, nodes: u16) -> Verdict {
    let count = nodes.to_string();
    let logs = suite.path(&format!("logs{nodes}"));
    let log_dir = logs.display().to_string();
    let words = [
        "--nodes",
        &count,
        "hello",
        "--log-dir",
        &log_dir,
        "--",
        "all of you",
    ];
    let mut cluster = Cluster::new(suite, &count, &words)?;
    let output = cluster.run()?;
    expect(&output, 0, "] booted in ")?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    for node in 0..nodes {
        let prefix = format!("[n{node}] ");
        let expected = "Hello from Darner!\nYou said: all of you\n1 CPUs, one thread each: [0]\n";
        let said: String = stdout
            .split_inclusive('\n')
            .filter_map(|line| line.strip_prefix(&prefix))
            .collect();
        let file = fs::read_to_string(logs.join(format!("n{node}.log")))?;
        let in_file: String = file
            .split_inclusive('\n')
            .filter(|line| !line.starts_with("booted in "))
            .collect();
        if said != expected || in_file != expected || file == in_file {
            Err(format!("node {node} said:\n{said}and in its file:\n{file}"))?;
        }
    }
    if stdout.lines().count() != 3 * usize::from(nodes) {
        Err(format!("found lines of nobody in:\n{stdout}"))?;
    }
    cluster.expect_nothing_left()
}

/// Standard input is node 0's, and the others find its end at once.
fn input(suite: &Suite) -> Verdict {
    let words = [
        "--nodes",
        "2",
        "std-tour",
        "--timeout",
        "60",
        "--",
        "--stdin",
    ];
    let mut cluster = Cluster::new(suite, "input", &words)?;
    let mut child = Guarded::spawn(cluster.command.stdin(Stdio::piped()))?;
    let mut stdin = child.0.stdin.take().ok_or("found no standard input")?;
    stdin.write_all(&b"one line\nand another\n".repeat(1000))?;
    drop(stdin);
    let mut stdout = String::new();
    let mut pipe = child.0.stdout.take().ok_or("found no standard output")?;
    std::io::Read::read_to_string(&mut pipe, &mut stdout)?;
    for said in [
        "[n0] ok     environment: standard input (2000 lines, 21000 bytes, then its end)",
        "[n1] FAILED environment: standard input: nothing came",
    ] {
        if !stdout.contains(said) {
            Err(format!("expected `{said}`, found:\n{stdout}"))?;
        }
    }
    Ok(())
}

/// The others are ended, and the files are kept where one is told to look.
fn failing_node(suite: &Suite) -> Verdict {
    let words = ["--nodes", "3", "faults", "--", "fail-on-node", "1"];
    let mut cluster = Cluster::new(suite, "failing", &words)?;
    let output = cluster.run()?;
    expect(&output, 3, "[n1] xtask: exit status 3")?;
    for node in [0, 2] {
        let said = format!("[n{node}] xtask: ended, because n1 has failed");
        expect(&output, 3, &said)?;
    }
    let left = cluster.left()?;
    let [logs] = &left[..] else {
        Err(format!("found {left:?}, expected the log files only"))?
    };
    expect(&output, 3, &logs.display().to_string())?;
    let file = fs::read_to_string(logs.join("n1.log"))?;
    match file.contains("about to exit with 3") && file.contains("xtask: exit status 3") {
        true => Ok(()),
        false => Err(format!("found in n1.log:\n{file}"))?,
    }
}

/// The status is that of the node that failed first, whatever happens to the others.
fn keep_going(suite: &Suite) -> Verdict {
    let words = [
        "cluster",
        "--separate",
        "--nodes",
        "2",
        "--keep-going",
        "--timeout",
        "8",
        "faults",
        "--",
        "fail-on-node",
        "1",
    ];
    let output = xtask(suite, &words)?;
    expect(&output, 3, "[n1] xtask: exit status 3")?;
    expect(&output, 3, "[n0] xtask: killed: it still ran after 8 s")
}

fn timeout(suite: &Suite) -> Verdict {
    let words = [
        "cluster",
        "--separate",
        "--nodes",
        "2",
        "--timeout",
        "4",
        "faults",
        "--",
        "hang-idle",
    ];
    let output = xtask(suite, &words)?;
    expect(&output, 124, "[n0] xtask: killed")?;
    expect(&output, 124, "[n1] xtask: killed")
}

fn machine_dies(suite: &Suite) -> Verdict {
    let words = [
        "cluster",
        "--separate",
        "--nodes",
        "2",
        "faults",
        "--",
        "triple-fault",
    ];
    expect(&xtask(suite, &words)?, 70, "xtask: QEMU ended without")
}

/// No machine, no socket, no file is left.
fn interrupt(suite: &Suite) -> Verdict {
    // Built before time counts.
    suite.program("faults", Profile::Release)?;
    let mark = format!("DARNER_MARK=cluster-{}", std::process::id());
    let words = ["--nodes", "3", "faults", "--env", &mark, "--", "hang-idle"];
    let mut cluster = Cluster::new(suite, "interrupt", &words)?;
    ends_by(&mut cluster.command, &mark, 3, "INT", 130)?;
    cluster.expect_nothing_left()
}

fn refused(suite: &Suite) -> Verdict {
    let two = ["cluster", "--nodes", "2", "hello"];
    for (words, said) in [
        (&["cluster", "hello"][..], "found no --nodes"),
        (&["cluster", "--nodes", "2"], "found no program"),
        (&["cluster", "--nodes", "0", "hello"], "expected 1 to 64"),
        (&["cluster", "--nodes", "65", "hello"], "expected 1 to 64"),
        (
            &[
                "cluster",
                "--nodes",
                "3",
                "--subnet",
                "10.0.0.0/30",
                "hello",
            ],
            "expected 1 to 2",
        ),
        (&["cluster", "--nodes", "2", "no-such-app"], "wordcount"),
        (
            &["cluster", "--nodes", "2", "--keep-going", "hello"],
            "--separate",
        ),
    ] {
        expect(&xtask(suite, words)?, 2, said)?;
    }
    for (words, said) in [
        (&["--subnet", "10.0.0.1/24"][..], "10.0.0.0/24"),
        (&["--faults", "loss=200%"], "--faults: found `200%`"),
        (&["--faults", "partition=0|2"], "a node, 0 to 1"),
        (&["--faults", "/no/such.toml"], "/no/such.toml"),
        (&["--kill", "2@1s"], "--kill: found `2@1s`"),
        (&["--kill", "1@1s", "--kill", "1@2s"], "one for each"),
        (&["--drain", "0@1s"], "--drain: found `0@1s`"),
        (&["--separate", "--drain", "1@1s"], "--separate"),
        (&["--after", "x"], "--faults, --kill or --drain"),
        (&["--ip", "10.0.0.1/24"], "--subnet"),
        (&["--ip6", "fd00::1/64"], "two nodes"),
        (&["--hostname", "x"], "n0, n1"),
        (&["--gdb"], "--nodes 1"),
        (&["-p", "8080:80"], "--net user"),
        (
            &["-p", "65535:80", "--net", "user"],
            "found no port for node 1",
        ),
        (&["--pcap", "/no/such/folder/f"], "/no/such/folder/f"),
        (&["--log-dir", "/proc/nothing"], "/proc/nothing"),
    ] {
        expect(&xtask(suite, &[&two[..], words].concat())?, 2, said)?;
    }
    Ok(())
}

/// Every node gets back what it sends to every other, through TCP and UDP, and the
/// switch has seen frames of each.
fn echo(suite: &Suite, name: &str, nodes: &str, words: &[&str]) -> Verdict {
    let capture = suite.path(&format!("{}.pcapng", name.replace('/', "-")));
    let file = capture.display().to_string();
    let output = xtask(
        suite,
        &[&["cluster", "--separate", "-v", "--pcap", &file], words].concat(),
    )?;
    expect(&output, 0, "xtask: switch: n0 sent ")?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    let nodes: usize = nodes.parse()?;
    let exchanges = stdout
        .lines()
        .filter(|line| line.contains("tcp 1048576 bytes") && line.contains("udp 100000 bytes"));
    let clean = exchanges.filter(|line| line.matches(" 0 errors").count() == 2);
    let expected = nodes * (nodes - 1);
    if clean.count() != expected {
        Err(format!(
            "expected {expected} exchanges without errors, found:\n{stdout}"
        ))?;
    }
    // What was sent, once there and once back.
    let sent = expected as u64 * 2 * 1_148_576;
    let captured = fs::metadata(&capture)?.len();
    match captured >= sent {
        true => Ok(()),
        false => Err(format!(
            "captured {captured} bytes, expected {sent} and more"
        ))?,
    }
}
