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

    pub(crate) fn of(number: u16) -> Self {
        Self(number)
    }

    pub(crate) fn raw(self) -> u16 {
        self.0
    }
}

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
