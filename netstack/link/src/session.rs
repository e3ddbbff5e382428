//! What two nodes say to each other on one channel, over any number of links.

use alloc::boxed::Box;

use crate::envelope::{HEADER_BYTES, Header, Kind};
use crate::identity::{Channel, Peer};
use crate::inbox::Inbox;
use crate::link::Link;
use crate::outbox::{Outbox, SendError};
use crate::reason::{Part, Reason, Refusal};
use crate::welcome::Welcome;

/// As many bytes are encrypted before they are asked for: what has to wait can still be joined by
/// later messages in one envelope.
const AHEAD: usize = 64 << 10;
/// After so many bytes, what was received is acknowledged even if there is nothing else to
/// be said.
const ACKNOWLEDGE_AFTER: usize = 64 << 10;

/// What a session may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    kept: usize,
}

impl Limits {
    /// The fewest bytes of [`Self::keep`]: a message of any length fits, and what the other
    /// end has received without saying so.
    pub const LEAST: usize = 2 << 20;

    /// Keeps at most `bytes` that the other end has not acknowledged, to send them again;
    /// at least [`Self::LEAST`].
    #[must_use]
    pub fn keep(bytes: usize) -> Self {
        let kept = bytes.max(Self::LEAST);
        Self { kept }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::keep(8 << 20)
    }
}

/// A message that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// When it was sent, by the sender's clock (monotonic ns).
    pub time: u64,
    /// What was sent.
    pub bytes: &'a [u8],
}

/// What two nodes say to each other on one channel: messages in both directions, in order, each
/// exactly once, as long as both nodes are there.
pub struct Session {
    node: u16,
    incarnation: u64,
    channel: Channel,
    /// Its number, once there is one.
    id: u64,
    link: Option<Attached>,
    outbox: Outbox,
    inbox: Inbox,
    /// The number of the last envelope received.
    received: u64,
    /// Bytes received that the other end was not told of.
    untold: usize,
}

/// The link that a session has.
struct Attached {
    link: Box<Link>,
    state: State,
}

impl Attached {
    fn is_open(&self) -> bool {
        self.state == State::Open && self.link.refusal().is_none()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It is not known yet what the other end has received.
    Unwelcome,
    Open,
}

impl Session {
    /// A session with the node at the other end of a link. Nothing has been said. A node that has
    /// dropped a session makes no other one with the same incarnation: what the other end says
    /// again could be what was received before.
    #[must_use]
    pub fn new(peer: &Peer, limits: Limits) -> Self {
        Self {
            node: peer.node,
            incarnation: peer.incarnation,
            channel: peer.channel,
            id: 0,
            link: None,
            outbox: Outbox::new(limits.kept),
            inbox: Inbox::default(),
            received: 0,
            untold: 0,
        }
    }

    /// Whether that is the node that the session is with: the same one, not another machine with
    /// its number, nor the same one after a new start.
    #[must_use]
    pub fn is_with(&self, peer: &Peer) -> bool {
        let ours = (self.node, self.incarnation, self.channel);
        ours == (peer.node, peer.incarnation, peer.channel)
    }

    /// Goes on over a new link, instead of the one there was. `now`: monotonic ns.
    ///
    /// # Errors
    ///
    /// The node at its other end is not the one that this session [is with](Self::is_with), or is
    /// not known yet. The link is given back.
    pub fn attach(&mut self, mut link: Box<Link>, now: u64) -> Result<(), Box<Link>> {
        if !link.peer().is_some_and(|peer| self.is_with(peer)) {
            return Err(link);
        }
        let welcome = self.welcome();
        link.seal_short(Kind::Welcome, 0, &welcome.encode(), now);
        self.untold = 0;
        let state = State::Unwelcome;
        self.link = Some(Attached { link, state });
        Ok(())
    }

    /// Forgets the link, of which nothing more will come. What came before can still be
    /// [taken](Self::next).
    pub fn detach(&mut self) {
        self.link = None;
    }

    /// Whether there is a link by which messages go at once.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let attached = self.link.as_ref();
        attached.is_some_and(Attached::is_open)
    }

    /// Takes a message, which is all of `pieces`, one after the other. It is sent by the next
    /// [`Self::flush`], or later when there is a link.
    ///
    /// # Errors
    ///
    /// Nothing was taken; see [`SendError`].
    pub fn send<'a>(
        &mut self,
        pieces: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> Result<(), SendError> {
        self.outbox.push(pieces)
    }

    /// Whether a message of `bytes` would be taken now.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        self.outbox.has_room(bytes)
    }

    /// How many bytes the other end has not acknowledged.
    #[must_use]
    pub fn unacknowledged(&self) -> usize {
        self.outbox.bytes()
    }

    /// Encrypts what there is to be sent, as far as [`Self::output`] is not long already. To
    /// be called after [`Self::send`], [`Self::next`] and [`Self::sent`]; once for
    /// many messages puts them into few envelopes. `now`: monotonic ns.
    pub fn flush(&mut self, now: u64) {
        let attached = self.link.as_mut().filter(|attached| attached.is_open());
        let Some(Attached { link, .. }) = attached else {
            return;
        };
        while link.waiting() < AHEAD
            && let Some((sequence, envelope)) = self.outbox.take_next()
        {
            let header = Header {
                kind: Kind::Data,
                sequence,
                acknowledged: self.received,
                time: now,
            };
            link.seal(header, envelope);
            self.untold = 0;
        }
        if self.untold >= ACKNOWLEDGE_AFTER {
            link.seal_short(Kind::Ack, self.received, &[], now);
            self.untold = 0;
        }
    }

    /// Bytes to be sent by the link.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        self.link
            .as_ref()
            .map_or(&[], |attached| attached.link.output())
    }

    /// The first `count` bytes of [`Self::output`] were sent.
    pub fn sent(&mut self, count: usize) {
        if let Some(Attached { link, .. }) = &mut self.link {
            link.sent(count);
        }
    }

    /// Ends the link for a reason of the caller's, and tells the other end.
    pub fn refuse(&mut self, reason: Reason) {
        if let Some(Attached { link, .. }) = &mut self.link {
            link.refuse(reason);
        }
    }

    /// The next message. What was used of `input`, the bytes that the link has brought, is taken
    /// off its front; if there is no message, that is all of it.
    ///
    /// # Errors
    ///
    /// One of the ends refuses to go on with this link. What is left of [`Self::output`] is to be sent
    /// before the connection is closed, and the session [detached](Self::detach).
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Message<'_>>, Refusal> {
        let place = loop {
            let found = self.inbox.next();
            if let Some(place) = found.map_err(|reason| self.fail(reason))? {
                break place;
            }
            if !self.next_envelope(input)? {
                return Ok(None);
            }
        };
        Ok(Some(Message {
            time: self.inbox.time(),
            bytes: self.inbox.bytes(place),
        }))
    }

    /// Takes the next envelope. Whether there was one.
    fn next_envelope(&mut self, input: &mut &[u8]) -> Result<bool, Refusal> {
        let Some(Attached { link, .. }) = &mut self.link else {
            return Ok(false);
        };
        if let Some(refusal) = link.refusal() {
            return Err(refusal);
        }
        let Some((header, length)) = link.next_envelope(input, &mut self.inbox.plain)? else {
            return Ok(false);
        };
        let result = self.envelope(header, length);
        result.map_err(|reason| self.fail(reason))?;
        Ok(true)
    }

    /// An envelope has come, of `length` bytes.
    fn envelope(&mut self, header: Header, length: usize) -> Result<(), Reason> {
        let state = self.link.as_ref().map(|attached| attached.state);
        match (state, header.kind) {
            (Some(State::Unwelcome), Kind::Welcome) => self.welcomed(length),
            (Some(State::Open), Kind::Data) => self.data(header, length),
            (Some(State::Open), Kind::Ack) => self.outbox.acknowledge(header.acknowledged),
            _ => Err(Reason::Malformed { part: Part::Turn }),
        }
    }

    fn data(&mut self, header: Header, length: usize) -> Result<(), Reason> {
        let (found, expected) = (header.sequence, self.received + 1);
        if found != expected {
            return Err(Reason::Sequence { found, expected });
        }
        self.outbox.acknowledge(header.acknowledged)?;
        self.inbox.filled(length, header.time)?;
        self.received = found;
        self.untold += length;
        Ok(())
    }

    /// What this end knows of the session.
    fn welcome(&self) -> Welcome {
        Welcome {
            session: self.id,
            received: self.received,
            acknowledged: self.outbox.acknowledged(),
        }
    }

    /// The other end has said what it knows of the session.
    ///
    /// A node that has been welcomed does not know whether the other one has, until it hears of what
    /// only a welcomed one sends. As long as neither has heard anything, each link is a new
    /// beginning; after that, both have to know the same session.
    fn welcomed(&mut self, length: usize) -> Result<(), Reason> {
        let theirs = Welcome::decode(&self.inbox.plain[HEADER_BYTES..length]);
        let part = Part::Welcome;
        let theirs = theirs.ok_or(Reason::Malformed { part })?;
        let ours = self.welcome();
        let is_same = ours.session != 0 && ours.session == theirs.session;
        if !is_same && (ours.is_confirmed() || theirs.is_confirmed())
            || theirs.acknowledged > ours.received
        {
            return Err(Reason::SessionLost);
        }
        self.outbox.resume(theirs.received)?;
        if let Some(Attached { link, state }) = &mut self.link {
            *state = State::Open;
            if !is_same {
                self.id = link.id();
            }
        }
        Ok(())
    }

    /// Ends the link, and tells the other end.
    fn fail(&mut self, reason: Reason) -> Refusal {
        match &mut self.link {
            Some(Attached { link, .. }) => link.refuse(reason),
            None => Refusal::Here(reason),
        }
    }
}

/// For tests of what comes after decryption.
#[cfg(test)]
impl Session {
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn last_received(&self) -> u64 {
        self.received
    }

    /// An envelope was decrypted; takes all messages out of it, and forgets one that goes wrong.
    pub(crate) fn heard(&mut self, envelope: &[u8], header: Header) -> Result<(), Reason> {
        self.inbox.plain.clear();
        self.inbox.plain.extend_from_slice(envelope);
        self.envelope(header, envelope.len())?;
        loop {
            match self.inbox.next() {
                Ok(Some(place)) => assert!(self.inbox.bytes(place).len() <= crate::LONGEST_MESSAGE),
                Ok(None) => return Ok(()),
                Err(reason) => {
                    self.inbox = Inbox::default();
                    return Err(reason);
                }
            }
        }
    }
}
