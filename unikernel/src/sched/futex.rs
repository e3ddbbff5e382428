//! Futexes: waiting for a word of memory to change.
//!
//! Franke, Russell and Kirkwood, "Fuss, futexes and furwocks" (2002): the kernel
//! keeps only who waits, by address; the word belongs to the program.
//!
//! Addresses are spread over many lists, each behind a lock. A thread has one place in
//! such a list, which is in the thread; so waiting takes no memory and cannot fail.

use alloc::boxed::Box;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use darner_lwkt::list::{Adapter, Links, List};
use darner_lwkt::spin::SpinLock;
use darner_lwkt::{Critical, Thread};

use super::machine::{Kernel, futexes, leave, scheduler};
use super::run::{block_current, current, with_current_in_section};
use super::thread::ThreadRef;

/// Addresses are spread over two to the power of this many lists.
const BUCKET_BITS: u32 = 10;

type Waiters = SpinLock<Kernel, List<ByPlace>>;

/// Who waits, and for which words.
pub(super) struct Futexes(Box<[Waiters; 1 << BUCKET_BITS]>);

/// A thread's place among those who wait.
pub(super) struct Place {
    links: Links<Thread<Kernel>>,
    /// The address of the word that it waits for.
    address: AtomicUsize,
    /// A waker has taken the thread out, or it has taken itself out.
    woken: AtomicBool,
}

// SAFETY: the links are reached by the holder of the lock of the list only.
unsafe impl Sync for Place {}

/// Finds the place of a thread.
struct ByPlace;

// SAFETY: the same field each time.
unsafe impl Adapter for ByPlace {
    type Element = Thread<Kernel>;
    #[inline(always)]
    fn links(thread: &Thread<Kernel>) -> &Links<Thread<Kernel>> {
        &thread.kept.futex.links
    }
}

impl Place {
    /// That of a thread that waits for nothing.
    pub const fn new() -> Self {
        Self {
            links: Links::new(),
            address: AtomicUsize::new(0),
            woken: AtomicBool::new(true),
        }
    }

    /// The address of the word that the thread waits for, if it waits for one. By the time
    /// that others look at it, it may be over.
    pub fn waits_for(&self) -> Option<usize> {
        (!self.woken.load(Ordering::Acquire)).then(|| self.address.load(Ordering::Relaxed))
    }
}

impl Futexes {
    /// Nobody waits for anything.
    pub fn new() -> Self {
        let buckets = (0..1 << BUCKET_BITS).map(|_| SpinLock::new(List::new()));
        let buckets: Box<[Waiters]> = buckets.collect();
        match buckets.try_into() {
            Ok(buckets) => Self(buckets),
            Err(_) => unreachable!("as many as were made"),
        }
    }

    /// Where those are who wait for the word at `address`, among others.
    #[inline(always)]
    fn bucket(&self, address: usize) -> &Waiters {
        // Fibonacci hashing of the word's number; the top bits choose.
        let hash = (address as u64 >> 2).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        &self.0[(hash >> (u64::BITS - BUCKET_BITS)) as usize]
    }
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FutexWait {
    /// By a wake-up.
    Woken,
    /// At once: the word did not have the expected value.
    Changed,
    /// By the deadline.
    TimedOut,
}

/// Blocks while the word has the value `expected`, until a wake-up. Thread context, no
/// lock held. Part of its only caller, the program's call.
///
/// `word` is the program's memory; the caller has checked its address.
#[inline(always)]
pub fn futex_wait(word: &AtomicU32, expected: u32) -> FutexWait {
    wait(word, expected, |section| {
        // SAFETY: thread context, in this section alone, which ends here.
        let leave = unsafe { leave() };
        scheduler().park_from(section, &leave);
        false
    })
}

/// As [`futex_wait`], at most until `deadline` (monotonic ns), or for ever. For all who can
/// afford a call: with the program as its only caller, [`futex_wait`] stays in one piece.
#[inline(never)]
pub fn futex_wait_until(word: &AtomicU32, expected: u32, deadline: Option<u64>) -> FutexWait {
    wait(word, expected, |section| {
        drop(section);
        block_current(deadline)
    })
}

/// Waits, blocking by `block`, which ends the section that it is given, and says whether
/// time is up.
#[inline(always)]
fn wait(word: &AtomicU32, expected: u32, block: impl Fn(Critical<Kernel>) -> bool) -> FutexWait {
    let address = core::ptr::from_ref(word).addr();
    let bucket = futexes().bucket(address);
    with_current_in_section(|me, section| {
        let place = &me.kept.futex;
        let waiters = bucket.lock_in(section);
        // Under the lock: a waker changes the word first and takes the lock then, so it
        // sees this thread or we see its value.
        if word.load(Ordering::SeqCst) != expected {
            return FutexWait::Changed;
        }
        place.address.store(address, Ordering::Relaxed);
        place.woken.store(false, Ordering::Relaxed);
        waiters.push_back(me.clone());
        let mut section = waiters.unlock();
        loop {
            let timed_out = block(section);
            if place.woken.load(Ordering::Acquire) {
                return FutexWait::Woken;
            }
            // Or else something else has woken it.
            if timed_out {
                return give_up(bucket, me);
            }
            section = Critical::enter();
        }
    })
}

/// As [`futex_wait_until`], for words of cluster memory: a look at one, which `is_changed` has, may have to wait for it. So
/// the thread is among those who wait before it looks, and holds no lock when it does. When it finds
/// the word changed and a waker has chosen it meanwhile, `pass_on` has to wake another: one that sleeps.
pub fn futex_enlist_and_wait(
    address: usize,
    is_changed: impl FnOnce() -> bool,
    deadline: Option<u64>,
    pass_on: impl FnOnce(),
) -> FutexWait {
    let bucket = futexes().bucket(address);
    let me = current();
    let place = &me.kept.futex;
    {
        let waiters = bucket.lock();
        place.address.store(address, Ordering::Relaxed);
        place.woken.store(false, Ordering::Relaxed);
        waiters.push_back(me.clone());
    }
    if is_changed() {
        if give_up(bucket, &me) == FutexWait::Woken {
            pass_on();
        }
        return FutexWait::Changed;
    }
    loop {
        if place.woken.load(Ordering::Acquire) {
            return FutexWait::Woken;
        }
        let timed_out = block_current(deadline);
        if timed_out && !place.woken.load(Ordering::Acquire) {
            return give_up(bucket, &me);
        }
    }
}

/// Ends the wait of a thread whose time is up.
#[cold]
fn give_up(bucket: &Waiters, me: &ThreadRef) -> FutexWait {
    match bucket.lock().remove(me) {
        Some(_) => {
            me.kept.futex.woken.store(true, Ordering::Relaxed);
            FutexWait::TimedOut
        }
        // A waker was faster.
        None => FutexWait::Woken,
    }
}

/// Wakes up to `count` threads that wait for the word at `address`, those first
/// that came first. Returns how many. Thread context.
#[inline(always)]
pub fn futex_wake(address: usize, count: usize) -> usize {
    let bucket = futexes().bucket(address);
    match count {
        1 => usize::from(wake_first(bucket, address)),
        _ => wake_many(bucket, address, count),
    }
}

/// Wakes all threads that wait for words at addresses of which `which` is true. Thread context.
pub fn futex_wake_where(which: impl Fn(usize) -> bool) {
    for bucket in futexes().0.iter() {
        while wake_first_where(bucket, &which) {}
    }
}

/// Wakes the thread that has waited longest for the word at `address`; whether there
/// is one.
#[inline(always)]
fn wake_first(bucket: &Waiters, address: usize) -> bool {
    wake_first_where(bucket, |waited| waited == address)
}

#[inline(always)]
fn wake_first_where(bucket: &Waiters, which: impl Fn(usize) -> bool) -> bool {
    let is_it = |thread: &Thread<Kernel>| which(thread.kept.futex.address.load(Ordering::Relaxed));
    let waiters = bucket.lock();
    let Some(waiter) = waiters.take_first(is_it) else {
        return false;
    };
    waiter.kept.futex.woken.store(true, Ordering::Release);
    scheduler().unpark_in(&waiters.unlock(), &waiter);
    true
}

#[inline(never)]
fn wake_many(bucket: &Waiters, address: usize, count: usize) -> usize {
    (0..count)
        .take_while(|_| wake_first(bucket, address))
        .count()
}
