//! Atomics and cells: the real ones, or those of loom, which tries every order, or of
//! shuttle, which tries many.

#[cfg(not(loom))]
use core::cell::UnsafeCell;
#[cfg(not(any(loom, shuttle)))]
pub(crate) use core::sync::atomic;

#[cfg(loom)]
use loom::cell::UnsafeCell;
#[cfg(loom)]
pub(crate) use loom::sync::atomic;
#[cfg(shuttle)]
pub(crate) use shuttle::sync::atomic;

/// A cell whose accesses loom checks for races.
pub(crate) struct Racy<T>(UnsafeCell<T>);

impl<T> Racy<T> {
    #[cfg(not(loom))]
    pub const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    #[cfg(loom)]
    pub fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// Calls `read` with a pointer to the value, for reading.
    #[inline(always)]
    pub fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
        #[cfg(not(loom))]
        return read(self.0.get());
        #[cfg(loom)]
        return self.0.with(read);
    }

    /// Calls `change` with a pointer to the value, for writing.
    #[inline(always)]
    pub fn with_mut<R>(&self, change: impl FnOnce(*mut T) -> R) -> R {
        #[cfg(not(loom))]
        return change(self.0.get());
        #[cfg(loom)]
        return self.0.with_mut(change);
    }
}
