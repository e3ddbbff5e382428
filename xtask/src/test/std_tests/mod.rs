//! Rust's own tests of its standard library, compiled for the guest and run in
//! it. Which ones, and what is left out of them, says ci/std-tests.toml.

mod account;
mod libtest;
mod list;
mod package;

use std::io::Write;
use std::time::{Duration, Instant};

use super::case::{Case, Failure, Verdict};
use super::suite::{Given, Suite};
use crate::build_set::Program;
use crate::error::Result;
use crate::run;
use crate::vm::{Config, End, Outcome};
use crate::workspace;
use account::Account;
use libtest::Summary;
use list::TestSuite;

/// Threads have to meet.
const CPUS: u32 = 2;
/// Four times what every suite has been seen to do with.
const MEMORY_MIB: u64 = 512;
/// How long a VM may take: many times what an emulated one needs.
const PATIENCE: Duration = Duration::from_secs(300);

/// All of them.
pub fn cases() -> Result<Vec<Case>> {
    let suites = list::read(&workspace::root()?.join("ci/std-tests.toml"))?;
    Ok(suites
        .into_iter()
        .map(|tests| {
            Case::new(format!("std/{}", tests.name), move |suite| {
                test(suite, &tests)
            })
        })
        .collect())
}

/// Builds a test program, compares what it lists with what is to be left out,
/// and runs it.
fn test(suite: &Suite, tests: &TestSuite) -> Verdict {
    let name = format!("std/{}", tests.name);
    let mut building = Duration::ZERO;
    let program = suite.built(&name, package::PROFILE, || {
        let begin = Instant::now();
        let program = package::build(&suite.set, tests);
        building = begin.elapsed();
        program
    })?;

    let begin = Instant::now();
    let account = listed_and_run(suite, &name, &program, tests)?;
    let text = format!(
        "     {name}: {account}; built in {:.1} s, ran in {:.1} s\n",
        building.as_secs_f64(),
        begin.elapsed().as_secs_f64()
    );
    // In one piece, whatever the other tests print meanwhile.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    Ok(())
}

fn listed_and_run(
    suite: &Suite,
    name: &str,
    program: &Program,
    tests: &TestSuite,
) -> std::result::Result<Account, Failure> {
    let boot = |args: &[&str]| boot(suite, name, program, args);
    let output = boot(&["--list"])?;
    let listed = said(libtest::listed, output)?;
    let skipped = tests.skipped(&listed).map_err(|reason| Failure {
        reason,
        outcome: None,
    })?;

    let mut args = vec![
        "-Zunstable-options",
        "--exclude-should-panic",
        // What is captured is lost when a test panics, and everything with it.
        "--nocapture",
    ];
    args.extend(
        tests
            .skip
            .iter()
            .flat_map(|skip| ["--skip", skip.name.as_str()]),
    );
    let output = boot(&args)?;
    said(
        |text| Account::draw(listed.len(), skipped, Summary::find(text)?),
        output,
    )
}

/// Runs the program in a VM; an error unless it ends well.
fn boot(
    suite: &Suite,
    name: &str,
    program: &Program,
    args: &[&str],
) -> std::result::Result<Outcome, Failure> {
    let config = Config {
        cpus: CPUS,
        memory_mib: MEMORY_MIB,
        timeout: Some(PATIENCE),
        ..Config::default()
    };
    let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
    let given = Given {
        args: &args,
        // libtest, too, asks for leave before it does what is unstable.
        env: &["RUSTC_BOOTSTRAP=1".to_owned()],
        ..Given::default()
    };
    let outcome = suite.boot(name, program, &config, given)?;
    if outcome.end == End::Exited(0) && outcome.report.death.is_none() {
        return Ok(outcome);
    }
    let backtrace = run::backtrace(&suite.set, program, &outcome)?.unwrap_or_default();
    Err(Failure {
        reason: format!(
            "found {:?} ({:?}), expected Exited(0)\n{backtrace}",
            outcome.end, outcome.report.death
        ),
        outcome: Some(Box::new(outcome)),
    })
}

/// What `parse` makes of the standard output; if nothing, the failure shows it.
fn said<T>(
    parse: impl FnOnce(&str) -> std::result::Result<T, String>,
    outcome: Outcome,
) -> std::result::Result<T, Failure> {
    parse(&String::from_utf8_lossy(&outcome.stdout)).map_err(|reason| Failure {
        reason,
        outcome: Some(Box::new(outcome)),
    })
}
