//! A program that sends and receives streams of bytes that it can tell apart.

use std::rc::Rc;

use super::World;
use super::program::{Conn, Read, Written};

/// Bytes until the stream repeats itself: a prime, so that no buffer's size divides it.
const PERIOD: usize = 65_521;

/// Some stream of bytes.
#[derive(Clone)]
pub struct Pattern(Rc<[u8]>);

impl Pattern {
    pub fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        Self((0..PERIOD).map(|_| rng.u8(..)).collect())
    }

    /// The bytes from `offset` on, some of them.
    fn at(&self, offset: u64) -> &[u8] {
        &self.0[(offset % PERIOD as u64) as usize..]
    }

    /// Whether `bytes` are those from `offset` on.
    fn matches(&self, offset: u64, mut bytes: &[u8]) -> bool {
        let mut offset = offset;
        while !bytes.is_empty() {
            let expected = self.at(offset);
            let count = expected.len().min(bytes.len());
            if expected[..count] != bytes[..count] {
                return false;
            }
            bytes = &bytes[count..];
            offset += count as u64;
        }
        true
    }
}

/// One end of a transfer: sends so many bytes, then ends its output; receives so many, then the
/// end of the input.
pub struct Pump {
    pub conn: Conn,
    pub sent: u64,
    pub received: u64,
    send: (Pattern, u64),
    receive: (Pattern, u64),
    finished: bool,
    ended: bool,
    buffer: Vec<u8>,
}

impl Pump {
    /// `send` and `receive`: what, and how many bytes.
    pub fn new(conn: Conn, send: (Pattern, u64), receive: (Pattern, u64)) -> Self {
        Self {
            conn,
            sent: 0,
            received: 0,
            send,
            receive,
            finished: false,
            ended: false,
            buffer: vec![0; 64 << 10],
        }
    }

    /// With a buffer of so many bytes for what is received.
    pub fn with_buffer(mut self, bytes: usize) -> Self {
        self.buffer = vec![0; bytes];
        self
    }

    /// Does what can be done. Whether all is.
    pub fn run(&mut self, world: &mut World) -> bool {
        while self.write(world) {}
        while self.read(world) {}
        self.finished && self.ended
    }

    /// Whether something was written.
    pub fn write(&mut self, world: &mut World) -> bool {
        if self.finished {
            return false;
        }
        let left = self.send.1 - self.sent;
        if left == 0 {
            self.conn.finish(world);
            self.finished = true;
            return false;
        }
        let bytes = self.send.0.at(self.sent);
        let count = bytes.len().min(usize::try_from(left).unwrap());
        match self.conn.write(world, &bytes[..count]) {
            Written::Bytes(count) => {
                self.sent += count as u64;
                true
            }
            Written::Blocked => false,
            Written::Over(error) => panic!("over after {} bytes sent: {error:?}", self.sent),
        }
    }

    /// Whether something was read.
    pub fn read(&mut self, world: &mut World) -> bool {
        if self.ended {
            return false;
        }
        match self.conn.read(world, &mut self.buffer) {
            Read::Bytes(count) => {
                let bytes = &self.buffer[..count];
                assert!(
                    self.receive.0.matches(self.received, bytes),
                    "other bytes than were sent, from {} to {} bytes",
                    self.received,
                    self.received + count as u64
                );
                self.received += count as u64;
                assert!(self.received <= self.receive.1, "more bytes than were sent");
                true
            }
            Read::End(None) => {
                assert_eq!(self.received, self.receive.1, "bytes until the end");
                self.ended = true;
                false
            }
            Read::End(error) => panic!("over after {} bytes received: {error:?}", self.received),
            Read::Blocked => false,
        }
    }
}
