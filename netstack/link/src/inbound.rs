//! Frames in a stream that comes piece by piece: each behind its length, two bytes.

use alloc::vec::Vec;

use crate::reason::Reason;

/// The bytes of a frame's length, which does not count them.
pub const LENGTH_BYTES: usize = 2;

/// Finds frames. One that is whole within a piece is borrowed from it; one that goes across the end of a
/// piece is put together here.
#[derive(Default)]
pub struct Inbound {
    begun: Vec<u8>,
    /// What `begun` holds was returned, and is to be forgotten.
    is_returned: bool,
}

impl Inbound {
    /// The next frame, or nothing if more bytes have to come. What was used of `input` is taken
    /// off its front. `check` says whether a frame may have that length: it is asked before
    /// anything is kept.
    pub fn next<'s, 'i: 's>(
        &'s mut self,
        input: &mut &'i [u8],
        check: impl Fn(u16) -> Result<(), Reason>,
    ) -> Result<Option<&'s [u8]>, Reason> {
        if self.is_returned {
            self.is_returned = false;
            self.begun.clear();
        }
        if self.begun.is_empty()
            && let Some((&length, rest)) = input.split_first_chunk()
        {
            let length = u16::from_le_bytes(length);
            check(length)?;
            if let Some((frame, rest)) = rest.split_at_checked(length.into()) {
                *input = rest;
                return Ok(Some(frame));
            }
        }
        self.fill(LENGTH_BYTES, input);
        let Some(&length) = self.begun.first_chunk() else {
            return Ok(None);
        };
        let length = u16::from_le_bytes(length);
        check(length)?;
        let end = LENGTH_BYTES + usize::from(length);
        self.fill(end, input);
        self.is_returned = self.begun.len() == end;
        Ok(self.is_returned.then(|| &self.begun[LENGTH_BYTES..]))
    }

    /// Takes bytes until `end` of them are here, or none are left.
    fn fill(&mut self, end: usize, input: &mut &[u8]) {
        let missing = end.saturating_sub(self.begun.len()).min(input.len());
        let (taken, rest) = input.split_at(missing);
        self.begun.extend_from_slice(taken);
        *input = rest;
    }
}
