//! The threads that are ready to run on a CPU: fixed priorities, first come first
//! served within one.
//!
//! A run queue belongs to one CPU, which touches it in critical sections only; see
//! [`crate::list`] about elements. All operations take constant time.

use alloc::sync::Arc;
use core::cell::Cell;
use core::marker::PhantomData;
use core::ptr;

use crate::list::{Adapter, Id, Links, Ring};
use crate::sync::atomic::{AtomicUsize, Ordering};

/// Fixed priority of a thread, 0 to 31; what has the higher one runs first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u8);

impl Priority {
    /// How many there are.
    pub const COUNT: usize = 32;
    /// 0.
    pub const LOWEST: Self = Self(0);
    /// 31.
    pub const HIGHEST: Self = Self(31);

    /// Priority `number`.
    ///
    /// # Panics
    /// When the number is more than 31; while compiling, if in a constant.
    #[inline]
    pub const fn new(number: u8) -> Self {
        assert!(
            number < Self::COUNT as u8,
            "priorities are from 0 to 31, 31 being the highest"
        );
        Self(number)
    }

    /// The priority of a number that came from [`Priority::number`].
    #[inline(always)]
    pub(crate) const fn again(number: u8) -> Self {
        debug_assert!((number as usize) < Self::COUNT);
        Self(number)
    }

    /// 0 to 31.
    #[inline(always)]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Which ring; the mask tells the compiler what `new` has checked.
    #[inline(always)]
    const fn index(self) -> usize {
        (self.0 & 31) as usize
    }

    /// The bit of the priority in a set of them.
    #[inline(always)]
    const fn bit(self) -> u32 {
        1 << self.index()
    }
}

/// What can be in a run queue.
///
/// # Safety
/// As for [`Adapter`]: `queue_links` returns a field of `self`, the same one each
/// time, and does nothing else.
pub unsafe trait Queued: Sized {
    /// The links for run queues.
    fn queue_links(&self) -> &Links<Self>;
}

/// Finds the links for run queues.
struct ByQueue<T>(PhantomData<T>);

// SAFETY: `Queued` promises the same.
unsafe impl<T: Queued> Adapter for ByQueue<T> {
    type Element = T;
    #[inline(always)]
    fn links(element: &T) -> &Links<T> {
        element.queue_links()
    }
}

/// The queue of what is ready to run; see the module.
pub struct RunQueue<T: Queued> {
    id: Id,
    /// One bit for each priority that something is ready at.
    ready: Cell<u32>,
    /// Changed by the queue's CPU alone, which needs no atomic operation for it; read by
    /// all.
    count: AtomicUsize,
    rings: [Ring<ByQueue<T>>; Priority::COUNT],
}

impl<T: Queued> RunQueue<T> {
    /// An empty queue.
    pub fn new() -> Self {
        Self {
            id: Id::unique(),
            ready: Cell::new(0),
            count: AtomicUsize::new(0),
            rings: [const { Ring::new() }; Priority::COUNT],
        }
    }

    /// How many are in the queue.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// How many are in the queue, for other CPUs to read. By the time that they do, it
    /// has changed.
    pub fn count(&self) -> &AtomicUsize {
        &self.count
    }

    /// Whether none is in the queue.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.ready.get() == 0
    }

    /// The priority of what [`Self::pop`] would return.
    #[inline(always)]
    pub fn best(&self) -> Option<Priority> {
        highest(self.ready.get())
    }

    /// The priority that `element` waits at; `None` when it is not in this queue.
    #[inline]
    pub fn priority_of(&self, element: &T) -> Option<Priority> {
        let index = self.id.index_of(element.queue_links().place())?;
        Some(Priority(index as u8))
    }

    /// Puts `element` behind all others of the priority.
    ///
    /// # Panics
    /// When it is in a run queue already.
    #[inline]
    pub fn push(&self, element: Arc<T>, priority: Priority) {
        let index = priority.index();
        self.rings[index].push_back(element, self.id.place(index));
        self.added(priority);
    }

    /// Puts `element` before all others of the priority.
    ///
    /// # Panics
    /// When it is in a run queue already.
    #[inline]
    pub fn push_front(&self, element: Arc<T>, priority: Priority) {
        let index = priority.index();
        self.rings[index].push_front(element, self.id.place(index));
        self.added(priority);
    }

    /// Takes out what is to run next: the first of the highest priority.
    #[inline]
    pub fn pop(&self) -> Option<Arc<T>> {
        let first = self.pop_raw();
        // SAFETY: it comes with the count that the queue owned.
        (!first.is_null()).then(|| unsafe { Arc::from_raw(first) })
    }

    /// As [`Self::pop`], as [`Arc::into_raw`] gives it; null when there is none.
    #[inline(always)]
    pub(crate) fn pop_raw(&self) -> *const T {
        let Some(best) = self.best() else {
            return ptr::null();
        };
        let first = self.rings[best.index()].pop_front_raw(|| self.none_is_ready_at(best));
        debug_assert!(!first.is_null(), "what is noted as ready is there");
        self.count_less();
        first
    }

    /// Takes out the first of the highest priority that is not above `limit`.
    #[inline]
    pub fn pop_at_most(&self, limit: Priority) -> Option<Arc<T>> {
        let up_to_limit = limit.bit() | (limit.bit() - 1);
        self.pop_first(highest(self.ready.get() & up_to_limit)?)
    }

    /// Takes out what would run last, to give it away: the last of the lowest
    /// priority.
    pub fn steal(&self) -> Option<Arc<T>> {
        let ready = self.ready.get();
        if ready == 0 {
            return None;
        }
        let priority = Priority(ready.trailing_zeros() as u8);
        let element = self.rings[priority.index()].pop_back()?;
        self.removed(priority);
        Some(element)
    }

    /// Takes `element` out; `None` when it is not in this queue.
    #[inline]
    pub fn remove(&self, element: &T) -> Option<Arc<T>> {
        let priority = self.priority_of(element)?;
        // SAFETY: only this queue writes its number into links, with the index of
        // the ring that the element is in.
        let element = unsafe { self.rings[priority.index()].remove(element) };
        self.removed(priority);
        Some(element)
    }

    /// Takes out the first of `priority`.
    #[inline(always)]
    fn pop_first(&self, priority: Priority) -> Option<Arc<T>> {
        let element = self.rings[priority.index()].pop_front()?;
        self.removed(priority);
        Some(element)
    }

    /// Notes that one more is ready at `priority`.
    #[inline(always)]
    fn added(&self, priority: Priority) {
        self.ready.set(self.ready.get() | priority.bit());
        let count = self.count.load(Ordering::Relaxed);
        self.count.store(count + 1, Ordering::Relaxed);
    }

    /// Notes that one was taken from `priority`.
    #[inline(always)]
    fn removed(&self, priority: Priority) {
        if self.rings[priority.index()].is_empty() {
            self.none_is_ready_at(priority);
        }
        self.count_less();
    }

    #[inline(always)]
    fn none_is_ready_at(&self, priority: Priority) {
        self.ready.set(self.ready.get() & !priority.bit());
    }

    #[inline(always)]
    fn count_less(&self) {
        let count = self.count.load(Ordering::Relaxed);
        self.count.store(count - 1, Ordering::Relaxed);
    }
}

impl<T: Queued> Default for RunQueue<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// The highest of a set of priorities.
#[inline(always)]
fn highest(ready: u32) -> Option<Priority> {
    Some(Priority(ready.checked_ilog2()? as u8))
}

#[cfg(all(test, not(loom)))]
mod tests;
