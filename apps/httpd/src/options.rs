//! The command line.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::*;

/// What the command line may say.
pub const USAGE: &str = "\
usage: httpd [--dir FOLDER] [--address IP] [--port PORT] [--connections N]
             [--timeout SECONDS] [--requests N] [--quiet]";

/// The command line, understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The folder that is served, if not the built-in page.
    pub dir: Option<PathBuf>,
    /// Where to listen.
    pub address: IpAddr,
    /// See `address`; 0 is any that is free.
    pub port: u16,
    /// How many connections may be open at a time. More have to wait.
    pub connections: usize,
    /// How long a client may take to send a request, or to take a part of the answer, and how
    /// long an idle connection is kept.
    pub timeout: Duration,
    /// After how many requests to end, if at all.
    pub requests: Option<usize>,
    /// What is said about requests.
    pub log: Log,
}

/// What is said about requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Log {
    /// A line for each.
    Requests,
    /// Nothing.
    Nothing,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            dir: None,
            address: Ipv4Addr::UNSPECIFIED.into(),
            port: 80,
            connections: 256,
            timeout: Duration::from_secs(15),
            requests: None,
            log: Log::Requests,
        }
    }
}

impl Options {
    /// Reads the command line.
    pub fn parse(mut parser: lexopt::Parser) -> Result<Self, String> {
        let mut options = Self::default();
        while let Some(argument) = parser.next().map_err(said)? {
            match argument {
                Long("dir") => options.dir = Some(parser.value().map_err(said)?.into()),
                Long("address") => options.address = value(&mut parser, "an IP address")?,
                Long("port") => options.port = value(&mut parser, "a port")?,
                Long("connections") => options.connections = positive(&mut parser)?,
                Long("timeout") => {
                    options.timeout = Duration::from_secs(positive(&mut parser)? as u64);
                }
                Long("requests") => options.requests = Some(positive(&mut parser)?),
                Long("quiet") => options.log = Log::Nothing,
                other => return Err(said(other.unexpected())),
            }
        }
        Ok(options)
    }
}

fn said(error: lexopt::Error) -> String {
    error.to_string()
}

fn value<T: std::str::FromStr>(parser: &mut lexopt::Parser, expected: &str) -> Result<T, String> {
    let word = parser.value().and_then(|word| word.string());
    let word = word.map_err(said)?;
    let wrong = || format!("expected {expected}, found `{word}`");
    word.parse().map_err(|_| wrong())
}

fn positive(parser: &mut lexopt::Parser) -> Result<usize, String> {
    match value(parser, "a number")? {
        0 => Err("expected a number above 0, found `0`".into()),
        number => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<Options, String> {
        Options::parse(lexopt::Parser::from_args(words.split_whitespace()))
    }

    #[test]
    fn understands_all_options() {
        let words = "--dir /www --address ::1 --port 8080 --connections 3 --timeout 4 \
                     --requests 5 --quiet";
        let options = Options {
            dir: Some("/www".into()),
            address: "::1".parse().unwrap(),
            port: 8080,
            connections: 3,
            timeout: Duration::from_secs(4),
            requests: Some(5),
            log: Log::Nothing,
        };
        assert_eq!(parse(words), Ok(options));
        assert_eq!(parse(""), Ok(Options::default()));
    }

    #[test]
    fn says_what_is_wrong() {
        for (words, part) in [
            ("--port http", "a port, found `http`"),
            ("--port 70000", "70000"),
            ("--connections 0", "above 0"),
            ("--dir", "--dir"),
            ("index.html", "index.html"),
        ] {
            let error = parse(words).unwrap_err();
            assert!(error.contains(part), "{words}: {error}");
        }
    }
}
