//! Many episodes, one seed after another.

use crate::oracle::{Violation, Wrong};
use crate::plan::{Plan, Wishes};
use crate::world::{Counts, World};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How many steps an episode has, unless it is cut short.
pub const EPISODE: u64 = 50_000;

/// Episodes to be played.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The seed of the first; each other one has the next.
    pub seed: u64,
    /// How many steps in all, at least.
    pub steps: u64,
    /// What is the same in all of them.
    pub wishes: Wishes,
}

/// An episode in which something was wrong.
#[derive(Clone, Debug)]
pub struct Failed {
    /// How it was made.
    pub plan: Plan,
    /// What was wrong.
    pub violation: Violation,
    /// What had been done until then, in this episode.
    pub counts: Counts,
}

impl Campaign {
    /// The plan of the episode with a seed, when so many steps are still to be done.
    #[must_use]
    pub fn plan(&self, seed: u64, left: u64) -> Plan {
        Plan::drawn(seed, EPISODE.min(left), &self.wishes)
    }

    /// Plays all, and tells after each how much has been done in all, until `told` says
    /// that it is enough.
    ///
    /// # Errors
    ///
    /// The first episode in which something was wrong.
    pub fn run(&self, mut told: impl FnMut(Counts) -> Go) -> Result<Counts, Box<Failed>> {
        let mut all = Counts::default();
        for seed in self.seed.. {
            if all.steps >= self.steps {
                break;
            }
            all = all.and(self.episode(seed, self.steps - all.steps)?);
            if told(all) == Go::Stop {
                break;
            }
        }
        Ok(all)
    }

    fn episode(&self, seed: u64, left: u64) -> Result<Counts, Box<Failed>> {
        let plan = self.plan(seed, left);
        play(World::drawn(plan))
    }
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Go {
    /// Yes.
    On,
    /// No.
    Stop,
}

/// Plays an episode to its end. A panic of the protocols counts as a violation, where panics
/// unwind.
///
/// # Errors
///
/// What was wrong.
pub fn play(mut world: World) -> Result<Counts, Box<Failed>> {
    let played = catch_unwind(AssertUnwindSafe(|| world.play()));
    let result = played.unwrap_or_else(|_| {
        Err(Violation {
            kind: Wrong::Panic,
            what: "the protocol panicked".into(),
        })
    });
    result.map_err(|violation| {
        Box::new(Failed {
            plan: world.plan().clone(),
            violation,
            counts: world.counts(),
        })
    })
}
