//! The machines that run the program.

use std::time::{Duration, Instant};

use crate::kernel;

/// One of the machines that run the program. There is one at least.
///
/// ```
/// for node in darner::nodes() {
///     println!("{node} has {} CPUs", node.cpus());
/// }
/// assert!(darner::nodes().any(|node| node == darner::here()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node(u16);

impl Node {
    /// Its number: they are numbered from 0, which is where `main` begins and where files and sockets are.
    pub fn number(self) -> usize {
        self.0.into()
    }

    /// How many CPUs it has. None, if it is gone.
    pub fn cpus(self) -> usize {
        kernel::cpus(self.0)
    }

    /// How long it takes to ask it for 4 KiB and to get them, by the link that pages of memory go by, but
    /// without anything of the memory: the least that a fault at one of its pages could take. Next to
    /// nothing for the node that the calling thread runs on. `None`: it is not there, or gone.
    ///
    /// ```
    /// let here = darner::here().round_trip().expect("a thread's node is there");
    /// println!("to oneself: {here:?}");
    /// ```
    pub fn round_trip(self) -> Option<Duration> {
        let begun = Instant::now();
        kernel::echo(self.0).then(|| begun.elapsed())
    }

    /// Has it leave, without anything being lost: returns when it takes no more threads. From then on it is not among [`nodes`]
    /// any more and has no [`cpus`](Self::cpus); but the threads that it has run on there (threads do not move), and only when the last of them
    /// has ended does it give what it has to the others, and its machine ends. So wait for them, or have them end, if that is to be soon.
    ///
    /// What it has given out of its heap stays as it is, for whoever has it. While another node drains, this waits until that has left.
    ///
    /// # Errors
    /// [`NotDrained`] says why it stays.
    ///
    /// ```
    /// // There is one node at least, and the first stays.
    /// assert_eq!(darner::here().drain(), Err(darner::NotDrained::First));
    /// ```
    pub fn drain(self) -> Result<(), NotDrained> {
        const EPERM: i32 = 1;
        const EALREADY: i32 = 114;
        kernel::drain(self.0).map_err(|error| match error {
            EPERM => NotDrained::First,
            EALREADY => NotDrained::Already,
            _ => NotDrained::NotThere,
        })
    }

    pub(crate) fn of(number: u16) -> Self {
        Self(number)
    }

    pub(crate) fn raw(self) -> u16 {
        self.0
    }
}

/// Why a node was not drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotDrained {
    /// It is the first one, which has the program's files and its first thread.
    First,
    /// It drains already.
    Already,
    /// It is not there any more.
    NotThere,
}

impl std::fmt::Display for NotDrained {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::First => "the first node cannot be drained, as it has the program's files and its first thread; drain another one",
            Self::Already => "the node drains already; it leaves when its last thread has ended",
            Self::NotThere => "the node is not there any more",
        })
    }
}

impl std::error::Error for NotDrained {}

/// As `n0`.
impl std::fmt::Display for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "n{}", self.0)
    }
}

/// The machines that run the program, in the order of their numbers. One, if there is no cluster.
///
/// They are those of this moment: machines may come later, or be lost. A number is never used for another machine.
pub fn nodes() -> impl ExactSizeIterator<Item = Node> + DoubleEndedIterator {
    let nodes: Vec<Node> = (0..kernel::nodes())
        .map(Node)
        .filter(|node| node.cpus() > 0)
        .collect();
    nodes.into_iter()
}

/// The machine that the calling thread runs on. A thread stays where it was started.
pub fn here() -> Node {
    Node(kernel::here())
}
