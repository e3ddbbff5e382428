//! A web server for the files of a folder: HTTP/1.1, GET and HEAD.
//!
//! ```text
//! cargo xtask run -p 8080:80 httpd
//! cargo xtask run -p 8080:80 --dir site:/site httpd -- --dir /site
//! ```
//!
//! Without a folder it serves one page, which says what it runs on. A line for each
//! request goes to standard output, in the common log format.

use std::process::ExitCode;

#[cfg(target_os = "hermit")]
use hermit as _;

mod builtin;
mod connection;
mod content_type;
mod files;
mod head;
mod html;
mod listing;
mod log;
mod options;
mod range;
mod response;
mod server;
mod status;
mod target;

use options::Options;
use server::Server;

fn main() -> ExitCode {
    let options = match Options::parse(lexopt::Parser::from_env()) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("httpd: {error}\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    match Server::start(options) {
        Ok(server) => {
            eprintln!("httpd: listening at {}", server.address());
            server.wait();
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("httpd: {error}");
            ExitCode::FAILURE
        }
    }
}
