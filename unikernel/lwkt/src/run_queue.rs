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

mod priority;

pub use self::priority::Priority;

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
    ready: Cell<u64>,
    /// Changed by the queue's CPU alone, which needs no atomic operation for it; read by
    /// all.
    count: AtomicUsize,
    rings: [Ring<ByQueue<T>>; Priority::LEVELS],
}

impl<T: Queued> RunQueue<T> {
    /// An empty queue.
    pub fn new() -> Self {
        Self {
            id: Id::unique(),
            ready: Cell::new(0),
            count: AtomicUsize::new(0),
            rings: [const { Ring::new() }; Priority::LEVELS],
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
        Some(Priority::of_index(index))
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
        self.pop_first(highest(self.ready.get() & limit.and_below())?)
    }

    /// Takes out what would run last, to give it away: the last of the lowest
    /// priority. Interrupt threads, and threads that one has preempted, stay.
    pub fn steal(&self) -> Option<Arc<T>> {
        let ready = self.ready.get() & Priority::HIGHEST.and_below();
        if ready == 0 {
            return None;
        }
        let priority = Priority::of_index(ready.trailing_zeros() as usize);
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
fn highest(ready: u64) -> Option<Priority> {
    Some(Priority::of_index(ready.checked_ilog2()? as usize))
}

#[cfg(all(test, not(loom)))]
mod tests;
