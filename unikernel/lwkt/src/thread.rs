//! A thread, as the scheduler sees it.

use alloc::sync::Arc;
use core::cell::Cell;
use core::ptr::null;

use crate::list::Links;
use crate::machine::Nanos;
use crate::run_queue::{Priority, Queued};
use crate::scheduler::Hardware;
use crate::sync::Racy;
use crate::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use crate::wheel::{Timed, Timer};

/// A thread. It belongs to one CPU at a time, which alone runs it, queues it and
/// moves it to another.
///
/// The scheduler keeps one count of the `Arc` from [`Scheduler::start`] until the
/// thread has ended. That count moves with the thread from the CPU that runs it to
/// queues and back, and stays with the thread while it is blocked.
///
/// [`Scheduler::start`]: crate::Scheduler::start
pub struct Thread<H: Hardware> {
    /// The CPU that it belongs to. Changed by that CPU, while the thread is ready.
    cpu: AtomicUsize,
    /// Whether a wake-up is due: [`EMPTY`], [`PARKED`] or [`NOTIFIED`].
    pub(crate) token: AtomicU8,
    priority: AtomicU8,
    /// For checks only: release builds do not keep it up.
    state: Cell<State>,
    /// The last block ended by its deadline.
    pub(crate) timed_out: Cell<bool>,
    /// Where its registers are while it does not run: the machine's business.
    pub(crate) saved: Cell<usize>,
    /// Its place in a run queue, or among the ended.
    queued: Links<Self>,
    timer: Timer<Self>,
    /// The next in the list of threads that arrive at a CPU.
    pub(crate) next_arrival: Racy<*const Self>,
    /// What the machine keeps of it.
    pub kept: H::Kept,
}

// SAFETY: the cells are reached by the CPU that the thread belongs to, in a critical
// section; `next_arrival` by the one who holds the scheduler's count of it. What
// else there is can be shared.
unsafe impl<H: Hardware> Sync for Thread<H> {}
// SAFETY: as for `Sync`; nothing depends on the thread that made it.
unsafe impl<H: Hardware> Send for Thread<H> {}

/// Where a thread is, as its CPU knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// In a run queue, or on its way to one.
    Ready,
    Running,
    Blocked,
    Ended,
}

/// No wake-up is due, and the thread does not wait for one.
pub(crate) const EMPTY: u8 = 0;
/// The thread waits. Whoever takes it from here makes it ready.
pub(crate) const PARKED: u8 = 1;
/// A wake-up has come that the thread has not consumed.
pub(crate) const NOTIFIED: u8 = 2;

impl<H: Hardware> Thread<H> {
    /// A thread that has not been started. `saved` is what [`Hardware::switch`] needs
    /// to enter it for the first time.
    pub fn new(priority: Priority, saved: usize, kept: H::Kept) -> Arc<Self> {
        Arc::new(Self {
            cpu: AtomicUsize::new(0),
            token: AtomicU8::new(EMPTY),
            priority: AtomicU8::new(priority.number()),
            state: Cell::new(State::Ready),
            timed_out: Cell::new(false),
            saved: Cell::new(saved),
            queued: Links::new(),
            timer: Timer::new(),
            next_arrival: Racy::new(null()),
            kept,
        })
    }

    /// Its priority. Any context.
    #[inline(always)]
    pub fn priority(&self) -> Priority {
        Priority::again(self.priority.load(Ordering::Relaxed))
    }

    /// Whether it waits for being unparked, or for a deadline. It may change at any time. Any
    /// context.
    pub fn is_blocked(&self) -> bool {
        self.token.load(Ordering::Relaxed) == PARKED
    }

    /// Notes for checks where the thread is now. On its own CPU.
    #[inline(always)]
    pub(crate) fn enters(&self, state: State) {
        if cfg!(any(test, debug_assertions)) {
            self.state.set(state);
        }
    }

    /// Where the thread is.
    #[cfg(test)]
    pub(crate) fn state(&self) -> State {
        self.state.get()
    }

    /// Says that the thread waits; `false`: it has been notified. The thread itself.
    #[inline(always)]
    pub(crate) fn set_parked(&self) -> bool {
        // Before others may make it ready.
        self.enters(State::Blocked);
        self.token
            .compare_exchange(EMPTY, PARKED, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Consumes the notification that has come. The thread itself, which runs.
    #[inline(always)]
    pub(crate) fn take_notification(&self) {
        // Not a store: others may have unparked the thread after the one that woke it,
        // and found that done. It goes on with what they did before, too.
        self.token.swap(EMPTY, Ordering::Acquire);
        self.enters(State::Running);
    }

    pub(crate) fn store_priority(&self, priority: Priority) {
        self.priority.store(priority.number(), Ordering::Relaxed);
    }

    /// The CPU that it belongs to; it may move at any time. Any context.
    #[inline(always)]
    pub fn cpu(&self) -> usize {
        self.cpu.load(Ordering::Acquire)
    }

    /// It belongs to CPU `cpu` from now on. That one may look at it as soon as it finds
    /// that this is so, even before it arrives.
    #[inline(always)]
    pub(crate) fn set_cpu(&self, cpu: usize) {
        self.cpu.store(cpu, Ordering::Release);
    }

    /// When its block ends at the latest, on its own CPU.
    pub(crate) fn deadline(&self) -> Option<Nanos> {
        self.timer.deadline()
    }
}

// SAFETY: the same field each time.
unsafe impl<H: Hardware> Queued for Thread<H> {
    #[inline(always)]
    fn queue_links(&self) -> &Links<Self> {
        &self.queued
    }
}

// SAFETY: the same field each time.
unsafe impl<H: Hardware> Timed for Thread<H> {
    #[inline(always)]
    fn timer(&self) -> &Timer<Self> {
        &self.timer
    }
}
