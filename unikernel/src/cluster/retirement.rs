//! Instructions that had to wait for a page are done before it is taken away again.
//!
//! A thread that has waited for a page does its access again with the CPU's trap flag set. If that
//! completes, the CPU says so by a debug exception, which clears the flag and notes it. If it faults
//! instead, the flag is still set in the registers that the fault finds: so this is the same instruction,
//! which has not been done; and if it wants a page that it had been given already, that was taken away.
//!
//! The protocol holds a page that has arrived for a time. [`Retirement`] sees to it that this time is not over
//! before the thread has had its instruction, however late the thread comes to run: it stops the
//! protocol's clock. That is what the protocol's model takes for granted.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use darner_coherence::{Time, Token};

use crate::arch::idt::TrapFrame;
use crate::sched::ThreadRef;
use crate::time::uptime_ns;

/// The flag of RFLAGS that has the CPU trap behind the next instruction.
const TRAP: u64 = 1 << 8;
/// Pages that an instruction may touch and that are remembered: two for each of two operands.
const PAGES: usize = 4;
/// How long the protocol waits for a thread, in ns: one that others do not let run must not stop other
/// nodes.
const PATIENCE: u64 = 100_000_000;
/// When to look again whether a thread is done for which a timer has to wait, in ns.
pub const LOOK_AGAIN: u64 = 100_000;

/// Pages that a thread was given for an instruction. Only the thread itself touches this, but for
/// [`Given::is_done`].
#[derive(Default)]
pub struct Given {
    /// Twice the page, and 1 if it was to be written; 0 for none. The last one that was given is the first.
    pages: [AtomicU64; PAGES],
    /// The instruction is done.
    done: AtomicBool,
}

/// What a thread has got done since it last faulted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The instruction that it was last given a page for.
    Retired,
    /// The same instruction wants another page.
    Further,
    /// None: the page had just been given to it, for this instruction.
    Stolen,
    /// None: the page had been given to it for this instruction, and was lost while it waited for another one.
    Restarted,
}

/// A debug exception has come; whether it was that for which [`Given::resume`] asked: the instruction is
/// done. Interrupts are off.
pub fn retired(frame: &mut TrapFrame, given: &Given) -> bool {
    let is_asked = frame.rflags & TRAP != 0;
    frame.rflags &= !TRAP;
    given.done.store(true, Ordering::Release);
    is_asked
}

impl Given {
    /// The thread faults at a page. Tells what has become of what it was given, and notes that it will
    /// be given this one.
    pub fn fault(&self, page: u64, write: bool, frame: &TrapFrame) -> Progress {
        let wanted = page << 1 | u64::from(write);
        self.done.store(false, Ordering::Relaxed);
        let is_retired = frame.rflags & TRAP == 0;
        if is_retired {
            self.pages
                .iter()
                .for_each(|place| place.store(0, Ordering::Relaxed));
        }
        // What it was given to write it could read, too.
        let is_same = |given: u64| given == wanted || given == wanted | 1;
        let before = self.pages.iter().map(|place| place.load(Ordering::Relaxed));
        let progress = match before.clone().position(is_same) {
            None if is_retired => Progress::Retired,
            None => Progress::Further,
            Some(0) => Progress::Stolen,
            Some(_) => Progress::Restarted,
        };
        let mut given = [wanted; PAGES];
        let others = before.filter(|&given| !is_same(given));
        given[1..]
            .iter_mut()
            .zip(others.chain(core::iter::repeat(0)))
            .for_each(|(place, page)| *place = page);
        for (place, page) in self.pages.iter().zip(given) {
            place.store(page, Ordering::Relaxed);
        }
        progress
    }

    /// Has the CPU say when the instruction is done that the thread now tries again.
    pub fn resume(&self, frame: &mut TrapFrame) {
        frame.rflags |= TRAP;
    }

    /// Whether the instruction that the thread last faulted at is done. Any context.
    fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }
}

/// A thread that was given a page.
struct Resumed {
    token: Token,
    thread: ThreadRef,
    /// When, by the protocol's clock.
    at: Time,
    /// When ([`uptime_ns`]: the other clock may be put forward).
    since: u64,
}

/// The protocol's clock, and who it waits for. The protocol thread's.
#[derive(Default)]
pub struct Retirement {
    resumed: Vec<Resumed>,
    time: Time,
    /// Whether the time was another one when it was last asked for.
    is_late: bool,
}

impl Retirement {
    /// A thread may go on, with a page that it has waited for.
    pub fn resumes(&mut self, token: Token, thread: ThreadRef) {
        self.resumed.push(Resumed {
            token,
            thread,
            at: self.time,
            since: uptime_ns(),
        });
    }

    /// A thread waits for another page: what it had is looked after by the protocol.
    pub fn waits(&mut self, token: Token) {
        self.resumed.retain(|resumed| resumed.token != token);
    }

    /// The protocol's time: it does not come to the end of a hold of `hold` µs before the thread that
    /// is held for is done.
    pub fn time(&mut self, now: u64, hold: u64) -> Time {
        let uptime = uptime_ns();
        self.resumed.retain(|resumed| {
            let is_late = uptime.saturating_sub(resumed.since) > PATIENCE;
            !is_late && !resumed.thread.kept.given.is_done()
        });
        let real = now / 1000;
        let ends = self.resumed.iter().map(|resumed| resumed.at.0 + hold - 1);
        let time = ends.fold(real, u64::min);
        self.is_late = time < real;
        self.time = self.time.max(Time(time));
        self.time
    }

    /// When a timer of the protocol is to be looked at that is due at that time (monotonic ns).
    pub fn deadline(&self, at: Time, now: u64) -> u64 {
        let at = at.0.saturating_mul(1000);
        match self.is_late {
            // To be asked at once again would keep the thread from running.
            true => at.max(now + LOOK_AGAIN),
            false => at,
        }
    }
}
