//! Reducing an episode in which something is wrong: fewer nodes, operations and faults.
//!
//! First nodes are left out as long as something of the same kind still is wrong; then what
//! happened is written down, and parts of it are left out, large ones first (delta debugging:
//! Zeller and Hildebrandt, 2002).

use crate::campaign::{Failed, Go, play};
use crate::fault::Fault;
use crate::op::Op;
use crate::oracle::Wrong;
use crate::plan::Plan;
use crate::script::Script;
use crate::time::Moment;
use crate::world::World;

/// What is left of an episode.
#[derive(Clone, Debug)]
pub struct Reduced {
    /// The episode.
    pub failed: Failed,
    /// What happens in it.
    pub script: Script,
    /// How many episodes were played to find it.
    pub tries: u32,
}

/// A search for a smaller episode.
struct Search<F> {
    kind: Wrong,
    best: Reduced,
    left: u32,
    told: F,
}

/// Something that happens in a script.
#[derive(Clone, Copy, Debug)]
enum Item {
    Op(u32, u64, Op),
    Fault(Moment, Fault),
}

/// Reduces an episode that failed, in at most that many tries. `told` is told of each, and
/// may end the search.
#[must_use]
pub fn reduce(failed: &Failed, tries: u32, told: impl FnMut(&Reduced) -> Go) -> Reduced {
    let fewer = with_fewer_nodes(failed);
    let mut world = World::recorded(fewer.plan.clone());
    let _ = world.play();
    let script = world.into_script();
    let mut search = Search {
        kind: failed.violation.kind,
        best: Reduced {
            failed: fewer,
            script,
            tries: 0,
        },
        left: tries,
        told,
    };
    let Some(failed) = fails(&search.best.failed.plan, &search.best.script, search.kind) else {
        // What follows from the end of an episode may need all that came before.
        return search.best;
    };
    search.best.failed = failed;
    search.run();
    search.best
}

/// The same seed with the fewest nodes for which something of this kind is wrong.
fn with_fewer_nodes(failed: &Failed) -> Failed {
    let fewer = (2..failed.plan.nodes).find_map(|nodes| {
        let plan = Plan {
            nodes,
            ..failed.plan.clone()
        };
        let smaller = *play(World::drawn(plan)).err()?;
        (smaller.violation.kind == failed.violation.kind).then_some(smaller)
    });
    fewer.unwrap_or_else(|| failed.clone())
}

/// Whether a script fails in that way.
fn fails(plan: &Plan, script: &Script, kind: Wrong) -> Option<Failed> {
    let failed = *play(World::scripted(plan.clone(), script)).err()?;
    (failed.violation.kind == kind).then_some(failed)
}

impl<F: FnMut(&Reduced) -> Go> Search<F> {
    fn run(&mut self) {
        loop {
            let before = self.best.script.ops.len() + self.best.script.faults.len();
            self.leave_out_threads();
            self.leave_out_items();
            let after = self.best.script.ops.len() + self.best.script.faults.len();
            if after == before || self.left == 0 {
                return;
            }
        }
    }

    /// Tries a smaller script.
    fn try_one(&mut self, script: Script) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        self.best.tries += 1;
        let found = fails(&self.best.failed.plan, &script, self.kind);
        let smaller = found.is_some();
        if let Some(failed) = found {
            self.best.failed = failed;
            self.best.script = script;
        }
        if (self.told)(&self.best) == Go::Stop {
            self.left = 0;
        }
        smaller
    }

    fn leave_out_threads(&mut self) {
        let plan = &self.best.failed.plan;
        let threads = u32::from(plan.nodes) * u32::from(plan.threads);
        for thread in 0..threads {
            let mut script = self.best.script.clone();
            script.ops.retain(|&(one, _, _)| one != thread);
            if script.ops.len() < self.best.script.ops.len() {
                self.try_one(script);
            }
        }
    }

    fn leave_out_items(&mut self) {
        let mut size = items(&self.best.script).len().div_ceil(2);
        while size > 0 && self.left > 0 {
            let mut start = 0;
            loop {
                let all = items(&self.best.script);
                if start >= all.len() || self.left == 0 {
                    break;
                }
                let end = (start + size).min(all.len());
                let rest = all[..start].iter().chain(&all[end..]).copied();
                if !self.try_one(script_of(rest)) {
                    start = end;
                }
            }
            size /= 2;
        }
    }
}

/// What happens, in the order in which it was written down, faults last.
fn items(script: &Script) -> Vec<Item> {
    let ops = script
        .ops
        .iter()
        .map(|&(thread, thinks, op)| Item::Op(thread, thinks, op));
    let faults = script
        .faults
        .iter()
        .map(|&(at, fault)| Item::Fault(at, fault));
    ops.chain(faults).collect()
}

fn script_of(items: impl Iterator<Item = Item>) -> Script {
    let mut script = Script::default();
    for item in items {
        match item {
            Item::Op(thread, thinks, op) => script.ops.push((thread, thinks, op)),
            Item::Fault(at, fault) => script.faults.push((at, fault)),
        }
    }
    script
}
