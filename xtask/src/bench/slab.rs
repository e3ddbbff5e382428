//! The slab allocator beside others, on the host: the program `darner-slab-bench`, which
//! runs one workload with one allocator. Each runs in several rounds, all others between;
//! a figure is the best of them, as nothing makes a program faster than it is.
//! Then the same allocator as the program's heap in a VM.

use std::path::Path;
use std::process::Command;

use super::figure::{Figure, Goal};
use super::guests::Guests;
use super::host_load::{AGAIN, Watch};
use super::micro;
use crate::command;
use crate::error::{Error, Result};
use crate::vm::Config;
use crate::workspace;

/// How often each runs.
const ROUNDS: usize = 7;

const OURS: &str = "darner";
/// Whom it is compared with.
const PEERS: [&str; 5] = ["mimalloc", "snmalloc", "jemalloc", "talc", "glibc"];

/// The Hermit unikernel; a std program measured in the same way.
const HERMIT: &str = "hermit";
/// A box made and dropped: the name of it, the goal, and Hermit's value, in instructions.
const PAIRS: [(&str, f64, f64); 2] = [("pair_64", 50.0, 275.0), ("pair_16k", 120.0, 328.0)];
/// How often a throughput is measured; the best counts.
const SCALING_ROUNDS: usize = 3;

/// What a workload is compared by.
enum Against {
    /// The fastest of the others, in operations a second.
    Fastest,
    /// This one's memory, in KiB.
    Memory(&'static str),
}

/// The workloads, and how many times as good as the peer ours shall be, if that is said.
const WORKLOADS: [(&str, Option<f64>, Against); 8] = [
    ("churn_64", Some(0.95), Against::Fastest),
    ("churn_mixed", Some(0.95), Against::Fastest),
    ("burst_64", None, Against::Fastest),
    ("churn_large", None, Against::Fastest),
    ("producer_consumer", Some(1.0), Against::Fastest),
    ("larson", Some(1.0), Against::Fastest),
    ("xmalloc", Some(1.0), Against::Fastest),
    ("peak_rss", Some(1.0 / 1.1), Against::Memory("mimalloc")),
];

/// All figures of the group.
pub fn measure(guests: &Guests<'_>) -> Result<Vec<Figure>> {
    let set = guests.set();
    let target_dir = workspace::target_dir(&set.root).join("slab-bench");
    let mut cargo = set.toolchain.cargo(&set.root.join("unikernel/slab/bench"));
    cargo.args(["build", "--release", "--locked", "--target-dir"]);
    command::run(cargo.arg(&target_dir))?;
    let program = target_dir.join("release/darner-slab-bench");
    let watch = Watch::start()?;
    let mut figures = Vec::new();
    for (workload, goal, against) in WORKLOADS {
        eprintln!("xtask: {workload}");
        let names: Vec<&'static str> = [OURS].into_iter().chain(PEERS).collect();
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            for &name in &names {
                rounds.push((name, said(&program, workload, name)?));
            }
        }
        figures.extend(compared(workload, goal, &against, &rounds));
    }
    figures.extend(in_guest(guests)?);
    watch.warn(AGAIN)?;
    Ok(figures)
}

/// What a std program in a VM pays, and what it gains by more CPUs.
fn in_guest(guests: &Guests<'_>) -> Result<Vec<Figure>> {
    let program = guests.pack("micro")?;
    let mut figures = Vec::new();
    for (name, goal, hermit) in PAIRS {
        let value = micro::instructions(guests, &program, &[name])?;
        let figure = Figure::new(format!("slab/guest_{name}"), value, "instructions");
        figures.push(figure.peer(HERMIT, hermit).goal(Goal::AtMost(goal)));
    }
    let throughput = |cpus: u32| -> Result<f64> {
        let config = Config {
            cpus,
            ..Config::default()
        };
        let mut best = 0.0;
        for _ in 0..SCALING_ROUNDS {
            let outcome = guests.run_well(&program, &config, &["throughput"])?;
            let said = String::from_utf8_lossy(&outcome.stdout);
            best = micro::found(&said, "throughput")?.max(best);
        }
        Ok(best)
    };
    let alone = throughput(1)?;
    for cpus in [2, 4] {
        let times = (throughput(cpus)? / alone * 100.0).round() / 100.0;
        figures.push(Figure::new(
            format!("slab/guest_scaling_{cpus}"),
            times,
            "times",
        ));
    }
    Ok(figures)
}

/// What the program says.
fn said(program: &Path, workload: &str, allocator: &str) -> Result<f64> {
    let mut command = Command::new(program);
    let said = command::output(command.args([workload, allocator]))?;
    said.trim().parse().map_err(|_| {
        Error::failed(format!(
            "found `{said}`, expected a number, of `{}`",
            command::shown(&command)
        ))
    })
}

/// Ours beside the peer, then all peers.
fn compared(
    workload: &str,
    goal: Option<f64>,
    against: &Against,
    rounds: &[(&'static str, f64)],
) -> Vec<Figure> {
    // All in what is the better the smaller it is.
    let best = |name: &'static str| {
        let values = rounds.iter().filter(|round| round.0 == name);
        let value = |round: &(&str, f64)| match against {
            Against::Fastest => 1e9 / round.1,
            Against::Memory(_) => round.1 / 1024.0,
        };
        (name, values.map(value).fold(f64::INFINITY, f64::min))
    };
    let unit = match against {
        Against::Fastest => "ns",
        Against::Memory(_) => "MiB",
    };
    let round = |value: f64| (value * 1000.0).round() / 1000.0;
    let peers = PEERS.map(best);
    let peer = match against {
        Against::Memory(name) => best(name),
        Against::Fastest => (peers.into_iter())
            .reduce(|a, b| if b.1 < a.1 { b } else { a })
            .unwrap_or((OURS, f64::INFINITY)),
    };
    let ours = Figure::new(format!("slab/{workload}"), round(best(OURS).1), unit)
        .peer(peer.0, round(peer.1));
    let ours = match goal {
        Some(goal) => ours.goal(Goal::Ratio(round(goal))),
        None => ours,
    };
    let peers = peers
        .map(|(name, value)| Figure::new(format!("slab/{workload}/{name}"), round(value), unit));
    [ours].into_iter().chain(peers).collect()
}

#[cfg(test)]
mod tests {
    use super::{Against, OURS, PEERS, compared};

    #[test]
    fn the_best_round_counts_and_the_best_peer() {
        let rounds: Vec<_> = PEERS
            .iter()
            .zip([1e8, 5e8, 2e8, 1e7, 1e6])
            .chain([(&OURS, 1e8), (&OURS, 4e8), (&PEERS[0], 2.5e8)])
            .map(|(&name, value)| (name, value))
            .collect();
        let figures = compared("churn", Some(0.95), &Against::Fastest, &rounds);
        assert_eq!(figures[0].name, "slab/churn");
        assert_eq!(figures[0].value, 2.5);
        assert_eq!(figures[0].peer.unwrap().name, "snmalloc");
        assert_eq!(figures[0].ratio(), Some(0.8));
        assert_eq!(figures[0].is_reached(), Some(false));
        assert_eq!(figures[1].name, "slab/churn/mimalloc");
        assert_eq!(figures[1].value, 4.0);
    }

    #[test]
    fn memory_is_compared_with_one_peer() {
        let rounds = [(OURS, 1100.0), ("glibc", 10.0), ("mimalloc", 1024.0)];
        let figures = compared("rss", Some(0.909), &Against::Memory("mimalloc"), &rounds);
        assert_eq!(figures[0].peer.unwrap().value, 1.0);
        assert_eq!(figures[0].unit, "MiB");
        assert_eq!(figures[0].is_reached(), Some(true));
    }
}
