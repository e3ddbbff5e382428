//! What is encoded is parsed as what it was.

mod common;

use common::{cluster, kinds, locks, packet_of, parking};
use darner_coherence::Packet;
use darner_wire::{
    Header, LENGTH_BYTES, LONGEST_HEADER, LONGEST_PACKET, PAGE_BYTES, Parsed, Refusal, Said,
    encode, encode_cluster, encode_locks, encode_parking, parse, parse_coherence,
};
use proptest::prelude::*;

/// A packet whole: its header and pages that can be told apart.
fn whole(header: &Header) -> Vec<u8> {
    let pages = header.page_bytes() / PAGE_BYTES;
    let mut bytes = header.bytes().to_vec();
    for page in 0..pages {
        bytes.extend([page as u8 + 1; PAGE_BYTES]);
    }
    bytes
}

fn is_the_same_again(packet: &Packet) {
    let header = encode(packet).expect("a message that nodes say");
    let bytes = whole(&header);
    let parsed = parse_coherence(&bytes).expect("a packet");
    assert_eq!(parse(&bytes), Ok(Said::Coherence(parsed.clone())));
    let pages = &bytes[header.bytes().len()..];
    assert_eq!(
        parsed,
        Parsed {
            packet: packet.clone(),
            pages
        }
    );
    assert_eq!(parsed.pages().count() as u32, packet.message.pages());
    for (page, number) in parsed.pages().zip(1..) {
        assert_eq!(page, [number; PAGE_BYTES]);
    }
    let length = u32::from_le_bytes(*header.framed().first_chunk::<LENGTH_BYTES>().unwrap());
    assert_eq!(length as usize, bytes.len());
    assert_eq!(&header.framed()[LENGTH_BYTES..], header.bytes());
}

#[test]
fn every_kind_is_the_same_again() {
    for (number, (kind, _)) in kinds().into_iter().enumerate() {
        let config = ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::with_cases(200)
        };
        proptest!(config, |(packet in packet_of(number))| {
            let header = encode(&packet).expect("a message that nodes say");
            prop_assert_eq!(header.bytes()[1], kind.number());
            prop_assert_eq!(header.bytes().len(), kind.header_bytes());
            is_the_same_again(&packet);
        });
    }
}

#[test]
fn every_kind_about_the_cluster_is_the_same_again() {
    for (number, (kind, _)) in cluster::kinds().into_iter().enumerate() {
        let config = ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::with_cases(200)
        };
        proptest!(config, |(packet in cluster::packet_of(number))| {
            let whole = encode_cluster(&packet).expect("a message that nodes say");
            prop_assert_eq!(whole.bytes()[1], kind as u8);
            prop_assert!(whole.bytes().len() <= LONGEST_PACKET);
            let length = u32::from_le_bytes(*whole.framed().first_chunk::<LENGTH_BYTES>().unwrap());
            prop_assert_eq!(length as usize, whole.bytes().len());
            prop_assert_eq!(parse(whole.bytes()), Ok(Said::Cluster(packet)));
        });
    }
}

#[test]
fn every_kind_about_locks_is_the_same_again() {
    for (number, (kind, _)) in locks::kinds().into_iter().enumerate() {
        let config = ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::with_cases(200)
        };
        proptest!(config, |(packet in locks::packet_of(number))| {
            let whole = encode_locks(&packet);
            prop_assert_eq!(whole.bytes()[1], kind as u8);
            prop_assert_eq!(parse(whole.bytes()), Ok(Said::Locks(packet)));
        });
    }
}

#[test]
fn every_kind_about_waiting_is_the_same_again() {
    for (number, (kind, _)) in parking::kinds().into_iter().enumerate() {
        let config = ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::with_cases(200)
        };
        proptest!(config, |(packet in parking::packet_of(number))| {
            let whole = encode_parking(&packet);
            prop_assert_eq!(whole.bytes()[1], kind as u8);
            prop_assert_eq!(parse(whole.bytes()), Ok(Said::Parking(packet)));
        });
    }
}

#[test]
fn every_number_is_a_kind_that_is_tested_or_none() {
    let coherence = kinds().into_iter().map(|(kind, _)| kind.number());
    let cluster = cluster::kinds().into_iter().map(|(kind, _)| kind as u8);
    let locks = locks::kinds().into_iter().map(|(kind, _)| kind as u8);
    let parking = parking::kinds().into_iter().map(|(kind, _)| kind as u8);
    let numbers: Vec<u8> = (coherence.chain(cluster).chain(locks).chain(parking)).collect();
    for number in 0..=u8::MAX {
        let mut bytes = [0; LONGEST_HEADER];
        bytes[0] = darner_wire::VERSION << 4;
        bytes[1] = number;
        let unknown = parse(&bytes) == Err(Refusal::UnknownKind { found: number });
        assert_eq!(unknown, !numbers.contains(&number), "{number:#04x}");
    }
}
