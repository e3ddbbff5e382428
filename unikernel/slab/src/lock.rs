//! The lock of the free units: held for a few dozen instructions.
//!
//! Kernel code takes it in a critical section, so that its holder always runs. Threads of
//! a host can be stopped while they hold it; who waits for them gives up the CPU.

#[cfg(feature = "std")]
pub(crate) type Lock<T> = spin::mutex::SpinMutex<T, Yield>;
#[cfg(not(feature = "std"))]
pub(crate) type Lock<T> = spin::mutex::SpinMutex<T>;

/// Gives up the CPU.
#[cfg(feature = "std")]
pub(crate) struct Yield;

#[cfg(feature = "std")]
impl spin::RelaxStrategy for Yield {
    fn relax() {
        std::thread::yield_now();
    }
}
