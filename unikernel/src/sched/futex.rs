//! Futexes: waiting for a word of memory to change.
//!
//! Franke, Russell and Kirkwood, "Fuss, futexes and furwocks" (2002): the kernel
//! keeps only who waits, by address; the word belongs to the program.

use alloc::collections::VecDeque;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::run::{block_current, current, wake_thread};
use super::thread::ThreadRef;
use crate::sync::Lock;

/// Addresses are spread over this many queues.
const BUCKETS: usize = 64;

struct Waiter {
    address: usize,
    ticket: u64,
    thread: ThreadRef,
}

static WAITERS: [Lock<VecDeque<Waiter>>; BUCKETS] = [const { Lock::new(VecDeque::new()) }; BUCKETS];
static TICKETS: AtomicU64 = AtomicU64::new(0);

fn bucket(address: usize) -> &'static Lock<VecDeque<Waiter>> {
    // Fibonacci hashing of the word's number; the top six bits choose.
    let hash = (address as u64 >> 2).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    &WAITERS[(hash >> 58) as usize]
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

/// Blocks while the word has the value `expected`, until a wake-up or `deadline`
/// (monotonic ns). Thread context, no lock held.
///
/// `word` is the program's memory; the caller has checked its address.
pub fn futex_wait(word: &AtomicU32, expected: u32, deadline: Option<u64>) -> FutexWait {
    let address = core::ptr::from_ref(word).addr();
    let ticket = TICKETS.fetch_add(1, Ordering::Relaxed);
    let thread = current();
    {
        let mut waiters = bucket(address).lock();
        // Under the lock: a waker changes the word first and takes the lock then,
        // so it sees this entry or we see its value.
        if word.load(Ordering::SeqCst) != expected {
            return FutexWait::Changed;
        }
        waiters.push_back(Waiter {
            address,
            ticket,
            thread,
        });
    }
    loop {
        let timed_out = block_current(deadline);
        let mut waiters = bucket(address).lock();
        let Some(at) = waiters.iter().position(|waiter| waiter.ticket == ticket) else {
            return FutexWait::Woken;
        };
        if timed_out {
            waiters.remove(at);
            return FutexWait::TimedOut;
        }
    }
}

/// Wakes up to `count` threads that wait for the word at `address`, those first
/// that came first. Returns how many. Thread context.
pub fn futex_wake(address: usize, count: usize) -> usize {
    let mut woken = 0;
    while woken < count {
        let waiter = {
            let mut waiters = bucket(address).lock();
            let at = waiters.iter().position(|waiter| waiter.address == address);
            at.and_then(|at| waiters.remove(at))
        };
        match waiter {
            Some(waiter) => wake_thread(&waiter.thread),
            None => break,
        }
        woken += 1;
    }
    woken
}
