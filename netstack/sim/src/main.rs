//! `cargo xtask sim`: plays episodes, tells of the first in which something is wrong, and measures.

#![forbid(unsafe_code)]

mod cli;

use cli::options::Options;
use std::process::ExitCode;

fn main() -> ExitCode {
    let options = match Options::parse(lexopt::Parser::from_env()) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("sim: {error}\n{}", cli::options::HELP);
            return ExitCode::from(2);
        }
    };
    match cli::run(&options) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("sim: {error}");
            ExitCode::FAILURE
        }
    }
}
