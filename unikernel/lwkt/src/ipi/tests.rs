//! CPUs are threads here: the host's, or loom's. A CPU takes interrupts when it
//! says so.

use std::cell::{Cell, RefCell};

use super::{Delivery, IpiQueues};
#[cfg(loom)]
use crate::critical::Critical;
use crate::critical::MayBlock;
use crate::machine::{Machine, Nanos};
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

#[cfg(loom)]
use loom::{sync::Arc, thread, thread_local};
#[cfg(not(loom))]
use std::{sync::Arc, thread, thread_local};

/// `N` CPUs.
struct Cpus<const N: usize>;

thread_local! {
    static CPU: Cell<usize> = Cell::new(0);
    static DEPTH: Cell<usize> = Cell::new(0);
    static LINES: RefCell<Option<Arc<Vec<Line>>>> = RefCell::new(None);
}

// SAFETY: a thread is one CPU all its life, and runs one thing at a time.
unsafe impl<const N: usize> Machine for Cpus<N> {
    fn cpu() -> usize {
        CPU.with(Cell::get)
    }
    fn cpus() -> usize {
        N
    }
    fn enter_critical() {
        DEPTH.with(|depth| depth.set(depth.get() + 1));
    }
    fn exit_critical() {
        DEPTH.with(|depth| depth.set(depth.get() - 1));
    }
    fn is_critical() -> bool {
        DEPTH.with(Cell::get) > 0
    }
    fn interrupt(target: usize) {
        line(target, Line::raise);
    }
    fn pause() {
        thread::yield_now();
    }
    fn now() -> Nanos {
        0
    }
}

/// The interrupt line of a CPU.
#[cfg(not(loom))]
#[derive(Default)]
struct Line(AtomicBool);

#[cfg(not(loom))]
impl Line {
    fn raise(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn wait(&self) {
        while !self.0.swap(false, Ordering::AcqRel) {
            thread::yield_now();
        }
    }
}

/// The interrupt line of a CPU. One that waits for ever is found by loom.
#[cfg(loom)]
struct Line(loom::sync::Notify);

#[cfg(loom)]
impl Default for Line {
    fn default() -> Self {
        Self(loom::sync::Notify::new())
    }
}

#[cfg(loom)]
impl Line {
    fn raise(&self) {
        self.0.notify();
    }

    fn wait(&self) {
        self.0.wait();
    }
}

fn line<R>(cpu: usize, with: impl FnOnce(&Line) -> R) -> R {
    let lines = LINES
        .with(|lines| lines.borrow().clone())
        .expect("on a CPU");
    with(&lines[cpu])
}

/// Runs `on(cpu, queues)` on every CPU, and waits for all.
fn run<const N: usize>(
    envelopes: usize,
    on: impl Fn(usize, &IpiQueues<Cpus<N>>) + Send + Sync + 'static,
) {
    let queues = Arc::new(IpiQueues::<Cpus<N>>::new(envelopes));
    let lines: Arc<Vec<Line>> = Arc::new((0..N).map(|_| Line::default()).collect());
    let on = Arc::new(on);
    let cpus: Vec<_> = (0..N)
        .map(|cpu| {
            let (queues, lines, on) = (queues.clone(), lines.clone(), on.clone());
            thread::spawn(move || {
                CPU.with(|own| own.set(cpu));
                LINES.with(|own| *own.borrow_mut() = Some(lines));
                on(cpu, &queues);
            })
        })
        .collect();
    for cpu in cpus {
        cpu.join().unwrap();
    }
}

fn leave<const N: usize>() -> MayBlock<Cpus<N>> {
    // SAFETY: the tests are in no critical section when they use it.
    unsafe { MayBlock::assume() }
}

/// Takes interrupts until `enough`, and looks for messages only when one comes: if
/// one is lost, this does not end.
fn serve_until<const N: usize>(queues: &IpiQueues<Cpus<N>>, enough: impl Fn() -> bool) {
    while !enough() {
        line(CPU.with(Cell::get), Line::wait);
        queues.poll();
    }
}

#[cfg(loom)]
fn model(test: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(test);
}

#[cfg(loom)]
mod every_order {
    use super::*;

    #[test]
    fn each_message_runs_once_and_in_order() {
        model(|| {
            let seen = Arc::new(AtomicUsize::new(0));
            run::<2>(2, move |cpu, queues| {
                if cpu == 1 {
                    return serve_until(queues, || seen.load(Ordering::Relaxed) == 2);
                }
                for number in 0..2 {
                    let seen = seen.clone();
                    queues.send(&leave(), 1, move |_: Delivery<'_, _>| {
                        assert_eq!(seen.swap(number + 1, Ordering::Relaxed), number);
                    });
                }
            });
        });
    }

    #[test]
    fn a_passive_message_does_not_wait_for_an_idle_cpu() {
        model(|| {
            let seen = Arc::new(AtomicBool::new(false));
            run::<2>(8, move |cpu, queues| {
                if cpu == 1 {
                    let section = Critical::enter();
                    queues.set_idle(&section, true);
                    if queues.has_work(&section) {
                        drop(section);
                        queues.poll();
                    } else {
                        drop(section);
                    }
                    // Halted: only the interrupt helps now.
                    return serve_until(queues, || seen.load(Ordering::Relaxed));
                }
                let seen = seen.clone();
                queues.send_passive(&leave(), 1, move |_: Delivery<'_, _>| {
                    seen.store(true, Ordering::Relaxed);
                });
            });
        });
    }

    #[test]
    fn cpus_meet_and_part() {
        model(|| {
            let called = Arc::new(AtomicUsize::new(0));
            run::<2>(2, move |cpu, queues| {
                if cpu == 1 {
                    return serve_until(queues, || called.load(Ordering::Relaxed) == 4);
                }
                // The other CPU may still be about to leave the first meeting.
                for meeting in 0..2 {
                    queues.rendezvous(&leave(), |_| {
                        let before = called.fetch_add(1, Ordering::Relaxed);
                        assert_eq!(before / 2, meeting, "nobody is in the next meeting");
                    });
                    assert_eq!(called.load(Ordering::Relaxed) / 2, meeting + 1);
                }
            });
        });
    }

    #[test]
    fn messages_both_ways_that_answer() {
        model(|| {
            // What has run on each CPU: the other's message, and the answer to its own.
            let ran = [Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0))];
            run::<2>(2, move |cpu, queues| {
                let (here, there) = (ran[cpu].clone(), ran[1 - cpu].clone());
                queues.send(&leave(), 1 - cpu, move |delivery: Delivery<'_, _>| {
                    there.fetch_add(1, Ordering::Relaxed);
                    delivery.forward(cpu, move |_| {
                        here.fetch_add(1, Ordering::Relaxed);
                    });
                });
                serve_until(queues, || ran[cpu].load(Ordering::Relaxed) == 2);
            });
        });
    }
}

#[cfg(not(loom))]
mod storms {
    use super::*;

    const CPUS: usize = 4;

    /// Every CPU sends to every CPU, and each message is sent on twice, with far
    /// fewer envelopes than messages: none is lost, and the order is kept for each
    /// pair of CPUs.
    #[test]
    fn none_is_lost_and_order_is_kept() {
        const EACH: usize = 20_000;
        let next: Arc<Vec<AtomicUsize>> =
            Arc::new((0..CPUS * CPUS).map(|_| AtomicUsize::new(0)).collect());
        let done = Arc::new(AtomicUsize::new(0));
        let all = CPUS * CPUS * EACH;
        let finished = done.clone();
        run::<CPUS>(CPUS, move |cpu, queues| {
            for number in 0..EACH {
                for target in 0..CPUS {
                    let (next, done) = (next.clone(), done.clone());
                    let pair = cpu * CPUS + target;
                    let send = |message: Counted| match number % 3 {
                        0 => queues
                            .send_passive(&leave(), target, move |delivery| message.run(delivery)),
                        _ => queues.send(&leave(), target, move |delivery| message.run(delivery)),
                    };
                    send(Counted {
                        next,
                        done,
                        pair,
                        number,
                    });
                }
                queues.poll();
            }
            while done.load(Ordering::Relaxed) < all {
                queues.poll();
                thread::yield_now();
            }
        });
        assert_eq!(finished.load(Ordering::Relaxed), all);
    }

    struct Counted {
        next: Arc<Vec<AtomicUsize>>,
        done: Arc<AtomicUsize>,
        pair: usize,
        number: usize,
    }

    impl Counted {
        fn run(self, delivery: Delivery<'_, Cpus<CPUS>>) {
            let expected = self.next[self.pair].fetch_add(1, Ordering::Relaxed);
            assert_eq!(expected, self.number, "order of pair {}", self.pair);
            let next = (delivery.section().cpu() + 1) % CPUS;
            let done = self.done;
            delivery.forward(next, move |delivery| {
                delivery.forward((next + 1) % CPUS, move |_| {
                    done.fetch_add(1, Ordering::Relaxed);
                });
            });
        }
    }

    /// Interrupts are enough to bring every message there.
    #[test]
    fn no_interrupt_is_lost() {
        const EACH: usize = 50_000;
        let seen = Arc::new(AtomicUsize::new(0));
        run::<2>(8, move |cpu, queues| {
            if cpu == 1 {
                return serve_until(queues, || seen.load(Ordering::Relaxed) == EACH);
            }
            for _ in 0..EACH {
                let seen = seen.clone();
                queues.send(&leave(), 1, move |_: Delivery<'_, _>| {
                    seen.fetch_add(1, Ordering::Relaxed);
                });
            }
        });
    }

    #[test]
    fn a_message_to_the_sender_runs_at_once_and_without_an_interrupt() {
        run::<1>(1, |_, queues| {
            let ran = Arc::new(AtomicUsize::new(0));
            for passive in [false, true] {
                let counted = ran.clone();
                let message = move |_: Delivery<'_, _>| {
                    counted.fetch_add(1, Ordering::Relaxed);
                };
                match passive {
                    true => queues.send_passive(&leave(), 0, message),
                    false => queues.send(&leave(), 0, message),
                }
            }
            assert_eq!(ran.load(Ordering::Relaxed), 2);
            assert!(!line(0, |line| line.0.load(Ordering::Relaxed)));
        });
    }

    #[test]
    fn handlers_may_try_for_more_and_are_refused_in_the_end() {
        let (sent, ran) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (all_sent, all_ran) = (sent.clone(), ran.clone());
        run::<1>(4, move |_, queues| {
            let queues: &'static IpiQueues<Cpus<1>> =
                // SAFETY: the queues outlive the closure, which has run before `run` ends.
                unsafe { &*core::ptr::from_ref(queues) };
            let (sent, ran) = (sent.clone(), ran.clone());
            queues.send(&leave(), 0, move |delivery| {
                for _ in 0..10 {
                    let ran = ran.clone();
                    let message = move |_: Delivery<'_, Cpus<1>>| {
                        ran.fetch_add(1, Ordering::Relaxed);
                    };
                    match queues.try_send(delivery.section(), 0, message) {
                        Ok(()) => sent.fetch_add(1, Ordering::Relaxed),
                        Err(_) => break,
                    };
                }
            });
            queues.poll();
        });
        assert_eq!(
            all_sent.load(Ordering::Relaxed),
            3,
            "four envelopes, one in use"
        );
        assert_eq!(all_ran.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn all_cpus_meet() {
        let phase = Arc::new(AtomicUsize::new(0));
        run::<CPUS>(CPUS, move |_, queues| {
            // Several gather at the same time.
            for _ in 0..200 {
                queues.rendezvous(&leave(), |_| {
                    phase.fetch_add(1, Ordering::Relaxed);
                });
                queues.poll();
            }
            while phase.load(Ordering::Relaxed) < 200 * CPUS * CPUS {
                queues.poll();
                thread::yield_now();
            }
        });
    }
}
