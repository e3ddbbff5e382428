//! `std::thread`.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tour::{Check, Outcome, ensure, same};

pub const CHECKS: &[Check] = &[
    Check::new("spawn and join", spawn),
    Check::new("many at once", many),
    Check::new("name, id and stack size", builder),
    Check::new("scoped", scoped),
    Check::new("park and unpark", park),
    Check::new("park with timeout", park_timeout),
    Check::new("sleep", sleep),
    Check::new("yield", yield_now),
    Check::new("available parallelism", parallelism),
];

fn spawn() -> Outcome {
    let text = String::from("carried there");
    let thread = thread::spawn(move || text + " and back");
    same!(
        thread.join().map_err(|_| "the thread panicked")?,
        "carried there and back"
    );
    Ok("a value went there and back".into())
}

fn many() -> Outcome {
    const THREADS: usize = 64;
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for number in 0..THREADS {
            let sender = sender.clone();
            scope.spawn(move || sender.send(number));
        }
    });
    drop(sender);
    let mut numbers: Vec<usize> = receiver.iter().collect();
    numbers.sort_unstable();
    same!(numbers, (0..THREADS).collect::<Vec<_>>());
    Ok(format!("{THREADS} threads"))
}

fn builder() -> Outcome {
    let main = thread::current().id();
    // More stack than a thread has by default, and it is all there.
    let (name, id, sum) = thread::Builder::new()
        .name("weaver".into())
        .stack_size(4 << 20)
        .spawn(|| {
            let mut block = [1_u8; 3 << 20];
            std::hint::black_box(&mut block);
            let sum: usize = block.iter().map(|&byte| usize::from(byte)).sum();
            (
                thread::current().name().map(str::to_owned),
                thread::current().id(),
                sum,
            )
        })?
        .join()
        .map_err(|_| "the thread panicked")?;
    same!(name.as_deref(), Some("weaver"));
    ensure!(id != main, "two threads have the id {id:?}");
    same!(sum, 3 << 20);
    Ok(format!("3 of 4 MiB of stack used by {id:?}"))
}

fn scoped() -> Outcome {
    let mut numbers = vec![0_usize; 100];
    thread::scope(|scope| {
        for (index, part) in numbers.chunks_mut(25).enumerate() {
            scope.spawn(move || part.fill(index));
        }
    });
    same!(numbers.iter().sum::<usize>(), 25 * (1 + 2 + 3));
    Ok("4 threads wrote to a vector of their parent".into())
}

fn park() -> Outcome {
    let ready = Arc::new(AtomicBool::new(false));
    let thread = thread::spawn({
        let ready = Arc::clone(&ready);
        move || {
            let mut wakeups = 0;
            while !ready.load(Ordering::Acquire) {
                thread::park();
                wakeups += 1;
            }
            wakeups
        }
    });
    thread::sleep(Duration::from_millis(5));
    ready.store(true, Ordering::Release);
    thread.thread().unpark();
    thread.join().map_err(|_| "the thread panicked")?;
    // A token given in advance is kept.
    thread::current().unpark();
    thread::park();
    Ok("woken by another thread and by a token kept".into())
}

fn park_timeout() -> Outcome {
    let begin = Instant::now();
    let wait = Duration::from_millis(10);
    // Parking may end early for no reason: that is part of its contract.
    while begin.elapsed() < wait {
        thread::park_timeout(wait - begin.elapsed().min(wait));
    }
    ensure!(
        begin.elapsed() < Duration::from_secs(5),
        "took {:?}",
        begin.elapsed()
    );
    Ok("woken by the clock".into())
}

fn sleep() -> Outcome {
    let wait = Duration::from_millis(20);
    let begin = Instant::now();
    // Several sleepers at once take no longer than one.
    let threads: Vec<_> = (0..8)
        .map(|_| thread::spawn(move || thread::sleep(wait)))
        .collect();
    for thread in threads {
        thread.join().map_err(|_| "the thread panicked")?;
    }
    let took = begin.elapsed();
    ensure!(
        took >= wait,
        "woke after {took:?}, before the {wait:?} were over"
    );
    ensure!(took < Duration::from_secs(5), "took {took:?}");
    Ok(format!("8 threads slept {wait:?}"))
}

fn yield_now() -> Outcome {
    // Progress even when there are more spinning threads than CPUs.
    let turn = AtomicUsize::new(0);
    thread::scope(|scope| {
        for me in 0..4 {
            let turn = &turn;
            scope.spawn(move || {
                for round in 0..25 {
                    while turn.load(Ordering::Acquire) != round * 4 + me {
                        thread::yield_now();
                    }
                    turn.fetch_add(1, Ordering::AcqRel);
                }
            });
        }
    });
    same!(turn.into_inner(), 100);
    Ok("4 threads took 25 turns each".into())
}

fn parallelism() -> Outcome {
    Ok(format!("{} CPUs", thread::available_parallelism()?))
}
