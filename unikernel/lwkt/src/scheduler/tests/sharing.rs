//! On which CPUs threads run, and for how long. The clock stands still but for what the
//! test lets pass.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::super::{SPILL, TICK};
use super::clock::{Clock, driven};
use super::machine::Host;
use super::program::{
    Latch, cpu, leave, migrate, now, park, park_until, random, spawn, spin_until, step, unpark,
    yield_now,
};
use super::world::world;
use crate::critical::Critical;
use crate::ipi::Delivery;
use crate::machine::Nanos;
use crate::thread::PARKED;

const CPUS: usize = 4;

/// Tells threads that compute to end.
#[derive(Clone)]
struct Stop(Arc<AtomicBool>);

impl Stop {
    fn new() -> Self {
        Self(Arc::new(AtomicBool::new(false)))
    }

    fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn compute(&self) {
        spin_until(|| self.0.load(Ordering::Relaxed));
    }
}

/// Starts `count` threads that compute, on CPU `on` if that is given.
fn compute(count: usize, on: Option<usize>, stop: &Stop) {
    for _ in 0..count {
        let stop = stop.clone();
        spawn(10, on, move || stop.compute());
    }
}

/// Lets `time` pass in steps of `step`. No CPU may idle for longer than `limit` while a
/// thread waits.
fn watch(clock: &Clock, time: Nanos, step: Nanos, limit: Nanos) {
    let end = clock.now() + time;
    let mut fair = clock.now();
    while clock.now() < end {
        clock.pass(step);
        let waiting = clock.waiting();
        if clock.busy() == CPUS || waiting.iter().sum::<usize>() == 0 {
            fair = clock.now();
        }
        let unfair = clock.now() - fair;
        assert!(
            unfair <= limit,
            "{} CPUs run threads, but on each wait {waiting:?}, for {unfair} ns",
            clock.busy()
        );
    }
}

/// More threads than CPUs, all started on one: they are given away.
#[test]
fn a_busy_cpu_gives_to_idle_ones() {
    let stop = Stop::new();
    let threads = stop.clone();
    driven(
        CPUS,
        move || compute(7, Some(0), &threads),
        move |clock| {
            watch(clock, TICK, SPILL / 4, 2 * SPILL);
            stop.stop();
        },
    );
}

/// When the threads of CPUs have ended, they get those of another. Mostly at once, by
/// asking; where several ask at the same time one may get two, until that is found.
#[test]
fn an_idle_cpu_asks_a_busy_one() {
    let (short, long) = (Stop::new(), Stop::new());
    let (short_threads, long_threads) = (short.clone(), long.clone());
    driven(
        CPUS,
        move || {
            compute(3, Some(0), &long_threads);
            for cpu in 1..CPUS {
                compute(1, Some(cpu), &short_threads);
            }
        },
        move |clock| {
            clock.settle();
            short.stop();
            watch(clock, 2 * TICK, TICK / 20, TICK);
            assert_eq!(clock.waiting(), [0; CPUS]);
            long.stop();
        },
    );
}

/// Threads that compute and sleep, now here, now there, each for some ticks.
#[test]
fn no_cpu_idles_while_threads_wait() {
    let stop = Stop::new();
    let threads = stop.clone();
    driven(
        CPUS,
        move || {
            for _ in 0..2 * CPUS {
                let stop = threads.clone();
                spawn(10, Some(0), move || {
                    let over = || stop.0.load(Ordering::Relaxed);
                    let some_ticks = || random(3 * TICK as usize) as Nanos;
                    while !over() {
                        let end = now() + some_ticks();
                        spin_until(|| now() >= end || over());
                        match random(4) {
                            0 => migrate(random(CPUS)),
                            1 => yield_now(),
                            _ => {
                                park_until(now() + some_ticks());
                            }
                        }
                    }
                });
            }
        },
        move |clock| {
            watch(clock, 60 * TICK, TICK / 20, TICK);
            stop.stop();
        },
    );
}

/// New threads go to CPUs that have nothing to do. Where one is about to take up a
/// thread it may get a second, until that is found.
#[test]
fn new_threads_spread() {
    let stop = Stop::new();
    let threads = stop.clone();
    driven(
        CPUS,
        move || {
            // One runs already.
            compute(CPUS - 1, None, &threads);
        },
        move |clock| {
            clock.settle();
            watch(clock, TICK / 2, SPILL / 4, 2 * SPILL);
            assert_eq!(clock.busy(), CPUS);
            assert_eq!(clock.waiting(), [0; CPUS]);
            stop.stop();
        },
    );
}

/// New threads go to those that have least to do.
#[test]
fn more_new_threads_spread() {
    let stop = Stop::new();
    let threads = stop.clone();
    driven(
        CPUS,
        move || {
            for cpu in 1..CPUS {
                compute(1, Some(cpu), &threads);
            }
            // Until all run.
            while world()
                .cpus
                .iter()
                .any(|cpu| !cpu.runs_thread.load(Ordering::Acquire))
            {
                step();
            }
            compute(CPUS, None, &threads);
        },
        move |clock| {
            clock.settle();
            assert_eq!(clock.waiting(), [1; CPUS]);
            stop.stop();
        },
    );
}

/// Several threads of a CPU that idles are woken at the same time while others idle,
/// too: it runs one and gives the rest away soon.
#[test]
fn a_cpu_that_was_idle_gives_to_idle_ones() {
    let stop = Stop::new();
    let threads = stop.clone();
    driven(
        CPUS,
        move || {
            let start = Stop::new();
            let parked: Vec<_> = (0..3)
                .map(|_| {
                    let stop = threads.clone();
                    let go = start.clone();
                    spawn(10, Some(1), move || {
                        // Until it has parked on CPU 1: others may have got it.
                        while !go.0.load(Ordering::Relaxed) {
                            migrate(1);
                            park();
                        }
                        stop.compute();
                    })
                })
                .collect();
            for thread in &parked {
                spin_until(|| {
                    let has_parked = thread.token.load(Ordering::Acquire) == PARKED;
                    let is_there = thread.cpu() == 1;
                    if has_parked && !is_there {
                        unpark(thread);
                    }
                    has_parked && is_there
                });
            }
            start.stop();
            // In one section of CPU 1, so that none runs before all are ready.
            world()
                .messages
                .send(&leave(), 1, move |_: Delivery<'_, Host>| {
                    for thread in &parked {
                        unpark(thread);
                    }
                });
        },
        move |clock| {
            watch(clock, TICK / 2, SPILL / 4, 2 * SPILL);
            assert_eq!(clock.busy(), CPUS);
            stop.stop();
        },
    );
}

/// Threads of the same priority take turns by the tick, and for no other reason: not
/// when a timer fires for somebody else.
#[test]
fn turns_are_as_long_as_a_tick() {
    let stop = Stop::new();
    let threads = stop.clone();
    let turns = Arc::new(AtomicUsize::new(0));
    let counted = turns.clone();
    driven(
        1,
        move || {
            // One that sleeps most of the time, and has little to do then.
            let stop = threads.clone();
            spawn(20, None, move || {
                while !stop.0.load(Ordering::Relaxed) {
                    park_until(now() + TICK / 50);
                }
            });
            let last = Arc::new(AtomicUsize::new(0));
            for number in 1..=2 {
                let (stop, last, turns) = (threads.clone(), last.clone(), counted.clone());
                spawn(10, None, move || {
                    spin_until(|| {
                        if last.swap(number, Ordering::Relaxed) != number {
                            turns.fetch_add(1, Ordering::Relaxed);
                        }
                        stop.0.load(Ordering::Relaxed)
                    });
                });
            }
        },
        move |clock| {
            for _ in 0..20 * 20 {
                clock.pass(TICK / 20);
            }
            // Three compute: the driver's thread takes its turns, too.
            let turns = turns.load(Ordering::Relaxed);
            assert!((10..=21).contains(&turns), "{turns} turns in 20 ticks");
            stop.stop();
        },
    );
}

/// The same when the one that sleeps runs whenever the tick comes.
#[test]
fn turns_end_though_something_else_runs_at_the_tick() {
    const EACH: usize = 30;
    let stop = Stop::new();
    let threads = stop.clone();
    let seen = Arc::new([const { AtomicUsize::new(0) }; 2]);
    let counted = seen.clone();
    driven(
        1,
        move || {
            // From a little before each tick to a little after it.
            let stop = threads.clone();
            spawn(20, None, move || {
                let period = now();
                for round in 1.. {
                    if stop.0.load(Ordering::Relaxed) {
                        return;
                    }
                    let start = period + round * TICK - TICK / 10;
                    while now() < start {
                        park_until(start);
                    }
                    spin_until(|| now() >= start + TICK / 5 || stop.0.load(Ordering::Relaxed));
                }
            });
            for number in 0..2 {
                let (stop, seen) = (threads.clone(), counted.clone());
                spawn(10, None, move || {
                    let mut last = 0;
                    spin_until(|| {
                        if now() != last {
                            last = now();
                            seen[number].fetch_add(1, Ordering::Relaxed);
                        }
                        stop.0.load(Ordering::Relaxed)
                    });
                });
            }
        },
        move |clock| {
            for _ in 0..EACH * 20 {
                clock.pass(TICK / 20);
            }
            let seen = [0, 1].map(|number| seen[number].load(Ordering::Relaxed));
            // Three compute.
            assert!(
                seen.iter().all(|&seen| seen > EACH * 2),
                "the threads had {seen:?} of {} moments",
                EACH * 20
            );
            stop.stop();
        },
    );
}

/// A passive message runs at the tick of a CPU that is busy.
#[test]
fn passive_messages_run_at_the_tick() {
    let stop = Stop::new();
    let threads = stop.clone();
    let ran = Arc::new(AtomicBool::new(false));
    let runs = ran.clone();
    driven(
        2,
        move || {
            compute(1, Some(1), &threads);
            spin_until(|| world().cpus[1].runs_thread.load(Ordering::Acquire));
            world()
                .messages
                .send_passive(&leave(), 1, move |_: Delivery<'_, Host>| {
                    runs.store(true, Ordering::Relaxed);
                });
        },
        move |clock| {
            let start = clock.now();
            while !ran.load(Ordering::Relaxed) {
                assert!(clock.now() <= start + TICK, "a tick has passed");
                clock.pass(TICK / 10);
            }
            stop.stop();
        },
    );
}

/// A CPU that has nothing to run asks one that is about to run its only thread: that
/// one keeps it.
#[test]
fn a_cpu_does_not_give_its_only_thread() {
    driven(
        3,
        || {
            let latch = Latch::new(1);
            let done = latch.clone();
            let thread = spawn(10, Some(1), move || {
                park();
                assert_eq!(cpu(), 1);
                done.count();
            });
            spin_until(|| thread.token.load(Ordering::Acquire) == PARKED);
            spin_until(|| world().scheduler.idle.load(Ordering::Acquire) == 0b110);
            let message = move |delivery: Delivery<'_, Host>| {
                unpark(&thread);
                world().scheduler.answer(delivery.section(), 2);
            };
            world().messages.send(&leave(), 1, message);
            latch.wait();
        },
        |_| {},
    );
}

/// A CPU that has got a thread elsewhere meanwhile is not given what it asked for.
#[test]
fn a_busy_cpu_is_given_nothing() {
    let stop = Stop::new();
    let threads = stop.clone();
    driven(
        2,
        move || {
            compute(1, Some(1), &threads);
            spin_until(|| world().scheduler.idle.load(Ordering::Acquire) == 0);
            compute(1, Some(0), &threads);
            let section = Critical::<Host>::enter();
            world().scheduler.answer(&section, 1);
        },
        move |clock| {
            clock.settle();
            assert_eq!(clock.waiting(), [1, 0]);
            stop.stop();
        },
    );
}

/// Threads that are woken from elsewhere run in the order in which they were.
#[test]
fn arrivals_are_queued_in_their_order() {
    driven(
        2,
        || {
            let latch = Latch::new(5);
            let order = Arc::new(Mutex::new(Vec::new()));
            let threads: Vec<_> = (0..5)
                .map(|number| {
                    let (done, order) = (latch.clone(), order.clone());
                    spawn(10, Some(1), move || {
                        park();
                        order.lock().unwrap().push(number);
                        done.count();
                    })
                })
                .collect();
            spin_until(|| {
                let mut tokens = threads.iter().map(|thread| &thread.token);
                tokens.all(|token| token.load(Ordering::Acquire) == PARKED)
            });
            // CPU 1 is kept busy until all have been woken.
            let (busy, woken) = (Stop::new(), Stop::new());
            let (is_busy, are_woken) = (busy.clone(), woken.clone());
            let message = move |_: Delivery<'_, Host>| {
                is_busy.stop();
                while !are_woken.0.load(Ordering::Acquire) {
                    std::thread::yield_now();
                }
            };
            world().messages.send(&leave(), 1, message);
            busy.compute();
            threads.iter().for_each(unpark);
            woken.0.store(true, Ordering::Release);
            // This CPU stays busy, or it would ask for one of them.
            spin_until(|| order.lock().unwrap().len() == 5);
            latch.wait();
            assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
        },
        |_| {},
    );
}

/// A thread that moves runs where it moved to, even if others have nothing to do.
#[test]
fn who_migrates_gets_there() {
    driven(
        CPUS,
        || {
            let latch = Latch::new(1);
            let done = latch.clone();
            spawn(10, None, move || {
                for round in 0..2_000 {
                    let target = round * 7 % CPUS;
                    migrate(target);
                    assert_eq!(cpu(), target, "after {round} rounds");
                }
                done.count();
            });
            latch.wait();
        },
        |_| {},
    );
}
