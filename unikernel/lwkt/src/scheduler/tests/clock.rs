//! A clock that a thread of the host drives, which is none of the machine's: it moves
//! the time by a step and waits until nothing happens any more, so that what it sees
//! does not depend on the speed of the host.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::thread::{sleep, spawn, yield_now};
use std::time::Duration;

use super::program::spin_until;
use super::world::{Config, World, run, world};
use crate::machine::Nanos;

/// The clock.
pub struct Clock(&'static World);

/// Runs a machine of `cpus` CPUs on which `boot` starts threads when all others idle, and
/// `drive` with its clock when that has returned.
pub fn driven(
    cpus: usize,
    boot: impl FnOnce() + Send + 'static,
    drive: impl FnOnce(&Clock) + Send + 'static,
) {
    let config = Config {
        drift: 0,
        driven: true,
        ..Config::of(cpus)
    };
    run(config, move || {
        let world = world();
        let others = (1 << cpus) - 2;
        spin_until(|| world.scheduler.idle.load(Ordering::SeqCst) == others);
        boot();
        let driver = spawn(move || {
            // The machine may not get here any more if the clock stands still.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drive(&Clock(world)))) {
                world.fail(panic);
            }
        });
        spin_until(|| driver.is_finished());
        // Who sleeps wakes up when all do.
        world.driven.store(false, Ordering::SeqCst);
        world.ring();
    });
}

impl Clock {
    /// Waits until nothing happens any more: threads compute, CPUs halt, and no
    /// interrupt is on its way.
    pub fn settle(&self) {
        let world = self.0;
        loop {
            let raised = world.raised.load(Ordering::SeqCst);
            let round = world.round.fetch_add(1, Ordering::SeqCst) + 1;
            world.ring();
            for cpu in &world.cpus {
                while cpu.settled.load(Ordering::Acquire) < round && !world.is_failed() {
                    yield_now();
                    sleep(Duration::from_micros(20));
                }
            }
            if world.raised.load(Ordering::SeqCst) == raised || world.is_failed() {
                return;
            }
        }
    }

    /// Lets time pass, and what is due at the end of it happen.
    pub fn pass(&self, time: Nanos) {
        self.0.pass(time);
        self.0.ring();
        self.settle();
    }

    /// The time now.
    pub fn now(&self) -> Nanos {
        self.0.time()
    }

    /// How many CPUs run threads.
    pub fn busy(&self) -> usize {
        let busy = |cpu: &&super::world::Cpu| cpu.runs_thread.load(Ordering::Acquire);
        self.0.cpus.iter().filter(busy).count()
    }

    /// How many threads wait, on each CPU.
    pub fn waiting(&self) -> Vec<usize> {
        let scheduler = &self.0.scheduler;
        (0..scheduler.shared.len())
            .map(|cpu| scheduler.waiting(cpu))
            .collect()
    }
}
