//! A machine for models with more than two threads and spin locks.
//!
//! Loom cannot tell that a thread that spins waits for another one, and tries endless
//! orders in which spinning threads look in turn while the holder of the lock does not
//! run. Here a thread that finds a lock taken sleeps until some other thread leaves a
//! critical section, which is what follows the end of every lock.
//!
//! As with [`Threads`](crate::test_machine::Threads), only threads that the model has
//! spawned may park, and they may not join others.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::critical::MayBlock;
use crate::machine::{Machine, Nanos, Park};

/// The threads of a loom model.
pub struct Model;

/// A thread of a loom model.
#[derive(Clone)]
pub struct Thread {
    state: Rc<State>,
    thread: loom::thread::Thread,
}

// SAFETY: loom runs all threads of a model on one thread of the host, in turns.
unsafe impl Send for Thread {}
// SAFETY: as above.
unsafe impl Sync for Thread {}

#[derive(Default)]
struct State {
    /// Critical sections that the thread is in.
    depth: Cell<usize>,
    /// It was unparked since it parked last.
    unparked: Cell<bool>,
    /// A critical section has ended since it found a lock taken.
    retry: Cell<bool>,
    /// Its clock: time passes while it parks.
    clock: Cell<Nanos>,
}

loom::thread_local! {
    static CURRENT: Rc<State> = Rc::default();
}

std::thread_local! {
    /// Those that found a lock taken; of the model that this thread of the host runs.
    static SPINNING: RefCell<Vec<Thread>> = const { RefCell::new(Vec::new()) };
}

fn state() -> Rc<State> {
    CURRENT.with(Rc::clone)
}

// SAFETY: data of a CPU is not used here, so there is no CPU.
unsafe impl Machine for Model {
    fn cpu() -> usize {
        unimplemented!("these threads are on no CPU")
    }

    fn cpus() -> usize {
        unimplemented!("there is no CPU")
    }

    fn enter_critical() {
        let depth = &state().depth;
        depth.set(depth.get() + 1);
    }

    fn exit_critical() {
        let depth = &state().depth;
        depth.set(depth.get() - 1);
        for spinning in SPINNING.take() {
            spinning.state.retry.set(true);
            spinning.thread.unpark();
        }
    }

    fn is_critical() -> bool {
        state().depth.get() > 0
    }

    fn interrupt(_target: usize) {
        unimplemented!("these threads take no interrupts")
    }

    /// Nothing ran between the look at the lock and this, so no end of a section is
    /// missed.
    fn pause() {
        let me = Self::current();
        me.state.retry.set(false);
        SPINNING.with_borrow_mut(|spinning| spinning.push(me.clone()));
        while !me.state.retry.get() {
            loom::thread::park();
        }
    }

    fn now() -> Nanos {
        state().clock.get()
    }
}

impl Park for Model {
    type Thread = Thread;

    fn current() -> Thread {
        Thread {
            state: state(),
            thread: loom::thread::current(),
        }
    }

    /// A deadline comes at once: other threads may have done anything or nothing
    /// meanwhile, which is all that a deadline can mean to a model.
    fn park(_leave: &MayBlock<Self>, deadline: Option<Nanos>) {
        assert!(!Self::is_critical(), "a thread parks in a critical section");
        let state = state();
        match deadline {
            Some(deadline) => state.clock.set(state.clock.get().max(deadline)),
            None => {
                while !state.unparked.get() {
                    loom::thread::park();
                }
            }
        }
        state.unparked.set(false);
    }

    fn unpark(thread: &Thread) {
        thread.state.unparked.set(true);
        thread.thread.unpark();
    }
}

impl PartialEq for Thread {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.state, &other.state)
    }
}

/// Tries all orders of what the threads of `test` do, with up to `switches` switches
/// away from a thread that could have gone on.
pub fn model(switches: usize, test: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(switches);
    builder.max_branches = 4_000;
    builder.check(test);
}
