//! A lock without data: one word that says who is in, and a queue of those who wait.
//!
//! Who waits is let in by whoever makes room, in the order of arrival, and finds the
//! lock taken for it when it wakes. While somebody waits nobody else gets in: the
//! [`WAITERS`] bit turns all fast paths away. So nobody starves.
//!
//! With the bit set the word changes in two ways only: those who are in leave, and
//! the owner of the queue's lock lets waiters in. Both end in [`RawLock::arrange`],
//! which looks at the queue and lets in whose turn it is; it is harmless at any time.

use core::mem;

use super::waiters::{Admitted, Waiter, Waiters};
use crate::critical::MayBlock;
use crate::machine::{Nanos, Park};
#[cfg(not(loom))]
use crate::spin::SpinLock;
use crate::sync::atomic::{AtomicU64, Ordering};

/// In the word: one thread has the lock exclusively.
pub(super) const EXCLUSIVE: u64 = 1;
/// In the word: the queue is not empty. Changed by the owner of the queue's lock.
pub(super) const WAITERS: u64 = 1 << 1;
/// In the word: a thread that shares the lock. 22 bits count them.
pub(super) const ONE_SHARED: u64 = 1 << 2;
/// The most threads that share a lock at once; further ones wait.
pub(super) const MAX_SHARED: u64 = (1 << 22) - 1;
/// The bits that count who shares.
pub(super) const SHARED: u64 = MAX_SHARED * ONE_SHARED;
/// In the word: one end of exclusive use. 40 bits count them, for those who ask.
const ONE_GENERATION: u64 = 1 << 24;
/// The bits of the generation.
const GENERATION: u64 = !(ONE_GENERATION - 1);

/// How a lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// With others that share it.
    Shared,
    /// By one alone.
    Exclusive,
}

/// A lock without data; see the module.
///
/// Nothing here checks that who lets go of the lock has it: callers see to that.
pub(crate) struct RawLock<M: Park> {
    word: AtomicU64,
    waiters: SpinLock<M, Waiters<M>>,
}

impl<M: Park> RawLock<M> {
    /// A free lock.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
            waiters: SpinLock::new(Waiters::new()),
        }
    }

    /// A free lock.
    #[cfg(loom)]
    pub fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
            waiters: SpinLock::new(Waiters::new()),
        }
    }

    /// Takes the lock if it is free and nobody waits. Any context.
    #[inline(always)]
    pub fn try_take(&self, mode: Mode) -> bool {
        match mode {
            Mode::Shared => self.add_if(ONE_SHARED, |word| {
                word & (EXCLUSIVE | WAITERS) == 0 && word & SHARED != SHARED
            }),
            Mode::Exclusive => {
                self.add_if(EXCLUSIVE, |word| word & (EXCLUSIVE | WAITERS | SHARED) == 0)
            }
        }
    }

    /// [`RawLock::try_take`] of a lock that counts no generations, and so is probably
    /// as it was when it was new: that needs no look at the word.
    #[inline(always)]
    pub fn try_take_new(&self, mode: Mode) -> bool {
        let taken = match mode {
            Mode::Shared => ONE_SHARED,
            Mode::Exclusive => EXCLUSIVE,
        };
        self.word
            .compare_exchange(0, taken, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
            || self.try_take_used(mode)
    }

    #[inline(never)]
    fn try_take_used(&self, mode: Mode) -> bool {
        self.try_take(mode)
    }

    /// Makes the one thread that shares the lock, the caller, its exclusive holder,
    /// if nobody waits. Any context.
    #[inline]
    pub fn try_upgrade(&self) -> bool {
        self.add_if(EXCLUSIVE.wrapping_sub(ONE_SHARED), |word| {
            word & (WAITERS | SHARED) == ONE_SHARED
        })
    }

    /// Adds `added` to the word if that is `fit`.
    #[inline(always)]
    fn add_if(&self, added: u64, fit: impl Fn(u64) -> bool) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while fit(word) {
            match self.word.compare_exchange_weak(
                word,
                word.wrapping_add(added),
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(found) => word = found,
            }
        }
        false
    }

    /// Lets go of the lock, held by `mode`, and lets in whose turn it is. The
    /// generation stays the same: nothing was changed, or nobody asks. Thread
    /// context.
    #[inline(always)]
    pub fn release(&self, mode: Mode) {
        match mode {
            Mode::Shared => self.leave(ONE_SHARED.wrapping_neg()),
            Mode::Exclusive => self.leave(EXCLUSIVE.wrapping_neg()),
        };
    }

    /// [`RawLock::release`] that ends a generation, if the lock was held
    /// exclusively. Returns the generation then.
    #[inline(always)]
    pub fn release_changed(&self, mode: Mode) -> u64 {
        match mode {
            Mode::Shared => self.leave(ONE_SHARED.wrapping_neg()),
            Mode::Exclusive => self.leave(ONE_GENERATION - EXCLUSIVE),
        }
    }

    /// Makes the exclusive holder one that shares, and ends a generation. Thread
    /// context.
    #[inline]
    pub fn downgrade(&self) {
        self.leave(ONE_GENERATION + ONE_SHARED - EXCLUSIVE);
    }

    /// Adds `added` to the word, by which there is more room in the lock. Returns the
    /// generation.
    #[inline(always)]
    fn leave(&self, added: u64) -> u64 {
        let before = self.word.fetch_add(added, Ordering::Release);
        if before & WAITERS != 0 {
            self.make_room(before);
        }
        before.wrapping_add(added) & GENERATION
    }

    /// Lets in whose turn it is after the caller has left a lock whose word was
    /// `before`.
    #[cold]
    #[inline(never)]
    fn make_room(&self, before: u64) {
        let was_full = before & SHARED == SHARED;
        let others_share = before & EXCLUSIVE == 0 && before & SHARED != ONE_SHARED;
        // Who waits while others share waits for the last of them.
        if was_full || !others_share {
            self.arrange(|_| {});
        }
    }

    /// The generation: how often exclusive use has ended. It stays the same while the
    /// caller has the lock.
    #[inline]
    pub fn generation(&self) -> u64 {
        self.word.load(Ordering::Relaxed) & GENERATION
    }

    /// Queues for the lock until it is the caller's, or `deadline` has come. Returns
    /// whether the caller has the lock now. Thread context, outside of critical
    /// sections.
    ///
    /// Unparks of the thread that come meanwhile are not lost: its next `park` returns
    /// at once.
    #[cold]
    #[inline(never)]
    pub fn wait(&self, leave: &MayBlock<M>, mode: Mode, deadline: Option<Nanos>) -> bool {
        assert!(
            !M::is_critical(),
            "a lock is taken in a critical section, and is not free: wait for it before the section, or try it"
        );
        let stays = NoUnwinding;
        let waiter = Waiter::new(mode);
        // SAFETY: it is new, and this function does not end before it has been let in
        // or removed; it does not unwind.
        self.arrange(|waiters| unsafe { waiters.push(&waiter) });
        let mut deadline = deadline;
        let mut has_parked = false;
        let has_lock = loop {
            if waiter.is_let_in() {
                break true;
            }
            if deadline.is_some_and(|deadline| M::now() >= deadline) {
                let mut has_left = false;
                // SAFETY: it was put into this queue.
                self.arrange(|waiters| unsafe { has_left = waiters.remove(&waiter) });
                if has_left {
                    break false;
                }
                // Another thread is just letting this one in, and will wake it.
                deadline = None;
                continue;
            }
            M::park(leave, deadline);
            has_parked = true;
        };
        mem::forget(stays);
        if has_parked {
            M::unpark(&M::current());
        }
        has_lock
    }

    /// Changes the queue, and lets in whose turn it is then.
    fn arrange(&self, change: impl FnOnce(&mut Waiters<M>)) {
        let mut admitted = Admitted::nobody();
        {
            let mut waiters = self.waiters.lock();
            change(&mut waiters);
            if waiters.is_empty() {
                self.word.fetch_and(!WAITERS, Ordering::Relaxed);
            } else {
                // From here on nobody gets in by a fast path, and who leaves after this
                // looks at the queue. Acquires what those did who have left.
                let word = self.word.fetch_or(WAITERS, Ordering::Acquire) | WAITERS;
                let added;
                (admitted, added) = waiters.admit(word);
                self.word.fetch_add(added, Ordering::Relaxed);
            }
        }
        admitted.wake();
    }

    /// Whether nobody has the lock, and nobody waits.
    #[cfg(test)]
    pub fn is_free(&self) -> bool {
        self.word.load(Ordering::Relaxed) & !GENERATION == 0
    }

    /// How many threads wait.
    #[cfg(all(test, not(loom)))]
    pub fn waiting(&self) -> usize {
        self.waiters.lock().len()
    }
}

/// Turns a panic that unwinds through it into the end of the program: others hold
/// pointers to the stack, or count on what comes after.
pub(crate) struct NoUnwinding;

impl Drop for NoUnwinding {
    fn drop(&mut self) {
        // Panicking while a panic unwinds aborts.
        panic!("waiting for a lock must not panic");
    }
}

/// Stands for the spin lock in models: the orders in which three threads may spin
/// have no end.
#[cfg(loom)]
struct SpinLock<M, T>(loom::sync::Mutex<T>, core::marker::PhantomData<fn() -> M>);

#[cfg(loom)]
impl<M, T> SpinLock<M, T> {
    fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value), core::marker::PhantomData)
    }

    fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
        self.0.lock().expect("loom's mutexes are not poisoned")
    }
}
