//! Nodes, and which of them threads come up on.

use std::collections::BTreeMap;
use std::thread;

use darner::{Node, Placement, here, nodes, spawn_on};

use crate::expect;

pub fn numbered() -> Result<(), String> {
    let numbers: Vec<usize> = nodes().map(Node::number).collect();
    let expected: Vec<usize> = (0..nodes().len()).collect();
    expect(numbers == expected, || format!("found {numbers:?}"))?;
    let cpus: usize = nodes().map(Node::cpus).sum();
    let told = thread::available_parallelism().map_or(0, usize::from);
    expect(cpus == told && nodes().all(|node| node.cpus() > 0), || {
        format!("the nodes have {cpus} CPUs, expected {told}")
    })
}

pub fn begins() -> Result<(), String> {
    expect(here().number() == 0, || format!("main is on {}", here()))
}

pub fn spawned() -> Result<(), String> {
    for node in nodes() {
        let found = spawn_on(node, here).join().map_err(|_| "it panicked")?;
        expect(found == node, || format!("found {found}, expected {node}"))?;
    }
    Ok(())
}

/// A thread is told of it alone, whichever node it is on; those that it starts are not.
pub fn own_placement() -> Result<(), String> {
    let last = nodes().next_back().ok_or("there is no node")?;
    let found = spawn_on(last, || {
        let first = Placement::Near.set();
        let near = thread::spawn(here).join();
        let near_again = thread::spawn(|| Placement::Near.set()).join();
        (first, near.ok(), near_again.ok(), Placement::Anywhere.set())
    })
    .join()
    .map_err(|_| "it panicked")?;
    let expected = (
        Placement::Anywhere,
        Some(last),
        Some(Placement::Anywhere),
        Placement::Near,
    );
    expect(found == expected, || format!("found {found:?}"))
}

/// As many threads as CPUs: each node has as many of them as it has CPUs.
pub fn anywhere() -> Result<(), String> {
    let cpus: usize = nodes().map(Node::cpus).sum();
    let threads: Vec<_> = (0..cpus).map(|_| thread::spawn(here)).collect();
    let mut found: BTreeMap<Node, usize> = BTreeMap::new();
    for thread in threads {
        *found
            .entry(thread.join().map_err(|_| "it panicked")?)
            .or_default() += 1;
    }
    let expected = nodes().map(|node| (node, node.cpus())).collect();
    expect(found == expected, || format!("found {found:?}"))
}
