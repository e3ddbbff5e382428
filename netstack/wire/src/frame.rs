//! Frames: packets in a stream of bytes, each behind its length.

use crate::PAGE_BYTES;
use crate::layout::{LONGEST_HEADER, Prefix};
use crate::refusal::Refusal;
use alloc::vec::Vec;
use darner_coherence::LONGEST_RUN;

/// The bytes of a frame's length, which is little-endian and does not count them.
pub const LENGTH_BYTES: usize = 4;

/// The most bytes that a packet has.
pub const LONGEST_PACKET: usize = LONGEST_HEADER + LONGEST_RUN as usize * PAGE_BYTES;

/// The fewest bytes that a packet has.
const SHORTEST_PACKET: usize = size_of::<Prefix>();

/// Finds packets in a stream that comes piece by piece.
///
/// A packet that is whole within a piece is borrowed from it. One that goes across the end of a
/// piece is put together here, in memory that grows with what has come, never with what
/// was announced.
#[derive(Clone, Debug, Default)]
pub struct Deframer {
    /// The beginning of a frame, with its length.
    begun: Vec<u8>,
    /// What `begun` holds was returned, and is to be forgotten.
    returned: bool,
    /// Why nothing more can be found.
    broken: Option<Refusal>,
}

impl Deframer {
    /// For a stream of which nothing has come.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The next packet, or nothing if more bytes have to come. What was used of `input` is
    /// taken off its front; if there is no packet, that is all of it.
    ///
    /// # Errors
    ///
    /// A frame cannot be as long as it says. It is not known where the next one begins, so
    /// the same error is returned from then on.
    pub fn next<'s, 'i: 's>(
        &'s mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<&'s [u8]>, Refusal> {
        if let Some(refusal) = self.broken {
            return Err(refusal);
        }
        if self.returned {
            self.returned = false;
            self.begun.clear();
        }
        let found = self.find(input);
        self.broken = found.err();
        match found? {
            Found::Nothing => Ok(None),
            Found::InInput(packet) => Ok(Some(packet)),
            Found::Here => {
                self.returned = true;
                Ok(Some(&self.begun[LENGTH_BYTES..]))
            }
        }
    }

    /// How many bytes of a frame have come that is not whole.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        if self.returned { 0 } else { self.begun.len() }
    }

    fn find<'i>(&mut self, input: &mut &'i [u8]) -> Result<Found<'i>, Refusal> {
        if self.begun.is_empty()
            && let Some(packet) = whole(input)?
        {
            return Ok(Found::InInput(packet));
        }
        self.fill(LENGTH_BYTES, input);
        let Some(length) = self.begun.first_chunk() else {
            return Ok(Found::Nothing);
        };
        let end = LENGTH_BYTES + packet_length(*length)?;
        self.fill(end, input);
        if self.begun.len() == end {
            Ok(Found::Here)
        } else {
            Ok(Found::Nothing)
        }
    }

    /// Takes bytes until `end` of them are here, or none are left.
    fn fill(&mut self, end: usize, input: &mut &[u8]) {
        let missing = end.saturating_sub(self.begun.len()).min(input.len());
        let (taken, rest) = input.split_at(missing);
        self.begun.extend_from_slice(taken);
        *input = rest;
    }
}

/// Where a packet is.
#[derive(Clone, Copy)]
enum Found<'i> {
    Nothing,
    InInput(&'i [u8]),
    Here,
}

/// Takes a packet off the front of `input`, if all of it is there.
fn whole<'i>(input: &mut &'i [u8]) -> Result<Option<&'i [u8]>, Refusal> {
    let Some((length, rest)) = input.split_first_chunk() else {
        return Ok(None);
    };
    let Some((packet, rest)) = rest.split_at_checked(packet_length(*length)?) else {
        return Ok(None);
    };
    *input = rest;
    Ok(Some(packet))
}

fn packet_length(length: [u8; LENGTH_BYTES]) -> Result<usize, Refusal> {
    let found = u32::from_le_bytes(length);
    match found as usize {
        ..SHORTEST_PACKET => Err(Refusal::FrameTooShort { found }),
        SHORTEST_PACKET..=LONGEST_PACKET => Ok(found as usize),
        _ => Err(Refusal::FrameTooLong { found }),
    }
}
