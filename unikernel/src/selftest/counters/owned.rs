//! Counters that only the CPU updates that they belong to: in a critical section,
//! without a lock. Others send it a message, and go on.

use core::cell::Cell;
use core::marker::PhantomData;

use darner_lwkt::{CpuLocal, Critical, Delivery, Machine, MayBlock};

use super::counts::{Apart, Counts};
use super::shape::{Shape, Updates};
use super::{Closed, Way};
use crate::sched::{self, Kernel};

/// How updates of another CPU's counters are sent.
pub trait Post: 'static {
    /// Whether the CPU sends messages to itself, too, where it could do without.
    const TO_ITSELF: bool = false;

    /// Sends the message. Waits for an envelope.
    fn send<F>(leave: &MayBlock<Kernel>, target: usize, message: F)
    where
        F: FnOnce(Delivery<'_, Kernel>) + Send + 'static;
}

/// By active messages: they interrupt their target.
pub struct Active;

impl Post for Active {
    #[inline(always)]
    fn send<F>(leave: &MayBlock<Kernel>, target: usize, message: F)
    where
        F: FnOnce(Delivery<'_, Kernel>) + Send + 'static,
    {
        sched::messages().send(leave, target, message);
    }
}

/// By passive messages: they wait for something else to interrupt their target.
pub struct Passive;

impl Post for Passive {
    #[inline(always)]
    fn send<F>(leave: &MayBlock<Kernel>, target: usize, message: F)
    where
        F: FnOnce(Delivery<'_, Kernel>) + Send + 'static,
    {
        sched::messages().send_passive(leave, target, message);
    }
}

/// By active messages, even to itself. On one CPU that shows what a message costs
/// besides the interrupt.
pub struct Always;

impl Post for Always {
    const TO_ITSELF: bool = true;

    #[inline(always)]
    fn send<F>(leave: &MayBlock<Kernel>, target: usize, message: F)
    where
        F: FnOnce(Delivery<'_, Kernel>) + Send + 'static,
    {
        sched::messages().send(leave, target, message);
    }
}

/// Counters of each CPU, updated by itself or by messages that are sent by `P`.
pub struct Owned<P> {
    counts: CpuLocal<Kernel, Apart<Cell<Counts>>>,
    _post: PhantomData<fn() -> P>,
}

impl<P> Owned<P> {
    /// Updates the counters of the section's CPU.
    #[inline(always)]
    fn update<S: Shape>(&self, section: &Critical<Kernel>, value: u64) {
        let cell = &self.counts.get(section).0;
        let mut counts = cell.get();
        counts.update::<S>(value);
        cell.set(counts);
    }
}

impl<P: Post> Way for Owned<P> {
    fn new() -> Self {
        Self {
            counts: CpuLocal::new(|_| Apart::default()),
            _post: PhantomData,
        }
    }

    #[inline(always)]
    fn apply<S: Shape>(&'static self, leave: &mut MayBlock<Kernel>, updates: Updates<S>) {
        for update in updates {
            if !P::TO_ITSELF {
                let section = Critical::enter();
                if section.cpu() == update.target {
                    self.update::<S>(&section, update.value);
                    continue;
                }
            }
            P::send(leave, update.target, move |delivery| {
                self.update::<S>(delivery.section(), update.value);
            });
        }
    }

    /// By a last message to each CPU. Messages between two CPUs keep their order: when
    /// these have run, all have.
    fn close(&'static self, leave: &MayBlock<Kernel>, closed: &'static Closed) {
        for target in 0..Kernel::cpus() {
            sched::messages().send(leave, target, |_| closed.one());
        }
    }

    fn closings() -> usize {
        Kernel::cpus()
    }

    fn counts(&'static self, _leave: &mut MayBlock<Kernel>, cpu: usize) -> Counts {
        let section = Critical::enter();
        assert_eq!(
            section.cpu(),
            cpu,
            "a CPU asked for the counters of another"
        );
        self.counts.get(&section).0.get()
    }
}
