use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;
use smoltcp::wire::checksum as other;
use smoltcp::wire::{IpAddress, IpProtocol};

use super::*;

/// RFC 1071 as it is written: words of 16 bits, most significant byte first.
fn naive(bytes: &[u8]) -> u16 {
    let mut sum: u64 = 0;
    for (place, &byte) in bytes.iter().enumerate() {
        sum += u64::from(byte) << if place % 2 == 0 { 8 } else { 0 };
    }
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}

fn folded(bytes: &[u8]) -> u16 {
    Sum::new().with(bytes).fold()
}

#[test]
fn the_example_of_rfc_1071() {
    let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
    assert_eq!(folded(&bytes), 0xddf2);
    assert_eq!(Sum::new().with(&bytes).checksum(), !0xddf2);
}

#[test]
fn every_length_from_every_place() {
    let bytes: Vec<u8> = (0..320_u32).map(|n| (n * 167 + 59) as u8).collect();
    for length in 0..=300 {
        for start in 0..16 {
            let piece = &bytes[start..start + length];
            assert_eq!(folded(piece), naive(piece), "{length} from {start}");
            assert_eq!(folded(piece), other::data(piece), "{length} from {start}");
        }
    }
}

#[test]
fn every_split_in_three() {
    let bytes: Vec<u8> = (0..40_u8).map(|n| n.wrapping_mul(201) ^ 0xa5).collect();
    for first in 0..=bytes.len() {
        for second in first..=bytes.len() {
            let sum = Sum::new()
                .with(&bytes[..first])
                .with(&bytes[first..second])
                .with(&bytes[second..]);
            assert_eq!(sum.fold(), naive(&bytes), "{first} {second}");
        }
    }
}

#[test]
fn nothing_is_lost_where_all_carries_come_at_once() {
    for length in [0, 1, 2, 63, 64, 65, 1400, 9000, 65_535] {
        let bytes = vec![0xff; length];
        assert_eq!(folded(&bytes), naive(&bytes), "{length}");
        let sum = Sum::new().with(&bytes).with(&bytes).with(&bytes);
        assert_eq!(sum.fold(), naive(&vec![0xff; 3 * length]), "{length}");
    }
}

#[test]
fn udp_never_sends_zero_and_tcp_may() {
    // A payload that makes all words add up to 0xffff, whose complement is zero.
    let pseudo = Sum::pseudo_v4(Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST, Transport::Udp, 10);
    let mut segment = [0_u8; 10];
    let missing = !pseudo.fold();
    segment[8..].copy_from_slice(&missing.to_be_bytes());
    fill(pseudo, Transport::Udp, &mut segment);
    assert_eq!(segment[6..8], [0xff, 0xff]);
    assert!(verify(pseudo, Transport::Udp, Absent::Refused, &segment));

    let pseudo = Sum::pseudo_v4(Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST, Transport::Tcp, 22);
    let mut segment = [0_u8; 22];
    segment[20..].copy_from_slice(&(!pseudo.fold()).to_be_bytes());
    fill(pseudo, Transport::Tcp, &mut segment);
    assert_eq!(segment[16..18], [0, 0]);
    assert!(verify(pseudo, Transport::Tcp, Absent::Refused, &segment));
}

#[test]
fn udp_without_a_checksum_is_for_ipv4_only() {
    let segment = [1, 2, 3, 4, 0, 8, 0, 0];
    assert!(verify(
        Sum::new(),
        Transport::Udp,
        Absent::Allowed,
        &segment
    ));
    assert!(!verify(
        Sum::new(),
        Transport::Udp,
        Absent::Refused,
        &segment
    ));
    assert!(!verify(
        Sum::new(),
        Transport::Tcp,
        Absent::Allowed,
        &[0; 20]
    ));
}

#[test]
fn what_is_too_short_is_not_right() {
    for (transport, header) in [(Transport::Tcp, 18), (Transport::Udp, 8)] {
        for length in 0..header {
            let segment = vec![0; length];
            assert!(!verify(Sum::new(), transport, Absent::Allowed, &segment));
        }
    }
}

fn transport() -> impl Strategy<Value = Transport> {
    prop_oneof![Just(Transport::Tcp), Just(Transport::Udp)]
}

fn number(transport: Transport) -> IpProtocol {
    IpProtocol::from(transport.protocol())
}

proptest! {
    #[test]
    fn any_bytes_in_any_pieces(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8)) {
        let whole = pieces.concat();
        let sum = pieces.iter().fold(Sum::new(), |sum, piece| sum.with(piece));
        prop_assert_eq!(sum.fold(), naive(&whole));
        prop_assert_eq!(sum.fold(), other::data(&whole));
    }

    #[test]
    fn pseudo_headers(v4: [u32; 2], v6: [u128; 2], length: u16, transport in transport()) {
        let [source, destination] = v4.map(Ipv4Addr::from_bits);
        let ours = Sum::pseudo_v4(source, destination, transport, length).fold();
        let theirs = other::pseudo_header_v4(&source, &destination, number(transport), length.into());
        prop_assert_eq!(ours, theirs);
        let [source, destination] = v6.map(Ipv6Addr::from_bits);
        let ours = Sum::pseudo_v6(source, destination, transport, length.into()).fold();
        let theirs = other::pseudo_header(
            &IpAddress::Ipv6(source),
            &IpAddress::Ipv6(destination),
            number(transport),
            length.into(),
        );
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn what_is_filled_in_is_right_until_a_bit_changes(
        mut segment in prop::collection::vec(any::<u8>(), 20..200),
        addresses: [u32; 2],
        transport in transport(),
        bit: prop::sample::Index,
    ) {
        let [source, destination] = addresses.map(Ipv4Addr::from_bits);
        let pseudo = Sum::pseudo_v4(source, destination, transport, segment.len() as u16);
        fill(pseudo, transport, &mut segment);
        prop_assert!(verify(pseudo, transport, Absent::Refused, &segment));
        let bit = bit.index(segment.len() * 8);
        segment[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!verify(pseudo, transport, Absent::Refused, &segment));
    }

    #[test]
    fn a_card_completes_what_is_filled_in_partially(
        mut segment in prop::collection::vec(any::<u8>(), 20..200),
        addresses: [u32; 2],
    ) {
        let [source, destination] = addresses.map(Ipv4Addr::from_bits);
        let pseudo = Sum::pseudo_v4(source, destination, Transport::Tcp, segment.len() as u16);
        fill_partial(pseudo, Transport::Tcp, &mut segment);
        // The sum from the header on, as virtio's cards do it.
        let checksum = Sum::new().with(&segment).checksum();
        segment[16..18].copy_from_slice(&checksum.to_be_bytes());
        prop_assert!(verify(pseudo, Transport::Tcp, Absent::Refused, &segment));
    }
}
