//! `std::sync`.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Barrier, Condvar, LazyLock, Mutex, Once, OnceLock, RwLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tour::{Check, Outcome, ensure, same};

pub const CHECKS: &[Check] = &[
    Check::new("Mutex", mutex),
    Check::new("Mutex::try_lock", try_lock),
    Check::new("Condvar", condvar),
    Check::new("Condvar with timeout", condvar_timeout),
    Check::new("RwLock", rwlock),
    Check::new("Once, OnceLock and LazyLock", once),
    Check::new("Barrier", barrier),
    Check::new("mpsc channel", channel),
    Check::new("mpsc rendezvous channel", rendezvous),
    Check::new("mpsc receive with timeout", receive_timeout),
    Check::new("atomics", atomics),
];

const THREADS: usize = 8;
const ROUNDS: usize = 1000;

fn mutex() -> Outcome {
    let count = Mutex::new(0_usize);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    *count.lock().expect("no thread panics") += 1;
                }
            });
        }
    });
    same!(count.into_inner()?, THREADS * ROUNDS);
    Ok(format!("{THREADS} threads locked it {ROUNDS} times each"))
}

fn try_lock() -> Outcome {
    let lock = Mutex::new(());
    let guard = lock.lock().map_err(|_| "poisoned")?;
    let taken = thread::scope(|scope| {
        scope
            .spawn(|| lock.try_lock().is_err())
            .join()
            .map_err(|_| "the thread panicked")
    })?;
    ensure!(taken, "two threads held the lock");
    drop(guard);
    ensure!(lock.try_lock().is_ok(), "the lock stayed taken");
    Ok("refused while held, granted after".into())
}

fn condvar() -> Outcome {
    // A ball goes back and forth.
    let side = Mutex::new(0_usize);
    let moved = Condvar::new();
    thread::scope(|scope| {
        for me in 0..2 {
            let (side, moved) = (&side, &moved);
            scope.spawn(move || {
                for _ in 0..ROUNDS / 2 {
                    let guard = side.lock().expect("no thread panics");
                    let mut guard = moved
                        .wait_while(guard, |side| *side % 2 != me)
                        .expect("no thread panics");
                    *guard += 1;
                    moved.notify_all();
                }
            });
        }
    });
    same!(side.into_inner()?, ROUNDS);
    Ok(format!("{ROUNDS} turns between 2 threads"))
}

fn condvar_timeout() -> Outcome {
    let lock = Mutex::new(());
    let wait = Duration::from_millis(10);
    let begin = Instant::now();
    let guard = lock.lock().map_err(|_| "poisoned")?;
    let (_guard, result) = Condvar::new()
        .wait_timeout_while(guard, wait, |()| true)
        .map_err(|_| "poisoned")?;
    ensure!(result.timed_out(), "woken by nobody");
    ensure!(
        begin.elapsed() >= wait,
        "gave up after {:?}",
        begin.elapsed()
    );
    Ok(format!("gave up after {wait:?}"))
}

fn rwlock() -> Outcome {
    let pair = RwLock::new((0_usize, 0_usize));
    let together = Barrier::new(2);
    thread::scope(|scope| {
        // Two readers can be inside at once, or this never ends.
        for _ in 0..2 {
            scope.spawn(|| {
                let _guard = pair.read().expect("no thread panics");
                together.wait();
            });
        }
    });
    let torn = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    let mut pair = pair.write().expect("no thread panics");
                    pair.0 += 1;
                    pair.1 += 1;
                }
            });
        }
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    let pair = pair.read().expect("no thread panics");
                    torn.fetch_add(usize::from(pair.0 != pair.1), Ordering::Relaxed);
                }
            });
        }
    });
    same!(torn.into_inner(), 0);
    same!(
        *pair.read().map_err(|_| "poisoned")?,
        (2 * ROUNDS, 2 * ROUNDS)
    );
    Ok("2 writers, 4 readers, nothing torn".into())
}

fn once() -> Outcome {
    static ONCE: Once = Once::new();
    static LAZY: LazyLock<usize> = LazyLock::new(|| CALLS.fetch_add(1, Ordering::Relaxed) + 40);
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let cell = OnceLock::new();
    thread::scope(|scope| {
        for number in 0..THREADS {
            let cell = &cell;
            scope.spawn(move || {
                ONCE.call_once(|| {
                    // Long enough for the others to have to wait.
                    thread::sleep(Duration::from_millis(2));
                    CALLS.fetch_add(1, Ordering::Relaxed);
                });
                cell.get_or_init(|| number);
            });
        }
    });
    same!(CALLS.load(Ordering::Relaxed), 1);
    same!(*LAZY + *LAZY, 82);
    same!(CALLS.load(Ordering::Relaxed), 2);
    let first = cell.into_inner().ok_or("nobody set the cell")?;
    ensure!(first < THREADS, "the cell holds {first}");
    Ok(format!("{THREADS} threads, 1 call"))
}

fn barrier() -> Outcome {
    let barrier = Barrier::new(THREADS);
    let (leaders, arrived) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let early = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for round in 1..=20 {
                    arrived.fetch_add(1, Ordering::AcqRel);
                    let leader = barrier.wait().is_leader();
                    leaders.fetch_add(usize::from(leader), Ordering::Relaxed);
                    let here = arrived.load(Ordering::Acquire);
                    early.fetch_add(usize::from(here < round * THREADS), Ordering::Relaxed);
                }
            });
        }
    });
    same!(leaders.into_inner(), 20);
    same!(early.into_inner(), 0);
    Ok(format!("{THREADS} threads met 20 times"))
}

fn channel() -> Outcome {
    let (sender, receiver) = mpsc::channel();
    let mut next = [0; THREADS];
    let mut disorder = 0;
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let sender = sender.clone();
            scope.spawn(move || (0..ROUNDS).try_for_each(|n| sender.send((thread, n))));
        }
        drop(sender);
        for (thread, number) in receiver {
            // Messages of one sender arrive in order.
            disorder += usize::from(number != next[thread]);
            next[thread] += 1;
        }
    });
    same!(disorder, 0);
    same!(next, [ROUNDS; THREADS]);
    Ok(format!(
        "{} messages, in order, then hung up",
        THREADS * ROUNDS
    ))
}

fn rendezvous() -> Outcome {
    let (sender, receiver) = mpsc::sync_channel(0);
    let thread = thread::spawn(move || (0..100).try_for_each(|n| sender.send(n)));
    same!(receiver.iter().sum::<i32>(), 4950);
    thread.join().map_err(|_| "the thread panicked")??;
    Ok("100 handed over one by one".into())
}

fn receive_timeout() -> Outcome {
    let (sender, receiver) = mpsc::channel::<()>();
    let wait = Duration::from_millis(10);
    let begin = Instant::now();
    same!(
        receiver.recv_timeout(wait),
        Err(mpsc::RecvTimeoutError::Timeout)
    );
    ensure!(
        begin.elapsed() >= wait,
        "gave up after {:?}",
        begin.elapsed()
    );
    drop(sender);
    same!(
        receiver.recv_timeout(wait),
        Err(mpsc::RecvTimeoutError::Disconnected)
    );
    Ok(format!("gave up after {wait:?}"))
}

fn atomics() -> Outcome {
    let (sum, most) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for thread in 0..THREADS as u64 {
            let (sum, most) = (&sum, &most);
            scope.spawn(move || {
                for round in 0..ROUNDS as u64 {
                    sum.fetch_add(1, Ordering::Relaxed);
                    most.fetch_max(thread * 10_000 + round, Ordering::Relaxed);
                }
            });
        }
    });
    same!(sum.into_inner(), (THREADS * ROUNDS) as u64);
    same!(
        most.into_inner(),
        (THREADS as u64 - 1) * 10_000 + ROUNDS as u64 - 1
    );
    Ok("nothing lost".into())
}
