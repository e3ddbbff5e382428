//! What becomes of memory, as `darner::stats` tells it.
//!
//! ```text
//! cargo xtask run heap-tour --smp 4 --mem 512
//! cargo xtask run heap-tour --mem 24 -- shortage
//! cargo xtask run heap-tour --mem 24 --stats -- exhaustion
//! ```
//!
//! Each part prints one line. The exit code is 1 if something did not hold. On Linux there is
//! nothing to hold about a heap that nobody knows: what then is not looked at, it says.

use std::process::ExitCode;

#[cfg(target_os = "hermit")]
use hermit as _;

mod blocks;
mod call;
mod giving_back;
mod handing_over;
mod numbers;
mod shortage;

/// What a part found: a line about what held, or what did not.
type Outcome = Result<String, String>;

/// One part.
struct Part {
    name: &'static str,
    does: &'static str,
    /// Whether it is one of those that run when none is named.
    usual: bool,
    run: fn() -> Outcome,
}

const PARTS: &[Part] = &[
    Part {
        name: "call",
        does: "asks for more and fewer numbers than there are, and wrongly",
        usual: true,
        run: call::run,
    },
    Part {
        name: "giving-back",
        does: "several threads free nine tenths of a large heap",
        usual: true,
        run: giving_back::large_heap,
    },
    Part {
        name: "quiet",
        does: "memory is freed, and then nothing happens",
        usual: true,
        run: giving_back::quiet,
    },
    Part {
        name: "left-alone",
        does: "a thread frees what a CPU has allocated that idles for good",
        usual: true,
        run: giving_back::left_alone,
    },
    Part {
        name: "handing-over",
        does: "threads free what others have allocated",
        usual: true,
        run: handing_over::run,
    },
    Part {
        name: "shortage",
        does: "all memory is taken, is given back and is there again",
        usual: false,
        run: shortage::recover,
    },
    Part {
        name: "exhaustion",
        does: "allocates until there is no more memory, and one block more",
        usual: false,
        run: shortage::exhaust,
    },
    Part {
        name: "too-much",
        does: "allocates one block that is larger than all memory",
        usual: false,
        run: shortage::too_much,
    },
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let chosen: Vec<&Part> = match args.as_slice() {
        [] => PARTS.iter().filter(|part| part.usual).collect(),
        [name] => PARTS.iter().filter(|part| part.name == name).collect(),
        _ => Vec::new(),
    };
    if chosen.is_empty() {
        eprintln!("usage: heap-tour [PART]");
        for Part { name, does, .. } in PARTS {
            eprintln!("  {name:<12} {does}");
        }
        return ExitCode::from(2);
    }
    let mut failed = 0;
    for part in chosen {
        match (part.run)() {
            Ok(text) => println!("ok     {}: {text}", part.name),
            Err(text) => {
                println!("FAILED {}: {text}", part.name);
                failed += 1;
            }
        }
    }
    if failed > 0 {
        print!("{}", darner::stats());
        return ExitCode::FAILURE;
    }
    println!("all held");
    ExitCode::SUCCESS
}
