//! Threads.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::source::NoMemory;

use super::{Address, MOST_LISTED, Name};

/// The threads of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Threads {
    /// How many have been started since boot, interrupt threads not counted.
    pub started: u64,
    /// How many run.
    pub running: u64,
    /// How many wait for a CPU.
    pub ready: u64,
    /// How many wait for something else.
    pub blocked: u64,
    /// The first of them, by their numbers.
    pub list: Vec<Thread>,
    /// How many are not in the list, because it would be too long.
    pub omitted: u64,
}

impl Threads {
    /// Makes room in the list for so many more, as far as they are listed.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn reserve(&mut self, count: usize) -> Result<(), NoMemory> {
        let more = MOST_LISTED.saturating_sub(self.list.len()).min(count);
        Ok(self.list.try_reserve_exact(more)?)
    }

    /// Counts `thread`, and lists it if the list has room: as much as was reserved.
    pub fn add(&mut self, thread: Thread) {
        match thread.state {
            State::Running => self.running += 1,
            State::Ready => self.ready += 1,
            State::Blocked => self.blocked += 1,
        }
        if self.list.len() < self.list.capacity().min(MOST_LISTED) {
            self.list.push(thread);
        } else {
            self.omitted += 1;
        }
    }
}

/// A thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    /// Its number.
    pub id: u32,
    /// Its name, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// Whose it is.
    pub kind: Kind,
    /// What has the higher one runs first.
    pub priority: u8,
    /// What it does.
    pub state: State,
    /// The CPU that it belongs to.
    pub cpu: usize,
    /// What it waits for, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<WaitsFor>,
}

/// Whose a thread is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The program's.
    Program,
    /// The kernel's, scheduled as the program's are.
    Kernel,
    /// The kernel's, for what interrupts ask for; it preempts all others.
    Interrupt,
}

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It runs.
    Running,
    /// It waits for a CPU.
    Ready,
    /// It waits for something else.
    Blocked,
}

/// What a blocked thread waits for: a word of memory to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitsFor {
    /// Whose word it is.
    pub word: Word,
    /// Where it is.
    pub address: Address,
}

/// Whose a word of memory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// The program's: a lock, a condition, another thread.
    Program,
    /// The kernel's: input, a socket, the end of a thread.
    Kernel,
}
