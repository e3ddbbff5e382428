//! Threads in great numbers and under load.
//!
//! ```text
//! cargo xtask run --smp 4 stress                            # all parts
//! cargo xtask run --smp 4 --mem 10240 stress -- threads 100000
//! ```
//!
//! Each part checks that nothing is lost, nothing waits for ever and nothing comes too
//! early; it prints one line. The exit code is 1 if one did not hold. Runs on Linux,
//! too.

use std::process::ExitCode;

#[cfg(target_os = "hermit")]
use hermit as _;

mod crowd;
mod fairness;
mod handing;
mod sleeping;

/// What a part found: a line about what held, or what did not.
type Outcome = Result<String, String>;

/// One part. Its argument is how much of it.
struct Part {
    name: &'static str,
    does: &'static str,
    usual: u64,
    run: fn(u64) -> Outcome,
}

const PARTS: &[Part] = &[
    Part {
        name: "threads",
        does: "so many threads at the same time",
        usual: 1000,
        run: crowd::threads,
    },
    Part {
        name: "spawn",
        does: "so many threads one after the other, by several",
        usual: 2000,
        run: crowd::spawn,
    },
    Part {
        name: "busy",
        does: "so many threads one after the other, beside others that spin",
        usual: 200,
        run: crowd::busy,
    },
    Part {
        name: "mutex",
        does: "so many turns of each thread with one lock",
        usual: 20_000,
        run: handing::mutex,
    },
    Part {
        name: "condvar",
        does: "so many items through a bounded queue",
        usual: 20_000,
        run: handing::condvar,
    },
    Part {
        name: "barrier",
        does: "so many rounds of all threads",
        usual: 500,
        run: handing::barrier,
    },
    Part {
        name: "channel",
        does: "so many messages of each sender",
        usual: 20_000,
        run: handing::channel,
    },
    Part {
        name: "park",
        does: "so many turns of a ring of threads",
        usual: 2000,
        run: handing::park,
    },
    Part {
        name: "spin",
        does: "spinning threads, and one that wants to run so often",
        usual: 20,
        run: fairness::spin,
    },
    Part {
        name: "share",
        does: "so many times more busy threads than CPUs",
        usual: 3,
        run: fairness::share,
    },
    Part {
        name: "sleep",
        does: "so many sleeps of each of several threads",
        usual: 20,
        run: sleeping::sleep,
    },
    Part {
        name: "timeout",
        does: "so many waits that end by the clock or by a wake-up",
        usual: 300,
        run: sleeping::timeout,
    },
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let chosen: Vec<(&Part, u64)> = match args.as_slice() {
        [] => PARTS.iter().map(|part| (part, part.usual)).collect(),
        [name, rest @ ..] if rest.len() <= 1 => {
            let part = PARTS.iter().find(|part| part.name == name);
            let amount = rest.first().map(|text| text.parse()).transpose();
            match (part, amount) {
                (Some(part), Ok(amount)) => vec![(part, amount.unwrap_or(part.usual))],
                _ => return usage(),
            }
        }
        _ => return usage(),
    };
    let mut failed = 0;
    for (part, amount) in chosen {
        match (part.run)(amount) {
            Ok(text) => println!("ok     {}: {text}", part.name),
            Err(text) => {
                println!("FAILED {}: {text}", part.name);
                failed += 1;
            }
        }
    }
    if failed == 0 {
        println!("all held");
        return ExitCode::SUCCESS;
    }
    println!("{failed} parts did not hold");
    ExitCode::FAILURE
}

/// Says how to call the program; the status of a wrong call.
fn usage() -> ExitCode {
    eprintln!("usage: stress [PART [AMOUNT]]");
    for Part {
        name, does, usual, ..
    } in PARTS
    {
        eprintln!("  {name:<8} {does} ({usual})");
    }
    ExitCode::from(2)
}

/// How many threads a part uses: more than there are CPUs, so that they take turns.
fn several() -> usize {
    2 * std::thread::available_parallelism().map_or(1, usize::from) + 1
}
