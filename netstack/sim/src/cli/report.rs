//! What is told of episodes.

use super::options::Options;
use darner_sim::campaign::Failed;
use darner_sim::shrink::Reduced;
use darner_sim::{Counts, World};
use std::fmt::Write;
use std::time::Duration;

/// What was done.
pub fn summary(counts: Counts, time: Duration) -> String {
    let Counts {
        steps,
        ops,
        messages,
        pages,
        faults,
        views,
        lost,
        extinct,
    } = counts;
    let speed = steps as f64 / time.as_secs_f64();
    format!(
        "{steps} steps ({speed:.0} a second), {ops} operations, {messages} messages with {pages} \
         pages, {faults} faults, {views} changes of view, {lost} times a page was lost, {extinct} times all nodes"
    )
}

/// What was wrong, and how to see it again.
pub fn failure(failed: &Failed, options: &Options) -> String {
    let seed = failed.plan.seed;
    let steps = failed.plan.steps;
    format!(
        "found {:?} in step {} of the episode with seed {seed}: {}\n\
         again: cargo xtask sim --seed {seed} --steps {steps}{}\n",
        failed.violation.kind, failed.counts.steps, failed.violation.what, options.repeated
    )
}

/// What is left of it, and so many of its last steps.
pub fn reduced(reduced: &Reduced, show: usize) -> String {
    let Reduced {
        failed,
        script,
        tries,
    } = reduced;
    let plan = &failed.plan;
    let mut text = format!(
        "reduced in {tries} tries to {} operations and {} faults at {} nodes with {} threads each, {} pages, \
         {} records, {} moved, runs of {}:\n{}\nwhat is wrong then: {}\nthe last steps:\n",
        script.ops.len(),
        script.faults.len(),
        plan.nodes,
        plan.threads,
        plan.pages,
        plan.home.records,
        plan.home.moved,
        plan.agent.run,
        script,
        failed.violation.what,
    );
    let mut world = World::scripted(plan.clone(), script);
    world.remember(show);
    let _ = world.play();
    for step in world.remembered() {
        let _ = writeln!(text, "  {step}");
    }
    text
}
