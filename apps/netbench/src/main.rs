//! Measures a network: throughput and latency of TCP and UDP, and requests of HTTP.
//!
//! ```text
//! cargo xtask run -p 5770:5770 netbench -- serve
//! netbench tcp-throughput 127.0.0.1 --bytes 1000000000 --verify
//! netbench tcp-rtt local --count 10000
//! ```
//!
//! One end serves, the other one measures; with the host `local` both are this program. A
//! measurement has a connection of its own by which the ends agree on what to do, and the
//! server tells what has arrived.

use std::process::ExitCode;

#[cfg(target_os = "hermit")]
use hermit as _;

mod client;
mod content;
mod http;
mod idler;
mod latency;
mod options;
mod protocol;
mod report;
mod server;
mod tcp;
mod udp;

use idler::Idler;
use options::{Command, Options};
use report::Report;
use server::Server;

fn main() -> ExitCode {
    let options = match Options::parse(lexopt::Parser::from_env()) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("netbench: {error}\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(report)) => {
            match options.json {
                true => println!("{}", report.json()),
                false => print!("{report}"),
            }
            match report.is_right() {
                true => ExitCode::SUCCESS,
                false => ExitCode::FAILURE,
            }
        }
        Err(error) => {
            eprintln!("netbench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<Option<Report>, String> {
    match &options.command {
        Command::Serve {
            address,
            sessions,
            count_busy,
        } => {
            let server = Server::start(*address, count_busy.then(Idler::start))?;
            println!("serving {}", server.address());
            server.wait(*sessions);
            Ok(None)
        }
        Command::Measure { host, what } => client::measure(host, what).map(Some),
        Command::Http(load) => http::measure(load).map(Some),
    }
}
