//! What is in front of every frame (5.1.6).

use darner_netstack::nic::{RxChecksum, TxOffload};

/// The header, with the field that is there since version 1.0. The library has the same, but
/// for itself.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Header {
    flags: u8,
    segmentation: u8,
    header_bytes: u16,
    segment_bytes: u16,
    checksum_start: u16,
    checksum_offset: u16,
    /// Over how many buffers a received frame is spread.
    pub buffers: u16,
}

/// Flags: the checksum is to be completed; the checksum was verified.
const NEEDS_CHECKSUM: u8 = 1;
const CHECKSUM_VALID: u8 = 2;
/// Kinds of segmentation.
const TCP_V4: u8 = 1;
const TCP_V6: u8 = 4;

/// Bytes of the header.
pub const HEADER: usize = size_of::<Header>();

/// What the header of a received frame says of its checksum.
pub fn checksum(header: &Header) -> RxChecksum {
    // With the first only the pseudo header's sum is there: the frame comes from the same
    // host, and was never on a wire.
    match header.flags & (NEEDS_CHECKSUM | CHECKSUM_VALID) {
        0 => RxChecksum::Unknown,
        _ => RxChecksum::Good,
    }
}

/// The header of a frame with which the device has to do `offload`.
pub fn of(offload: TxOffload) -> Header {
    let mut header = Header::default();
    if let Some(checksum) = offload.checksum {
        header.flags = NEEDS_CHECKSUM;
        header.checksum_start = checksum.start;
        header.checksum_offset = checksum.offset;
    }
    if let Some(segmentation) = offload.segmentation {
        header.segmentation = match segmentation.v6 {
            true => TCP_V6,
            false => TCP_V4,
        };
        header.header_bytes = segmentation.headers;
        header.segment_bytes = segmentation.size.get();
    }
    header
}
