//! The command line.

use lexopt::prelude::*;

use crate::cluster::Cluster;
use crate::send::{Load, Protocol};

/// What the command line may say.
pub const USAGE: &str = "\
usage: echo serve [ADDRESS:PORT] [--connections N]
       echo send HOST:PORT [--udp] [--bytes N] [--count N] [--connections N]
       echo                (in a cluster: every node with every other)";

/// Where a server listens, if nothing else is said.
pub const ADDRESS: &str = "0.0.0.0:7";

/// The command line, understood.
#[derive(Debug, PartialEq)]
pub enum Command {
    /// Be the server.
    Serve {
        /// Where to listen.
        address: String,
        /// After how many connections to end, if at all.
        connections: Option<usize>,
    },
    /// Be the client.
    Send {
        /// Whom to send to.
        address: String,
        /// What.
        load: Load,
    },
    /// Be both, for all nodes.
    Cluster(Cluster),
}

impl Command {
    /// Reads the command line. Without one, a node of a `cluster` does its part.
    pub fn parse(
        mut parser: lexopt::Parser,
        cluster: Result<Option<Cluster>, String>,
    ) -> Result<Self, String> {
        let command = parser.next().map_err(said)?;
        match command {
            None => match cluster? {
                Some(cluster) => Ok(Self::Cluster(cluster)),
                None => Err("expected `serve` or `send`".into()),
            },
            Some(Value(word)) if word == "serve" => Self::parse_serve(parser),
            Some(Value(word)) if word == "send" => Self::parse_send(parser),
            Some(other) => Err(said(other.unexpected())),
        }
    }

    fn parse_serve(mut parser: lexopt::Parser) -> Result<Self, String> {
        let (mut address, mut connections) = (None, None);
        while let Some(argument) = parser.next().map_err(said)? {
            match argument {
                Long("connections") => connections = Some(number(&mut parser, "--connections")?),
                Value(word) if address.is_none() => address = Some(text(word)?),
                other => return Err(said(other.unexpected())),
            }
        }
        let address = address.unwrap_or_else(|| ADDRESS.into());
        Ok(Self::Serve {
            address,
            connections,
        })
    }

    fn parse_send(mut parser: lexopt::Parser) -> Result<Self, String> {
        let (mut address, mut load) = (None, Load::default());
        let mut bytes = None;
        while let Some(argument) = parser.next().map_err(said)? {
            match argument {
                Long("udp") => load.protocol = Protocol::Udp,
                Long("bytes") => bytes = Some(number(&mut parser, "--bytes")?),
                Long("count") => load.count = number(&mut parser, "--count")?,
                Long("connections") => load.connections = number(&mut parser, "--connections")?,
                Value(word) if address.is_none() => address = Some(text(word)?),
                other => return Err(said(other.unexpected())),
            }
        }
        load.bytes = bytes.unwrap_or(load.protocol.usual_bytes());
        if load.bytes > load.protocol.most_bytes() {
            return Err(format!(
                "--bytes: expected at most {} a datagram, found {}",
                load.protocol.most_bytes(),
                load.bytes
            ));
        }
        let address = address.ok_or("send: expected HOST:PORT")?;
        Ok(Self::Send { address, load })
    }
}

fn said(error: lexopt::Error) -> String {
    error.to_string()
}

fn text(word: std::ffi::OsString) -> Result<String, String> {
    word.string().map_err(said)
}

/// The value of an option that counts something.
fn number(parser: &mut lexopt::Parser, option: &str) -> Result<usize, String> {
    let word = text(parser.value().map_err(said)?)?;
    match word.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!(
            "{option}: expected a number above 0, found `{word}`"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<Command, String> {
        let parser = lexopt::Parser::from_args(words.split_whitespace());
        Command::parse(parser, Ok(None))
    }

    #[test]
    fn both_roles_are_understood() {
        let serve = Command::Serve {
            address: "[::1]:9".into(),
            connections: Some(3),
        };
        assert_eq!(parse("serve [::1]:9 --connections 3"), Ok(serve));
        let Ok(Command::Send { address, load }) =
            parse("send h:7 --udp --bytes 9 --count 8 --connections 5")
        else {
            panic!("it is a client's command line");
        };
        assert_eq!(address, "h:7");
        assert_eq!((load.bytes, load.count, load.connections), (9, 8, 5));
        assert_eq!(load.protocol, Protocol::Udp);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (words, part) in [
            ("", "expected `serve`"),
            ("send", "HOST:PORT"),
            ("send a:1 b:2", "b:2"),
            ("send a:1 --bytes 0", "above 0"),
            ("send a:1 --udp --bytes 70000", "at most"),
            ("serve --udp", "--udp"),
            ("listen", "listen"),
        ] {
            let error = parse(words).unwrap_err();
            assert!(error.contains(part), "{words}: {error}");
        }
    }

    #[test]
    fn a_node_needs_no_arguments() {
        let cluster = Cluster::parse("0", "192.0.2.1,192.0.2.2").unwrap();
        let parser = lexopt::Parser::from_args([""; 0]);
        let command = Command::parse(parser, Ok(Some(cluster.clone())));
        assert_eq!(command, Ok(Command::Cluster(cluster)));
    }
}
