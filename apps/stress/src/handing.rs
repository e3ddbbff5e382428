//! Threads that hand things to each other.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Barrier, Condvar, Mutex, mpsc};
use std::thread::{self, Thread};

use crate::{Outcome, several};

fn expect(found: u64, expected: u64, about: String) -> Outcome {
    match found == expected {
        true => Ok(about),
        false => Err(format!("found {found}, expected {expected}")),
    }
}

/// One counter under one lock.
pub fn mutex(turns: u64) -> Outcome {
    let threads = several() as u64;
    let counter = Mutex::new(0);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for turn in 0..turns {
                    *counter.lock().unwrap() += 1;
                    if turn % 64 == 0 {
                        thread::yield_now();
                    }
                }
            });
        }
    });
    expect(
        counter.into_inner().unwrap(),
        threads * turns,
        format!("{threads} threads, {turns} turns each"),
    )
}

/// Producers and consumers with a queue of four places and two conditions.
pub fn condvar(items: u64) -> Outcome {
    const PLACES: usize = 4;
    let pairs = several() as u64;
    let each = items / pairs + 1;
    let queue = Mutex::new(VecDeque::new());
    let (not_full, not_empty) = (Condvar::new(), Condvar::new());
    let sum = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..pairs {
            scope.spawn(|| {
                for item in 1..=each {
                    let mut places = not_full
                        .wait_while(queue.lock().unwrap(), |queue| queue.len() == PLACES)
                        .unwrap();
                    places.push_back(item);
                    drop(places);
                    not_empty.notify_one();
                }
            });
            scope.spawn(|| {
                for _ in 0..each {
                    let mut places = not_empty
                        .wait_while(queue.lock().unwrap(), |queue| queue.is_empty())
                        .unwrap();
                    let item = places.pop_front().unwrap_or(0);
                    drop(places);
                    not_full.notify_one();
                    sum.fetch_add(item, Ordering::Relaxed);
                }
            });
        }
    });
    expect(
        sum.into_inner(),
        pairs * each * (each + 1) / 2,
        format!("{} items between {} threads", pairs * each, 2 * pairs),
    )
}

/// No thread is ever more than one round ahead of another.
pub fn barrier(rounds: u64) -> Outcome {
    let threads = several();
    let barrier = Barrier::new(threads);
    let (sum, leaders) = (AtomicU64::new(0), AtomicU64::new(0));
    let ahead = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for round in 0..rounds {
                    let before = sum.fetch_add(1, Ordering::AcqRel);
                    if before / threads as u64 != round {
                        ahead.fetch_add(1, Ordering::Relaxed);
                    }
                    leaders.fetch_add(u64::from(barrier.wait().is_leader()), Ordering::Relaxed);
                }
            });
        }
    });
    expect(ahead.into_inner(), 0, String::new())?;
    expect(
        leaders.into_inner(),
        rounds,
        format!("{rounds} rounds of {threads} threads"),
    )
}

/// Several senders, one receiver; the order of each sender is kept.
pub fn channel(messages: u64) -> Outcome {
    let senders = several();
    let (sender, receiver) = mpsc::sync_channel(8);
    let mut next = vec![0; senders];
    thread::scope(|scope| {
        for number in 0..senders {
            let sender = sender.clone();
            scope
                .spawn(move || (0..messages).all(|message| sender.send((number, message)).is_ok()));
        }
        drop(sender);
        for (number, message) in receiver {
            if next[number] != message {
                return Err(format!(
                    "sender {number}: found message {message}, expected {}",
                    next[number]
                ));
            }
            next[number] += 1;
        }
        Ok(())
    })?;
    expect(
        next.iter().sum(),
        senders as u64 * messages,
        format!("{senders} senders, {messages} messages each"),
    )
}

/// A token goes round a ring of threads that park until it is theirs.
pub fn park(turns: u64) -> Outcome {
    let threads = several();
    let turn = AtomicUsize::new(0);
    let ring: Mutex<Vec<Thread>> = Mutex::new(Vec::new());
    let ready = Barrier::new(threads);
    let last = threads * turns as usize;
    thread::scope(|scope| {
        for me in 0..threads {
            let (turn, ring, ready) = (&turn, &ring, &ready);
            scope.spawn(move || {
                ring.lock().unwrap().push(thread::current());
                ready.wait();
                let ring = ring.lock().unwrap().clone();
                let me = ring
                    .iter()
                    .position(|thread| thread.id() == thread::current().id())
                    .unwrap_or(me);
                loop {
                    let now = turn.load(Ordering::Acquire);
                    if now >= last {
                        // The others may be parked still.
                        ring.iter().for_each(Thread::unpark);
                        return;
                    }
                    if now % threads == me {
                        turn.store(now + 1, Ordering::Release);
                        ring[(me + 1) % threads].unpark();
                    } else {
                        thread::park();
                    }
                }
            });
        }
    });
    expect(
        turn.into_inner() as u64,
        last as u64,
        format!("{turns} turns of {threads} threads"),
    )
}
