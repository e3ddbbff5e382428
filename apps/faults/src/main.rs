//! Fails in every way a program can, to show what the system then says.
//!
//! ```text
//! cargo xtask run faults -- stack-overflow
//! ```
//!
//! Without an argument it lists what it can do. Each kind prints what it is
//! about to do first, so that what follows can be judged.

use std::error::Error;
use std::process::ExitCode;

#[cfg(target_os = "hermit")]
use hermit as _;

mod endings;
mod heap;
mod losses;
mod machine;
mod panics;

/// What ends a kind that returns at all.
type Outcome = Result<ExitCode, Box<dyn Error>>;

/// One way to fail.
struct Kind {
    name: &'static str,
    /// What it does, after "about to".
    does: &'static str,
    run: fn(argument: Option<&str>) -> Outcome,
}

/// Shortens the list below.
const fn kind(name: &'static str, does: &'static str, run: fn(Option<&str>) -> Outcome) -> Kind {
    Kind { name, does, run }
}

/// All ways to fail.
const KINDS: &[Kind] = &[
    kind("panic", "panic in main", |_| panics::panic()),
    kind("thread-panic", "panic in a thread", |_| {
        panics::thread_panic()
    }),
    kind(
        "double-panic",
        "panic while a panic is being reported",
        |_| panics::double_panic(),
    ),
    kind("stack-overflow", "recurse without end in main", |_| {
        machine::stack_overflow()
    }),
    kind(
        "thread-stack-overflow",
        "recurse without end in a thread",
        |_| machine::thread_stack_overflow(),
    ),
    kind("null", "read address 0", |_| machine::read(0)),
    kind(
        "wild",
        "read address 0x123456789000, where nothing is",
        |_| machine::read(0x1234_5678_9000),
    ),
    kind(
        "noncanonical",
        "read address 0x1234000000000000, which cannot exist",
        |_| machine::read(0x1234_0000_0000_0000),
    ),
    kind("write-text", "write to the code of a function", |_| {
        machine::write_text()
    }),
    kind("exec-data", "execute a variable", |_| machine::exec_data()),
    kind("exec-stack", "execute the stack", |_| machine::exec_stack()),
    kind("divide", "divide by zero, unchecked", |_| machine::divide()),
    kind("illegal", "execute an invalid instruction", |_| {
        machine::illegal()
    }),
    kind("triple-fault", "take the handlers away, then fault", |_| {
        machine::triple_fault()
    }),
    kind("heap-exhaustion", "take all memory and then some", |_| {
        heap::exhaust()
    }),
    kind(
        "try-reserve",
        "ask for more memory than there is, politely",
        |_| heap::try_reserve(),
    ),
    kind("exit", "exit with the given number", endings::exit),
    kind(
        "exit-in-thread",
        "exit with the given number from another thread",
        endings::exit_in_thread,
    ),
    kind(
        "fail-on-node",
        "exit with 3 on that node of a cluster, else sleep for ever",
        endings::fail_on_node,
    ),
    kind("return-err", "return an error from main", |_| {
        endings::return_error()
    }),
    kind("missing-file", "read a file that is not there", |_| {
        endings::missing_file()
    }),
    kind("abort", "abort", |_| endings::abort()),
    kind(
        "lone-node",
        "sleep for some seconds, with nothing on the last of three nodes",
        losses::lone_node,
    ),
    kind(
        "lost-heap",
        "read memory that another thread has made, some seconds later",
        losses::heap,
    ),
    kind(
        "lost-variable",
        "read a variable that another thread has written, some seconds later",
        losses::variable,
    ),
    kind("hang", "spin for ever", |_| endings::hang()),
    kind("hang-idle", "sleep for ever", |_| endings::hang_idle()),
];

fn main() -> Outcome {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(kind) = args
        .first()
        .and_then(|name| KINDS.iter().find(|kind| kind.name == name))
    else {
        eprintln!("usage: faults KIND");
        for kind in KINDS {
            eprintln!("  {:<22} {}", kind.name, kind.does);
        }
        return Ok(ExitCode::from(2));
    };
    println!("about to {}", kind.does);
    (kind.run)(args.get(1).map(String::as_str))
}
