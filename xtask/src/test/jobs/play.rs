//! Plays a job: each of its runs on one topology, with one seed after the other.

use std::io::{Seek, Write};
use std::process::Command;

use super::Seeds;
use super::said::Said;
use super::spec::{Job, Run};
use super::topology::Topology;
use crate::command;
use crate::error::{Context, Result};
use crate::test::case::{Failure, Verdict};
use crate::test::command_line;
use crate::test::suite::Suite;

/// How many lines of standard error a failure shows.
const SHOWN: usize = 60;

/// Plays it; fails with the first run that does not end as it must.
pub fn play(suite: &Suite, job: &Job, topology: Topology, seeds: Seeds) -> Verdict {
    let first = seeds.first.unwrap_or(1);
    let count = seeds.count.unwrap_or(job.seeds());
    for run in &job.runs {
        let linux = match run.needs_linux() {
            true => Some(on_linux(suite, job, run)?),
            false => None,
        };
        let mut too_late = 0;
        for seed in first..first.saturating_add(count) {
            match once(suite, job, run, topology, seed, linux.as_deref())? {
                Faults::Came => {}
                Faults::TooLate => too_late += 1,
            }
        }
        if 2 * too_late > count {
            Err(format!(
                "in {too_late} of {count} runs the program had ended before a node was to be killed, expected half of \
                 them at most: kill earlier, or give the program more to do"
            ))?;
        }
    }
    Ok(())
}

/// Whether a run was what it was meant to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Faults {
    /// Every node was killed that was to be.
    Came,
    /// The program had ended before.
    TooLate,
}

/// One run with one seed.
fn once(
    suite: &Suite,
    job: &Job,
    run: &Run,
    topology: Topology,
    seed: u64,
    linux: Option<&[u8]>,
) -> std::result::Result<Faults, Failure> {
    let words = words(suite, job, run, topology, seed);
    let borrowed: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut xtask = command_line::command(suite, &borrowed)?;
    let shown = format!("cargo xtask {}", words_for_shell(&words));
    let output = with_input(run, &mut xtask)?
        .output()
        .context(|| format!("run `{shown}`"))?;
    let said = Said::from(output);
    judge(run, topology, &said, linux).map_err(|why| -> Failure {
        let lines: Vec<&str> = said.stderr.lines().collect();
        let last = lines[lines.len().saturating_sub(SHOWN)..].join("\n");
        format!("{why}\n{shown}\nstandard error (the last {SHOWN} lines at most):\n{last}").into()
    })
}

/// Whether the run has ended in one of the ways in which it may.
fn judge(
    run: &Run,
    topology: Topology,
    said: &Said,
    linux: Option<&[u8]>,
) -> std::result::Result<Faults, String> {
    if said.nothing_failed() {
        let after = run.after.as_ref().map_or("", |text| text.get_ref());
        return Err(format!(
            "no line contained `{after}`, so nothing was made to fail"
        ));
    }
    let faults = match said.killed(topology.nodes).len() == run.kill.len() {
        true => Faults::Came,
        false => Faults::TooLate,
    };
    let mut reasons = Vec::new();
    for expect in run.expectations() {
        match expect.judge(said, topology.nodes, linux) {
            Ok(()) => return Ok(faults),
            Err(reason) => reasons.push(reason),
        }
    }
    Err(reasons.join("\nor else: "))
}

/// The command line of xtask.
fn words(suite: &Suite, job: &Job, run: &Run, topology: Topology, seed: u64) -> Vec<String> {
    let mut words = vec!["cluster".to_owned()];
    let mut add = |option: &str, value: String| words.extend([option.to_owned(), value]);
    add("--nodes", topology.nodes.to_string());
    add("--smp", topology.cpus.to_string());
    add("--timeout", job.limit().as_secs().to_string());
    add("--seed", seed.to_string());
    if let Some(memory) = job.memory {
        add("--mem", memory.to_string());
    }
    if let Some(silence) = job.silence {
        add("--silence", silence.to_string());
    }
    if let Some(cipher) = job.cipher {
        add("--cipher", cipher.name().to_owned());
    }
    if let Some(delay) = run.join_after {
        add("--join-after", delay.to_string());
    }
    if let Some(machine) = &job.machine {
        add("--machine", machine.get_ref().clone());
    }
    for (key, value) in &run.env {
        add("--env", format!("{key}={value}"));
    }
    for (file, guest) in &run.files {
        let host = suite.set.root.join(file.get_ref());
        add("--file", format!("{}:{guest}", host.display()));
    }
    if let Some(faults) = &run.faults {
        add("--faults", faults.get_ref().clone());
    }
    for kill in &run.kill {
        add("--kill", kill.get_ref().clone());
    }
    for drain in &run.drain {
        add("--drain", drain.get_ref().clone());
    }
    if let Some(after) = &run.after {
        add("--after", after.get_ref().clone());
    }
    words.extend([job.program_of(run).to_owned(), "--".to_owned()]);
    words.extend(run.args.iter().cloned());
    words
}

fn words_for_shell(words: &[String]) -> String {
    let quoted = words.iter().map(|word| command::quoted(word.as_ref()));
    quoted.collect::<Vec<_>>().join(" ")
}

/// What the program prints on this machine. It finds the files where they are.
fn on_linux(suite: &Suite, job: &Job, run: &Run) -> std::result::Result<Vec<u8>, Failure> {
    let args = run.args.iter().map(|arg| {
        let file = run.files.iter().find(|(_, guest)| *guest == arg);
        match file {
            Some((host, _)) => suite.set.root.join(host.get_ref()).display().to_string(),
            None => arg.clone(),
        }
    });
    let mut program = Command::new(suite.host_program(job.program_of(run))?);
    program.args(args).envs(&run.env);
    let output = with_input(run, &mut program)?
        .output()
        .context(|| format!("run `{}` on Linux", job.program_of(run)))?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(format!(
            "on Linux it fails ({}): {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ))?,
    }
}

/// The command, which gets the run's standard input.
fn with_input<'a>(run: &Run, command: &'a mut Command) -> Result<&'a mut Command> {
    let mut file = tempfile::tempfile().context(|| "make a temporary file".into())?;
    file.write_all(run.stdin.as_bytes())
        .and_then(|()| file.rewind())
        .context(|| "write the standard input to a temporary file".into())?;
    Ok(command.stdin(file))
}
