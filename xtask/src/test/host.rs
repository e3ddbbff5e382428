//! The unit tests of the crates that also run on the host.

use std::path::Path;
use std::process::Command;

use super::case::{Case, Verdict};
use super::suite::Suite;
use crate::command;
use crate::workspace;

/// All of them. Those come beside each other that build in different folders: cargo would
/// make the second of one folder wait.
pub fn cases() -> Vec<Case> {
    vec![
        // The workspace's default members are those that the host can run, and that no case below tests with optimisation.
        Case::build("host/unit", |suite| cargo_test(suite, &[])),
        // Every order of what CPUs do to each other's queues and locks.
        Case::build("host/loom", |suite| {
            model(suite, "loom", &["darner-lwkt", "darner-slab"], "")?;
            model(suite, "loom", &["darner-netstack"], "models")
        }),
        // The model check, many schedules, and all mutants: with optimisation, a minute. And programs
        // over the same code, whose results are checked, and what they cost is bounded.
        Case::build("host/coherence", |suite| {
            let traces = ["--package", "darner-traces", "--profile", "checked"];
            cargo_test(suite, &traces)?;
            let package = ["--package", "darner-coherence", "--profile", "checked"];
            cargo_test(suite, &[&package[..], &["--features", "mutants"]].concat())
        }),
        // Ten million steps of simulated clusters, and what they notice when guards are taken out.
        Case::build("host/sim", |suite| {
            let package = ["--package", "darner-sim", "--profile", "checked"];
            cargo_test(suite, &[&package[..], &["--features", "mutants"]].concat())
        }),
        // Many orders of larger ones.
        Case::build("host/shuttle", |suite| {
            model(suite, "shuttle", &["darner-lwkt"], "shuttled")
        }),
        // The network and the links with more bytes, connections and wrong frames than an
        // unoptimised build has time for.
        Case::build("host/netstack", |suite| {
            let packages = ["--package", "darner-netstack", "--package", "darner-link"];
            cargo_test(suite, &[&packages[..], &["--profile", "checked"]].concat())
        }),
        // What nodes say as bytes: 10^7 inputs take seconds with optimisation.
        Case::build("host/wire", |suite| {
            cargo_test(suite, &["--package", "darner-wire", "--profile", "checked"])
        }),
        // Freestanding crates whose logic the host can run all the same.
        Case::build("host/freestanding", |suite| {
            let packages = [
                "--package",
                "darner-loader",
                "--package",
                "darner-builtins",
                "--package",
                "darner-cipher",
            ];
            cargo_test(suite, &[&packages[..], &["--lib"]].concat())
        }),
        // The allocator as that of a Linux program, and as fast as it is used.
        Case::build("host/slab", |suite| {
            let package = [
                "--package",
                "darner-slab",
                "--features",
                "linux",
                "--release",
            ];
            cargo_test(suite, &package)
        }),
        // Membership, transactions and ports: a model check, many schedules, and all mutants.
        Case::build("host/cluster", |suite| {
            let package = ["--package", "darner-cluster", "--profile", "checked"];
            cargo_test(suite, &[&package[..], &["--features", "mutants"]].concat())
        }),
        Case::build("host/apps", |suite| {
            let apps = crate::app::list(&suite.set.root)?;
            let packages: Vec<&str> = apps
                .iter()
                .flat_map(|app| ["--package", app.as_str()])
                .collect();
            cargo_test(suite, &packages)
        }),
    ]
}

/// The model checks, which are the tests of crates compiled for a checker that chooses
/// the order of what threads do: those whose names contain `filter`, where not all are
/// such models. Optimised: there are very many orders. One at a time: each order maps and
/// unmaps stacks, and two threads of a process get into each other's way there.
fn model(suite: &Suite, checker: &str, packages: &[&str], filter: &str) -> Verdict {
    let root = &suite.set.root;
    let mut cargo = suite.set.toolchain.cargo(root);
    cargo
        .env("RUSTFLAGS", format!("--cfg {checker}"))
        .args(["test", "--quiet", "--release"])
        .args(packages.iter().flat_map(|package| ["--package", package]))
        .args(["--lib", "--target-dir"])
        .arg(workspace::target_dir(root).join(checker))
        .args([filter, "--", "--test-threads=1"]);
    command::run(&mut cargo).map_err(Into::into)
}

/// Which random cases are tried: the same in each run, so that what fails once fails again. To look
/// for what fails with others is what long runs are for.
const SEED: (&str, &str) = ("PROPTEST_RNG_SEED", "1");

fn cargo_test(suite: &Suite, packages: &[&str]) -> Verdict {
    let root: &Path = &suite.set.root;
    let mut cargo: Command = suite.set.toolchain.cargo(root);
    if std::env::var_os(SEED.0).is_none() {
        cargo.env(SEED.0, SEED.1);
    }
    cargo
        .arg("test")
        .arg("--quiet")
        .args(packages)
        .arg("--target-dir")
        .arg(workspace::target_dir(root));
    command::run(&mut cargo).map_err(Into::into)
}
