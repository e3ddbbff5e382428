//! One TCP connection, as the protocol thread uses it: it is both the program's side and the stack's.

use core::net::IpAddr;
use core::time::Duration;

use darner_netstack::request::StreamOptions;
use darner_netstack::socket::Phase;
use darner_netstack::{Request, Stack, Stream};
use ringbuf::traits::{Consumer, Observer, Producer};

use super::Progress;
use crate::net::WaitPoint;

/// Bytes that a connection keeps in each direction.
const BUFFER: usize = 256 << 10;

/// How connections are made: what is said is said at once.
pub fn options() -> StreamOptions {
    StreamOptions {
        nodelay: true,
        receive_buffer: Some(BUFFER),
        send_buffer: Some(BUFFER),
        ..StreamOptions::default()
    }
}

/// A TCP connection.
pub struct Wire {
    stream: Stream<WaitPoint>,
    /// Something was put in or taken out that the stack does not know of.
    has_changed: bool,
    /// When something last came (monotonic ns).
    heard: u64,
    is_to_nobody: bool,
}

impl Wire {
    /// A connection that was accepted, or begun.
    pub fn new(stream: Stream<WaitPoint>, now: u64) -> Self {
        Self {
            stream,
            has_changed: false,
            heard: now,
            is_to_nobody: false,
        }
    }

    /// Where the other end is.
    pub fn remote(&self) -> IpAddr {
        self.stream.state.remote.ip()
    }

    /// When something last came (monotonic ns).
    pub fn heard(&self) -> u64 {
        self.heard
    }

    /// Counts silence from `now` on.
    pub fn forgive_silence(&mut self, now: u64) {
        self.heard = now;
    }

    /// Gives what has come to `take`, which takes what it uses off the front, until that finds
    /// something or uses nothing. It is asked at least once.
    pub fn read<T, E>(
        &mut self,
        now: u64,
        mut take: impl FnMut(&mut &[u8]) -> Result<Option<T>, E>,
    ) -> Result<Option<T>, E> {
        loop {
            let (bytes, _) = self.stream.received.as_slices();
            let mut rest = bytes;
            let found = take(&mut rest);
            let count = bytes.len() - rest.len();
            if count > 0 {
                self.stream.received.skip(count);
                self.has_changed |= self.stream.state.wants_room(&self.stream.received);
                self.heard = self.heard.max(now);
            }
            match found {
                Ok(None) if count > 0 => {}
                found => return found,
            }
        }
    }

    /// Forgets what has come.
    pub fn discard(&mut self, now: u64) {
        let all = |input: &mut &[u8]| -> Result<Option<()>, ()> {
            *input = &[];
            Ok(None)
        };
        // Finds nothing, and fails never.
        let _ = self.read(now, all);
    }

    /// Takes bytes to be sent: as many as there is room for. How many.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        let count = self.stream.to_send.push_slice(bytes);
        self.has_changed |= count > 0;
        count
    }

    /// Has the stack look at what has changed, if anything has.
    pub fn show(&mut self, stack: &mut Stack<WaitPoint>, now: u64) -> Progress {
        if !core::mem::take(&mut self.has_changed) {
            return Progress::Nothing;
        }
        let _ = stack.request(Request::Attend(self.stream.state.id), now);
        Progress::Something
    }

    /// Whether nothing more comes by it.
    pub fn is_over(&self) -> bool {
        let state = &self.stream.state;
        let is_over = state.phase() == Phase::Over || state.is_end_of_input();
        is_over && self.stream.received.is_empty()
    }

    /// Nobody is at the other end any more.
    pub fn abandoned(mut self) -> Self {
        self.is_to_nobody = true;
        self
    }

    /// Ends the connection. What was written is still sent, if somebody is there.
    pub fn close(mut self, stack: &mut Stack<WaitPoint>, now: u64) {
        // What is left unread would have it broken off, and what was written lost.
        self.stream.received.clear();
        let close = Request::Close {
            socket: self.stream.state.id,
            linger: self.is_to_nobody.then_some(Duration::ZERO),
        };
        let _ = stack.request(close, now);
    }
}
