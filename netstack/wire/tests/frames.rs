//! Packets in a stream, however it is cut.

mod common;

use common::packet;
use darner_coherence::Packet;
use darner_wire::{
    Deframer, LONGEST_PACKET, PAGE_BYTES, Refusal, encode, parse_coherence as parse,
};
use proptest::prelude::*;

/// A stream of packets.
fn stream(packets: &[Packet]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for packet in packets {
        let header = encode(packet).expect("a message that nodes say");
        bytes.extend_from_slice(header.framed());
        bytes.resize(bytes.len() + header.page_bytes(), 0x5a);
    }
    bytes
}

/// What is found in a stream, cut after each of `cuts` bytes, and how many packets were borrowed.
fn found(stream: &[u8], cuts: &[usize]) -> (Vec<Packet>, usize) {
    let mut deframer = Deframer::new();
    let mut packets = Vec::new();
    let mut borrowed = 0;
    let mut rest = stream;
    let ends = cuts.iter().copied().chain([stream.len()]);
    for cut in ends {
        let (mut piece, after) = rest.split_at(cut.min(rest.len()));
        let within = piece.as_ptr_range();
        rest = after;
        while let Some(packet) = deframer.next(&mut piece).expect("frames") {
            borrowed += usize::from(within.contains(&packet.as_ptr()));
            packets.push(parse(packet).expect("a packet").packet);
        }
        assert!(piece.is_empty());
    }
    assert_eq!(deframer.unfinished(), 0);
    (packets, borrowed)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn packets_are_found_wherever_the_stream_is_cut(
        packets in prop::collection::vec(packet(), 1..8),
        cuts in prop::collection::vec(prop_oneof![0..40_usize, 0..3 * PAGE_BYTES], 0..30),
    ) {
        let stream = stream(&packets);
        let (cut, borrowed) = found(&stream, &cuts);
        prop_assert_eq!(&cut, &packets);
        prop_assert!(borrowed + cuts.len() >= packets.len(), "{} of {} copied", packets.len() - borrowed, packets.len());
        let (whole, borrowed) = found(&stream, &[]);
        prop_assert_eq!(&whole, &packets);
        prop_assert_eq!(borrowed, packets.len());
    }

    #[test]
    fn any_stream_is_packets_or_ends_with_a_reason(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        length in 0..40_u8,
    ) {
        let stream = [&[length, 0, 0, 0], &bytes[..]].concat();
        let mut deframer = Deframer::new();
        let mut input = &stream[..];
        let mut most = stream.len() / 8;
        let why = loop {
            match deframer.next(&mut input) {
                Ok(Some(packet)) => prop_assert!((8..=LONGEST_PACKET).contains(&packet.len())),
                Ok(None) => break None,
                Err(why) => break Some(why),
            }
            most = most.checked_sub(1).expect("fewer packets than bytes have room for");
        };
        if let Some(why) = why {
            prop_assert_eq!(deframer.next(&mut &[0, 0, 0, 0][..]), Err(why));
        }
    }
}

#[test]
fn lengths_of_no_packet() {
    for (length, why) in [
        (0, Refusal::FrameTooShort { found: 0 }),
        (7, Refusal::FrameTooShort { found: 7 }),
        (
            LONGEST_PACKET as u32 + 1,
            Refusal::FrameTooLong {
                found: LONGEST_PACKET as u32 + 1,
            },
        ),
        (u32::MAX, Refusal::FrameTooLong { found: u32::MAX }),
    ] {
        let bytes = length.to_le_bytes();
        for cut in 0..4 {
            let mut deframer = Deframer::new();
            assert_eq!(deframer.next(&mut &bytes[..cut]), Ok(None));
            assert_eq!(deframer.next(&mut &bytes[cut..]), Err(why));
        }
    }
}
