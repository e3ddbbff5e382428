//! A context of the simulated machine: what runs while it holds a CPU.

use std::sync::Arc;

use super::sys::{Condvar, Mutex};

/// A thread of the host that waits for a CPU, or has one.
pub struct Context {
    hold: Mutex<Hold>,
    given: Condvar,
}

/// What a context has of a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    /// Nothing: its registers are saved.
    Nothing,
    /// The CPU of that number was handed to it.
    Given(usize),
    /// It runs.
    Running,
    /// It will not run any more.
    Ended,
}

/// The context ends instead of getting a CPU.
#[derive(Debug)]
pub struct End;

impl Context {
    /// A context that waits for its first CPU.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            hold: Mutex::new(Hold::Nothing),
            given: Condvar::new(),
        })
    }

    /// A context that runs: the caller.
    pub fn running() -> Arc<Self> {
        let context = Self::new();
        *context.hold.lock().unwrap() = Hold::Running;
        context
    }

    /// The running context saves its registers. Others may give it a CPU from now on.
    pub fn save(&self) {
        self.change(Hold::Running, Hold::Nothing);
    }

    /// Hands CPU `cpu` to the context, whose registers are saved.
    pub fn give(&self, cpu: usize) {
        self.change(Hold::Nothing, Hold::Given(cpu));
        self.given.notify_one();
    }

    /// Ends the context, whose registers are saved.
    pub fn end(&self) {
        self.change(Hold::Nothing, Hold::Ended);
        self.given.notify_one();
    }

    fn change(&self, from: Hold, to: Hold) {
        let mut hold = self.hold.lock().unwrap();
        assert_eq!(*hold, from, "found by who makes it {to:?}");
        *hold = to;
    }

    /// Waits for a CPU, and says which it is. `given_up` says whether to wait no more.
    pub fn wait(&self, given_up: impl Fn() -> bool) -> Result<usize, End> {
        let mut hold = self.hold.lock().unwrap();
        loop {
            match *hold {
                Hold::Given(cpu) => {
                    *hold = Hold::Running;
                    return Ok(cpu);
                }
                Hold::Ended => return Err(End),
                Hold::Nothing if given_up() => return Err(End),
                Hold::Nothing => hold = self.given.wait(hold).unwrap(),
                Hold::Running => panic!("a context that runs waits for a CPU"),
            }
        }
    }

    /// Has the context see that all is given up.
    #[cfg(not(any(loom, shuttle)))]
    pub fn alarm(&self) {
        let _hold = self.hold.lock();
        self.given.notify_all();
    }
}
