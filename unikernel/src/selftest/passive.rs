//! When passive messages run: at once on an idle CPU, at the tick on a busy one, and
//! when a quarter of the envelopes wait.

use alloc::boxed::Box;
use alloc::format;
use core::sync::atomic::{AtomicU64, Ordering};

use darner_lwkt::scheduler::TICK;
use darner_lwkt::{Critical, Machine, MayBlock};

use super::gang::{Member, on_every_cpu};
use super::{Failure, Found, spin_until};
use crate::arch::percpu::this_index;
use crate::sched::{self, ENVELOPES, Kernel, raised};
use crate::time::monotonic_ns;

/// The CPUs that send and that are sent to.
const SENDER: usize = 0;
const TARGET: usize = 1;
/// Two readings of the clock that are further apart mean that the host did something
/// else meanwhile than to run the CPU, in nanoseconds.
const LONGEST_STEP: u64 = 100_000;
/// The most of its running time that a busy CPU may take to come to its tick, in
/// nanoseconds. A timer that is emulated on a busy host fires late.
const LONGEST_WAIT: u64 = 50 * TICK;

/// How far the CPUs are: each counts what it has done since the test began.
#[derive(Default)]
struct Progress {
    /// Messages that have run.
    ran: AtomicU64,
    /// Rounds that the target is ready for.
    ready: AtomicU64,
    /// Rounds whose messages the sender has sent.
    sent: AtomicU64,
    /// The longest wait on a busy CPU, in nanoseconds of its running time.
    longest: AtomicU64,
}

/// Sends `messages` of each kind. Gives the longest delay on a busy CPU, in nanoseconds
/// of its running time.
pub fn run(messages: u64) -> Found {
    // For ever: a message that is lost now may run later.
    let progress: &'static Progress = Box::leak(Box::default());
    // SAFETY: this is a thread, and uses this in no section.
    let leave = unsafe { MayBlock::assume() };
    if Kernel::cpus() == 1 {
        to_itself(progress, &leave, messages)?;
        return Ok(0);
    }
    to_idle(progress, &leave, messages)?;
    on_every_cpu(&|member| {
        for _ in 0..messages {
            to_busy(progress, member)?;
        }
        for _ in 0..messages {
            until_many(progress, member)?;
        }
        Ok(())
    })?;
    Ok(progress.longest.load(Ordering::Relaxed))
}

impl Progress {
    fn send(&'static self, leave: &MayBlock<Kernel>, target: usize) {
        sched::messages().send_passive(leave, target, move |_| {
            self.ran.fetch_add(1, Ordering::Release);
        });
    }

    fn ran(&self) -> u64 {
        self.ran.load(Ordering::Acquire)
    }
}

/// To the sending CPU: a message has run when `send_passive` returns.
fn to_itself(
    progress: &'static Progress,
    leave: &MayBlock<Kernel>,
    messages: u64,
) -> Result<(), Failure> {
    for sent in 1..=messages {
        progress.send(leave, 0);
        if progress.ran() != sent {
            return Err("a message to the CPU itself had not run when it was sent".into());
        }
    }
    Ok(())
}

/// To a CPU that has nothing to do, and so no tick: an interrupt is raised for it.
fn to_idle(
    progress: &'static Progress,
    leave: &MayBlock<Kernel>,
    messages: u64,
) -> Result<(), Failure> {
    let mut interrupts = 0;
    for sent in 1..=messages {
        let target = (this_index() + 1) % Kernel::cpus();
        spin_until("a CPU to idle", || sched::scheduler().is_idle(target))?;
        let before = raised(target);
        progress.send(leave, target);
        spin_until("a passive message to run on an idle CPU", || {
            progress.ran() == sent
        })?;
        interrupts += raised(target) - before;
    }
    // Or else the CPU was just about to look, which is rare.
    if interrupts < messages / 2 {
        return Err(format!(
            "found {interrupts} interrupts for {messages} messages to CPUs that idled"
        ));
    }
    Ok(())
}

/// To a CPU that runs a thread: the message runs at its tick.
fn to_busy(progress: &'static Progress, member: &Member<'_>) -> Result<(), Failure> {
    member.barrier()?;
    let all = progress.ran() + 1;
    let round = progress.sent.load(Ordering::Relaxed) + 1;
    member.barrier()?;
    if member.cpu == SENDER {
        member.wait_until("the busy CPU", || {
            progress.ready.load(Ordering::Acquire) == round
        })?;
        let before = raised(TARGET);
        progress.send(&member.leave, TARGET);
        progress.sent.store(round, Ordering::Release);
        spin_until("a passive message to run on a busy CPU", || {
            progress.ran() == all
        })?;
        if raised(TARGET) != before {
            return Err("an interrupt was raised for a passive message to a busy CPU".into());
        }
    }
    if member.cpu == TARGET {
        progress.ready.store(round, Ordering::Release);
        let (mut waited, mut last) = (0, monotonic_ns());
        while progress.ran() < all {
            let now = monotonic_ns();
            if progress.sent.load(Ordering::Acquire) == round {
                waited += (now - last).min(LONGEST_STEP);
            }
            last = now;
            if waited > LONGEST_WAIT {
                return Err(format!(
                    "a passive message has not run for {} ms on a busy CPU",
                    waited / 1_000_000
                ));
            }
        }
        progress.longest.fetch_max(waited, Ordering::Relaxed);
    }
    Ok(())
}

/// To a CPU that lets nothing run: at a quarter of the envelopes, and only then, one
/// interrupt is raised.
fn until_many(progress: &'static Progress, member: &Member<'_>) -> Result<(), Failure> {
    const MANY: u64 = ENVELOPES as u64 / 4;
    const MESSAGES: u64 = MANY + 20;
    member.barrier()?;
    let before = progress.ran();
    let round = progress.sent.load(Ordering::Relaxed) + 1;
    member.barrier()?;
    if member.cpu == SENDER {
        member.wait_until("the target to enter its critical section", || {
            progress.ready.load(Ordering::Acquire) == round
        })?;
        let interrupts = raised(TARGET);
        for message in 1..=MESSAGES {
            progress.send(&member.leave, TARGET);
            let (found, expected) = (raised(TARGET) - interrupts, u64::from(message >= MANY));
            if found != expected {
                // Before the failure: the target waits for this.
                progress.sent.store(round, Ordering::Release);
                return Err(format!(
                    "found {found} interrupts for {message} waiting messages, expected {expected}"
                ));
            }
        }
        if progress.ran() != before {
            return Err("a message ran in a critical section".into());
        }
        progress.sent.store(round, Ordering::Release);
    }
    if member.cpu == TARGET {
        let section = Critical::<Kernel>::enter();
        progress.ready.store(round, Ordering::Release);
        let waited = spin_until("the messages to be sent", || {
            progress.sent.load(Ordering::Acquire) == round
        });
        drop(section);
        waited?;
        spin_until("the messages to run", || {
            progress.ran() == before + MESSAGES
        })?;
    }
    Ok(())
}
