//! `thread_local!` and its destructors.

use std::cell::{Cell, RefCell};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use tour::{Check, Outcome, same};

pub const CHECKS: &[Check] = &[
    Check::new("each thread has its own", own),
    Check::new("constant and lazy initial values", initial),
    Check::new("destructors run when a thread ends", destructors),
];

thread_local! {
    static COUNT: Cell<u32> = const { Cell::new(7) };
    static NAMES: RefCell<Vec<String>> = RefCell::new(vec!["first".into()]);
    static LAST: RefCell<Option<Farewell>> = const { RefCell::new(None) };
}

/// Says so when it is dropped.
struct Farewell(Sender<&'static str>);

impl Drop for Farewell {
    fn drop(&mut self) {
        // The channel has the room: the receiver waits until after the join.
        let _ = self.0.send("dropped");
    }
}

fn own() -> Outcome {
    COUNT.set(100);
    let threads: Vec<_> = (0..8)
        .map(|number| {
            thread::spawn(move || {
                for _ in 0..number {
                    COUNT.set(COUNT.get() + 1);
                    thread::yield_now();
                }
                COUNT.get()
            })
        })
        .collect();
    for (number, thread) in (0..).zip(threads) {
        same!(
            thread.join().map_err(|_| "the thread panicked")?,
            7 + number
        );
    }
    same!(COUNT.get(), 100);
    Ok("9 threads, 9 values".into())
}

fn initial() -> Outcome {
    NAMES.with_borrow_mut(|names| names.push("second".into()));
    let there = thread::spawn(|| (COUNT.get(), NAMES.with_borrow(Vec::clone)));
    let (count, names) = there.join().map_err(|_| "the thread panicked")?;
    same!(count, 7);
    same!(names, ["first"]);
    same!(NAMES.with_borrow(Vec::len), 2);
    Ok("as declared".into())
}

fn destructors() -> Outcome {
    let (sender, receiver): (_, Receiver<&str>) = channel();
    let thread = thread::spawn(move || LAST.set(Some(Farewell(sender))));
    thread.join().map_err(|_| "the thread panicked")?;
    same!(receiver.iter().collect::<Vec<_>>(), ["dropped"]);
    Ok("dropped once".into())
}
