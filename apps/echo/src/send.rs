//! The client: sends, and checks what comes back.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use crate::content::{Content, wrong};

/// How long nothing may come back from a server.
const PATIENCE: Duration = Duration::from_secs(30);
/// After how long a datagram is sent again.
const RESEND_AFTER: Duration = Duration::from_millis(500);
/// How often a datagram is sent before its server is given up.
const TRIES: usize = 20;
/// Bytes in front of a datagram's content: its number.
const NUMBER: usize = size_of::<u64>();

/// How bytes travel.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Protocol {
    /// As a stream.
    #[default]
    Tcp,
    /// Each message for itself; one that is lost is sent again.
    Udp,
}

impl Protocol {
    /// Bytes of a message if nothing else is said.
    pub fn usual_bytes(self) -> usize {
        match self {
            Self::Tcp => 64 << 10,
            Self::Udp => 1000,
        }
    }

    /// Bytes of the largest message.
    pub fn most_bytes(self) -> usize {
        match self {
            Self::Tcp => 1 << 30,
            // What IPv4 leaves, without the number.
            Self::Udp => 65_507 - NUMBER,
        }
    }
}

/// What is sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// How.
    pub protocol: Protocol,
    /// Bytes of a message.
    pub bytes: usize,
    /// Messages of a connection.
    pub count: usize,
    /// Connections at the same time.
    pub connections: usize,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            protocol: Protocol::Tcp,
            bytes: Protocol::Tcp.usual_bytes(),
            count: 1,
            connections: 1,
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// Bytes that went out and came back, right or wrong.
    pub bytes: u64,
    /// Wrong bytes.
    pub errors: usize,
    /// Datagrams that had to be sent again.
    pub again: usize,
    /// A checksum of what was sent.
    pub sum: u64,
    /// How long it took.
    pub time: Duration,
}

impl Sent {
    fn add(&mut self, other: &Self) {
        self.bytes += other.bytes;
        self.errors += other.errors;
        self.again += other.again;
        self.sum ^= other.sum;
    }
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.time.as_secs_f64();
        write!(f, "{} bytes, {seconds:.3} s, ", self.bytes)?;
        write!(f, "{} errors, {} sent again, ", self.errors, self.again)?;
        write!(f, "checksum {:016x}", self.sum)
    }
}

/// Sends a load to a server, all connections at the same time.
pub fn all(address: &str, load: &Load) -> Result<Sent, String> {
    let begin = Instant::now();
    let mut total = Sent::default();
    let outcomes: Vec<Result<Sent, String>> = thread::scope(|scope| {
        let running: Vec<_> = (0..load.connections)
            .map(|number| scope.spawn(move || one(address, load, number as u64)))
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().expect("sending does not panic"))
            .collect()
    });
    for outcome in outcomes {
        total.add(&outcome?);
    }
    total.time = begin.elapsed();
    Ok(total)
}

/// One connection or conversation; `seed` chooses its content.
fn one(address: &str, load: &Load, seed: u64) -> Result<Sent, String> {
    let cannot = |error| format!("{address}: {error}");
    match load.protocol {
        Protocol::Tcp => {
            let stream = TcpStream::connect(address).map_err(cannot)?;
            stream_of(&stream, load, seed).and_then(|sent| finish(&stream).map(|()| sent))
        }
        Protocol::Udp => datagrams(address, load, seed),
    }
    .map_err(cannot)
}

/// Sends the messages of one connection, and reads them back at the same time: a
/// message may be larger than all buffers on the way.
pub fn stream_of(stream: &TcpStream, load: &Load, seed: u64) -> io::Result<Sent> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let begin = Instant::now();
    let mut content = Content::new(seed);
    let mut sent = Sent::default();
    for _ in 0..load.count {
        let message = content.next(load.bytes);
        let back = thread::scope(|scope| {
            let writer = scope.spawn(|| (&*stream).write_all(&message));
            let mut back = vec![0; message.len()];
            let read = (&*stream).read_exact(&mut back);
            let written = writer.join().expect("writing does not panic");
            written.and(read).map(|()| back)
        })?;
        sent.errors += wrong(&message, &back);
        sent.bytes += message.len() as u64;
    }
    sent.sum = content.sum();
    sent.time = begin.elapsed();
    Ok(sent)
}

/// Says that no more will come, and waits for the server to say the same.
fn finish(stream: &TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    match (&*stream).read(&mut [0])? {
        0 => Ok(()),
        _ => Err(io::Error::new(
            ErrorKind::InvalidData,
            "found bytes behind the last message, expected the end",
        )),
    }
}

/// One conversation of datagrams, each of which has to come back before the next.
pub fn datagrams(address: impl ToSocketAddrs, load: &Load, seed: u64) -> io::Result<Sent> {
    let to = (address.to_socket_addrs()?.next())
        .ok_or_else(|| io::Error::new(ErrorKind::NotFound, "the name has no address"))?;
    let any = match to.is_ipv4() {
        true => "0.0.0.0:0",
        false => "[::]:0",
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(RESEND_AFTER))?;
    let begin = Instant::now();
    let mut content = Content::new(seed);
    let mut sent = Sent::default();
    for number in 0..load.count as u64 {
        let mut message = number.to_le_bytes().to_vec();
        message.extend(content.next(load.bytes));
        let (back, again) = exchange(&socket, &message)?;
        sent.errors += wrong(&message, &back);
        sent.again += again;
        sent.bytes += load.bytes as u64;
    }
    sent.again += exchange(&socket, &[])?.1;
    sent.sum = content.sum();
    sent.time = begin.elapsed();
    Ok(sent)
}

/// Sends a datagram until its echo comes; gives that, and how often it was sent again.
fn exchange(socket: &UdpSocket, message: &[u8]) -> io::Result<(Vec<u8>, usize)> {
    let mut back = vec![0; NUMBER + Protocol::Udp.most_bytes()];
    for again in 0..TRIES {
        let deadline = Instant::now() + RESEND_AFTER;
        // Nobody may listen there yet: then this, or the next, is refused.
        let answer = socket
            .send(message)
            .and_then(|_| echo_of(socket, message, &mut back, deadline));
        match answer {
            Ok(bytes) => {
                back.truncate(bytes);
                return Ok((back, again));
            }
            Err(error) if is_late(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(
        ErrorKind::TimedOut,
        format!("no echo of a datagram that was sent {TRIES} times"),
    ))
}

/// Receives the echo of this message. The late echo of an earlier one, which was sent
/// again, is skipped.
fn echo_of(
    socket: &UdpSocket,
    message: &[u8],
    back: &mut [u8],
    deadline: Instant,
) -> io::Result<usize> {
    loop {
        let bytes = socket.recv(back)?;
        let is_echo = match (message.get(..NUMBER), back[..bytes].get(..NUMBER)) {
            (Some(sent), Some(came)) => sent == came,
            (None, None) => true,
            _ => false,
        };
        if is_echo {
            return Ok(bytes);
        }
        if deadline <= Instant::now() {
            return Err(ErrorKind::TimedOut.into());
        }
    }
}

/// Whether an error only says that nothing came in time.
fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;
    use crate::serve::Server;

    fn load(protocol: Protocol, bytes: usize, count: usize, connections: usize) -> Load {
        Load {
            protocol,
            bytes,
            count,
            connections,
        }
    }

    #[test]
    fn every_byte_comes_back() {
        let server = Server::start("127.0.0.1:0").unwrap();
        let address = server.address().to_string();
        let tcp = all(&address, &load(Protocol::Tcp, 1 << 20, 3, 4)).unwrap();
        assert_eq!((tcp.bytes, tcp.errors), (12 << 20, 0));
        let udp = all(&address, &load(Protocol::Udp, 1200, 50, 3)).unwrap();
        assert_eq!((udp.bytes, udp.errors), (150 * 1200, 0));
        server.wait(|totals| totals.ended() == 7);
        let totals = server.totals();
        assert_eq!(
            (totals.connections, totals.conversations, totals.failed),
            (4, 3, 0)
        );
    }

    #[test]
    fn both_protocols_carry_the_largest_datagram_and_one_byte() {
        let server = Server::start("[::1]:0").unwrap();
        let address = server.address().to_string();
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            for bytes in [1, Protocol::Udp.most_bytes()] {
                let sent = all(&address, &load(protocol, bytes, 2, 1)).unwrap();
                assert_eq!((sent.bytes, sent.errors), (2 * bytes as u64, 0));
            }
        }
    }

    #[test]
    fn a_server_that_changes_bytes_is_found_out() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut message = vec![0; 5000];
            stream.read_exact(&mut message).unwrap();
            message[17] ^= 1;
            message[4999] ^= 128;
            stream.write_all(&message).unwrap();
        });
        let sent = all(&address, &load(Protocol::Tcp, 5000, 1, 1)).unwrap();
        assert_eq!(sent.errors, 2);
        server.join().unwrap();
    }

    #[test]
    fn a_lost_datagram_is_sent_again() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap().to_string();
        let server = thread::spawn(move || {
            let mut message = [0; 100];
            // Twice nothing, then the echo twice, then those of the next and of the last.
            for echoes in [0, 0, 2, 1, 1] {
                let (bytes, from) = socket.recv_from(&mut message).unwrap();
                for _ in 0..echoes {
                    socket.send_to(&message[..bytes], from).unwrap();
                }
            }
        });
        let sent = all(&address, &load(Protocol::Udp, 50, 2, 1)).unwrap();
        assert_eq!((sent.errors, sent.again, sent.bytes), (0, 2, 100));
        server.join().unwrap();
    }

    #[test]
    fn nobody_there_is_an_error() {
        let unused = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = unused.local_addr().unwrap().to_string();
        drop(unused);
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let error = all(&address, &load(protocol, 10, 1, 1)).unwrap_err();
            assert!(error.contains("refused"), "{error}");
        }
        assert!(all("nowhere", &Load::default()).is_err());
    }
}
