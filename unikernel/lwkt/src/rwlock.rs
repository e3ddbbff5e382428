//! The kernel's default lock: one writer, or many readers; who waits sleeps.
//!
//! It is fair: who lets go of the lock hands it to the one who has waited longest,
//! and nobody overtakes those who wait. Readers that wait one behind the other are
//! let in together. To take a lock that is free, and to let go of one that nobody
//! waits for, costs one atomic operation each. Waiting takes no memory.
//!
//! A thread may sleep while it has the lock. So it must not wait, with the lock, for
//! something that another does only with the lock; and it must not take the lock
//! again, not even for reading twice: a writer that has come in between waits for
//! the first, and the second for the writer.
//!
//! Data that may be given up while its user sleeps is better kept under a
//! [token](crate::token); what is held for some instructions, or touched by message
//! handlers, under a [`SpinLock`](crate::spin::SpinLock).

use core::error::Error;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

use crate::critical::MayBlock;
use crate::machine::{Nanos, Park};
use crate::sync::Racy;
use raw::{Mode, RawLock};

pub(crate) mod raw;
mod waiters;

/// A lock for readers and writers; see the module.
///
/// What may wait for the lock asks for a [`MayBlock`]. `try_read` and `try_write` are for
/// thread context, also within critical sections, and so is the end of a guard.
///
/// A guard belongs to the thread that took it.
///
/// ```compile_fail,E0277
/// # use darner_lwkt::{Park, RwLock};
/// fn other_thread<M: Park>(lock: &RwLock<M, u32>) {
///     fn send<T: Send>(_: T) {}
///     send(lock.try_write());
/// }
/// ```
pub struct RwLock<M: Park, T> {
    raw: RawLock<M>,
    value: Racy<T>,
}

// SAFETY: one writer at a time reaches the value, from any thread, or many readers
// at the same time.
unsafe impl<M: Park, T: Send + Sync> Sync for RwLock<M, T> {}
// SAFETY: the lock owns the value.
unsafe impl<M: Park, T: Send> Send for RwLock<M, T> {}

impl<M: Park, T> RwLock<M, T> {
    /// A free lock.
    #[cfg(not(loom))]
    pub const fn new(value: T) -> Self {
        Self {
            raw: RawLock::new(),
            value: Racy::new(value),
        }
    }

    /// A free lock.
    #[cfg(loom)]
    pub fn new(value: T) -> Self {
        Self {
            raw: RawLock::new(),
            value: Racy::new(value),
        }
    }

    /// Takes the lock for reading, as soon as no writer has it, or waits for it.
    ///
    /// # Panics
    /// When it would have to wait in a critical section.
    #[inline]
    pub fn read(&self, leave: &MayBlock<M>) -> ReadGuard<'_, M, T> {
        self.take(leave, Mode::Shared);
        ReadGuard::of(self)
    }

    /// Takes the lock for writing, as soon as nobody has it, or waits for it.
    ///
    /// # Panics
    /// When it would have to wait in a critical section.
    #[inline]
    pub fn write(&self, leave: &MayBlock<M>) -> WriteGuard<'_, M, T> {
        self.take(leave, Mode::Exclusive);
        WriteGuard::of(self)
    }

    /// Takes the lock for reading, if no writer has it and nobody waits for it.
    #[inline]
    pub fn try_read(&self) -> Option<ReadGuard<'_, M, T>> {
        self.raw
            .try_take_new(Mode::Shared)
            .then(|| ReadGuard::of(self))
    }

    /// Takes the lock for writing, if nobody has it or waits for it.
    #[inline]
    pub fn try_write(&self) -> Option<WriteGuard<'_, M, T>> {
        self.raw
            .try_take_new(Mode::Exclusive)
            .then(|| WriteGuard::of(self))
    }

    /// [`RwLock::read`] that gives up when `deadline` has come. A lock that is free is
    /// taken even then.
    ///
    /// # Errors
    /// [`TimedOut`]: the caller does not have the lock.
    ///
    /// # Panics
    /// When it would have to wait in a critical section.
    #[inline]
    pub fn read_until(
        &self,
        leave: &MayBlock<M>,
        deadline: Nanos,
    ) -> Result<ReadGuard<'_, M, T>, TimedOut> {
        self.take_until(leave, Mode::Shared, deadline)?;
        Ok(ReadGuard::of(self))
    }

    /// [`RwLock::write`] that gives up when `deadline` has come. A lock that is free is
    /// taken even then.
    ///
    /// # Errors
    /// [`TimedOut`]: the caller does not have the lock.
    ///
    /// # Panics
    /// When it would have to wait in a critical section.
    #[inline]
    pub fn write_until(
        &self,
        leave: &MayBlock<M>,
        deadline: Nanos,
    ) -> Result<WriteGuard<'_, M, T>, TimedOut> {
        self.take_until(leave, Mode::Exclusive, deadline)?;
        Ok(WriteGuard::of(self))
    }

    #[inline(always)]
    fn take(&self, leave: &MayBlock<M>, mode: Mode) {
        if !self.raw.try_take_new(mode) {
            self.raw.wait(leave, mode, None);
        }
    }

    #[inline(always)]
    fn take_until(&self, leave: &MayBlock<M>, mode: Mode, deadline: Nanos) -> Result<(), TimedOut> {
        if self.raw.try_take_new(mode) || self.raw.wait(leave, mode, Some(deadline)) {
            Ok(())
        } else {
            Err(TimedOut)
        }
    }

    /// The value, of a lock that nobody else can have. Any context.
    pub fn get_mut(&mut self) -> &mut T {
        // SAFETY: the lock is borrowed exclusively, so there are no guards.
        self.value.with_mut(|value| unsafe { &mut *value })
    }
}

/// Time was up before the lock was free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOut;

impl fmt::Display for TimedOut {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("the lock was not free before the deadline")
    }
}

impl Error for TimedOut {}

/// A lock taken for reading; drop it in the same thread to let go.
#[must_use = "the lock is free again when this is dropped"]
pub struct ReadGuard<'a, M: Park, T> {
    lock: &'a RwLock<M, T>,
    /// The raw pointer makes it neither `Send` nor `Sync`.
    _here: PhantomData<*mut ()>,
}

/// A lock taken for writing; drop it in the same thread to let go.
#[must_use = "the lock is free again when this is dropped"]
pub struct WriteGuard<'a, M: Park, T> {
    lock: &'a RwLock<M, T>,
    /// The raw pointer makes it neither `Send` nor `Sync`.
    _here: PhantomData<*mut ()>,
}

impl<'a, M: Park, T> ReadGuard<'a, M, T> {
    /// The guard of a lock that the caller has taken for reading.
    #[inline(always)]
    fn of(lock: &'a RwLock<M, T>) -> Self {
        Self {
            lock,
            _here: PhantomData,
        }
    }
}

impl<'a, M: Park, T> WriteGuard<'a, M, T> {
    /// The guard of a lock that the caller has taken for writing.
    #[inline(always)]
    fn of(lock: &'a RwLock<M, T>) -> Self {
        Self {
            lock,
            _here: PhantomData,
        }
    }
}

impl<M: Park, T> Deref for ReadGuard<'_, M, T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the lock is taken for reading as long as the guard exists.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<M: Park, T> Deref for WriteGuard<'_, M, T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the lock is taken for writing as long as the guard exists.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<M: Park, T> DerefMut for WriteGuard<'_, M, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as for `deref`, and the guard is borrowed exclusively.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<M: Park, T> Drop for ReadGuard<'_, M, T> {
    #[inline(always)]
    fn drop(&mut self) {
        self.lock.raw.release(Mode::Shared);
    }
}

impl<M: Park, T> Drop for WriteGuard<'_, M, T> {
    #[inline(always)]
    fn drop(&mut self) {
        self.lock.raw.release(Mode::Exclusive);
    }
}

#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom)))]
mod tests;
