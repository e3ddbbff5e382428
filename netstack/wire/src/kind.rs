//! The kinds of messages, and which layout each has.

use crate::layout::Layout;
use crate::refusal::Refusal;
use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes, Unaligned};

/// Which message a header is of.
///
/// A number is never used for another message again. Those up to 0x3f are the coherence protocol's.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    TryFromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[repr(u8)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is the message of its name")]
pub enum Kind {
    Get = 0x01,
    Note = 0x02,
    WriteBack = 0x03,
    Discard = 0x04,
    Recalled = 0x05,
    Forward = 0x06,
    Invalidate = 0x07,
    Recall = 0x08,
    WrittenBack = 0x09,
    Discarded = 0x0a,
    Redirect = 0x0b,
    Parked = 0x0c,
    Lost = 0x0d,
    Grant = 0x0e,
    Acked = 0x0f,
    Adopt = 0x10,
    Adopted = 0x11,
    Moved = 0x12,
    MovedKnown = 0x13,
    Report = 0x14,
    Unserved = 0x15,
    Drained = 0x16,
    ReportsEnd = 0x17,
    Keep = 0x18,
    Resume = 0x19,
    Yours = 0x1a,
    Claim = 0x1b,
    Push = 0x1c,
    Dropped = 0x1d,
    Blank = 0x1e,
}

impl Kind {
    /// The kind of this number.
    pub(crate) fn of(number: u8) -> Result<Self, Refusal> {
        Self::try_read_from_bytes(&[number]).map_err(|_| Refusal::UnknownKind { found: number })
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The bytes of its header.
    #[must_use]
    pub fn header_bytes(self) -> usize {
        self.layout().size()
    }

    pub(crate) fn layout(self) -> Layout {
        match self {
            Self::Drained | Self::ReportsEnd | Self::Resume => Layout::Bare,
            Self::Note
            | Self::WriteBack
            | Self::Recalled
            | Self::WrittenBack
            | Self::Adopted
            | Self::MovedKnown
            | Self::Yours => Layout::Paged,
            Self::Discard
            | Self::Recall
            | Self::Parked
            | Self::Lost
            | Self::Acked
            | Self::Unserved
            | Self::Claim => Layout::Numbered,
            Self::Invalidate => Layout::Seen,
            Self::Moved | Self::Report | Self::Keep | Self::Push | Self::Blank => Layout::Dated,
            Self::Get | Self::Grant | Self::Discarded | Self::Redirect | Self::Dropped => {
                Layout::NumberedDated
            }
            Self::Adopt => Layout::TwiceDated,
            Self::Forward => Layout::SeenDated,
        }
    }
}
