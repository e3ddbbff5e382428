//! What a node says it knows of a session, at the beginning of each link.

use crate::fields::Fields;

/// Bytes of a welcome.
pub const WELCOME_BYTES: usize = 24;

/// What one end knows of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Welcome {
    /// Its number. 0: there is none yet.
    pub session: u64,
    /// The number of the last envelope received.
    pub received: u64,
    /// The number of the last envelope that the other end is known to have received.
    pub acknowledged: u64,
}

impl Welcome {
    /// Whether the end knows that the other one knows of the session.
    pub fn is_confirmed(&self) -> bool {
        self.received > 0 || self.acknowledged > 0
    }

    /// As bytes.
    pub fn encode(&self) -> [u8; WELCOME_BYTES] {
        let mut bytes = [0; WELCOME_BYTES];
        bytes[..8].copy_from_slice(&self.session.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.received.to_le_bytes());
        bytes[16..].copy_from_slice(&self.acknowledged.to_le_bytes());
        bytes
    }

    /// From bytes. `None`: they are none.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let welcome = Self {
            session: fields.u64()?,
            received: fields.u64()?,
            acknowledged: fields.u64()?,
        };
        fields.end(welcome)
    }
}
