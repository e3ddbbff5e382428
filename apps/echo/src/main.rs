//! Echo over TCP and UDP: the server, the client that checks every byte, and both
//! at once between the nodes of a cluster.
//!
//! ```text
//! cargo xtask run -p 7000:7 echo -- serve
//! echo send 127.0.0.1:7000 --bytes 1000000 --connections 4
//! cargo xtask cluster --nodes 3 echo
//! ```

use std::process::ExitCode;

#[cfg(target_os = "hermit")]
use hermit as _;

mod cluster;
mod content;
mod options;
mod send;
mod serve;

use cluster::Cluster;
use options::Command;
use serve::Server;

fn main() -> ExitCode {
    let command = match Command::parse(lexopt::Parser::from_env(), Cluster::from_env()) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("echo: {error}\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    let done = match command {
        Command::Serve {
            address,
            connections,
        } => serve(&address, connections),
        Command::Send { address, load } => send::all(&address, &load).map(|sent| {
            println!("{sent}");
            sent.errors == 0
        }),
        Command::Cluster(cluster) => cluster.run(),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("echo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until so many connections have ended, or for ever.
fn serve(address: &str, connections: Option<usize>) -> Result<bool, String> {
    let server = Server::start(address)?;
    // Whoever asked for any port has to be told which it is.
    println!("serving {}", server.address());
    server.wait(|totals| connections.is_some_and(|enough| totals.ended() >= enough));
    println!("{}", server.totals());
    Ok(true)
}
