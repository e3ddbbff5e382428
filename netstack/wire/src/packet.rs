//! Packets that have come.

use crate::cluster::parse_cluster;
use crate::kind::Kind;
use crate::layout::Prefix;
use crate::locks::parse_locks;
use crate::parking::parse_parking;
use crate::refusal::Refusal;
use crate::{PAGE_BYTES, VERSION, coherence, rules};
use darner_coherence::Packet;
use zerocopy::FromBytes;

/// What was said, in any of the protocols.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said<'a> {
    /// Of pages.
    Coherence(Parsed<'a>),
    /// Of membership, transactions or ports.
    Cluster(darner_cluster::Packet),
    /// Of range locks.
    Locks(darner_coherence::locks::Packet),
    /// Of waiting places.
    Parking(darner_coherence::parking::Packet),
}

/// What was said of pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed<'a> {
    /// The epoch and the message.
    pub packet: Packet,
    /// The bytes of the pages that come with it, in the order of their numbers.
    pub pages: &'a [u8],
}

impl<'a> Parsed<'a> {
    /// The pages that come with it, in the order of their numbers.
    pub fn pages(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.pages.chunks_exact(PAGE_BYTES)
    }
}

/// What a packet says, of whichever protocol it is.
///
/// # Errors
///
/// The first rule that it breaks.
pub fn parse(bytes: &[u8]) -> Result<Said<'_>, Refusal> {
    match bytes.get(1) {
        Some(0x40..=0x7f) => parse_cluster(bytes).map(Said::Cluster),
        Some(0x80..=0x8f) => parse_locks(bytes).map(Said::Locks),
        Some(0x90..=0x9f) => parse_parking(bytes).map(Said::Parking),
        _ => parse_coherence(bytes).map(Said::Coherence),
    }
}

/// What a packet of the coherence protocol says.
///
/// # Errors
///
/// The first rule that it breaks.
pub fn parse_coherence(bytes: &[u8]) -> Result<Parsed<'_>, Refusal> {
    let found = bytes.len();
    let (prefix, _) = Prefix::ref_from_prefix(bytes).map_err(|_| Refusal::NoHeader { found })?;
    let version = prefix.version_and_flags >> 4;
    if version != VERSION {
        return Err(Refusal::Version { found: version });
    }
    let kind = Kind::of(prefix.kind)?;
    let expected = kind.header_bytes();
    let mut fields = kind
        .layout()
        .read(bytes)
        .ok_or(Refusal::Length { found, expected })?;
    fields.take_version();
    fields.prefix.kind = 0;
    let epoch = fields.take_epoch();
    let message = coherence::message(kind, &mut fields)?;
    fields.nothing_left()?;
    rules::check(&message)?;
    let expected = expected + message.pages() as usize * PAGE_BYTES;
    if found != expected {
        return Err(Refusal::Length { found, expected });
    }
    Ok(Parsed {
        packet: Packet { epoch, message },
        pages: &bytes[kind.header_bytes()..],
    })
}
