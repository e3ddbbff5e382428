//! Every order of a few steps. CPU 0 runs a thread; the others do one thing each. A
//! thread that is never woken leaves the model waiting for ever, which fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::program::{Ref, migrate, now, park, park_until, prepare, start, unpark};
use super::world::{Config, run_first, start_cpu, world};
use crate::scheduler::Wakeup;
use crate::sync::atomic::AtomicBool;

/// Tries all orders of what a thread on CPU 0, CPU 0's idle context when that thread has
/// blocked, and the `others` do, with up to `switches` switches away from one that could
/// have gone on. What CPU 1 does calls [`World::release`].
///
/// [`World::release`]: super::world::World::release
fn model(
    switches: usize,
    thread: fn(&AtomicBool),
    idle: fn(&Ref),
    others: &'static [fn(&AtomicBool, &Ref)],
) {
    let orders = Arc::new(AtomicU64::new(0));
    let count = orders.clone();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(switches);
    builder.max_branches = 20_000;
    builder.check(move || {
        count.fetch_add(1, Relaxed);
        let config = Config {
            driven: true,
            drift: 0,
            ..Config::of(1 + others.len())
        };
        run_first(config, || {
            let flag = Arc::new(AtomicBool::new(false));
            let threads_flag = flag.clone();
            let under_test = prepare(10, move || thread(&threads_flag));
            start(&under_test, Some(0));
            let others: Vec<_> = (1..)
                .zip(others)
                .map(|(cpu, other)| {
                    let (flag, under_test) = (flag.clone(), under_test.clone());
                    start_cpu(cpu, move || other(&flag, &under_test))
                })
                .collect();
            world().scheduler.idle();
            idle(&under_test);
            drop(under_test);
            world().run_idle();
            for other in others {
                other.join().expect("contexts catch their panics");
            }
        });
    });
    println!("{} orders tried", orders.load(Relaxed));
}

/// Waits until `flag` is set by one who unparks then.
fn wait_for(flag: &AtomicBool) {
    while !flag.load(Relaxed) {
        park();
    }
}

fn set_and_unpark(flag: &AtomicBool, thread: &Ref) {
    flag.store(true, Relaxed);
    unpark(thread);
    world().release();
}

#[test]
fn a_wakeup_between_check_and_sleep() {
    model(2, wait_for, |_| {}, &[set_and_unpark]);
}

/// Who has been woken by one must see what another did who woke it, too.
#[test]
fn two_wakeups() {
    model(2, wait_for, unpark, &[set_and_unpark]);
}

/// The same when both come before it blocks.
#[test]
fn two_wakeups_between_check_and_sleep() {
    model(
        2,
        wait_for,
        |_| {},
        &[set_and_unpark, |_, thread| unpark(thread)],
    );
}

/// The deadline comes while another CPU unparks: that ends this block or the next.
#[test]
fn a_wakeup_against_a_deadline() {
    model(
        2,
        |_| {
            if park_until(now() + 10) == Wakeup::TimedOut {
                park();
            }
        },
        |_| {
            world().pass(20);
        },
        &[|_, thread| {
            unpark(thread);
            world().release();
        }],
    );
}

/// A CPU that halts sees what arrives at it, whether it comes before it halts or after.
#[test]
fn an_arrival_at_a_cpu_that_halts() {
    model(
        2,
        |_| {},
        |_| {},
        &[|_, _| {
            start(&prepare(10, || {}), Some(0));
            world().release();
        }],
    );
}

/// A thread is unparked while it moves and blocks on the other CPU.
#[test]
fn a_wakeup_against_a_migration() {
    model(
        2,
        |flag| {
            migrate(1);
            wait_for(flag);
        },
        unpark,
        &[|flag, _| {
            flag.store(true, Relaxed);
            world().release();
            world().run_idle();
        }],
    );
}
