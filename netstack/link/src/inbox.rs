//! Messages in an envelope that has come, and those that go across several.

use alloc::vec::Vec;
use core::ops::Range;

use crate::LONGEST_MESSAGE;
use crate::envelope::HEADER_BYTES;
use crate::outbox::{GOES_ON, PIECE_BYTES};
use crate::reason::{Part, Reason};

/// What has been decrypted and not taken out.
#[derive(Default)]
pub struct Inbox {
    /// An envelope. Longer ones make it grow, and it stays so.
    pub plain: Vec<u8>,
    /// Where in it the messages are that were not taken.
    waiting: Range<usize>,
    /// When it was sealed.
    time: u64,
    long: Long,
}

/// A message that is in several envelopes.
#[derive(Default)]
enum Long {
    #[default]
    None,
    Begun(Vec<u8>),
    /// It was taken.
    Taken(Vec<u8>),
}

/// Where a message is.
pub enum Place {
    InPlain(Range<usize>),
    InLong,
}

impl Inbox {
    /// `plain` has been filled with an envelope of `length` bytes that was sealed at `time`.
    pub fn filled(&mut self, length: usize, time: u64) -> Result<(), Reason> {
        self.waiting = HEADER_BYTES..length;
        self.time = time;
        if self.waiting.is_empty() {
            return Err(Reason::Malformed { part: Part::Data });
        }
        Ok(())
    }

    /// Finds the next message that is whole.
    pub fn next(&mut self) -> Result<Option<Place>, Reason> {
        while !self.waiting.is_empty() {
            let (piece, goes_on) = self.next_piece()?;
            let begun = match core::mem::take(&mut self.long) {
                Long::Begun(begun) => begun,
                Long::None | Long::Taken(_) if !goes_on => return Ok(Some(Place::InPlain(piece))),
                Long::None => Vec::new(),
                Long::Taken(mut memory) => {
                    memory.clear();
                    memory
                }
            };
            if self.join(begun, piece, goes_on)? {
                return Ok(Some(Place::InLong));
            }
        }
        Ok(None)
    }

    /// Adds a piece to what has begun. Whether that is whole.
    fn join(
        &mut self,
        mut begun: Vec<u8>,
        piece: Range<usize>,
        goes_on: bool,
    ) -> Result<bool, Reason> {
        if begun.len() + piece.len() > LONGEST_MESSAGE {
            return Err(Reason::MessageTooLong);
        }
        begun.extend_from_slice(&self.plain[piece]);
        self.long = match goes_on {
            true => Long::Begun(begun),
            false => Long::Taken(begun),
        };
        Ok(!goes_on)
    }

    fn next_piece(&mut self) -> Result<(Range<usize>, bool), Reason> {
        let malformed = Reason::Malformed { part: Part::Data };
        let waiting = &self.plain[self.waiting.clone()];
        let (&length, rest) = waiting.split_first_chunk().ok_or(malformed)?;
        let length = u32::from_le_bytes(length);
        let goes_on = length & GOES_ON != 0;
        let bytes = (length & !GOES_ON) as usize;
        // A message goes on only where the envelope has no more room.
        let is_right = match goes_on {
            true => bytes > 0 && bytes == rest.len(),
            false => bytes <= rest.len(),
        };
        if !is_right {
            return Err(malformed);
        }
        let start = self.waiting.start + PIECE_BYTES;
        let end = start + bytes;
        self.waiting.start = end;
        Ok((start..end, goes_on))
    }

    /// The bytes of a message that was found.
    pub fn bytes(&self, place: Place) -> &[u8] {
        match (place, &self.long) {
            (Place::InPlain(range), _) => &self.plain[range],
            (Place::InLong, Long::Taken(bytes)) => bytes,
            (Place::InLong, _) => &[],
        }
    }

    /// When the envelope was sealed, by the sender's clock (ns).
    pub fn time(&self) -> u64 {
        self.time
    }
}
