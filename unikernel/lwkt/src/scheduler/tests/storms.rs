//! Many threads do everything at once. A wake-up that is lost leaves the machine
//! halted with threads that have not ended, which fails; so does a count of a thread
//! that nobody gives back.

use std::sync::Arc;
use std::sync::OnceLock;

use super::machine::{Host, reap};
use super::program::{
    Latch, Ref, current, leave, migrate, now, park, park_until, prepare, random, set_priority,
    spawn, start, step, unpark, work, yield_now,
};
use super::world::{Config, cpu_count, run, world};
use crate::ipi::Delivery;
use crate::scheduler::Wakeup;
use crate::sync::atomic::{AtomicUsize, Ordering};

/// Threads that know each other.
pub struct Group {
    members: OnceLock<Vec<Ref>>,
    /// What each has sent to each.
    sent: Vec<AtomicUsize>,
}

impl Group {
    /// Starts `count` threads, and waits until they have ended.
    fn run(count: usize, body: impl Fn(usize, &Group) + Send + Sync + 'static) {
        let group = Arc::new(Group {
            members: OnceLock::new(),
            sent: (0..count * count).map(|_| AtomicUsize::new(0)).collect(),
        });
        let body = Arc::new(body);
        let latch = Latch::new(count);
        let members: Vec<Ref> = (0..count)
            .map(|number| {
                let (group, body, latch) = (group.clone(), body.clone(), latch.clone());
                prepare(10, move || {
                    body(number, &group);
                    drop((group, body));
                    latch.count();
                })
            })
            .collect();
        let _ = group.members.set(members.clone());
        for thread in &members {
            start(thread, None);
        }
        latch.wait();
    }

    fn member(&self, number: usize) -> &Ref {
        &self.members.get().expect("set before any starts")[number]
    }

    fn count(&self) -> usize {
        self.members.get().expect("set before any starts").len()
    }

    /// Sends one message from `from` to `to`. The stores are relaxed: unparking must
    /// do for order.
    fn send(&self, from: usize, to: usize) {
        let slot = &self.sent[from * self.count() + to];
        slot.store(slot.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        unpark(self.member(to));
    }

    /// How many messages have come to `to`.
    fn received(&self, to: usize) -> usize {
        (0..self.count())
            .map(|from| self.sent[from * self.count() + to].load(Ordering::Relaxed))
            .sum()
    }
}

/// Every thread sends to all others in turn and waits for as many. No wake-up may be
/// lost. `between` is done now and then.
pub fn mail(cpus: usize, threads: usize, rounds: usize, between: fn(&Group)) {
    run(Config::of(cpus), move || {
        Group::run(threads, move |me, group| {
            for round in 0..rounds {
                for other in (0..threads).filter(|&other| other != me) {
                    between(group);
                    group.send(me, other);
                }
                while group.received(me) < round * (threads - 1) {
                    park();
                }
            }
            while group.received(me) < rounds * (threads - 1) {
                park();
            }
        });
    });
}

#[cfg(not(shuttle))]
fn nothing(_group: &Group) {}

pub fn yields(_group: &Group) {
    match random(3) {
        0 => yield_now(),
        1 => step(),
        _ => {}
    }
}

pub fn moves(_group: &Group) {
    match random(3) {
        0 => migrate(random(cpu_count())),
        1 => work(30_000),
        _ => {}
    }
}

#[cfg(not(shuttle))]
fn changes(group: &Group) {
    set_priority(group.member(random(group.count())), random(32) as u8);
    moves(group);
}

/// Two threads: one parks with a deadline, the other unparks it once, at about the same
/// time. The wake-up ends that block, or the next one, and no other.
pub fn deadlines(cpus: usize, pairs: usize, rounds: usize) {
    run(Config::of(cpus), move || {
        let latch = Latch::new(pairs * 2);
        for _ in 0..pairs {
            let waker = Arc::new(OnceLock::<Ref>::new());
            let turn = Arc::new(AtomicUsize::new(0));
            let (waiters_waker, waiters_turn, done) = (waker.clone(), turn.clone(), latch.clone());
            let waiter = prepare(10, move || {
                for round in 1..=rounds {
                    waiters_turn.store(round, Ordering::Relaxed);
                    unpark(waiters_waker.get().expect("set before"));
                    if park_until(now() + random(4_000) as u64) == Wakeup::TimedOut {
                        park();
                    }
                    moves_sometimes();
                }
                let outcome = park_until(now() + 1_000);
                assert_eq!(outcome, Wakeup::TimedOut, "woken twice for one unpark");
                drop(waiters_waker);
                done.count();
            });
            let (target, done) = (waiter.clone(), latch.clone());
            let thread = prepare(10, move || {
                for round in 1..=rounds {
                    while turn.load(Ordering::Relaxed) < round {
                        park();
                    }
                    work(random(4_000) as u64);
                    unpark(&target);
                    moves_sometimes();
                }
                drop(target);
                done.count();
            });
            let _ = waker.set(thread.clone());
            start(&waiter, None);
            start(&thread, None);
        }
        latch.wait();
    });
}

fn moves_sometimes() {
    if random(8) == 0 {
        migrate(random(cpu_count()));
    }
}

/// Threads that start threads. All run, and nothing of them stays.
pub fn families(cpus: usize, generations: usize, children: usize) {
    fn family(generations: usize, children: usize, born: Arc<AtomicUsize>) {
        born.fetch_add(1, Ordering::Relaxed);
        if generations == 0 {
            return;
        }
        let latch = Latch::new(children);
        for child in 0..children {
            let (born, latch) = (born.clone(), latch.clone());
            let on = (child % 2 == 1).then(|| random(cpu_count()));
            spawn(random(32) as u8, on, move || {
                family(generations - 1, children, born);
                latch.count();
            });
        }
        latch.wait();
        reap();
    }
    let born = Arc::new(AtomicUsize::new(0));
    let all = born.clone();
    run(Config::of(cpus), move || {
        family(generations, children, born)
    });
    let expected = (0..=generations).map(|generation| children.pow(generation as u32));
    assert_eq!(all.load(Ordering::Relaxed), expected.sum::<usize>());
}

/// Each thread has one that sets its priority, time and again, wherever it is: what was
/// set last stays.
pub fn priorities(cpus: usize, threads: usize, rounds: usize) {
    run(Config::of(cpus), move || {
        Group::run(threads, move |me, group| {
            let other = group.member((me + 1) % threads);
            for _ in 0..rounds {
                for _ in 0..3 {
                    set_priority(other, random(32) as u8);
                }
                moves(group);
                yield_now();
            }
            set_priority(other, 7);
            set_priority(other, me as u8);
            // Until the one who sets this thread's is through.
            group.send(me, (me + 1) % threads);
            while group.received(me) == 0 {
                park();
            }
            // Until it is done.
            let long = now() + 1_000_000;
            while park_until(long) == Wakeup::Unparked {}
            let last = (me + threads - 1) % threads;
            assert_eq!(usize::from(current().priority().number()), last);
        });
    });
}

/// Threads send messages to all CPUs, active and passive, while they switch and move.
/// Each runs once, and wakes its sender. Now and then all CPUs meet.
pub fn messages(cpus: usize, threads: usize, rounds: usize) {
    run(Config::of(cpus), move || {
        Group::run(threads, move |_, _| {
            let answers = Arc::new(AtomicUsize::new(0));
            for round in 1..=rounds {
                for target in 0..cpus {
                    let (me, answers) = (current(), answers.clone());
                    let message = move |delivery: Delivery<'_, Host>| {
                        answers.fetch_add(1, Ordering::Relaxed);
                        let next = (target + 1) % cpus;
                        delivery.forward(next, move |_| unpark(&me));
                    };
                    match random(2) {
                        0 => world().messages.send(&leave(), target, message),
                        _ => world().messages.send_passive(&leave(), target, message),
                    }
                }
                moves_sometimes();
                if random(8) == 0 {
                    world().messages.rendezvous(&leave(), |_| {});
                }
                while answers.load(Ordering::Relaxed) < round * cpus {
                    park();
                }
            }
        });
    });
}

/// All of it.
pub fn everything(cpus: usize, threads: usize, rounds: usize) {
    mail(cpus, threads, rounds, |group| match random(8) {
        0 => yield_now(),
        1 => migrate(random(cpu_count())),
        2 => set_priority(group.member(random(group.count())), random(32) as u8),
        3 => work(random(100_000) as u64),
        4 => {
            // Whoever wakes this thread meanwhile wakes it for its mail, too.
            let deadline = now() + random(50_000) as u64;
            if park_until(deadline) == Wakeup::Unparked {
                unpark(&current());
            }
        }
        5 => {
            let target = random(cpu_count());
            world()
                .messages
                .send_passive(&leave(), target, |_: Delivery<'_, Host>| {});
        }
        6 => {
            spawn(random(32) as u8, None, || work(10_000));
            reap();
        }
        _ => unpark(group.member(random(group.count()))),
    });
}

#[cfg(not(shuttle))]
mod large {
    use super::*;

    #[test]
    fn mail_on_one_cpu() {
        mail(1, 8, 1_000, yields);
    }

    #[test]
    fn mail_on_two_cpus() {
        mail(2, 2, 40_000, nothing);
    }

    #[test]
    fn mail_on_four_cpus() {
        mail(4, 12, 500, yields);
    }

    #[test]
    fn mail_for_threads_that_move() {
        mail(4, 8, 500, moves);
    }

    #[test]
    fn mail_while_priorities_change() {
        mail(3, 6, 500, changes);
    }

    #[test]
    fn one_outcome_of_a_deadline_and_a_wakeup() {
        deadlines(4, 4, 3_000);
    }

    #[test]
    fn threads_start_and_end() {
        families(4, 3, 10);
    }

    #[test]
    fn what_priority_was_set_last_stays() {
        priorities(4, 8, 500);
    }

    #[test]
    fn messages_run_while_threads_switch() {
        messages(4, 8, 1_000);
    }

    #[test]
    fn everything_at_once() {
        everything(4, 10, 300);
    }
}
