//! The simulated machine, as the scheduler sees it: what the kernel's
//! `sched/machine.rs` and its interrupt entry do, in the same order.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::{Hardware, Scheduler};
use super::context::Context;
use super::sys::thread;
use super::world::{
    Cpu, MESSAGE, SWITCH, TIMER, context, cpu_count, cpu_number, end, hold, is_ended, world,
};
use crate::ipi::IpiQueues;
use crate::machine::{Machine, Nanos};
use crate::thread::{State, Thread};

/// When to try again to switch away from a thread that was found in the kernel.
const RETRY: Nanos = 20_000;

/// The CPUs of the simulated machine.
pub struct Host;

/// What the machine keeps of a thread.
pub struct Kept {
    pub context: Arc<Context>,
    /// The thread of the host, to wait for when it has ended.
    pub host: Mutex<Option<thread::JoinHandle<()>>>,
    /// How many there are of these.
    count: Arc<AtomicUsize>,
}

impl Kept {
    pub fn new(context: Arc<Context>, count: Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self {
            context,
            host: Mutex::new(None),
            count,
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

fn this_cpu() -> &'static Cpu {
    &world().cpus[cpu_number()]
}

// SAFETY: a CPU's number goes from context to context with the CPU. In a critical
// section interrupts are only noted, and nothing switches away but the section's own
// code.
unsafe impl Machine for Host {
    fn cpu() -> usize {
        cpu_number()
    }

    fn cpus() -> usize {
        cpu_count()
    }

    fn enter_critical() {
        if is_ended() {
            return;
        }
        take_interrupts(false);
        enter();
    }

    fn exit_critical() {
        if is_ended() {
            return;
        }
        take_interrupts(false);
        if leave() {
            end_of_section();
        }
    }

    fn is_critical() -> bool {
        !is_ended() && this_cpu().is_critical()
    }

    fn interrupt(target: usize) {
        world().interrupt(target);
    }

    fn pause() {
        if is_ended() {
            return;
        }
        take_interrupts(false);
        thread::yield_now();
    }

    fn now() -> Nanos {
        let world = world();
        world.pass(world.config.drift)
    }
}

/// Enters a critical section.
fn enter() {
    let critical = &this_cpu().critical;
    critical.store(critical.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// Leaves a critical section; whether anything has been put off.
fn leave() -> bool {
    let cpu = this_cpu();
    let depth = cpu.critical.load(Ordering::Relaxed);
    assert!(depth > 0, "a critical section is left that was not entered");
    cpu.critical.store(depth - 1, Ordering::Relaxed);
    cpu.deferred.load(Ordering::Relaxed) != 0
}

// SAFETY: `switch` hands the CPU on and waits until it is handed one; the scheduler is
// the machine's only one.
unsafe impl Hardware for Host {
    type Kept = Kept;

    fn scheduler() -> &'static Scheduler<Self> {
        &world().scheduler
    }

    fn messages() -> &'static IpiQueues<Self> {
        &world().messages
    }

    fn prepare(thread: Option<&Thread<Self>>) {
        let cpu = this_cpu();
        cpu.take_deferred(SWITCH);
        cpu.runs_thread.store(thread.is_some(), Ordering::Relaxed);
        if let Some(thread) = thread {
            assert_eq!(
                thread.cpu(),
                cpu_number(),
                "runs on a CPU that it is not of"
            );
            assert_eq!(thread.state(), State::Running);
            assert!(thread.deadline().is_none(), "runs, and has a deadline");
        }
    }

    unsafe fn switch(save: *mut usize, load: usize) {
        let cpu = this_cpu();
        assert!(cpu.enabled.load(Ordering::Relaxed), "interrupts are off");
        assert_eq!(
            cpu.critical.load(Ordering::Relaxed),
            1,
            "switched in more than one section"
        );
        let me = context();
        let load = core::ptr::with_exposed_provenance::<Context>(load);
        // Counted: as soon as it has the CPU it may run, end and be given back, while this
        // thread is still on its way out of `give`.
        // SAFETY: the caller's promise; the address is that of the thread's context,
        // or of the idle one, which lives as long as it can be switched to, in an `Arc`.
        let next = unsafe {
            *save = Arc::as_ptr(&me).addr();
            Arc::increment_strong_count(load);
            Arc::from_raw(load)
        };
        Arc::as_ptr(&me).expose_provenance();
        me.save();
        next.give(cpu_number());
        drop(next);
        resume(&me);
    }

    fn set_timer(at: Option<Nanos>) {
        this_cpu()
            .timer
            .store(at.unwrap_or(Nanos::MAX), Ordering::Relaxed);
    }

    fn request_switch() {
        this_cpu().defer(SWITCH);
    }
}

/// Waits until the calling context gets a CPU, or unwinds.
pub fn resume(me: &Context) {
    match me.wait(|| world().is_failed()) {
        Ok(cpu) => hold(cpu),
        Err(_) => end(),
    }
}

/// Does what was put off in the critical section that has just ended.
fn end_of_section() {
    let cpu = this_cpu();
    if cpu.is_critical() || !cpu.enabled.load(Ordering::Relaxed) {
        return;
    }
    do_deferred();
    if cpu.is_deferred(SWITCH) {
        preempt();
    }
}

/// Does what interrupts have put off.
fn do_deferred() {
    enter();
    let world = world();
    loop {
        let cpu = this_cpu();
        let mut anything = false;
        if cpu.take_deferred(MESSAGE) {
            world.messages.poll();
            world.scheduler.poll();
            anything = true;
        }
        if cpu.take_deferred(TIMER) {
            world.messages.poll();
            world.scheduler.on_timer();
            anything = true;
        }
        if !anything {
            break;
        }
    }
    let _ = leave();
}

fn preempt() {
    this_cpu().take_deferred(SWITCH);
    world().scheduler.preempt();
}

/// Takes the interrupts that have been raised, in the program or in the kernel.
pub fn take_interrupts(in_program: bool) {
    let world = world();
    if world.is_failed() {
        end();
    }
    let cpu = this_cpu();
    if !cpu.enabled.load(Ordering::Relaxed) || !world.is_wanted(cpu) {
        if in_program {
            cpu.settled
                .store(world.round.load(Ordering::Acquire), Ordering::Release);
        }
        return;
    }
    if cpu.pending.swap(0, Ordering::AcqRel) & MESSAGE != 0 {
        cpu.defer(MESSAGE);
    }
    if world.time() >= cpu.timer.load(Ordering::Relaxed) {
        cpu.timer.store(Nanos::MAX, Ordering::Relaxed);
        cpu.defer(TIMER);
    }
    if cpu.is_critical() {
        return;
    }
    // As the kernel: the handler runs with interrupts off, the interrupt threads do not.
    cpu.enabled.store(false, Ordering::Relaxed);
    do_deferred();
    let mut switches = wants_switch(cpu);
    while switches && world.scheduler.is_interrupt_thread_due() {
        cpu.take_deferred(SWITCH);
        enter();
        cpu.enabled.store(true, Ordering::Relaxed);
        // SAFETY: in the section that was entered, and is left afterwards.
        unsafe { world.scheduler.run_interrupt_threads() };
        assert!(
            std::ptr::eq(cpu, this_cpu()),
            "interrupted on one CPU, goes on on another"
        );
        cpu.enabled.store(false, Ordering::Relaxed);
        leave();
        do_deferred();
        switches = wants_switch(cpu);
    }
    if switches && !in_program {
        world.scheduler.retry_soon(RETRY);
    }
    cpu.enabled.store(true, Ordering::Relaxed);
    if switches && in_program {
        preempt();
    }
}

fn wants_switch(cpu: &Cpu) -> bool {
    cpu.is_deferred(SWITCH) && cpu.runs_thread.load(Ordering::Relaxed)
}

/// Gives back what threads that have ended on this CPU had. Thread or idle context.
pub fn reap() {
    let world = world();
    while let Some(thread) = world.scheduler.take_ended() {
        assert_eq!(thread.state(), State::Ended);
        thread.kept.context.end();
        let host = thread.kept.host.lock().unwrap().take();
        host.expect("it has been spawned")
            .join()
            .expect("contexts catch their panics");
        drop(thread);
        world.release();
    }
}
