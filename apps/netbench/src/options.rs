//! The command line.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use lexopt::prelude::*;

use crate::protocol::{Limit, PORT};

/// What the command line may say.
pub const USAGE: &str = "\
usage: netbench serve [ADDRESS:PORT] [--sessions N] [--busy]
       netbench tcp-throughput HOST[:PORT] [--seconds S | --bytes N] [--direction send|receive]
                               [--connections N] [--block BYTES] [--verify]
       netbench tcp-rtt HOST[:PORT] [--count N] [--bytes B]
       netbench udp-rtt HOST[:PORT] [--count N] [--bytes B]
       netbench udp-pps HOST[:PORT] [--seconds S] [--direction send|receive] [--bytes B]
       netbench http-rps HOST:PORT/PATH [--connections N] [--seconds S]
A HOST of `local` is served by the program itself. --json prints one line.
--busy: a machine of one CPU tells how long it had something to do.";

/// The command line, understood.
#[derive(Debug, PartialEq)]
pub struct Options {
    /// What to do.
    pub command: Command,
    /// Whether the report is to be a line of JSON.
    pub json: bool,
}

/// What to do.
#[derive(Debug, PartialEq)]
pub enum Command {
    /// Be the server.
    Serve {
        /// Where to listen.
        address: SocketAddr,
        /// After how many measurements to end, if at all.
        sessions: Option<usize>,
        /// Whether to count how long the CPU has something to do.
        count_busy: bool,
    },
    /// Measure against a server.
    Measure {
        /// The server, perhaps with a port; or `local`.
        host: String,
        /// What to measure.
        what: Measurement,
    },
    /// Load a web server.
    Http(HttpLoad),
}

/// What is measured.
#[derive(Clone, Debug, PartialEq)]
pub enum Measurement {
    /// Bytes a second of streams.
    TcpThroughput(Throughput),
    /// The time until a message is back.
    Rtt {
        /// How it travels.
        transport: Transport,
        /// How often.
        count: usize,
        /// Bytes of the message.
        bytes: usize,
    },
    /// Datagrams a second.
    UdpPps {
        /// For how long.
        time: Duration,
        /// Which way; both if that is not said, one after the other.
        direction: Option<Direction>,
        /// Bytes of a datagram.
        bytes: usize,
    },
}

/// How to move bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Throughput {
    /// How much, over all connections.
    pub limit: Limit,
    /// Which way.
    pub direction: Direction,
    /// Over how many connections at the same time.
    pub connections: usize,
    /// Bytes that are given to the system at a time.
    pub block: usize,
    /// What the bytes are.
    pub content: Content,
}

/// Who sends, as seen from who measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Who measures.
    Send,
    /// The server.
    Receive,
}

/// What bytes are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Always the same; nobody looks at them.
    Same,
    /// Of a random sequence, which is checked where they arrive.
    Verified,
}

/// How a message travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// As part of a stream.
    Tcp,
    /// As a datagram.
    Udp,
}

/// How to load a web server.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpLoad {
    /// Its name and port.
    pub host: String,
    /// What to ask for.
    pub path: String,
    /// Connections at the same time.
    pub connections: usize,
    /// For how long.
    pub time: Duration,
}

/// What the words after the command say, before it is known whether they belong to it.
#[derive(Default)]
struct Words {
    place: Option<String>,
    seconds: Option<Duration>,
    bytes: Option<u64>,
    direction: Option<Direction>,
    connections: Option<usize>,
    block: Option<usize>,
    count: Option<usize>,
    sessions: Option<usize>,
    verify: bool,
    busy: bool,
    json: bool,
}

impl Options {
    /// Reads the command line.
    pub fn parse(mut parser: lexopt::Parser) -> Result<Self, String> {
        let command = match parser.next().map_err(said)? {
            Some(Value(word)) => word.to_string_lossy().into_owned(),
            Some(other) => return Err(said(other.unexpected())),
            None => return Err("expected what to do".into()),
        };
        let allowed: &[&str] = match command.as_str() {
            "serve" => &["sessions", "busy"],
            "tcp-throughput" => &[
                "seconds",
                "bytes",
                "direction",
                "connections",
                "block",
                "verify",
                "json",
            ],
            "tcp-rtt" | "udp-rtt" => &["count", "bytes", "json"],
            "udp-pps" => &["seconds", "direction", "bytes", "json"],
            "http-rps" => &["connections", "seconds", "json"],
            other => return Err(format!("found `{other}`, expected what to do")),
        };
        let words = Words::read(parser, allowed)?;
        Ok(Self {
            json: words.json,
            command: words.command(&command)?,
        })
    }
}

impl Words {
    fn read(mut parser: lexopt::Parser, allowed: &[&str]) -> Result<Self, String> {
        let mut words = Self::default();
        while let Some(argument) = parser.next().map_err(said)? {
            let name = match argument {
                Long(name) if allowed.contains(&name) => name.to_owned(),
                Value(word) if words.place.is_none() => {
                    words.place = Some(word.string().map_err(said)?);
                    continue;
                }
                other => return Err(said(other.unexpected())),
            };
            let parser = &mut parser;
            match name.as_str() {
                "seconds" => words.seconds = Some(seconds(parser)?),
                "bytes" => words.bytes = Some(number(parser, &name)?),
                "direction" => words.direction = Some(direction(parser)?),
                "connections" => words.connections = Some(number(parser, &name)?),
                "block" => words.block = Some(number(parser, &name)?),
                "count" => words.count = Some(number(parser, &name)?),
                "sessions" => words.sessions = Some(number(parser, &name)?),
                "verify" => words.verify = true,
                "busy" => words.busy = true,
                _ => words.json = true,
            }
        }
        Ok(words)
    }

    fn command(self, command: &str) -> Result<Command, String> {
        if command == "serve" {
            let usual = (Ipv4Addr::UNSPECIFIED, PORT).into();
            let address = match &self.place {
                Some(word) => {
                    (word.parse()).map_err(|_| format!("expected ADDRESS:PORT, found `{word}`"))?
                }
                None => usual,
            };
            return Ok(Command::Serve {
                address,
                sessions: self.sessions,
                count_busy: self.busy,
            });
        }
        let place = self.place.clone();
        let place = place.ok_or_else(|| format!("{command}: expected a host"))?;
        let what = match command {
            "http-rps" => return self.http(&place),
            "tcp-throughput" => Measurement::TcpThroughput(self.throughput()?),
            "tcp-rtt" => self.rtt(Transport::Tcp)?,
            "udp-rtt" => self.rtt(Transport::Udp)?,
            _ => Measurement::UdpPps {
                time: self.time(),
                direction: self.direction,
                bytes: self.message_bytes(Transport::Udp, 64)?,
            },
        };
        Ok(Command::Measure { host: place, what })
    }

    fn time(&self) -> Duration {
        self.seconds.unwrap_or(Duration::from_secs(5))
    }

    fn throughput(&self) -> Result<Throughput, String> {
        let limit = match (self.bytes, self.seconds) {
            (Some(_), Some(_)) => return Err("expected --seconds or --bytes, found both".into()),
            (Some(bytes), None) => Limit::Bytes(bytes),
            (None, _) => Limit::Time(self.time()),
        };
        let block = self.block.unwrap_or(64 << 10);
        if block > 1 << 20 {
            return Err(format!("--block: expected at most 1 MiB, found {block}"));
        }
        Ok(Throughput {
            limit,
            direction: self.direction.unwrap_or(Direction::Send),
            connections: self.connections.unwrap_or(1),
            block,
            content: match self.verify {
                true => Content::Verified,
                false => Content::Same,
            },
        })
    }

    fn rtt(&self, transport: Transport) -> Result<Measurement, String> {
        Ok(Measurement::Rtt {
            transport,
            count: self.count.unwrap_or(1000),
            bytes: self.message_bytes(transport, 1)?,
        })
    }

    fn message_bytes(&self, transport: Transport, usual: u64) -> Result<usize, String> {
        let most = match transport {
            Transport::Tcp => 1 << 20,
            // What IPv4 leaves of its packets.
            Transport::Udp => 65_507,
        };
        match self.bytes.unwrap_or(usual) {
            bytes if bytes <= most => Ok(bytes as usize),
            bytes => Err(format!("--bytes: expected at most {most}, found {bytes}")),
        }
    }

    fn http(&self, place: &str) -> Result<Command, String> {
        let place = place.strip_prefix("http://").unwrap_or(place);
        let (host, path) = place.split_at(place.find('/').unwrap_or(place.len()));
        let path = match path {
            "" => "/",
            path => path,
        };
        let has_port = host
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        Ok(Command::Http(HttpLoad {
            host: match has_port {
                true => host.to_owned(),
                false => format!("{host}:80"),
            },
            path: path.to_owned(),
            connections: self.connections.unwrap_or(1),
            time: self.time(),
        }))
    }
}

fn said(error: lexopt::Error) -> String {
    error.to_string()
}

fn text(parser: &mut lexopt::Parser) -> Result<String, String> {
    let word = parser.value().and_then(|word| word.string());
    word.map_err(said)
}

/// The value of an option that counts something.
fn number<T>(parser: &mut lexopt::Parser, option: &str) -> Result<T, String>
where
    T: std::str::FromStr + Default + PartialEq,
{
    let word = text(parser)?;
    match word.parse() {
        Ok(number) if number != T::default() => Ok(number),
        _ => Err(format!(
            "--{option}: expected a number above 0, found `{word}`"
        )),
    }
}

fn seconds(parser: &mut lexopt::Parser) -> Result<Duration, String> {
    let word = text(parser)?;
    let wrong = || format!("--seconds: expected a time of up to a day, found `{word}`");
    let seconds: f64 = word.parse().map_err(|_| wrong())?;
    match seconds > 0.0 && seconds <= 86_400.0 {
        true => Ok(Duration::from_secs_f64(seconds)),
        false => Err(wrong()),
    }
}

fn direction(parser: &mut lexopt::Parser) -> Result<Direction, String> {
    match text(parser)?.as_str() {
        "send" => Ok(Direction::Send),
        "receive" => Ok(Direction::Receive),
        other => Err(format!(
            "--direction: expected send or receive, found `{other}`"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<Options, String> {
        Options::parse(lexopt::Parser::from_args(words.split_whitespace()))
    }

    #[test]
    fn commands_are_understood() {
        let serve = parse("serve [::1]:1 --sessions 3 --busy").unwrap().command;
        let address = "[::1]:1".parse().unwrap();
        let expected = Command::Serve {
            address,
            sessions: Some(3),
            count_busy: true,
        };
        assert_eq!(serve, expected);
        let words = "tcp-throughput h:1 --bytes 9 --direction receive --connections 2 \
                     --block 1400 --verify --json";
        let options = parse(words).unwrap();
        let throughput = Throughput {
            limit: Limit::Bytes(9),
            direction: Direction::Receive,
            connections: 2,
            block: 1400,
            content: Content::Verified,
        };
        assert!(options.json);
        let what = Measurement::TcpThroughput(throughput);
        let host = "h:1".into();
        assert_eq!(options.command, Command::Measure { host, what });
    }

    #[test]
    fn urls_are_understood() {
        for (word, host, path) in [
            ("h:81/a/b?c", "h:81", "/a/b?c"),
            ("http://h/a", "h:80", "/a"),
            ("[::1]:81", "[::1]:81", "/"),
            ("[::1]", "[::1]:80", "/"),
        ] {
            let Command::Http(load) = parse(&format!("http-rps {word}")).unwrap().command else {
                panic!("it is a load");
            };
            assert_eq!((&*load.host, &*load.path), (host, path));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (words, part) in [
            ("", "what to do"),
            ("measure h", "measure"),
            ("tcp-rtt", "a host"),
            ("tcp-rtt a b", "b"),
            ("tcp-rtt a --verify", "--verify"),
            ("tcp-rtt a --count 0", "above 0"),
            ("tcp-throughput a --bytes 1 --seconds 1", "both"),
            ("udp-pps a --bytes 70000", "65507"),
            ("udp-pps a --seconds nan", "up to a day"),
            ("udp-pps a --direction up", "send or receive"),
            ("serve here", "ADDRESS:PORT"),
        ] {
            let error = parse(words).unwrap_err();
            assert!(error.contains(part), "{words}: {error}");
        }
    }
}
