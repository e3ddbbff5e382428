//! Messages on their way out: put into envelopes, and kept until the other end has them.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;

use crate::LONGEST_MESSAGE;
use crate::envelope::HEADER_BYTES;
use crate::reason::Reason;

/// Bytes of the length before each piece of a message.
pub const PIECE_BYTES: usize = 4;
/// In that length: the message goes on in the next envelope.
pub const GOES_ON: u32 = 1 << 31;

/// The most bytes that an envelope has: room for four pages and what is said of them. The
/// receiver decrypts one while the next is on its way, so long ones would only be later.
const ENVELOPE_BYTES: usize = (16 << 10) + 512;
/// A message that has to be cut goes into the rest of an envelope only if that is as long as this.
const WORTHWHILE: usize = 1 << 10;
/// Memory of envelopes that is kept for the next ones.
const SPARE: usize = 8;

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// There are too many bytes that the other end has not acknowledged.
    Full {
        /// How many bytes are kept.
        kept: usize,
        /// How many may be.
        limit: usize,
    },
    /// The message is longer than [`LONGEST_MESSAGE`].
    TooLong {
        /// Its bytes.
        bytes: usize,
    },
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { kept, limit } => write!(
                f,
                "{kept} bytes are not acknowledged and {limit} can be kept; wait until the other \
                 node has received some"
            ),
            Self::TooLong { bytes } => write!(
                f,
                "a message of {bytes} bytes; send at most {LONGEST_MESSAGE} at a time"
            ),
        }
    }
}

impl core::error::Error for SendError {}

/// Envelopes that the other end may not have.
pub struct Outbox {
    /// In order, without gaps; the first has the number `acknowledged + 1`.
    envelopes: VecDeque<Vec<u8>>,
    acknowledged: u64,
    /// The next one to be sealed on this link. Those before it may have been received, so they are
    /// not changed any more.
    next: u64,
    bytes: usize,
    limit: usize,
    spare: Vec<Vec<u8>>,
}

impl Outbox {
    /// Keeps at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            envelopes: VecDeque::new(),
            acknowledged: 0,
            next: 1,
            bytes: 0,
            limit,
            spare: Vec::new(),
        }
    }

    /// Adds a message, which is all of `pieces`, one after the other.
    pub fn push<'a>(
        &mut self,
        pieces: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> Result<(), SendError> {
        let bytes = pieces.clone().map(<[u8]>::len).sum();
        if bytes > LONGEST_MESSAGE {
            return Err(SendError::TooLong { bytes });
        }
        let (kept, limit) = (self.bytes, self.limit);
        if kept + with_overhead(bytes) > limit {
            return Err(SendError::Full { kept, limit });
        }
        let mut missing = bytes;
        let mut room = self.begin_piece(missing);
        for mut piece in pieces {
            while !piece.is_empty() {
                if room == 0 {
                    room = self.begin_piece(missing);
                }
                let (now, later) = piece.split_at(room.min(piece.len()));
                self.put(now);
                room -= now.len();
                missing -= now.len();
                piece = later;
            }
        }
        Ok(())
    }

    /// Begins a piece of a message of which `missing` bytes are not put in: how many go into
    /// this one.
    fn begin_piece(&mut self, missing: usize) -> usize {
        let whole = PIECE_BYTES + missing;
        let room = match self.envelopes.back() {
            Some(last) if self.last() >= self.next => ENVELOPE_BYTES - last.len(),
            _ => 0,
        };
        let fits_alone = whole <= ENVELOPE_BYTES - HEADER_BYTES;
        if room < whole && (fits_alone || room < WORTHWHILE) {
            self.begin_envelope();
        }
        let room = self
            .envelopes
            .back()
            .map_or(0, |last| ENVELOPE_BYTES - last.len());
        let bytes = missing.min(room - PIECE_BYTES);
        let flag = if bytes < missing { GOES_ON } else { 0 };
        self.put(&(bytes as u32 | flag).to_le_bytes());
        bytes
    }

    fn begin_envelope(&mut self) {
        let mut envelope = self.spare.pop().unwrap_or_default();
        envelope.resize(HEADER_BYTES, 0);
        self.bytes += HEADER_BYTES;
        self.envelopes.push_back(envelope);
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
        if let Some(last) = self.envelopes.back_mut() {
            last.extend_from_slice(bytes);
        }
    }

    /// The number of the last envelope.
    fn last(&self) -> u64 {
        self.acknowledged + self.envelopes.len() as u64
    }

    /// The next envelope to be sealed on this link, and its number.
    pub fn take_next(&mut self) -> Option<(u64, &mut [u8])> {
        let number = self.next;
        let index = usize::try_from(number - self.acknowledged - 1).ok()?;
        let envelope = self.envelopes.get_mut(index)?;
        self.next += 1;
        Some((number, envelope))
    }

    /// The other end has all up to `number`.
    pub fn acknowledge(&mut self, number: u64) -> Result<(), Reason> {
        if !(self.acknowledged..self.next).contains(&number) {
            return Err(Reason::Acknowledged {
                found: number,
                sent: self.next - 1,
            });
        }
        while self.acknowledged < number
            && let Some(mut envelope) = self.envelopes.pop_front()
        {
            self.acknowledged += 1;
            self.bytes -= envelope.len();
            if self.spare.len() < SPARE {
                envelope.clear();
                self.spare.push(envelope);
            }
        }
        Ok(())
    }

    /// There is a new link, and the other end has received all up to `number`.
    pub fn resume(&mut self, number: u64) -> Result<(), Reason> {
        self.acknowledge(number)?;
        self.next = number + 1;
        Ok(())
    }

    /// The number of the last envelope that the other end is known to have.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// How many bytes are kept.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a message of `bytes` would be taken.
    pub fn has_room(&self, bytes: usize) -> bool {
        bytes <= LONGEST_MESSAGE && self.bytes + with_overhead(bytes) <= self.limit
    }
}

/// Bytes of a message with those of envelopes and pieces, at most.
fn with_overhead(bytes: usize) -> usize {
    let envelopes = 2 + bytes / (ENVELOPE_BYTES - HEADER_BYTES - PIECE_BYTES);
    bytes + envelopes * (HEADER_BYTES + PIECE_BYTES)
}
