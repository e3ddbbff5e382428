//! What the crate `darner` has for programs that run on several machines, tried out.
//!
//! ```text
//! cargo xtask cluster --nodes 3 cluster-tour
//! cargo xtask run cluster-tour
//! cargo run -p cluster-tour
//! ```
//!
//! It prints the same lines on any number of machines, and on Linux. How many there were, and what moved
//! between them, it says on standard error.

use std::process::ExitCode;

#[cfg(target_os = "hermit")]
use hermit as _;

mod memory;
mod threads;

/// What is tried: its name, and what is wrong if anything is.
type Stop = (&'static str, fn() -> Result<(), String>);

const STOPS: [Stop; 8] = [
    // The first: what is freed later has been other nodes', too.
    ("memory of one's own costs no message", memory::private),
    ("each node has a number and CPUs", threads::numbered),
    ("main begins on the first node", threads::begins),
    ("a thread comes up where it is told", threads::spawned),
    ("placement is the thread's own", threads::own_placement),
    ("anywhere is everywhere in turn", threads::anywhere),
    ("pages of one's own", memory::own_pages),
    ("what is prefetched is not waited for", memory::prefetched),
];

fn main() -> ExitCode {
    let before = darner::statistics();
    let mut wrong = 0;
    for (name, stop) in STOPS {
        match stop() {
            Ok(()) => println!("ok     {name}"),
            Err(reason) => {
                println!("FAILED {name}: {reason}");
                wrong += 1;
            }
        }
    }
    eprint!("{}", darner::statistics().since(&before));
    if wrong > 0 {
        return ExitCode::FAILURE;
    }
    println!("all well");
    ExitCode::SUCCESS
}

/// Nothing, or what is wrong.
fn expect(is_right: bool, wrong: impl FnOnce() -> String) -> Result<(), String> {
    is_right.then_some(()).ok_or_else(wrong)
}
