//! Interrupt threads preempt the kernel's own code, which goes on where it was.
//!
//! [`begin`] has interrupt threads run. Then many threads of the program [`spin`] in the
//! kernel, and compute by themselves; [`end`] ends it.

use alloc::format;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use darner_lwkt::Machine;

use super::{Failure, Found, spin_until};
use crate::arch::percpu::{MAX_CPUS, this_index};
use crate::sched::{self, InterruptThread, Kernel};
use crate::time::monotonic_ns;

/// How often the interrupt threads run, in ns.
const PERIOD: u64 = 500_000;
/// So many runs of an interrupt thread are waited for in the kernel: more than a tick of
/// the scheduler, so that another thread of the program is due meanwhile.
const RUNS: u64 = 30;

static THREADS: [InterruptThread; MAX_CPUS] = [const { InterruptThread::new(3) }; MAX_CPUS];
static STARTED: AtomicBool = AtomicBool::new(false);
static STOP: AtomicBool = AtomicBool::new(true);
/// How often the interrupt thread of each CPU has run.
static RAN: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];
/// Which thread of the program has run last on each CPU.
static LAST: [AtomicUsize; MAX_CPUS] = [const { AtomicUsize::new(0) }; MAX_CPUS];

/// The interrupt threads' work: run every now and then, until told to stop.
fn keep_running() -> Option<u64> {
    while !STOP.load(Ordering::Relaxed) {
        RAN[this_index()].fetch_add(1, Ordering::Relaxed);
        sched::sleep_until(monotonic_ns() + PERIOD);
    }
    None
}

/// Has every CPU's interrupt thread run every now and then. How many CPUs there are.
pub fn begin(_: u64) -> Found {
    let cpus = Kernel::cpus();
    if !STARTED.swap(true, Ordering::Relaxed) {
        for (cpu, thread) in THREADS.iter().enumerate().take(cpus) {
            if !thread.start(cpu, keep_running) {
                return Err("no memory for an interrupt thread".into());
            }
        }
    }
    STOP.store(false, Ordering::Relaxed);
    THREADS[..cpus].iter().for_each(InterruptThread::ask);
    Ok(cpus as u64)
}

/// Ends what [`begin`] has begun. How often interrupt threads have run.
pub fn end(_: u64) -> Found {
    STOP.store(true, Ordering::Relaxed);
    Ok(RAN.iter().map(|ran| ran.load(Ordering::Relaxed)).sum())
}

/// The calling thread spins in the kernel `rounds` times, and must be preempted there by
/// interrupt threads, and by nobody else. Gives how often that was seen.
pub fn spin(rounds: u64) -> Found {
    let me = sched::tid_for_report() as usize;
    let mut seen = 0;
    for _ in 0..rounds {
        seen += spin_in_kernel(me)?;
        sched::yield_now();
    }
    Ok(seen)
}

/// Spins in the kernel until this CPU's interrupt thread has run [`RUNS`] times: it has
/// no other way to run than to preempt this.
fn spin_in_kernel(me: usize) -> Result<u64, Failure> {
    let here = this_index();
    LAST[here].store(me, Ordering::Relaxed);
    let before = RAN[here].load(Ordering::Relaxed);
    let ran = || RAN[here].load(Ordering::Relaxed) - before;
    spin_until("an interrupt thread that preempts the kernel", || {
        ran() >= RUNS || this_index() != here || LAST[here].load(Ordering::Relaxed) != me
    })?;
    if this_index() != here {
        return Err(format!(
            "interrupted on CPU {here}, went on on CPU {}",
            this_index()
        ));
    }
    let last = LAST[here].load(Ordering::Relaxed);
    if last != me {
        return Err(format!(
            "thread {last} has run on CPU {here} within thread {me}'s kernel code"
        ));
    }
    Ok(ran())
}
