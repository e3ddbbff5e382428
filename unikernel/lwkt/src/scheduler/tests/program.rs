//! What the threads of a test call: the scheduler's functions, and some to wait with.

#![cfg_attr(any(loom, shuttle), allow(dead_code, reason = "for some of the tests"))]

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::context::Context;
use super::machine::{Host, Kept, reap, resume, take_interrupts};
use super::sys::thread;
use super::world::{as_context, is_ended, world};
use crate::critical::MayBlock;
use crate::machine::Nanos;
use crate::run_queue::Priority;
use crate::scheduler::Wakeup;
use crate::thread::Thread;

/// A thread of the simulated machine.
pub type Ref = Arc<Thread<Host>>;

/// Leave to wait. Thread context, in no critical section.
pub fn leave() -> MayBlock<Host> {
    // SAFETY: tests call this where they may wait.
    unsafe { MayBlock::assume() }
}

/// The priority of a number below 32, or the interrupt level above.
pub fn priority_of(number: u8) -> Priority {
    match number.checked_sub(FIRST_INTERRUPT) {
        None => Priority::new(number),
        Some(level) => Priority::interrupt(level),
    }
}

/// The number that stands for interrupt level 0 in [`priority_of`].
pub const FIRST_INTERRUPT: u8 = 33;

/// Starts a thread that runs `body`.
pub fn spawn(priority: u8, on: Option<usize>, body: impl FnOnce() + Send + 'static) -> Ref {
    let thread = prepare(priority, body);
    start(&thread, on);
    thread
}

/// A thread that runs `body` once it is started.
pub fn prepare(priority: u8, body: impl FnOnce() + Send + 'static) -> Ref {
    let world = world();
    let context = Context::new();
    let kept = Kept::new(context.clone(), world.kept.clone());
    let saved = Arc::as_ptr(&context).expose_provenance();
    let thread: Ref = Thread::new(priority_of(priority), saved, kept);
    let host = thread::spawn(move || {
        let me = context.clone();
        as_context(world, 0, context, || {
            resume(&me);
            // SAFETY: first of all, once.
            unsafe { world.scheduler.begin() };
            body();
            world.scheduler.exit(&leave());
        });
    });
    *thread.kept.host.lock().unwrap() = Some(host);
    thread
}

/// Starts a thread that was [`prepare`]d.
pub fn start(thread: &Ref, on: Option<usize>) {
    let world = world();
    world.alive.fetch_add(1, Ordering::AcqRel);
    // SAFETY: tests start a thread once.
    unsafe { world.scheduler.start(thread.clone(), on) };
}

/// The calling thread.
pub fn current() -> Ref {
    world().scheduler.current().expect("a thread calls this")
}

/// The CPU that the caller is on.
pub fn cpu() -> usize {
    current().cpu()
}

pub fn park() {
    let outcome = world().scheduler.park(&leave(), None);
    assert_eq!(outcome, Wakeup::Unparked, "there was no deadline");
}

/// Parks; a deadline is not early.
pub fn park_until(deadline: Nanos) -> Wakeup {
    let outcome = world().scheduler.park(&leave(), Some(deadline));
    if outcome == Wakeup::TimedOut {
        let now = now();
        assert!(now >= deadline, "woken at {now}, {} early", deadline - now);
    }
    outcome
}

pub fn unpark(thread: &Ref) {
    world().scheduler.unpark(thread);
}

pub fn yield_now() {
    world().scheduler.yield_now(&leave());
}

pub fn migrate(target: usize) {
    world().scheduler.migrate(&leave(), target);
}

pub fn set_priority(thread: &Ref, priority: u8) {
    let priority = Priority::new(priority);
    world()
        .scheduler
        .set_priority(&leave(), thread.clone(), priority);
}

/// The time, without any passing.
pub fn now() -> Nanos {
    world().time()
}

/// The program computes for so long.
pub fn work(time: Nanos) {
    world().pass(time);
    step();
}

/// A step of the program: an interrupt may come.
pub fn step() {
    if !is_ended() {
        take_interrupts(true);
    }
}

/// The program computes until something is true.
pub fn spin_until(mut done: impl FnMut() -> bool) {
    while !done() {
        step();
        thread::yield_now();
    }
}

/// Lets a thread wait until others have done something so many times.
pub struct Latch {
    left: crate::sync::atomic::AtomicUsize,
    waiter: Ref,
}

impl Latch {
    /// The calling thread will wait for `count`.
    pub fn new(count: usize) -> Arc<Self> {
        Arc::new(Self {
            left: crate::sync::atomic::AtomicUsize::new(count),
            waiter: current(),
        })
    }

    pub fn count(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            unpark(&self.waiter);
        }
    }

    /// Waits, and gives back what has ended on this CPU meanwhile.
    pub fn wait(&self) {
        while self.left.load(Ordering::Acquire) != 0 {
            park();
            reap();
        }
    }
}

/// A number below `limit`, chosen at random; the same ones in each run.
pub fn random(limit: usize) -> usize {
    #[cfg(shuttle)]
    {
        use shuttle::rand::{Rng, thread_rng};
        thread_rng().gen_range(0..limit)
    }
    #[cfg(not(shuttle))]
    {
        use std::sync::atomic::AtomicU64;
        // One for all threads: only who gets which number depends on the host.
        static STATE: AtomicU64 = AtomicU64::new(1);
        // Steele, Lea and Flood, "Fast splittable pseudorandom number generators"
        // (2014): the mixing of a counter.
        let mut bits = STATE.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ bits >> 31) as usize % limit
    }
}
