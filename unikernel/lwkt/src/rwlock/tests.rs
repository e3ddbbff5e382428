use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};

use proptest::prelude::*;

use super::{RwLock as Generic, TimedOut};
use crate::critical::Critical;
use crate::machine::{Machine, Park};
use crate::test_machine::{Threads, leave, must_end, thread};

type RwLock<T> = Generic<Threads, T>;

/// Returns when `count` threads wait for the lock.
fn until_waiting<T>(lock: &RwLock<T>, count: usize) {
    while lock.raw.waiting() != count {
        thread::yield_now();
    }
}

#[test]
fn a_writer_excludes_and_readers_do_not() {
    let lock = RwLock::new(1);
    {
        let one = lock.read(&leave());
        let other = lock.read(&leave());
        assert_eq!(*one + *other, 2);
        assert!(lock.try_write().is_none());
        assert!(lock.try_read().is_some());
    }
    {
        let mut guard = lock.write(&leave());
        *guard = 2;
        assert!(lock.try_write().is_none());
        assert!(lock.try_read().is_none());
    }
    assert_eq!(*lock.read(&leave()), 2);
    assert!(lock.raw.is_free());
}

#[test]
fn nothing_is_lost_when_all_write() {
    const ROUNDS: u64 = 4_000;
    must_end(|| {
        let lock = RwLock::new((0, 0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for round in 0..ROUNDS {
                        let mut guard = lock.write(&leave());
                        guard.0 += 1;
                        guard.1 += 1;
                        drop(guard);
                        if round % 4 == 0 {
                            let guard = lock.read(&leave());
                            assert_eq!(guard.0, guard.1);
                        }
                    }
                });
            }
        });
        assert!(lock.raw.is_free());
        assert_eq!(*lock.read(&leave()), (4 * ROUNDS, 4 * ROUNDS));
    });
}

#[test]
fn who_waits_gets_the_lock_in_the_order_of_arrival() {
    must_end(|| {
        let lock = RwLock::new(Vec::new());
        thread::scope(|scope| {
            let first = lock.write(&leave());
            for number in 0..5 {
                let lock = &lock;
                scope.spawn(move || lock.write(&leave()).push(number));
                until_waiting(lock, number + 1);
            }
            drop(first);
        });
        assert_eq!(*lock.read(&leave()), [0, 1, 2, 3, 4]);
    });
}

#[test]
fn nobody_overtakes_who_waits() {
    must_end(|| {
        let lock = RwLock::new(());
        let may_end = AtomicBool::new(false);
        thread::scope(|scope| {
            let reader = lock.read(&leave());
            scope.spawn(|| {
                let _guard = lock.write(&leave());
                while !may_end.load(Ordering::Acquire) {
                    thread::yield_now();
                }
            });
            until_waiting(&lock, 1);
            assert!(lock.try_read().is_none(), "a writer waits");
            drop(reader);
            // The writer may not have noticed yet, but the lock is taken.
            assert!(lock.try_read().is_none());
            assert!(lock.try_write().is_none());
            may_end.store(true, Ordering::Release);
        });
    });
}

#[test]
fn readers_that_wait_together_get_in_together() {
    must_end(|| {
        let lock = RwLock::new(());
        let inside = AtomicUsize::new(0);
        let order = Mutex::new(Vec::new());
        thread::scope(|scope| {
            let first = lock.write(&leave());
            for reader in 0..3 {
                scope.spawn(|| {
                    let _guard = lock.read(&leave());
                    inside.fetch_add(1, Ordering::AcqRel);
                    // Ends when all three are in.
                    while inside.load(Ordering::Acquire) < 3 {
                        thread::yield_now();
                    }
                    order.lock().unwrap().push("reader");
                });
                until_waiting(&lock, reader + 1);
            }
            scope.spawn(|| {
                let _guard = lock.write(&leave());
                order.lock().unwrap().push("writer");
            });
            until_waiting(&lock, 4);
            scope.spawn(|| {
                let _guard = lock.read(&leave());
                order.lock().unwrap().push("late reader");
            });
            until_waiting(&lock, 5);
            drop(first);
        });
        assert_eq!(
            *order.lock().unwrap(),
            ["reader", "reader", "reader", "writer", "late reader"]
        );
    });
}

#[test]
fn a_deadline_ends_the_wait() {
    must_end(|| {
        let lock = RwLock::new(7);
        let guard = lock.write(&leave());
        thread::scope(|scope| {
            scope.spawn(|| {
                let deadline = Threads::now() + 5_000_000;
                assert_eq!(lock.write_until(&leave(), deadline).err(), Some(TimedOut));
                assert!(Threads::now() >= deadline);
                assert_eq!(lock.read_until(&leave(), 0).err(), Some(TimedOut));
            });
        });
        drop(guard);
        assert!(lock.raw.is_free());
        // A free lock is taken, however late it is.
        assert_eq!(*lock.read_until(&leave(), 0).unwrap(), 7);
        assert_eq!(*lock.write_until(&leave(), 0).unwrap(), 7);
    });
}

#[test]
fn who_waits_behind_one_that_gives_up_gets_in() {
    must_end(|| {
        let lock = RwLock::new(());
        let reader = lock.read(&leave());
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                lock.write_until(&leave(), Threads::now() + 100_000_000)
                    .is_err()
            });
            while lock.raw.waiting() == 0 && !writer.is_finished() {
                thread::yield_now();
            }
            // Ends though the first reader still reads.
            scope.spawn(|| drop(lock.read(&leave())));
            assert!(writer.join().unwrap());
        });
        drop(reader);
        assert!(lock.raw.is_free());
    });
}

#[test]
fn an_unpark_while_waiting_for_the_lock_is_not_lost() {
    must_end(|| {
        let lock = RwLock::new(());
        thread::scope(|scope| {
            let guard = lock.write(&leave());
            let waiter = scope.spawn(|| {
                drop(lock.write(&leave()));
                Threads::park(&leave(), None);
            });
            until_waiting(&lock, 1);
            waiter.thread().unpark();
            drop(guard);
        });
    });
}

#[test]
#[should_panic(expected = "in a critical section, and is not free")]
fn waiting_in_a_critical_section_is_refused() {
    let lock = RwLock::new(());
    let _guard = lock.read(&leave());
    let _section = Critical::<Threads>::enter();
    drop(lock.write(&leave()));
}

#[test]
fn a_lock_is_free_after_a_panic() {
    let lock = RwLock::new(());
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _guard = lock.write(&leave());
        panic!("expected: the test panics with the lock");
    }));
    assert!(result.is_err());
    assert!(lock.raw.is_free());
}

/// What a thread does with the lock.
#[derive(Clone, Copy, Debug)]
enum Step {
    Read,
    Write,
    TryRead,
    TryWrite,
    ReadFor(u64),
    WriteFor(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Read),
        Just(Step::Write),
        Just(Step::TryRead),
        Just(Step::TryWrite),
        (0..30_000_u64).prop_map(Step::ReadFor),
        (0..30_000_u64).prop_map(Step::WriteFor),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Whatever threads do, with deadlines that come while they are let in, writers
    /// are alone, all come to an end, and the lock is free after that.
    #[test]
    fn writers_are_alone_and_all_ends(
        threads in prop::collection::vec(prop::collection::vec(step(), 1..200), 2..5)
    ) {
        must_end(move || {
            let lock = RwLock::new(0_u64);
            // How many read; -1 while one writes.
            let users = AtomicI32::new(0);
            let writes = AtomicUsize::new(0);
            let read = |value: &u64| {
                assert!(users.fetch_add(1, Ordering::AcqRel) >= 0, "a reader beside a writer");
                let before = *value;
                thread::yield_now();
                assert_eq!(*value, before);
                users.fetch_sub(1, Ordering::AcqRel);
            };
            let write = |value: &mut u64| {
                assert_eq!(users.swap(-1, Ordering::AcqRel), 0, "a writer beside others");
                thread::yield_now();
                *value += 1;
                writes.fetch_add(1, Ordering::Relaxed);
                assert_eq!(users.swap(0, Ordering::AcqRel), -1);
            };
            let run = |step| match step {
                Step::Read => read(&lock.read(&leave())),
                Step::Write => write(&mut lock.write(&leave())),
                Step::TryRead => drop(lock.try_read().map(|guard| read(&guard))),
                Step::TryWrite => drop(lock.try_write().map(|mut guard| write(&mut guard))),
                Step::ReadFor(time) => {
                    let guard = lock.read_until(&leave(), Threads::now() + time);
                    let _ = guard.map(|guard| read(&guard));
                }
                Step::WriteFor(time) => {
                    let guard = lock.write_until(&leave(), Threads::now() + time);
                    let _ = guard.map(|mut guard| write(&mut guard));
                }
            };
            thread::scope(|scope| {
                for steps in threads {
                    scope.spawn(move || steps.into_iter().for_each(run));
                }
            });
            assert!(lock.raw.is_free());
            assert_eq!(lock.raw.waiting(), 0);
            assert_eq!(*lock.read(&leave()), writes.load(Ordering::Relaxed) as u64);
        });
    }
}
