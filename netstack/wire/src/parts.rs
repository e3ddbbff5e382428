//! Packets made of parts that follow each other: for messages that are not of one length.

use crate::VERSION;
use crate::frame::LENGTH_BYTES;
use crate::refusal::Refusal;
use alloc::vec::Vec;
use darner_coherence::Epoch;
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A packet, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole(Vec<u8>);

impl Whole {
    /// The packet alone.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0[LENGTH_BYTES..]
    }

    /// The length of the frame, and the packet: what a link sends.
    #[must_use]
    pub fn framed(&self) -> &[u8] {
        &self.0
    }
}

/// A part that is at any place, and for which any bytes are some value.
pub(crate) trait Part: FromBytes + IntoBytes + Immutable + KnownLayout + Unaligned {}

impl<T: FromBytes + IntoBytes + Immutable + KnownLayout + Unaligned> Part for T {}

/// How packets begin behind version, flags and kind that are about range locks and waiting places.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Head {
    count: U16,
    epoch: U32,
}

impl Head {
    pub(crate) fn new(count: u16, epoch: Epoch) -> Self {
        Self {
            count: U16::new(count),
            epoch: U32::new(epoch.0),
        }
    }

    pub(crate) fn epoch(&self) -> Epoch {
        Epoch(self.epoch.get())
    }

    pub(crate) fn count(&self) -> u16 {
        self.count.get()
    }
}

/// Puts parts one behind the other.
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    /// Begins with the version and a kind.
    pub(crate) fn new(kind: u8, flags: u8) -> Self {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(&[0; LENGTH_BYTES]);
        bytes.extend_from_slice(&[VERSION << 4 | flags, kind]);
        Self(bytes)
    }

    pub(crate) fn put(&mut self, part: &impl Part) -> &mut Self {
        self.0.extend_from_slice(part.as_bytes());
        self
    }

    pub(crate) fn end(mut self) -> Whole {
        let length = (self.0.len() - LENGTH_BYTES) as u32;
        self.0[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
        Whole(self.0)
    }
}

/// Takes parts off the front of a packet.
pub(crate) struct Reader<'a> {
    whole: usize,
    rest: &'a [u8],
    flags: u8,
}

impl<'a> Reader<'a> {
    /// A packet of this version, and its kind.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<(Self, u8), Refusal> {
        let found = bytes.len();
        let Some((&[first, kind], rest)) = bytes.split_first_chunk() else {
            return Err(Refusal::NoHeader { found });
        };
        if first >> 4 != VERSION {
            return Err(Refusal::Version { found: first >> 4 });
        }
        let reader = Self {
            whole: found,
            rest,
            flags: first & 0x0f,
        };
        Ok((reader, kind))
    }

    pub(crate) fn take<T: Part>(&mut self) -> Result<&'a T, Refusal> {
        let missing = size_of::<T>().saturating_sub(self.rest.len());
        let (part, rest) = T::ref_from_prefix(self.rest).map_err(|_| Refusal::Length {
            found: self.whole,
            expected: self.whole + missing,
        })?;
        self.rest = rest;
        Ok(part)
    }

    /// A flag, 0 to 3.
    pub(crate) fn flag(&mut self, bit: u8) -> u8 {
        let found = self.flags >> bit & 1;
        self.flags &= !(1 << bit);
        found
    }

    /// All that the message has was taken.
    pub(crate) fn end(self) -> Result<(), Refusal> {
        if !self.rest.is_empty() {
            return Err(Refusal::Length {
                found: self.whole,
                expected: self.whole - self.rest.len(),
            });
        }
        if self.flags != 0 {
            return Err(Refusal::ReservedSet);
        }
        Ok(())
    }
}
