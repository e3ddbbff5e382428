//! A lock for a few instructions.

use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};

use crate::critical::Critical;
use crate::machine::Machine;
use crate::sync::Racy;
use crate::sync::atomic::{AtomicBool, Ordering};

/// A spin lock whose holder is in a critical section: it is neither preempted nor
/// interrupted by a message handler, so handlers may take the lock, too.
///
/// For data that several CPUs share and hold for some instructions. Not recursive.
/// Not for the handlers of interrupts themselves, which critical sections do not
/// keep out.
pub struct SpinLock<M: Machine, T> {
    locked: AtomicBool,
    value: Racy<T>,
    _machine: PhantomData<fn() -> M>,
}

// SAFETY: the value is reached only by the holder of the lock, one at a time.
unsafe impl<M: Machine, T: Send> Sync for SpinLock<M, T> {}
// SAFETY: the lock owns the value.
unsafe impl<M: Machine, T: Send> Send for SpinLock<M, T> {}

/// The lock held; it is free again when this is dropped.
pub struct SpinGuard<'a, M: Machine, T> {
    lock: &'a SpinLock<M, T>,
    /// Dropped after the lock is free: what was put off may want it.
    section: Critical<M>,
}

impl<M: Machine, T> SpinLock<M, T> {
    /// A free lock.
    #[cfg(not(loom))]
    pub const fn new(value: T) -> Self {
        Self {
            locked: AtomicBool::new(false),
            value: Racy::new(value),
            _machine: PhantomData,
        }
    }

    /// A free lock.
    #[cfg(loom)]
    pub fn new(value: T) -> Self {
        Self {
            locked: AtomicBool::new(false),
            value: Racy::new(value),
            _machine: PhantomData,
        }
    }

    /// Takes the lock; spins while another CPU holds it. Thread context or a
    /// message handler.
    #[inline]
    pub fn lock(&self) -> SpinGuard<'_, M, T> {
        self.lock_in(Critical::enter())
    }

    /// [`SpinLock::lock`], in a section that the caller has entered and leaves to the
    /// guard.
    #[inline(always)]
    pub fn lock_in(&self, section: Critical<M>) -> SpinGuard<'_, M, T> {
        if !self.try_take() {
            self.wait();
        }
        SpinGuard {
            lock: self,
            section,
        }
    }
}

impl<M: Machine, T> SpinLock<M, T> {
    #[inline(always)]
    fn try_take(&self) -> bool {
        self.locked
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    #[cold]
    fn wait(&self) {
        while !self.try_take() {
            M::pause();
        }
    }
}

impl<M: Machine, T> SpinGuard<'_, M, T> {
    /// Frees the lock, and gives the section that it was held in to the caller.
    #[inline(always)]
    pub fn unlock(self) -> Critical<M> {
        let guard = ManuallyDrop::new(self);
        guard.lock.locked.store(false, Ordering::Release);
        // SAFETY: the guard is not used any more, nor dropped.
        unsafe { core::ptr::read(&guard.section) }
    }
}

impl<M: Machine, T> Deref for SpinGuard<'_, M, T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the guard's existence means that the lock is held; the
        // reference lives no longer than the guard.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<M: Machine, T> DerefMut for SpinGuard<'_, M, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as for `deref`, and the guard is borrowed exclusively.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<M: Machine, T> Drop for SpinGuard<'_, M, T> {
    #[inline(always)]
    fn drop(&mut self) {
        self.lock.locked.store(false, Ordering::Release);
    }
}
