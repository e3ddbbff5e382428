//! Counters that whoever updates them locks: by a spin lock, by a lock that its
//! waiters sleep for, by a token.

use alloc::boxed::Box;

use darner_lwkt::spin::SpinLock;
use darner_lwkt::{Holder, Machine, MayBlock, RwLock, Token};

use super::counts::{Apart, Counts};
use super::shape::{Shape, Updates};
use super::{Closed, Way};
use crate::sched::Kernel;

/// One `T` for each CPU's counters.
fn for_each_cpu<T>(one: impl Fn() -> T) -> Box<[Apart<T>]> {
    (0..Kernel::cpus()).map(|_| Apart(one())).collect()
}

/// Under spin locks.
pub struct Spin(Box<[Apart<SpinLock<Kernel, Counts>>]>);

impl Way for Spin {
    fn new() -> Self {
        Self(for_each_cpu(|| SpinLock::new(Counts::default())))
    }

    #[inline(always)]
    fn apply<S: Shape>(&'static self, _leave: &mut MayBlock<Kernel>, updates: Updates<S>) {
        for update in updates {
            let mut counts = self.0[update.target].0.lock();
            counts.update::<S>(update.value);
        }
    }

    fn close(&'static self, _leave: &MayBlock<Kernel>, closed: &'static Closed) {
        closed.one();
    }

    fn counts(&'static self, _leave: &mut MayBlock<Kernel>, cpu: usize) -> Counts {
        *self.0[cpu].0.lock()
    }
}

/// Under the kernel's blocking lock, always for writing: its sleeping mutex.
pub struct Mutex(Box<[Apart<RwLock<Kernel, Counts>>]>);

impl Way for Mutex {
    fn new() -> Self {
        Self(for_each_cpu(|| RwLock::new(Counts::default())))
    }

    #[inline(always)]
    fn apply<S: Shape>(&'static self, leave: &mut MayBlock<Kernel>, updates: Updates<S>) {
        for update in updates {
            let mut counts = self.0[update.target].0.write(leave);
            counts.update::<S>(update.value);
        }
    }

    fn close(&'static self, _leave: &MayBlock<Kernel>, closed: &'static Closed) {
        closed.one();
    }

    fn counts(&'static self, leave: &mut MayBlock<Kernel>, cpu: usize) -> Counts {
        *self.0[cpu].0.read(leave)
    }
}

/// Under tokens.
pub struct Tokens(Box<[Apart<Token<Kernel, Counts>>]>);

impl Way for Tokens {
    fn new() -> Self {
        Self(for_each_cpu(|| Token::new(Counts::default())))
    }

    #[inline(always)]
    fn apply<S: Shape>(&'static self, leave: &mut MayBlock<Kernel>, updates: Updates<S>) {
        Holder::scope(leave, |holder| {
            for update in updates {
                holder.exclusive(&self.0[update.target].0, |mut counts, holder| {
                    let counts = counts.get_mut(holder);
                    counts.update::<S>(update.value);
                });
            }
        });
    }

    fn close(&'static self, _leave: &MayBlock<Kernel>, closed: &'static Closed) {
        closed.one();
    }

    fn counts(&'static self, leave: &mut MayBlock<Kernel>, cpu: usize) -> Counts {
        Holder::scope(leave, |holder| {
            holder.shared(&self.0[cpu].0, |counts, holder| *counts.get(holder))
        })
    }
}
