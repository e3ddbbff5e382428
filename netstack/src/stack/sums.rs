//! The checksums of packets in frames.

use core::net::IpAddr;

use super::classify::{Packet, u16_at};
use crate::checksum::{self, Absent, Sum, Transport};

const ICMPV6: u8 = 58;

/// What a packet carries, if it has a checksum that cards may know of.
pub(super) fn transport(packet: &Packet) -> Option<Transport> {
    [Transport::Tcp, Transport::Udp]
        .into_iter()
        .find(|transport| transport.protocol() == packet.protocol)
}

/// The sum of the pseudo header before `length` bytes.
pub(super) fn pseudo_header(packet: &Packet, transport: Transport, length: usize) -> Sum {
    match (packet.source, packet.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            Sum::pseudo_v4(source, destination, transport, length as u16)
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            Sum::pseudo_v6(source, destination, transport, length as u32)
        }
        // No packet has both.
        _ => Sum::new(),
    }
}

/// Whether the checksum of a whole TCP or UDP packet is right.
pub(super) fn is_right(frame: &[u8], packet: &Packet) -> bool {
    let carried = frame.get(packet.payload..packet.end);
    let (Some(carried), Some(transport)) = (carried, transport(packet)) else {
        return false;
    };
    let (length, absent) = match transport {
        // UDP has a length of its own.
        Transport::Udp => (
            u16_at(carried, 4).map_or(0, usize::from),
            match packet.source {
                IpAddr::V4(_) => Absent::Allowed,
                IpAddr::V6(_) => Absent::Refused,
            },
        ),
        Transport::Tcp => (carried.len(), Absent::Refused),
    };
    let Some(carried) = carried.get(..length) else {
        return false;
    };
    let pseudo = pseudo_header(packet, transport, length);
    checksum::verify(pseudo, transport, absent, carried)
}

/// Whether the checksum of an ICMP or ICMPv6 message is right.
pub(super) fn is_right_message(frame: &[u8], packet: &Packet) -> bool {
    let Some(message) = frame.get(packet.payload..packet.end) else {
        return false;
    };
    let pseudo = match (packet.source, packet.destination) {
        (IpAddr::V6(source), IpAddr::V6(destination)) => Sum::new()
            .with(&source.octets())
            .with(&destination.octets())
            .with(&(message.len() as u32).to_be_bytes())
            .with_u16(ICMPV6.into()),
        _ => Sum::new(),
    };
    pseudo.with(message).fold() == 0xffff
}
