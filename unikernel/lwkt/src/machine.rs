//! What this crate asks of the machine.

use crate::critical::MayBlock;
use crate::trace::Event;

/// Nanoseconds of the machine's monotonic clock.
pub type Nanos = u64;

/// The CPUs, as far as scheduling and messages need them.
///
/// All functions act on the calling CPU, may be called from any context but
/// exceptions, and return at once.
///
/// # Safety
/// Within a critical section [`Machine::cpu`] is constant and less than
/// [`Machine::cpus`], and nothing else that uses this trait runs on the CPU:
/// data of a CPU is reached without locks because of that.
pub unsafe trait Machine: Sized + 'static {
    /// Number of the calling CPU, from 0. It is constant within a critical section.
    fn cpu() -> usize;

    /// How many CPUs there are; they are numbered without gaps.
    fn cpus() -> usize;

    /// Enters a critical section, or one level deeper: until the matching
    /// [`Machine::exit_critical`] the calling thread stays on this CPU and keeps
    /// it, and no message to this CPU is run.
    fn enter_critical();

    /// Leaves a critical section by one level. At the outermost, runs what has
    /// been put off meanwhile.
    fn exit_critical();

    /// Whether the calling thread is in a critical section.
    fn is_critical() -> bool;

    /// Raises the message interrupt on CPU `target`.
    fn interrupt(target: usize);

    /// Lets another hardware thread of the core, or of the host, make progress:
    /// called in every loop that waits for another CPU.
    fn pause();

    /// The time now.
    fn now() -> Nanos;

    /// Is told what happens, for traces.
    #[inline(always)]
    fn trace(_event: Event) {}
}

/// Blocking, as the scheduler offers it to ports, tokens and locks.
pub trait Park: Machine {
    /// A counted reference to a thread; cloning it takes no memory.
    type Thread: Clone + PartialEq + Send + Sync + 'static;

    /// The calling thread. Thread context.
    fn current() -> Self::Thread;

    /// Blocks until the thread is unparked or `deadline` has come; returns at once
    /// if it was unparked since it parked last. It may also return for no reason.
    /// Thread context, outside of critical sections.
    fn park(leave: &MayBlock<Self>, deadline: Option<Nanos>);

    /// Ends the thread's `park`, or its next. Thread context or a message handler.
    fn unpark(thread: &Self::Thread);
}
