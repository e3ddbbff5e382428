//! What two nodes have for one channel: a session, and the connection that it goes by.

use alloc::boxed::Box;
use alloc::vec::Vec;

use darner_link::{Channel, Limits, Link, Peer, Reason, Refusal, SendError, Session};
use darner_netstack::Stack;

use super::Progress;
use super::message::{self, Came};
use super::wire::Wire;
use crate::net::WaitPoint;
use crate::time::{catch_up, monotonic_ns};

/// How soon a connection that did not come to be is tried again, in ns; twice as late each time, up to
/// [`LATEST`].
const SOONEST: u64 = 20_000_000;
const LATEST: u64 = 1_000_000_000;

/// Bytes that may wait for a node to be met: less than any session keeps, by more than a message.
const MOST_EARLY: usize = Limits::LEAST / 2;

/// See the module.
pub struct Line {
    pub channel: Channel,
    pub session: Option<Session>,
    /// What was said before the node was met.
    early: Vec<Vec<u8>>,
    pub wire: Option<Wire>,
    /// When to connect (monotonic ns).
    pub call_at: u64,
    pause: u64,
}

/// A message was not taken.
#[derive(Debug, PartialEq, Eq)]
pub struct Overrun;

impl Line {
    /// One without a connection.
    pub fn new(channel: Channel) -> Self {
        Self {
            channel,
            session: None,
            early: Vec::new(),
            wire: None,
            call_at: 0,
            pause: SOONEST,
        }
    }

    /// An attempt to connect begins: when the next one may, if it fails.
    pub fn calls(&mut self, now: u64) {
        self.call_at = now + self.pause;
        self.pause = (2 * self.pause).min(LATEST);
    }

    /// Goes on over a link to a node that was met. Returns the connection that there was before.
    ///
    /// # Errors
    /// The node is not the one that the session is with.
    pub fn attach(
        &mut self,
        peer: &Peer,
        link: Box<Link>,
        wire: Wire,
        limits: Limits,
    ) -> Result<Option<Wire>, (Box<Link>, Wire)> {
        let session = self.session.get_or_insert_with(|| {
            let mut session = Session::new(peer, limits);
            for message in self.early.drain(..) {
                if session.send([&message[..]].into_iter()).is_err() {
                    unreachable!("a session keeps more than waits for it");
                }
            }
            session
        });
        match session.attach(link, monotonic_ns()) {
            Ok(()) => {
                self.pause = SOONEST;
                Ok(self.wire.replace(wire))
            }
            Err(link) => Err((link, wire)),
        }
    }

    /// Parts from the connection, if there is one: what was said and may not have arrived is said
    /// again by the next one.
    pub fn part(&mut self) -> Option<Wire> {
        let mut wire = self.wire.take()?;
        if let Some(session) = &mut self.session {
            // A refusal, if there is one.
            wire.write(session.output());
            session.detach();
        }
        Some(wire)
    }

    /// Ends the session. Returns the connection, if there is one.
    pub fn end(&mut self) -> Option<Wire> {
        let wire = self.part();
        self.session = None;
        self.early = Vec::new();
        wire
    }

    /// Whether a message of `bytes` would be taken.
    pub fn has_room(&self, bytes: usize) -> bool {
        let session = self.session.as_ref();
        session.is_some_and(|session| session.has_room(bytes))
    }

    /// Sends a message. To a node that was not met yet it goes when that is.
    pub fn send<'a>(
        &mut self,
        pieces: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> Result<(), Overrun> {
        let Some(session) = &mut self.session else {
            let waiting: usize = self.early.iter().map(Vec::len).sum();
            if waiting > MOST_EARLY {
                return Err(Overrun);
            }
            self.early.push(pieces.flatten().copied().collect());
            return Ok(());
        };
        session.send(pieces).map_err(|error| {
            if let SendError::TooLong { bytes } = error {
                unreachable!("a message of {bytes} bytes: packets are bounded");
            }
            Overrun
        })
    }

    /// The next message that has come. A packet is put into `packet`.
    pub fn next(&mut self, packet: &mut Vec<u8>, now: u64) -> Result<Option<Came>, Refusal> {
        let Some(session) = &mut self.session else {
            return Ok(None);
        };
        let mut take = |input: &mut &[u8]| {
            let Some(message) = session.next(input)? else {
                return Ok(None);
            };
            catch_up(message.time);
            Ok(Some(message::decode(message.bytes, packet)))
        };
        match &mut self.wire {
            Some(wire) => wire.read(now, take),
            // What has come can still be taken.
            None => take(&mut &[][..]),
        }
    }

    /// Hands over to the stack what there is to be sent.
    pub fn flush(&mut self, stack: &mut Stack<WaitPoint>, now: u64) -> Progress {
        let Some(wire) = &mut self.wire else {
            return Progress::Nothing;
        };
        if let Some(session) = &mut self.session {
            write(session, wire);
        }
        wire.show(stack, now)
    }

    /// Says that this node has ended, after all that it has said.
    pub fn leave(&mut self) {
        if let Some(session) = &mut self.session {
            session.flush(monotonic_ns());
            session.refuse(Reason::Leaving);
        }
    }
}

/// Moves what a session has to say to the connection, as far as there is room.
fn write(session: &mut Session, wire: &mut Wire) {
    loop {
        // What was said so far was said before now, whatever came meanwhile.
        session.flush(monotonic_ns());
        let count = wire.write(session.output());
        if count == 0 {
            return;
        }
        session.sent(count);
    }
}
