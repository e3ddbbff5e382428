//! The storms, small, in many orders that shuttle chooses: at random, and by PCT
//! (Burckhardt et al., "A randomized scheduler with probabilistic guarantees of finding
//! bugs", 2010). A failure prints the order, which `shuttle::replay` runs again.

use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, Runner};

use super::storms::{deadlines, everything, families, mail, messages, moves, priorities, yields};

/// Orders of each kind that a test tries.
const ORDERS: usize = 2_000;
/// Changes of mind that PCT spreads over an order.
const DEPTH: usize = 5;

fn orders(storm: fn()) {
    let mut config = Config::new();
    config.stack_size = 0x2_0000;
    Runner::new(RandomScheduler::new(ORDERS), config.clone()).run(storm);
    Runner::new(PctScheduler::new(DEPTH, ORDERS), config).run(storm);
}

#[test]
fn mail_on_two_cpus() {
    orders(|| mail(2, 3, 2, yields));
}

#[test]
fn mail_for_threads_that_move() {
    orders(|| mail(2, 3, 2, moves));
}

#[test]
fn one_outcome_of_a_deadline_and_a_wakeup() {
    orders(|| deadlines(2, 1, 3));
}

#[test]
fn threads_start_and_end() {
    orders(|| families(2, 2, 2));
}

#[test]
fn what_priority_was_set_last_stays() {
    orders(|| priorities(2, 3, 1));
}

#[test]
fn messages_run_while_threads_switch() {
    orders(|| messages(2, 2, 2));
}

#[test]
fn everything_at_once() {
    orders(|| everything(3, 3, 1));
}
