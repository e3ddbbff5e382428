//! A machine leaves while the program runs, and nothing is lost.
//!
//! ```text
//! cargo xtask cluster --nodes 3 leave-tour
//! cargo xtask cluster --nodes 3 --after 'may leave' --drain 2@0s leave-tour -- --wait
//! cargo run -p leave-tour
//! ```
//!
//! What is on the last machine when it is told to leave, by the program itself or with `--wait` from outside: memory of its heap that it
//! has written, that others have written, that nobody has touched; memory of others that it was the last to write; threads on it that
//! wait, and threads elsewhere that wait for locks and channels in its heap. When it has gone, all of this is looked at.
//!
//! It prints the same lines on any number of machines, and on Linux, where nobody can leave.

use std::process::ExitCode;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use darner::{Node, nodes, spawn_on};
#[cfg(target_os = "hermit")]
use hermit as _;

/// Numbers in each piece of memory: 1 MiB.
const COUNT: usize = 128 << 10;
/// How long the machine may take to leave.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is made on the machine that leaves.
struct Made {
    /// Written there.
    written: Vec<u64>,
    /// Written by another.
    given: Vec<u64>,
    /// Not touched yet.
    room: Vec<u64>,
    gate: Arc<Gate>,
    /// Its other end is a thread elsewhere.
    answers: Receiver<u64>,
    asks: Sender<u64>,
}

/// Opens once.
#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn pass(&self) {
        let mut is_open = self.is_open.lock().expect("nobody panics");
        while !*is_open {
            is_open = self.opened.wait(is_open).expect("nobody panics");
        }
    }

    fn open(&self) {
        *self.is_open.lock().expect("nobody panics") = true;
        self.opened.notify_all();
    }
}

fn make(seed: u64, asks: Sender<u64>, answers: Receiver<u64>) -> Made {
    Made {
        written: (0..COUNT as u64).map(|number| number ^ seed).collect(),
        given: vec![0; COUNT],
        room: Vec::with_capacity(COUNT),
        gate: Arc::default(),
        answers,
        asks,
    }
}

/// Depends on each number and its place (Fowler, Noll and Vo's hash, by words).
fn sum(numbers: &[u64]) -> u64 {
    numbers.iter().fold(0xcbf2_9ce4_8422_2325, |sum, &number| {
        (sum ^ number).wrapping_mul(0x100_0000_01b3)
    })
}

/// Waits until there are fewer machines than before, and the one that leaves has gone: it counts no more.
fn wait_until_gone(leaving: Node) -> bool {
    let begun = Instant::now();
    let is_there = || nodes().any(|node| node == leaving);
    let is_gone = || !is_there() && darner::statistics_of(leaving) == Default::default();
    while !is_gone() {
        if begun.elapsed() > PATIENCE {
            return false;
        }
        thread::sleep(Duration::from_millis(50));
    }
    true
}

fn main() -> ExitCode {
    let waits = std::env::args().any(|argument| argument == "--wait");
    let first = nodes().next().expect("there is one");
    let last = nodes().next_back().expect("there is one");
    let before = nodes().len();

    let (asks, asked) = channel();
    let (answer, answers) = channel();
    let mut ours: Vec<u64> = vec![1; COUNT];
    let mut made = spawn_on(last, move || make(7, asks, answers))
        .join()
        .expect("it does not panic");
    // Memory of another machine that the last one was the last to write.
    ours = spawn_on(last, move || {
        ours.iter_mut().for_each(|number| *number += 1);
        ours
    })
    .join()
    .expect("it does not panic");
    made.given
        .iter_mut()
        .zip(0..)
        .for_each(|(place, number)| *place = 3 * number);

    // They wait for words in the heap of the one that leaves; the last one is on it.
    let places = [first, nodes().nth(before / 2).unwrap_or(first), last];
    let waiting: Vec<_> = places
        .into_iter()
        .map(|place| {
            let gate = made.gate.clone();
            spawn_on(place, move || gate.pass())
        })
        .collect();
    let echo = spawn_on(first, move || {
        for number in asked {
            if answer.send(number + 1).is_err() {
                break;
            }
        }
    });
    println!("the last machine may leave");
    let is_alone = last == first;
    if !waits && !is_alone {
        if let Err(error) = first.drain() {
            eprintln!("{first}: {error}");
        }
        last.drain().expect("it is there");
        assert!(nodes().all(|node| node != last), "it takes no more threads");
        assert_eq!(last.drain(), Err(darner::NotDrained::Already));
    } else {
        let begun = Instant::now();
        while !is_alone && nodes().any(|node| node == last) && begun.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(20));
        }
    }
    // A thread of its is there yet, and waits; so it is used as before.
    made.asks.send(41).expect("the other end is there");
    println!("an answer: {}", made.answers.recv().expect("it comes"));
    let anywhere: Vec<_> = (0..2 * before)
        .map(|_| thread::spawn(darner::here))
        .collect();
    let is_used = anywhere
        .into_iter()
        .any(|thread| thread.join().expect("it does not panic") == last);
    println!("a new thread is on it: {}", is_used && !is_alone);
    made.gate.open();
    for thread in waiting {
        thread.join().expect("it does not panic");
    }
    println!("all have passed the gate");
    if !is_alone && !wait_until_gone(last) {
        println!("it has not gone");
        return ExitCode::FAILURE;
    }

    println!("written there: {:016x}", sum(&made.written));
    println!("written to it: {:016x}", sum(&made.given));
    println!("written by it: {:016x}", sum(&ours));
    made.room.extend((0..COUNT as u64).map(|number| number * 5));
    println!("not touched:   {:016x}", sum(&made.room));
    made.asks.send(1).expect("the other end is there");
    println!("an answer: {}", made.answers.recv().expect("it comes"));
    // Freed memory of a machine that has gone is nobody's.
    drop(made);
    echo.join().expect("it does not panic");
    // What was in its heap can be used by all others.
    let fresh: u64 = nodes()
        .map(|node| spawn_on(node, || sum(&vec![9; COUNT])))
        .map(|thread| thread.join().expect("it does not panic"))
        .fold(0, |_, sum| sum);
    println!("fresh memory:  {fresh:016x}");
    ExitCode::SUCCESS
}
