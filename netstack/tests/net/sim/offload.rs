//! What cards do with frames that they are given: checksums, and cutting up.

use darner_netstack::checksum::{Sum, Transport, fill};
use darner_netstack::nic::{Segmentation, TxChecksum, TxOffload};
use smoltcp::wire::{EthernetFrame, Ipv4Packet, Ipv6Packet, TcpPacket};

use super::card::CardOptions;
use super::check;

/// Bytes of an Ethernet header.
pub const ETHERNET: usize = 14;

/// Does what `offload` asks. The frames as they are on the wire.
pub fn complete(mut frame: Vec<u8>, offload: TxOffload, card: &CardOptions) -> Vec<Vec<u8>> {
    if let Some(segmentation) = offload.segmentation {
        let checksum = offload.checksum.expect("segments need checksums");
        assert!(card.segmentation > 0, "the card does not cut frames up");
        check_partial(&frame, checksum);
        return cut(&frame, segmentation, checksum, card);
    }
    if let Some(checksum) = offload.checksum {
        assert!(card.tx_checksum, "the card does not complete checksums");
        check_partial(&frame, checksum);
        finish(&mut frame, checksum);
    }
    vec![frame]
}

/// The field has to hold the pseudo header's sum.
fn check_partial(frame: &[u8], checksum: TxChecksum) {
    let (start, offset) = (usize::from(checksum.start), usize::from(checksum.offset));
    let (pseudo, transport, at) = check::pseudo_header(frame).expect("TCP or UDP");
    assert_eq!(start, at, "the transport's header");
    assert_eq!(offset, transport.checksum_offset(), "the checksum's place");
    let field = &frame[start + offset..start + offset + 2];
    assert_eq!(
        field,
        pseudo.fold().to_be_bytes(),
        "the pseudo header's sum"
    );
}

fn finish(frame: &mut [u8], checksum: TxChecksum) {
    let (start, offset) = (usize::from(checksum.start), usize::from(checksum.offset));
    let sum = Sum::new().with(&frame[start..]).checksum();
    let sum = if offset == Transport::Udp.checksum_offset() && sum == 0 {
        0xffff
    } else {
        sum
    };
    frame[start + offset..start + offset + 2].copy_from_slice(&sum.to_be_bytes());
}

fn cut(
    frame: &[u8],
    segmentation: Segmentation,
    checksum: TxChecksum,
    card: &CardOptions,
) -> Vec<Vec<u8>> {
    let headers = usize::from(segmentation.headers);
    let size = usize::from(segmentation.size.get());
    let (head, payload) = frame.split_at(headers);
    assert!(
        payload.len() <= card.segmentation,
        "{} bytes",
        payload.len()
    );
    assert!(payload.len() > size, "nothing to be cut");
    let count = payload.len().div_ceil(size);
    let pieces = payload.chunks(size).enumerate();
    pieces
        .map(|(index, piece)| {
            let mut segment = [head, piece].concat();
            let last = index + 1 == count;
            edit(
                &mut segment,
                segmentation,
                checksum,
                (index, index * size),
                last,
            );
            segment
        })
        .collect()
}

/// Makes the headers right for one segment.
fn edit(
    segment: &mut [u8],
    segmentation: Segmentation,
    checksum: TxChecksum,
    (index, offset): (usize, usize),
    last: bool,
) {
    let mut ethernet = EthernetFrame::new_checked(&mut *segment).unwrap();
    let packet = ethernet.payload_mut();
    let length = packet.len();
    if segmentation.v6 {
        let mut ip = Ipv6Packet::new_unchecked(packet);
        ip.set_payload_len((length - 40) as u16);
    } else {
        let mut ip = Ipv4Packet::new_unchecked(packet);
        ip.set_total_len(length as u16);
        ip.set_ident(ip.ident().wrapping_add(index as u16));
        ip.fill_checksum();
    }
    let start = usize::from(checksum.start);
    let mut tcp = TcpPacket::new_unchecked(&mut segment[start..]);
    tcp.set_seq_number(tcp.seq_number() + offset);
    if !last {
        tcp.set_fin(false);
        tcp.set_psh(false);
    }
    let (pseudo, transport, start) = check::pseudo_header(segment).expect("TCP");
    fill(pseudo, transport, &mut segment[start..]);
}
