//! What memory of one's own costs: stacks, thread-local variables, the node's part of the heap.

use std::cell::Cell;
use std::hint::black_box;

use darner::{Count, Direction, NodeStatistics, here, nodes, spawn_on, statistics_of};

pub fn measure() -> Result<(), String> {
    let mut all = NodeStatistics::default();
    for node in nodes() {
        let of_node = spawn_on(node, || {
            // What the thread was started with has come by now, and its memory is fresh.
            let before = statistics_of(here());
            for turn in 0..8 {
                work(turn);
            }
            statistics_of(here()).since(&before)
        });
        all.add(&of_node.join().map_err(|_| "a thread panicked")?);
    }
    let messages = all.messages(Direction::Sent) + all.messages(Direction::Received);
    println!("messages {messages}");
    println!("faults {}", all.faults());
    println!("silent {}", all.silent_upgrades_own());
    println!("asked {}", all[Count::AskedOwn]);
    Ok(())
}

thread_local! {
    static LOCAL: Cell<[u64; 2048]> = const { Cell::new([0; 2048]) };
}

/// Some of each.
fn work(value: u64) {
    LOCAL.set([value; 2048]);
    black_box(LOCAL.get());
    deep(black_box(256), value);
    let heap: Vec<Vec<u64>> = (0..256).map(|_| vec![value; 512]).collect();
    black_box(heap);
}

/// Two KiB of stack for each level.
fn deep(levels: u32, value: u64) -> u64 {
    let local = black_box([value; 256]);
    match levels {
        0 => local[3],
        _ => deep(levels - 1, value) + local[5],
    }
}
