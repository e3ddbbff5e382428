//! A cluster of one node, as any other system is.

use std::cell::Cell;

use darner_abi::NodeStatistics;

thread_local! {
    static PLACEMENT: Cell<i32> = const { Cell::new(-1) };
}

/// How many nodes there are.
pub fn nodes() -> u16 {
    1
}

/// The calling thread's node.
pub fn here() -> u16 {
    0
}

/// CPUs of a node.
pub fn cpus(node: u16) -> usize {
    match node {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        _ => 0,
    }
}

/// Says where the calling thread's threads come up; what it was before. `None`: there is no such place.
pub fn place(number: i32) -> Option<i32> {
    (number <= 0).then(|| PLACEMENT.replace(number))
}

/// Asks a node for something. Whether it has answered.
pub fn echo(node: u16) -> bool {
    node == 0
}

/// Memory is all there.
pub fn prefetch<T>(_what: &[T], _write: bool) {}

/// The first node stays: EPERM.
pub fn drain(node: u16) -> Result<(), i32> {
    match node {
        0 => Err(1),
        // There is no other: ESRCH.
        _ => Err(3),
    }
}

/// Nothing is counted.
pub fn count(_node: u16) -> NodeStatistics {
    NodeStatistics::default()
}
