//! xtask as its user meets it: exit statuses, what goes to which stream, and
//! that nothing is left running.

use std::fs;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::case::{Case, Verdict};
use super::suite::Suite;
use crate::command::Guarded;
use crate::kernel::Profile;

/// All of them.
pub fn cases() -> Vec<Case> {
    vec![
        Case::new("xtask/streams", streams),
        Case::new("xtask/status", |suite| {
            expect(
                &xtask(suite, &["run", "faults", "--", "exit", "255"])?,
                255,
                "",
            )
        }),
        Case::new("xtask/panic", |suite| {
            expect(
                &xtask(suite, &["run", "faults", "--", "panic"])?,
                101,
                "panics.rs:",
            )
        }),
        Case::new("xtask/timeout", |suite| {
            expect(
                &xtask(suite, &["run", "--timeout", "4", "faults", "--", "hang"])?,
                124,
                "killed",
            )
        }),
        Case::new("xtask/unknown-app", |suite| {
            expect(&xtask(suite, &["run", "no-such-app"])?, 2, "wordcount")
        }),
        Case::new("xtask/sim", |suite| {
            let output = xtask(suite, &["sim", "--seed", "7", "--steps", "20000"])?;
            expect(&output, 0, "")?;
            match String::from_utf8_lossy(&output.stdout).contains("0 violations") {
                true => Ok(()),
                false => Err("sim does not say that nothing is wrong")?,
            }
        }),
        Case::new("xtask/sim-unknown-fault", |suite| {
            expect(&xtask(suite, &["sim", "--faults", "flood"])?, 2, "`flood`")
        }),
        Case::new("xtask/check-not-deep", |suite| {
            expect(&xtask(suite, &["check"])?, 2, "--deep")
        }),
        Case::new("xtask/missing-host-file", |suite| {
            expect(
                &xtask(suite, &["run", "hello", "--file", "/no/such/file:/x"])?,
                2,
                "/no/such/file",
            )
        }),
        Case::new("xtask/qemu-dies", |suite| {
            expect(
                &xtask(suite, &["run", "hello", "--cpu", "dragonfly"])?,
                70,
                "QEMU ended without",
            )
        }),
        Case::new("xtask/help", |suite| {
            let output = xtask(suite, &["run", "hello", "--help"])?;
            expect(&output, 0, "")?;
            match String::from_utf8_lossy(&output.stdout).contains("--smp N") {
                true => expect(&xtask(suite, &["run", "hello", "--smp"])?, 2, "--smp"),
                false => Err("--help says nothing of --smp")?,
            }
        }),
        Case::new("xtask/trace", trace),
        Case::new("xtask/stats", stats),
        Case::new("xtask/doctor", |suite| {
            let output = xtask(suite, &["doctor"])?;
            match String::from_utf8_lossy(&output.stdout).contains("accelerator") {
                true => expect(&output, 0, ""),
                false => Err("doctor says nothing of the accelerator")?,
            }
        }),
        Case::new("xtask/interrupt", |suite| interrupted(suite, "INT", 130)),
        Case::new("xtask/terminate", |suite| interrupted(suite, "TERM", 143)),
    ]
}

/// xtask itself, to be run from the repository's root, without input.
pub fn command(suite: &Suite, args: &[&str]) -> Result<Command, crate::error::Error> {
    use crate::error::Context;
    let mut command =
        Command::new(std::env::current_exe().context(|| "find xtask's own executable".into())?);
    command
        .args(args)
        .current_dir(&suite.set.root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Ok(command)
}

/// Runs xtask itself, from the repository's root, without input.
pub fn xtask(suite: &Suite, args: &[&str]) -> Result<Output, crate::error::Error> {
    use crate::error::Context;
    command(suite, args)?
        .output()
        .context(|| "run xtask".into())
}

/// The status that it must have ended with, and what it must have said on standard
/// error.
pub fn expect(output: &Output, status: i32, said: &str) -> Verdict {
    let stderr = String::from_utf8_lossy(&output.stderr);
    if output.status.code() != Some(status) {
        Err(format!(
            "found {}, expected status {status}; it said:\n{stderr}",
            output.status
        ))?;
    }
    if !stderr.contains(said) {
        Err(format!(
            "expected `{said}` on standard error, found:\n{stderr}"
        ))?;
    }
    Ok(())
}

/// The program's output and nothing else on standard output; one line about the
/// boot on standard error.
fn streams(suite: &Suite) -> Verdict {
    let output = xtask(suite, &["run", "hello", "-v", "--", "you"])?;
    expect(&output, 0, "qemu-system-x86_64 ")?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    if stdout != "Hello from Darner!\nYou said: you\n1 CPUs, one thread each: [0]\n" {
        Err(format!(
            "standard output is not the program's alone:\n{stdout}"
        ))?;
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let lines = stderr
        .lines()
        .filter(|line| line.starts_with("booted in ") && line.contains(" ms (firmware "));
    match lines.count() {
        1 => Ok(()),
        count => Err(format!("found {count} boot lines, expected one:\n{stderr}"))?,
    }
}

/// The trace is JSON, with a line for each CPU, and shows the threads.
fn trace(suite: &Suite) -> Verdict {
    let path = suite.path("trace.json");
    let out = path.display().to_string();
    let output = xtask(suite, &["trace", "hello", "--smp", "2", "--out", &out])?;
    expect(&output, 0, "events of 2 CPUs")?;
    let trace: serde_json::Value = serde_json::from_slice(&fs::read(&path)?)?;
    let events = trace["traceEvents"].as_array().ok_or("found no events")?;
    for name in ["thread 1", "thread 2", "idle", "interrupt to CPU 1"] {
        if !events.iter().any(|event| event["name"] == name) {
            Err(format!("found no `{name}` among {} events", events.len()))?;
        }
    }
    expect(&xtask(suite, &["trace", "hello"])?, 2, "--out")
}

/// The table comes after any end of the program, and only when it is asked for.
fn stats(suite: &Suite) -> Verdict {
    let table = "heap of the program: ";
    let endings = [
        (&["hello"][..], 0),
        (&["faults", "--", "exit", "7"], 7),
        (&["faults", "--", "panic"], 101),
        (&["faults", "--", "null"], 139),
        // When there is no memory left to tell it with.
        (&["faults", "--", "heap-exhaustion"], 101),
    ];
    for (program, status) in endings {
        let words = [&["run", "--stats", "--smp", "2"], program].concat();
        let output = xtask(suite, &words)?;
        expect(&output, status, table)?;
        expect(&output, status, "2 CPUs; ")?;
        expect(&output, status, "heap of the kernel: ")?;
        expect(&output, status, "     size     zones ")?;
    }
    let output = xtask(suite, &["run", "hello"])?;
    match String::from_utf8_lossy(&output.stderr).contains(table) {
        true => Err("the table is there without --stats")?,
        false => Ok(()),
    }
}

/// A signal ends xtask with the shell's status for it, and QEMU with it.
fn interrupted(suite: &Suite, signal: &str, status: i32) -> Verdict {
    // Built before time counts.
    suite.program("faults", Profile::Release)?;
    let mark = format!("DARNER_MARK={signal}-{}", std::process::id());
    let run = ["run", "faults", "--env", &mark, "--", "hang"];
    ends_by(&mut command(suite, &run)?, &mark, 1, signal, status)
}

/// A signal ends that xtask with this status, and all its machines, whose command lines
/// contain the mark.
pub fn ends_by(
    xtask: &mut Command,
    mark: &str,
    machines: usize,
    signal: &str,
    status: i32,
) -> Verdict {
    let mut child = Guarded::spawn(xtask)?;
    if !wait_for(Duration::from_secs(60), || running(mark) == machines) {
        Err("QEMU did not start within a minute")?;
    }
    let pid = child.0.id().to_string();
    crate::command::output(Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\"", signal, &pid]))?;
    let mut code = None;
    if !wait_for(Duration::from_secs(20), || ended(&mut child.0, &mut code)) {
        Err("xtask did not end within 20 s")?;
    }
    if code != Some(status) {
        Err(format!("found {code:?}, expected status {status}"))?;
    }
    if !wait_for(Duration::from_secs(5), || running(mark) == 0) {
        Err("QEMU still runs")?;
    }
    Ok(())
}

fn ended(child: &mut Child, code: &mut Option<i32>) -> bool {
    match child.try_wait() {
        Ok(Some(status)) => {
            *code = status.code();
            true
        }
        _ => false,
    }
}

/// How many QEMUs run whose command lines contain the mark.
fn running(mark: &str) -> usize {
    let Ok(processes) = fs::read_dir("/proc") else {
        return 0;
    };
    let is_marked = |process: &fs::DirEntry| {
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        line.contains("qemu-system") && line.contains(mark)
    };
    processes.filter_map(Result::ok).filter(is_marked).count()
}

fn wait_for(patience: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    while !condition() {
        if deadline <= Instant::now() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}
