//! The command line: what is asked for, what is told.

pub mod options;
mod plot;
mod progress;
mod report;

use darner_sim::campaign::{Campaign, Failed, Go};
use darner_sim::scale::{self, Work};
use darner_sim::shrink;
use options::{Options, Task};
use progress::Progress;
use std::time::Instant;

/// Does what is asked for; the status to exit with.
pub fn run(options: &Options) -> Result<u8, String> {
    match &options.task {
        Task::Help => {
            print!("{}", options::HELP);
            Ok(0)
        }
        Task::Play(campaign) => Ok(play(campaign, options)),
        Task::Figures => figures().map(|()| 0),
        Task::Plot(file) => {
            let svg = plot::svg(&costs(&plot::NODES)?)?;
            std::fs::write(file, svg)
                .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
            println!("wrote {}", file.display());
            Ok(0)
        }
    }
}

/// Plays all episodes; 1 if something was wrong.
fn play(campaign: &Campaign, options: &Options) -> u8 {
    let start = Instant::now();
    let progress = Progress::new(campaign.steps);
    let result = campaign.run(|counts| {
        progress.at(counts.steps);
        Go::On
    });
    progress.done();
    match result {
        Ok(counts) => {
            println!("{}", report::summary(counts, start.elapsed()));
            println!("0 violations");
            0
        }
        Err(failed) => {
            eprint!("{}", report::failure(&failed, options));
            let reduced = reduced(&failed, options.tries);
            eprint!("{}", report::reduced(&reduced, options.show));
            1
        }
    }
}

fn reduced(failed: &Failed, tries: u32) -> shrink::Reduced {
    let progress = Progress::new(tries.into());
    let reduced = shrink::reduce(failed, tries, |best| {
        progress.at(best.tries.into());
        Go::On
    });
    progress.done();
    reduced
}

/// What each kind of work costs at each number of nodes.
fn costs(nodes: &[u16]) -> Result<Vec<(Work, Vec<scale::Cost>)>, String> {
    let progress = Progress::new((Work::ALL.len() * nodes.len()) as u64);
    let mut done = 0;
    let mut costs = Vec::new();
    for work in Work::ALL {
        let mut of_work = Vec::new();
        for &nodes in nodes {
            let cost = scale::measure(work, nodes);
            of_work.push(cost.map_err(|wrong| format!("{nodes} nodes: {wrong:?}"))?);
            done += 1;
            progress.at(done);
        }
        costs.push((work, of_work));
    }
    progress.done();
    Ok(costs)
}

/// Numbers of nodes that figures are for.
const FIGURES: [u16; 4] = [3, 8, 64, 1000];
/// Steps for measuring the speed.
const SPEED_STEPS: u64 = 2_000_000;

/// Prints each figure as its name, value and unit.
fn figures() -> Result<(), String> {
    let campaign = Campaign {
        seed: 1,
        steps: SPEED_STEPS,
        wishes: Default::default(),
    };
    let start = Instant::now();
    let counts = campaign
        .run(|_| Go::On)
        .map_err(|failed| format!("seed {}: {:?}", failed.plan.seed, failed.violation))?;
    let speed = counts.steps as f64 / start.elapsed().as_secs_f64();
    println!("sim/steps_per_second {speed:.0} steps/s");
    for nodes in FIGURES {
        let cost = scale::measure(Work::Mixed, nodes)
            .map_err(|wrong| format!("{nodes} nodes: {wrong:?}"))?;
        println!(
            "sim/messages_per_op_{nodes} {:.3} messages",
            cost.messages_per_op
        );
        println!(
            "sim/home_bytes_per_page_{nodes} {:.2} bytes",
            cost.home_bytes_per_page
        );
    }
    Ok(())
}
