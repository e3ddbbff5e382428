//! Headers, ready to be sent.

use crate::coherence;
use crate::frame::LENGTH_BYTES;
use crate::layout::LONGEST_HEADER;
use crate::refusal::Refusal;
use crate::{PAGE_BYTES, VERSION, rules};
use darner_coherence::Packet;
use zerocopy::little_endian::U32;

/// The header of a packet, and how many bytes of pages follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The length of the frame, and the header.
    bytes: [u8; LENGTH_BYTES + LONGEST_HEADER],
    length: usize,
    pages: usize,
}

impl Header {
    /// The header alone.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[LENGTH_BYTES..LENGTH_BYTES + self.length]
    }

    /// The length of the frame, and the header: what a link sends before the pages.
    #[must_use]
    pub fn framed(&self) -> &[u8] {
        &self.bytes[..LENGTH_BYTES + self.length]
    }

    /// How many bytes of pages have to follow, page after page in the order of their numbers.
    #[must_use]
    pub fn page_bytes(&self) -> usize {
        self.pages
    }
}

/// The header of a packet.
///
/// # Errors
///
/// The rule that its message breaks. A [`Node`](darner_coherence::Node) breaks none while its
/// environment keeps to pages below [`PAGES`](crate::PAGES).
pub fn encode(packet: &Packet) -> Result<Header, Refusal> {
    rules::check(&packet.message)?;
    let kind = coherence::kind_of(&packet.message);
    let mut fields = coherence::fields(&packet.message);
    fields.prefix.version_and_flags |= VERSION << 4;
    fields.prefix.kind = kind.number();
    fields.prefix.epoch = U32::new(packet.epoch.0);
    let mut header = [0; LONGEST_HEADER];
    kind.layout().write(&fields, &mut header);
    let length = kind.header_bytes();
    let pages = packet.message.pages() as usize * PAGE_BYTES;
    let mut bytes = [0; LENGTH_BYTES + LONGEST_HEADER];
    let frame = (length + pages) as u32;
    bytes[..LENGTH_BYTES].copy_from_slice(&frame.to_le_bytes());
    bytes[LENGTH_BYTES..].copy_from_slice(&header);
    Ok(Header {
        bytes,
        length,
        pages,
    })
}
