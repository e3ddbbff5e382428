//! Why bytes are not what a node says.

use core::fmt;

/// The rule that bytes break, or a message that is to be sent.
///
/// Whoever gets one has a peer of another version, or one that is broken or hostile. The
/// link should be closed: what follows cannot be trusted either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// Fewer bytes than any header has.
    NoHeader {
        /// How many.
        found: usize,
    },
    /// Another version of what is said here.
    Version {
        /// Which.
        found: u8,
    },
    /// A kind of message that there is not.
    UnknownKind {
        /// Its number.
        found: u8,
    },
    /// More or fewer bytes than a message of this kind, with what it brings, has.
    Length {
        /// How many.
        found: usize,
        /// How many it should be.
        expected: usize,
    },
    /// A bit or byte is set that this kind of message does not use.
    ReservedSet,
    /// A field has a value that means nothing.
    Meaningless {
        /// Which field.
        field: &'static str,
    },
    /// A page beyond the end of cluster memory, or a run that goes beyond.
    PageOutOfRange,
    /// A run of no pages, or of more than a message may name.
    Run {
        /// How many.
        found: u16,
        /// How many it may be.
        most: u8,
    },
    /// A grant that leaves out the page that was asked for.
    FirstPageLeftOut,
    /// A message that is there to bring a page, and does not bring it.
    PageMissing,
    /// A copy that is none.
    NoRights,
    /// A range of no bytes.
    EmptyRange,
    /// A view of more members or slots than there can be.
    TooManySlots {
        /// How many.
        found: u16,
    },
    /// A frame longer than any packet.
    FrameTooLong {
        /// How many bytes it announces.
        found: u32,
    },
    /// A frame shorter than any packet.
    FrameTooShort {
        /// How many bytes it announces.
        found: u32,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NoHeader { found } => write!(f, "{found} bytes, fewer than any header has"),
            Self::Version { found } => write!(
                f,
                "version {found} of the wire format, expected {}: both nodes must run the same image",
                crate::VERSION
            ),
            Self::UnknownKind { found } => write!(f, "there is no message of kind {found:#04x}"),
            Self::Length { found, expected } => {
                write!(f, "{found} bytes, expected {expected}")
            }
            Self::ReservedSet => f.write_str("a bit is set that has no meaning in this message"),
            Self::Meaningless { field } => write!(f, "{field} has a value without meaning"),
            Self::PageOutOfRange => write!(
                f,
                "a page beyond the end of cluster memory, which has {} pages",
                crate::PAGES
            ),
            Self::Run { found, most } => write!(f, "a run of {found} pages, expected 1 to {most}"),
            Self::FirstPageLeftOut => {
                f.write_str("a grant of a run without its first page, which was asked for")
            }
            Self::PageMissing => f.write_str("a message without the page that it should bring"),
            Self::NoRights => f.write_str("a report of a copy without any rights"),
            Self::EmptyRange => f.write_str("a range that ends where it begins, or before"),
            Self::TooManySlots { found } => write!(
                f,
                "a view of {found} members or slots, expected at most {}",
                darner_cluster::SLOTS
            ),
            Self::FrameTooLong { found } => write!(
                f,
                "a frame of {found} bytes, expected at most {}",
                crate::LONGEST_PACKET
            ),
            Self::FrameTooShort { found } => {
                write!(f, "a frame of {found} bytes, fewer than any header has")
            }
        }
    }
}

impl core::error::Error for Refusal {}
