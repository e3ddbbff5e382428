//! Locks of the kernel.
//!
//! [`RwLock`] is the default: who waits for it sleeps. What interrupt handlers or the idle
//! context touch as well is under a [`Lock`], with interrupts off, never across a blocking
//! point. Order, outermost first: descriptors and files, threads, scheduler, region tables,
//! free units of the heaps, page tables, a CPU's frames, all frames.

use core::ops::{Deref, DerefMut};

use darner_lwkt::rwlock::{ReadGuard, WriteGuard};
use spin::mutex::{SpinMutex, SpinMutexGuard};
use x86_64::instructions::interrupts;

use crate::sched::{Kernel, leave};

/// The kernel's default lock, [`darner_lwkt::RwLock`]. For thread context, and for boot,
/// where nobody else has it; never with a [`Lock`] held.
pub struct RwLock<T>(darner_lwkt::RwLock<Kernel, T>);

impl<T> RwLock<T> {
    /// A free lock around `value`.
    pub const fn new(value: T) -> Self {
        Self(darner_lwkt::RwLock::new(value))
    }

    /// Takes the lock for reading; sleeps while it is not free for that. Not recursive.
    pub fn read(&self) -> ReadGuard<'_, Kernel, T> {
        // SAFETY: thread context, as the caller says.
        let leave = unsafe { leave() };
        self.0.read(&leave)
    }

    /// Takes the lock for writing; sleeps while it is not free. Not recursive.
    pub fn write(&self) -> WriteGuard<'_, Kernel, T> {
        // SAFETY: thread context, as the caller says.
        let leave = unsafe { leave() };
        self.0.write(&leave)
    }
}

/// A spin lock that turns interrupts off while it is held.
///
/// May be taken from threads and from interrupt handlers, never from the
/// handlers of exceptions (the interrupted code may hold it).
pub struct Lock<T> {
    inner: SpinMutex<T>,
}

/// Access to what a [`Lock`] protects; restores the interrupt flag on drop.
pub struct LockGuard<'a, T> {
    inner: Option<SpinMutexGuard<'a, T>>,
    enabled: bool,
}

impl<T> Lock<T> {
    /// A free lock around `value`.
    pub const fn new(value: T) -> Self {
        Self {
            inner: SpinMutex::new(value),
        }
    }

    /// Spins until the lock is free. Not recursive.
    pub fn lock(&self) -> LockGuard<'_, T> {
        let enabled = interrupts::are_enabled();
        loop {
            interrupts::disable();
            if let Some(inner) = self.inner.try_lock() {
                return LockGuard {
                    inner: Some(inner),
                    enabled,
                };
            }
            // Interrupts stay served while another CPU holds the lock.
            if enabled {
                interrupts::enable();
            }
            while self.inner.is_locked() {
                core::hint::spin_loop();
            }
        }
    }

    /// The protected value, without taking the lock.
    pub fn as_ptr(&self) -> *mut T {
        self.inner.as_mut_ptr()
    }
}

impl<T> Deref for LockGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.inner.as_ref().expect("guard is alive")
    }
}

impl<T> DerefMut for LockGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.inner.as_mut().expect("guard is alive")
    }
}

impl<T> Drop for LockGuard<'_, T> {
    fn drop(&mut self) {
        // The lock must be free before an interrupt can ask for it again.
        drop(self.inner.take());
        if self.enabled {
            interrupts::enable();
        }
    }
}
