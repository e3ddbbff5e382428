//! What is in front of every frame (5.1.6).

use darner_netstack::nic::{RxChecksum, TxOffload};
use virtio_spec::le16;
use virtio_spec::net::{Hdr, HdrF, HdrGso};

/// Bytes of the header.
pub const HEADER: usize = size_of::<Hdr>();

/// What the header of a received frame says of its checksum.
pub fn checksum(header: &Hdr) -> RxChecksum {
    // With the first only the pseudo header's sum is there: the frame comes from the same
    // host, and was never on a wire.
    if header.flags.intersects(HdrF::NEEDS_CSUM | HdrF::DATA_VALID) {
        RxChecksum::Good
    } else {
        RxChecksum::Unknown
    }
}

/// The header of a frame with which the device has to do `offload`.
pub fn of(offload: TxOffload) -> Hdr {
    let mut header = Hdr::default();
    if let Some(checksum) = offload.checksum {
        header.flags = HdrF::NEEDS_CSUM;
        header.csum_start = le16::from_ne(checksum.start);
        header.csum_offset = le16::from_ne(checksum.offset);
    }
    if let Some(segmentation) = offload.segmentation {
        let kind = match segmentation.v6 {
            true => HdrGso::Tcpv6,
            false => HdrGso::Tcpv4,
        };
        header.gso_type = kind.into();
        header.hdr_len = le16::from_ne(segmentation.headers);
        header.gso_size = le16::from_ne(segmentation.size.get());
    }
    header
}
