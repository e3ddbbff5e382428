//! What every encrypted message begins with.

use crate::fields::Fields;

/// Bytes of a header.
pub const HEADER_BYTES: usize = 25;

/// What an envelope is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Says who the sender is.
    Hello = 1,
    /// Says what the sender knows of the session.
    Welcome = 2,
    /// Carries messages.
    Data = 3,
    /// Says only what was received.
    Ack = 4,
    /// Says why the sender refuses the other end. Nothing follows.
    Close = 5,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        let kinds = [
            Self::Hello,
            Self::Welcome,
            Self::Data,
            Self::Ack,
            Self::Close,
        ];
        kinds.into_iter().find(|&kind| kind as u8 == byte)
    }
}

/// The beginning of an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it is for.
    pub kind: Kind,
    /// The number of a [`Kind::Data`] envelope in its session, from 1; 0 for the others.
    pub sequence: u64,
    /// The number of the last one received from the other end.
    pub acknowledged: u64,
    /// When it was sealed, by the sender's clock (monotonic ns).
    pub time: u64,
}

impl Header {
    /// As bytes.
    pub fn encode(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0] = self.kind as u8;
        bytes[1..9].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[9..17].copy_from_slice(&self.acknowledged.to_le_bytes());
        bytes[17..].copy_from_slice(&self.time.to_le_bytes());
        bytes
    }

    /// From bytes, and what follows.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let kind = Kind::of(fields.u8()?)?;
        let header = Self {
            kind,
            sequence: fields.u64()?,
            acknowledged: fields.u64()?,
            time: fields.u64()?,
        };
        let is_numbered = header.sequence != 0;
        (is_numbered == (kind == Kind::Data)).then_some(header)
    }
}
