//! Runs a program of libtest's in a VM and accounts for every test of it.

use std::io::Write;
use std::time::{Duration, Instant};

use super::account::Account;
use super::output::{self, Summary};
use super::skip::{self, Skip};
use crate::build_set::Program;
use crate::run;
use crate::test::case::{Failure, Verdict};
use crate::test::command_line::xtask;
use crate::test::suite::{Given, Suite};
use crate::vm::{Config, End, Outcome};

/// Threads have to meet.
const CPUS: u32 = 2;
/// Four times what every program has been seen to do with.
const MEMORY_MIB: u64 = 512;
/// How long a VM may take: many times what an emulated one needs.
const PATIENCE: Duration = Duration::from_secs(300);

/// libtest, too, asks for leave before it does what is unstable.
const LEAVE: &str = "RUSTC_BOOTSTRAP=1";

/// What has libtest run one test after the other.
const ALONE: &str = "--test-threads=1";

/// How a program runs its tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turns<'a> {
    /// As many at a time as there are CPUs.
    Together,
    /// One after the other.
    Alone,
    /// One after the other, but those whose names contain one of these: they come
    /// afterwards, as many at a time as there are CPUs.
    AloneBut(&'a [String]),
}

/// Where a program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a VM of its own.
    Machine,
    /// In so many that are one system, with a CPU each.
    System {
        /// How many.
        nodes: u16,
    },
}

/// What a program printed when it ended well.
struct Said {
    stdout: String,
    /// What else is known of the VM, if it was one.
    outcome: Option<Box<Outcome>>,
}

/// Compares what the program lists with what is to be left out, and runs it.
/// `name` is the test's: no two that run at the same time may have the same.
pub fn run(
    suite: &Suite,
    name: &str,
    program: &Program,
    place: Place,
    skips: &[Skip],
    turns: Turns<'_>,
) -> Verdict {
    let begin = Instant::now();
    let account = listed_and_run(suite, name, program, place, skips, turns)?;
    say(&format!(
        "{name}: {account}; ran in {:.1} s",
        begin.elapsed().as_secs_f64()
    ));
    Ok(())
}

/// Does `build`, and says how long it took.
pub fn timed<T>(name: &str, build: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let built = build();
    say(&format!(
        "{name}: built in {:.1} s",
        begin.elapsed().as_secs_f64()
    ));
    built
}

/// A line in one piece, whatever the other tests print meanwhile.
fn say(text: &str) {
    let _ = std::io::stdout()
        .lock()
        .write_all(format!("     {text}\n").as_bytes());
}

fn listed_and_run(
    suite: &Suite,
    name: &str,
    program: &Program,
    place: Place,
    skips: &[Skip],
    turns: Turns<'_>,
) -> Result<Account, Failure> {
    let boot = |args: &[&str]| match place {
        Place::Machine => boot(suite, name, program, args),
        Place::System { nodes } => boot_system(suite, name, program, nodes, args),
    };
    let listed = said(output::listed, boot(&["--list"])?)?;
    let skipped = skip::skipped(skips, &listed).map_err(|reason| Failure {
        reason: format!("{name}: {reason}"),
        outcome: None,
    })?;

    let run = |more: &[&str], left_out: usize| {
        let mut args = vec![
            "-Zunstable-options",
            "--exclude-should-panic",
            // What is captured is lost when a test panics, and everything with it.
            "--nocapture",
        ];
        args.extend(skips.iter().flat_map(|skip| ["--skip", skip.name.as_str()]));
        args.extend(more);
        said(
            |text| Account::draw(listed.len(), left_out, Summary::find(text)?),
            boot(&args)?,
        )
    };
    match turns {
        Turns::Together => run(&[], skipped),
        Turns::Alone => run(&[ALONE], skipped),
        Turns::AloneBut(names) => {
            let named = skip::named(names, skips, &listed).map_err(|reason| Failure {
                reason: format!("{name}: {reason}"),
                outcome: None,
            })?;
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let mut without = vec![ALONE];
            without.extend(names.iter().flat_map(|name| ["--skip", name]));
            let alone = run(&without, skipped + named)?;
            let together = run(&names, listed.len() - named)?;
            Ok(alone.and(together, skipped))
        }
    }
}

/// Runs the program in several VMs that are one system; an error unless it ends well.
fn boot_system(
    suite: &Suite,
    name: &str,
    program: &Program,
    nodes: u16,
    args: &[&str],
) -> Result<Said, Failure> {
    let (nodes, memory, patience) = (
        nodes.to_string(),
        MEMORY_MIB.to_string(),
        PATIENCE.as_secs().to_string(),
    );
    let elf = program.elf.display().to_string();
    let words = ["cluster", "--nodes", &nodes, "--mem", &memory];
    let limits = ["--timeout", &patience, "--env", LEAVE, &elf, "--"];
    let output = xtask(suite, &[&words[..], &limits, args].concat())?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.success() {
        true => Ok(Said {
            stdout,
            outcome: None,
        }),
        false => Err(format!(
            "{name}: found {}, expected status 0; it said:\n{stdout}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ))?,
    }
}

/// Runs the program in a VM; an error unless it ends well.
fn boot(suite: &Suite, name: &str, program: &Program, args: &[&str]) -> Result<Said, Failure> {
    let config = Config {
        cpus: CPUS,
        memory_mib: MEMORY_MIB,
        timeout: Some(PATIENCE),
        ..Config::default()
    };
    let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
    let given = Given {
        args: &args,
        env: &[LEAVE.to_owned()],
        ..Given::default()
    };
    let outcome = suite.boot(name, program, &config, given)?;
    if outcome.end == End::Exited(0) && outcome.report.death.is_none() {
        return Ok(Said {
            stdout: String::from_utf8_lossy(&outcome.stdout).into_owned(),
            outcome: Some(Box::new(outcome)),
        });
    }
    let backtrace = run::backtrace(&suite.set, program, &outcome)?.unwrap_or_default();
    Err(Failure {
        reason: format!(
            "{name}: found {:?} ({:?}), expected Exited(0)\n{backtrace}",
            outcome.end, outcome.report.death
        ),
        outcome: Some(Box::new(outcome)),
    })
}

/// What `parse` makes of the standard output; if nothing, the failure shows it.
fn said<T>(parse: impl FnOnce(&str) -> Result<T, String>, said: Said) -> Result<T, Failure> {
    parse(&said.stdout).map_err(|reason| Failure {
        reason,
        outcome: said.outcome,
    })
}
