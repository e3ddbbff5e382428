//! Interrupt threads preempt code of the kernel, which goes on on the same CPU, with no
//! other of the program's threads having run there.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::machine::take_interrupts;
use super::program::{
    FIRST_INTERRUPT, Latch, Ref, cpu, current, now, park, park_until, spawn, step, unpark,
};
use super::world::{Config, cpu_number, run, world};
use crate::machine::Nanos;
use crate::scheduler::Wakeup;

/// What a CPU has run.
#[derive(Default)]
struct Ran {
    /// The program's thread that has run last.
    program: AtomicUsize,
    /// How often an interrupt thread has.
    interrupt: AtomicUsize,
}

/// How often an interrupt thread runs.
const PERIOD: Nanos = 20_000;

/// Code of the kernel: it takes interrupts, and knows which CPU it is on.
fn kernel_code(me: usize, ran: &[Ran]) -> usize {
    let here = cpu_number();
    let before = ran[here].interrupt.load(Ordering::Relaxed);
    for _ in 0..20 {
        world().pass(PERIOD / 10);
        take_interrupts(false);
        assert_eq!(cpu_number(), here, "interrupted there, and goes on here");
        let program = ran[here].program.load(Ordering::Relaxed);
        assert_eq!(program, me, "another thread has run within kernel code");
    }
    ran[here].interrupt.load(Ordering::Relaxed) - before
}

fn preempts_kernel_code(cpus: usize) {
    let threads = 2 * cpus + 1;
    let preemptions = Arc::new(AtomicUsize::new(0));
    let seen = preemptions.clone();
    run(Config::of(cpus), move || {
        let ran: Arc<[Ran]> = (0..cpus).map(|_| Ran::default()).collect();
        let rounds = 100;
        let latch = Latch::new(cpus + threads);
        for number in 0..cpus {
            let (ran, latch) = (ran.clone(), latch.clone());
            spawn(FIRST_INTERRUPT, Some(number), move || {
                for _ in 0..10 * rounds {
                    assert_eq!(cpu(), number, "an interrupt thread stays");
                    ran[number].interrupt.fetch_add(1, Ordering::Relaxed);
                    assert_eq!(park_until(now() + PERIOD), Wakeup::TimedOut);
                }
                latch.count();
            });
        }
        for number in 1..=threads {
            let (ran, latch, seen) = (ran.clone(), latch.clone(), seen.clone());
            spawn(10, None, move || {
                for _ in 0..rounds {
                    // The program: threads take turns, and are given to idle CPUs.
                    (0..3).for_each(|_| step());
                    // Nothing comes between this and the kernel's code: it only takes
                    // interrupts where it says so.
                    ran[cpu_number()].program.store(number, Ordering::Relaxed);
                    seen.fetch_add(kernel_code(number, &ran), Ordering::Relaxed);
                }
                latch.count();
            });
        }
        latch.wait();
    });
    let preemptions = preemptions.load(Ordering::Relaxed);
    assert!(
        preemptions > 100,
        "found {preemptions} preemptions, expected one in most calls of 2 periods"
    );
}

#[test]
fn kernel_code_is_preempted_on_one_cpu() {
    preempts_kernel_code(1);
}

#[test]
fn kernel_code_is_preempted_on_four_cpus() {
    preempts_kernel_code(4);
}

#[test]
fn those_of_higher_levels_preempt_others() {
    run(Config::of(1), || {
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let main = current();
        let waiter = |level: u8, name: &'static str, then: Option<Ref>| {
            let (order, main) = (order.clone(), main.clone());
            spawn(FIRST_INTERRUPT + level, Some(0), move || {
                park();
                order.lock().unwrap().push(name);
                if let Some(then) = then {
                    unpark(&then);
                    // It has run by now, on top of this one.
                    order.lock().unwrap().push("goes on");
                }
                unpark(&main);
            })
        };
        let high = waiter(2, "high", None);
        let same = waiter(1, "same", None);
        let low = waiter(1, "low", Some(high));
        // Both are ready before the first can run.
        let section = crate::Critical::<super::machine::Host>::enter();
        unpark(&low);
        unpark(&same);
        drop(section);
        // They preempted this thread at the end of the section.
        assert_eq!(*order.lock().unwrap(), ["low", "high", "goes on", "same"]);
        park();
    });
}

#[test]
#[should_panic(expected = "interrupt threads keep their priorities")]
fn interrupt_threads_keep_their_priorities() {
    run(Config::of(1), || {
        let thread = spawn(FIRST_INTERRUPT, Some(0), park);
        super::program::set_priority(&thread, 10);
    });
}
