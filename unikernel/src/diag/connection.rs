//! A connection of a client: bytes between its rings and its exchange.

use core::time::Duration;

use darner_diag::{Exchange, Need, Source};
use darner_netstack::socket::Phase;
use darner_netstack::{Request, Stream};
use ringbuf::traits::{Consumer, Observer, Producer};

use crate::net::{self, WaitPoint};

/// A connection; it is closed in order when it is dropped, unless it was broken off.
pub struct Connection {
    stream: Stream<WaitPoint>,
    exchange: Exchange,
    linger: Option<Duration>,
}

/// It goes on later.
pub struct Waits;

impl Connection {
    /// One that has just come. `None`: there is no memory for it, and it is broken off.
    pub fn new(stream: Stream<WaitPoint>, now: u64) -> Option<Self> {
        match Exchange::new(now) {
            Ok(exchange) => Some(Self {
                stream,
                exchange,
                linger: None,
            }),
            Err(_) => {
                net::tell(Request::Close {
                    socket: stream.state.id,
                    linger: Some(Duration::ZERO),
                });
                None
            }
        }
    }

    /// When it is to go on at the latest (monotonic ns).
    pub fn deadline(&self) -> u64 {
        self.exchange.deadline()
    }

    /// Whether it can go on.
    pub fn is_ready(&self) -> bool {
        let state = &self.stream.state;
        match self.exchange.need() {
            Need::Input | Need::Farewell => {
                !self.stream.received.is_empty() || state.is_end_of_input()
            }
            Need::Output => !self.stream.to_send.is_full() || state.phase() != Phase::Connected,
            Need::Close | Need::Abort => true,
        }
    }

    /// Goes on as far as that is possible now. `None`: it is over.
    pub fn go_on(&mut self, source: &impl Source, now: u64) -> Option<Waits> {
        self.exchange.tell_time(now);
        loop {
            let has_moved = match self.exchange.need() {
                Need::Input => self.receive(source),
                Need::Output => self.send(),
                Need::Farewell => {
                    self.end_output();
                    self.receive(source)
                }
                Need::Close => return None,
                Need::Abort => {
                    self.linger = Some(Duration::ZERO);
                    return None;
                }
            };
            if !has_moved {
                return Some(Waits);
            }
        }
    }

    /// Whether anything has come.
    fn receive(&mut self, source: &impl Source) -> bool {
        // Before the ring: what came before the end is in it then.
        let is_end = self.stream.state.is_end_of_input();
        let (bytes, _) = self.stream.received.as_slices();
        let count = bytes.len();
        if count > 0 {
            self.exchange.receive(bytes, source);
            self.stream.received.skip(count);
            if self.stream.state.wants_room(&self.stream.received) {
                net::tell(Request::Attend(self.stream.state.id));
            }
        } else if is_end {
            self.exchange.end_of_input();
        }
        count > 0 || is_end
    }

    /// Whether anything could be sent, or nothing ever will.
    fn send(&mut self) -> bool {
        if self.stream.state.phase() != Phase::Connected {
            self.exchange.lost();
            return true;
        }
        let count = self.stream.to_send.push_slice(self.exchange.output());
        if count > 0 {
            self.exchange.sent(count);
            self.tell();
        }
        count > 0
    }

    fn end_output(&mut self) {
        if !self.stream.state.is_end_of_output() {
            self.stream.state.end_output();
            self.tell();
        }
    }

    /// Has the protocol thread look, unless it is about to.
    fn tell(&self) {
        if self.stream.state.wants_attention() {
            net::tell(Request::Attend(self.stream.state.id));
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        net::tell(Request::Close {
            socket: self.stream.state.id,
            linger: self.linger,
        });
    }
}
