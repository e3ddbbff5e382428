//! What messages between CPUs cost.

use alloc::boxed::Box;
use core::sync::atomic::{AtomicU64, Ordering};

use darner_lwkt::{Delivery, Machine};

use super::super::gang::{Member, on_every_cpu};
use super::super::{Found, spin_until};
use crate::arch::cpu::tsc;
use crate::sched::{self, Kernel};

/// The CPUs between which messages go.
const HERE: usize = 0;
const THERE: usize = 1;

/// What has happened to the messages of a measurement.
#[derive(Default)]
struct Progress {
    ran: AtomicU64,
    ticks: AtomicU64,
}

/// Has CPU [`HERE`] do `send` and measures how long that takes, until `messages` have
/// run. The others run a thread meanwhile.
fn measure(messages: u64, send: impl Fn(&'static Progress, &Member<'_>) + Sync) -> Found {
    if Kernel::cpus() <= THERE {
        return Err("this takes two CPUs".into());
    }
    // For ever: a message that is lost now may run later.
    let progress: &'static Progress = Box::leak(Box::default());
    on_every_cpu(&|member| {
        member.barrier()?;
        let begin = tsc();
        if member.cpu == HERE {
            send(progress, member);
        }
        spin_until("the messages to run", || {
            progress.ran.load(Ordering::Acquire) == messages
        })?;
        if member.cpu == HERE {
            progress.ticks.store(tsc() - begin, Ordering::Relaxed);
        }
        Ok(())
    })?;
    Ok(progress.ticks.load(Ordering::Relaxed))
}

/// Ticks of `messages` messages from CPU to CPU, each sent by the handler of the last.
pub fn ipi_pingpong(messages: u64) -> Found {
    measure(messages, move |progress, member| {
        let first = Bounce {
            progress,
            left: messages,
        };
        sched::messages().send(&member.leave, THERE, move |delivery| first.run(delivery));
    })
}

/// A message that goes to and fro.
struct Bounce {
    progress: &'static Progress,
    left: u64,
}

impl Bounce {
    fn run(mut self, delivery: Delivery<'_, Kernel>) {
        self.left -= 1;
        self.progress.ran.fetch_add(1, Ordering::Release);
        if self.left > 0 {
            let target = HERE + THERE - delivery.section().cpu();
            delivery.forward(target, move |delivery| self.run(delivery));
        }
    }
}

/// Ticks of `messages` messages to another CPU, sent without waiting for any.
pub fn ipi_pipelined(messages: u64) -> Found {
    measure(messages, move |progress, member| {
        for _ in 0..messages {
            sched::messages().send(&member.leave, THERE, move |_| {
                progress.ran.fetch_add(1, Ordering::Release);
            });
        }
    })
}
