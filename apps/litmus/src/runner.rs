//! Runs a test very often, and counts how it ends.

use std::collections::BTreeMap;
use std::fmt;
use std::hint;
use std::sync::{Barrier, Mutex};

use crate::arena::{Arena, Place, RUNS};
use crate::tests::{LOADS, Outcome, Test};

/// How often each outcome came.
#[derive(Debug, Default)]
pub struct Results(BTreeMap<Outcome, usize>);

impl Results {
    /// How often one came for which `is_it` is true.
    pub fn count(&self, is_it: fn(&Outcome) -> bool) -> usize {
        let those = self.0.iter().filter(|(outcome, _)| is_it(outcome));
        those.map(|(_, count)| count).sum()
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (Outcome { loaded, left }, count) in &self.0 {
            writeln!(f, "{count:>10} loaded {loaded:?}, left {left:?}")?;
        }
        Ok(())
    }
}

/// What a thread loaded, run by run.
type Loaded = Mutex<Vec<[u64; LOADS]>>;

/// All that the threads share.
struct Bench<'a> {
    test: &'a Test,
    place: Place,
    runs: usize,
    /// One of each thread, so that their pages are at home on different machines.
    arenas: Vec<Arena>,
    loaded: Vec<Loaded>,
    results: Mutex<Results>,
    barrier: Barrier,
}

/// Runs the test `runs` times with at least as many threads as it has.
pub fn run(test: &Test, place: Place, runs: usize, threads: usize, seed: u64) -> Results {
    let bench = Bench {
        test,
        place,
        runs,
        arenas: parallel::team(threads, |_| Arena::new()),
        loaded: test.threads.iter().map(|_| Loaded::default()).collect(),
        results: Mutex::default(),
        barrier: Barrier::new(threads),
    };
    parallel::team(threads, |me| {
        let mut random = fastrand::Rng::with_seed(seed.wrapping_add((me as u64) << 32));
        for batch in 0..runs.div_ceil(RUNS) {
            bench.take_part(batch, me, &mut random);
        }
    });
    bench.results.into_inner().expect("no thread panics")
}

impl Bench<'_> {
    /// A thread's part in a batch: one of the test's, or none. In each batch all have another.
    fn take_part(&self, batch: usize, me: usize, random: &mut fastrand::Rng) {
        let threads = self.arenas.len();
        let part = (me + batch) % threads;
        let arena = &self.arenas[batch / threads % threads];
        let runs = RUNS.min(self.runs - batch * RUNS);
        self.barrier.wait();
        if part < self.test.threads.len() {
            let loaded: Vec<_> = (0..runs)
                .map(|run| self.play(arena, part, run, random))
                .collect();
            *self.loaded[part].lock().expect("no thread panics") = loaded;
        }
        if self.barrier.wait().is_leader() {
            self.conclude(arena, runs);
        }
    }

    /// One thread's part of one run.
    fn play(
        &self,
        arena: &Arena,
        part: usize,
        run: usize,
        random: &mut fastrand::Rng,
    ) -> [u64; LOADS] {
        let (mut loaded, mut loads) = ([0; LOADS], 0);
        for access in self.test.threads[part] {
            dawdle(random);
            let variable = arena.variable(self.place, run, access.variable());
            if let Some(value) = access.run(variable) {
                loaded[loads] = value;
                loads += 1;
            }
        }
        loaded
    }

    /// Notes how the runs of a batch ended. The others wait for the next one meanwhile.
    fn conclude(&self, arena: &Arena, runs: usize) {
        let mut results = self.results.lock().expect("no thread panics");
        let loaded: Vec<_> = self
            .loaded
            .iter()
            .map(|of| of.lock().expect("no thread panics"))
            .collect();
        for run in 0..runs {
            let mut outcome = Outcome {
                left: arena.take(self.place, run),
                ..Outcome::default()
            };
            let parts = self.test.threads.iter().zip(&loaded);
            let all = parts.flat_map(|(accesses, loaded)| {
                let is_load = |access: &&crate::tests::Access| {
                    matches!(access, crate::tests::Access::Load(_))
                };
                loaded[run]
                    .iter()
                    .take(accesses.iter().filter(is_load).count())
            });
            for (place, &value) in outcome.loaded.iter_mut().zip(all) {
                *place = value;
            }
            *results.0.entry(outcome).or_default() += 1;
        }
    }
}

/// Waits a little, mostly not at all, now and then for as long as a page takes to move: so the threads
/// meet in every way.
fn dawdle(random: &mut fastrand::Rng) {
    let most = match random.u8(..8) {
        0..4 => return,
        4..7 => 64,
        _ => 8192,
    };
    for _ in 0..random.u32(..most) {
        hint::spin_loop();
    }
}

#[cfg(test)]
mod unit {
    use super::run;
    use crate::arena::Place;
    use crate::tests::{Access, TESTS, Test, Variable};

    #[test]
    fn every_run_is_counted_and_none_is_forbidden() {
        for test in TESTS {
            for threads in [test.threads.len(), 5] {
                let results = run(test, Place::OtherPage, 333, threads, 1);
                assert_eq!(results.count(|_| true), 333);
                assert_eq!(results.count(test.forbidden), 0, "{}", test.name);
            }
        }
    }

    #[test]
    fn what_was_loaded_and_left_is_told() {
        let test = Test {
            name: "one after the other",
            threads: &[
                &[Access::Store(Variable::Y, 3), Access::Load(Variable::Y)],
                &[Access::Store(Variable::X, 7), Access::Load(Variable::X)],
            ],
            forbidden: |outcome| outcome.loaded == [3, 7, 0, 0] && outcome.left == [7, 3],
        };
        let results = run(&test, Place::SamePage, 100, 3, 1);
        assert_eq!(results.count(test.forbidden), 100);
    }
}
