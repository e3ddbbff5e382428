//! Threads that queue for a lock: a list whose elements lie on the waiters' stacks.

use core::ptr;

use super::raw::{EXCLUSIVE, MAX_SHARED, Mode, ONE_SHARED, SHARED, WAITERS};
use crate::machine::Park;
use crate::sync::Racy;
use crate::sync::atomic::{AtomicBool, Ordering};

/// A waiting thread's place in the queue. It lies on the stack of that thread, which
/// does not leave the function before it has been let in or has left the queue.
pub(super) struct Waiter<M: Park> {
    /// Whom to wake; taken out by the one who lets the waiter in.
    thread: Racy<Option<M::Thread>>,
    mode: Mode,
    /// Belongs to the holder of the queue's lock while the waiter is queued, then to
    /// the one who lets it in.
    links: Racy<Links<M>>,
    /// Set by the one who lets the waiter in, who touches it no more after that.
    let_in: AtomicBool,
}

struct Links<M: Park> {
    next: *const Waiter<M>,
    /// Means something only while the waiter is queued.
    previous: *const Waiter<M>,
    queued: bool,
}

impl<M: Park> Waiter<M> {
    /// The calling thread, not queued yet.
    pub fn new(mode: Mode) -> Self {
        Self {
            thread: Racy::new(Some(M::current())),
            mode,
            links: Racy::new(Links {
                next: ptr::null(),
                previous: ptr::null(),
                queued: false,
            }),
            let_in: AtomicBool::new(false),
        }
    }

    /// Whether the waiter now has the lock, and nobody else touches this any more.
    pub fn is_let_in(&self) -> bool {
        self.let_in.load(Ordering::Acquire)
    }
}

/// Tells loom that the waiter's stack is used for other things now: whoever still
/// touches the waiter fails the model.
#[cfg(loom)]
impl<M: Park> Drop for Waiter<M> {
    fn drop(&mut self) {
        self.links.with_mut(|_| ());
        self.thread.with_mut(|_| ());
    }
}

/// The queue of a lock, first come first served.
pub(super) struct Waiters<M: Park> {
    first: *const Waiter<M>,
    /// Means something only while there is a first.
    last: *const Waiter<M>,
}

// SAFETY: the pointers lead to waiters that outlive their time in the queue, and
// whose links are touched by the owner of the queue alone. What is taken out of
// them, the `Thread`, is `Send`.
unsafe impl<M: Park> Send for Waiters<M> {}

impl<M: Park> Waiters<M> {
    /// No waiters.
    pub const fn new() -> Self {
        Self {
            first: ptr::null(),
            last: ptr::null(),
        }
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// Puts `waiter` at the end.
    ///
    /// # Safety
    /// The waiter is in no queue. It stays where it is until it has been let in
    /// or [`Waiters::remove`] has found it.
    pub unsafe fn push(&mut self, waiter: &Waiter<M>) {
        let old_last = self.last;
        // SAFETY: the caller owns the waiter, and gives its links to this queue.
        waiter.links.with_mut(|links| unsafe {
            (*links).previous = old_last;
            (*links).queued = true;
        });
        self.last = waiter;
        if self.is_empty() {
            self.first = waiter;
        } else {
            // SAFETY: the queue is not empty, so the last one is in it.
            unsafe { set_next(old_last, waiter) };
        }
    }

    /// Takes `waiter` out, if it has not been let in meanwhile. Returns whether it
    /// was in the queue: if not, another thread has it, which will let it in.
    ///
    /// # Safety
    /// The waiter was put into this queue.
    pub unsafe fn remove(&mut self, waiter: &Waiter<M>) -> bool {
        // SAFETY: `queued` changes only under the lock of the queue, and the links
        // belong to the queue while it is set.
        let (queued, next, previous) = waiter
            .links
            .with(|links| unsafe { ((*links).queued, (*links).next, (*links).previous) });
        if !queued {
            return false;
        }
        // SAFETY: as above.
        waiter
            .links
            .with_mut(|links| unsafe { (*links).queued = false });
        if ptr::eq(self.first, waiter) {
            self.first = next;
        } else {
            // SAFETY: a waiter that is not the first has one in front, in this queue.
            unsafe { set_next(previous, next) };
        }
        if ptr::eq(self.last, waiter) {
            self.last = previous;
        } else {
            // SAFETY: a waiter that is not the last has one behind, in this queue.
            unsafe { (*next).links.with_mut(|links| (*links).previous = previous) };
        }
        true
    }

    /// Takes out those whose turn it is, from the first on: one that wants the lock
    /// exclusively, or all that share it up to the first that does not. `word` is
    /// the state of the lock, with [`WAITERS`] set. Returns those let in, and what
    /// that adds to the word.
    pub fn admit(&mut self, word: u64) -> (Admitted<M>, u64) {
        let mut added: u64 = 0;
        let mut shared = (word & SHARED) / ONE_SHARED;
        let first = self.first;
        let mut last_admitted = ptr::null();
        while !self.is_empty() && (word | added) & EXCLUSIVE == 0 {
            // SAFETY: it is in the queue.
            let waiter = unsafe { &*self.first };
            match waiter.mode {
                Mode::Exclusive if shared == 0 => added += EXCLUSIVE,
                Mode::Shared if shared < MAX_SHARED => {
                    added += ONE_SHARED;
                    shared += 1;
                }
                _ => break,
            }
            last_admitted = self.first;
            // SAFETY: this owns the queue.
            self.first = waiter.links.with_mut(|links| unsafe {
                (*links).queued = false;
                (*links).next
            });
        }
        if self.is_empty() {
            added = added.wrapping_sub(WAITERS);
        }
        if last_admitted.is_null() {
            return (Admitted(ptr::null()), added);
        }
        // SAFETY: it was in the queue and has not been woken.
        unsafe { set_next(last_admitted, ptr::null()) };
        (Admitted(first), added)
    }

    /// How many wait.
    #[cfg(all(test, not(loom)))]
    pub fn len(&self) -> usize {
        let mut count = 0;
        let mut at = self.first;
        while !at.is_null() {
            count += 1;
            // SAFETY: it is in the queue.
            at = unsafe { (*at).links.with(|links| (*links).next) };
        }
        count
    }
}

/// Makes `next` follow `waiter`.
///
/// # Safety
/// The caller owns the links of `waiter`.
unsafe fn set_next<M: Park>(waiter: *const Waiter<M>, next: *const Waiter<M>) {
    // SAFETY: the caller's.
    unsafe { (*waiter).links.with_mut(|links| (*links).next = next) };
}

/// Waiters that have the lock now, and do not know it yet; linked by `next`.
#[must_use = "whoever was let in must be told"]
pub(super) struct Admitted<M: Park>(*const Waiter<M>);

impl<M: Park> Admitted<M> {
    /// Nobody.
    pub const fn nobody() -> Self {
        Self(ptr::null())
    }

    /// Tells them. Without any lock: this wakes threads.
    pub fn wake(self) {
        let mut at = self.0;
        while !at.is_null() {
            // SAFETY: a waiter stays until `let_in` is set, which is the last that is
            // done with it; until then its links and its thread belong to this.
            let (next, thread) = unsafe {
                let next = (*at).links.with(|links| (*links).next);
                let thread = (*at).thread.with_mut(|thread| (*thread).take());
                (*at).let_in.store(true, Ordering::Release);
                (next, thread)
            };
            if let Some(thread) = thread {
                M::unpark(&thread);
            }
            at = next;
        }
    }
}
