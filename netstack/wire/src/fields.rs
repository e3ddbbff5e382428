//! The fields of a header, taken out one by one.

use crate::layout::{PageWord, Prefix};
use crate::refusal::Refusal;
use darner_coherence::{Access, Backing, Content, Epoch, NodeId, PageIndex, RequestId, Serial};
use zerocopy::little_endian::{U16, U32, U64};

/// The fields of any header; those that it does not have are zero.
///
/// Whoever reads a message takes the fields that it uses. What is left must be zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields {
    pub(crate) prefix: Prefix,
    pub(crate) page: PageWord,
    pub(crate) id: U32,
    pub(crate) seen: U32,
    pub(crate) serial: U64,
    pub(crate) clock: U64,
}

/// Some of the four flags of a header, as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flags {
    shift: u8,
    mask: u8,
}

impl Flags {
    /// One flag, 0 to 3.
    pub(crate) const fn one(shift: u8) -> Self {
        Self { shift, mask: 1 }
    }

    /// Two neighbours, of which `shift` is the lower.
    pub(crate) const fn two(shift: u8) -> Self {
        Self { shift, mask: 3 }
    }
}

impl Fields {
    pub(crate) fn take_flags(&mut self, flags: Flags) -> u8 {
        let all = &mut self.prefix.version_and_flags;
        let found = *all >> flags.shift & flags.mask;
        *all &= !(flags.mask << flags.shift);
        found
    }

    pub(crate) fn with_flags(mut self, flags: Flags, value: u8) -> Self {
        self.prefix.version_and_flags |= (value & flags.mask) << flags.shift;
        self
    }

    pub(crate) fn take_version(&mut self) -> u8 {
        let all = &mut self.prefix.version_and_flags;
        let version = *all >> 4;
        *all &= 0x0f;
        version
    }

    pub(crate) fn take_epoch(&mut self) -> Epoch {
        Epoch(core::mem::take(&mut self.prefix.epoch).get())
    }

    pub(crate) fn take_count(&mut self) -> u16 {
        core::mem::take(&mut self.prefix.count).get()
    }

    pub(crate) fn with_count(mut self, count: u16) -> Self {
        self.prefix.count = U16::new(count);
        self
    }

    pub(crate) fn take_page(&mut self) -> PageIndex {
        let [a, b, c, d, e, f] = core::mem::take(&mut self.page.index);
        PageIndex(u64::from_le_bytes([a, b, c, d, e, f, 0, 0]))
    }

    /// The upper two bytes of `page` are lost: it is to be within cluster memory.
    pub(crate) fn with_page(mut self, page: PageIndex) -> Self {
        let [a, b, c, d, e, f, ..] = page.0.to_le_bytes();
        self.page.index = [a, b, c, d, e, f];
        self
    }

    pub(crate) fn take_beside(&mut self) -> u16 {
        core::mem::take(&mut self.page.beside).get()
    }

    pub(crate) fn with_beside(mut self, beside: u16) -> Self {
        self.page.beside = U16::new(beside);
        self
    }

    pub(crate) fn take_node(&mut self) -> NodeId {
        NodeId(self.take_beside())
    }

    pub(crate) fn with_node(self, node: NodeId) -> Self {
        self.with_beside(node.0)
    }

    pub(crate) fn take_id(&mut self) -> RequestId {
        RequestId(core::mem::take(&mut self.id).get())
    }

    pub(crate) fn with_id(mut self, id: RequestId) -> Self {
        self.id = U32::new(id.0);
        self
    }

    pub(crate) fn take_seen(&mut self) -> RequestId {
        RequestId(core::mem::take(&mut self.seen).get())
    }

    pub(crate) fn with_seen(mut self, seen: RequestId) -> Self {
        self.seen = U32::new(seen.0);
        self
    }

    pub(crate) fn take_serial(&mut self) -> Serial {
        Serial(core::mem::take(&mut self.serial).get())
    }

    pub(crate) fn with_serial(mut self, serial: Serial) -> Self {
        self.serial = U64::new(serial.0);
        self
    }

    pub(crate) fn take_clock(&mut self) -> Serial {
        Serial(core::mem::take(&mut self.clock).get())
    }

    pub(crate) fn with_clock(mut self, clock: Serial) -> Self {
        self.clock = U64::new(clock.0);
        self
    }

    pub(crate) fn take_access(&mut self, flags: Flags) -> Access {
        match self.take_flags(flags) {
            0 => Access::Read,
            _ => Access::Write,
        }
    }

    pub(crate) fn with_access(self, flags: Flags, access: Access) -> Self {
        self.with_flags(flags, u8::from(access == Access::Write))
    }

    pub(crate) fn take_backing(&mut self, flags: Flags) -> Backing {
        match self.take_flags(flags) {
            0 => Backing::Current,
            _ => Backing::Older,
        }
    }

    pub(crate) fn with_backing(self, flags: Flags, backing: Backing) -> Self {
        self.with_flags(flags, u8::from(backing == Backing::Older))
    }

    pub(crate) fn take_content(&mut self, flags: Flags) -> Result<Content, Refusal> {
        match self.take_flags(flags) {
            0 => Ok(Content::Nothing),
            1 => Ok(Content::Zero),
            2 => Ok(Content::Bytes),
            _ => Err(Refusal::Meaningless { field: "content" }),
        }
    }

    pub(crate) fn with_content(self, flags: Flags, content: Content) -> Self {
        let value = match content {
            Content::Nothing => 0,
            Content::Zero => 1,
            Content::Bytes => 2,
        };
        self.with_flags(flags, value)
    }

    /// All that the message uses was taken.
    pub(crate) fn nothing_left(self) -> Result<(), Refusal> {
        if self == Self::default() {
            Ok(())
        } else {
            Err(Refusal::ReservedSet)
        }
    }
}
