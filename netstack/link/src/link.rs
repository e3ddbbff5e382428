//! One connection between two nodes, from its first byte to its last.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::envelope::{HEADER_BYTES, Header, Kind};
use crate::greeting;
use crate::identity::{Channel, Identity, Peer};
use crate::inbound::{Inbound, LENGTH_BYTES};
use crate::key::{ClusterKey, Seed};
use crate::noise::{self, HANDSHAKE_BYTES, Handshake, NotAuthentic, TAG_BYTES, Transport};
use crate::output::Output;
use crate::reason::{PLAIN_CLOSE_BYTES, Part, Reason, Refusal};

/// How long the other end has to say who it is, in ns.
pub const HANDSHAKE_TIME: u64 = 10_000_000_000;

/// The fewest bytes that an encrypted frame has.
const SHORTEST_FRAME: usize = HEADER_BYTES + TAG_BYTES;

/// Which end of a connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The one that has connected.
    Calls {
        /// The node that it wants.
        node: u16,
        /// What for.
        channel: Channel,
    },
    /// The one that was connected to.
    Answers,
}

/// One connection: bytes that have come are given to [`Self::receive`] until the other end
/// is known; then the link belongs to a [`Session`](crate::Session).
///
/// Whatever happens, [`Self::output`] has to be sent, also when the link is refused: it tells the other
/// end why. Then the connection is closed.
pub struct Link {
    me: Identity,
    role: Role,
    stage: Stage,
    inbound: Inbound,
    output: Output,
    /// When the other end has to be known, in ns.
    deadline: u64,
}

/// How far a connection is.
enum Stage {
    /// The answer of the handshake is awaited.
    Called(Handshake),
    /// The call is awaited.
    Silent { key: ClusterKey, seed: Seed },
    /// The other end has the key. Who it is, if it has said so.
    Proven {
        transport: Box<Transport>,
        peer: Option<Peer>,
    },
    /// Nothing more is sent or received.
    Over(Refusal),
}

/// What came of an attempt to go on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Done,
    MissesBytes,
}

impl Link {
    /// The link at this node's end of a connection that has just been made.
    /// `now`: monotonic ns.
    #[must_use]
    pub fn new(me: Identity, role: Role, key: &ClusterKey, seed: Seed, now: u64) -> Self {
        let mut output = Output::default();
        let stage = match role {
            Role::Calls { .. } => {
                let (handshake, call) = Handshake::call(key, seed);
                put_frame(&mut output, &call);
                Stage::Called(handshake)
            }
            Role::Answers => Stage::Silent {
                key: key.clone(),
                seed,
            },
        };
        Self {
            me,
            role,
            stage,
            inbound: Inbound::default(),
            output,
            deadline: now.saturating_add(HANDSHAKE_TIME),
        }
    }

    /// Takes bytes that have come off the front of `input`, until the other end is known. Whatever
    /// then is left of them is for the session. To be called also when nothing has come but
    /// the [deadline](Self::deadline).
    ///
    /// # Errors
    ///
    /// One of the ends refuses the other. The same error is returned from then on.
    pub fn receive(&mut self, input: &mut &[u8], now: u64) -> Result<Option<Peer>, Refusal> {
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            return Err(self.refuse(Reason::TooSlow));
        }
        loop {
            let step = match &self.stage {
                Stage::Called(_) | Stage::Silent { .. } => self.shake_hands(input, now)?,
                Stage::Proven { peer: None, .. } => self.meet(input)?,
                Stage::Proven { peer, .. } => return Ok(*peer),
                Stage::Over(refusal) => return Err(*refusal),
            };
            if step == Step::MissesBytes {
                return Ok(None);
            }
        }
    }

    /// When [`Self::receive`] is to be called at the latest (monotonic ns), as long as the other end
    /// is not known.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        match self.stage {
            Stage::Proven { peer: Some(_), .. } | Stage::Over(_) => None,
            _ => Some(self.deadline),
        }
    }

    /// The node at the other end, once it is known.
    #[must_use]
    pub fn peer(&self) -> Option<&Peer> {
        match &self.stage {
            Stage::Proven { peer, .. } => peer.as_ref(),
            _ => None,
        }
    }

    /// Bytes to be sent.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        self.output.bytes()
    }

    /// The first `count` bytes of [`Self::output`] were sent.
    pub fn sent(&mut self, count: usize) {
        self.output.sent(count);
    }

    /// Ends the link for a reason of the caller's, and tells the other end. What
    /// [`Self::receive`] returns from now on.
    pub fn refuse(&mut self, reason: Reason) -> Refusal {
        match &self.stage {
            Stage::Called(_) | Stage::Silent { .. } => {
                put_frame(&mut self.output, &reason.encode_plain());
            }
            Stage::Proven { .. } => self.seal_close(&reason),
            Stage::Over(refusal) => return *refusal,
        }
        self.end(Refusal::Here(reason))
    }

    fn end(&mut self, refusal: Refusal) -> Refusal {
        self.stage = Stage::Over(refusal);
        refusal
    }

    /// Goes on with the handshake.
    fn shake_hands(&mut self, input: &mut &[u8], now: u64) -> Result<Step, Refusal> {
        let is_called = matches!(self.stage, Stage::Called(_));
        let check = |length: u16| match usize::from(length) {
            HANDSHAKE_BYTES => Ok(()),
            PLAIN_CLOSE_BYTES if is_called => Ok(()),
            _ => Err(Reason::NotALink { found: length }),
        };
        let message = match self.inbound.next(input, check) {
            Ok(None) => return Ok(Step::MissesBytes),
            Ok(Some(frame)) => frame.first_chunk().copied().ok_or_else(|| {
                let length = frame.len() as u16;
                Reason::decode_plain(frame).map_or(
                    Refusal::Here(Reason::NotALink { found: length }),
                    Refusal::There,
                )
            }),
            Err(reason) => Err(Refusal::Here(reason)),
        };
        match message {
            Ok(message) => self.finish_handshake(&message, now).map(|()| Step::Done),
            Err(Refusal::Here(reason)) => Err(self.refuse(reason)),
            Err(there) => Err(self.end(there)),
        }
    }

    fn finish_handshake(
        &mut self,
        message: &[u8; HANDSHAKE_BYTES],
        now: u64,
    ) -> Result<(), Refusal> {
        let failed = Stage::Over(Refusal::Here(Reason::WrongKey));
        let transport = match core::mem::replace(&mut self.stage, failed) {
            Stage::Called(handshake) => handshake.finish(message),
            Stage::Silent { key, seed } => {
                noise::answer(&key, seed, message).map(|(transport, answer)| {
                    put_frame(&mut self.output, &answer);
                    transport
                })
            }
            stage => {
                self.stage = stage;
                return Ok(());
            }
        };
        match transport {
            Ok(transport) => {
                let transport = Box::new(transport);
                let peer = None;
                self.stage = Stage::Proven { transport, peer };
                let hello = greeting::hello(&self.me, self.role);
                self.seal_short(Kind::Hello, 0, &hello, now);
                Ok(())
            }
            Err(NotAuthentic) => {
                put_frame(&mut self.output, &Reason::WrongKey.encode_plain());
                Err(self.end(Refusal::Here(Reason::WrongKey)))
            }
        }
    }

    /// Learns who is at the other end.
    fn meet(&mut self, input: &mut &[u8]) -> Result<Step, Refusal> {
        let mut plain = Vec::new();
        let Some((header, length)) = self.next_envelope(input, &mut plain)? else {
            return Ok(Step::MissesBytes);
        };
        let admitted = match header.kind {
            Kind::Hello => {
                let hello = &plain[HEADER_BYTES..length];
                greeting::admit(&self.me, self.role, hello, header.time)
            }
            _ => Err(Reason::Malformed { part: Part::Turn }),
        };
        let admitted = admitted.map_err(|reason| self.refuse(reason))?;
        if let Stage::Proven { peer, .. } = &mut self.stage {
            *peer = Some(admitted);
        }
        Ok(Step::Done)
    }

    /// The next envelope: its header, and how long it is with that in `plain`, which grows to hold it.
    pub(crate) fn next_envelope(
        &mut self,
        input: &mut &[u8],
        plain: &mut Vec<u8>,
    ) -> Result<Option<(Header, usize)>, Refusal> {
        match self.open(input, plain) {
            Ok(Some((header, length))) if header.kind == Kind::Close => {
                let part = Part::Close;
                Err(match Reason::decode(&plain[HEADER_BYTES..length]) {
                    Some(reason) => self.end(Refusal::There(reason)),
                    None => self.refuse(Reason::Malformed { part }),
                })
            }
            Ok(envelope) => Ok(envelope),
            Err(reason) => Err(self.refuse(reason)),
        }
    }

    fn open(
        &mut self,
        input: &mut &[u8],
        plain: &mut Vec<u8>,
    ) -> Result<Option<(Header, usize)>, Reason> {
        let Stage::Proven { transport, .. } = &mut self.stage else {
            return Ok(None);
        };
        let check = |length: u16| match usize::from(length) {
            ..SHORTEST_FRAME => Err(Reason::Length { found: length }),
            _ => Ok(()),
        };
        let Some(frame) = self.inbound.next(input, check)? else {
            return Ok(None);
        };
        if plain.len() < frame.len() {
            plain.resize(frame.len(), 0);
        }
        let after = transport.opened();
        let length = transport
            .open(frame, plain)
            .map_err(|NotAuthentic| Reason::Forged { after })?;
        let header = Header::decode(&plain[..length]);
        let part = Part::Header;
        let header = header.ok_or(Reason::Malformed { part })?;
        Ok(Some((header, length)))
    }

    /// Sends an envelope of which the first [`HEADER_BYTES`] are not written yet.
    pub(crate) fn seal(&mut self, header: Header, envelope: &mut [u8]) {
        let Stage::Proven { transport, .. } = &mut self.stage else {
            return;
        };
        envelope[..HEADER_BYTES].copy_from_slice(&header.encode());
        let length = envelope.len() + TAG_BYTES;
        let frame = self.output.add(LENGTH_BYTES + length);
        let (place, sealed) = frame.split_at_mut(LENGTH_BYTES);
        place.copy_from_slice(&(length as u16).to_le_bytes());
        transport.seal(envelope, sealed);
    }

    /// Sends an envelope that has no number.
    pub(crate) fn seal_short(&mut self, kind: Kind, acknowledged: u64, body: &[u8], time: u64) {
        let mut envelope = alloc::vec![0; HEADER_BYTES];
        envelope.extend_from_slice(body);
        let header = Header {
            kind,
            sequence: 0,
            acknowledged,
            time,
        };
        self.seal(header, &mut envelope);
    }

    fn seal_close(&mut self, reason: &Reason) {
        // When it is said does not matter: nothing happens after it.
        self.seal_short(Kind::Close, 0, &reason.encode(), 0);
    }

    /// The number of this connection, which no other one has; 0 before the handshake is over.
    pub(crate) fn id(&self) -> u64 {
        match &self.stage {
            Stage::Proven { transport, .. } => transport.id(),
            _ => 0,
        }
    }

    pub(crate) fn waiting(&self) -> usize {
        self.output.len()
    }

    /// Why nothing more comes.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        match self.stage {
            Stage::Over(refusal) => Some(refusal),
            _ => None,
        }
    }
}

fn put_frame(output: &mut Output, bytes: &[u8]) {
    let frame = output.add(LENGTH_BYTES + bytes.len());
    let (place, rest) = frame.split_at_mut(LENGTH_BYTES);
    place.copy_from_slice(&(bytes.len() as u16).to_le_bytes());
    rest.copy_from_slice(bytes);
}
