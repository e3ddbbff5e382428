//! What can be seen of threads and CPUs from outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::program::{now, park, park_until, spawn, unpark, yield_now};
use super::world::{Config, run, world};

/// On one CPU: a thread that waits is blocked, one that waits for the CPU is not, and is
/// counted there.
#[test]
fn a_thread_is_blocked_while_it_waits_for_something_else() {
    run(Config::of(1), || {
        let done = Arc::new(AtomicBool::new(false));
        let waits = done.clone();
        let waiter = spawn(10, Some(0), move || {
            park();
            park_until(now() + 1_000_000);
            waits.store(true, Ordering::SeqCst);
        });
        assert!(!waiter.is_blocked(), "it has not run");
        assert_eq!(world().scheduler.waiting(0), 1);
        yield_now();
        assert!(waiter.is_blocked(), "it has parked");
        assert_eq!(world().scheduler.waiting(0), 0);
        unpark(&waiter);
        assert!(!waiter.is_blocked(), "it waits for the CPU");
        assert_eq!(world().scheduler.waiting(0), 1);
        yield_now();
        assert!(waiter.is_blocked(), "it waits for a deadline");
        park_until(now() + 2_000_000);
        assert!(done.load(Ordering::SeqCst), "its deadline was earlier");
        assert!(!waiter.is_blocked(), "it has ended");
    });
}
