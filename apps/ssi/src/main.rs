//! What it costs that several machines are one system. `cargo xtask bench ssi` reads what it prints:
//! a name and a number on each line.
//!
//! ```text
//! cargo xtask cluster --nodes 8 ssi -- boot            # says how many machines there are, and ends
//! cargo xtask cluster --nodes 2 ssi -- fault 2000      # how long a page takes that another node has
//! cargo xtask cluster --nodes 2 ssi -- echo 2000       # and as many bytes, asked for by the same link
//! cargo xtask cluster --separate --nodes 2 ssi -- rpc 2000    # and asked for by TCP, not encrypted
//! cargo xtask cluster --nodes 2 ssi -- private         # what memory of one's own costs
//! cargo xtask cluster --nodes 2 ssi -- cached 8192     # what another node's memory costs the kernel
//! cargo xtask cluster --nodes 2 --stats ssi -- contend 200    # nodes that fight for the same pages
//! cargo xtask cluster --nodes 2 --top ssi -- hot 60 0     # nodes that write one variable for a minute
//! ```

use std::process::ExitCode;

#[cfg(target_os = "hermit")]
use hermit as _;

mod cached;
mod contend;
mod echo;
mod fault;
mod hot;
mod private;
mod rpc;

const USAGE: &str = "ssi boot | fault COUNT | echo COUNT | rpc COUNT | private | cached PAGES | contend TURNS | hot SECONDS STATUS";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ssi: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<(), String> {
    let count = |text: &str| match text.parse() {
        Ok(count @ 1..) => Ok(count),
        _ => Err(format!("found `{text}`, expected a number from 1 on")),
    };
    match *words {
        ["boot"] => {
            println!("nodes {}", darner::nodes().len());
            Ok(())
        }
        ["fault", number] => fault::measure(count(number)?),
        ["echo", number] => echo::measure(count(number)?),
        ["rpc", number] => rpc::measure(count(number)?),
        ["private"] => private::measure(),
        ["cached", number] => cached::measure(count(number)?),
        ["contend", number] => contend::measure(count(number)?),
        ["hot", seconds, status] => {
            let wrong = |error| format!("found status `{status}`, expected 0 to 255: {error}");
            let status: u8 = status.parse().map_err(wrong)?;
            hot::run(count(seconds)? as u64, status.into())
        }
        _ => Err(format!("found `{}`, expected {USAGE}", words.join(" "))),
    }
}

/// Prints the median, and how long the fastest tenth took at most, in ns.
fn tell(name: &str, mut times: Vec<u64>) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    for (part, percent) in [("median", 50), ("tenth", 10), ("ninetieth", 90)] {
        println!("{name}_{part}_ns {}", at(percent));
    }
}

/// The second node, which a single machine has not.
fn other() -> Result<darner::Node, String> {
    darner::nodes()
        .nth(1)
        .ok_or_else(|| "found one node, expected two: cargo xtask cluster --nodes 2".into())
}
