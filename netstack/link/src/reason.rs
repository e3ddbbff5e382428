//! Why a link is refused, as it is told to the other end and printed at both.

use alloc::vec::Vec;
use core::fmt;

use crate::LONGEST_MESSAGE;
use crate::fields::Fields;
use crate::identity::CpuFeatures;

/// What was not as it has to be. *Found* is what the refused end has said, *expected* what the
/// refusing one demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The proof that the other end has the key is wrong.
    WrongKey,
    /// The bytes are no handshake: the length of the first frame is another.
    NotALink {
        /// That length.
        found: u16,
    },
    /// The handshake was not over in time.
    TooSlow,
    /// The other end speaks another version.
    Version {
        /// Its version.
        found: u16,
        /// The refusing end's.
        expected: u16,
    },
    /// The ends do not agree on how many nodes there are.
    ClusterSize {
        /// As the other end says.
        found: u16,
        /// As the refusing end says.
        expected: u16,
    },
    /// There is no node with that number.
    NodeOutOfRange {
        /// The number.
        node: u16,
        /// How many nodes there are.
        size: u16,
    },
    /// Another machine has the number already.
    NodeTaken {
        /// The number.
        node: u16,
    },
    /// A node is linked to itself.
    Itself {
        /// Its number.
        node: u16,
    },
    /// Another node was called.
    OtherNode {
        /// Who answered.
        found: u16,
        /// Who was called.
        expected: u16,
    },
    /// There is no such channel, or the answering end has chosen one.
    Channel {
        /// What was said.
        found: u8,
    },
    /// The nodes run different images.
    Image {
        /// The hash of the other end's.
        found: [u8; 32],
        /// The hash of the refusing end's.
        expected: [u8; 32],
    },
    /// The nodes' processors differ in what programs may use.
    Features {
        /// What the other end's can do.
        found: CpuFeatures,
        /// What the refusing end's can do.
        expected: CpuFeatures,
    },
    /// A message is not what the other end has sent, or not at its place.
    Forged {
        /// How many before it were authentic, of this connection.
        after: u64,
    },
    /// A frame cannot be as long as it says.
    Length {
        /// What it says.
        found: u16,
    },
    /// The other end has the key, but does not keep to the rules.
    Malformed {
        /// In what.
        part: Part,
    },
    /// An envelope is not the next one.
    Sequence {
        /// Its number.
        found: u64,
        /// The next one's.
        expected: u64,
    },
    /// What was never sent was acknowledged, or less than before.
    Acknowledged {
        /// The number acknowledged.
        found: u64,
        /// The number of the last one sent.
        sent: u64,
    },
    /// A message goes on for too long.
    MessageTooLong,
    /// One of the ends does not know any more what was said.
    SessionLost,
    /// The refusing end has done all that it has to do. Nothing is wrong.
    Leaving,
    /// A reason that this version does not know.
    Unknown {
        /// Its number.
        code: u8,
    },
}

/// A part of what is said on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Part {
    /// The beginning of an envelope.
    Header = 1,
    /// What a node says of itself.
    Hello = 2,
    /// What a node knows of the session.
    Welcome = 3,
    /// The messages in an envelope.
    Data = 4,
    /// Why the other end refuses this one.
    Close = 5,
    /// The order: an envelope of this kind may not come now.
    Turn = 6,
}

impl Part {
    fn of(byte: u8) -> Option<Self> {
        let parts = [
            Self::Header,
            Self::Hello,
            Self::Welcome,
            Self::Data,
            Self::Close,
            Self::Turn,
        ];
        parts.into_iter().find(|&part| part as u8 == byte)
    }
}

/// A close for an end that has not proved that it has the key: it is not encrypted, so
/// anybody can have said it, and it says little.
pub const PLAIN_CLOSE_BYTES: usize = 8;
const PLAIN_CLOSE: [u8; 7] = *b"refused";

impl Reason {
    fn code(&self) -> u8 {
        match self {
            Self::WrongKey => 1,
            Self::NotALink { .. } => 2,
            Self::TooSlow => 3,
            Self::Version { .. } => 4,
            Self::ClusterSize { .. } => 5,
            Self::NodeOutOfRange { .. } => 6,
            Self::NodeTaken { .. } => 7,
            Self::Itself { .. } => 8,
            Self::OtherNode { .. } => 9,
            Self::Channel { .. } => 10,
            Self::Image { .. } => 11,
            Self::Features { .. } => 12,
            Self::Forged { .. } => 13,
            Self::Length { .. } => 14,
            Self::Malformed { .. } => 15,
            Self::Sequence { .. } => 16,
            Self::Acknowledged { .. } => 17,
            Self::MessageTooLong => 18,
            Self::SessionLost => 19,
            Self::Leaving => 20,
            Self::Unknown { code } => *code,
        }
    }

    /// As bytes: the code, then the fields.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = alloc::vec![self.code()];
        match *self {
            Self::WrongKey
            | Self::TooSlow
            | Self::MessageTooLong
            | Self::SessionLost
            | Self::Leaving
            | Self::Unknown { .. } => {}
            Self::NotALink { found } | Self::Length { found } => {
                bytes.extend(found.to_le_bytes());
            }
            Self::NodeTaken { node } | Self::Itself { node } => bytes.extend(node.to_le_bytes()),
            Self::Version { found, expected }
            | Self::ClusterSize { found, expected }
            | Self::OtherNode { found, expected }
            | Self::NodeOutOfRange {
                node: found,
                size: expected,
            } => bytes.extend([found, expected].map(u16::to_le_bytes).as_flattened()),
            Self::Channel { found } => bytes.push(found),
            Self::Malformed { part } => bytes.push(part as u8),
            Self::Image { found, expected } => bytes.extend([found, expected].as_flattened()),
            Self::Features { found, expected } => {
                let words = [found.words(), expected.words()];
                bytes.extend(words.into_iter().flatten().flat_map(u64::to_le_bytes));
            }
            Self::Forged { after } => bytes.extend(after.to_le_bytes()),
            Self::Sequence { found, expected }
            | Self::Acknowledged {
                found,
                sent: expected,
            } => bytes.extend([found, expected].map(u64::to_le_bytes).as_flattened()),
        }
        bytes
    }

    /// From bytes. `None`: they are none.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let reason = match fields.u8()? {
            1 => Self::WrongKey,
            2 => Self::NotALink {
                found: fields.u16()?,
            },
            3 => Self::TooSlow,
            4 => Self::Version {
                found: fields.u16()?,
                expected: fields.u16()?,
            },
            5 => Self::ClusterSize {
                found: fields.u16()?,
                expected: fields.u16()?,
            },
            6 => Self::NodeOutOfRange {
                node: fields.u16()?,
                size: fields.u16()?,
            },
            7 => Self::NodeTaken {
                node: fields.u16()?,
            },
            8 => Self::Itself {
                node: fields.u16()?,
            },
            9 => Self::OtherNode {
                found: fields.u16()?,
                expected: fields.u16()?,
            },
            10 => Self::Channel {
                found: fields.u8()?,
            },
            11 => Self::Image {
                found: fields.array()?,
                expected: fields.array()?,
            },
            12 => Self::Features {
                found: features(&mut fields)?,
                expected: features(&mut fields)?,
            },
            13 => Self::Forged {
                after: fields.u64()?,
            },
            14 => Self::Length {
                found: fields.u16()?,
            },
            15 => Self::Malformed {
                part: Part::of(fields.u8()?)?,
            },
            16 => Self::Sequence {
                found: fields.u64()?,
                expected: fields.u64()?,
            },
            17 => Self::Acknowledged {
                found: fields.u64()?,
                sent: fields.u64()?,
            },
            18 => Self::MessageTooLong,
            19 => Self::SessionLost,
            20 => Self::Leaving,
            // A later version's, with fields of its own.
            code => return Some(Self::Unknown { code }),
        };
        fields.end(reason)
    }

    /// For an end without the key. Reasons that tell it something are told as [`Self::WrongKey`].
    pub(crate) fn encode_plain(&self) -> [u8; PLAIN_CLOSE_BYTES] {
        let code = match self {
            Self::TooSlow => self.code(),
            _ => Self::WrongKey.code(),
        };
        let mut bytes = [code; PLAIN_CLOSE_BYTES];
        bytes[..PLAIN_CLOSE.len()].copy_from_slice(&PLAIN_CLOSE);
        bytes
    }

    /// What [`Self::encode_plain`] has made. `None`: that is something else.
    pub(crate) fn decode_plain(bytes: &[u8]) -> Option<Self> {
        let reason = match *bytes.strip_prefix(&PLAIN_CLOSE)? {
            [1] => Self::WrongKey,
            [3] => Self::TooSlow,
            _ => return None,
        };
        Some(reason)
    }
}

fn features(fields: &mut Fields<'_>) -> Option<CpuFeatures> {
    let words = [fields.u64()?, fields.u64()?, fields.u64()?, fields.u64()?];
    Some(CpuFeatures::of_words(words))
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongKey => write!(
                f,
                "wrong key: the handshake does not prove the cluster's key; give all nodes the \
                 same key"
            ),
            Self::NotALink { found } => write!(
                f,
                "no link: a first frame of {found} bytes is no handshake; only nodes of the \
                 cluster may connect to this port"
            ),
            Self::TooSlow => write!(
                f,
                "the handshake was not over in time; see whether the node runs and the network \
                 lets everything through"
            ),
            Self::Version { found, expected } => write!(
                f,
                "wrong version: links of version {found}, expected {expected}; start all nodes \
                 with the same build of the kernel"
            ),
            Self::ClusterSize { found, expected } => write!(
                f,
                "wrong cluster size: {found} nodes, expected {expected}; give all nodes the same \
                 number"
            ),
            Self::NodeOutOfRange { node, size } => write!(
                f,
                "node number {node} is out of range: there are nodes 0 to {}; give every node a \
                 number of its own below {size}",
                size.saturating_sub(1)
            ),
            Self::NodeTaken { node } => write!(
                f,
                "node number {node} is taken by another machine; give every node a number of its \
                 own"
            ),
            Self::Itself { node } => write!(
                f,
                "node {node} is linked to itself; give every node an address of its own"
            ),
            Self::OtherNode { found, expected } => write!(
                f,
                "node {found} answers, expected node {expected}; give all nodes the same list of \
                 addresses"
            ),
            Self::Channel { found } => write!(
                f,
                "channel {found} cannot be had here; start all nodes with the same build of the \
                 kernel"
            ),
            Self::Image { found, expected } => {
                let (found, expected) = (Hash(found), Hash(expected));
                write!(
                    f,
                    "wrong image: its hash is {found}, expected {expected}; start all nodes from \
                     the same image"
                )
            }
            Self::Features { found, expected } => write!(
                f,
                "CPU features differ: {found}, expected {expected}; missing {}, too many {}; \
                 start all nodes with the same CPU model",
                expected.without(found),
                found.without(expected)
            ),
            Self::Forged { after } => write!(
                f,
                "message {after} of the connection is not authentic: bytes were changed, left \
                 out or repeated on the way; connect again"
            ),
            Self::Length { found } => write!(
                f,
                "a frame of {found} bytes is too short to be encrypted; connect again"
            ),
            Self::Malformed { part } => write!(
                f,
                "{} breaks a rule; start all nodes with the same build of the kernel",
                part.name()
            ),
            Self::Sequence { found, expected } => write!(
                f,
                "envelope {found} comes where {expected} was expected; this is a bug of the node \
                 that sent it"
            ),
            Self::Acknowledged { found, sent } => write!(
                f,
                "envelope {found} is acknowledged, of {sent} sent; this is a bug of the node that \
                 says so"
            ),
            Self::MessageTooLong => write!(
                f,
                "a message has more than {LONGEST_MESSAGE} bytes; this is a bug of the node that \
                 sent it"
            ),
            Self::SessionLost => write!(
                f,
                "one of the nodes does not know any more what was said; the one that was evicted \
                 must start anew"
            ),
            Self::Leaving => write!(f, "the node has ended, as it should; nothing is to be done"),
            Self::Unknown { code } => write!(
                f,
                "reason {code}, which this version does not know; start all nodes with the same \
                 build of the kernel"
            ),
        }
    }
}

impl core::error::Error for Reason {}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Header => "the beginning of an envelope",
            Self::Hello => "what the node says of itself",
            Self::Welcome => "what the node says of the session",
            Self::Data => "the length of a message",
            Self::Close => "the reason for a refusal",
            Self::Turn => "the order of what is said",
        }
    }
}

/// Enough of a hash for people to tell it from another.
struct Hash<'a>(&'a [u8; 32]);

impl fmt::Display for Hash<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..8]
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The end of a link, and which of its ends wanted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// This end refuses the other one.
    Here(Reason),
    /// The other end refuses this one.
    There(Reason),
}

impl Refusal {
    /// Why.
    #[must_use]
    pub fn reason(&self) -> &Reason {
        match self {
            Self::Here(reason) | Self::There(reason) => reason,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(reason) => write!(f, "the other end is refused: {reason}"),
            Self::There(reason) => write!(f, "the other end refuses this node: {reason}"),
        }
    }
}

impl core::error::Error for Refusal {}
