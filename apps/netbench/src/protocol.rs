//! What the ends of a measurement tell each other: lines of words.
//!
//! Who measures opens the *control connection* and asks for something; the server
//! answers with a token (TCP) or a port (UDP). Each data connection begins with the
//! token. When all is over, the server tells on the control connection what it has
//! received or sent.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::str::FromStr;
use std::time::Duration;

use crate::options::Content;

/// The port of a server, if nothing else is said.
pub const PORT: u16 = 5770;
/// The datagram that tells where others shall be sent.
pub const HERE: &[u8] = b"netbench: here";
/// Bytes that a line may have.
const MOST_BYTES: usize = 200;

/// When to stop sending.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// After so many bytes.
    Bytes(u64),
    /// After so long.
    Time(Duration),
}

/// What the server shall do.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Receive streams to their ends.
    TcpReceive {
        /// How many.
        streams: usize,
        /// What they carry.
        content: Content,
    },
    /// Send streams.
    TcpSend {
        /// How many.
        streams: usize,
        /// What they carry.
        content: Content,
        /// How much each of them carries.
        limit: Limit,
        /// Bytes that are given to the system at a time.
        block: usize,
    },
    /// Send back what comes on a stream, to its end.
    TcpEcho,
    /// Receive datagrams, until told that there are no more.
    UdpReceive,
    /// Send datagrams to where the first one comes from.
    UdpSend {
        /// Bytes of a datagram.
        bytes: usize,
        /// For how long.
        time: Duration,
    },
    /// Send back datagrams, until told that there are no more.
    UdpEcho,
}

/// What one end has sent or received.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moved {
    /// Bytes.
    pub bytes: u64,
    /// Of streams: bytes that are not what was sent. Of datagrams: those that came behind a
    /// later one.
    pub wrong: u64,
    /// Datagrams.
    pub packets: u64,
    /// From the first byte to the last.
    pub time: Duration,
    /// How long the CPU had something to do meanwhile, if that was counted.
    pub busy: Duration,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "bytes {bytes}"),
            Self::Time(time) => write!(f, "nanoseconds {}", time.as_nanos()),
        }
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Same => "same",
            Self::Verified => "verified",
        })
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TcpReceive { streams, content } => write!(f, "tcp-receive {streams} {content}"),
            Self::TcpSend {
                streams,
                content,
                limit,
                block,
            } => write!(f, "tcp-send {streams} {content} {limit} {block}"),
            Self::TcpEcho => f.write_str("tcp-echo"),
            Self::UdpReceive => f.write_str("udp-receive"),
            Self::UdpSend { bytes, time } => write!(f, "udp-send {bytes} {}", time.as_nanos()),
            Self::UdpEcho => f.write_str("udp-echo"),
        }
    }
}

impl FromStr for Request {
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        let words: Vec<&str> = line.split(' ').collect();
        Ok(match words[..] {
            ["tcp-receive", streams, content] => Self::TcpReceive {
                streams: within(streams, 1 << 20)?,
                content: content_of(content)?,
            },
            ["tcp-send", streams, content, unit, limit, block] => Self::TcpSend {
                streams: within(streams, 1 << 20)?,
                content: content_of(content)?,
                limit: match unit {
                    "bytes" => Limit::Bytes(limit.parse().map_err(drop)?),
                    "nanoseconds" => Limit::Time(nanoseconds(limit)?),
                    _ => return Err(()),
                },
                block: within(block, 1 << 20)?,
            },
            ["tcp-echo"] => Self::TcpEcho,
            ["udp-receive"] => Self::UdpReceive,
            ["udp-send", bytes, time] => Self::UdpSend {
                bytes: within(bytes, 65_507)?,
                time: nanoseconds(time)?,
            },
            ["udp-echo"] => Self::UdpEcho,
            _ => return Err(()),
        })
    }
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            bytes,
            wrong,
            packets,
            time,
            busy,
        } = self;
        let (time, busy) = (time.as_nanos(), busy.as_nanos());
        write!(f, "moved {bytes} {wrong} {packets} {time} {busy}")
    }
}

impl FromStr for Moved {
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        let words: Vec<&str> = line.split(' ').collect();
        let ["moved", bytes, wrong, packets, time, busy] = words[..] else {
            return Err(());
        };
        Ok(Self {
            bytes: bytes.parse().map_err(drop)?,
            wrong: wrong.parse().map_err(drop)?,
            packets: packets.parse().map_err(drop)?,
            time: nanoseconds(time)?,
            busy: nanoseconds(busy)?,
        })
    }
}

impl Moved {
    /// Both together, at the same time.
    pub fn beside(self, other: Self) -> Self {
        Self {
            bytes: self.bytes + other.bytes,
            wrong: self.wrong + other.wrong,
            packets: self.packets + other.packets,
            time: self.time.max(other.time),
            busy: self.busy.max(other.busy),
        }
    }
}

fn content_of(word: &str) -> Result<Content, ()> {
    match word {
        "same" => Ok(Content::Same),
        "verified" => Ok(Content::Verified),
        _ => Err(()),
    }
}

fn within(word: &str, most: usize) -> Result<usize, ()> {
    match word.parse() {
        Ok(number) if (1..=most).contains(&number) => Ok(number),
        _ => Err(()),
    }
}

fn nanoseconds(word: &str) -> Result<Duration, ()> {
    word.parse().map(Duration::from_nanos).map_err(drop)
}

/// Sends a line.
pub fn tell(mut stream: &TcpStream, words: impl fmt::Display) -> io::Result<()> {
    stream.write_all(format!("{words}\n").as_bytes())
}

/// Reads a line, and nothing behind it.
pub fn hear(mut stream: &TcpStream) -> io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        stream.read_exact(&mut byte).map_err(late)?;
        match byte[0] {
            b'\n' => {
                let text = String::from_utf8(line);
                return text.map_err(|_| misunderstood("a line", "bytes that are no text"));
            }
            _ if line.len() == MOST_BYTES => {
                return Err(misunderstood("a short line", "a long one"));
            }
            byte => line.push(byte),
        }
    }
}

/// The error that says how long nothing came, in place of the one that says only that.
fn late(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => io::Error::new(
            ErrorKind::TimedOut,
            "the other end says nothing on the control connection",
        ),
        _ => error,
    }
}

/// Reads a line that has to be of this form.
pub fn hear_as<T: FromStr>(stream: &TcpStream, expected: &str) -> io::Result<T> {
    let line = hear(stream)?;
    line.parse()
        .map_err(|_| misunderstood(expected, &format!("`{}`", line.escape_debug())))
}

/// The error for an end that says something else than it should.
pub fn misunderstood(expected: &str, found: &str) -> io::Error {
    let text = format!("found {found}, expected {expected}: is the other end netbench?");
    io::Error::new(ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood() {
        let (streams, content) = (3, Content::Verified);
        let time = Duration::from_millis(1500);
        let send = |limit| Request::TcpSend {
            streams,
            content,
            limit,
            block: 1400,
        };
        for request in [
            Request::TcpReceive { streams, content },
            send(Limit::Bytes(1 << 40)),
            send(Limit::Time(time)),
            Request::TcpEcho,
            Request::UdpReceive,
            Request::UdpSend { bytes: 64, time },
            Request::UdpEcho,
        ] {
            assert_eq!(request.to_string().parse(), Ok(request));
        }
        let moved = Moved {
            bytes: 1,
            wrong: 2,
            packets: 3,
            time,
            busy: time / 2,
        };
        assert_eq!(moved.to_string().parse(), Ok(moved));
    }

    #[test]
    fn what_is_nonsense_is_refused() {
        for line in [
            "",
            "tcp-receive",
            "tcp-receive 0 same",
            "tcp-receive 99999999 same",
            "tcp-send 1 same parsecs 3 1",
            "udp-send 70000 1",
            "tcp-echo now",
        ] {
            assert_eq!(line.parse::<Request>(), Err(()), "{line}");
        }
    }
}
