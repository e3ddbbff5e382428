//! Tasks that start others.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Outcome, Size};

/// A tree of tasks, each of which adds its own number.
pub fn scope(size: Size) -> Outcome {
    let tasks = (size.elements as u64 / 20).max(1);
    let sum = AtomicU64::new(0);
    rayon::scope(|scope| grow(scope, &sum, 1, tasks));
    let (sum, expected) = (sum.into_inner(), tasks * (tasks + 1) / 2);
    match sum == expected {
        true => Ok(format!("{tasks} tasks")),
        false => Err(format!("found the sum {sum}, expected {expected}")),
    }
}

/// Task `number` has the tasks 2n and 2n + 1 below it.
fn grow<'a>(scope: &rayon::Scope<'a>, sum: &'a AtomicU64, number: u64, last: u64) {
    sum.fetch_add(number, Ordering::Relaxed);
    for child in [2 * number, 2 * number + 1] {
        if child <= last {
            scope.spawn(move |scope| grow(scope, sum, child, last));
        }
    }
}
