//! The tests, each with its usual name.

use std::sync::atomic::{AtomicU64, Ordering};

/// Variables of a test.
pub const VARIABLES: usize = 2;
/// The most that a thread of a test loads.
pub const LOADS: usize = 2;

/// One of the variables.
#[derive(Clone, Copy, Debug)]
pub enum Variable {
    /// The first.
    X,
    /// The second.
    Y,
}

/// One access.
#[derive(Clone, Copy, Debug)]
pub enum Access {
    /// Loads a variable.
    Load(Variable),
    /// Stores a number in it.
    Store(Variable, u64),
    /// The same, and does nothing else before all others can see it.
    StoreAndWait(Variable, u64),
}

impl Access {
    /// Which variable is accessed.
    pub fn variable(self) -> Variable {
        match self {
            Self::Load(variable) | Self::Store(variable, _) | Self::StoreAndWait(variable, _) => {
                variable
            }
        }
    }

    /// Does it. What was loaded, if it is a load.
    pub fn run(self, variable: &AtomicU64) -> Option<u64> {
        match self {
            // Acquire and release cost nothing on x86, and keep the compiler's order.
            Self::Load(_) => return Some(variable.load(Ordering::Acquire)),
            Self::Store(_, value) => variable.store(value, Ordering::Release),
            Self::StoreAndWait(_, value) => variable.store(value, Ordering::SeqCst),
        }
        None
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Outcome {
    /// What was loaded: by the first thread in its order, then by the second, and so on.
    pub loaded: [u64; 4],
    /// What is in the variables at the end.
    pub left: [u64; VARIABLES],
}

/// A test.
pub struct Test {
    /// What it is called.
    pub name: &'static str,
    /// What each thread does. All variables are 0 before.
    pub threads: &'static [&'static [Access]],
    /// Whether no order explains this outcome.
    pub forbidden: fn(&Outcome) -> bool,
}

use Access::{Load, Store, StoreAndWait};
use Variable::{X, Y};

/// All tests.
pub const TESTS: &[Test] = &[
    // Store buffering: one of the two comes first, and the other sees it.
    Test {
        name: "SB",
        threads: &[
            &[StoreAndWait(X, 1), Load(Y)],
            &[StoreAndWait(Y, 1), Load(X)],
        ],
        forbidden: |outcome| outcome.loaded[..2] == [0, 0],
    },
    // Message passing: who sees the flag sees what was written before it.
    Test {
        name: "MP",
        threads: &[&[Store(X, 1), Store(Y, 1)], &[Load(Y), Load(X)]],
        forbidden: |outcome| outcome.loaded[..2] == [1, 0],
    },
    // Load buffering: nobody sees what is stored later.
    Test {
        name: "LB",
        threads: &[&[Load(X), Store(Y, 1)], &[Load(Y), Store(X, 1)]],
        forbidden: |outcome| outcome.loaded[..2] == [1, 1],
    },
    // Write to read causality: a message that is handed on by another.
    Test {
        name: "WRC",
        threads: &[&[Store(X, 1)], &[Load(X), Store(Y, 1)], &[Load(Y), Load(X)]],
        forbidden: |outcome| outcome.loaded[..3] == [1, 1, 0],
    },
    // Independent reads of independent writes: two who look do not disagree about the order.
    Test {
        name: "IRIW",
        threads: &[
            &[Store(X, 1)],
            &[Store(Y, 1)],
            &[Load(X), Load(Y)],
            &[Load(Y), Load(X)],
        ],
        forbidden: |outcome| outcome.loaded == [1, 0, 1, 0],
    },
    // Coherence of reads: what was seen once is not unseen.
    Test {
        name: "CoRR",
        threads: &[&[Store(X, 1)], &[Load(X), Load(X)]],
        forbidden: |outcome| outcome.loaded[..2] == [1, 0],
    },
    // Two writers in opposite order: not both first stores are last.
    Test {
        name: "2+2W",
        threads: &[&[Store(X, 1), Store(Y, 2)], &[Store(Y, 1), Store(X, 2)]],
        forbidden: |outcome| outcome.left == [1, 1],
    },
];

#[cfg(test)]
mod unit {
    use super::*;

    /// Every order of the accesses, one after the other: none gives what is forbidden, and some
    /// result is allowed that differs from the others.
    #[test]
    fn what_is_forbidden_comes_of_no_order() {
        for test in TESTS {
            let mut outcomes = Vec::new();
            walk(
                test,
                &mut vec![0; test.threads.len()],
                &mut Vec::new(),
                &mut outcomes,
            );
            assert!(outcomes.len() > 1, "{}", test.name);
            for outcome in outcomes {
                assert!(!(test.forbidden)(&outcome), "{}: {outcome:?}", test.name);
            }
        }
    }

    /// Tries each thread next that has something left to do.
    fn walk(test: &Test, next: &mut Vec<usize>, order: &mut Vec<usize>, all: &mut Vec<Outcome>) {
        let mut is_end = true;
        for thread in 0..test.threads.len() {
            if next[thread] < test.threads[thread].len() {
                is_end = false;
                next[thread] += 1;
                order.push(thread);
                walk(test, next, order, all);
                order.pop();
                next[thread] -= 1;
            }
        }
        if is_end {
            let outcome = play(test, order);
            if !all.contains(&outcome) {
                all.push(outcome);
            }
        }
    }

    fn play(test: &Test, order: &[usize]) -> Outcome {
        let variables = [AtomicU64::new(0), AtomicU64::new(0)];
        let mut done = vec![0; test.threads.len()];
        let mut loaded: Vec<Vec<u64>> = vec![Vec::new(); test.threads.len()];
        for &thread in order {
            let access = test.threads[thread][done[thread]];
            loaded[thread].extend(access.run(&variables[access.variable() as usize]));
            done[thread] += 1;
        }
        let mut outcome = Outcome::default();
        for (place, value) in outcome.loaded.iter_mut().zip(loaded.concat()) {
            *place = value;
        }
        outcome.left = variables.map(AtomicU64::into_inner);
        outcome
    }
}
